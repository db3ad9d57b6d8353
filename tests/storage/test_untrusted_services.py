"""A service whose certificate this machine does not trust: the hint names the variable that makes it trusted."""

from __future__ import annotations

import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from certificates import make_certificate
from tabvault.errors import StorageError, StoreUnavailableError
from tabvault.storage.azure.access import access_by_sas_url
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.s3.store import S3BucketStore

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE")


class Teapot(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(418)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def url(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Teapot) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def azure(url: str) -> AzureBlobStore:
    return AzureBlobStore(access_by_sas_url(f"{url}/account/backups?sp=rwl&sig=aaaa"))


def s3(url: str) -> S3BucketStore:
    access = access_by_key(url, region="eu-central-1", access_key_id="AKIATESTTESTTESTTEST", secret="half/of+the-key")
    return S3BucketStore(access.of_bucket("backups"))


@pytest.mark.parametrize("opened", [azure, s3])
def test_the_variable_that_the_hint_names_makes_the_service_trusted(url, files, monkeypatch, opened):
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    with opened(url) as store, pytest.raises(StoreUnavailableError, match="is not trusted") as caught:
        store.info("x.abf")
    assert "attempts" not in caught.value.message
    [variable] = re.findall(r"\w+_(?:BUNDLE|FILE)", caught.value.hint)
    monkeypatch.setenv(variable, str(files.certificate))
    with opened(url) as store, pytest.raises(StorageError, match="418"):
        store.info("x.abf")
