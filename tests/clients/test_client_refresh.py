"""Microsoft's clients make a model over sources of their own, refresh it, and read, back up and restore what came."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sourced_shop import definition, orders, write_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest_plugins = ["clients.fixtures"]


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory, served) -> Path:
    """A folder that the administrator of the running server allowed, by the command."""
    folder = tmp_path_factory.mktemp("sources")
    command = [sys.executable, "-m", "tabvault", "datasource", "allow-folder", folder, "--data", served.data]
    assert str(folder) in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return folder


@pytest.fixture
def sources(allowed: Path) -> Path:
    """A folder with the two files."""
    folder = allowed / secrets.token_hex(4)
    folder.mkdir()
    write_sources(folder)
    return folder


@pytest.fixture
def made(client) -> Iterator[Callable[[dict], str]]:
    """Creates databases, and drops what is left of them."""
    names: list[str] = []

    def create(wanted: dict) -> str:
        names.append(wanted["name"])
        client.create_database(wanted)
        return wanted["name"]

    yield create
    for name in set(names) & set(client.names()):
        client.drop(name)


@pytest.fixture
def shop(made, sources: Path) -> str:
    return made(definition(sources, "shop"))


def values(client, database: str, query: str) -> list[tuple]:
    return sorted(tuple(map(value, row)) for row in client.query(query, database)["rows"])


def value(cell: list) -> object:
    type_, text = cell
    return float.fromhex(text) if type_ == "float" else text


def test_a_model_that_tom_made_is_refreshed_read_backed_up_and_restored(client, shop, sources):
    wanted = definition(sources, shop)
    assert sent_part(client.model_json(shop), wanted) == wanted
    assert values(client, shop, "EVALUATE Orders") == []
    client.refresh(shop, "Full")

    def check(name: str) -> None:
        assert values(client, name, "EVALUATE Orders") == orders()
        assert values(client, name, "EVALUATE Region") == [("North", "Ann"), ("South", "Bob")]
        states = "SELECT [Name], [State] FROM $SYSTEM.TMSCHEMA_PARTITIONS"
        assert {state for _, state in values(client, name, states)} == {1}

    check(shop)
    client.backup(shop, "made.abf", overwrite=True, password="a password")
    client.restore("made.abf", "shop again", password="a password")
    try:
        check("shop again")
        assert sent_part(client.model_json("shop again"), wanted)["model"] == wanted["model"]
    finally:
        client.drop("shop again")


def sent_part(got: object, sent: object) -> object:
    """Of what a server says, the members that were sent; expressions and queries as one text."""
    if isinstance(sent, dict):
        return {name: sent_part(got[name], value) for name, value in sent.items()}
    if isinstance(sent, list):
        assert len(got) == len(sent)
        return [sent_part(*pair) for pair in zip(got, sent, strict=True)]
    return "\n".join(got) if isinstance(got, list) else got


def change_orders(sources: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(sources / "shop.db")) as connection, connection:
        connection.execute(statement)


def test_the_refresh_of_a_partition_leaves_the_others(client, shop, sources):
    client.refresh(shop, "Full")
    change_orders(sources, "UPDATE orders SET amount = -amount")
    client.refresh(shop, "DataOnly", "Orders", "late")
    expected = [(n, region, -amount if n >= 600 else amount) for n, region, amount in orders()]
    assert values(client, shop, "EVALUATE Orders") == expected
    refresh = {"type": "full", "objects": [{"database": shop, "table": "Orders", "partition": "early"}]}
    assert client.execute(json.dumps({"sequence": {"maxParallelism": 1, "operations": [{"refresh": refresh}]}})) == []
    assert values(client, shop, "EVALUATE Orders") == orders(changed=lambda amount: -amount)


def test_what_cannot_be_read_is_named_and_the_old_rows_are_served(client, shop, sources, refused):
    client.refresh(shop, "Full")
    change_orders(sources, "ALTER TABLE orders RENAME COLUMN amount TO price")
    message = refused("OperationException", client.refresh, shop, "Full", "Orders")
    assert re.search("Table 'Orders', partition '(early|late)': ", message), message
    assert "amount" in message
    assert "internal error" not in message
    assert values(client, shop, "EVALUATE Orders") == orders()
    ((kind, text),) = client.execute(
        json.dumps({"refresh": {"type": "full", "objects": [{"database": shop, "table": "Orders"}]}})
    )
    assert kind == "XmlaError"
    assert re.search("table 'Orders', partition '(early|late)': ", text, re.IGNORECASE), text


def test_values_are_cleared_and_come_back_and_what_is_up_to_date_stays(client, served, shop):
    client.refresh(shop, "Automatic")
    version = served.metadata(shop)
    client.refresh(shop, "Automatic")
    assert served.metadata(shop) == version
    client.refresh(shop, "ClearValues", "Orders")
    assert values(client, shop, "EVALUATE Orders") == []
    assert len(values(client, shop, "EVALUATE Region")) == 2
    client.refresh(shop, "Automatic")
    assert values(client, shop, "EVALUATE Orders") == orders()


def test_changes_and_a_refresh_are_saved_together_or_not_at_all(client, served, shop, sources, refused):
    client.add_measure(shop, "Orders", "Total", "SUM(Orders[Amount])", save=False)
    client.refresh(shop, "Full", save=False)
    client.save_changes(shop)
    assert served.ask(shop, "SELECT Name FROM Measure") == [("Total",)]
    assert values(client, shop, "EVALUATE Orders") == orders()
    change_orders(sources, "DROP TABLE orders")
    client.add_measure(shop, "Orders", "Other", "1", save=False)
    client.refresh(shop, "Full", save=False)
    refused("OperationException", client.save_changes, shop)
    client.undo_changes(shop)
    assert served.ask(shop, "SELECT Name FROM Measure") == [("Total",)]
    assert values(client, shop, "EVALUATE Orders") == orders()


def test_a_refresh_in_a_transaction_is_seen_when_that_is_committed(client, second_client, shop):
    client.begin_transaction()
    client.refresh(shop, "Full")
    assert values(second_client, shop, "EVALUATE Orders") == []
    client.roll_back_transaction()
    assert values(second_client, shop, "EVALUATE Orders") == []
    client.begin_transaction()
    client.refresh(shop, "Full")
    client.commit_transaction()
    assert values(second_client, shop, "EVALUATE Orders") == orders()


def test_a_trace_hears_of_the_rows_of_a_refresh(client, shop):
    client.start_session_trace()
    try:
        client.refresh(shop, "Full")
        texts = [text for _, _, text, _ in client.events_until("ProgressReportEnd", "Process")]
    finally:
        client.stop_trace()
    assert f"Started refresh of {shop}." in texts
    assert any(text.startswith("Reading rows: ") for text in texts), texts
    assert f"Finished refresh of {shop}." in texts


def test_a_script_creates_and_refreshes_in_one_sequence(client, made, sources):
    made(definition(sources, "sequence"))
    table = {
        "name": "Third",
        "columns": [{"name": "Region", "dataType": "string", "sourceColumn": "region"}],
        "partitions": [
            {
                "name": "all",
                "source": {"type": "query", "query": "SELECT DISTINCT region FROM orders", "dataSource": "Warehouse"},
            }
        ],
    }
    operations = [
        {"createOrReplace": {"object": {"database": "sequence", "table": "Third"}, "table": table}},
        {"refresh": {"type": "automatic", "objects": [{"database": "sequence"}]}},
    ]
    assert client.execute(json.dumps({"sequence": {"maxParallelism": 2, "operations": operations}})) == []
    assert values(client, "sequence", "EVALUATE Third") == [("North",), ("South",)]
    assert values(client, "sequence", "EVALUATE Orders") == orders()
