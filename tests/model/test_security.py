"""The security modes, judged by SQLite itself on the file that they leave."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing

import pytest
from genuine import OLDEST, OLS, RLS, SMALL, ask, change, copied, genuine_metadata

from tabvault.errors import CompatibilityError, DiskFullError, FormatError, ModelError, StorageError
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.references import id_violations, reference_violations
from tabvault.model.security import SecurityChange, drop_roles_without_read, ignore_security, skip_membership

MEMBER = "INSERT INTO RoleMembership (ID, RoleID, MemberName, MemberType) VALUES ({id}, {role}, '{name}', 2)"


def staged(tmp_path):
    """The backup: roles Dynamic RLS, Asia, Europe, United States, Management; a member in two of them."""
    path = copied(RLS, tmp_path, "staged.sqlitedb")
    return change(
        path,
        MEMBER.format(id=30001, role=26085, name="asia@backup"),
        MEMBER.format(id=30002, role=26088, name="europe@backup"),
        "INSERT INTO Annotation (ID, ObjectID, ObjectType, Name, Value) VALUES (30003, 30001, 35, 'note', 'gone')",
        "INSERT INTO ExtendedProperty (ID, ObjectID, ObjectType, Name) VALUES (30004, 26086, 40, 'of a permission')",
        "INSERT INTO ChangedProperty (ID, ObjectID, ObjectType, Property) VALUES (30005, 30003, 7, 'of a note')",
        "UPDATE DBPROPERTIES SET VALUE = 30005 WHERE NAME = 'MAXID'",
    )


def overwritten(tmp_path):
    """The database in place: the same report, other members, one role renamed, one role of its own."""
    path = copied(RLS, tmp_path, "target.sqlitedb")
    return change(
        path,
        "UPDATE Role SET Name = 'ASIA' WHERE ID = 26085",
        "UPDATE Role SET Name = 'Only here' WHERE ID = 26094",
        MEMBER.format(id=40001, role=26085, name="asia@target"),
        MEMBER.format(id=40002, role=26085, name="asia2@target"),
        MEMBER.format(id=40003, role=26094, name="only@target"),
        "INSERT INTO Annotation (ID, ObjectID, ObjectType, Name, Value) VALUES (40004, 40001, 35, 'note', 'kept')",
        "UPDATE DBPROPERTIES SET VALUE = 40004 WHERE NAME = 'MAXID'",
    )


def roles(path) -> dict[str, list[str]]:
    """Member names by role name."""
    members = ask(
        path,
        "SELECT r.Name, m.MemberName FROM Role r LEFT JOIN RoleMembership m ON m.RoleID = r.ID ORDER BY r.ID, m.ID",
    )
    found: dict[str, list[str]] = {}
    for role, member in members:
        found.setdefault(role, []).extend([member] if member else [])
    return found


def filters(path) -> set[tuple[object, ...]]:
    return set(
        ask(
            path,
            "SELECT r.Name, t.Name, p.FilterExpression, p.MetadataPermission FROM TablePermission p"
            ' JOIN Role r ON r.ID = p.RoleID JOIN "Table" t ON t.ID = p.TableID',
        )
    )


def hidden_columns(path) -> set[tuple[object, ...]]:
    return set(
        ask(
            path,
            "SELECT r.Name, t.Name, coalesce(c.ExplicitName, c.InferredName), q.MetadataPermission"
            " FROM ColumnPermission q JOIN TablePermission p ON p.ID = q.TablePermissionID"
            ' JOIN Role r ON r.ID = p.RoleID JOIN "Column" c ON c.ID = q.ColumnID JOIN "Table" t ON t.ID = c.TableID',
        )
    )


def assert_sound(path) -> None:
    """SQLite finds the file whole, ids are unique and under the counter, references lead somewhere, the model loads."""
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    with Metadata.open(path) as metadata:
        assert list(id_violations(metadata)) == []
        assert list(reference_violations(metadata)) == []
        load_model(metadata)
    tables = {table for (table,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in tables & {"Annotation", "ExtendedProperty", "ChangedProperty"}:
        assert ask(path, f"SELECT ID FROM {table} WHERE ObjectID NOT IN ({all_ids(path)})") == []


def all_ids(path) -> str:
    tables = ask(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'DBPROPERTIES'")
    return " UNION ALL ".join(f'SELECT ID FROM "{table}"' for (table,) in tables)


def rows_beside_roles(path) -> dict[str, list[tuple[object, ...]]]:
    """Every table that has nothing to do with roles."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        touched = {"Role", "RoleMembership", "TablePermission", "ColumnPermission", "Annotation", "DBPROPERTIES"}
        touched |= {"ExtendedProperty", "ChangedProperty"}
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names if name not in touched}


