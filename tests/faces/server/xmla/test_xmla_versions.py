"""Reading while a database is restored over: each answer is of one version, and old versions do not stay."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from faces.server.xmla import xmla_wire as wire
from formats.xmla import requests as written
from tabvault.jobs.vault import Vault
from tabvault.testing.large_database import make_large

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces.served_process import Served

MIB = 1 << 20
READER_COUNT = 16
SINGLE, DOUBLE = 345, 690
"""Rows of fact_fx_rates in the genuine database, and in the one whose segments are there twice."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("versions") / "data"
    with Vault(data) as vault:
        vault.import_file(str(sample_path("rkapp22__Dashboard.SemanticModel_.pbi_cache.abf")), "fx")
        make_large(vault.own_folder, "fx", "twice", byte_count=1)
        vault.backup("fx", "single.abf")
        vault.backup("twice", "double.abf")
        vault.drop("twice")
        vault.import_file(str(sample_path("Hugoberry__DataModel.abf")), "small")
        make_large(vault.own_folder, "small", "large", byte_count=4 * MIB)
        vault.backup("small", "small.abf")
        vault.drop("small")
    with wire.serving(data) as made:
        yield made


def restore(served: Served, file: str, database: str) -> None:
    with wire.Client(served.url) as client:
        body = f"<File>{file}</File><DatabaseName>{database}</DatabaseName><AllowOverwrite>true</AllowOverwrite>"
        answer = client.post(wire.execute(wire.engine("Restore", body)))
    assert answer.fault is None, answer.fault


def version_folders(served: Served) -> list[Path]:
    return [path for path in (served.data / "databases").glob("*/*") if path.is_dir()]


def settles(look: object, wanted: object) -> bool:
    deadline_s = time.monotonic() + 20
    while look() != wanted:  # type: ignore[operator]
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def test_a_client_that_goes_away_in_a_long_answer_leaves_no_version_and_no_thread(served: Served) -> None:
    """What it was reading is let go of, and the next restore finds nobody in the old version."""
    databases = len(version_folders(served))
    body = wire.statement("EVALUATE 'Metrics'", catalog="large")
    with wire.Client(served.url) as client:
        assert len(client.post(body).body) > 4 * MIB
    for _ in range(3):
        open_files = wire.open_file_count(served.process.pid)
        connections = []
        for _ in range(12):
            connection = wire.connected(served)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(body)}") + body)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            connections.append(connection)
        for number, connection in enumerate(connections):
            if number % 2:  # half of them with a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert settles(lambda before=open_files: wire.open_file_count(served.process.pid) <= before, True)
    assert wire.thread_count(served.process.pid) < 64
    restore(served, "small.abf", "large")
    assert settles(lambda: len(version_folders(served)), databases)
    with wire.Client(served.url) as client:
        answer = client.post(wire.statement("EVALUATE 'Metrics'", catalog="large"))
    assert answer.row_count == 6145
    wire.assert_clean(served)


QUERY = wire.statement("EVALUATE TOPN(1000, 'fact_fx_rates')", catalog="fx")
TABLES = (
    '<Discover xmlns="urn:schemas-microsoft-com:xml-analysis"><RequestType>DISCOVER_STORAGE_TABLES</RequestType>'
    "<Restrictions><RestrictionList><DATABASE_NAME>fx</DATABASE_NAME></RestrictionList></Restrictions>"
    "<Properties><PropertyList/></Properties></Discover>"
)
MODEL = "".join(
    f'<Discover xmlns="urn:schemas-microsoft-com:xml-analysis"><RequestType>TMSCHEMA_{name}</RequestType>'
    "<Restrictions><RestrictionList><DatabaseName>fx</DatabaseName></RestrictionList></Restrictions>"
    "<Properties><PropertyList/></Properties></Discover>"
    for name in ("MODEL", "TABLES", "COLUMNS", "PARTITIONS", "RELATIONSHIPS")
)
LOAD = written.execute(f'<Batch Transaction="false" xmlns="{written.ENGINE}">{TABLES}{MODEL}{TABLES}</Batch>')


def row_counts(body: bytes) -> list[int]:
    """Of fact_fx_rates, in each rowset of storage tables."""
    rows = re.findall(rb"<row>.*?</row>", body, re.DOTALL)
    return [
        int(match[1])
        for row in rows
        if re.search(rb"<TABLE_ID>fact fx rates", row) and (match := re.search(rb"<ROWS_COUNT>(\d+)<", row))
    ]


@pytest.mark.slow
def test_sixteen_readers_see_whole_versions_while_backups_and_restores_run(served: Served) -> None:
    over = threading.Event()
    seen: list[set[int]] = [set() for _ in range(READER_COUNT)]
    answers = [0] * READER_COUNT
    problems: list[object] = []

    def read(number: int) -> None:
        try:
            with wire.Client(served.url) as client:
                client.post(wire.begin_session())
                while not over.is_set():
                    queried = client.post(QUERY)
                    loaded = client.post(LOAD)
                    counts = {queried.row_count, *row_counts(loaded.body)}
                    # One batch is of one version; the query before it may be of the one before.
                    whole = len(set(row_counts(loaded.body))) == 1 and counts <= {SINGLE, DOUBLE}
                    if not whole or b"rror" in queried.body or b"<faultstring>" in loaded.body:
                        problems.append((counts, queried.fault, loaded.fault, queried.body[-300:], loaded.body[-300:]))
                        return
                    seen[number] |= counts
                    answers[number] += 1
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            problems.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(READER_COUNT)]
    for reader in readers:
        reader.start()
    resident = []
    with wire.Client(served.url) as client:
        for round_number in range(4):
            restore(served, "single.abf" if round_number % 2 else "double.abf", "fx")
            answer = client.post(
                wire.statement('{"backup": {"database": "fx", "file": "again.abf", "allowOverwrite": true}}')
            )
            assert answer.fault is None, answer.fault
            goal = sum(answers) + READER_COUNT
            deadline_s = time.monotonic() + 30
            while sum(answers) < goal and not problems and time.monotonic() < deadline_s:
                time.sleep(0.02)
            resident.append(wire.resident_byte_count(served.process.pid))
    over.set()
    for reader in readers:
        reader.join(60)
    assert not problems
    assert min(answers) >= 2
    assert set().union(*seen) == {SINGLE, DOUBLE}
    assert resident[-1] < 1.25 * resident[1], resident
    assert settles(lambda: len({path.parent for path in version_folders(served)}) == len(version_folders(served)), True)
    wire.assert_clean(served)
