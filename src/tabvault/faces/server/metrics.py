"""
``GET /metrics``: what Prometheus asks for.

===============================================  =======================================================================
metric                                           of what
===============================================  =======================================================================
``tabvault_requests_total``                      answers, by interface, route, method and status
``tabvault_request_duration_seconds``            from the request to the end of its answer, by interface and route
``tabvault_login_failures_total``                answers 401 and 429 to requests that brought a credential, by interface
``tabvault_jobs_total``                          ended jobs, by kind and final state
``tabvault_job_duration_seconds``                of them, from their begin to their end, by kind
``tabvault_job_bytes_total``                     bytes of the databases that jobs backed up or restored, by kind
``tabvault_jobs_active``                         jobs now, by kind and state (``queued``, ``running``)
``tabvault_questions_active``                    questions now, by state: ``running`` in a thread, ``queued`` for one
``tabvault_sessions``                            XMLA sessions now
``tabvault_databases``                           databases now
``tabvault_last_backup_timestamp_seconds``       end of the last successful backup, by database; none if there was none
``tabvault_storage_reachable``                   1 if the backup storage answers, 0 if not; none if it is not configured
``tabvault_storage_ok``                          1 if the last probe found nothing that FAILED, else 0; this one and the
                                                 following are none as long as nothing was probed
``tabvault_storage_writable``                    1 if backups can be written, 0 if not
``tabvault_storage_readable``                    1 if backups can be read, 0 if not
``tabvault_storage_probe_timestamp_seconds``     when the last probe was made
``tabvault_storage_credential_expires_seconds``  until the SAS expires, negative behind; none if it does not
``tabvault_storage_clock_skew_seconds``          how far this machine's clock is ahead of the storage's, where it tells
``tabvault_storage_unfinished_uploads``          begun and not published, those at work included
``tabvault_start_time_seconds``                  when the server began
===============================================  =======================================================================

Names of databases stand in it, so not everybody gets it: a client on this machine, which came directly and calls the
server by a name of loopback (a page in a browser that was led here does not); anybody else with the credential of a
server administrator, or an API key of one with the scope ``read`` for all databases.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tabvault.errors import FormatError, NotAuthorizedError, StorageError, StorageNotConfiguredError, TabvaultError
from tabvault.faces.server.authentication import address_of, caller_of
from tabvault.faces.server.rest.problems import problem_response
from tabvault.jobs.access.principal import Scope
from tabvault.jobs.runner.events import JobEventKind
from tabvault.storage.server_state.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as Connection

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.turns import Turns
    from tabvault.jobs.access.principal import Principal
    from tabvault.jobs.runner.events import JobEvent

PATH: Final = "/metrics"

_INTERFACES: Final = {"/api": "rest", "/xmla": "xmla"}
_JOB_BUCKETS_S: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Metrics:
    """
    The metrics of one server.

    Args:
        service: the server, whose jobs are watched until it closes.
        question_turns: the threads of its questions.
    """

    def __init__(self, service: Service, question_turns: Turns) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tabvault_requests", "Answers.", ("interface", "route", "method", "status"), registry=registry
        )
        self._durations = Histogram(
            "tabvault_request_duration_seconds", "Requests.", ("interface", "route"), registry=registry
        )
        self._failures = Counter("tabvault_login_failures", "Failed log-ins.", ("interface",), registry=registry)
        self._jobs = Counter("tabvault_jobs", "Ended jobs.", ("kind", "state"), registry=registry)
        self._job_durations = Histogram(
            "tabvault_job_duration_seconds", "Ended jobs.", ("kind",), buckets=_JOB_BUCKETS_S, registry=registry
        )
        self._job_bytes = Counter("tabvault_job_bytes", "Bytes of databases.", ("kind",), registry=registry)
        registry.register(_State(service, question_turns))
        service.runner.subscribe(self._job_happened)

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus. It asks the folder and the storage: not in a loop."""
        return generate_latest(self._registry)

    def answered(self, connection: Connection, *, status: int, seconds: float) -> None:
        """Count an answer."""
        interface, route = _route(connection)
        method = connection["method"] if connection["method"] in _METHODS else "other"
        self._requests.labels(interface, route, method, str(status)).inc()
        self._durations.labels(interface, route).observe(seconds)
        brought = {b"authorization", b"x-api-key"}.intersection(name.lower() for name, _ in connection["headers"])
        if status in {401, 429} and brought:
            self._failures.labels(interface).inc()

    def _job_happened(self, event: JobEvent) -> None:
        if event.kind is not JobEventKind.ENDED:
            return
        job = event.job
        self._jobs.labels(job.kind, job.state.value).inc()
        if job.duration_s is not None:
            self._job_durations.labels(job.kind).observe(job.duration_s)
        if isinstance(job.result, dict) and isinstance(byte_count := job.result.get("raw_byte_count"), int):
            self._job_bytes.labels(job.kind).inc(byte_count)


_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])


