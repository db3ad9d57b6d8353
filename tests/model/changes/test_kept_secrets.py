"""Clients read masked secrets and write them back: what is stored stays, to the bit, unless they say another one."""

from __future__ import annotations

import json

import pytest

from model.changes.model_changes import NOW, change, changed, rows_of
from tabvault.errors import RequestError
from tabvault.formats.xmla.commands import Collection, ObjectChanges
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.row_changes import row_changes
from tabvault.model.changes.tree_changes import ExistingObjects
from tabvault.model.metadata import Metadata
from tabvault.model.secrets import MASK, masked
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition

SQL = 'Provider=SQLNCLI11;Data Source=s;User ID=u;PWD="h;u""sh"'
ENCRYPTED = "CAAAAAEAANgh9ZzzoPPvreNblAXfK1E1R6Jl9ip3e+qlFkFX4Yj6p0CetjsPR2wExjFNrh21hSwx \nuEZwyJGXRl8CIaxoc4==\n"
CREDENTIAL = '{ "AuthenticationKind":"UsernamePassword",\n  "Username":"u", "Password":"hush" }'
DETAILS = '{"protocol": "http", "address": {"url": "https://h/?sig=hush"}}'
SECRET_CELLS = ("ConnectionString", "Password", "ConnectionDetails", "Credential")


@pytest.fixture(scope="module")
def stored():
    return changed(
        new_metadata(1605, now=NOW),
        change("create", "DataSource", Name="sql", Type=1, ConnectionString=SQL, Password="hush", Account="me"),
        change("create", "DataSource", Name="old", Type=1, ConnectionString=ENCRYPTED),
        change("create", "DataSource", Name="web", Type=2, ConnectionDetails=DETAILS, Credential=CREDENTIAL),
    ).content


def secrets_of(content):
    return {row["Name"]: tuple(row[name] for name in SECRET_CELLS) for row in rows_of(content)["DataSource"].values()}


def rows_command(verb, **cells):
    return ObjectChanges(verb, "d", (Collection("DataSources", dict.fromkeys(cells, "string"), (cells,)),))


def as_read(content, name):
    """The row of a data source as a client has read it."""
    (row,) = [row for row in rows_of(content)["DataSource"].values() if row["Name"] == name]
    said = ("ID", "Name", "Description", "Type", *SECRET_CELLS)
    return {name: masked("DataSource", name, str(row[name])) for name in said if row[name] is not None}


@pytest.mark.parametrize("name", ["sql", "old", "web"])
def test_a_row_written_back_with_another_description_keeps_every_secret(stored, name):
    row = as_read(stored, name)
    assert "hush" not in str(row)
    assert MASK in str(row)
    outcome = changed(stored, *row_changes(rows_command("alter", **row, Description="new")))
    assert secrets_of(outcome.content) == secrets_of(stored)
    assert [row["Description"] for row in rows_of(outcome.content)["DataSource"].values() if row["Name"] == name] == [
        "new"
    ]
    outcome = changed(stored, *row_changes(rows_command("alter", ID=row["ID"], Description="new")))
    assert secrets_of(outcome.content) == secrets_of(stored)


def test_a_new_secret_takes_the_place_of_the_stored_one(stored):
    row = as_read(stored, "sql") | {"Password": "other", "ConnectionString": "Data Source=t;PWD=new"}
    outcome = changed(stored, *row_changes(rows_command("alter", **row)))
    assert secrets_of(outcome.content)["sql"] == ("Data Source=t;PWD=new", "other", None, None)
    row = as_read(stored, "sql") | {"Password": "", "ConnectionString": ""}
    outcome = changed(stored, *row_changes(rows_command("alter", **row)))
    assert secrets_of(outcome.content)["sql"] == ("", "", None, None)


def test_another_server_keeps_the_password_that_is_written_as_its_mask(stored):
    row = {"ID": as_read(stored, "sql")["ID"], "ConnectionString": f"Data Source=t;pwd={MASK}"}
    outcome = changed(stored, *row_changes(rows_command("alter", **row)))
    assert secrets_of(outcome.content)["sql"][0] == 'Data Source=t;pwd="h;u""sh"'


def test_a_mask_without_a_stored_secret_is_refused_with_its_place(stored):
    row = {"ID": as_read(stored, "sql")["ID"], "ConnectionString": f"Data Source=t;Password={MASK}"}
    with pytest.raises(RequestError, match=r"DataSource\.ConnectionString, key 'password'") as raised:
        changed(stored, *row_changes(rows_command("alter", **row)))
    assert raised.value.path == "alter.DataSources[1]"


def test_a_mask_in_a_new_data_source_says_that_there_is_no_secret(stored):
    outcome = changed(stored, change("create", "DataSource", Name="new", Password=MASK))
    assert secrets_of(outcome.content)["new"][1] == MASK


def test_a_model_replaced_by_its_own_export_keeps_every_secret(stored):
    with Metadata.from_bytes(stored) as metadata:
        definition = tmsl_of(metadata, name="d", id="d", compatibility_level=1605)
        assert "hush" not in json.dumps(definition)
        tree = database_definition(json.loads(json.dumps(definition))).model
        changes = ExistingObjects(metadata).replace_changes(tree)
    assert secrets_of(changed(stored, *changes).content) == secrets_of(stored)


def test_a_script_may_say_the_masks_that_a_client_has_read(stored):
    with Metadata.from_bytes(stored) as metadata:
        definition = tmsl_of(metadata, name="d", id="d", compatibility_level=1605)
        sql, _, web = definition["model"]["dataSources"]
        sql["password"] = MASK
        web["credential"] = json.loads(masked("DataSource", "Credential", CREDENTIAL))
        tree = database_definition(definition).model
        changes = ExistingObjects(metadata).replace_changes(tree)
    assert secrets_of(changed(stored, *changes).content) == secrets_of(stored)


def test_a_script_may_say_a_new_secret(stored):
    with Metadata.from_bytes(stored) as metadata:
        definition = tmsl_of(metadata, name="d", id="d", compatibility_level=1605)
        sql, _, web = definition["model"]["dataSources"]
        sql["password"] = ""
        web["credential"] = {"Username": "u", "Password": "new"}
        tree = database_definition(definition).model
        changes = ExistingObjects(metadata).replace_changes(tree)
    found = secrets_of(changed(stored, *changes).content)
    assert found["sql"] in ((SQL, "", None, None), (SQL, None, None, None))
    assert json.loads(found["web"][3]) == {"Username": "u", "Password": "new"}
