"""Every refusal has its own error, comes before anything changes, and leaves the old database serving."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from vaults import SMALL, bodies, vault_with, with_bodies

from conftest import sample_path
from tabvault import errors
from tabvault.jobs.vault import Vault
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with all that the tests start from, to be copied: encrypting takes most of a second."""
    folder = tmp_path_factory.mktemp("refusals")
    with vault_with(folder) as made:
        made.backup("shop", "plain.abf")
        made.backup("shop", "secret.abf", password="right")
        container = folder / "data/storage/backups"
        damaged = bytearray((container / "plain.abf").read_bytes())
        damaged[9000] ^= 1
        (container / "broken.abf").write_bytes(damaged)
        (container / "short.abf").write_bytes(damaged[:9000])
        (container / "text.abf").write_text("not a backup")
    return folder / "data"


@pytest.fixture
def vault(tmp_path: Path, filled: Path) -> Iterator[Vault]:
    """Database ``shop``; ``plain.abf``, ``secret.abf`` (password ``right``) and damaged files in the storage."""
    shutil.copytree(filled, tmp_path / "data")
    with Vault(tmp_path / "data") as made:
        assert made.own_folder  # locked from the beginning
        yield made


REFUSALS: dict[str, tuple[type[Exception], Callable[[Vault], object]]] = {
    "a backup over an existing file": (errors.ObjectExistsError, lambda v: v.backup("shop", "plain.abf")),
    "a backup of no database": (errors.DatabaseNotFoundError, lambda v: v.backup("shoe", "new.abf")),
    "a backup to a name outside the container": (errors.InvalidNameError, lambda v: v.backup("shop", "../new.abf")),
    "a restore of no file": (errors.ObjectNotFoundError, lambda v: v.restore("none.abf", "new")),
    "a restore of a name outside the container": (errors.InvalidNameError, lambda v: v.restore("../../x.abf", "new")),
    "a restore over an existing database": (errors.DatabaseExistsError, lambda v: v.restore("plain.abf")),
    "the same with other capitals": (errors.DatabaseExistsError, lambda v: v.restore("plain.abf", "SHOP")),
    "an encrypted file without a password": (errors.PasswordRequiredError, lambda v: v.restore("secret.abf", "new")),
    "an encrypted file with an empty password": (
        errors.PasswordRequiredError,
        lambda v: v.restore("secret.abf", "new", password=""),
    ),
    "an encrypted file with a wrong password": (
        errors.PasswordWrongError,
        lambda v: v.restore("secret.abf", "new", password="wrong"),
    ),
    "a plain file with a password": (
        errors.PasswordSuperfluousError,
        lambda v: v.restore("plain.abf", "new", password="right"),
    ),
    "a file that is not a backup": (errors.FormatError, lambda v: v.restore("text.abf", "new")),
    "a truncated backup": (errors.FormatError, lambda v: v.restore("short.abf", "new")),
    "a damaged backup": (errors.FormatError, lambda v: v.restore("broken.abf", "new")),
    "a damaged backup over a database": (
        errors.FormatError,
        lambda v: v.restore("broken.abf", overwrite=True),
    ),
    "an empty database name": (errors.InvalidNameError, lambda v: v.restore("plain.abf", " ")),
    "a database name with a line break": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "a\nb")),
    "a database name of 600 characters": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "x" * 600)),
    "a database name of two dots": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "..")),
    "a database name that denotes a backup": (
        errors.InvalidNameError,
        lambda v: v.restore("plain.abf", "Storage:plain.abf"),
    ),
    "a database name with a blank at its end": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "new ")),
    "a database name with a bell": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "a\x07b")),
    "a database name with a line separator": (errors.InvalidNameError, lambda v: v.restore("plain.abf", "a\u2028b")),
    "a password for a database": (errors.PasswordSuperfluousError, lambda v: v.verify("shop", password="right")),
    "an export to a format that is not there": (ValueError, lambda v: v.export("shop", v.data / "x", format_="xml")),
    "an import of a report without a model": (
        errors.NoModelError,
        lambda v: v.import_file(str(sample_path("Hugoberry__live-connection-ssas.pbix")), "new"),
    ),
    "a drop of no database": (errors.DatabaseNotFoundError, lambda v: v.drop("shoe")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_named_and_changes_nothing(vault: Vault, case: str) -> None:
    error, act = REFUSALS[case]
    before, objects = bodies(vault, "shop"), [(info.name, info.etag) for info in vault.store.list()]
    with pytest.raises(error) as caught:
        act(vault)
    assert str(caught.value)
    assert "right" not in str(caught.value)
    assert [listing.name for listing in vault.databases()] == ["shop"]
    assert bodies(vault, "shop") == before
    assert [(info.name, info.etag) for info in vault.store.list()] == objects
    assert not any(os.scandir(vault.folder.spool_folder))


def test_a_leading_slash_is_not_part_of_a_name_and_the_result_says_so(vault: Vault) -> None:
    assert vault.backup("shop", "/folder\\new.abf").file == "folder/new.abf"
    assert vault.restore("/folder/new.abf", "one").file == "folder/new.abf"
    assert vault.restore("storage:/folder/new.abf", "two").file == "folder/new.abf"
    assert vault.import_file("storage:/folder/new.abf", "three").file == "storage:folder/new.abf"


def test_no_way_out_speaks_of_options_of_the_command(vault: Vault) -> None:
    hints = []
    for error, act in REFUSALS.values():
        with pytest.raises(error) as caught:
            act(vault)
        hints.append(getattr(caught.value, "hint", None) or "")
    assert any(hints)
    assert not [hint for hint in hints if "--" in hint]


def test_without_storage_nothing_is_backed_up_or_restored(vault: Vault) -> None:
    vault.configure_storage(BackupStorageSettings(enabled=False, account=None, container=None))
    for act in (lambda: vault.backup("shop"), lambda: vault.restore("plain.abf", "new")):
        with pytest.raises(errors.StorageNotConfiguredError, match="backup storage is not configured"):
            act()


def test_a_read_only_database_is_not_restored_over(vault: Vault) -> None:
    vault.restore("plain.abf", "kept", read_write_mode="readOnly")
    with pytest.raises(errors.DatabaseReadOnlyError):
        vault.restore("plain.abf", "kept", overwrite=True)
    vault.backup("kept", "kept.abf")
    with vault.file("storage:kept.abf") as source:
        assert "<Write>ReadOnly</Write>".encode("utf-16-le") in bytes(source.read_at(0, source.byte_count))


def test_too_little_room_is_found_before_anything_is_written(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def nearly_full(path: str) -> os.statvfs_result:
        status = list(real(path))
        status[4] = 3  # f_bavail
        return os.statvfs_result(status)

    monkeypatch.setattr("tabvault.storage.data_folder.folder.os.statvfs", nearly_full)
    with pytest.raises(errors.DiskFullError, match="are free"):
        vault.restore("plain.abf", "new")
    assert [listing.name for listing in vault.databases()] == ["shop"]


@pytest.mark.parametrize("level", ["1799", "1800", "1199", "99999999999999999999999"])
def test_only_known_compatibility_levels_are_restored(tmp_path: Path, vault: Vault, level: str) -> None:
    def change(name: str, body: bytes) -> bytes:
        changed = body.replace(b"CompatibilityLevel>1550<", f"CompatibilityLevel>{level}<".encode())
        assert (changed != body) is name.endswith(".db.xml")
        return changed

    container = tmp_path / "data/storage/backups"
    (container / "other.abf").write_bytes(with_bodies((container / "plain.abf").read_bytes(), change))
    if level == "1799":
        assert vault.restore("other.abf", "new").compatibility_level == 1799
        return
    expected = {"1800": errors.CompatibilityError, "1199": errors.XmlMetadataError}.get(level, errors.FormatError)
    with pytest.raises(expected):
        vault.restore("other.abf", "new")
    assert [listing.name for listing in vault.databases()] == ["shop"]


def test_metadata_that_contradict_the_files_are_not_committed(tmp_path: Path, vault: Vault) -> None:
    def change(name: str, body: bytes) -> bytes:
        return body + bytes(8) if name.endswith(".idfmeta") else body

    container = tmp_path / "data/storage/backups"
    (container / "other.abf").write_bytes(with_bodies((container / "plain.abf").read_bytes(), change))
    before = bodies(vault, "shop")
    with pytest.raises(errors.ConsistencyError) as caught:
        vault.restore("other.abf", overwrite=True)
    assert "verify" in (caught.value.hint or "")
    assert bodies(vault, "shop") == before


def test_a_backup_stops_at_a_database_file_that_its_disk_damaged(vault: Vault) -> None:
    with vault.folder.read("shop") as version:
        path = version.path("metadata.sqlitedb")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(errors.TabvaultError) as caught:
        vault.backup("shop", "new.abf")
    assert isinstance(caught.value, errors.ChecksumError)
    assert caught.value.file == "metadata.sqlitedb"
    assert "new.abf" not in [info.name for info in vault.store.list()]


def test_a_second_process_is_told_who_owns_the_data_folder(tmp_path: Path) -> None:
    import subprocess
    import sys

    with vault_with(tmp_path, SMALL):
        code = f"import pathlib, tabvault; tabvault.Vault(pathlib.Path({str(tmp_path / 'data')!r})).databases()"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "DataFolderLockedError" in ran.stderr
    assert str(os.getpid()) in ran.stderr


def test_two_vaults_of_one_process_share_the_data_folder(tmp_path: Path) -> None:
    with vault_with(tmp_path) as one, Vault(tmp_path / "data") as other:
        assert [listing.name for listing in other.databases()] == ["shop"]
        assert one.folder is other.folder


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("x?y", "x_y.abf"),
        ("A/B: C", "A_B_ C.abf"),
        ("CON", "_CON.abf"),
        ("...", "_.abf"),
        ("9b2f1e70-1f5c-4a52-8d5e-0d4f7a0c61ce", "9b2f1e70-1f5c-4a52-8d5e-0d4f7a0c61ce.abf"),
        ("Umsatz & Marge (50%); 'neu'", "Umsatz & Marge (50%); 'neu'.abf"),
        ("storage", "storage.abf"),
        ("Größe (2)", "Größe (2).abf"),
    ],
)
def test_any_database_name_gives_a_default_file_name(vault: Vault, name: str, file: str) -> None:
    vault.restore("plain.abf", name)
    assert vault.backup(name).file == file
    assert vault.restore(file, "again").database == "again"


