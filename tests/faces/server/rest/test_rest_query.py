"""Questions over REST: the same rows in three forms, and nothing that is hidden from the one who asks."""

from __future__ import annotations

import csv
import io
import json
import threading
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pytest

from faces.server.services import MEMBER, STRANGER, local_server
from tabvault.engine.sql import QueryResult, query_sql
from tabvault.errors import QueryError
from tabvault.faces.server.rest.row_formats import arrow_pieces, csv_pieces, json_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.server.services import LocalServer

ARROW = "application/vnd.apache.arrow.stream"
EMPLOYEES = "SELECT EmployeeID, EmployeeName, Department FROM Employee ORDER BY EmployeeID"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    samples = {"hiding": "Hugoberry__ols-sample-report.pbix", "filtering": "Hugoberry__rls-sample-report.pbix"}
    with local_server(tmp_path_factory.mktemp("local"), **samples) as running:
        # In the genuine model every role filters a table, too, which would refuse its members altogether.
        unfiltered = ("UPDATE TablePermission SET FilterExpression = NULL", ())
        running.edit_metadata("hiding", unfiltered)
        running.add_member("hiding", "Regional Sales Basic", MEMBER[0])
        running.add_member("filtering", "Asia", MEMBER[0])
        yield running


def ask(local: LocalServer, user=None, database="hiding", accept=None, **question) -> httpx.Response:
    client = local.client(user) if user else local.client()
    headers = {"Accept": accept} if accept else {}
    return client.post(f"/api/databases/{database}/query", json=question, headers=headers)


def truth(local: LocalServer, text: str) -> pa.Table:
    with local.service.vault.query("hiding", text) as answer:
        return pa.Table.from_batches(list(answer.batches), answer.schema)


def test_json_csv_and_arrow_have_the_rows_of_the_command_line(local):
    expected = truth(local, EMPLOYEES)
    assert expected.num_rows == 20
    answer = ask(local, sql=EMPLOYEES)
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert [column["name"] for column in document["columns"]] == expected.column_names
    assert document["rows"] == [list(row.values()) for row in expected.to_pylist()]
    assert document["row_count"] == 20
    assert "error" not in document
    text = ask(local, sql=EMPLOYEES, accept="text/csv")
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(text.text)))
    assert rows == [expected.column_names, *([str(v) for v in row.values()] for row in expected.to_pylist())]
    arrow = ask(local, sql=EMPLOYEES, accept=ARROW)
    assert arrow.headers["content-type"] == ARROW
    assert pa.ipc.open_stream(arrow.content).read_all().equals(expected)


def test_dax_and_a_dmv_are_answered_beside_sql(local):
    document = ask(local, dax="EVALUATE TOPN(3, 'Employee')").json()
    assert document["columns"][0]["name"] == "Employee[EmployeeID]"
    assert document["row_count"] == 3
    dmv = "SELECT [Name] FROM $SYSTEM.TMSCHEMA_ROLES ORDER BY [Name]"
    names = [row[0] for row in ask(local, dmv=dmv).json()["rows"]]
    assert names == ["Leadership", "Product Analyst", "Regional Sales Advanced", "Regional Sales Basic"]
    assert [row[0] for row in ask(local, sql=dmv).json()["rows"]] == names, "SQL that names $SYSTEM is a DMV"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("application/*;q=0.2, text/csv;q=0.9", "text/csv"),
        (f"{ARROW}, application/json;q=0.5", ARROW),
        ("text/html, application/xhtml+xml, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
    ],
)
def test_the_accept_header_chooses_the_form(local, accept, media_type):
    answer = ask(local, sql="SELECT 1", accept=accept)
    assert answer.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "nonsense"])
def test_a_form_that_there_is_not_is_refused(local, accept):
    answer = ask(local, sql="SELECT 1", accept=accept)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("question", [{}, {"sql": "SELECT 1", "dax": "EVALUATE 'Sales'"}, {"sql": None}])
def test_exactly_one_question_is_asked_at_a_time(local, question):
    answer = ask(local, **question)
    assert (answer.status_code, answer.json()["code"]) == (400, "request")
    assert "exactly one of sql, dmv and dax" in answer.json()["detail"]


