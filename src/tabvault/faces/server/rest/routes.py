"""The application below ``/api``: finds the action of a request in the table, and answers what is in none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match, Mount, Route, Router

from tabvault.faces.server.rest.action_table import ACTIONS, PREFIX
from tabvault.faces.server.rest.endpoint import endpoint, instance_of
from tabvault.faces.server.rest.problems import HttpError, problem_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message, Receive, Scope, Send

    from tabvault.faces.server.rest.action import Action


def rest_routes() -> list[Mount]:
    """The routes of the REST interface, for the application."""
    return [_RawMount(PREFIX, app=RestInterface(ACTIONS))]


class _RawMount(Mount):
    """Goes on with the path as it was sent: ``%2F`` is part of a name there, and decoded it would end the name."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is below the prefix."""
        if scope["type"] != "http" or not scope.get("raw_path"):
            return super().matches(scope)
        path = scope["raw_path"].decode("ascii", errors="replace")
        match, inner = super().matches({**scope, "path": path})
        return match, {**inner, "path": path} if match is Match.FULL else inner


class RestInterface:
    """
    The application below ``/api``.

    Every answer gets the headers that keep browsers from storing it and from making something else of it.
    """

    _HEADERS: Final = (
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"no-referrer"),
    )

    def __init__(self, actions: Sequence[Action]) -> None:
        by_path: dict[str, dict[str, Action]] = {}
        for action in actions:
            by_path.setdefault(action.path, {})[action.method] = action
        routes = [
            Route(
                path.replace("{path}", "{path:path}"), endpoint(f"{PREFIX}{path}", by_method), methods=list(by_method)
            )
            for path, by_method in by_path.items()
        ]
        self._router = Router(routes, redirect_slashes=False, default=_nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._HEADERS]
            await send(message)

        try:
            await self._router(scope, receive, send_with_headers)
        except HTTPException as error:
            method = str(scope.get("method"))
            refused = HttpError(error.status_code, f"{method} is not done here", headers=error.headers)
            request = Request(scope, receive)
            await problem_response(refused, instance_of(request))(scope, receive, send_with_headers)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    instance = instance_of(Request(scope, receive))
    error = HttpError(404, "there is nothing at this path", hint="/api/openapi.json lists what there is")
    await problem_response(error, instance)(scope, receive, send)
