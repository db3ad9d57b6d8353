"""
Identities for the tests: a local issuer of tokens, and an emulator that takes them, both over TLS.

``azure-identity`` is the real one; its environment variables lead it here. The emulator looks at issuer, audience and
times of a token, not at its signature.
"""

from __future__ import annotations

import datetime
import json
import sys
import urllib.parse
from typing import TYPE_CHECKING

import jwt
import pytest
from azure.storage.blob import ContainerClient

from certificates import make_certificate
from storage.azure.azurite import ACCOUNT, running_azurite
from token_issuer import Answer, Asked, document, issuing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certificates import TlsFiles


class _Issuer:
    """What Microsoft's own issuers answer: a managed identity's endpoint, and a directory (AD FS) for applications."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, asked: Asked) -> Answer:
        return self._tell(asked) if asked.form is None else self._log_in(asked.form)

    def _tell(self, asked: Asked) -> Answer:
        url = urllib.parse.urlsplit(asked.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/identity":
            self.asked.append(f"managed {query.get('client_id')} {asked.headers['X-IDENTITY-HEADER']}")
            return document({"access_token": token(), "expires_on": "4102444800", "token_type": "Bearer"})
        base = f"https://{asked.headers['Host']}/adfs"
        endpoints = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/oauth2/token"}
        return document({"issuer": base, **endpoints})

    def _log_in(self, form: dict[str, str]) -> Answer:
        if form.get("client_secret") != "right secret":
            return document({"error": "invalid_client", "error_description": "no"}, 401)
        self.asked.append(f"application {form['client_id']} {form['scope']}")
        return document({"access_token": token(), "expires_in": 3600, "token_type": "Bearer"})


def token() -> str:
    """What the emulator asks of a token; it does not check the signature."""
    now = int(datetime.datetime.now(datetime.UTC).timestamp())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return jwt.encode(claims, "x" * 32, algorithm="HS256")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Of everything here."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def secured_azurite(tls: TlsFiles) -> Iterator[tuple[str, str]]:
    """The URL of the account of an emulator that takes tokens, and a container in it."""
    pem, key = map(str, tls)
    with running_azurite("--cert", pem, "--key", key, "--oauth", "basic") as (port, account_key):
        url = f"https://127.0.0.1:{port}/{ACCOUNT}"
        with ContainerClient(url, "backups", credential=account_key, connection_verify=pem) as client:
            client.create_container()
        yield url, "backups"


@pytest.fixture
def issuer(tls: TlsFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What the issuer was asked. This process and its children get their tokens there."""
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    answer = {"accessToken": token(), "expiresOn": "2100-01-01 00:00:00.000000", "expires_on": 4102444800}
    az.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n")
    az.chmod(0o755)
    made = _Issuer()
    with issuing(made.answer, tls) as base:
        monkeypatch.setenv("PATH", f"{az.parent}:/usr/bin:/bin")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.certificate))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{base}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "header of this machine")
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", base)
        yield made.asked