def test_skip_membership_over_a_database_takes_its_members_by_role_name(tmp_path):
    path, target = staged(tmp_path), overwritten(tmp_path)
    others, kept_filters = rows_beside_roles(path), filters(path)
    change = skip_membership(path, target)
    assert roles(path) == {
        "Dynamic RLS": [], "Asia": ["asia@target", "asia2@target"], "Europe": [], "United States": [], "Management": [],
    }  # fmt: skip
    assert change == SecurityChange(
        members_dropped=2,
        members_kept=2,
        warnings=("role 'Only here' is not in the backup: members not kept: 1",),
    )
    assert filters(path) == kept_filters
    assert rows_beside_roles(path) == others
    assert ask(path, "SELECT a.Value FROM Annotation a JOIN RoleMembership m ON m.ID = a.ObjectID") == [("kept",)]
    assert_sound(path)


def test_skip_membership_into_a_new_database_leaves_roles_without_members(tmp_path):
    path = staged(tmp_path)
    assert skip_membership(path, None) == SecurityChange(members_dropped=2)
    assert list(roles(path)) == ["Dynamic RLS", "Asia", "Europe", "United States", "Management"]
    assert not any(roles(path).values())
    assert ask(path, "SELECT count(*) FROM Annotation WHERE Name = 'note'") == [(0,)]
    assert ask(path, "SELECT count(*) FROM ChangedProperty WHERE ID = 30005") == [(0,)]
    assert ask(path, "SELECT count(*) FROM ExtendedProperty WHERE ID = 30004") == [(1,)]
    assert_sound(path)


def test_ignore_security_over_a_database_keeps_its_roles_filters_and_members(tmp_path):
    path, target = staged(tmp_path), overwritten(tmp_path)
    others = rows_beside_roles(path)
    change = ignore_security(path, target)
    assert roles(path) == roles(target)
    assert filters(path) == filters(target)
    assert change == SecurityChange(roles_dropped=5, roles_kept=5, members_dropped=2, members_kept=3)
    assert rows_beside_roles(path) == others
    notes = (
        "SELECT Name, Value FROM Annotation WHERE ObjectID IN (SELECT ID FROM Role UNION SELECT ID FROM RoleMembership)"
    )
    assert sorted(ask(path, notes)) == sorted(ask(target, notes))
    assert ask(path, "SELECT count(*) FROM ExtendedProperty WHERE ID = 30004") == [(0,)]
    assert_sound(path)


