"""A server in this process behind TLS, and an issuer of tokens for it: as the client libraries of Azure find them."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from certificates import make_certificate
from faces.server.services import listening
from tabvault.faces.server.service import Service
from tabvault.storage.server_state.identity_providers import IdentityProvider
from token_issuer import Answer, document, issuing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certificates import TlsFiles

SUBSCRIPTION = "613192d7-503f-477a-9cfe-4efc3ee2bd60"
GROUP = "Test RG"
NAME = "azsdktest"
VERSION = {"api-version": "2017-08-01"}
PROVIDER = "Microsoft.AnalysisServices"
SERVER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Test%20RG/providers/{PROVIDER}/servers/{NAME}"

TENANT = "11111111-1111-1111-1111-111111111111"
APPLICATION = "22222222-2222-2222-2222-222222222222"
SECRET = "the secret of the application"
AUDIENCE = "https://management.azure.com"
ADMINISTRATOR = ("alice", "correct horse battery staple")


@dataclass
class Managed:
    """A server and where it is."""

    service: Service
    url: str
    certificate: Path

    def client(self, user: tuple[str, str] | None = ADMINISTRATOR, *, token: str | None = None) -> httpx.Client:
        """Of that user, or whoever has that token; it asks for the version of the specification."""
        return httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=self.certificate),
            auth=user if token is None else None,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            params=VERSION,
            timeout=30,
        )


@contextlib.contextmanager
def managed_server(folder: Path, *providers: IdentityProvider) -> Iterator[Managed]:
    """A server behind TLS that believes *providers*."""
    tls = make_certificate(folder)
    with Service(folder / "data", name=NAME) as service:
        service.access.accounts.create_administrator(*ADMINISTRATOR)
        service.access.set_identity_providers(providers)
        with listening(service, tls) as url:
            yield Managed(service, url, tls.certificate)


@dataclass
class Issuer:
    """What a directory of Entra ID answers to an application that logs in."""

    authority: str
    certificate: Path
    key: rsa.RSAPrivateKey

    def provider(self) -> IdentityProvider:
        """For a server that lets the application in as its administrator."""
        jwk = json.loads(RSAAlgorithm.to_jwk(self.key.public_key())) | {"kid": "k1", "use": "sig", "alg": "RS256"}
        return IdentityProvider(
            issuer=self._issuer,
            audiences=(AUDIENCE,),
            tenant=TENANT,
            jwks=json.dumps({"keys": [jwk]}),
            administrators=(f"app:{APPLICATION}@{TENANT}",),
        )

    @property
    def _issuer(self) -> str:
        return f"{self.authority}/{TENANT}/v2.0"

    def answer(self, form: dict[str, str] | None) -> Answer:
        if form is None:
            endpoints = {f"{name}_endpoint": f"{self.authority}/{TENANT}/{name}" for name in ("authorization", "token")}
            return document({"issuer": self._issuer, "jwks_uri": f"{self.authority}/keys", **endpoints})
        if (form.get("client_id"), form.get("client_secret")) != (APPLICATION, SECRET):
            return document({"error": "invalid_client"}, 401)
        return document({"token_type": "Bearer", "expires_in": 3600, "access_token": self.token(form["scope"])})

    def token(self, scope: str = f"{AUDIENCE}/.default", application: str = APPLICATION) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": scope.removesuffix("/.default"),
            "appid": application,
            "tid": TENANT,
            "idtyp": "app",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        return jwt.encode(claims, self.key, "RS256", headers={"kid": "k1"})


@contextlib.contextmanager
def entra(tls: TlsFiles) -> Iterator[Issuer]:
    """That directory, behind TLS."""
    with issuing(lambda asked: issuer.answer(asked.form), tls) as authority:
        issuer = Issuer(authority, tls.certificate, rsa.generate_private_key(65537, 2048))
        yield issuer
