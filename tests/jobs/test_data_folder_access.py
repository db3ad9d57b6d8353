"""A data folder that is not there, may not be written, or is somebody else's: what reading commands do with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vaults import SMALL, bodies, vault_with

from conftest import sample_path
from tabvault import errors
from tabvault.jobs.vault import Vault
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READING: dict[str, Callable[[Vault], object]] = {
    "databases": lambda v: v.databases(),
    "backup": lambda v: v.backup("shop"),
    "drop": lambda v: v.drop("shop"),
    "verify": lambda v: v.verify("shop"),
    "open": lambda v: v.open("shop").__enter__(),
    "query": lambda v: v.query("shop", "SELECT 1").__enter__(),
    "export": lambda v: v.export("shop", v.data.parent / "out"),
    "restore of a file that is not there": lambda v: v.restore("shop.abf"),
    "storage list": lambda v: list(v.store.list()),
    "storage open": lambda v: v.store.open("shop.abf"),
    "storage remove": lambda v: v.store.remove("shop.abf"),
    "inspect of a stored file": lambda v: v.inspect("storage:shop.abf"),
}


@pytest.mark.parametrize("verb", READING)
def test_a_data_folder_that_is_not_there_is_said_so_and_not_made(tmp_path: Path, verb: str) -> None:
    missing = tmp_path / "mistyped"
    expected = (errors.DatabaseNotFoundError, errors.ObjectNotFoundError)
    with Vault(missing) as vault, pytest.raises(expected, match=f"there is no data folder at {missing}") as caught:
        READING[verb](vault)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_file_is_named_before_the_missing_data_folder(tmp_path: Path) -> None:
    with (
        Vault(tmp_path / "none") as vault,
        pytest.raises(errors.DatabaseNotFoundError, match=r"no file and no database 'Slaes\.pbix'") as caught,
        vault.open("Slaes.pbix"),
    ):
        pass
    assert "there is no data folder at" in (caught.value.hint or "")
    with Vault(tmp_path / "none") as vault, pytest.raises(errors.ObjectNotFoundError, match=r"file Slaes\.pbix"):
        vault.verify("Slaes.pbix")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").touch()
    with Vault(tmp_path) as vault, pytest.raises(errors.DatabaseNotFoundError, match="is no data folder"):
        vault.databases()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_data_folder_with_nothing_but_storage_has_no_databases(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        vault.configure_storage(BackupStorageSettings(enabled=True, account=str(tmp_path / "a"), container="abc"))
        assert vault.databases() == []


def put(vault: Vault, name: str) -> None:
    with vault.store.create(name, replace=False) as upload:
        upload.write(sample_path(SMALL).read_bytes())
        upload.finish()


def test_the_first_file_in_the_storage_makes_the_data_folder_for_a_restore(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        put(vault, "s.abf")
        assert vault.restore("s.abf", "shop").database == "shop"


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: become nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A data folder with database ``shop`` and a backup of it, which may be read by everybody and written by nobody."""
    with vault_with(tmp_path) as vault:
        vault.backup("shop", "shop.abf")
    # pytest's own folder cannot be entered by others.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        data = Path(place) / "data"
        shutil.copytree(tmp_path / "data", data)
        everything = [data, *data.rglob("*")]
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield data
        for path in filter(Path.exists, everything):
            path.chmod(0o755 if path.is_dir() else 0o644)


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_may_only_be_read_is_listed_queried_verified_exported_and_backed_up(
    tmp_path: Path, read_only: Path
) -> None:
    before = contents(read_only)
    with unprivileged(), tempfile.TemporaryDirectory() as out, Vault(read_only) as vault:
        (listing,) = vault.databases()
        assert (listing.name, listing.state, listing.last_backup_state) == ("shop", "ready", "present")
        assert vault.folder.is_read_only
        with vault.query("shop", "SHOW TABLES") as answer:
            assert sum(batch.num_rows for batch in answer.batches)
        assert vault.verify("shop").ok
        assert vault.verify("storage:shop.abf").ok
        assert [info.name for info in vault.store.list()] == ["shop.abf"]
        assert vault.export("shop", Path(out))
        found = bodies(vault, "shop")
    assert contents(read_only) == before
    with Vault(tmp_path / "data") as original:
        assert bodies(original, "shop") == found


def test_a_backup_to_elsewhere_works_and_says_that_it_could_not_be_noted(tmp_path: Path, read_only: Path) -> None:
    from tabvault.jobs.backup import backup_database
    from tabvault.storage.local import LocalAccount

    account = tmp_path / "elsewhere"
    with unprivileged():
        folder = DataFolder.open_existing(read_only)
    with folder:
        result = backup_database(folder, LocalAccount(account).container("abc", create=True), "shop", "x.abf")
    assert any("can only be read" in warning for warning in result.warnings)
    assert (account / "abc/x.abf").stat().st_size == result.byte_count


def test_what_may_only_be_read_is_not_changed(read_only: Path) -> None:
    before = contents(read_only)
    with unprivileged(), Vault(read_only) as vault:
        with pytest.raises(errors.StorageError):
            vault.import_file(sample_path(SMALL), "new")
        vault.databases()
        for act in (
            lambda: vault.import_file(sample_path(SMALL), "new"),
            lambda: vault.drop("shop"),
            lambda: vault.restore("shop.abf", "new"),
        ):
            with pytest.raises(errors.StoreUnavailableError, match="can only be read") as caught:
                act()
            assert caught.value.hint
    assert contents(read_only) == before


def test_readers_share_a_folder_and_keep_owners_out(read_only: Path) -> None:
    with unprivileged():
        one, two = DataFolder.open_existing(read_only), DataFolder.open_existing(read_only)
    if os.geteuid():
        (read_only / "owner.lock").chmod(0o644)
    with pytest.raises(errors.DataFolderLockedError, match="in use by a process that only reads it"):
        DataFolder.open(read_only)
    one.close()
    two.close()
    if not os.geteuid():
        with DataFolder.open(read_only), unprivileged(), pytest.raises(errors.DataFolderLockedError) as caught:
            DataFolder.open_existing(read_only)
        assert f"process {os.getpid()} on" in caught.value.message


def test_without_a_lock_file_only_a_read_only_medium_is_read(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_only.chmod(0o755)
    (read_only / "owner.lock").unlink()
    read_only.chmod(0o555)
    with unprivileged():
        with pytest.raises(errors.StoreUnavailableError, match=r"it has no owner\.lock, and none can be made"):
            DataFolder.open_existing(read_only)
        real = os.statvfs

        def mounted_read_only(path: str) -> os.statvfs_result:
            status = list(real(path))
            status[8] |= os.ST_RDONLY
            return os.statvfs_result(status)

        monkeypatch.setattr("tabvault.storage.data_folder.lock.os.statvfs", mounted_read_only)
        with DataFolder.open_existing(read_only) as folder:
            assert [info.name for info in folder.databases()] == ["shop"]


def test_a_busy_data_folder_names_its_owner_and_a_way_out(tmp_path: Path) -> None:
    with vault_with(tmp_path, SMALL):
        code = f"import pathlib, tabvault; tabvault.Vault(pathlib.Path({str(tmp_path / 'data')!r})).databases()"
        script = (
            "import sys, tabvault.errors\n"
            f"try:\n    {code}\n"
            "except tabvault.errors.DataFolderLockedError as error:\n    print(error, '|', error.hint)"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"process {os.getpid()} on" in ran.stdout
    assert ", since 20" in ran.stdout
    assert "wait until that process has ended" in ran.stdout
    assert "--" not in ran.stdout
