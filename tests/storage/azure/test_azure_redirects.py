"""An account that sends its clients elsewhere: they do not go."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import StorageError
from tabvault.storage.azure.access import account_by_sas
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.remote.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Has an object of 20 bytes, whose content is said to be elsewhere on this machine."""

    def do_HEAD(self) -> None:
        self.answer(200, {"Content-Length": "20", "x-ms-blob-type": "BlockBlob"})

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        place = f"http://127.0.0.1:{self.server.server_port}/elsewhere"
        self.answer(302, {"Location": place, "Content-Length": "0"})

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"ETag": '"e"', "Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def account() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        server.paths = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_redirect_is_a_refusal_and_nobody_goes_there(account):
    access = account_by_sas(f"http://127.0.0.1:{account.server_port}", "sv=2022-11-02&sp=rwdl&sig=hunter2")
    patience = Patience(attempt_count_max=1)
    with (
        AzureBlobStore(access.to_container("backups"), patience=patience) as store,
        store.open("x.abf") as stored,
        pytest.raises(StorageError, match="302"),
    ):
        stored.read_at(0, 20)
    assert [path.partition("?")[0] for path in account.paths] == ["/backups/x.abf"]
