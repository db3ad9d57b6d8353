"""The audit log of operations: who did what with which result, and not one secret in anything that is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from operated_server import ADA, ROOT, key, make_shop, operated_server

from tabvault.errors import (
    DatabaseExistsError,
    JobConflictError,
    ObjectExistsError,
    PasswordError,
    PasswordSuperfluousError,
    StorageError,
)
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.storage.server_state.firewall_rules import FirewallSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from operated_server import OperatedServer

    from tabvault.storage.server_state.audit_line import AuditLine

PASSWORD = "S3cret-Gr\u00fc\u00dfe-7f1c"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OperatedServer]:
    make_shop(tmp_path / "data")
    with operated_server(tmp_path / "data") as made:
        yield made


def lines(server: OperatedServer) -> list[AuditLine]:
    return list(reversed(list(server.audit.read())))


def run(server: OperatedServer, task: Task) -> object:
    return server.operations.run(ADA, task)


def test_each_operation_has_a_begin_and_an_end_that_say_who_what_and_with_which_result(
    server: OperatedServer,
) -> None:
    operations = server.operations
    run(server, operations.backups.backup(ADA, "shop", "taken.abf"))
    run(server, operations.backups.verify(ADA, "shop"))
    run(server, operations.backups.restore(ADA, "taken.abf", "shop", overwrite=True))
    with operations.alterations.begin(ADA, "shop") as alteration:
        alteration.rename("store")
        run(server, operations.alterations.commit(ADA, alteration))
    nightly = key(ROOT, "admin")
    operations.run(nightly, operations.databases.create(nightly, "new", compatibility_level=1500))
    operations.run(nightly, operations.databases.detach(nightly, "new"))
    operations.run(nightly, operations.databases.attach(nightly, "new"))
    operations.run(nightly, operations.databases.drop(nightly, "new"))
    operations.run(nightly, operations.backups.verify_file(nightly, "taken.abf", None))
    with pytest.raises(PasswordSuperfluousError):
        operations.run(ROOT, operations.backups.restore(ROOT, "taken.abf", "wrong", password=PASSWORD))
    with pytest.raises(ObjectExistsError):
        run(server, operations.backups.backup(ADA, "store", "taken.abf"))
    with pytest.raises(DatabaseExistsError):
        operations.run(ROOT, operations.databases.create(ROOT, "store", compatibility_level=1500))

    ada = ("ada", "basic", "10.0.0.7", "xmla")
    by_key = ("root (API key nightly)", "api_key", "10.0.0.8", "rest")
    root = ("root", "basic", "10.0.0.7", "xmla")
    expected = [
        (*ada, "backup", "shop", "success", None),
        (*ada, "verify", "shop", "success", None),
        (*ada, "restore", "shop", "success", None),
        (*ada, "alter", "shop", "success", None),
        (*by_key, "create", "new", "success", None),
        (*by_key, "detach", "new", "success", None),
        (*by_key, "attach", "new", "success", None),
        (*by_key, "drop", "new", "success", None),
        (*by_key, "verify", "taken.abf", "success", None),
        (*root, "restore", "wrong", "failure", PasswordSuperfluousError.code),
        (*ada, "backup", "store", "failure", ObjectExistsError.code),
        (*root, "create", "store", "failure", DatabaseExistsError.code),
    ]
    written = lines(server)
    begins = [line for line in written if line.phase == "begin"]
    ends = {line.begin: line for line in written if line.phase == "end"}
    assert len(written) == len(begins) + len(ends)
    found = []
    for begin in begins:
        end = ends[begin.sequence]
        assert (begin.result, begin.code) == (None, None)
        for one in (begin, end):
            who = (one.who, one.authentication, one.address, one.interface, one.operation, one.object)
            assert who == (end.who, end.authentication, end.address, end.interface, end.operation, end.object)
        assert server.runner.get(end.job).kind == end.operation
        found.append((*who, end.result, end.code))
    assert found == expected
    assert server.audit.verify_chain().faults == ()


def test_an_operation_that_is_no_job_has_its_two_lines_as_well(server: OperatedServer) -> None:
    administration = server.administration
    administration.create_user(ROOT, "eve", PASSWORD, is_server_administrator=False)
    administration.set_password(ROOT, "eve", PASSWORD + "2")
    record, secret = administration.create_api_key(ROOT, "eve", "k", ["read"], databases=["shop"], expires=None)
    administration.revoke_api_key(ROOT, record.id)
    administration.remove_user(ROOT, "eve")
    administration.replace_firewall(ROOT, FirewallSettings(False, ()))
    administration.set_identity_providers(ROOT, ())
    administration.configure_storage(ROOT, server.vault.settings)
    with server.files.create(ROOT, "up.bin", overwrite=False, byte_count=3) as upload:
        upload.write(b"abc")
        upload.finish()
    server.files.remove(ROOT, "up.bin")
    operations = [
        ("create_user", "eve"),
        ("set_password", "eve"),
        ("create_api_key", "k"),
        ("revoke_api_key", record.id),
        ("remove_user", "eve"),
        ("configure_firewall", None),
        ("set_identity_providers", None),
        ("configure_storage", None),
        ("put_file", "up.bin"),
        ("remove_file", "up.bin"),
    ]
    written = [(line.phase, line.operation, line.object, line.result) for line in lines(server)]
    assert written == [
        row for operation in operations for row in (("begin", *operation, None), ("end", *operation, "success"))
    ]
    assert secret.encode() not in everything(server)


def everything(server: OperatedServer) -> bytes:
    """All bytes of all files that the server writes of itself."""
    files = [path for path in server.state.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    return b"".join(path.read_bytes() for path in files)


def test_no_record_holds_a_password(server: OperatedServer) -> None:
    operations = server.operations
    run(server, operations.backups.backup(ADA, "shop", "secret.abf", password=PASSWORD))
    run(server, operations.backups.restore(ADA, "secret.abf", "shop", overwrite=True, password=PASSWORD))
    with pytest.raises(PasswordError):
        operations.run(ROOT, operations.backups.restore(ROOT, "shop.abf", "wrong", password=PASSWORD))
    server.administration.create_user(ROOT, "eve", PASSWORD, is_server_administrator=False)
    recorded = everything(server)
    assert b"secret.abf" in recorded
    for secret in (PASSWORD.encode(), PASSWORD.encode("utf-16-le"), b"S3cret"):
        assert secret not in recorded


def test_a_job_that_never_was_has_an_end_that_says_why(server: OperatedServer) -> None:
    conflicting = Task(JobKind.BACKUP, "shop", {}, lambda _: run(server, operations_backup(server)))
    with pytest.raises(JobConflictError):
        run(server, conflicting)
    inner, outer = (line for line in lines(server) if line.phase == "end")
    assert (inner.result, inner.code, inner.job) == ("failure", JobConflictError.code, None)
    assert (outer.result, outer.code) == ("failure", JobConflictError.code)
    assert outer.job is not None


def operations_backup(server: OperatedServer) -> Task:
    return server.operations.backups.backup(ADA, "shop", "second.abf")


CALLS: dict[str, Callable[[OperatedServer], object]] = {
    "backup": lambda server: run(server, server.operations.backups.backup(ADA, "shop", "new.abf")),
    "submitted backup": lambda server: server.operations.submit(
        ADA, server.operations.backups.backup(ADA, "shop", "new.abf")
    ),
    "restore": lambda server: run(server, server.operations.backups.restore(ADA, "shop.abf", "shop", overwrite=True)),
    "drop": lambda server: run(server, server.operations.databases.drop(ADA, "shop")),
    "detach": lambda server: run(server, server.operations.databases.detach(ADA, "shop")),
    "create": lambda server: server.operations.run(
        ROOT, server.operations.databases.create(ROOT, "new", compatibility_level=1500)
    ),
    "create user": lambda server: server.administration.create_user(ROOT, "eve", "p", is_server_administrator=True),
    "remove file": lambda server: server.files.remove(ROOT, "shop.abf"),
    "put file": lambda server: server.files.create(ROOT, "new.abf", overwrite=False, byte_count=1),
    "firewall": lambda server: server.administration.replace_firewall(ROOT, FirewallSettings(True, ())),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_cannot_be_written_into_the_audit_log_is_not_done(server: OperatedServer, what: str) -> None:
    """A file stands where its folder would be: as for a full disk, no line can be added."""
    (server.state / "audit").write_bytes(b"")
    before = [*server.vault.folder.databases(), *server.vault.store.list("")]
    with pytest.raises(StorageError, match="is refused, since it cannot be written into the audit log"):
        CALLS[what](server)
    assert [*server.vault.folder.databases(), *server.vault.store.list("")] == before
    assert server.runner.list() == ()
    assert server.administration.users(ROOT) == ()
    assert not server.administration.firewall(ROOT).enabled
