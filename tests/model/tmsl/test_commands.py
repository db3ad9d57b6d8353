"""TMSL commands and the JSON they stand in."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import CommandNotSupportedError, RequestError, RequestTooLargeError
from tabvault.model.tmsl import document
from tabvault.model.tmsl.commands import (
    Alter,
    Attach,
    Backup,
    Create,
    CreateOrReplace,
    Delete,
    Detach,
    ObjectPath,
    Refresh,
    Restore,
    Sequence,
    is_command,
    parse_command,
)
from tabvault.model.tmsl.document import DEPTH_MAX, load_document


def command(**members):
    return parse_command(json.dumps(members))


def refused(text: str) -> RequestError:
    with pytest.raises(RequestError) as raised:
        parse_command(text)
    return raised.value


def test_backup_has_the_defaults_of_the_reference():
    assert command(backup={"database": "d", "file": "f.abf"}) == Backup("d", "f.abf", None, False, True)
    read = command(
        backup={"database": "d", "file": "f", "password": "p", "allowOverwrite": "true", "applyCompression": False}
    )
    assert read == Backup("d", "f", "p", allow_overwrite=True, apply_compression=False)


def test_restore_says_everything():
    read = command(
        restore={
            "database": "d",
            "file": "f",
            "password": "hunter2",
            "dbStorageLocation": "/x",
            "allowOverwrite": True,
            "ignoreIncompatibilities": True,
            "forceRestore": True,
            "readWriteMode": "readOnly",
            "security": "skipMembership",
            "locations": [],
        }
    )
    assert read == Restore("d", "f", "hunter2", "/x", True, True, True, "readOnly", "skipMembership")
    assert "hunter2" not in repr(read)
    assert command(restore={"database": "d", "file": "f", "storageLocation": "/x"}).db_storage_location == "/x"
    assert command(restore={"database": "d", "file": "f"}) == Restore("d", "f")


def test_passwords_are_not_in_a_repr():
    for body in (
        {"backup": {"database": "d", "file": "f", "password": "hunter2"}},
        {"attach": {"folder": "f", "password": "hunter2"}},
        {"detach": {"database": "d", "password": "hunter2"}},
    ):
        read = command(**body)
        assert read.password == "hunter2"
        assert "hunter2" not in repr(read)


def test_attach_and_detach():
    assert command(attach={"folder": "f", "readWriteMode": "readOnly"}) == Attach("f", None, "readOnly")
    assert command(detach={"database": "d"}) == Detach("d")


def test_a_database_is_created_replaced_and_altered():
    database = {"name": "C", "compatibilityLevel": 1500, "model": {}}
    read = command(createOrReplace={"object": {"database": "B"}, "database": database})
    assert isinstance(read, CreateOrReplace)
    assert (read.object, read.definition.name, read.definition.compatibility_level) == (ObjectPath("B"), "C", 1500)
    created = command(create={"database": database})
    assert isinstance(created, Create)
    assert created.parent is None
    altered = command(alter={"object": {"database": "B"}, "database": {"readWriteMode": "readOnly"}})
    assert isinstance(altered, Alter)
    assert (altered.definition.name, altered.definition.read_write_mode) == ("B", "readOnly")


def test_an_object_is_read_with_the_names_of_what_it_belongs_to():
    partition = {"name": "P", "source": {"type": "m", "expression": ["let", "in 1"]}}
    read = command(create={"parentObject": {"database": "d", "table": "t"}, "partition": partition})
    assert read.parent == ObjectPath("d", {"Table": "t"})
    assert read.definition.values["QueryDefinition"] == "let\nin 1"
    altered = command(
        alter={"object": {"database": "d", "table": "t", "partition": "P"}, "partition": {"mode": "dual"}}
    )
    assert altered.object.type == "Partition"
    assert altered.definition.values == {"Name": "P", "Mode": 4}
    level = {"name": "h", "levels": [{"name": "l", "ordinal": 0, "column": "c"}]}
    table = command(
        createOrReplace={"object": {"database": "d", "table": "t"}, "table": {"name": "t2", "hierarchies": [level]}}
    )
    reference = table.definition.children[0].children[0].references["ColumnID"]
    assert reference.path == {"Table": "t2", "Column": "c"}


def test_refresh_names_databases_tables_and_partitions():
    objects = [{"database": "d"}, {"database": "d", "table": "t"}, {"database": "d", "table": "t", "partition": "p"}]
    read = command(refresh={"type": "dataOnly", "objects": objects, "effectiveDate": "2024-05-01"})
    assert isinstance(read, Refresh)
    assert [path.type for path in read.objects] == ["Database", "Table", "Partition"]
    assert read.effective_date == datetime.datetime(2024, 5, 1)  # noqa: DTZ001
    with pytest.raises(CommandNotSupportedError, match="overrides"):
        command(refresh={"type": "full", "objects": objects, "overrides": [{}]})


def test_a_sequence_holds_commands_and_no_sequence():
    operations = [{"delete": {"object": {"database": "d"}}}, {"backup": {"database": "e", "file": "f"}}]
    read = command(sequence={"maxParallelism": 2, "operations": operations})
    assert read == Sequence((Delete(ObjectPath("d")), Backup("e", "f")), 2)
    error = refused(json.dumps({"sequence": {"operations": [{"sequence": {"operations": []}}]}}))
    assert error.path == "sequence.operations[0].sequence"


@pytest.mark.parametrize("name", ["synchronize", "mergePartitions", "applyAutomaticAggregations", "updateCulture"])
def test_a_known_command_that_is_not_done_is_told_from_nonsense(name):
    with pytest.raises(CommandNotSupportedError, match=name):
        command(**{name: {}})


@pytest.mark.parametrize(
    ("script", "path", "message"),
    [
        ({"nonsense": {}}, "nonsense", "is no command"),
        ({"export": {}}, "export", "is no command"),
        ({}, None, "0 members"),
        ({"backup": {}, "restore": {}}, None, "2 members"),
        ({"backup": {"database": "d"}}, "backup", "no file"),
        ({"backup": {"database": "d", "file": ""}}, "backup.file", "empty"),
        ({"backup": {"database": "d", "file": "f", "x": 1}}, "backup.x", "no member 'x'"),
        ({"backup": {"database": "d", "file": "f", "allowOverwrite": "yes"}}, "backup.allowOverwrite", "true or false"),
        ({"backup": {"database": "d", "file": "f", "allowOverwrite": 1}}, "backup.allowOverwrite", "true or false"),
        ({"backup": []}, "backup", "an array stands here, not an object"),
        ({"restore": {"database": "d", "file": "f", "security": "CopyAll"}}, "restore.security", "none of"),
        ({"restore": {"database": "d", "file": "f", "readWriteMode": "x"}}, "restore.readWriteMode", "none of"),
        ({"delete": {}}, "delete", "no object"),
        ({"delete": {"object": {"table": "t"}}}, "delete.object", "does not name one object"),
        ({"delete": {"object": {"database": "d", "partition": "p"}}}, "delete.object", "does not name one object"),
        ({"delete": {"object": {"database": "d", "table": "t", "role": "r"}}}, "delete.object", "does not name one"),
        ({"delete": {"object": {"database": "d", "measure": "m"}}}, "delete.object.measure", "not named by 'measure'"),
        ({"create": {"table": {"name": "t"}}}, "create.parentObject", "created in a Database"),
        (
            {"create": {"parentObject": {"database": "d"}, "partition": {"name": "p"}}},
            "create.parentObject",
            "in a Table",
        ),
        ({"create": {"parentObject": {"database": "d"}, "database": {"name": "p"}}}, "create.parentObject", "server"),
        ({"create": {"database": {"name": "d"}, "table": {"name": "t"}}}, "create", "2 objects"),
        ({"alter": {"object": {"database": "d"}, "table": {"name": "t"}}}, "alter.table", "the object is a Database"),
        ({"alter": {"object": {"database": "d"}, "database": {}, "x": 1}}, "alter.x", "no member"),
        (
            {"alter": {"object": {"database": "d", "role": "r"}, "role": {"modelPermission": "all"}}},
            "alter.role.modelPermission",
            "none of",
        ),
        (
            {
                "createOrReplace": {
                    "object": {"database": "d"},
                    "database": {
                        "name": "d",
                        "model": {"tables": [{"name": "t", "columns": [{"name": "c", "foo": 1}]}]},
                    },
                }
            },
            "createOrReplace.database.model.tables[0].columns[0].foo",
            "foo",
        ),
        ({"refresh": {"type": "FULL", "objects": []}}, "refresh.type", "none of"),
        (
            {"refresh": {"type": "full", "objects": [{"database": "d", "role": "r"}]}},
            "refresh.objects[0]",
            "a Role cannot",
        ),
        ({"sequence": {"operations": {}}}, "sequence.operations", "not an array"),
        ({"sequence": {"operations": [], "maxParallelism": -1}}, "sequence.maxParallelism", "no number of threads"),
    ],
)
def test_what_no_command_can_say_is_refused_with_its_place(script, path, message):
    error = refused(json.dumps(script))
    assert error.path == path
    assert message in error.message


@pytest.mark.parametrize("value", [[], {}, ["true"], None, 1, "True"])
def test_a_flag_is_true_or_false(value):
    flags = {
        "backup": ("allowOverwrite", "applyCompression"),
        "restore": ("allowOverwrite", "ignoreIncompatibilities", "forceRestore"),
        "refresh": ("applyRefreshPolicy", "keepCalculated"),
    }
    others = {name: {"database": "a", "file": "a"} for name in ("backup", "restore")}
    others["refresh"] = {"type": "full", "objects": [{"database": "a"}]}
    for name, members in flags.items():
        for member in members:
            error = refused(json.dumps({name: {**others[name], member: value}}))
            assert error.path == f"{name}.{member}"
            assert "not true or false" in error.message


def test_a_remote_location_is_not_supported():
    with pytest.raises(CommandNotSupportedError, match="remote"):
        command(restore={"database": "d", "file": "f", "locations": [{}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"backup": {"database": "a", "database": "b"}}', "'database' is there twice"),
        ("[]", "an array, not an object"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": 1e999}', "infinity"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ('{/* no */ "a": 1}', "not JSON"),
        ('{"a": 1,}', "not JSON"),
        ('{"a": ' + "1" * 5000 + "}", "number"),
        ("", "not JSON"),
    ],
)
def test_only_plain_json_is_read(text, message):
    with pytest.raises(RequestError, match=message):
        load_document(text)


def test_where_the_json_breaks_is_said():
    with pytest.raises(RequestError) as raised:
        load_document('{\n  "a": x}')
    assert (raised.value.line, raised.value.column) == (2, 8)


def test_levels_and_characters_are_limited(monkeypatch):
    deep = '{"a":' * DEPTH_MAX + "1" + "}" * DEPTH_MAX
    assert load_document(deep)
    for depth in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(RequestTooLargeError, match="levels"):
            load_document('{"a":' + "[" * depth + "]" * depth + "}")
    with pytest.raises(RequestTooLargeError, match="name of a member has 1025 characters"):
        load_document(json.dumps({"a" * 1025: 1}))
    monkeypatch.setattr(document, "CHARACTER_COUNT_MAX", 10)
    with pytest.raises(RequestTooLargeError, match="12 characters"):
        load_document('{"a": "abc"}')


def test_a_sequence_of_too_many_operations_is_refused():
    operation = '{"delete":{"object":{"database":"d"}}}'
    with pytest.raises(RequestTooLargeError, match="10001 stand here"):
        parse_command('{"sequence":{"operations":[' + ",".join([operation] * 10_001) + "]}}")


def test_every_prefix_of_a_script_is_refused():
    text = json.dumps({"sequence": {"operations": [{"backup": {"database": "d", "file": "f"}}]}})
    for length in range(len(text)):
        refused(text[:length])


@given(st.text(alphabet='{}[]":,\\ abcnulltre0123456789.-', max_size=40))
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_command_or_refused(text):
    refused(text)


def test_tmsl_is_told_from_queries():
    assert is_command('\ufeff\n {"backup": {}}')
    assert not is_command("EVALUATE 'T'")
    assert not is_command("")
