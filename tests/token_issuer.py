"""An issuer of tokens on the loopback interface: the transport; what it answers, each test says for itself."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

    from certificates import TlsFiles


@dataclass
class Asked:
    """A request. *form* is what was posted, None where nothing was."""

    path: str
    headers: Message
    form: dict[str, str] | None


@dataclass
class Answer:
    """What is answered."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def document(content: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(content).encode(), status, {"Content-Type": "application/json"})


@contextlib.contextmanager
def issuing(answer: Callable[[Asked], Answer], tls: TlsFiles | None = None) -> Iterator[str]:
    """The address of an issuer that gives the answers of *answer*, behind TLS or in the clear."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(dict(urllib.parse.parse_qsl(body)))

        def _answer(self, form: dict[str, str] | None) -> None:
            answered = answer(Asked(self.path, self.headers, form))
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
