"""Databases taken out of service and back: genuine ones, by who may, and not before everything in them was read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from vaults import SMALL, bodies, values, vault_with

from conftest import sample_path
from storage.data_folder.failing_files import fail_file_calls
from storage.data_folder.hostile_manifest import change_manifest
from tabvault.errors import (
    CommandNotSupportedError,
    CompatibilityError,
    ConsistencyError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    FormatError,
    InvalidNameError,
    JobCancelledError,
    NotAuthorizedError,
    TabvaultError,
    TruncatedError,
)
from tabvault.formats import crc32
from tabvault.jobs.access.principal import Limit, Principal, Scope
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.attachment import attach_database, detach_database
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.operations.operations import Operations
from tabvault.jobs.runner.runner import JobRunner
from tabvault.jobs.vault import Vault
from tabvault.model.file_set import METADATA_FILE
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.job_records import JobRecords
from tabvault.testing.faults import CallCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tabvault.jobs.progress import Progress


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the database, imported once; each test has a copy."""
    folder = tmp_path_factory.mktemp("imported")
    with vault_with(folder):
        pass
    return folder / "data"


@pytest.fixture
def vault(imported: Path, tmp_path: Path) -> Iterator[Vault]:
    shutil.copytree(imported, tmp_path / "data")
    with Vault(tmp_path / "data") as vault:
        yield vault


def detached(vault: Vault, name: str = "shop") -> Path:
    result = detach_database(vault.folder, vault.folder.find(name))
    return vault.folder.path / "detached" / result.folder


