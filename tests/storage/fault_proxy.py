"""
A proxy on the loopback interface that stands between client and emulator, counts what passes and makes it go wrong.

It reads each request whole, asks the test's *plan* what is to happen to it, and keeps a record. One connection carries
one request, which keeps every fault to the request it is meant for.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from tabvault.storage.remote.patience import Patience

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from types import TracebackType


_S3_SUBRESOURCES = ("partNumber", "uploadId", "uploads", "list-type")


@dataclass(frozen=True)
class Fault:
    """
    What happens to one request; with all defaults it passes unharmed.

    Attributes:
        status: answered with instead of asking the service.
        code: the error code of that answer, as a header.
        body: of that answer.
        retry_after: the header of that answer.
        cuts_request: the connection ends before the service hears of the request.
        cuts_answer: the service does it, and its answer is lost.
        body_byte_count: so much of the answer's body is sent, then the connection ends.
        is_consistent: and the answer's head says that there is no more.
        damages_body: one bit of the request's body is turned.
        delay_s: before anything is sent back.
        stalls: the connection stays open, and nothing comes behind *body_byte_count*, or nothing at all.
        piece_pause_s: the body comes in pieces of 16 bytes with this pause between them.
    """

    status: int | None = None
    code: str | None = None
    body: str = ""
    retry_after: str | None = None
    cuts_request: bool = False
    cuts_answer: bool = False
    body_byte_count: int | None = None
    is_consistent: bool = False
    damages_body: bool = False
    delay_s: float = 0.0
    stalls: bool = False
    piece_pause_s: float = 0.0


@dataclass
class Request:
    """A request that arrived whole. *status* is the service's answer, once there is one; *head* its lines."""

    method: str
    target: str
    head: str = field(repr=False)
    status: int | None = None

    @property
    def call(self) -> str:
        """Which call of the service it is: the method, and what makes the difference in the query."""
        query = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        names = [name for name in _S3_SUBRESOURCES if name in query]
        return " ".join([self.method, *query.get("comp", names)[:1]])

    @property
    def block_id(self) -> str:
        return parse_qs(urlsplit(self.target).query)["blockid"][0]


PASS = Fault()

IMPATIENT = Patience(attempt_count_max=4, deadline_s=8.0, first_pause_s=0.02, pause_max_s=0.1, quiet_max_s=2.0)
"""For stores behind the proxy: no test waits long for what cannot come."""

FAULTS = {
    "cut before": Fault(cuts_request=True),
    "answer lost": Fault(cuts_answer=True),
    "500": Fault(status=500),
    "503": Fault(status=503),
    "429 with a wish": Fault(status=429, retry_after="1"),
    "silent": Fault(status=500, delay_s=5.0),
}
"""What may go wrong with any call and pass again."""

QUICK_FAULTS = {name: fault for name, fault in FAULTS.items() if fault.delay_s == 0 and fault.retry_after is None}
"""Those over which no time passes."""

CUT_BODIES = {
    "truncated": Fault(body_byte_count=1000),
    "no body": Fault(body_byte_count=0),
    "short": Fault(body_byte_count=1000, is_consistent=True),
}
"""What may go wrong with an answer that has a body."""


def first_times(count: int, fault: Fault, call: str) -> Callable[[Request], Fault]:
    """A plan: the first *count* requests of that call go wrong, all of them if it is negative."""
    left = [count]

    def plan(request: Request) -> Fault:
        if request.call != call or left[0] == 0:
            return PASS
        left[0] -= 1
        return fault

    return plan


class LastingFault:
    """
    A plan: the request *begins_at*, counted from 1, goes wrong, and all behind it.

    Attributes:
        has_begun: whether there was such a request.
    """

    def __init__(self, fault: Fault, *, begins_at: int) -> None:
        self.has_begun = False
        self._fault = fault
        self._before_count = begins_at - 1

    def __call__(self, _: Request) -> Fault:
        self.has_begun |= self._before_count == 0
        self._before_count -= 1
        return self._fault if self.has_begun else PASS


