"""What Microsoft's object model and TMSL change is in the metadata, in backups, and for every other connection."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["clients.fixtures"]

SMALL = "Hugoberry__abc.pbix"
ANNOTATED = "microsoft__2018SU04_Blog_Demo_-_April.pbix"
USER_TABLES = "SELECT Name FROM [Table] WHERE SystemFlags & 1 = 0 ORDER BY Name"
MEASURES = "SELECT t.Name, m.Name, Expression FROM Measure m JOIN [Table] t ON t.ID = TableID ORDER BY 1, 2"
RELATIONSHIPS = """
    SELECT ft.Name, fc.ExplicitName, tt.Name, tc.ExplicitName FROM Relationship r
    JOIN [Table] ft ON ft.ID = FromTableID JOIN [Column] fc ON fc.ID = FromColumnID
    JOIN [Table] tt ON tt.ID = ToTableID JOIN [Column] tc ON tc.ID = ToColumnID
"""
MEMBERS = (
    "SELECT Name, ModelPermission, MemberName, IdentityProvider FROM Role r JOIN RoleMembership m ON RoleID = r.ID"
)


def table_in(database: dict, name: str) -> dict:
    return next(table for table in database["model"]["tables"] if table["name"] == name)


def script(command: dict) -> str:
    return json.dumps(command)


def test_what_save_changes_made_goes_through_backup_drop_and_restore(client, served, copy):
    name = copy(SMALL)
    client.add_table(name, "Ne'w", ["Key", "Value"], save=False)
    client.add_measure(name, "ABC", "Total", "SUM(ABC[Col1])", save=False)
    client.add_measure(name, "ABC", "Gone", "1", save=False)
    client.add_role(name, "Readers", "Read", ["bob@contoso.com"], save=False)
    client.add_relationship(name, ["Ne'w", "Key"], ["ABC", "Col1"], save=False)
    assert served.ask(name, USER_TABLES) == [("ABC",), ("BrokenColumns",)], "nothing is sent before it is saved"
    client.save_changes(name)
    client.rename_table(name, "Ne'w", "Newer")
    client.rename_column(name, "ABC", "Col2", "Second ]one")
    client.set_measure(name, "ABC", "Total", "SUM(ABC[Col1]) + 1")
    client.delete_measure(name, "ABC", "Gone")
    client.delete_table(name, "BrokenColumns")

    def check() -> None:
        assert served.ask(name, USER_TABLES) == [("ABC",), ("Newer",)]
        assert served.ask(name, MEASURES) == [("ABC", "Total", "SUM(ABC[Col1]) + 1")]
        assert served.ask(name, RELATIONSHIPS) == [("Newer", "Key", "ABC", "Col1")]
        assert served.ask(name, MEMBERS) == [("Readers", 2, "bob@contoso.com", "AzureAD")]
        model = client.model_json(name)["model"]
        assert [table["name"] for table in model["tables"]] == ["ABC", "Newer"]
        assert [one["name"] for one in table_in({"model": model}, "ABC")["columns"]] == ["Col1", "Second ]one"]
        assert model["relationships"][0]["toColumn"] == "Col1"
        assert model["roles"][0]["members"] == [{"memberName": "bob@contoso.com", "identityProvider": "AzureAD"}]
        answer = client.query("EVALUATE ABC", name)
        assert answer["names"] == ["ABC[Col1]", "ABC[Second ]one]"]
        assert answer["rows"][-1] == [["int", 11], ["int", 10]]
        ids = [row[0] for rows in TABLES_WITH_IDS for row in served.ask(name, f"SELECT ID FROM [{rows}]")]
        assert len(ids) == len(set(ids))

    check()
    client.backup(name, "changed.abf", overwrite=True)
    client.drop(name)
    assert name not in client.names()
    client.restore("changed.abf", name)
    check()


TABLES_WITH_IDS = ("Table", "Column", "Measure", "Partition", "Relationship", "Role", "RoleMembership", "TableStorage")


def test_what_nobody_knows_of_survives_a_change_and_a_backup(client, served, copy):
    """Annotations and the properties of later levels: every row that the change did not touch is there, bit by bit."""
    name = copy(ANNOTATED)
    before = served.rows(name)
    client.add_measure(name, "Sales", "One", "1")
    client.delete_measure(name, "Sales", "One")
    client.backup(name, "unknown.abf", overwrite=True)
    client.drop(name)
    client.restore("unknown.abf", name)
    after = served.rows(name)
    assert after.keys() == before.keys()
    changed = {table for table in before if before[table] != after[table]}
    assert changed <= {"Model", "Table", "DBPROPERTIES"}, "the times of change, and the counter of ids"
    assert len(before["Annotation"]) > 150
    for table in changed:
        assert len(before[table]) == len(after[table])


def test_a_rolled_back_transaction_leaves_nothing_and_a_committed_one_everything(client, served, second_client, copy):
    name = copy(SMALL)
    before = served.rows(name)
    client.begin_transaction()
    client.add_measure(name, "ABC", "Undone", "1")
    assert [row[0][1] for row in client.query(MEASURE_NAMES, name)["rows"]] == [], "ADOMD has a session of its own"
    client.roll_back_transaction()
    assert served.rows(name) == before
    assert "measures" not in table_in(client.model_json(name), "ABC")

    client.begin_transaction()
    client.add_measure(name, "ABC", "Done", "1")
    client.add_role(name, "Both", "Read", [])
    assert served.rows(name) == before
    client.commit_transaction()
    assert served.ask(name, MEASURES) == [("ABC", "Done", "1")]
    assert served.ask(name, "SELECT Name FROM Role") == [("Both",)]
    seen = second_client.model_json(name)
    assert table_in(seen, "ABC")["measures"] == [{"name": "Done", "expression": "1"}]


MEASURE_NAMES = "SELECT [Name] FROM $SYSTEM.TMSCHEMA_MEASURES"


def test_a_script_that_alters_a_database_belongs_to_the_transaction_of_its_session(client, served, copy):
    name = copy(SMALL)
    before = served.rows(name)
    alter = script(
        {"alter": {"object": {"database": name}, "database": {"name": name, "model": {"description": "new"}}}}
    )
    client.begin_transaction()
    assert client.execute(alter) == []
    assert served.rows(name) == before
    client.roll_back_transaction()
    assert served.rows(name) == before
    client.begin_transaction()
    assert client.execute(alter) == []
    client.commit_transaction()
    assert served.ask(name, "SELECT Description FROM Model") == [("new",)]


def test_a_change_that_cannot_be_leaves_the_model_as_it_was(client, served, copy, refused):
    name = copy(SMALL)
    before = served.rows(name)
    client.add_measure(name, "ABC", "Good", "1", save=False)
    client.add_measure(name, "BrokenColumns", "good", "1", save=False)
    message = refused("OperationException", client.save_changes, name)
    assert message.startswith("Failed to save modifications to the server. Error returned: '")
    assert "internal error" not in message
    client.undo_changes(name)
    assert served.rows(name) == before


def test_a_database_is_created_and_dropped(client, served, refused):
    definition = {"name": "Made here", "compatibilityLevel": 1550, "model": {"culture": "de-DE"}}
    client.create_database(definition)
    assert served.ask("Made here", "SELECT Culture FROM Model") == [("de-DE",)]
    assert client.databases()["Made here"][:2] == ["Made here", 1550]
    client.drop("Made here")
    assert "Made here" not in client.names()
    assert "doesn't exist" in refused("AmoException", client.drop, "Made here")


def test_a_script_does_what_it_says(client, served, copy):
    name = copy(SMALL)
    table = {"name": "Scripted", "columns": [{"name": "a", "dataType": "int64", "sourceColumn": "a"}]}
    table["partitions"] = [{"name": "p", "source": {"type": "m", "expression": "x"}}]
    role = {"name": "R", "modelPermission": "read", "members": [{"memberName": "bob@contoso.com"}]}
    operations = [
        {"create": {"parentObject": {"database": name}, "table": table}},
        {"createOrReplace": {"object": {"database": name, "role": "R"}, "role": role}},
        {
            "alter": {
                "object": {"database": name, "role": "R"},
                "role": {"name": "R", "modelPermission": "administrator"},
            }
        },
        {"delete": {"object": {"database": name, "table": "BrokenColumns"}}},
        {"backup": {"database": name, "file": "scripted.abf", "allowOverwrite": True, "applyCompression": False}},
    ]
    assert client.execute(script({"sequence": {"maxParallelism": 2, "operations": operations}})) == []
    assert served.ask(name, USER_TABLES) == [("ABC",), ("Scripted",)]
    assert served.ask(name, "SELECT Name, ModelPermission FROM Role") == [("R", 5)]
    command = {"database": "scripted", "file": "scripted.abf", "allowOverwrite": True, "security": "ignoreSecurity"}
    assert client.execute(script({"restore": command})) == []
    assert served.ask("scripted", "SELECT Name FROM Role") == []
    assert client.execute(script({"delete": {"object": {"database": "scripted"}}})) == []
    assert "scripted" not in client.names()


def test_what_a_script_does_not_heed_comes_back_as_a_warning(client, served):
    command = {"database": "warned", "file": "sales.abf", "dbStorageLocation": "/elsewhere"}
    ((kind, text),) = client.execute(script({"restore": command}))
    assert kind == "XmlaWarning"
    assert "DbStorageLocation is not used" in text
    assert client.execute(script({"delete": {"object": {"database": "warned"}}})) == []


def test_warnings_of_a_restore_name_the_members_that_were_left_out(client, served, copy):
    name = copy(SMALL)
    client.backup(name, "without role.abf", overwrite=True)
    client.add_role(name, "Only in the target", "Read", ["bob@contoso.com"])
    command = {"database": name, "file": "without role.abf", "allowOverwrite": True, "security": "skipMembership"}
    ((kind, text),) = client.execute(script({"restore": command}))
    assert kind == "XmlaWarning"
    assert "Only in the target" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"nonsense": {}}', "nonsense: 'nonsense' is no command"),
        (
            '{"backup": {"database": "Sales", "file": "x.abf", "allowOverwrit": true}}',
            "backup.allowOverwrit: there is no member 'allowOverwrit' here",
        ),
        ('{"backup": {"database": "Sales"}}', "backup: backup has no file"),
        ('{"backup": {"database": "Sales", "file": "x.abf"', ""),
        (
            '{"restore": {"database": "x", "file": "sales.abf", "security": "none"}}',
            "restore.security: 'none' is none of",
        ),
        ('{"delete": {"object": {"database": "Sales", "table": "Nope"}}}', "Nope"),
        ('{"delete": {"object": {"database": "Nope"}}}', "Nope"),
        (
            '{"refresh": {"type": "full", "objects": [{"database": "Sales"}]}}',
            "DAX expressions would have to be computed anew, and this version computes none: ",
        ),
        (
            '{"refresh": {"type": "full", "objects": [{"database": "Sales"}], "applyRefreshPolicy": true}}',
            "a refresh that applies a refresh policy is not supported",
        ),
    ],
)
def test_a_script_that_is_wrong_is_answered_with_an_error_and_does_nothing(client, served, text, told):
    before = served.rows("Sales")
    ((kind, message),) = client.execute(text)
    assert kind == "XmlaError"
    assert told in message
    assert "internal error" not in message
    assert served.rows("Sales") == before


def test_a_database_is_detached_and_attached(client, served, copy):
    name = copy(SMALL)
    rows = served.rows(name)
    client.detach(name)
    assert name not in client.names()
    client.attach(name)
    assert served.rows(name) == rows
    assert client.query("EVALUATE TOPN(1, ABC)", name)["rows"] == [[["int", 1], ["int", 5]]]