class CountedRequests:
    """The middleware that counts what *application* answers."""

    def __init__(self, application: ASGIApp, metrics: Metrics) -> None:
        self._application = application
        self._metrics = metrics

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer, and count it. The inner routers put the route into the connection's state."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        scope.setdefault("state", {})
        begun_s = time.perf_counter()
        status = 500

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watched_send)
        finally:
            self._metrics.answered(scope, status=status, seconds=time.perf_counter() - begun_s)


def _route(connection: Connection) -> tuple[str, str]:
    """Interface and route. What no route answers is ``other``: a path may be anything, and a label must not."""
    route = connection["state"].get("route")
    if route is None:
        matched = connection.get("route")
        route = getattr(matched, "path", None) or "other"
    first = f"/{route.split('/')[1]}" if "/" in route else route
    return _INTERFACES.get(first, "other"), route


class _State:
    """What is looked at when somebody asks."""

    def __init__(self, service: Service, question_turns: Turns) -> None:
        self._service = service
        self._question_turns = question_turns

    def describe(self) -> list[Any]:
        """Nothing beforehand: the registry need not ask the storage to learn the names."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics as they are now."""
        service = self._service
        yield _gauge("tabvault_start_time_seconds", "Begin of the server.", service.started.timestamp())
        yield _gauge("tabvault_sessions", "XMLA sessions.", len(list(service.sessions)))
        active = GaugeMetricFamily("tabvault_jobs_active", "Jobs that wait or run.", labels=("kind", "state"))
        tally = Tally((job.kind, job.state.value) for job in service.runner.active())
        for labels, count in tally.items():
            active.add_metric(labels, count)
        yield active
        questions = GaugeMetricFamily(
            "tabvault_questions_active", "Questions that have a thread, or wait for one.", labels=("state",)
        )
        questions.add_metric(("running",), self._question_turns.running_count)
        questions.add_metric(("queued",), self._question_turns.queued_count)
        yield questions
        yield from self._databases()
        reachable = self._is_storage_reachable()
        if reachable is not None:
            yield _gauge("tabvault_storage_reachable", "Whether the backup storage answers.", reachable)
        yield from self._storage_probe()

    def _databases(self) -> Iterator[GaugeMetricFamily]:
        try:
            databases = self._service.folder.databases()
        except TabvaultError:  # then there is no such number
            return
        yield _gauge("tabvault_databases", "Databases.", len(databases))
        backups = GaugeMetricFamily(
            "tabvault_last_backup_timestamp_seconds", "End of the last successful backup.", labels=("database",)
        )
        for info in databases:
            if info.last_backup is not None:
                backups.add_metric((info.name,), info.last_backup.timestamp())
        yield backups

    def _storage_probe(self) -> Iterator[GaugeMetricFamily]:
        try:
            probe = self._service.storage_watch.last
        except (StorageError, FormatError):  # the settings cannot be read
            return
        if probe is None:
            return
        yield _gauge("tabvault_storage_ok", "Whether the last probe found nothing that failed.", probe.ok)
        yield _gauge("tabvault_storage_writable", "Whether backups can be written.", probe.is_writable)
        yield _gauge("tabvault_storage_readable", "Whether backups can be read.", probe.is_readable)
        yield _gauge("tabvault_storage_probe_timestamp_seconds", "Time of the last probe.", probe.time.timestamp())
        if probe.expires is not None:
            left_s = probe.expires.timestamp() - time.time()
            yield _gauge("tabvault_storage_credential_expires_seconds", "Until the SAS expires.", left_s)
        if probe.clock_skew_s is not None:
            yield _gauge("tabvault_storage_clock_skew_seconds", "Of this machine's clock.", probe.clock_skew_s)
        yield _gauge("tabvault_storage_unfinished_uploads", "Begun, not published.", len(probe.unfinished))

    def _is_storage_reachable(self) -> bool | None:
        try:
            store = self._service.vault.store
            if store.remote_place is not None:
                # Nobody waits for a network here: what the last probe found.
                probe = self._service.storage_watch.last
                return None if probe is None else probe.is_listable or probe.is_writable or probe.is_readable
            store.free_byte_count()
        except StorageNotConfiguredError:
            return None
        except (StorageError, FormatError):
            return False
        return True


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


async def metrics(request: Request) -> Response:
    """Answer ``GET /metrics``."""
    service: Service = request.app.state.service
    found: Metrics = request.app.state.metrics
    try:
        if not _is_of_this_machine(request):
            _require((await caller_of(request, service, "rest")).principal)
    except TabvaultError as error:
        return problem_response(error, PATH)
    return Response(await run_in_threadpool(found.text), media_type=CONTENT_TYPE_LATEST)


def _is_of_this_machine(request: Request) -> bool:
    """Behind a proxy on this machine every address would be loopback, and a name can be made to mean this machine."""
    came_directly = not any(name in request.headers for name in _FORWARDED)
    return came_directly and is_loopback(address_of(request)) and is_loopback(request.url.hostname or "")


def _require(principal: Principal) -> None:
    if principal.is_server_administrator:
        return
    limit = principal.limit
    if not (principal.administers_server and limit and limit.databases is None and limit.allows(Scope.READ)):
        raise NotAuthorizedError(
            f"the user, '{principal.name}', does not have permission to read the metrics",
            hint="they are for server administrators, and their API keys with the scope read",
        )