def killing(child: subprocess.Popen[bytes], *, at: int | None) -> Callable[[Request], Fault]:
    """A plan: *child* is killed when the request *at*, counted from 1, has come; never if there is none."""
    left = [at]

    def plan(_: Request) -> Fault:
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                child.kill()
        return PASS

    return plan


class FaultProxy:
    """
    Use it as a context manager; it runs in a thread of its own.

    Args:
        upstream_port: of the service.

    Attributes:
        port: where it listens.
        plan: asked about each request, in the proxy's thread.
        requests: all that arrived whole, in their order.
        open_count: connections at this moment.
        open_count_max: the most there were at once.
    """

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.plan: Callable[[Request], Fault] = lambda _: PASS
        self.requests: list[Request] = []
        self.open_count = 0
        self.open_count_max = 0
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        # Nothing else holds one whose client went away while it waits for the service.
        self._serving: set[asyncio.Task[None] | None] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def calls(self, call: str) -> list[Request]:
        return [request for request in self.requests if request.call == call]

    def wait_until_quiet(self) -> None:
        """Wait until what is on its way through here has arrived or is lost."""
        quiet = threading.Event()
        ends = time.monotonic() + 20
        while self.open_count and time.monotonic() < ends:
            quiet.wait(0.01)
        assert self.open_count == 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for writer in self._writers:
            if writer.get_extra_info("socket").fileno() >= 0:
                writer.transport.abort()  # closing waits until somebody has read what was written
        # A connection closes its socket in the turn after the one that ended it.
        for _ in range(2):
            self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        self._writers.append(writer)
        self.open_count += 1
        self.open_count_max = max(self.open_count_max, self.open_count)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two ends went away, which is what this is for
        finally:
            writer.close()
            self.open_count -= 1
            self._serving.discard(asyncio.current_task())

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if re.search(rb"(?i)\r\nexpect: *100-continue\r\n", head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect: [^\r]*", b"", head)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        request = Request(method, target, head.decode("latin-1"))
        self.requests.append(request)
        fault = self.plan(request)
        if fault.cuts_request:
            return
        if fault.stalls and fault.body_byte_count is None:
            await reader.read(-1)  # until the client goes away
            return
        if fault.damages_body:
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault.status is not None:
            request.status = fault.status
            await asyncio.sleep(fault.delay_s)
            extra = f"Retry-After: {fault.retry_after}\r\n" if fault.retry_after else ""
            extra += f"x-ms-error-code: {fault.code}\r\n" if fault.code else ""
            extra += f"Connection: close\r\nContent-Length: {len(fault.body)}\r\n"
            writer.write(f"HTTP/1.1 {fault.status} No\r\n{extra}\r\n{fault.body * (method != 'HEAD')}".encode())
            await writer.drain()
            return
        answer = await self._ask(head, body)
        request.status = int(answer.split(b" ", 2)[1])
        if not fault.cuts_answer:
            await asyncio.sleep(fault.delay_s)
            await self._answer(writer, answer, fault)
            if fault.stalls:
                await reader.read(-1)

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        self._writers.append(writer)
        try:
            writer.write(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, answer: bytes, fault: Fault) -> None:
        head, mark, body = answer.partition(b"\r\n\r\n")
        if fault.body_byte_count is not None:
            body = body[: fault.body_byte_count]
        if fault.is_consistent:
            head = re.sub(rb"(?i)\r\ncontent-length: *\d+", b"\r\nContent-Length: %d" % len(body), head)
        writer.write(head + mark)
        if fault.piece_pause_s:
            for offset in range(0, len(body), 16):
                writer.write(body[offset : offset + 16])
                await writer.drain()
                await asyncio.sleep(fault.piece_pause_s)
        else:
            writer.write(body)
        await writer.drain()
