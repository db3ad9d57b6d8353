"""
The life of a serving process, from the first accepted connection to the last.

1. It is told where it can be reached (standard output, ``server/endpoint.json``) when it accepts requests, not before.
2. The first SIGINT or SIGTERM begins the drain: ``/readyz`` and every new request get 503; jobs that run may finish
   within the time that was set, then they are interrupted; subscriptions to traces end. Meanwhile the state of a job
   can be asked for, so that whoever waits for one hears of its end. Then the process ends, with status 0.
3. The second one ends the process at once. Nothing is half done even so: what a job did not commit is collected by the
   next owner of the data folder, which calls it interrupted.

Of uvicorn the protocol and the loop are used. Its signal handling is replaced: it knows of connections, not of jobs,
and it raises the signal again when it is done, which would make a drained server look like a killed one.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.responses import JSONResponse

from tabvault.errors import JobInterruptedError, TabvaultError
from tabvault.faces.server.application import create_application
from tabvault.faces.server.connection import HEAD_BYTE_COUNT_MAX, KEEP_ALIVE_S, PatientConnection
from tabvault.faces.server.server_log import RequestLog
from tabvault.storage.server_state.endpoint import Endpoint, remove_endpoint, save_endpoint

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tabvault.faces.server.listening import Certificate, Listeners
    from tabvault.faces.server.service import Service

DRAIN_TIMEOUT_S: Final = 30.0

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_ANSWER_TIMEOUT_S: Final = 5
"""How long answers that are on their way may take once the jobs have ended."""

_END_TIMEOUT_S: Final = 15.0
"""After the jobs: for a query that a thread cannot be called back from. Its client is gone by then."""

_SWITCH_INTERVAL_S: Final = 0.0005
"""How long a thread that computes keeps the interpreter from the event loop and from other requests; 5 ms by default,
which a short request would wait for again and again."""

_BACKLOG: Final = 1024
_CONNECTION_COUNT_MAX: Final = 4096
"""More get 503; each costs some ten kilobytes."""

_PROXIES: Final = ["127.0.0.1", "::1"]

_log = logging.getLogger(__name__)


def serve(
    service: Service,
    listeners: Listeners,
    *,
    certificate: Certificate | None = None,
    behind_proxy: bool = False,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
    on_ready: Callable[[], object],
) -> None:
    """
    Take requests until a signal ends it; in the main thread.

    Args:
        service: what answers; drained when this returns, and the caller's to close.
        listeners: where; closed when this returns.
        certificate: for TLS.
        behind_proxy: believe the client's address that a proxy on this machine names.
        drain_timeout_s: how long jobs that run may take once the end was asked for.
        on_ready: called when requests are accepted.

    Raises:
        StorageError: the file that says where the server is cannot be written.
    """
    service.port = listeners.port
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    config = uvicorn.Config(
        RequestLog(_Gate(create_application(service), service)),
        http=PatientConnection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("Server", "Tabvault")],
        proxy_headers=behind_proxy,
        forwarded_allow_ips=_PROXIES,
        backlog=_BACKLOG,
        limit_concurrency=_CONNECTION_COUNT_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=_ANSWER_TIMEOUT_S,
        h11_max_incomplete_event_size=HEAD_BYTE_COUNT_MAX,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else certificate.key,
    )
    endpoint = Endpoint(
        url=listeners.local_url,
        pid=os.getpid(),
        started=datetime.datetime.now(datetime.UTC),
        local_token=service.access.local_owner.token,
        certificate=None if certificate is None else certificate.own_pem(),
    )
    server = _Server(config, service, endpoint, drain_timeout_s, on_ready)
    try:
        server.run(sockets=list(listeners.sockets))
    finally:
        listeners.close()
        _forget_endpoint(service)
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """Uvicorn's, with signals that drain."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        endpoint: Endpoint,
        drain_timeout_s: float,
        on_ready: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self.failure: Exception | None = None
        self._service = service
        self._endpoint = endpoint
        self._drain_timeout_s = drain_timeout_s
        self._on_ready = on_ready
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and say so."""
        await super().startup(sockets=sockets)
        try:
            save_endpoint(self._service.vault.data, self._endpoint)
            self._service.storage_watch.start()
            self._on_ready()
        except Exception as error:  # noqa: BLE001 - raised again by serve(), when the connections are closed
            self.failure = error
            self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have signals drain as long as the loop runs."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._begin_drain)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _begin_drain(self) -> None:
        if self._drain is not None:
            return
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # Not by the loop: it may be what hangs.
            signal.signal(number, self._end_now)
        count = len(self._service.runner.active())
        _log.info(
            "ending: no new requests; jobs at work: %d, they have %g s; a second signal ends now",
            count,
            self._drain_timeout_s,
        )
        self._drain = loop.create_task(self._drain_jobs())

    async def _drain_jobs(self) -> None:
        try:
            await asyncio.to_thread(self._service.drain, self._drain_timeout_s)
        except TabvaultError as error:
            _log.warning("the end of a job cannot be recorded: %s", error)
        finally:
            self.should_exit = True
            last = threading.Timer(_END_TIMEOUT_S, self._end_process, (0,))
            last.daemon = True
            last.start()

    def _end_now(self, number: int, _frame: FrameType | None) -> None:
        self._end_process(128 + number)

    def _end_process(self, status: int) -> None:
        _forget_endpoint(self._service)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _forget_endpoint(service: Service) -> None:
    try:
        remove_endpoint(service.vault.data)
    except TabvaultError as error:  # it names a process that ends: nobody takes it for a server
        _log.warning("%s", error)


class _Gate:
    """Lets requests in, but for the time of the drain: then only those that ask how things are."""

    def __init__(self, application: ASGIApp, service: Service) -> None:
        self._application = application
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._service.is_draining and not _asks_how_things_are(scope):
            await _refusal()(scope, receive, send)
            return
        await self._application(scope, receive, send)


def _asks_how_things_are(scope: Scope) -> bool:
    path: str = scope["path"]
    return path in {"/healthz", "/readyz", "/metrics"} or path.startswith("/api/jobs/")


def _refusal() -> JSONResponse:
    error = JobInterruptedError("the server ends and takes no new requests", hint="ask again when it is back")
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
    }
    headers = {"Connection": "close", "Retry-After": "5"}
    return JSONResponse(problem, 503, headers, media_type="application/problem+json")
