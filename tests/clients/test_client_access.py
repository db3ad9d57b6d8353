"""What users see and may do through Microsoft's clients who do not administer the server."""

from __future__ import annotations

import json

import pytest

from clients.client import ClientError

pytest_plugins = ["clients.fixtures"]

SMALL = "Hugoberry__abc.pbix"
WITH_FILTERS = "Hugoberry__rls-sample-report.pbix"
HIDING = "Hugoberry__ols-sample-report.pbix"
BOB, EVE = "bob@contoso.com", "eve"


def script(command: dict) -> str:
    return json.dumps(command)


def errors_of(messages: list[list[str]]) -> str:
    assert {kind for kind, _ in messages} == {"XmlaError"}
    return " ".join(text for _, text in messages)


def texts_of(rowset: dict) -> set[str]:
    """Every text in it; the tables of a model are dimensions, whose names have a dollar sign in some rowsets."""
    return {cell[1].lstrip("$") for row in rowset["rows"] for cell in row if cell is not None and cell[0] == "str"}


@pytest.fixture
def readable(client, copy):
    """A database that Bob may read, and nobody else."""
    name = copy(SMALL)
    client.add_role(name, "Readers", "Read", [BOB])
    return name


def test_a_stranger_sees_no_database_and_may_do_nothing(client, served, readable):
    assert client.databases(user=EVE) == {}
    assert client.names(user=EVE) == []
    with pytest.raises(ClientError, match="does not have access to the"):
        client.query("EVALUATE ABC", readable, user=EVE)
    for command in (
        {"backup": {"database": readable, "file": "eve.abf"}},
        {"delete": {"object": {"database": readable}}},
        {"delete": {"object": {"database": "no such database"}}},
        {"refresh": {"type": "calculate", "objects": [{"database": readable}]}},
    ):
        told = errors_of(client.execute(script(command), user=EVE))
        assert told.startswith("Either the user, 'eve', does not have access to the "), command
        assert "database does not exist" in told
    for command in (
        {"restore": {"database": "eve", "file": "sales.abf"}},
        {"create": {"database": {"name": "eve", "compatibilityLevel": 1500, "model": {}}}},
    ):
        assert "'eve', does not have permission to" in errors_of(client.execute(script(command), user=EVE)), command
    assert "does not have access" in errors_of(client.backup_by_id(readable, "eve.abf", user=EVE))
    assert not (served.backups / "eve.abf").exists()
    assert readable in client.names()
    assert "eve" not in client.names()


def test_a_member_of_a_reading_role_reads_and_may_do_nothing_else(client, served, readable, refused):
    before = served.rows(readable)
    assert list(client.databases(user=BOB)) == [readable]
    assert client.query("EVALUATE TOPN(1, ABC)", readable, user=BOB)["rows"] == [[["int", 1], ["int", 5]]]
    tables = client.rowset("DBSCHEMA_TABLES", readable, user=BOB)
    assert {"ABC", "BrokenColumns"} <= texts_of(tables)
    assert "is for administrators" in refused("OperationException", client.model_json, readable, user=BOB)
    no = f"The user, '{BOB}', does not have permission to "
    assert refused("OperationException", client.backup, readable, "bob.abf", user=BOB).startswith(f"{no}back up")
    assert refused("OperationException", client.drop, readable, user=BOB).startswith(f"{no}drop")
    message = refused("OperationException", client.restore, "sales.abf", readable, overwrite=True, user=BOB)
    assert message.startswith(f"{no}restore over")
    for command, action in (
        ({"delete": {"object": {"database": readable, "table": "ABC"}}}, "alter"),
        ({"refresh": {"type": "full", "objects": [{"database": readable}]}}, "process"),
    ):
        assert errors_of(client.execute(script(command), user=BOB)).startswith(f"{no}{action}")
    assert served.rows(readable) == before
    assert not (served.backups / "bob.abf").exists()
    with pytest.raises(ClientError, match="does not have access to the 'Sales' database"):
        client.query("EVALUATE Sales", "Sales", user=BOB)


