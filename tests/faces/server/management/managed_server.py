"""A server in this process behind TLS, and an issuer of tokens for it: as the client libraries of Azure find them."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import jwt
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from tabvault.faces.server.application import create_application
from tabvault.faces.server.service import Service
from tabvault.storage.server_state.identity_providers import IdentityProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    certificate = make_certificate(folder)
    with Service(folder / "data", name=NAME) as service:
        service.access.accounts.create_administrator(*ADMINISTRATOR)
        service.access.set_identity_providers(providers)
        configuration = uvicorn.Config(
            create_application(service),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            ssl_certfile=certificate,
            ssl_keyfile=certificate,
        )
        server = uvicorn.Server(configuration)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)  # whoever comes before the loop runs, waits
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                yield Managed(service, f"https://127.0.0.1:{listener.getsockname()[1]}", certificate)
            finally:
                server.should_exit = True
                thread.join(30)


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

    def answer(self, form: dict[str, str] | None) -> tuple[int, dict[str, object]]:
        if form is None:
            endpoints = {f"{name}_endpoint": f"{self.authority}/{TENANT}/{name}" for name in ("authorization", "token")}
            return 200, {"issuer": self._issuer, "jwks_uri": f"{self.authority}/keys", **endpoints}
        if (form.get("client_id"), form.get("client_secret")) != (APPLICATION, SECRET):
            return 401, {"error": "invalid_client"}
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": self.token(form["scope"])}

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
def issuing(certificate: Path) -> Iterator[Issuer]:
    """An issuer behind TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send(*issuer.answer(None))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send(*issuer.answer(dict(urllib.parse.parse_qsl(body))))

        def send(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer = Issuer(f"https://127.0.0.1:{server.server_address[1]}", certificate, rsa.generate_private_key(65537, 2048))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(folder: Path) -> Path:
    """A certificate for the loopback interface that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + own)
    return file
