"""
The application below ``/subscriptions`` and ``/providers``: who asks, what for, the answer or the error.

Every answer has an ``x-ms-request-id``, and the headers that keep browsers from storing it.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match, Mount

from tabvault.errors import RequestError
from tabvault.faces.server.authentication import caller_of
from tabvault.faces.server.body import drop_body
from tabvault.faces.server.management.answers import BODY_BYTE_COUNT_MAX, ManagementCall
from tabvault.faces.server.management.operations import ManagementOperations
from tabvault.faces.server.management.refusals import ManagementError, refusal_of
from tabvault.faces.server.management.routes import PREFIXES, find_place

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from tabvault.faces.server.service import Service

API_VERSIONS: Final = ("2017-08-01", "2017-08-01-beta")

_DROPPED_BYTE_COUNT_MAX: Final = 16 * BODY_BYTE_COUNT_MAX
"""How much of a refused body is read away: an answer before the end of a request makes some clients lose it."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def management_routes(service: Service) -> list[Mount]:
    """The routes of the management interface, for the application of *service*."""
    interface = ManagementInterface(service)
    return [_AnyCaseMount(prefix, app=interface) for prefix in PREFIXES]


class _AnyCaseMount(Mount):
    """A mount whose prefix is found in any case."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is below the prefix."""
        # A target need not begin with a slash: ``OPTIONS *``, ``CONNECT host:443``.
        if scope["type"] != "http" or not f"{scope['path']}/".lower().startswith(f"{self.path}/"):
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.app}


class ManagementInterface:
    """Answers every request for the resource."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._operations = ManagementOperations()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        request.state.route = PREFIXES[0]  # for the metrics, until it is known
        try:
            response = await self._answer(request)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client gets an error in this form
            # RuntimeError: there is nothing left of the body.
            with contextlib.suppress(RequestError, ClientDisconnect, RuntimeError):
                await drop_body(request, _DROPPED_BYTE_COUNT_MAX)
            response = refusal_of(error).response()
        response.headers.update({**_HEADERS, "x-ms-request-id": str(uuid.uuid4())})
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        caller = await caller_of(request, self._service, "rest")
        place = find_place(_sent_path(request))
        if place is None:
            raise ManagementError(404, "InvalidResourceType", "There is nothing at this path.")
        request.state.route = place.route
        operation = place.operations.get(request.method)
        if operation is None:
            allowed = ", ".join(place.operations)
            raise ManagementError(
                405,
                "MethodNotAllowed",
                f"{request.method:.20} is not done here, only {allowed}.",
                headers={"Allow": allowed},
            )
        version = _api_version(request)
        call = ManagementCall(self._service, self._operations, caller, request, place.values, version)
        return await call.answer(operation)


def _sent_path(request: Request) -> str:
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.decode("ascii", errors="replace")


def _api_version(request: Request) -> str:
    versions = [value for name, value in request.query_params.multi_items() if name.lower() == "api-version"]
    if not versions:
        raise ManagementError(400, "MissingApiVersionParameter", "The query parameter api-version is needed.")
    if len(versions) > 1 or versions[0].lower() not in API_VERSIONS:
        raise ManagementError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version is {versions[0]!r:.80}, and the versions are {' and '.join(API_VERSIONS)}.",
        )
    return versions[0].lower()