def test_a_member_of_an_administering_role_backs_up_and_restores_over_his_database(client, served, copy, refused):
    name = copy(SMALL)
    client.add_role(name, "Owners", "Administrator", [BOB])
    client.databases(user=BOB)
    client.backup(name, "of bob.abf", overwrite=True, user=BOB)
    client.add_measure(name, "ABC", "M", "1", user=BOB)
    assert served.ask(name, "SELECT Name FROM Measure") == [("M",)]
    client.restore("of bob.abf", name, overwrite=True, user=BOB)
    assert served.ask(name, "SELECT Name FROM Measure") == []
    message = refused("OperationException", client.restore, "of bob.abf", "another", user=BOB)
    assert message.startswith(f"The user, '{BOB}', does not have permission to restore the 'another' database")


def test_a_row_filter_of_a_genuine_role_refuses_rows_and_shows_the_model(client, copy):
    name = copy(WITH_FILTERS)
    client.add_member(name, "Asia", BOB)
    assert {"Sales", "Regions"} <= texts_of(client.rowset("DBSCHEMA_TABLES", name, user=BOB))
    for text in ("EVALUATE Regions", "EVALUATE TOPN(1, Products)"):
        with pytest.raises(ClientError) as caught:
            client.query(text, name, user=BOB)
        assert caught.value.message == (
            f"The user, '{BOB}', cannot query the '{name}' database: the row filter of the role 'Asia' binds him, and "
            "cannot be evaluated by this version. Hint: a role without row filters, or an administrator, can query it."
        )
    client.add_member(name, "Management", BOB)
    assert client.query("EVALUATE TOPN(1, Regions)", name, user=BOB)["rows"]


def test_what_a_genuine_role_hides_is_not_there_for_its_members(client, served, copy):
    """The role ``Regional Sales Basic`` hides a table and three columns; its row filter is taken away for this."""
    name = copy(HIDING)
    client.add_member(name, "Regional Sales Basic", BOB)
    hidden = ["Address", "PreferredContactMethod", "ContactInformation"]
    with pytest.raises(ClientError, match="row filter of the role 'Regional Sales Basic'"):
        client.query("EVALUATE Products", name, user=BOB)
    client.set_row_filter(name, "Regional Sales Basic", "User Access", "")
    (columns,) = [
        table["columns"] for table in client.model_json(name)["model"]["tables"] if table["name"] == "Customers"
    ]
    columns = [column["name"] for column in columns]
    for rowset, kept_back in (("DBSCHEMA_TABLES", ["Reviews"]), ("DBSCHEMA_COLUMNS", ["Reviews", *hidden])):
        assert set(kept_back) <= texts_of(client.rowset(rowset, name))
        shown = texts_of(client.rowset(rowset, name, user=BOB))
        assert "Customers" in shown
        assert not [text for text in shown if any(word in text for word in kept_back)]
    read = client.query("EVALUATE TOPN(2, Customers)", name, user=BOB)["names"]
    assert set(read) == {f"Customers[{one}]" for one in columns if one not in hidden}
    assert set(client.query("EVALUATE TOPN(2, Customers)", name)["names"]) == {f"Customers[{one}]" for one in columns}
    with pytest.raises(ClientError, match="Cannot find table 'Reviews'"):
        client.query("EVALUATE Reviews", name, user=BOB)
    assert client.query("EVALUATE TOPN(1, Reviews)", name)["rows"]


def test_a_wrong_password_is_refused(served):
    from clients.client import Client
    from clients.served import PASSWORDS

    with Client(served.url, {**PASSWORDS, EVE: "not hers"}) as other, pytest.raises(ClientError) as caught:
        other.databases(user=EVE)
    assert caught.value.type in {"ConnectionException", "AmoException", "InvalidOperationException"}
