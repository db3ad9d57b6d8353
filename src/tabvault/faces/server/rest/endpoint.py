"""
One request: who asks, what exactly, the handler, the answer. Everything that fails on the way becomes a problem.

Bodies are JSON with the content type that says so, or the bytes of a file with theirs. A web page of another origin
can send neither without being asked for first, which nothing here answers (no CORS); nor are there cookies.
"""

from __future__ import annotations

import contextlib
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tabvault.errors import RequestError
from tabvault.faces.server.authentication import address_of, caller_of
from tabvault.faces.server.body import drop_body, read_body
from tabvault.faces.server.json_body import invalid, parse_json
from tabvault.faces.server.rest.action import BODY_BYTE_COUNT_MAX, Answer, Call, Content
from tabvault.faces.server.rest.problems import HttpError, problem_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from tabvault.faces.server.rest.action import Action
    from tabvault.faces.server.service import Service

_DROPPED_BYTE_COUNT_MAX: Final = 16 << 20
"""How much of a refused body is read away: an answer before the end of a request makes some clients lose it."""

_JSON: Final = "application/json"


def endpoint(route: str, actions: Mapping[str, Action]) -> Callable[[Request], Awaitable[Response]]:
    """What answers the requests to *route*: *actions* by method."""

    async def answer(request: Request) -> Response:
        service: Service = request.app.state.service
        request.state.route = route  # for the metrics
        action = actions["GET" if request.method == "HEAD" else request.method]
        try:
            return await _answer(request, service, action)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client gets a problem
            # RuntimeError: there is nothing left of the body.
            with contextlib.suppress(RequestError, ClientDisconnect, RuntimeError):
                await drop_body(request, _DROPPED_BYTE_COUNT_MAX)
            return problem_response(error, instance_of(request))

    return answer


def instance_of(request: Request) -> str:
    """The path of *request*, as it was asked for."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.decode("ascii", errors="replace")


async def _answer(request: Request, service: Service, action: Action) -> Response:
    if action.is_transfer:
        service.access.storage_network.check(address_of(request))
    caller = await caller_of(request, service, "rest")
    path = {name: _decoded(value) for name, value in request.path_params.items()}
    query = _query(request, action)
    body = await _body(request, action)
    call: Call[Any, Any] = Call(service, caller, request, path, body, query)
    if inspect.iscoroutinefunction(action.handler):
        result = await action.handler(call)
    elif action.is_transfer or action.asks_storage:
        result = await call.storage_turns.begin(action.handler, call)
    elif action.asks_rows:
        async with call.client.watched(request.receive):
            result = await call.question_turns.run_for(call.client, partial(action.handler, call))
    else:
        result = await run_in_threadpool(action.handler, call)
    return _response(result, action)


def _decoded(value: str) -> str:
    """A part of the path. It is still encoded: a slash in a name is ``%2F`` there, and no end of the part."""
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise RequestError("the path is not UTF-8", path="path") from None


def _query(request: Request, action: Action) -> BaseModel:
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in values:
            raise RequestError("the parameter is there twice", path=name[:100])
        values[name] = value
    try:
        return action.query.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from None


async def _body(request: Request, action: Action) -> BaseModel | None:
    if action.body is None:
        # A body that nobody asked for is no error of its own; it is not looked at.
        await drop_body(request, BODY_BYTE_COUNT_MAX)
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    taken = action.body.media_types if isinstance(action.body, Content) else (_JSON,)
    if media_type not in taken:
        raise HttpError(415, f"the content type is {media_type[:100]!r}", hint=f"send {' or '.join(taken)}")
    if isinstance(action.body, Content):
        return None
    data = await read_body(request, action.body_byte_count_max)
    return await run_in_threadpool(parse_json, action.body, data)


def _response(result: Answer | Response, action: Action) -> Response:
    if isinstance(result, Response):
        return result
    if result.content is None:
        return Response(status_code=204, headers=result.headers)
    content = result.content.model_dump_json(ensure_ascii=True)
    return Response(content, action.status, result.headers, media_type=_JSON)
