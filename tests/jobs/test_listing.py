"""The list of databases says what is there now, not what once was written."""

from __future__ import annotations

import datetime
import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from vaults import vault_with

from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tabvault.jobs.listing import DatabaseListing
    from tabvault.jobs.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with vault_with(tmp_path) as made:
        yield made


def listed(vault: Vault) -> DatabaseListing:
    (listing,) = vault.databases()
    return listing


def a_column_file(vault: Vault) -> Path:
    with vault.folder.read("shop") as version:
        return version.path(next(name for name in version.names() if name.endswith(".idf")))


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _shrink(path: Path) -> None:
    os.truncate(path, 1)


def _make_a_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (os.unlink, "the file is missing in the data folder - at .*idf of 43 files"),
        (_grow, r"it was committed with \d+ - at .*idf of 43 files"),
        (_shrink, r"has 1 bytes, it was committed with \d+"),
        (_make_a_folder_of, "it is not a regular file"),
    ],
)
def test_a_database_whose_file_is_missing_or_of_another_length_is_damaged(
    vault: Vault, damage: Callable[[Path], None], message: str
) -> None:
    assert (listed(vault).state, listed(vault).problem) == ("ready", None)
    rows = listed(vault).row_count
    damage(a_column_file(vault))
    found = listed(vault)
    assert found.state == "damaged"
    assert re.search(message, found.problem or ""), found.problem
    assert (found.row_count, found.compatibility_level) == (rows, 1550), "what is known is still said"


def test_all_missing_files_are_counted(vault: Vault) -> None:
    shutil.rmtree(a_column_file(vault).parents[1])
    problem = listed(vault).problem or ""
    assert "missing" in problem
    assert ", and " in problem
    assert "more of 43 files" in problem


def test_a_database_of_which_nothing_can_be_trusted_has_no_figures(vault: Vault) -> None:
    key = vault.folder.find("shop").key
    vault.close()
    (vault.data / "databases" / key / "CURRENT").write_text("nonsense")
    found = listed(vault)
    assert (found.state, found.compatibility_level, found.byte_count, found.version) == ("damaged", None, None, None)


def test_the_last_backup_is_looked_up_where_it_should_lie(vault: Vault, tmp_path: Path) -> None:
    assert (listed(vault).last_backup, listed(vault).last_backup_state) == (None, None)
    vault.backup("shop", "/nightly/shop.abf")
    stored = tmp_path / "data/storage/backups/nightly/shop.abf"
    found = listed(vault)
    assert (found.last_backup_file, found.last_backup_state) == ("nightly/shop.abf", "present")
    vault.close()
    assert listed(vault) == found, "as it is read from the disk"
    os.utime(stored, (0, 0))
    assert listed(vault).last_backup_state == "changed"
    stored.unlink()
    assert listed(vault).last_backup_state == "gone"
    assert listed(vault).last_backup == found.last_backup


def test_a_storage_that_cannot_be_asked_leaves_the_last_backup_unknown(vault: Vault, tmp_path: Path) -> None:
    vault.backup("shop")
    (tmp_path / "data/storage").rename(tmp_path / "elsewhere")
    assert listed(vault).last_backup_state == "unknown"
    vault.configure_storage(BackupStorageSettings(enabled=False, account=None, container=None))
    assert listed(vault).last_backup_state == "unknown"
    (tmp_path / "data/settings.json").write_text("{")
    assert listed(vault).last_backup_state == "unknown"


@pytest.mark.parametrize(
    "note", ["2024-02-29T12:00:00+00:00\n", "2024-02-29T12:00:00+00:00\n../x\n", "2024-02-29T12:00:00+00:00\na\nb\n"]
)
def test_a_note_without_a_name_is_a_backup_of_unknown_whereabouts_and_a_damaged_one_none(
    vault: Vault, note: str
) -> None:
    key = vault.folder.find("shop").key
    vault.close()
    (vault.data / "databases" / key / "LAST_BACKUP").write_text(note)
    found = listed(vault)
    if note.count("\n") == 1:
        assert found.last_backup == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
        assert (found.last_backup_file, found.last_backup_state) == (None, "unknown")
    else:
        assert (found.last_backup, found.last_backup_state) == (None, None)
