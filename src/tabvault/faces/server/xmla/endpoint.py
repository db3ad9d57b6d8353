"""
``POST /xmla``: one SOAP request, one answer.

An answer that is short is sent whole; a long one piece by piece, as it is made, by a thread that is not the event
loop's. A subscription to a trace stays open on the event loop and holds no thread. Questions, and commands that become
jobs, have threads of their own (:mod:`~tabvault.faces.server.turns`), so that the Cancel that stops one finds a free
thread.

The type of a request has to be one of XML: a page in a browser cannot send that to another site without being asked
first (CORS), and so cannot use the password that the browser remembers.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tabvault.engine.dax import is_dax
from tabvault.errors import AccessError, RequestError, RequestTooLargeError, TabvaultError
from tabvault.faces.server.authentication import CHALLENGE, caller_of
from tabvault.faces.server.body import drop_body, read_body
from tabvault.faces.server.connection import ENDLESS
from tabvault.faces.server.streamed import PiecewiseResponse
from tabvault.faces.server.turns import run_at_once
from tabvault.faces.server.waiting_client import WaitingClient
from tabvault.faces.server.xmla.conversation import answer
from tabvault.faces.server.xmla.faults import message_of
from tabvault.faces.server.xmla.results import OpenAnswer, fault_answer
from tabvault.faces.server.xmla.statements import LOCATIONS, is_file_dialog
from tabvault.faces.server.xmla.traces import COLUMNS
from tabvault.formats.xmla import commands, response, rowset
from tabvault.formats.xmla.request import Execute, parse_request
from tabvault.formats.xmla.xml_tree import REQUEST_BYTE_COUNT_MAX
from tabvault.model.tmsl.commands import is_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from starlette.requests import Request

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.turns import Turns
    from tabvault.formats.xmla.commands import BatchedCommand
    from tabvault.formats.xmla.request import Discover
    from tabvault.formats.xmla.request import Request as XmlaRequest
    from tabvault.jobs.operations.caller import Caller

_CONTENT_TYPE: Final = "text/xml; charset=utf-8"
"""Clients refuse any other type, ``application/xml`` included."""

_WHOLE_PIECE_COUNT: Final = 8
"""An answer of fewer pieces is sent whole."""

_REQUEST_TYPES: Final = frozenset(["text/xml", "application/xml", "application/soap+xml"])


async def xmla(request: Request) -> Response:
    """Answer one request."""
    service: Service = request.app.state.service
    try:
        caller = await caller_of(request, service, "xmla")
    except AccessError as error:
        return await _refused(request, error)
    except TabvaultError as error:
        return _fault(error)
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _REQUEST_TYPES:
            await drop_body(request, REQUEST_BYTE_COUNT_MAX)
            return _fault(RequestError("the Content-Type of a request is text/xml"), status=415)
        body = await read_body(request, REQUEST_BYTE_COUNT_MAX)
        service.pausing.check()
        client = WaitingClient()
        questions: Turns = request.app.state.question_turns
        begun = _Begun(service, caller, asyncio.get_running_loop(), client, questions)
        async with client.watched(request.receive):
            # One step to a thread and back for almost every request; each one more costs as much as a small answer.
            # While questions have a thread to spare, all begin there.
            with questions.free_thread() as may_ask:
                in_thread = run_at_once if may_ask else run_in_threadpool
                done = await in_thread(partial(begun.parse, body, may_ask=may_ask))
            del body
            if done is _Wait.ROWS:
                done = await questions.run_for(client, begun.answer)
            elif done is _Wait.JOB:
                command_turns: Turns = request.app.state.command_turns
                done = await command_turns.run(begun.answer)
        if isinstance(done, OpenAnswer):
            request.scope["state"][ENDLESS] = True
            return StreamingResponse(_events(service, done), media_type=_CONTENT_TYPE)
        return done
    except RequestTooLargeError as error:
        return _fault(error, status=413)
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client gets a fault and the server goes on
        return _fault(error)


class _Wait(enum.Enum):
    """What a request may have to wait long for."""

    ROWS = enum.auto()
    JOB = enum.auto()


class _Begun:
    """
    A request that is being answered: in one thread, or in two if it has to wait for its turn.

    Args:
        service: the server.
        caller: who asks.
        loop: that will send the events of a subscription.
        client: waits for the answer.
        questions: the threads of questions.
    """

    def __init__(
        self,
        service: Service,
        caller: Caller,
        loop: asyncio.AbstractEventLoop,
        client: WaitingClient,
        questions: Turns,
    ) -> None:
        self._service = service
        self._caller = caller
        self._loop = loop
        self._client = client
        self._questions = questions
        self._request: XmlaRequest | None = None
        self._wait: _Wait | None = None

    def parse(self, body: bytes, *, may_ask: bool) -> Response | OpenAnswer | _Wait:
        """
        The answer; or what it may have to wait for, elsewhere: call :meth:`answer` there.

        Args:
            body: of the request.
            may_ask: whether this thread is one of questions.
        """
        self._request = parse_request(body)
        self._wait = self._wait_of(self._request)
        return self.answer() if self._wait is None or (self._wait is _Wait.ROWS and may_ask) else self._wait

    def _wait_of(self, request: XmlaRequest) -> _Wait | None:
        header = request.session
        if header.end and header.id is not None and self._service.sessions.is_busy(header.id):
            return _Wait.JOB  # a transaction is rolled back once the command that it is used by has ended
        return _wait_of(request.operation)

    def answer(self) -> Response | OpenAnswer:
        """The answer. Its first pieces are made before the status is sent: an error in them is a fault."""
        assert self._request is not None, "it was parsed"
        pieces = answer(self._service, self._caller, self._request, self._loop, self._client)
        if isinstance(pieces, OpenAnswer):
            return pieces
        first = list(itertools.islice(pieces, _WHOLE_PIECE_COUNT))
        if len(first) < _WHOLE_PIECE_COUNT:
            return Response(b"".join(first), media_type=_CONTENT_TYPE)
        in_thread = run_in_threadpool if self._wait is None else self._questions.run
        return PiecewiseResponse(
            _joined(first, pieces), media_type=_CONTENT_TYPE, in_thread=in_thread, client=self._client
        )


def _wait_of(operation: Discover | Execute) -> _Wait | None:
    """Rows; or a job, which waits for its turn, or the backup storage; or nothing of all that."""
    if not isinstance(operation, Execute):
        return _part_wait(operation)
    command = operation.command
    parts: tuple[BatchedCommand, ...] = command.commands if isinstance(command, commands.Batch) else (command,)
    waits = {_part_wait(part) for part in parts}
    return next((wait for wait in (_Wait.JOB, _Wait.ROWS) if wait in waits), None)


def _part_wait(part: BatchedCommand) -> _Wait | None:
    match part:
        case commands.Statement() if is_command(part.text) or is_file_dialog(part.text):
            return _Wait.JOB
        case commands.Statement():
            return _Wait.ROWS if is_dax(part.text) else None
        case commands.Cancel() | commands.Subscribe() | commands.Unsubscribe():
            return None
        case commands.Discover():
            return _Wait.JOB if _reads_files(part) else None
        case _:
            return _Wait.JOB


def _reads_files(discover: Discover) -> bool:
    return discover.request_type.upper() == LOCATIONS


async def _refused(request: Request, error: AccessError) -> Response:
    """
    401 with a challenge, or 403, or 429. The reason stands in a header too: Microsoft's clients show it.

    What the client is still sending is read away first, within limits.
    """
    try:
        await drop_body(request, REQUEST_BYTE_COUNT_MAX)
    except RequestError:
        return _fault(error, status=error.http_status, headers={"Connection": "close"})
    headers = {"x-ms-xmlaerror-extended": _header_text(str(error))}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["Retry-After"] = str(int(retry_after_s) + 1)
    return _fault(error, status=error.http_status, headers=headers)


def _header_text(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:500]


def _fault(error: Exception, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(fault_answer(None, error), status_code=status, media_type=_CONTENT_TYPE, headers=headers)


def _joined(first: list[bytes], pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield b"".join(first)
    yield from pieces


async def _events(service: Service, opened: OpenAnswer) -> AsyncIterator[bytes]:
    """The rows of a subscription, until it ends. The beginning goes out at once: the client waits for it."""
    columns = rowset.rowset_columns(COLUMNS)
    try:
        yield response.envelope_begin(opened.session_id) + response.EXECUTE_BEGIN + rowset.rowset_begin(columns)
        async for group in opened.subscription.events():
            rows = [event.row(service.name) for event in group]
            yield rowset.rowset_rows(columns, pa.RecordBatch.from_pylist(rows, COLUMNS))
        yield rowset.ROWSET_END + response.EXECUTE_END + response.ENVELOPE_END
    except Exception as error:  # noqa: BLE001 - rows are on the way: only their end can tell
        yield response.messages([message_of(error)]) + rowset.ROWSET_END
        yield response.EXECUTE_END + response.ENVELOPE_END
    finally:
        service.traces.leave(opened.key)
