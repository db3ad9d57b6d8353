"""Sixteen sessions of Microsoft's clients that read while backups and restores run."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from clients.client import Client
from clients.served import PASSWORDS

pytest_plugins = ["clients.fixtures"]

SESSION_COUNT = 16
WARM_UP_S = 4.0
READING_S = 8.0
GROWTH_BYTE_COUNT_MAX = 48 << 20
"""What the server may hold more after the second reading than after the first: one reading answers hundreds of model
loads of some hundred kilobytes each, so that what is not let go would soon be more."""

FIRST = {"model": "['first'] 1", "roles": "['first']", "measures": "['1']", "rows": "2"}
SECOND = {"model": "['second'] 2", "roles": "['second']", "measures": "['2']"}


def resident_byte_count(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def crowd(served):
    """A process of its own: its threads must not take turns with the one that restores."""
    with Client(served.url, PASSWORDS) as one:
        yield one


@pytest.fixture
def moving(client):
    """A database, and two backups to restore over it by turns; they differ in roles, measures and rows."""
    client.backup("Large", "large.abf", overwrite=True, compress=False)
    for file, source, number in (("first.abf", "sales.abf", "1"), ("second.abf", "large.abf", "2")):
        client.restore(source, "Moving", overwrite=True)
        client.add_role("Moving", file.removesuffix(".abf"), "Read", [])
        client.add_measure("Moving", "Sales", "Which", number)
        client.backup("Moving", file, overwrite=True, compress=False)
    yield "Moving"
    client.drop("Moving")


def read_while_it_moves(crowd, client, moving, seconds: float) -> tuple[dict, int]:
    """What the crowd was answered, and how often the database was restored meanwhile."""
    answers: list[dict] = []
    reading = threading.Thread(
        target=lambda: answers.append(
            crowd.read_together(moving, "Sales", session_count=SESSION_COUNT, seconds=seconds)
        )
    )
    end_s = time.monotonic() + seconds
    reading.start()
    restore_count = 0
    while time.monotonic() < end_s:
        client.backup(moving, "moving.abf", overwrite=True, compress=False)
        client.restore(("first.abf", "second.abf")[restore_count % 2], moving, overwrite=True)
        restore_count += 1
    reading.join()
    return answers[0], restore_count


def test_sixteen_sessions_read_whole_versions_while_backups_and_restores_run(client, crowd, served, moving):
    read_while_it_moves(crowd, client, moving, WARM_UP_S)
    before = resident_byte_count(served.process_id)
    told, restore_count = read_while_it_moves(crowd, client, moving, READING_S)
    after = resident_byte_count(served.process_id)
    assert not told["errors"]
    seen = {(kind, answer) for kind, answer, _ in told["answers"]}
    rows = {("rows", str(client.count_rows("EVALUATE TOPN(1000, 'Sales')", "Large")))}
    assert seen <= {*FIRST.items(), *SECOND.items()} | rows, "each answer is of one version"
    assert rows < seen
    for version in (FIRST, SECOND):  # how often each question was answered is the machine's affair
        assert seen & {*version.items()}, "each version was seen"
    assert sum(count for _, _, count in told["answers"]) > SESSION_COUNT
    assert restore_count >= 2
    assert after - before < GROWTH_BYTE_COUNT_MAX, f"{before >> 20} MiB before, {after >> 20} MiB after"