def test_ignore_security_into_a_new_database_leaves_no_role_and_nothing_that_hung_on_one(tmp_path):
    path = staged(tmp_path)
    before = ask(path, "SELECT count(*) FROM Annotation")[0][0]
    assert ignore_security(path, None) == SecurityChange(roles_dropped=5, members_dropped=2)
    for table in ("Role", "RoleMembership", "TablePermission", "ColumnPermission"):
        assert ask(path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert ask(path, "SELECT count(*) FROM Annotation") == [(before - 6,)]
    assert_sound(path)


def test_copy_all_is_what_the_backup_has(tmp_path):
    """No function is called for it; a mode that changes nothing leaves every byte."""
    path = copied(SMALL, tmp_path)
    assert skip_membership(path, None) == SecurityChange()
    assert not ignore_security(path, None).changed
    assert path.read_bytes() == genuine_metadata(SMALL)


def test_permissions_of_objects_that_are_gone_are_told(tmp_path):
    path, target = copied(RLS, tmp_path, "staged"), copied(OLS, tmp_path, "target")
    change = ignore_security(path, target)
    assert set(roles(path)) == {"Regional Sales Basic", "Regional Sales Advanced", "Product Analyst", "Leadership"}
    assert len(change.warnings) == 6
    assert "role 'Leadership': row filter on table 'User Access' is not kept" in "\n".join(change.warnings)
    assert "role 'Product Analyst': permission on table 'Customers' is not kept" in "\n".join(change.warnings)
    assert_sound(path)


def test_hidden_tables_and_columns_are_found_again_by_name_when_every_id_differs(tmp_path):
    path, target = copied(OLS, tmp_path, "staged"), copied(OLS, tmp_path, "target")
    ((shift,),) = ask(target, "SELECT VALUE FROM DBPROPERTIES WHERE NAME = 'MAXID'")
    change(
        target,
        f'UPDATE "Table" SET ID = ID + {shift}',
        f'UPDATE "Column" SET ID = ID + {shift}, TableID = TableID + {shift}',
        f"UPDATE TablePermission SET TableID = TableID + {shift}",
        f"UPDATE ColumnPermission SET ColumnID = ColumnID + {shift}",
    )
    hidden, kept = hidden_columns(target), filters(target)
    assert len(hidden) == 6
    assert ignore_security(path, target).warnings == ()
    assert hidden_columns(path) == hidden
    assert filters(path) == kept
    assert_sound(path)


def test_a_hidden_column_that_is_gone_is_told_and_the_others_stay_hidden(tmp_path):
    path, target = copied(OLS, tmp_path, "staged"), copied(OLS, tmp_path, "target")
    change(path, "UPDATE \"Column\" SET ExplicitName = 'Renamed' WHERE ID = 36153")
    ((name,),) = ask(target, 'SELECT ExplicitName FROM "Column" WHERE ID = 36153')
    warnings = ignore_security(path, target).warnings
    assert len(warnings) == 2
    assert all(f"permission on column 'Customers.{name}' is not kept" in warning for warning in warnings)
    assert len(hidden_columns(path)) == 4


def test_a_restriction_that_the_older_schema_cannot_express_fails_the_restore(tmp_path):
    path, target = copied(OLDEST, tmp_path, "staged"), copied(OLS, tmp_path, "target")
    change(path, "UPDATE \"Table\" SET Name = 'Customers' WHERE Name = 'Segments_Datatable'")
    ((hidden,),) = ask(target, 'SELECT Name FROM "Table" WHERE ID = 34')
    change(path, f"UPDATE \"Table\" SET Name = '{hidden}' WHERE Name = 'Segments_EnterData'")
    before = path.read_bytes()
    with pytest.raises(CompatibilityError, match="schema version 17"):
        ignore_security(path, target)
    assert path.read_bytes() == before


def test_roles_go_into_an_older_and_a_newer_schema(tmp_path):
    older, newer = copied(OLDEST, tmp_path, "older"), copied(RLS, tmp_path, "newer")
    change(older, "UPDATE \"Table\" SET Name = 'REGIONS' WHERE Name = 'Segments_Datatable'")
    expected = {(role, "REGIONS", text) for role, _, text, _ in filters(newer)}
    assert ignore_security(older, newer).roles_kept == 5
    found = ask(
        older,
        "SELECT r.Name, t.Name, p.FilterExpression FROM TablePermission p JOIN Role r ON r.ID = p.RoleID"
        ' JOIN "Table" t ON t.ID = p.TableID',
    )
    assert set(found) == expected
    assert_sound(older)
    back = copied(RLS, tmp_path, "back")
    assert ignore_security(back, older).warnings == ()
    assert filters(back) == {(role, "Regions", text, 0) for role, _, text in expected}
    assert_sound(back)


def test_members_names_do_not_stay_in_free_pages(tmp_path):
    path = staged(tmp_path)
    assert b"asia@backup" in path.read_bytes()
    skip_membership(path, None)
    assert b"@backup" not in path.read_bytes()


def test_the_page_size_and_another_link_to_the_file_stay(tmp_path):
    path = staged(tmp_path)
    before = path.read_bytes()
    link = tmp_path / "other version"
    link.hardlink_to(path)
    assert ignore_security(path, None).changed
    assert link.read_bytes() == before
    assert path.read_bytes()[16:18] == before[16:18]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other version", "staged.sqlitedb"]


def test_no_room_for_the_changed_file_is_a_named_error_and_nothing_changed(tmp_path):
    path = staged(tmp_path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DiskFullError, match=r"staged\.sqlitedb cannot be changed: File too large"):
            ignore_security(path, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["staged.sqlitedb"]


def test_a_file_of_the_backup_is_not_taken_for_our_own_draft(tmp_path):
    path = staged(tmp_path)
    (tmp_path / "staged.sqlitedb.edited").write_bytes(b"of the backup")
    with pytest.raises(StorageError, match="File exists"):
        ignore_security(path, None)
    assert (tmp_path / "staged.sqlitedb.edited").read_bytes() == b"of the backup"


def test_ids_go_on_from_the_highest_in_use_when_the_counter_is_behind(tmp_path):
    path, target = staged(tmp_path), overwritten(tmp_path)
    change(path, "UPDATE DBPROPERTIES SET VALUE = 5 WHERE NAME = 'MAXID'")
    ignore_security(path, target)
    assert_sound(path)
    assert ask(path, "SELECT min(ID) FROM Role") == [(30006,)]


@pytest.mark.parametrize("value", ["NULL", "'x'", "-1", "9223372036854775807"])
def test_a_counter_that_is_none_is_refused_and_nothing_changed(value, tmp_path):
    path = change(staged(tmp_path), f"UPDATE DBPROPERTIES SET VALUE = {value} WHERE NAME = 'MAXID'")
    before = path.read_bytes()
    with pytest.raises(ModelError, match="MAXID"):
        ignore_security(path, None)
    assert path.read_bytes() == before


def test_two_roles_of_one_name_are_refused(tmp_path):
    path, target = staged(tmp_path), overwritten(tmp_path)
    change(target, "UPDATE Role SET Name = 'asia' WHERE Name = 'Europe'")
    with pytest.raises(ModelError, match="is that of Role 26085 too"):
        skip_membership(path, target)


def test_a_trigger_in_the_staged_file_never_fires(tmp_path):
    path = change(staged(tmp_path), "CREATE TRIGGER t AFTER DELETE ON Role BEGIN DELETE FROM TablePermission; END")
    with pytest.raises(FormatError, match="'trigger' 't'"):
        ignore_security(path, None)


def test_unknown_tables_that_hang_on_a_role_go_and_come_with_it(tmp_path):
    table = "CREATE TABLE RoleBadge (ID INTEGER PRIMARY KEY, RoleID INTEGER, Colour TEXT)"
    path = change(staged(tmp_path), table, "INSERT INTO RoleBadge VALUES (30006, 26085, 'red')")
    target = change(overwritten(tmp_path), table, "INSERT INTO RoleBadge VALUES (40005, 26085, 'blue')")
    ignore_security(path, target)
    badges = ask(path, "SELECT r.Name, b.Colour FROM RoleBadge b JOIN Role r ON r.ID = b.RoleID")
    assert badges == [("ASIA", "blue")]
    assert_sound(path)


def test_what_hangs_on_a_role_and_has_no_place_is_told(tmp_path):
    target = change(
        overwritten(tmp_path),
        "INSERT INTO ObjectTranslation (ID, CultureID, ObjectID, ObjectType, Property, Value)"
        " SELECT 40005, ID, 26085, 34, 1, 'Asien' FROM Culture LIMIT 1",
        "CREATE TABLE RoleBadge (ID INTEGER PRIMARY KEY, RoleID INTEGER, Colour TEXT)",
        "INSERT INTO RoleBadge VALUES (40006, 26085, 'blue')",
    )
    path = change(staged(tmp_path), "UPDATE Culture SET Name = 'xx-XX'")
    warnings = ignore_security(path, target).warnings
    assert len(warnings) == 2
    assert "the restored database has no culture" in warnings[0]
    assert "RoleBadge 40006 is not kept" in warnings[1]
    assert_sound(path)


def test_roles_that_may_not_read_are_dropped_on_request(tmp_path):
    path = change(staged(tmp_path), "UPDATE Role SET ModelPermission = 4 WHERE Name = 'Asia'",
                  "UPDATE Role SET ModelPermission = 1 WHERE Name = 'Management'")  # fmt: skip
    change_made = drop_roles_without_read(path)
    assert set(roles(path)) == {"Dynamic RLS", "Europe", "United States"}
    assert change_made.changed
    assert change_made.warnings == (
        "role 'Asia' is dropped: it may not read the model",
        "role 'Management' is dropped: it may not read the model",
    )
    assert b"asia@backup" not in path.read_bytes()
    assert_sound(path)
    assert not drop_roles_without_read(path).changed
