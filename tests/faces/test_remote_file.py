"""A file of a server is one stream: it is read from front to back by one request, and let go of at once."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faces.program import call
from tabvault.faces.cli.remote.connection import ServerConnection
from tabvault.faces.cli.remote.files import RemoteFile, RemoteStore

BODY = bytes(range(256)) * (10 << 12)  # 10 MiB: two blocks of what is fetched ahead elsewhere
LISTING = (
    b'{"files": [{"name": "x.abf", "byte_count": %d, "last_modified": "2026-11-23T08:00:00+00:00", "etag": "a"}],'
    b' "folders": [], "next": null}' % len(BODY)
)
SOON_S = 20.0
"""Far below the two minutes that a server may be silent, and no matter how busy the machine is."""


class FileServer(ThreadingHTTPServer):
    """What a server answers about one file; *sent_byte_count* bytes of it, then nothing more."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.ranges: list[str] = []
        self.sent_byte_count = len(BODY)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answering(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        if not self.path.startswith("/api/files/"):
            self._answer(200, LISTING)
            return
        self.server.ranges.append(self.headers["Range"])
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])
        begin = int(found[1])
        self._answer(206, BODY[begin:], ("ETag", '"a"'), ("Content-Range", f"bytes {begin}-/{len(BODY)}"))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body[: self.server.sent_byte_count])
            if len(body) > self.server.sent_byte_count:
                self.rfile.read(1)  # until the client goes away
        except OSError:
            pass  # it did

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def server():
    with FileServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_of_several_blocks_is_copied_by_one_request(server, tmp_path, monkeypatch, capsys):
    threads = set()
    read_at = RemoteFile.read_at

    def noted(stored, offset, byte_count):
        threads.add(threading.current_thread())
        return read_at(stored, offset, byte_count)

    monkeypatch.setattr(RemoteFile, "read_at", noted)
    copy = tmp_path / "copy.abf"
    outcome = call(
        *("storage", "get", "x.abf", copy, "--server", server.url),
        data=tmp_path / "nowhere",
        monkeypatch=monkeypatch,
        capsys=capsys,
    )
    assert (outcome.status, outcome.err) == (0, "")
    assert copy.read_bytes() == BODY
    assert server.ranges == ["bytes=0-"]
    assert threads == {threading.current_thread()}, "several would come out of order, and each jump is a request"


def test_who_reads_no_further_waits_for_no_server_that_is_silent(server):
    server.sent_byte_count = 3 << 20
    store = RemoteStore(ServerConnection(server.url, None))
    pieces = []

    def read() -> None:
        with store.open("x.abf") as stored:
            whole = stored.whole()
            pieces.append(bytes(next(whole)))
            whole.close()

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(SOON_S)
    assert not reading.is_alive()
    assert pieces[0] == BODY[: len(pieces[0])]
    assert server.ranges == ["bytes=0-"]
