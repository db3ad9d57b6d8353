"""Questions whose client waits, half-closes its connection or goes; and answers that do not come to their end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from faces.server.services import ADMINISTRATOR, LocalServer, local_server
from faces.server.xmla import xmla_wire as wire
from tabvault.faces.server import application
from tabvault.faces.server.waiting_client import WaitingClient
from tabvault.jobs.creation import create_database
from tabvault.model.tmsl.parse import object_tree
from tabvault.sources.data_source import parse_definition
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sources.postgresql import PostgreSqlServer

PATIENCE_S = 20.0
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabvault' AND wait_event = 'PgSleep'"

BEGUN = (
    'SELECT x AS "X", repeat(\'x\', 2000) AS "Text" FROM generate_series(1, 6000) x '
    "WHERE x < 6000 OR pg_sleep(600) IS NOT NULL"
)
"""More rows than the driver holds at a time (4 MiB), and then none for long."""


FAILING = 'SELECT 10 / (6000 - x) AS "X", repeat(\'x\', 2000) AS "Text" FROM generate_series(1, 6000) x'
"""As many rows, and then an error."""


def table(name: str, query: str) -> dict[str, Any]:
    source = {"type": "query", "query": query, "dataSource": "Warehouse"}
    columns = [{"name": "X", "dataType": "int64", "sourceColumn": "X"}]
    if "Text" in query:
        columns.append({"name": "Text", "dataType": "string", "sourceColumn": "Text"})
    return {"name": name, "columns": columns, "partitions": [{"name": name, "mode": "directQuery", "source": source}]}


HELD = 4711
"""Number of the lock on which the rows of a table wait."""

QUESTION_THREAD_COUNT = 2

COMPUTING = "SELECT count(*) FROM {}range(100000000000) a, range(1000) b"
"""Years of work."""


TABLES = [
    table("Silent", "SELECT * FROM gone_silent"),
    table("Begun", BEGUN),
    table("Failing", FAILING),
    table("One", 'SELECT 1 AS "X"'),
    table("Held", f'SELECT 1 AS "X" FROM (SELECT pg_advisory_xact_lock_shared({HELD})) held'),
]


@pytest.fixture(scope="module")
def local(postgresql: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    postgresql.execute('CREATE VIEW gone_silent AS SELECT 1 AS "X" FROM pg_sleep(600)')
    address = f"Host=127.0.0.1;Port={postgresql.port};Database=postgres;Username={postgresql.user}"
    source = {"name": "Warehouse", "connectionString": address, "provider": "Npgsql"}
    definition, _ = parse_definition(connection_string=address, provider="Npgsql")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "QUESTION_THREAD_COUNT", QUESTION_THREAD_COUNT)
        stack = contextlib.ExitStack()
        server = stack.enter_context(local_server(tmp_path_factory.mktemp("gone")))
    with stack:
        plain = object_tree("Model", {}, place="model")
        create_database(server.service.folder, "plain", compatibility_level=1550, model=plain)
        tree = object_tree("Model", {"tables": TABLES, "dataSources": [source]}, place="model")
        create_database(server.service.folder, "shop", compatibility_level=1550, model=tree)
        access = server.service.vault.sources.access(server.service.folder.find("shop"))
        access.bind("Warehouse", definition, user=postgresql.user, password=postgresql.password)
        yield server
    postgresql.execute("DROP VIEW gone_silent")


@pytest.fixture
def sleeping(postgresql: PostgreSqlServer) -> Iterator[Callable[[int], None]]:
    """Waits until so many questions sleep in the source."""
    with postgresql.connect() as connection:
        yield lambda count: eventually(lambda: connection.execute(SLEEPING).fetchall() == [(count,)])


@pytest.fixture
def held(postgresql: PostgreSqlServer) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Waits until a question waits for the rows of ``Held``; lets them come."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabvault' AND wait_event = 'advisory'"
    with postgresql.connect() as connection:
        connection.execute(f"SELECT pg_advisory_lock({HELD})")
        yield (
            lambda: eventually(lambda: connection.execute(waiting).fetchall() == [(1,)]),
            lambda: connection.execute(f"SELECT pg_advisory_unlock({HELD})"),
        )
        connection.execute("SELECT pg_advisory_unlock_all()")


def sent(server: LocalServer, path: str, body: bytes, *headers: str, version: str = "1.1") -> socket.socket:
    """A connection on which a request was sent, and no answer read."""
    address = urlsplit(server.url)
    head = [
        f"POST {path} HTTP/{version}",
        f"Host: {address.netloc}",
        f"Authorization: {wire.basic(ADMINISTRATOR)}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    connection = socket.create_connection((address.hostname, address.port), PATIENCE_S)
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return connection


def asked(
    server: LocalServer,
    question: dict[str, str],
    *more: str,
    accept: str = "text/csv",
    database: str = "shop",
    **options: str,
) -> socket.socket:
    headers = "Content-Type: application/json", f"Accept: {accept}", *more
    return sent(server, f"/api/databases/{database}/query", json.dumps(question).encode(), *headers, **options)


def execute(server: LocalServer, body: bytes) -> socket.socket:
    return sent(server, "/xmla", body, "Content-Type: text/xml")


def envelope(connection: socket.socket) -> bytes:
    """An answer over XMLA."""
    answer = bytearray()
    while b"</soap:Envelope>" not in answer[-64:]:
        piece = connection.recv(1 << 20)
        assert piece, "it was cut off"
        answer += piece
    return bytes(answer)


def is_idle(server: LocalServer) -> bool:
    """Whether nothing of an answer is left."""
    kept = server.service.operations._opened._kept.values()
    return not any(session.running for session in server.service.sessions) and all(not one.user_count for one in kept)


@pytest.mark.parametrize(
    "question",
    [
        {"sql": "SELECT * FROM Silent"},  # asked as a whole
        {"sql": "SELECT X + 0 FROM Silent"},  # done here, over its rows
        {"dax": "EVALUATE Silent"},
    ],
)
def test_a_source_that_gave_no_row_stops_when_a_rest_client_goes(
    local: LocalServer, sleeping: Callable[[int], None], question: dict[str, str]
) -> None:
    with asked(local, question):
        sleeping(1)
    sleeping(0)
    eventually(lambda: is_idle(local))


@pytest.mark.parametrize("question", [{"sql": "SELECT * FROM Begun"}, {"dax": "EVALUATE Begun"}])
def test_a_source_that_fell_silent_after_its_first_rows_stops_when_a_rest_client_goes(
    local: LocalServer, sleeping: Callable[[int], None], question: dict[str, str]
) -> None:
    with asked(local, question) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        sleeping(1)
    sleeping(0)
    eventually(lambda: is_idle(local))


@pytest.mark.parametrize(("database", "tables"), [("plain", ""), ("shop", "One, ")])
def test_a_question_that_is_computed_here_stops_when_its_client_goes(
    local: LocalServer, database: str, tables: str
) -> None:
    with asked(local, {"sql": COMPUTING.format(tables)}, database=database):
        eventually(lambda: not is_idle(local))
    eventually(lambda: is_idle(local) and question_counts(local) == (0, 0))


def question_counts(server: LocalServer) -> tuple[int, int]:
    """Questions that have a thread, and that wait for one."""
    lines = dict(line.rsplit(" ", 1) for line in server.client().get("/metrics").text.splitlines() if line[0] != "#")
    running, queued = (float(lines[f'tabvault_questions_active{{state="{state}"}}']) for state in ("running", "queued"))
    return int(running), int(queued)


def test_questions_that_wait_keep_nobody_else_waiting(local: LocalServer, sleeping: Callable[[int], None]) -> None:
    """More than there are threads for everybody (40)."""
    client = local.client()
    headers = {"Content-Type": "text/xml"}
    begun = client.post("/xmla", content=wire.begin_session(), headers=headers)
    session_id = wire.Answer(begun.status_code, begun.headers, begun.content).session_id
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(execute(local, wire.in_session(session_id, SILENT, catalog="shop")))
        sleeping(1)
        with contextlib.ExitStack() as others:
            for _ in range(22):
                others.enter_context(asked(local, {"sql": "SELECT * FROM Silent"}))
                others.enter_context(execute(local, wire.statement("EVALUATE Silent", catalog="shop")))
            eventually(lambda: question_counts(local) == (QUESTION_THREAD_COUNT, 44 - 1))
            assert client.get("/readyz").status_code == 200
            assert client.get("/api/databases").status_code == 200
            cancel = wire.execute(wire.engine("Cancel", f"<SessionID>{session_id}</SessionID>"))
            told = client.post("/xmla", content=cancel, headers=headers)
            assert wire.Answer(told.status_code, told.headers, told.content).fault is None
            assert b"Cancelled by a Cancel command." in envelope(first)
            eventually(lambda: question_counts(local) == (QUESTION_THREAD_COUNT, 44 - 2))
        # Whoever goes leaves the queue.
        eventually(lambda: question_counts(local) == (0, 0))
    sleeping(0)
    eventually(lambda: is_idle(local))


SILENT = "<Statement>EVALUATE Silent</Statement>"


def test_a_source_that_gave_no_row_stops_when_an_xmla_client_goes(
    local: LocalServer, sleeping: Callable[[int], None]
) -> None:
    with execute(local, wire.statement("EVALUATE Silent", catalog="shop")):
        sleeping(1)
    sleeping(0)
    eventually(lambda: is_idle(local))


def begun_batch(server: LocalServer) -> tuple[str, bytes]:
    """A session, and a Batch in it of three questions that begin to be answered, and of which none comes to its end."""
    client = server.client()
    headers = {"Content-Type": "text/xml"}
    begun = client.post("/xmla", content=wire.begin_session(), headers=headers)
    session_id = wire.Answer(begun.status_code, begun.headers, begun.content).session_id
    chosen = wire.in_session(session_id, "<Statement/>", catalog="shop")
    assert client.post("/xmla", content=chosen, headers=headers).status_code == 200
    questions = "".join(f"<Statement>EVALUATE {name}</Statement>" for name in ("Begun", "Begun", "Begun"))
    return session_id, wire.in_session(session_id, wire.engine("Batch", questions))


def obeyed(server: LocalServer, command: bytes) -> None:
    told = server.client().post("/xmla", content=command, headers={"Content-Type": "text/xml"})
    assert wire.Answer(told.status_code, told.headers, told.content).fault is None


def test_a_cancel_stops_all_questions_of_a_batch(local: LocalServer, sleeping: Callable[[int], None]) -> None:
    session_id, batch = begun_batch(local)
    with execute(local, batch) as connection:
        sleeping(3)
        cancel = wire.execute(wire.engine("Cancel", f"<SessionID>{session_id}</SessionID>"))
        obeyed(local, cancel)
        sleeping(0)
        assert b"Cancelled by a Cancel command." in envelope(connection)
    eventually(lambda: is_idle(local))


def test_all_questions_of_a_batch_stop_when_their_client_goes(
    local: LocalServer, sleeping: Callable[[int], None]
) -> None:
    _, batch = begun_batch(local)
    with execute(local, batch):
        sleeping(3)
    sleeping(0)
    eventually(lambda: is_idle(local))


def test_what_a_client_sends_behind_its_request_does_not_hide_that_it_goes(
    local: LocalServer, sleeping: Callable[[int], None]
) -> None:
    for more in (b"\r\n", b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"):
        with asked(local, {"dax": "EVALUATE Silent"}) as connection:
            sleeping(1)
            connection.sendall(more)
        sleeping(0)


def test_a_batch_that_changes_something_goes_on_without_its_client(
    local: LocalServer, held: tuple[Callable[[], None], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waited_for, release = held
    left = threading.Event()
    leave = WaitingClient._leave

    def seen(client: WaitingClient) -> None:
        leave(client)
        left.set()

    monkeypatch.setattr(WaitingClient, "_leave", seen)
    before, after = ("<Statement>" + wire.escaped(json.dumps(created(name))) + "</Statement>" for name in MADE)
    batch = wire.engine("Batch", f"{before}<Statement>EVALUATE Held</Statement>{after}")
    with execute(local, wire.execute(batch, properties="<Catalog>shop</Catalog>")):
        is_waited_for()
    assert left.wait(PATIENCE_S)
    release()
    eventually(lambda: is_idle(local))
    eventually(lambda: set(MADE) <= {info.name for info in local.service.folder.databases()})


MADE = ("made before", "made after")


def created(name: str) -> dict[str, Any]:
    return {"create": {"database": {"name": name, "compatibilityLevel": 1550, "model": {}}}}


# ---- sessions that end


@pytest.mark.parametrize("how", ["pause", "end of the session"])
def test_the_questions_of_a_session_are_cancelled_when_it_ends(
    local: LocalServer, sleeping: Callable[[int], None], how: str
) -> None:
    session_id, batch = begun_batch(local)
    with execute(local, batch) as connection:
        sleeping(3)
        if how == "pause":
            local.service.pausing.pause(0.0)
            local.service.pausing.resume()
        else:
            end = wire.in_session(session_id, "<Statement/>", name="EndSession")
            obeyed(local, end)
        sleeping(0)
        assert b"its session has ended" in envelope(connection)
    eventually(lambda: is_idle(local))


def test_a_question_without_a_session_is_cancelled_by_a_pause(
    local: LocalServer, sleeping: Callable[[int], None]
) -> None:
    with execute(local, wire.statement("EVALUATE Silent", catalog="shop")) as connection:
        sleeping(1)
        local.service.pausing.pause(0.0)
        local.service.pausing.resume()
        assert b"its session has ended" in envelope(connection)
    sleeping(0)


def test_a_question_may_end_while_a_pause_waits_for_it(
    local: LocalServer, held: tuple[Callable[[], None], ...]
) -> None:
    is_waited_for, release = held
    with execute(local, wire.statement("EVALUATE Held", catalog="shop")) as connection:
        is_waited_for()
        pausing = threading.Thread(target=local.service.pausing.pause, args=(PATIENCE_S,))
        pausing.start()
        eventually(lambda: local.service.pausing.is_paused)
        release()
        assert b"<row>" in envelope(connection)
        pausing.join(PATIENCE_S)
        local.service.pausing.resume()


# ---- clients that send no more, and wait for their answer


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_who_half_closes_his_connection_gets_his_answer(local: LocalServer, version: str) -> None:
    json_text, xml = "Content-Type: application/json", "Content-Type: text/xml"
    question = json.dumps({"sql": "SELECT 7 AS a"}).encode()
    for path, body, headers, wanted in (
        ("/api/databases/shop/query", question, (json_text, "Accept: text/csv"), b"\n7\r\n"),
        ("/xmla", DMV, (xml,), b"</soap:Envelope>"),
        ("/api/databases/shop/drop", b"", (), b"not_found"),
    ):
        with sent(local, path, body, *headers, version=version) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert wanted in received(connection)
    with asked(local, {"sql": "SELECT 7 AS a"}) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert received(connection).count(b"HTTP/1.1 200 OK") == 2


DMV = wire.execute("<Statement>SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS</Statement>")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_who_half_closes_his_connection_may_wait_long(
    local: LocalServer, held: tuple[Callable[[], None], ...], version: str
) -> None:
    is_waited_for, release = held
    with asked(local, {"dax": "EVALUATE Held"}, version=version) as connection:
        is_waited_for()
        connection.shutdown(socket.SHUT_WR)
        interim = connection.recv(25) if version == "1.1" else b""
        assert interim in (b"", b"HTTP/1.1 100 Continue\r\n\r\n")
        release()
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\n1\r\n" in answer


def test_a_line_end_behind_the_last_request_does_not_spoil_its_answer(
    local: LocalServer, held: tuple[Callable[[], None], ...]
) -> None:
    is_waited_for, release = held
    with asked(local, {"dax": "EVALUATE Held"}, "Connection: close") as connection:
        is_waited_for()
        connection.sendall(b"\r\n")
        release()
        assert received(connection).startswith(b"HTTP/1.1 200 OK\r\n")


# ---- an error after the first rows


@pytest.mark.parametrize("form", ["text/csv", "application/vnd.apache.arrow.stream"])
def test_an_answer_that_fails_after_its_first_rows_has_no_last_chunk(
    local: LocalServer, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    with asked(local, {"sql": "SELECT * FROM Failing"}, accept=form) as connection:
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert b"xxx" in body
    assert not body.endswith(b"0\r\n\r\n")
    assert b"division by zero" not in body
    assert_logged(caplog)


def test_a_client_library_takes_no_cut_off_answer_for_a_whole_one(
    local: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    question = {"sql": "SELECT * FROM Failing"}
    with pytest.raises(httpx.RemoteProtocolError):
        local.client().post("/api/databases/shop/query", json=question, headers={"Accept": "text/csv"})
    assert_logged(caplog)


def test_an_answer_without_chunks_that_fails_ends_with_a_reset(
    local: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As a proxy asks that speaks HTTP/1.0: the end of the connection is the end of the answer for it."""
    with asked(local, {"sql": "SELECT * FROM Failing"}, version="1.0") as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        with pytest.raises(ConnectionResetError):
            received(connection)
    assert_logged(caplog)


def received(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def assert_logged(caplog: pytest.LogCaptureFixture) -> None:
    def is_logged() -> bool:
        lines = [line for line in caplog.messages if line.startswith("an answer was cut off: ")]
        return any("division by zero" in line for line in lines)

    eventually(is_logged)
    assert not any("without completing response" in line for line in caplog.messages)