def test_an_error_in_a_query_has_its_place(local):
    problem = ask(local, sql="SELECT *\nFROM Emploje").json()
    assert (problem["status"], problem["code"], problem["line"]) == (400, "query", 2)
    assert "Employee" in problem["hint"]


def test_a_query_that_takes_too_long_ends(local):
    slow = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3"
    answer = ask(local, sql=slow, timeout_s=0.3)
    assert (answer.status_code, answer.json()["code"]) == (400, "query")


# ---- what one may not see


HIDDEN_TABLE_ID, HIDDEN_COLUMN_ID = 34, 36152


def names_of_hidden(local: LocalServer) -> tuple[str, str, str]:
    """The hidden table; a table with a hidden column, and that column."""
    with local.service.vault.open("hiding") as database:
        (table,) = (t.name for t in database.tables if t.definition.id == HIDDEN_TABLE_ID)
        columns = [(t.name, c.name) for t in database.tables for c in t.definition.columns if c.id == HIDDEN_COLUMN_ID]
    return table, *columns[0]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_hidden_tables_and_columns_do_not_exist_for_sql(local):
    table, owner, column = names_of_hidden(local)
    assert ask(local, sql=f"SELECT count(*) FROM {quoted(table)}").status_code == 200, "an administrator sees it"
    assert ask(local, sql=f"SELECT {quoted(column)} FROM {quoted(owner)}").status_code == 200
    missing = ask(local, MEMBER, sql='SELECT count(*) FROM "No such table"').json()
    hidden = ask(local, MEMBER, sql=f"SELECT count(*) FROM {quoted(table)}").json()
    assert (hidden["status"], hidden["code"]) == (400, "query")
    assert hidden["detail"].replace(table, "No such table") == missing["detail"]
    refused = ask(local, MEMBER, sql=f"SELECT {quoted(column)} FROM {quoted(owner)}")
    assert (refused.status_code, refused.json()["code"]) == (400, "query")
    whole = ask(local, MEMBER, sql=f"SELECT * FROM {quoted(owner)}").json()
    assert whole["row_count"] > 0
    assert column not in {one["name"] for one in whole["columns"]}
    assert column in {one["name"] for one in ask(local, sql=f"SELECT * FROM {quoted(owner)}").json()["columns"]}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT table_name, column_name FROM information_schema.columns",
        "SELECT table_name, column_name FROM duckdb_columns()",
        "SHOW TABLES",
        "DESCRIBE {owner}",
        "SUMMARIZE {owner}",
        "SELECT COLUMNS('.*') FROM {owner}",
        "FROM {table}",
        "SELECT * FROM query_table('{table}')",
        "WITH x AS (SELECT * FROM {table}) SELECT * FROM x",
        "SELECT * FROM {owner} WHERE EXISTS (SELECT 1 FROM {table})",
        "SELECT * FROM {owner} ORDER BY {column}",
        "SELECT 1 FROM {owner} GROUP BY {column}",
        "SELECT [TABLE_ID] FROM $SYSTEM.DISCOVER_STORAGE_TABLES",
        "SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES",
        "SELECT [ExplicitName] FROM $SYSTEM.TMSCHEMA_COLUMNS",
    ],
)
def test_no_way_of_asking_shows_what_is_hidden(local, text):
    table, owner, column = names_of_hidden(local)
    names = {"table": quoted(table), "owner": quoted(owner), "column": quoted(column)}
    answer = ask(local, MEMBER, sql=text.format(**names))
    if answer.status_code == 200:
        assert answer.json().get("error") is None
        shown = json.dumps([answer.json()["columns"], answer.json()["rows"]])
        assert json.dumps(table) not in shown
        assert json.dumps(column) not in shown
    else:
        assert answer.json()["code"] in {
            "query",
            "query_not_supported",
            "query_unknown_rowset",
            "access_not_authorized",
        }


def test_a_member_bound_by_a_row_filter_gets_no_rows_at_all(local):
    for question in ({"sql": "SELECT * FROM Sales"}, {"dax": "EVALUATE 'Sales'"}, {"sql": "SELECT 1"}):
        answer = ask(local, MEMBER, "filtering", **question)
        assert (answer.status_code, answer.json()["code"]) == (403, "access_row_filter"), question


