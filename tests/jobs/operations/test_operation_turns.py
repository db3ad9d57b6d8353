"""
What was allowed when it was asked for is asked again at its turn.

One job works at a time, and one that waits for the test holds the turn: what is asked for meanwhile is queued. Then the
database gets other roles, as a restore over it would give it, and the turn is let go.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest
from operated_server import ADA, ROOT, give_roles, make_shop, operated_server

from tabvault.errors import JobCancelledError, NotAuthorizedError, ObjectNotFoundError
from tabvault.jobs.access.authorization import DatabasePermissions
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.storage.server_state.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from operated_server import OperatedServer

    from tabvault.storage.server_state.job import Job


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OperatedServer]:
    make_shop(tmp_path / "data")
    with operated_server(tmp_path / "data", working_count_max=1) as made:
        yield made


@contextlib.contextmanager
def held_turn(server: OperatedServer) -> Iterator[None]:
    """Nobody's turn comes in this block."""
    begun, over = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        begun.set()
        assert over.wait(30)

    server.operations.submit(ROOT, Task(JobKind.VERIFY, None, {}, hold))
    assert begun.wait(30)
    try:
        yield
    finally:
        over.set()


def ended(server: OperatedServer, job: Job) -> Job:
    deadline_s = time.monotonic() + 30
    while not (now := server.runner.get(job.id)).state.is_final:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    return now


TASKS: dict[str, Callable[[OperatedServer], Task]] = {
    "backup": lambda server: server.operations.backups.backup(ADA, "shop", "taken.abf", password="hers"),
    "restore": lambda server: server.operations.backups.restore(ADA, "shop.abf", "shop", overwrite=True),
    "verify": lambda server: server.operations.backups.verify(ADA, "shop"),
    "drop": lambda server: server.operations.databases.drop(ADA, "shop"),
    "detach": lambda server: server.operations.databases.detach(ADA, "shop"),
    "create": lambda server: server.operations.databases.create(ADA, "shop", compatibility_level=1500, replace=True),
}


@pytest.mark.parametrize("what", TASKS)
def test_who_lost_his_role_while_he_waited_is_refused(server: OperatedServer, what: str) -> None:
    with held_turn(server):
        job = server.operations.submit(ADA, TASKS[what](server))
        give_roles(server.vault, "shop", {5: "somebody else", 2: "ada"})
        before = server.vault.folder.find("shop")
    after = ended(server, job)
    assert after.state is JobState.FAILED
    assert after.error is not None
    assert after.error.code == NotAuthorizedError.code
    assert server.vault.folder.find("shop") == before
    with pytest.raises(ObjectNotFoundError):
        server.vault.store.info("taken.abf")


@pytest.mark.parametrize("what", TASKS)
def test_who_keeps_his_role_is_not(server: OperatedServer, what: str) -> None:
    with held_turn(server):
        job = server.operations.submit(ADA, TASKS[what](server))
        give_roles(server.vault, "shop", {5: "ada"})
    assert ended(server, job).error is None


@pytest.mark.parametrize("what", ["backup", "verify", "drop", "detach", "create"])
def test_another_database_of_that_name_is_not_taken_for_the_one_that_was_asked_for(
    server: OperatedServer, what: str
) -> None:
    """Not even where he administers both: it is the other one's data that he would get, or lose."""
    with held_turn(server):
        job = server.operations.submit(ADA, TASKS[what](server))
        server.vault.own_folder.drop(server.vault.folder.find("shop"))
        give_roles(server.vault, "other", {5: "somebody else"}, name="shop")
        before = server.vault.folder.find("shop")
    error = ended(server, job).error
    assert error is not None
    assert error.code == NotAuthorizedError.code
    assert server.vault.folder.find("shop") == before


def test_a_restore_to_a_name_that_came_to_another_meanwhile_asks_that_ones_roles(server: OperatedServer) -> None:
    with held_turn(server):
        job = server.operations.submit(ADA, TASKS["restore"](server))
        server.vault.own_folder.drop(server.vault.folder.find("shop"))
        give_roles(server.vault, "other", {5: "somebody else"}, name="shop")
        before = server.vault.folder.find("shop")
    assert ended(server, job).state is JobState.FAILED
    assert server.vault.folder.find("shop") == before


def test_the_version_that_is_backed_up_is_the_one_whose_roles_were_asked(
    server: OperatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version is committed right after the question at the turn: it is not in the backup."""
    asked = DatabasePermissions.require_backup
    count = 0

    def ask_and_commit(self: DatabasePermissions) -> None:
        nonlocal count
        asked(self)
        count += 1
        if count == 2:
            give_roles(server.vault, "shop", {})

    with_roles = values_of_roles(server, "shop")
    task = server.operations.backups.backup(ADA, "shop", "taken.abf")
    monkeypatch.setattr(DatabasePermissions, "require_backup", ask_and_commit)
    count = 1
    server.operations.run(ADA, task)
    assert count == 2
    assert values_of_roles(server, "shop") == []
    assert values_of_roles(server, "storage:taken.abf") == with_roles != []


def values_of_roles(server: OperatedServer, database: str) -> list[object]:
    with server.vault.open(database) as opened:
        return sorted(str(row["Name"]) for row in opened.metadata.rows("Role", ["Name"]))


def test_a_commit_asks_again(server: OperatedServer) -> None:
    with server.operations.alterations.begin(ADA, "shop") as alteration:
        alteration.rename("mine")
        task = server.operations.alterations.commit(ADA, alteration)
        give_roles(server.vault, "shop", {2: "ada"})
        with pytest.raises(NotAuthorizedError):
            server.operations.run(ADA, task)
    assert server.vault.folder.find("shop").name == "shop"


def test_a_queued_job_that_is_cancelled_never_works(server: OperatedServer) -> None:
    with held_turn(server):
        job = server.operations.submit(ADA, TASKS["drop"](server))
        assert server.jobs.cancel(ADA, job.id).state is JobState.CANCELLED
    assert ended(server, job).error is not None
    assert ended(server, job).error.code == JobCancelledError.code
    assert server.vault.folder.find("shop").name == "shop"
