"""Restores from a remote container that were interrupted: only what is missing is fetched, and nothing else is read."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from jobs.large_database import KilledJobs, large_database
from jobs.vaults import bodies
from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from tabvault.errors import FormatError, ObjectChangedError, PasswordWrongError, StoreUnavailableError, TruncatedError
from tabvault.jobs.backup import backup_database
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.storage import downloads
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.downloads import LIFETIME_S, ResumedDownload
from tabvault.storage.local import LocalAccount
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule
from tabvault.testing.store_contract import put

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["storage.azure.azurite"]

BLOCK = 1000
BODY = random.Random(4).randbytes(20 * BLOCK + 17)
PLACE = "container x of https://example.net"


class Counted:
    """An object of a store whose ranges are counted, as one that is far away would be asked for them."""

    def __init__(self, stored) -> None:
        self._stored = stored
        self.info = stored.info
        self.byte_count = stored.byte_count
        self.offsets: list[int] = []

    def read_at(self, offset: int, byte_count: int) -> bytes:
        self.offsets.append(offset)
        return self._stored.read_at(offset, byte_count)


@pytest.fixture
def store(tmp_path):
    return LocalAccount(tmp_path / "account").container("abc", create=True)


@pytest.fixture
def stored(store):
    put(store, "x.abf", BODY)
    with store.open("x.abf") as opened:
        yield Counted(opened)


def begun(stored, folder: Path, *, allowed: int = 10**9) -> ResumedDownload:
    download = ResumedDownload(stored, PLACE, folder, block_byte_count=BLOCK)
    download.allow(allowed)
    return download


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_blocks(stored, folder: Path, count: int) -> None:
    with begun(stored, folder) as download:
        for index in range(count):
            download.read_at(index * BLOCK, BLOCK)
    wait_for_fetching()


def wait_for_fetching() -> None:
    """What is on its way when a download is closed still comes."""
    for thread in threading.enumerate():
        if thread.name.startswith("read-ahead"):
            thread.join(20)
            assert not thread.is_alive()


def test_what_was_read_is_not_fetched_again(tmp_path, stored):
    read_blocks(stored, tmp_path / "d", 8)
    first = set(stored.offsets)
    assert {index * BLOCK for index in range(8)} <= first
    assert len(kept(tmp_path / "d")) == len(first)
    stored.offsets.clear()
    with begun(stored, tmp_path / "d") as download:
        assert download.read_at(0, len(BODY)) == BODY
        assert download.read_at(len(BODY), 0) == b""
        with pytest.raises(TruncatedError):
            download.read_at(5, len(BODY))
        assert sorted(stored.offsets) == sorted({index * BLOCK for index in range(21)} - first)
        assert download.discard()
        assert not download.discard()
        assert download.read_at(3, len(BODY) - 3) == BODY[3:]
    assert list((tmp_path / "d").iterdir()) == []


def test_a_block_that_was_damaged_or_cut_is_fetched_again(tmp_path, stored):
    with begun(stored, tmp_path / "d") as download:
        download.read_at(0, len(BODY))
    *blocks, another = kept(tmp_path / "d")[:-1]
    assert len(blocks) == 19
    for path in blocks:
        whole = path.read_bytes()
        flipped = bytes([whole[0] ^ 1]) + whole[1:], whole[:-1] + bytes([whole[-1] ^ 1])
        for damaged in (whole[:-1], whole + b"1", b"", *flipped, another.read_bytes()):
            path.write_bytes(damaged)
            stored.offsets.clear()
            with begun(stored, tmp_path / "d") as download:
                index = int(path.name)
                data = BODY[index * BLOCK : (index + 1) * BLOCK]
                assert download.read_at(index * BLOCK, len(data)) == data
                assert index * BLOCK in stored.offsets
            assert path.read_bytes() == whole


def test_of_an_object_that_was_replaced_nothing_is_used_and_nothing_stays(tmp_path, store, stored):
    read_blocks(stored, tmp_path / "d", 20)
    (old,) = (tmp_path / "d").glob("*/*")
    with store.create("x.abf", replace=True) as upload:
        upload.write(BODY[::-1])
        upload.finish()
    with store.open("x.abf") as opened, begun(Counted(opened), tmp_path / "d") as download:
        assert not old.exists()
        assert download.read_at(0, len(BODY)) == BODY[::-1]


def test_one_name_at_two_places_is_two_objects(tmp_path, stored):
    read_blocks(stored, tmp_path / "d", 20)
    with ResumedDownload(stored, "another place", tmp_path / "d", block_byte_count=BLOCK) as download:
        stored.offsets.clear()
        download.read_at(0, BLOCK)
        assert stored.offsets
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_no_more_is_kept_than_allowed(tmp_path, stored):
    with begun(stored, tmp_path / "d", allowed=3 * BLOCK + 1) as download:
        assert download.read_at(0, len(BODY)) == BODY
    assert len(kept(tmp_path / "d")) in {3, 4}  # the last block is short
    with begun(stored, tmp_path / "e", allowed=-1) as download:
        assert download.read_at(0, len(BODY)) == BODY
    assert kept(tmp_path / "e") == []


def test_leftovers_of_a_week_ago_are_removed(tmp_path, store, stored):
    read_blocks(stored, tmp_path / "d", 2)
    (old,) = (tmp_path / "d").glob("*/*")
    os.utime(old, (0, time.time() - LIFETIME_S + 100))
    put(store, "y.abf", BODY)
    with store.open("y.abf") as other, begun(Counted(other), tmp_path / "d"):
        assert old.exists()
        os.utime(old, (0, time.time() - LIFETIME_S - 100))
    with store.open("y.abf") as other, begun(Counted(other), tmp_path / "d"):
        assert not old.exists()


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_the_disk_refuses_reading_goes_on(tmp_path, stored, monkeypatch, when, *, lasting):
    for fail_at in range(1, 400):
        counter = CallCounter(fail_at=fail_at, when=when, lasting=lasting, error=OSError(28, "No space left on device"))
        with monkeypatch.context() as patch:
            for module in ("tabvault.storage.downloads", "tabvault.storage.durable"):
                patch.setattr(f"{module}.os", FaultyModule(os, counter, SYSTEM_CALLS))
            with begun(stored, tmp_path / str(fail_at)) as download:
                assert download.read_at(0, len(BODY)) == BODY
        with begun(stored, tmp_path / str(fail_at)) as download:
            assert download.read_at(0, len(BODY)) == BODY
        if not counter.has_failed:
            break
    assert 40 < fail_at < 399


def test_a_folder_that_cannot_be_made_is_no_hindrance(tmp_path, stored):
    (tmp_path / "d").write_bytes(b"")
    with begun(stored, tmp_path / "d") as download:
        assert download.read_at(0, len(BODY)) == BODY


# With a database, over a network.


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return large_database(tmp_path_factory.mktemp("large"), 44 << 20)


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


@pytest.fixture
def remote(container, large):
    """A backup of 44 MiB: 6 blocks."""
    with DataFolder.open(large) as folder, container.store() as store:
        backup_database(folder, store, "shop", "shop.abf", compress=False)


def fetched(proxy: FaultProxy) -> list[str]:
    """The ranges of the object that were asked for and answered."""
    ranges = [
        re.search(r"(?i)\r\nx-ms-range: bytes=(\d+-\d+)\r\n", request.head)[1]
        for request in proxy.calls("GET")
        if request.status == 206
    ]
    assert all(ranges)
    return ranges


@pytest.mark.usefixtures("remote")
def test_a_restore_that_is_killed_fetches_only_what_is_missing(tmp_path, container, proxy, large):
    data = tmp_path / "data"
    with Vault(data) as vault:
        assert vault.own_folder
    job = "restore_database(folder, store, 'shop.abf', options=LandingOptions(overwrite=True))"
    chance = random.Random(5)
    killed = 0
    byte_count = container.store().info("shop.abf").byte_count
    with KilledJobs(job, data, container, proxy, block_byte_count=8 << 20) as jobs:
        for _ in range(4):
            begin, begun_before = len(fetched(proxy)), len(proxy.calls("GET"))
            kept_before = {
                path.name
                for path in kept(data / "downloads")
                # One that was being written when the process was killed is not whole, and is fetched again.
                if path.stat().st_size == min(8 << 20, byte_count - (int(path.name) << 23)) + 32
            }
            limit = chance.randrange(2, 4)

            def plan(request, kill, begun_before=begun_before, limit=limit):
                # Counted as they come: those that are answered may be all of them by then.
                if request.call == "GET" and len(proxy.calls("GET")) - begun_before >= limit:
                    kill()
                    return Fault(stalls=True)  # however long it takes until the process is gone
                return PASS

            status = jobs.run(plan)
            killed += status == -9
            again = {f"{int(text.split('-')[0]) >> 23:08d}" for text in fetched(proxy)[begin:]}
            assert again.isdisjoint(kept_before)
            if status == 0:
                break
            with DataFolder.open(data) as folder:
                assert folder.databases() == []
        else:
            assert jobs.run(lambda _request, _kill: PASS) == 0
    assert killed >= 2
    assert kept(data / "downloads") == []
    with Vault(data) as vault, Vault(large) as original:
        assert bodies(vault, "shop") == bodies(original, "shop")


def restored(vault: Vault):
    return restore_database(vault.own_folder, vault.store, "shop.abf")


def imported(vault: Vault):
    return vault.import_file("storage:shop.abf")


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(("bring", "file"), [(restored, "shop.abf"), (imported, "storage:shop.abf")])
def test_a_network_that_goes_away_costs_only_the_rest_and_each_block_is_fetched_once(
    tmp_path, container, proxy, monkeypatch, bring, file
):
    monkeypatch.setattr(Vault, "store", container.store(proxy.port, patience=IMPATIENT))
    with Vault(tmp_path / "data") as vault:
        proxy.plan = lambda _: Fault(cuts_request=True) if len(proxy.calls("GET")) > 3 else PASS
        with pytest.raises(StoreUnavailableError, match=r"Get Blob of shop\.abf"):
            bring(vault)
        assert kept(tmp_path / "data/downloads")
        proxy.plan = lambda _: PASS
        assert bring(vault).file == file
    assert len(fetched(proxy)) == len(set(fetched(proxy))) == 6
    assert kept(tmp_path / "data/downloads") == []


def test_an_object_that_is_replaced_while_it_is_restored_is_named_and_begun_anew(tmp_path, container, proxy, large):
    store = container.store(proxy.port)
    with DataFolder.open(large) as folder, Vault(tmp_path / "data") as vault:
        backup_database(folder, store, "shop", "shop.abf", compress=False)

        def plan(_request):
            if len(proxy.calls("GET")) == 3:
                with container.plain() as client:
                    client.upload_blob("shop.abf", b"no backup", overwrite=True)
            return PASS

        proxy.plan = plan
        with pytest.raises(ObjectChangedError):
            restore_database(vault.own_folder, store, "shop.abf")
        proxy.plan = lambda _: PASS
        with pytest.raises(FormatError):
            restore_database(vault.own_folder, store, "shop.abf")
        assert vault.databases() == []


@pytest.mark.usefixtures("remote")
def test_a_disk_with_room_for_the_database_alone_is_enough(tmp_path, container, monkeypatch):
    with Vault(tmp_path / "data") as vault:
        folder = vault.own_folder
        monkeypatch.setattr(downloads.ResumedDownload, "discard", lambda _: False)
        monkeypatch.setattr(type(folder), "free_byte_count", lambda _: 60 << 20)
        restore_database(folder, container.store(), "shop.abf")
        assert kept(tmp_path / "data/downloads") == []


def test_blocks_that_take_the_room_of_the_database_give_way(tmp_path, container, large, monkeypatch):
    with DataFolder.open(large) as folder:
        backup_database(folder, container.store(), "shop", "shop.abf", compress=False)
    data = tmp_path / "data"
    with Vault(data) as vault:
        folder = vault.own_folder
        # 60 MiB, of which what is kept takes its part.
        room = (60 << 20) + (4 * 45 << 20)

        def free(_folder) -> int:
            return room - sum(path.stat().st_size for path in kept(data / "downloads"))

        monkeypatch.setattr(type(folder), "free_byte_count", free)
        with monkeypatch.context() as patch:
            patch.setattr("tabvault.jobs.restore.bring_in", _reads_all)
            with pytest.raises(StoreUnavailableError, match="the fault"):
                restore_database(folder, container.store(), "shop.abf")
        assert len(kept(data / "downloads")) >= 5
        room = 60 << 20
        restore_database(folder, container.store(), "shop.abf")
        assert kept(data / "downloads") == []


def _reads_all(_folder, source, *_arguments, **_options):
    source.read_at(0, source.byte_count)
    raise StoreUnavailableError("the fault of the test")


def test_a_wrong_password_costs_no_second_download(tmp_path, container, proxy, large):
    store = container.store(proxy.port)
    with DataFolder.open(large) as folder, Vault(tmp_path / "data") as vault:
        backup_database(folder, store, "shop", "shop.abf", password="right", compress=False)
        with pytest.raises(PasswordWrongError):
            restore_database(vault.own_folder, store, "shop.abf", password="wrong")
        # What was on its way is cut off and fetched again; what had arrived is not.
        wait_for_fetching()
        here = {path.name for path in kept(tmp_path / "data" / "downloads")}
        assert here
        before = len(fetched(proxy))
        restore_database(vault.own_folder, store, "shop.abf", password="right")
    again = [f"{int(text.split('-')[0]) >> 23:08d}" for text in fetched(proxy)[before:]]
    assert here.isdisjoint(again)
    assert len(again) == len(set(again)) == 6 - len(here)
