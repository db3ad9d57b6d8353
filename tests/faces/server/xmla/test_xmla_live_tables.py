"""Live tables over XMLA and REST: a Cancel that reaches the source, and what roles keep back of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from faces.server.services import ADMINISTRATOR, MEMBER, LocalServer, local_server
from faces.server.xmla import xmla_wire as wire
from tabvault.jobs.creation import create_database
from tabvault.model.tmsl.parse import object_tree
from tabvault.sources.data_source import parse_definition
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sources.postgresql import PostgreSqlServer

PATIENCE_S = 20.0
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabvault' AND wait_event = 'PgSleep'"
CANCELLED = "Cancelled by a Cancel command."


def column(name: str, data_type: str = "int64") -> dict[str, Any]:
    return {"name": name, "dataType": data_type, "sourceColumn": name}


def table(name: str, query: str, *columns: dict[str, Any], mode: str = "directQuery") -> dict[str, Any]:
    source = {"type": "query", "query": query, "dataSource": "Warehouse"}
    return {"name": name, "columns": list(columns), "partitions": [{"name": name, "mode": mode, "source": source}]}


ROWS = 'SELECT x AS "X", \'kept back \' || x AS "Secret" FROM generate_series(1, 5) x'
SHOP = {
    "tables": [
        table("Slow", "SELECT * FROM dq_slow", column("X")),
        table("Open", ROWS, column("X"), column("Secret", "string")),
        table("Loaded", ROWS, column("X"), column("Secret", "string"), mode="import"),
        table("Hidden", ROWS, column("X")),
        table("HiddenLoaded", ROWS, column("X"), mode="import"),
    ],
    "roles": [
        {
            "name": "Reader",
            "modelPermission": "read",
            "members": [{"memberName": MEMBER[0]}],
            "tablePermissions": [
                {"name": "Hidden", "metadataPermission": "none"},
                {"name": "HiddenLoaded", "metadataPermission": "none"},
                {"name": "Open", "columnPermissions": [{"name": "Secret", "metadataPermission": "none"}]},
                {"name": "Loaded", "columnPermissions": [{"name": "Secret", "metadataPermission": "none"}]},
            ],
        }
    ],
}
FILTERED = {
    "tables": [table("Open", ROWS, column("X")), table("Loaded", ROWS, column("X"), mode="import")],
    "roles": [
        {
            "name": "Reader",
            "modelPermission": "read",
            "members": [{"memberName": MEMBER[0]}],
            "tablePermissions": [{"name": "Open", "filterExpression": "[X] = 1"}],
        }
    ],
}


@pytest.fixture(scope="module")
def local(postgresql: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    postgresql.execute('CREATE VIEW dq_slow AS SELECT 1 AS "X" FROM pg_sleep(600)')
    address = f"Host=127.0.0.1;Port={postgresql.port};Database=postgres;Username={postgresql.user}"
    source = {"name": "Warehouse", "connectionString": address, "provider": "Npgsql"}
    definition, _ = parse_definition(connection_string=address, provider="Npgsql")
    with local_server(tmp_path_factory.mktemp("live")) as server:
        for name, model in (("shop", SHOP), ("walled", FILTERED)):
            tree = object_tree("Model", {**model, "dataSources": [source]}, place="model")
            create_database(server.service.folder, name, compatibility_level=1550, model=tree)
            access = server.service.vault.sources.access(server.service.folder.find(name))
            access.bind("Warehouse", definition, user=postgresql.user, password=postgresql.password)
            answer = server.client().post(f"/api/databases/{name}/refreshes", json={"type": "full"})
            assert answer.status_code == 202, answer.text
            finished = lambda url=answer.headers["location"]: server.client().get(url).json()["status"]  # noqa: E731
            eventually(lambda finished=finished: finished() == "succeeded")
        yield server
    postgresql.execute("DROP VIEW dq_slow")


def xmla(server: LocalServer, body: bytes, user: tuple[str, str] = ADMINISTRATOR) -> wire.Answer:
    headers = {"Content-Type": "text/xml", "Authorization": wire.basic(user)}
    with wire.Client(server.url, headers, timeout_s=PATIENCE_S) as client:
        return client.post(body)


def test_a_cancel_stops_a_source_that_gave_no_row_yet(local: LocalServer, postgresql: PostgreSqlServer) -> None:
    session_id = xmla(local, wire.begin_session()).session_id
    answers: list[wire.Answer] = []
    use = "<Statement>EVALUATE Slow</Statement>"
    thread = threading.Thread(target=lambda: answers.append(xmla(local, wire.in_session(session_id, use))))
    thread.start()
    with postgresql.connect() as connection:
        eventually(lambda: connection.execute(SLEEPING).fetchall() == [(1,)])
        cancel = wire.engine("Cancel", f"<SessionID>{session_id}</SessionID>")
        assert xmla(local, wire.execute(cancel)).fault is None
        thread.join(PATIENCE_S)
        [answer] = answers
        assert answer.fault == CANCELLED
        eventually(lambda: connection.execute(SLEEPING).fetchall() == [(0,)])
    assert xmla(local, wire.in_session(session_id, "<Statement>EVALUATE Open</Statement>")).row_count == 5
    assert not [session for session in local.service.sessions if session.running]


def asked(server: LocalServer, question: dict[str, str], user: tuple[str, str] = MEMBER) -> tuple[int, Any]:
    answer = server.client(user).post("/api/databases/shop/query", json=question)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", ["Open", "Loaded"])
def test_a_hidden_column_is_not_there_whether_its_table_is_live_or_loaded(local: LocalServer, name: str) -> None:
    assert asked(local, {"sql": f"SELECT * FROM {name} ORDER BY X"})[1]["rows"] == [[1], [2], [3], [4], [5]]
    assert sorted(asked(local, {"dax": f"EVALUATE {name}"})[1]["rows"]) == [[1], [2], [3], [4], [5]]
    assert asked(local, {"dax": f"EVALUATE TOPN(2, {name})"}, ADMINISTRATOR)[1]["rows"][0][1].startswith("kept back")
    for text in (f"SELECT Secret FROM {name}", f"SELECT X FROM {name} WHERE Secret = 'kept back 1'"):
        status, problem = asked(local, {"sql": text})
        assert (status, problem["code"]) == (400, "query")
        assert "not found" in problem["detail"]
    answer = xmla(local, wire.statement(f"EVALUATE {name}", catalog="shop"), MEMBER)
    assert answer.row_count == 5
    assert b"Secret" not in answer.body
    assert b"kept back" not in answer.body


@pytest.mark.parametrize("name", ["Hidden", "HiddenLoaded"])
def test_a_hidden_table_is_not_there_whether_it_is_live_or_loaded(local: LocalServer, name: str) -> None:
    status, problem = asked(local, {"sql": f"SELECT * FROM {name}"})
    assert (status, problem["code"]) == (400, "query")
    assert f"there is no table '{name}'" in problem["detail"]
    assert asked(local, {"dax": f"EVALUATE {name}"})[1]["detail"].endswith(f"Cannot find table '{name}'")
    fault = xmla(local, wire.statement(f"EVALUATE {name}", catalog="shop"), MEMBER).fault
    assert fault is not None
    assert f"Cannot find table '{name}'" in fault.replace("&apos;", "'")
    assert name not in str(asked(local, {"sql": "SHOW TABLES"}))
    assert asked(local, {"sql": f"SELECT * FROM {name}"}, ADMINISTRATOR)[0] == 200


@pytest.mark.parametrize("name", ["Open", "Loaded"])
def test_who_is_bound_by_a_row_filter_is_refused_on_every_table(local: LocalServer, name: str) -> None:
    client = local.client(MEMBER)
    for question in ({"sql": f"SELECT * FROM {name}"}, {"dax": f"EVALUATE {name}"}):
        answer = client.post("/api/databases/walled/query", json=question)
        assert answer.status_code == 403
        assert answer.json()["code"] == "access_row_filter"
    fault = xmla(local, wire.statement(f"EVALUATE {name}", catalog="walled"), MEMBER).fault
    assert fault is not None
    assert "cannot query" in fault
    assert local.client().post("/api/databases/walled/query", json={"dax": f"EVALUATE {name}"}).status_code == 200
