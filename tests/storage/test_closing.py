"""Whoever closes an object or aborts an upload waits for no service, and leaves no thread that does."""

from __future__ import annotations

import threading
import time

import pytest

from storage.fault_proxy import PASS, Fault, FaultProxy, Request
from storage.s3.bucket import Bucket
from tabvault.errors import StorageError, StoreUnavailableError
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.jobs.runner.runner import JobRunner
from tabvault.storage.azure import upload as azure_upload
from tabvault.storage.remote import patience
from tabvault.storage.remote.wire import Stop, stopped_by
from tabvault.storage.s3 import upload as s3_upload
from tabvault.storage.server_state.job import JobState
from tabvault.storage.server_state.job_records import JobRecords
from tabvault.testing.store_contract import put

pytest_plugins = ["storage.azure.azurite", "storage.s3.service"]

SOON_S = 20.0
"""Far below the minute that a service may be silent, and no matter how busy the machine is."""

SILENCES = {"accepts": Fault(stalls=True), "in mid-body": Fault(stalls=True, body_byte_count=30_000)}
BODY = bytes(9 << 20)


@pytest.fixture(params=["container", "bucket"])
def service(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(service):
    with FaultProxy(service.port) as running:
        yield running


def until(condition) -> bool:
    ends = time.monotonic() + SOON_S
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def working(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


class Doing(threading.Thread):
    """A thread, and what it raised."""

    def __init__(self, work) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def has_ended(self) -> bool:
        self.join(SOON_S)
        return not self.is_alive()


def stalled(proxy: FaultProxy, fault: Fault, *calls: str):
    proxy.plan = lambda request: fault if request.call in calls else PASS


@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES)
def test_closing_an_object_ends_what_is_read_of_it(service, proxy, fault):
    put(service.store(), "x.abf", BODY)
    stored = service.store(proxy.port).open("x.abf")
    stalled(proxy, fault, "GET")
    threads = [Doing(lambda: stored.read_at(0, 1000)), Doing(lambda: stored.read_at(0, len(BODY)))]
    assert until(lambda: len(proxy.calls("GET")) >= 3)
    assert working("read-ahead")
    stored.close()
    assert all(thread.has_ended() for thread in threads)
    assert all(isinstance(thread.error, StoreUnavailableError) for thread in threads)
    assert until(lambda: not working("read-ahead"))
    assert until(lambda: not proxy.open_count)


def small_pieces(service, proxy):
    return service.store(proxy.port, **{"block_byte_count" if hasattr(service, "key") else "part_byte_count": 100})


SENDING = ("PUT block", "PUT partNumber")
PUBLISHING = ("PUT blocklist", "POST uploadId")


@pytest.mark.parametrize("also", [(), ("DELETE uploadId", "PUT lease")], ids=["blocks", "everything"])
def test_aborting_an_upload_ends_what_is_sent_of_it(service, proxy, also, monkeypatch):
    monkeypatch.setattr(patience, "HURRIED_S", 0.5)
    put(service.store(), "x.abf", b"old")
    upload = small_pieces(service, proxy).create("x.abf", replace=True)
    stalled(proxy, SILENCES["accepts"], *SENDING, *also)
    upload.write(bytes(400))  # of S3 the first part is kept until the end
    assert until(lambda: sum(len(proxy.calls(call)) for call in SENDING) >= 3)
    assert working("upload")
    assert Doing(upload.abort).has_ended()
    assert until(lambda: not working("upload"))


def test_a_stop_ends_an_upload_that_was_begun_under_it(service, proxy):
    stop = Stop()
    stalled(proxy, SILENCES["accepts"], *SENDING)

    def write() -> None:
        with stopped_by(stop), small_pieces(service, proxy).create("x.abf", replace=False) as upload:
            upload.write(bytes(10_000))

    writer = Doing(write)
    assert until(lambda: sum(len(proxy.calls(call)) for call in SENDING) >= 3)
    stop.set()
    assert writer.has_ended()
    assert isinstance(writer.error, StorageError)
    assert until(lambda: not working("upload"))
    if isinstance(service, Bucket):
        assert service.uploads() == [], "what was begun is ended, for it costs"


def written(store, body: bytes) -> None:
    with store.create("x.abf", replace=True) as upload:
        upload.write(body)
        upload.finish()


CALLS = {
    "look": ("HEAD", lambda store: store.info("x.abf")),
    "list blobs": ("GET list", lambda store: list(store.list())),
    "list objects": ("GET list-type", lambda store: list(store.list())),
    "remove": ("DELETE", lambda store: store.remove("x.abf")),
    "lease": ("PUT lease", lambda store: written(store, b"new")),
    "one request": ("PUT", lambda store: written(store, b"new")),
    "begin": ("POST uploads", lambda store: written(store, bytes(400))),
    "blocks": ("PUT block", lambda store: written(store, bytes(400))),
    "parts": ("PUT partNumber", lambda store: written(store, bytes(400))),
}
CASES = {"container": ["look", "list blobs", "remove", "lease", "blocks"]}
CASES["bucket"] = ["look", "list objects", "remove", "one request", "begin", "parts"]


@pytest.mark.parametrize(
    ("service", "case"), [(kind, case) for kind, cases in CASES.items() for case in cases], indirect=["service"]
)
def test_a_stop_ends_every_call_of_its_thread_at_once(service, proxy, case, monkeypatch):
    monkeypatch.setattr(patience, "HURRIED_S", 0.3)
    put(service.store(), "x.abf", b"old")
    call, work = CALLS[case]
    stalled(proxy, SILENCES["accepts"], call)
    stop, store = Stop(), small_pieces(service, proxy)

    def work_under_it() -> None:
        with stopped_by(stop):
            work(store)

    worker = Doing(work_under_it)
    assert until(lambda: proxy.calls(call))
    stop.set()
    assert worker.has_ended()
    assert isinstance(worker.error, StoreUnavailableError)
    assert service.store().info("x.abf").byte_count == 3


def test_a_stop_ends_the_part_that_is_sent_last(bucket, monkeypatch):
    monkeypatch.setattr(patience, "HURRIED_S", 0.3)
    with FaultProxy(bucket.port) as proxy:
        proxy.plan = lambda request: Fault(stalls="partNumber=1&" in f"{request.target}&")
        stop = Stop()

        def write() -> None:
            with stopped_by(stop):
                written(small_pieces(bucket, proxy), bytes(400))

        writer = Doing(write)
        assert until(lambda: any("partNumber=1&" in f"{request.target}&" for request in proxy.requests))
        stop.set()
        assert writer.has_ended()
        assert isinstance(writer.error, StoreUnavailableError)


@pytest.mark.parametrize("fault", [PASS, Fault(cuts_answer=True)], ids=["answered", "answer lost"])
def test_what_publishes_is_not_ended_by_a_stop(service, proxy, fault, monkeypatch):
    for module in (azure_upload, s3_upload):
        monkeypatch.setattr(module, "PUBLISHING_S", SOON_S)
    put(service.store(), "x.abf", b"old")
    stop, goes_on = Stop(), threading.Event()

    def plan(request: Request) -> Fault:
        if request.call not in PUBLISHING or goes_on.is_set():
            return PASS
        assert goes_on.wait(SOON_S)
        return fault

    proxy.plan = plan

    def write() -> None:
        with stopped_by(stop):
            written(small_pieces(service, proxy), bytes(400))

    writer = Doing(write)
    assert until(lambda: any(proxy.calls(call) for call in PUBLISHING))
    stop.set()
    goes_on.set()
    assert writer.has_ended()
    assert writer.error is None
    assert sum(len(proxy.calls(call)) for call in PUBLISHING) == 1 + fault.cuts_answer
    assert service.store().info("x.abf").byte_count == 400
    service.store().remove("x.abf")  # no lease is left either


def test_what_publishes_is_ended_some_seconds_after_a_stop(service, proxy, monkeypatch):
    for module in (azure_upload, s3_upload):
        monkeypatch.setattr(module, "PUBLISHING_S", 0.3)
    stop = Stop()
    stalled(proxy, SILENCES["accepts"], *PUBLISHING)

    def write() -> None:
        with stopped_by(stop):
            written(small_pieces(service, proxy), bytes(400))

    writer = Doing(write)
    assert until(lambda: any(proxy.calls(call) for call in PUBLISHING))
    stop.set()
    assert writer.has_ended()
    assert isinstance(writer.error, StoreUnavailableError)


def test_after_a_stop_nothing_is_published(service, proxy):
    put(service.store(), "x.abf", b"old")
    stop = Stop()
    with stopped_by(stop), small_pieces(service, proxy).create("x.abf", replace=True) as upload:
        upload.write(bytes(400))
        upload._in_flight.results()
        stop.set()
        with pytest.raises(StoreUnavailableError):
            upload.finish()
    assert not any(proxy.calls(call) for call in PUBLISHING)
    assert service.store().info("x.abf").byte_count == 3


def test_to_clear_up_nobody_is_waited_for(bucket):
    with FaultProxy(bucket.port) as proxy:
        upload = small_pieces(bucket, proxy).create("x.abf", replace=False)
        upload.write(bytes(400))
        proxy.plan = lambda request: Fault(status=503, retry_after="60") if request.method == "DELETE" else PASS
        assert Doing(upload.abort).has_ended()
        assert len(proxy.calls("DELETE uploadId")) == 1


@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES)
def test_a_job_is_cancelled_while_the_service_is_silent(container, tmp_path, fault):
    put(container.store(), "x.abf", BODY)
    with FaultProxy(container.port) as proxy, JobRecords.open(tmp_path) as records, JobRunner(records) as runner:
        store = container.store(proxy.port)
        stalled(proxy, fault, "GET")

        def work(_context) -> None:
            with store.open("x.abf") as stored:
                stored.read_at(0, len(BODY))

        job = runner.submit(
            JobKind.RESTORE, None, requested_by="anna", origin=None, interface="rest", options={}, work=work
        )
        assert until(lambda: proxy.calls("GET"))
        runner.cancel(job.id)
        assert until(lambda: runner.get(job.id).state is JobState.CANCELLED)
        assert until(lambda: not working("read-ahead"))
