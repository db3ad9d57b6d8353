"""
Identities for the tests: a local issuer of tokens, and an emulator that takes them, both over TLS.

``azure-identity`` is the real one; its environment variables lead it here. The emulator looks at issuer, audience and
times of a token, not at its signature.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import jwt
import pytest
from azure.storage.blob import ContainerClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from storage.azure.azurite import ACCOUNT, running_azurite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Issuer(BaseHTTPRequestHandler):
    """What Microsoft's own issuers answer: a managed identity's endpoint, and a directory (AD FS) for applications."""

    asked: list[str]

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/identity":
            self.asked.append(f"managed {query.get('client_id')} {self.headers['X-IDENTITY-HEADER']}")
            self._answer({"access_token": token(), "expires_on": "4102444800", "token_type": "Bearer"})
        else:
            base = f"https://{self.headers['Host']}/adfs"
            self._answer(
                {
                    "issuer": base,
                    "authorization_endpoint": f"{base}/authorize",
                    "token_endpoint": f"{base}/oauth2/token",
                }
            )

    def do_POST(self) -> None:
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        if form.get("client_secret") != "right secret":
            self._answer({"error": "invalid_client", "error_description": "no"}, status=401)
            return
        self.asked.append(f"application {form['client_id']} {form['scope']}")
        self._answer({"access_token": token(), "expires_in": 3600, "token_type": "Bearer"})

    def _answer(self, document: dict[str, object], *, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


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
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the loopback interface and its key, as files."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="session")
def secured_azurite(certificate: tuple[Path, Path]) -> Iterator[tuple[str, str]]:
    """The URL of the account of an emulator that takes tokens, and a container in it."""
    pem, key = map(str, certificate)
    with running_azurite("--cert", pem, "--key", key, "--oauth", "basic") as (port, account_key):
        url = f"https://127.0.0.1:{port}/{ACCOUNT}"
        with ContainerClient(url, "backups", credential=account_key, connection_verify=pem) as client:
            client.create_container()
        yield url, "backups"


@pytest.fixture
def issuer(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What the issuer was asked. This process and its children get their tokens there."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Issuer", (_Issuer,), {"asked": asked}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    answer = {"accessToken": token(), "expiresOn": "2100-01-01 00:00:00.000000", "expires_on": 4102444800}
    az.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n")
    az.chmod(0o755)
    base = f"https://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("PATH", f"{az.parent}:/usr/bin:/bin")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{base}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "header of this machine")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", base)
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()