def test_a_name_too_long_for_a_file_asks_for_one(vault: Vault) -> None:
    name = "n" * 300
    vault.restore("plain.abf", name)
    with vault.open(name) as database:
        assert database.name == name
    with pytest.raises(errors.InvalidNameError) as caught:
        vault.backup(name)
    assert caught.value.hint == "give the name of the file"
    assert vault.backup(name, "n.abf").file == "n.abf"


@pytest.mark.parametrize("identifier", ["", " ", "x" * 600, "a\tb"])
def test_an_id_that_cannot_be_one_is_refused_before_anything_is_written(
    tmp_path: Path, vault: Vault, identifier: str
) -> None:
    def change(name: str, body: bytes) -> bytes:
        return body.replace(b"<ID>shop</ID>", f"<ID>{identifier}</ID>".encode()) if name.endswith(".db.xml") else body

    container = tmp_path / "data/storage/backups"
    (container / "other.abf").write_bytes(with_bodies((container / "plain.abf").read_bytes(), change))
    with pytest.raises(errors.FormatError):
        vault.restore("other.abf", overwrite=True)
    assert not any(os.scandir(vault.folder.spool_folder))


@pytest.mark.parametrize("options", [{"security": "skipmembership"}, {"read_write_mode": "readonly"}])
def test_a_misspelt_mode_is_not_taken_for_the_default(vault: Vault, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not one of"):
        vault.restore("plain.abf", "new", **options)
    assert [listing.name for listing in vault.databases()] == ["shop"]


@pytest.mark.parametrize("account", ["", "databases", "storage/../staging"])
def test_backups_do_not_go_where_the_databases_lie(vault: Vault, account: str) -> None:
    with pytest.raises(errors.InvalidNameError, match="where the databases lie"):
        vault.configure_storage(BackupStorageSettings(enabled=True, account=account, container="backups"))
    assert vault.restore("storage:plain.abf", "new").database == "new"


def test_a_name_that_microsofts_clients_refuse_is_warned_of(vault: Vault) -> None:
    assert vault.restore("plain.abf", "A & B").warnings == (
        "a database whose name has & is not shown to AMO and TOM, which refuse such names",
    )
    assert vault.restore("plain.abf", "A_and-B 2").warnings == ()
