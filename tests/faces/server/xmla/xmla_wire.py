"""XMLA over HTTP as raw as a test needs it, and a server in another process to send it to."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from faces.served_process import PASSWORD, Served, serve
from formats.xmla.requests import BEGIN_SESSION, ENGINE, SOAP, envelope, execute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ALICE = ("alice", PASSWORD)
PROC = Path("/proc")


def basic(user: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(user).encode()).decode()


HEADERS = {"Content-Type": "text/xml", "Authorization": basic(ALICE)}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fault(self) -> str | None:
        """What the fault says; None where there is none."""
        match = re.search(rb"<faultstring>(.*?)</faultstring>", self.body, re.DOTALL)
        return None if match is None else match[1].decode()

    @property
    def session_id(self) -> str:
        match = re.search(rb'SessionId="([^"]+)"', self.body)
        assert match is not None, self.body[:500]
        return match[1].decode()

    @property
    def row_count(self) -> int:
        return self.body.count(b"<row>")


@dataclass
class Client:
    """One connection that stays open from request to request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=self.timeout_s)

    def post(self, body: bytes | Iterator[bytes], *, chunked: bool = False, **headers: str) -> Answer:
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._connection.request("POST", "/xmla", body, given, encode_chunked=chunked)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def connected(served: Served, *, timeout_s: float = 60.0) -> socket.socket:
    address = urlsplit(served.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 80), timeout_s)


def head(*lines: str, version: str = "1.1") -> bytes:
    """The head of a POST; Host is given, all else is the caller's."""
    return "\r\n".join([f"POST /xmla HTTP/{version}", "Host: localhost", *lines, "", ""]).encode()


AUTHORISED = (f"Authorization: {basic(ALICE)}", "Content-Type: text/xml")


def read_until_closed(connection: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            received += piece
    return bytes(received)


def statement(text: str, *, catalog: str | None = None) -> bytes:
    properties = "<Format>Tabular</Format>" + (f"<Catalog>{catalog}</Catalog>" if catalog is not None else "")
    return execute(f"<Statement>{escaped(text)}</Statement>", properties=properties)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def begin_session() -> bytes:
    return in_header(BEGIN_SESSION, "<Statement/>")


def in_session(session_id: str, command: str, *, name: str = "Session", catalog: str | None = None) -> bytes:
    return in_header(
        f'<XA:{name} soap:mustUnderstand="1" SessionId="{session_id}" xmlns:soap="{SOAP}" '
        'xmlns:XA="urn:schemas-microsoft-com:xml-analysis" />',
        command,
        properties="" if catalog is None else f"<Catalog>{catalog}</Catalog>",
    )


def in_header(header: str, command: str, *, properties: str = "") -> bytes:
    return envelope(
        f'<Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command>{command}</Command>'
        f"<Properties><PropertyList><Format>Tabular</Format>{properties}</PropertyList></Properties></Execute>",
        header,
    )


def engine(name: str, content: str = "") -> str:
    """A command in the namespace of the engine."""
    return f'<{name} xmlns="{ENGINE}">{content}</{name}>'


def resident_byte_count(process_id: int) -> int:
    return int((PROC / str(process_id) / "statm").read_text().split()[1]) * 4096


def thread_count(process_id: int) -> int:
    return len(list((PROC / str(process_id) / "task").iterdir()))


def open_file_count(process_id: int) -> int:
    return len(list((PROC / str(process_id) / "fd").iterdir()))


def assert_clean(served: Served) -> None:
    """The server lives, and its log has neither a traceback nor a mistake of the program, a secret or a request."""
    assert served.process.poll() is None
    assert served.get("/healthz").text == "ok\n"
    log = served.log.read_text(errors="strict")
    for word in ("Traceback", "internal error", "Exception", PASSWORD, HEADERS["Authorization"][6:], "<Envelope"):
        assert word not in log, log[-4000:]


@contextlib.contextmanager
def serving(data: Path) -> Iterator[Served]:
    """The command ``tabvault serve``, ended when the block is; its log is clean then."""
    with serve(data) as served:
        yield served
        assert_clean(served)