def rewrite_file(place: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file likewise, length and CRC in the manifest adjusted."""

    def changed(manifest: dict[str, Any]) -> None:
        [entry] = [entry for entry in manifest["files"] if entry["name"].endswith(name)]
        path = place / "versions/00000001/files" / entry["path"]
        body = change(path.read_bytes())
        path.write_bytes(body)
        entry.update(byte_count=len(body), crc32=crc32.crc32(body))

    change_manifest(place, changed)


# --- there and back


def test_a_genuine_database_comes_back_with_every_file_and_every_value(vault: Vault) -> None:
    vault.backup("shop")
    before, before_values = bodies(vault, "shop"), values(vault, "shop")
    old = vault.folder.find("shop")
    result = detach_database(vault.folder, old)
    assert (result.database, result.folder, result.warnings) == ("shop", "shop", ())
    with pytest.raises(DatabaseNotFoundError):
        vault.folder.find("shop")
    back = attach_database(vault.folder, result.folder)
    assert (back.database, back.id, back.folder, back.read_write_mode) == ("shop", old.id, "shop", "readWrite")
    assert (back.byte_count, back.file_count) == (old.byte_count, old.file_count) == (result.byte_count, len(before))
    assert bodies(vault, "shop") == before
    assert values(vault, "shop") == before_values
    assert vault.folder.find("shop").last_backup_file == "shop.abf"
    assert vault.verify("shop").ok
    vault.backup("shop", "again.abf")
    assert vault.verify("storage:again.abf").ok


def test_a_database_comes_from_one_data_folder_to_another(vault: Vault, tmp_path: Path) -> None:
    before = values(vault, "shop")
    place = detached(vault)
    with DataFolder.open(tmp_path / "other") as other:
        shutil.copytree(place, other.path / "detached" / "brought over")
        attach_database(other, "brought over")
    with Vault(tmp_path / "other") as other_vault:
        assert values(other_vault, "shop") == before


def test_a_folder_of_another_name_than_the_database_is_told_as_a_warning(vault: Vault) -> None:
    with Alteration(vault.folder, "shop") as alteration:
        alteration.rename("a/b")
        alteration.commit()
    result = detach_database(vault.folder, vault.folder.find("a/b"))
    assert result.folder == "a%2Fb"
    assert result.warnings == ("database 'a/b' lies in the folder 'a%2Fb' now; attach it by that name",)
    assert attach_database(vault.folder, "a%2Fb").database == "a/b"


@pytest.mark.parametrize("mode", ["readOnly", "readOnlyExclusive"])
def test_what_was_attached_for_reading_is_not_changed_until_it_is_attached_for_writing(vault: Vault, mode: Any) -> None:
    vault.backup("shop")
    before = bodies(vault, "shop")
    detached(vault)
    assert attach_database(vault.folder, "shop", read_write_mode=mode).read_write_mode == mode
    with pytest.raises(DatabaseReadOnlyError):
        vault.restore("shop.abf", overwrite=True)
    with pytest.raises(DatabaseReadOnlyError, match=mode):
        Alteration(vault.folder, "shop")
    assert bodies(vault, "shop") == before
    detached(vault)
    attach_database(vault.folder, "shop", read_write_mode="readWrite")
    vault.restore("shop.abf", overwrite=True)


def test_a_reader_and_a_backup_go_on_while_the_database_goes(vault: Vault) -> None:
    before = values(vault, "shop")
    with vault.open("shop") as opened:
        detached(vault)
        assert {table.name for table in opened.tables} == set(before)
        assert [table.to_arrow().num_rows for table in opened.tables]
    attach_database(vault.folder, "shop")
    assert values(vault, "shop") == before


# --- what is refused


def drop_file(name: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        change_manifest(place, lambda manifest: remove_entry(place, manifest, name))

    return change


def remove_entry(place: Path, manifest: dict[str, Any], name: str) -> None:
    [entry] = [entry for entry in manifest["files"] if entry["name"].endswith(name)]
    manifest["files"].remove(entry)
    (place / "versions/00000001/files" / entry["path"]).unlink()


def of_manifest(**values: object) -> Callable[[Path], None]:
    return lambda place: change_manifest(place, lambda manifest: manifest.update(values))


def wrong_rows(place: Path) -> None:
    """Metadata that promise a column segment more than its file holds."""

    def change(body: bytes) -> bytes:
        path = place.parent / "metadata"
        path.write_bytes(body)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE SegmentMapStorage SET RecordCount = RecordCount + 1")
            connection.commit()
        body = path.read_bytes()
        path.unlink()
        return body

    rewrite_file(place, METADATA_FILE, change)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (of_manifest(name="other"), FormatError, "db.xml is of"),
        (of_manifest(id="other"), FormatError, "db.xml is of"),
        (of_manifest(compatibility_level=1500), FormatError, "db.xml is of"),
        (of_manifest(compatibility_level=1100), CompatibilityError, "1100"),
        (of_manifest(compatibility_level=1900), CompatibilityError, "1900"),
        (of_manifest(name="storage:x"), InvalidNameError, "storage:"),
        (of_manifest(id=" "), FormatError, "id"),
        (of_manifest(container={}), FormatError, "container part"),
        (of_manifest(files=[]), FormatError, "classes"),
        (drop_file("db.xml"), FormatError, "classes|0 db.xml"),
        (drop_file(METADATA_FILE), FormatError, METADATA_FILE),
        (wrong_rows, ConsistencyError, None),
        (lambda place: rewrite_file(place, METADATA_FILE, lambda body: body[:-1]), TabvaultError, None),
        (lambda place: rewrite_file(place, "db.xml", lambda body: body[:-9]), FormatError, None),
        (lambda place: next(place.rglob("*.idf")).write_bytes(b""), TruncatedError, "detached with"),
    ],
)
def test_what_a_restore_would_refuse_is_not_attached_and_stays_where_it_is(
    vault: Vault, change: Callable[[Path], None], kind: type[TabvaultError], message: str | None
) -> None:
    place = detached(vault)
    change(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(kind, match=message):
        attach_database(vault.folder, "shop")
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert vault.folder.databases() == []
    assert not list((vault.folder.path / "staging").iterdir())


def test_a_name_or_id_in_use_is_found_before_anything_is_read(vault: Vault) -> None:
    database_id = vault.folder.find("shop").id
    place = detached(vault)
    next(place.rglob("*.idf")).unlink()
    vault.import_file(sample(), "shop")
    with pytest.raises(DatabaseExistsError, match="'shop' exists"):
        attach_database(vault.folder, "shop")
    with Alteration(vault.folder, "shop") as alteration:
        alteration.rename("other")
        alteration.commit()
    assert vault.folder.find("other").id == database_id
    with pytest.raises(DatabaseExistsError, match="'other' has the id"):
        attach_database(vault.folder, "shop")


def sample() -> str:
    return str(sample_path(SMALL))


def test_an_attachment_can_be_cancelled_at_any_moment(vault: Vault) -> None:
    before = bodies(vault, "shop")
    detached(vault)
    at = 0
    while True:
        at += 1
        seen = 0

        def stop(_now: Progress, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise JobCancelledError("cancelled")

        try:
            attach_database(vault.folder, "shop", progress=stop)
        except JobCancelledError:
            assert [info.damage for info in vault.folder.detached()] == [None]
            assert vault.folder.databases() == []
            assert not list((vault.folder.path / "staging").iterdir())
        else:
            break
    assert at > 40
    assert bodies(vault, "shop") == before


# --- faults


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_file_call_fails_the_database_is_attached_or_detached(
    tmp_path: Path, when: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vault_with(tmp_path, "Hugoberry__empty-schema-calc-only.pbix") as vault:
        before = bodies(vault, "shop")
        monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
        for change in ("detach", "attach"):
            for fail_at in range(1, 100_000, 11):  # tests/storage makes every call fail
                counter = CallCounter(fail_at=fail_at, when=when)
                with monkeypatch.context() as patch:
                    fail_file_calls(patch, counter, "detached", "detached_folder")
                    with contextlib.suppress(TabvaultError):
                        if change == "detach":
                            detach_database(vault.folder, vault.folder.find("shop"))
                        else:
                            attach_database(vault.folder, "shop")
                is_attached = bool(vault.folder.databases())
                assert [info.damage for info in vault.folder.detached()] == ([] if is_attached else [None])
                if not counter.has_failed:
                    break
                if is_attached and change == "attach":
                    detach_database(vault.folder, vault.folder.find("shop"))
                elif not is_attached and change == "detach":
                    attach_database(vault.folder, "shop")
            assert is_attached is (change == "attach")
            assert fail_at > 30
        assert bodies(vault, "shop") == before


# --- who may


def principal(name: str = "alice", **options: Any) -> Principal:
    return Principal(name, "user", frozenset([name]), **options)


def caller(who: Principal) -> Caller:
    return Caller(who, "127.0.0.1", "rest")


ALICE = caller(principal(administers_server=True))
BOB = caller(principal("bob"))


@pytest.fixture
def operations(vault: Vault) -> Iterator[Operations]:
    with (
        contextlib.closing(JobRecords.open(vault.data)) as records,
        JobRunner(records) as runner,
        contextlib.closing(Operations(vault, vault.folder, runner, AuditLog(vault.data))) as operations,
    ):
        yield operations


def make_administrator(vault: Vault, name: str) -> None:
    """Give the model a role that administers it, with that member."""
    with vault.folder.read("shop") as version, vault.folder.stage() as staged:
        for file in version.names():
            staged.link(version, file)
        path = staged.path(METADATA_FILE)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            insert(connection, "Role", ID=900_001, ModelID=1, Name="Admins", ModelPermission=5)
            insert(connection, "RoleMembership", ID=900_002, RoleID=900_001, MemberName=name, MemberID=name)
            connection.execute("UPDATE DBPROPERTIES SET Value = '900002' WHERE Name = 'MAXID'")
            connection.commit()
        staged.seal(METADATA_FILE)
        staged.commit(
            name="shop",
            database_id=version.info.id,
            compatibility_level=version.info.compatibility_level,
            read_write_mode="readWrite",
            container=version.manifest.container,
            replaces=version.info,
        )


def insert(connection: Any, table: str, **values: object) -> None:
    known = {row[1]: row for row in connection.execute(f"PRAGMA table_info({table})")}
    row = {name: "" if facts[3] else None for name, facts in known.items()} | values
    row = {name: value for name, value in row.items() if name in known}
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
    )


def test_a_server_administrator_detaches_and_attaches_and_it_is_recorded(vault: Vault, operations: Operations) -> None:
    done = operations.run(ALICE, operations.databases.detach(ALICE, "shop"))
    assert done.folder == "shop"
    task = operations.databases.attach(ALICE, done.folder, read_write_mode="readOnly", password="")
    assert (task.kind, task.database) == ("attach", "shop")
    assert operations.run(ALICE, task).read_write_mode == "readOnly"
    jobs = operations._runner.list()
    assert [(job.kind, job.database, job.state) for job in jobs] == [
        ("attach", "shop", "succeeded"),
        ("detach", "shop", "succeeded"),
    ]
    assert jobs[1].result["folder"] == "shop"


def test_a_database_administrator_detaches_and_may_not_attach(vault: Vault, operations: Operations) -> None:
    make_administrator(vault, "bob")
    operations.run(BOB, operations.databases.detach(BOB, "shop"))
    with pytest.raises(NotAuthorizedError, match="attach"):
        operations.databases.attach(BOB, "shop")
    operations.run(ALICE, operations.databases.attach(ALICE, "shop"))
    assert vault.folder.find("shop").damage is None


def test_who_may_not_is_told_nothing(vault: Vault, operations: Operations) -> None:
    with pytest.raises(NotAuthorizedError, match="does not exist"):
        operations.databases.detach(BOB, "shop")
    detached(vault)
    limited = principal(administers_server=True, limit=Limit(frozenset([Scope.ADMIN]), frozenset(["x"])), key_name="k")
    for who in (BOB, caller(limited)):
        for folder in ("shop", "nothing", "../x"):
            with pytest.raises(NotAuthorizedError) as caught:
                operations.databases.attach(who, folder)
            assert folder not in str(caught.value)


def test_a_password_is_refused(vault: Vault, operations: Operations) -> None:
    with pytest.raises(CommandNotSupportedError, match="password") as caught:
        operations.databases.detach(ALICE, "shop", password="s3cret")
    assert "s3cret" not in str(caught.value)
    detached(vault)
    with pytest.raises(CommandNotSupportedError, match="password"):
        operations.databases.attach(ALICE, "shop", password="s3cret")
    assert [info.key for info in vault.folder.detached()] == ["shop"]


def test_who_lost_the_right_before_his_turn_does_not_detach(vault: Vault, operations: Operations) -> None:
    make_administrator(vault, "bob")
    task = operations.databases.detach(BOB, "shop")
    vault.import_file(sample(), "shop", overwrite=True)
    with pytest.raises(NotAuthorizedError):
        operations.run(BOB, task)
    assert vault.folder.detached() == []