def test_a_stranger_cannot_tell_whether_there_is_such_a_database(local):
    for question in ({"sql": "SELECT 1"}, {"dax": "EVALUATE 'Sales'"}, {"dmv": "SELECT * FROM $SYSTEM.TMSCHEMA_MODEL"}):
        there = ask(local, STRANGER, "hiding", **question).json()
        missing = ask(local, STRANGER, "nowhere", **question).json()
        assert (there["status"], there["code"]) == (403, "access_not_authorized")
        assert there["detail"].replace("hiding", "nowhere") == missing["detail"]


def test_the_list_of_databases_keeps_back_what_a_member_may_not_know(local):
    assert local.client(STRANGER).get("/api/databases").json() == {"databases": []}
    assert local.client(STRANGER).get("/api/databases/hiding").status_code == 403
    shown = {one["name"]: one for one in local.client(MEMBER).get("/api/databases").json()["databases"]}
    assert set(shown) == {"hiding", "filtering"}
    for one in shown.values():
        assert (one["row_count"], one["table_count"], one["last_backup_file"]) == (None, None, None)
    assert local.client().get("/api/databases/hiding").json()["table_count"] > 1


# ---- the forms, by hand


SCHEMA = pa.schema([("a", pa.string()), ("b", pa.float64())])


def batch(*rows: tuple[str | None, float | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip("ab", row, strict=True)) for row in rows], SCHEMA)


ROWS = batch(("", None), (None, float("inf")), ('say "a,b"\r\n', 0.1))


def test_csv_tells_an_empty_text_from_null_and_quotes_what_it_must():
    assert b"".join(csv_pieces(SCHEMA, [ROWS])) == b'a,b\r\n"",\r\n,inf\r\n"say ""a,b""\r\n",0.1\r\n'


def test_json_of_no_batches_and_of_several_is_whole():
    assert json.loads(b"".join(json_pieces(SCHEMA, [], instance="/")))["rows"] == []
    document = json.loads(b"".join(json_pieces(SCHEMA, [batch(), ROWS, ROWS], instance="/")))
    assert document["rows"] == [["", None], [None, "inf"], ['say "a,b"\r\n', 0.1]] * 2
    assert document["row_count"] == 6


def failing():
    yield ROWS
    raise QueryError("the second half is damaged")


def test_json_that_fails_half_way_is_json_and_says_so():
    document = json.loads(b"".join(json_pieces(SCHEMA, failing(), instance="/api/x")))
    assert document["row_count"] == 3
    assert (document["error"]["code"], document["error"]["instance"]) == ("query", "/api/x")


def test_an_arrow_stream_that_fails_half_way_has_no_end():
    pieces = []
    with pytest.raises(QueryError):
        pieces.extend(arrow_pieces(SCHEMA, failing()))  # what came before is kept
    whole = b"".join(arrow_pieces(SCHEMA, [ROWS]))
    assert whole.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    assert b"".join(pieces) == whole[:-8]


def test_an_answer_that_fails_half_way_never_looks_whole(local, monkeypatch):
    def broken(*_args, **_options):
        result = query_sql("SELECT * FROM range(200000)", {})
        original = iter(result)
        monkeypatch.setattr(type(result), "__iter__", lambda _self: _half(original))
        return result

    monkeypatch.setattr("tabvault.jobs.query.query_sql", broken)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(local, sql="SELECT 1", accept="text/csv")
    monkeypatch.undo()
    assert ask(local, sql="SELECT 1").status_code == 200


def _half(batches):
    yield next(batches)
    raise QueryError("the second half is damaged")


def test_a_client_that_goes_away_ends_its_query(local, monkeypatch):
    closed = threading.Event()
    close = QueryResult.close

    def watched(self: QueryResult) -> None:
        close(self)
        closed.set()

    monkeypatch.setattr(QueryResult, "close", watched)
    endless = {"sql": "SELECT a.range, b.range FROM range(1000000) a, range(1000000) b"}
    with local.client().stream("POST", "/api/databases/hiding/query", json=endless) as answer:
        next(answer.iter_bytes())
        assert not closed.is_set()
    assert closed.wait(20)
