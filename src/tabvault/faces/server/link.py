"""
``GET /link/{alias}``: which server an alias stands for, as Microsoft's clients ask for ``link://host/link/alias``.

The answer is the name to connect to, as plain text, and nothing else. Nobody is asked who he is: that is how those
clients ask, and the name of a server is no secret to whoever knows its alias; which aliases there are is not told. The
firewall holds here as everywhere.

Source: Microsoft, "Alias server names" (Azure Analysis Services): an HTTPS endpoint that returns the server name in the
body, without authentication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse

from tabvault.errors import AddressBlockedError
from tabvault.faces.server.authentication import address_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tabvault.faces.server.service import Service

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""An alias that was switched must not live on in a proxy."""


async def link(request: Request) -> Response:
    """The server behind an alias; 404 where there is none of that name."""
    service: Service = request.app.state.service
    try:
        service.access.firewall.check(address_of(request), server=service.name)
    except AddressBlockedError as error:
        return PlainTextResponse(f"{error.message}\n", error.http_status, _HEADERS)
    alias = service.access.aliases.find(request.path_params["alias"])
    if alias is None:
        return PlainTextResponse("there is no such alias\n", 404, _HEADERS)
    return PlainTextResponse(alias.server, headers=_HEADERS)
