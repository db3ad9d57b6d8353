"""Is it alive, is it ready, and what does it do: for load balancers and Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse

from tabvault.errors import TabvaultError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tabvault.faces.server.service import Service


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """
    It takes requests, and its data folder answers; 503 with the reason otherwise.

    Backup storage that is not there does not make it unready: databases can be read without. Nor does a pause, which it
    tells: reading over REST goes on, and it has to be reached to be resumed.
    """
    service: Service = request.app.state.service
    if service.is_draining:
        return JSONResponse({"ready": False, "reason": "the server ends"}, status_code=503)
    try:
        count = len(await run_in_threadpool(service.folder.databases))
    except TabvaultError as error:
        return JSONResponse({"ready": False, "reason": error.message}, status_code=503)
    return JSONResponse({"ready": True, **_state(service), "databases": count})


def _state(service: Service) -> dict[str, str | None]:
    pausing = service.pausing
    since = pausing.since
    if not pausing.is_paused:
        return {"state": "running"}
    return {"state": "paused", "paused_since": None if since is None else since.isoformat(timespec="seconds")}
