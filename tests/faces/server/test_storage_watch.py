"""The backup storage of a running server is probed, and what was found is told."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import shutil
import signal
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from faces.served_process import PASSWORD, serve, wait_for
from faces.server.services import MEMBER, local_server
from tabvault.errors import StorageNotConfiguredError, StoreUnavailableError
from tabvault.faces.server import storage_watch
from tabvault.faces.server.service import Service
from tabvault.faces.server.storage_watch import StorageWatch
from tabvault.jobs.backup_storage import BackupStorage
from tabvault.jobs.storage_probe import PROBE_NAME
from tabvault.storage.local import LocalStore
from tabvault.storage.server_state import upload_spool
from tabvault.storage.server_state.upload_spool import EXPIRY, UploadSpool
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces.server.services import LocalServer

pytest_plugins = ["storage.azure.azurite"]

LONG_S = 3600.0


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BackupStorage]:
    made = BackupStorage(tmp_path / "data")
    made.configure(BackupStorageSettings(True, str(tmp_path / "account"), "nightly"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("watched")) as running:
        yield running


def metrics(local: LocalServer) -> dict[str, float]:
    families = text_string_to_metric_families(local.client(None).get("/metrics").text)
    found = {one.name: one.value for family in families for one in family.samples}
    return {name: value for name, value in found.items() if name.startswith("tabvault_storage_")}


# --- the watch


def test_the_first_probe_comes_after_the_start_and_the_thread_ends_with_the_watch(storage):
    watch = StorageWatch(storage, first_pause_s=0.0, pause_s=LONG_S)
    assert watch.last is None
    watch.start()
    probe = wait_for(lambda: watch.last, lambda found: found is not None)
    assert probe.ok
    assert (probe.container, probe.is_usable) == ("nightly", True)
    watch.close()
    watch.close()
    assert "storage-watch" not in [thread.name for thread in threading.enumerate()]


def test_what_uploads_left_is_removed_though_nobody_asks_about_uploads(tmp_path):
    with Service(tmp_path / "data") as service:
        spool = service.transfers._spool
        spool.create(
            container="backups", name="x.abf", byte_count=9, owner="a", key=None, overwrite=False, if_match=None
        )
        folder = tmp_path / "data/server/uploads"
        assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".part"]
        spool._now = lambda: datetime.datetime.now(datetime.UTC) + EXPIRY
        service.storage_watch.start()
        service.storage_watch.probe_soon()
        wait_for(lambda: list(folder.iterdir()), lambda left: not left)


def test_uploads_that_cannot_be_tidied_do_not_keep_the_watch_from_its_probe(storage):
    def failing() -> None:
        raise StoreUnavailableError("the disk is asleep")

    watch = StorageWatch(storage, tidy=failing, first_pause_s=0.0, pause_s=LONG_S)
    watch.start()
    wait_for(lambda: watch.last, lambda found: found is not None)
    watch.close()


def test_one_upload_that_cannot_be_read_hides_no_other(tmp_path, monkeypatch):
    facts = {"container": "backups", "byte_count": 9, "owner": "a", "key": None, "overwrite": False, "if_match": None}
    spool = UploadSpool(tmp_path, now=lambda: datetime.datetime.now(datetime.UTC))
    made = {spool.create(name=f"{number}.abf", **facts).record.id for number in range(3)}
    again = UploadSpool(tmp_path, now=lambda: datetime.datetime.now(datetime.UTC))
    read = upload_spool._read_record
    failures = iter([StoreUnavailableError("input/output error")])

    def read_or_fail(*arguments):
        if arguments[1] == sorted(made)[1] and (failure := next(failures, None)) is not None:
            raise failure
        return read(*arguments)

    monkeypatch.setattr(upload_spool, "_read_record", read_or_fail)
    with pytest.raises(StoreUnavailableError):
        again.all()
    assert {upload.record.id for upload in again.all()} == made


def test_a_storage_over_a_network_is_reachable_if_the_last_probe_reached_it(local, monkeypatch):
    service = local.service
    found = service.vault.storage.check()
    monkeypatch.setattr(LocalStore, "remote_place", "elsewhere")
    service.storage_watch.keep(found)
    assert metrics(local)["tabvault_storage_reachable"] == 1
    down = dataclasses.replace(found, is_listable=False, is_writable=False, is_readable=False, is_removable=False)
    service.storage_watch.keep(down)
    assert metrics(local)["tabvault_storage_reachable"] == 0
    service.storage_watch.keep(None)


def test_a_watch_that_was_never_started_ends(storage):
    StorageWatch(storage).close()


def test_a_trouble_is_logged_once_when_it_comes_and_when_it_is_over(storage, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger=storage_watch.__name__)
    folder = tmp_path / "account" / "nightly"
    watch = StorageWatch(storage)
    watch.keep(storage.check())
    assert caplog.records == []
    (folder / PROBE_NAME).mkdir()
    for _ in range(2):
        watch.keep(storage.check())
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith("backup storage: ")
    assert "backups cannot be written" in line.getMessage()
    assert not watch.last.ok
    (folder / PROBE_NAME).rmdir()
    for _ in range(2):
        watch.keep(storage.check())
    assert [record.getMessage() for record in caplog.records[1:]] == ["backup storage: it works again"]


def test_the_next_probe_comes_by_itself(storage, tmp_path):
    watch = StorageWatch(storage, first_pause_s=0.0, pause_s=0.01)
    watch.start()
    wait_for(lambda: watch.last, lambda found: found is not None and found.ok)
    place = tmp_path / "account" / "nightly" / PROBE_NAME

    def is_taken() -> bool:
        with contextlib.suppress(FileExistsError):  # by the file of a probe that is just going on
            place.mkdir()
        return place.is_dir()

    wait_for(is_taken, bool)
    found = wait_for(lambda: watch.last, lambda found: not found.ok)
    assert not found.is_usable
    watch.close()


def test_other_settings_are_probed_at_once_and_what_was_found_before_is_not_told(storage, tmp_path):
    watch = StorageWatch(storage, first_pause_s=0.0, pause_s=LONG_S)
    watch.start()
    wait_for(lambda: watch.last, lambda found: found is not None)
    storage.configure(BackupStorageSettings(True, str(tmp_path / "account"), "weekly"))
    found = wait_for(lambda: watch.last, lambda found: found is not None)
    assert found.container == "weekly"
    storage.disable()
    assert watch.last is None
    wait_for(watch._wake.is_set, lambda is_set: not is_set)
    assert watch.last is None
    watch.close()


def test_a_probe_that_hangs_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(storage_watch, "_END_TIMEOUT_S", 0.05)
    begun, goes_on = threading.Event(), threading.Event()

    class Hanging:
        settings = None

        def check(self):
            begun.set()
            goes_on.wait(60)
            raise StorageNotConfiguredError("disabled")

    watch = StorageWatch(Hanging(), first_pause_s=0.0, pause_s=LONG_S)
    watch.start()
    assert begun.wait(30)
    watch.close()
    assert not goes_on.is_set()
    goes_on.set()
    watch._thread.join(30)
    assert not watch._thread.is_alive()


def test_a_mistake_of_ours_does_not_end_the_watch(storage, caplog):
    class Mistaken:
        settings = storage.settings
        failed = False

        def check(self):
            if not self.failed:
                self.failed = True
                raise ZeroDivisionError
            return storage.check()

    watch = StorageWatch(Mistaken(), first_pause_s=0.0, pause_s=0.01)
    watch.start()
    assert wait_for(lambda: watch.last, lambda found: found is not None).ok
    watch.close()
    assert "the backup storage cannot be probed" in caplog.text


def test_a_server_that_serves_watches_its_storage(tmp_path):
    with serve(tmp_path / "data") as served:
        settings = {"enabled": True, "account": "storage", "container": "nightly"}
        answer = httpx.put(f"{served.url}/api/storage", json=settings, auth=("alice", PASSWORD), timeout=60)
        assert answer.status_code == 200, answer.text
        assert served.post("/api/storage/check", {}).json()["container"] == "nightly"
        settings["container"] = "weekly"
        assert httpx.put(f"{served.url}/api/storage", json=settings, auth=("alice", PASSWORD), timeout=60).is_success
        # Nobody asks for a probe of the new container.
        found = wait_for(lambda: served.get("/api/server").json()["storage_check"], lambda check: check is not None)
        assert (found["container"], found["ok"]) == ("weekly", True)
        assert served.end(signal.SIGTERM) == 0


# --- status, metrics, REST


def test_a_check_over_rest_is_told_by_the_server_and_by_its_metrics(local):
    local.service.vault.storage.configure(local.service.vault.settings)  # the embedded account
    assert local.client().get("/api/server").json()["storage_check"] is None
    assert metrics(local) == {"tabvault_storage_reachable": 1.0}
    answer = local.client().post("/api/storage/check", json={})
    assert answer.status_code == 200
    document = answer.json()
    assert (document["ok"], document["is_writable"], document["container"]) == (True, True, "backups")
    assert [finding["severity"] for finding in document["findings"]] == ["OK"] * 4
    assert local.client().get("/api/server").json()["storage_check"] == document
    told = metrics(local)
    assert (told["tabvault_storage_ok"], told["tabvault_storage_writable"], told["tabvault_storage_readable"]) == (
        1,
        1,
        1,
    )
    assert told["tabvault_storage_unfinished_uploads"] == 0
    probed = datetime.datetime.fromisoformat(document["time"]).timestamp()
    assert told["tabvault_storage_probe_timestamp_seconds"] == pytest.approx(probed, abs=1e-3)
    assert "tabvault_storage_credential_expires_seconds" not in told


def test_a_container_that_is_gone_is_found_and_no_error_of_the_request(local):
    storage = local.service.vault.storage
    folder = local.service.vault.data / "storage" / "backups"
    storage.configure(storage.settings)
    shutil.move(folder, folder.with_name("elsewhere"))
    try:
        document = local.client().post("/api/storage/check", json={}).json()
        assert document["ok"] is False
        assert "is not in storage account" in document["findings"][0]["message"]
        assert metrics(local)["tabvault_storage_ok"] == 0
    finally:
        shutil.move(folder.with_name("elsewhere"), folder)


def test_a_check_is_for_server_administrators_and_so_is_what_it_found(local):
    assert local.client(MEMBER).post("/api/storage/check", json={}).status_code == 403
    assert local.client(MEMBER).get("/api/server").json()["storage_check"] is None


def test_storage_that_is_disabled_cannot_be_checked(local):
    storage = local.service.vault.storage
    storage.disable()
    answer = local.client().post("/api/storage/check", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "storage_not_configured")
    assert not [name for name in metrics(local) if name != "tabvault_storage_reachable"]
    storage.configure(dataclasses.replace(storage.settings, enabled=True))


def test_the_end_of_a_sas_is_in_the_metrics_and_the_sas_nowhere(local, container, caplog):
    caplog.set_level(logging.INFO, logger=storage_watch.__name__)
    before = local.service.vault.settings
    sas = container.sas("rwdl", valid=datetime.timedelta(days=5, hours=2))
    local.service.vault.storage.set_container_url(f"{container.account_url()}/{container.name}?{sas}")
    try:
        answer = local.client().post("/api/storage/check", json={})
        document = answer.json()
        assert (document["permissions"], document["ok"]) == ("rwdl", True)
        warning = next(finding for finding in document["findings"] if finding["severity"] == "WARNING")
        assert warning["code"] == "expires_soon"
        assert "in 5 days" in warning["message"]
        left_s = metrics(local)["tabvault_storage_credential_expires_seconds"]
        assert left_s == pytest.approx(5 * 86_400 + 7200, abs=600)
        assert "the SAS expires at" in caplog.text
        told = answer.text + local.client().get("/api/server").text + caplog.text
        assert "sig=" not in told
    finally:
        local.service.vault.storage.configure(before)
