"""Whatever fails, and whenever the process is killed: a backup is whole or absent, a database old or new."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING

import pytest
from vaults import SMALL, bodies, vault_with

from conftest import sample_path
from killed_processes import KilledProcesses
from storage.data_folder.failing_files import fail_file_calls
from tabvault.errors import JobCancelledError, StoreUnavailableError, TabvaultError
from tabvault.jobs.backup import backup_database
from tabvault.jobs.landing import LandingOptions
from tabvault.jobs.opening import open_backup
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.jobs.verify import verify_backup
from tabvault.storage.file_source import FileSource
from tabvault.testing.faults import CallCounter, FaultyStore

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.progress import Progress


TINY = "Hugoberry__empty-schema-calc-only.pbix"


def whole(path: Path, password: str | None = None) -> bool:
    with FileSource(path) as source:
        return verify_backup(source, password=password).ok


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_backup_is_whole_or_absent_whichever_storage_call_fails(
    tmp_path: Path, when: str, *, overwrite: bool
) -> None:
    with vault_with(tmp_path) as vault:
        path = tmp_path / "data/storage/backups/shop.abf"
        old = None
        if overwrite:
            vault.backup("shop")
            old = path.read_bytes()
        failures = 0
        for fail_at in range(1, 100_000):
            store = FaultyStore(vault.store, fail_at=fail_at, when=when)
            try:
                backup_database(vault.folder, store, "shop", "shop.abf", overwrite=overwrite)
            except StoreUnavailableError:
                failures += 1
            if not store.counter.has_failed:
                break
            if path.exists() and path.read_bytes() != old:
                assert whole(path)
                path.unlink()
                if old is not None:
                    path.write_bytes(old)
            else:
                assert path.exists() is (old is not None)
            assert [info.name for info in vault.store.list()] == (["shop.abf"] if old is not None else [])
        assert failures == fail_at - 1 >= 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restore_is_old_or_new_whichever_storage_call_fails(tmp_path: Path, when: str) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop")
        before = bodies(vault, "shop")
        for fail_at in range(1, 100_000):
            store = FaultyStore(vault.store, fail_at=fail_at, when=when)
            try:
                restore_database(vault.folder, store, "shop.abf", options=LandingOptions(overwrite=True))
            except StoreUnavailableError:
                assert vault.folder.find("shop").version == 1
            if not store.counter.has_failed:
                break
            assert bodies(vault, "shop") == before
        assert vault.folder.find("shop").version == 2
        assert fail_at > 10


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restore_is_old_or_new_whichever_file_call_fails(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vault_with(tmp_path, TINY) as vault:
        vault.backup("shop")
        vault.import_file(str(sample_path(SMALL)), "shop", overwrite=True)
        vault.backup("shop", "old.abf")
        old = bodies(vault, "shop")
        new = None
        for fail_at in range(1, 100_000):
            counter = CallCounter(fail_at=fail_at, when=when)
            with monkeypatch.context() as patch:
                fail_file_calls(patch, counter)
                with contextlib.suppress(TabvaultError):
                    vault.restore("shop.abf", overwrite=True)
            found = bodies(vault, "shop")
            if not counter.has_failed:
                break
            if found != old:
                assert new in (None, found)
                new = found
                vault.restore("old.abf", overwrite=True)
                assert bodies(vault, "shop") == old
        assert new in (None, found)
        assert found != old
        assert fail_at > 100
    with Vault(tmp_path / "data") as again:
        assert bodies(again, "shop") == found


def test_cancelling_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    class Stop:
        def __init__(self, at: int) -> None:
            self.at, self.seen = at, 0

        def __call__(self, _progress: Progress) -> None:
            self.seen += 1
            if self.seen == self.at:
                raise JobCancelledError("cancelled")

    with vault_with(tmp_path) as vault:
        vault.backup("shop")
        before = bodies(vault, "shop")
        for at in (1, 2, 20, 40):
            with pytest.raises(JobCancelledError):
                vault.backup("shop", "new.abf", progress=Stop(at))
            with pytest.raises(JobCancelledError):
                vault.restore("shop.abf", overwrite=True, progress=Stop(at))
            assert [info.name for info in vault.store.list()] == ["shop.abf"]
            assert bodies(vault, "shop") == before
            assert vault.folder.find("shop").version == 1


LOOP = """
    from pathlib import Path
    from tabvault.jobs.backup import backup_database
    from tabvault.jobs.landing import LandingOptions
    from tabvault.jobs.open_container import OpenContainer
    from tabvault.jobs.restore import restore_database
    from tabvault.storage.data_folder.folder import DataFolder

    def work(ready):
        data = Path(sys.argv[1])
        with DataFolder.open(data) as folder:
            store = OpenContainer(data).store
            ready()
            while True:
                backup_database(folder, store, "shop", "shop.abf", overwrite=True)
                restore_database(folder, store, "shop.abf", options=LandingOptions(overwrite=True))
                backup_database(folder, store, "shop", "plain.abf", overwrite=True, compress=False)
    """


@pytest.mark.slow
def test_fifty_kills_leave_whole_backups_and_old_or_new_databases(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", "shop.abf")
        vault.backup("shop", "plain.abf", compress=False)
        before = bodies(vault, "shop")
    generator = random.Random(50)
    container = tmp_path / "data/storage/backups"
    interrupted = 0
    with KilledProcesses(LOOP, tmp_path / "data") as processes:
        for _ in range(50):
            processes.start()
            time.sleep(generator.uniform(0, 0.12))
            processes.kill()
            staging = tmp_path / "data/staging"
            interrupted += bool(list(staging.iterdir()) or list(container.glob(".tabvault-uploads/*")))
            with Vault(tmp_path / "data") as vault:
                assert [listing.state for listing in vault.databases()] == ["ready"]
                assert bodies(vault, "shop") == before
                assert [info.name for info in vault.store.list()] == ["plain.abf", "shop.abf"]
                assert not list(staging.iterdir())
            for name in ("shop.abf", "plain.abf"):
                with FileSource(container / name) as source, open_backup(source) as opened:
                    for file in opened.container.files:
                        for _ in opened.container.body(file):
                            pass
    assert interrupted >= 10, "the kills came at moments when nothing was under way"
