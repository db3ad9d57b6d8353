from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from genuine import OLDEST, OLS, RLS, SMALL, ask, change, copied, genuine_metadata
from pbixray import PBIXRay

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import DatabaseError, FormatError, ModelError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.load import load_model
from tabvault.model.metadata import SYNONYMS, Metadata
from tabvault.model.objects import DictionaryType, PartitionMode


def loaded(source):
    opened = Metadata.from_bytes(source) if isinstance(source, bytes) else Metadata.open(source)
    with opened as metadata:
        return load_model(metadata)


def count(path, table: str, where: str = "1") -> int:
    if not ask(path, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"):
        return 0
    ((number,),) = ask(path, f'SELECT count(*) FROM "{table}" WHERE {where}')
    return number


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_row_of_the_metadata_has_its_object(name, tmp_path):
    path, model = copied(name, tmp_path), loaded(genuine_metadata(name))
    tables = (*model.tables, *model.system_tables)
    columns = [column for table in tables for column in table.columns]
    partitions = [partition for table in tables for partition in table.partitions]
    assert len(model.tables) == count(path, "Table", "SystemFlags != 1")
    assert len(model.system_tables) == count(path, "Table", "SystemFlags = 1")
    assert len(columns) == count(path, "Column")
    assert len(partitions) == count(path, "Partition")
    assert sum(len(table.measures) for table in tables) == count(path, "Measure")
    assert sum(len(table.hierarchies) for table in tables) == count(path, "Hierarchy")
    assert sum(len(h.levels) for table in tables for h in table.hierarchies) == count(path, "Level")
    assert len(model.relationships) == count(path, "Relationship")
    assert len(model.roles) == count(path, "Role")
    assert len(model.data_sources) == count(path, "DataSource")
    assert len(model.expressions) == count(path, "Expression")
    assert [model.schema_version] == [
        v for (v,) in ask(path, "SELECT VALUE FROM DBPROPERTIES WHERE NAME = 'SCHEMAVERSION'")
    ]


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_storage_file_is_reached_by_its_path(name, tmp_path):
    """All but the .hidx files, which no value is read from."""
    path, model = copied(name, tmp_path), loaded(genuine_metadata(name))
    expected = ask(
        path,
        "SELECT d.Path || '\\' || f.FileName FROM StorageFile f JOIN StorageFolder d ON d.ID = f.StorageFolderID"
        " WHERE f.OwnerType != 27",
    )
    files = []
    for table in (*model.tables, *model.system_tables):
        for column in table.columns:
            files.append(column.storage.dictionary.file)
            for part in column.storage.partitions:
                files += [part.idf_file, part.idfmeta_file]
    assert sorted(file for file in files if file) == sorted(file for (file,) in expected)


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_row_counts_are_those_of_the_segment_maps(name, tmp_path):
    path, model = copied(name, tmp_path), loaded(genuine_metadata(name))
    expected = ask(
        path,
        'SELECT t.Name, sum(m.RecordCount) FROM "Table" t JOIN "Partition" p ON p.TableID = t.ID'
        " JOIN PartitionStorage s ON s.ID = p.PartitionStorageID"
        " JOIN SegmentMapStorage m ON m.ID = s.SegmentMapStorageID GROUP BY t.ID",
    )
    assert {table.name: table.row_count for table in (*model.tables, *model.system_tables)} == dict(expected)


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_tables_columns_measures_and_relationships_are_those_that_pbixray_finds(name):
    model = loaded(genuine_metadata(name))
    peer = PBIXRay(str(sample_path(name)))
    names = {table.id: table.name for table in model.tables}
    columns = {column.id: column.name for table in model.tables for column in table.columns}
    seen = {(table.name, c.name) for table in model.tables for c in table.columns if not c.is_row_number}
    assert seen == set(zip(peer.schema["TableName"], peer.schema["ColumnName"], strict=True))
    # It lists no table that has nothing but a row number, nor relationships that join on the date part.
    assert set(names.values()) - {table for table, _ in seen} == set(names.values()) - set(peer.tables)
    measures = {(t.name, m.name, m.expression) for t in model.tables for m in t.measures}
    theirs = peer.dax_measures
    if len(theirs):
        assert measures == set(zip(theirs["TableName"], theirs["Name"], theirs["Expression"], strict=True))
    theirs = peer.relationships
    if len(theirs):
        ends = [theirs[c] for c in ("FromTableName", "FromColumnName", "ToTableName", "ToColumnName")]
        ours = [
            (names[r.from_table_id], columns[r.from_column_id], names[r.to_table_id], columns[r.to_column_id])
            for r in model.relationships
        ]
        assert set(ours) >= set(zip(*ends, strict=True))


def test_a_direct_query_model_stores_no_rows():
    model = loaded(genuine_metadata("Hugoberry__directquery-parameters.pbix"))
    assert [table.name for table in model.tables] == ["DimDate", "FactResellerSales", "DimReseller", "DimProduct"]
    assert all(table.is_direct_query and table.row_count == 0 for table in model.tables)
    assert {table.name[:2] for table in model.system_tables} == {"R$"}


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_names_and_types_are_the_explicit_ones_and_else_the_inferred_ones(name, tmp_path):
    path = copied(name, tmp_path)
    expected = {
        column_id: (explicit if explicit is not None else inferred, kind if kind not in (1, 19) else inferred_kind)
        for column_id, explicit, inferred, kind, inferred_kind in ask(
            path, 'SELECT ID, ExplicitName, InferredName, ExplicitDataType, InferredDataType FROM "Column"'
        )
    }
    model = loaded(path)
    found = {
        column.id: (column.name, int(column.data_type))
        for table in (*model.tables, *model.system_tables)
        for column in table.columns
    }
    assert found == expected


def test_the_oldest_schema_loads_under_its_other_column_names():
    model = loaded(genuine_metadata(OLDEST))
    assert model.schema_version == 17
    assert model.default_mode == PartitionMode.IMPORT
    segments = {table.name: table for table in model.tables}["Segments_Datatable"]
    names = [column.name for column in segments.columns if not column.is_row_number]
    assert names == ["Price Range", "Min Price", "Max Price"]
    assert {partition.type for table in model.tables for partition in table.partitions} == {1, 2}
    assert len(model.relationships) == 2


def test_default_modes_become_that_of_the_model_but_for_system_partitions(tmp_path):
    path = change(copied(SMALL, tmp_path), 'UPDATE "Model" SET DefaultMode = 1', 'UPDATE "Partition" SET Mode = 2')
    model = loaded(path)
    assert {p.mode for table in model.tables for p in table.partitions} == {PartitionMode.DIRECT_QUERY}
    assert {p.mode for table in model.system_tables for p in table.partitions} == {PartitionMode.DEFAULT}


def test_partitions_and_columns_stand_in_the_order_of_their_storage(tmp_path):
    path = change(copied(SMALL, tmp_path), "UPDATE ColumnStorage SET StoragePosition = 100 - StoragePosition")
    before, after = loaded(genuine_metadata(SMALL)), loaded(path)
    assert len(before.tables[0].columns) > 1
    assert [c.id for c in after.tables[0].columns] == [c.id for c in before.tables[0].columns][::-1]


def test_dictionaries_statistics_and_times_are_read(tmp_path):
    path = change(
        copied(SMALL, tmp_path), "UPDATE DBPROPERTIES SET VALUE = 131399902319276850 WHERE NAME = 'LASTCOMMITTED'"
    )
    model = loaded(path)
    assert model.last_update == datetime(2017, 5, 23, 5, 17, 11, 927685, tzinfo=UTC)
    row_number = next(column for column in model.tables[0].columns if column.is_row_number)
    dictionary = row_number.storage.dictionary
    assert (dictionary.type, dictionary.base_id, dictionary.magnitude) == (DictionaryType.VALUE, -3, 1.0)
    assert row_number.storage.statistics.row_count == model.tables[0].row_count


@pytest.mark.parametrize("value", ["0", "31240512000000000", "NULL"])
def test_a_model_that_was_never_committed_has_no_time(value, tmp_path):
    path = change(copied(SMALL, tmp_path), f"UPDATE DBPROPERTIES SET VALUE = {value} WHERE NAME = 'LASTCOMMITTED'")
    assert loaded(path).last_update is None


def test_members_of_roles_are_loaded(tmp_path):
    path = change(
        copied(RLS, tmp_path),
        "INSERT INTO RoleMembership (ID, RoleID, MemberName, MemberID, IdentityProvider, MemberType)"
        " VALUES (99001, 26085, 'ann@example.org', 'S-1', 'AzureAD', 2)",
    )
    roles = {role.name: role for role in loaded(path).roles}
    (member,) = roles["Asia"].members
    assert (member.name, member.member_id, member.identity_provider, member.member_type) == (
        "ann@example.org", "S-1", "AzureAD", 2,
    )  # fmt: skip
    assert roles["Europe"].members == ()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('UPDATE "Column" SET TableID = 999999 WHERE ID = {column}', "Column {column}: TableID is 999999"),
        ("UPDATE \"Column\" SET TableID = 'x' WHERE ID = {column}", "Column {column}: TableID is 'x'"),
        ('UPDATE "Column" SET ColumnStorageID = {table} WHERE ID = {column}', "Column {column}: ColumnStorageID is"),
        ('UPDATE "Column" SET ExplicitDataType = 2.5 WHERE ID = {column}', "Column {column}: ExplicitDataType is 2.5"),
        ('UPDATE "Column" SET IsHidden = 2 WHERE ID = {column}', "Column {column}: IsHidden is 2, not 0 or 1"),
        (
            'UPDATE "Column" SET ExplicitName = NULL, InferredName = NULL WHERE ID = {column}',
            "Column {column}: InferredName is None",
        ),
        ('UPDATE "Table" SET Name = NULL WHERE ID = {table}', "Table {table}: Name is None, not a text"),
        ('UPDATE "Table" SET TableStorageID = 1 WHERE ID = {table}', "Table {table}: TableStorageID is 1"),
        ('UPDATE "Model" SET DefaultMode = 2', "Model 1: DefaultMode is 2"),
        ('DELETE FROM "Model"', "table Model has 0 rows"),
        ('DELETE FROM "SegmentMapStorage"', "not the id of a row of SegmentMapStorage"),
        ('DELETE FROM "SegmentStorage"', "not the id of a row of SegmentStorage"),
        ('DELETE FROM "DictionaryStorage"', "not the id of a row of DictionaryStorage"),
        ('DELETE FROM "StorageFolder"', "not the id of a row of StorageFolder"),
        ('DELETE FROM "StorageFile"', "not the id of a row of StorageFile"),
        ('DELETE FROM "ColumnStorage"', "not the id of a row of ColumnStorage"),
        ('DELETE FROM "Table" WHERE ID = {table}', "not the id of a row of Table"),
        (
            "UPDATE StorageFile SET FileName = 'a', StorageFolderID = (SELECT min(ID) FROM StorageFolder)",
            "'.*a' is that of",
        ),
        ("UPDATE PartitionStorage SET PartitionID = 1", "PartitionID is 1"),
        ("UPDATE ColumnStorage SET ColumnID = 1", "ColumnID is 1"),
        ("UPDATE ColumnPartitionStorage SET PartitionStorageID = 1", "PartitionStorageID is 1"),
        ("UPDATE SegmentMapStorage SET RecordCount = -1", "RecordCount is -1, not a count"),
        ("UPDATE DictionaryStorage SET Magnitude = 'much'", "Magnitude is 'much', not a number"),
        ("UPDATE DBPROPERTIES SET VALUE = -5 WHERE NAME = 'LASTCOMMITTED'", "LASTCOMMITTED is -5, not a time"),
        (
            "UPDATE DBPROPERTIES SET VALUE = 9223372036854775807 WHERE NAME = 'LASTCOMMITTED'",
            "LASTCOMMITTED is 9223372036854775807, not a time",
        ),
    ],
)
def test_a_model_that_contradicts_itself_does_not_load(statement, message, tmp_path):
    path = copied(SMALL, tmp_path)
    ((table, column),) = ask(path, 'SELECT TableID, ID FROM "Column" WHERE Type = 1 AND SystemFlags = 0 LIMIT 1')
    change(path, statement.format(table=table, column=column))
    with pytest.raises(ModelError, match=message.format(table=table, column=column)):
        loaded(path)


def test_ids_that_are_missing_or_doubled_are_refused(tmp_path):
    """In a table that lost its primary key, SQLite accepts any id any number of times."""
    without_key = (
        'ALTER TABLE "Role" RENAME TO "Old"',
        'CREATE TABLE "Role" AS SELECT * FROM "Old"',
    )
    path = change(copied(OLS, tmp_path), *without_key, 'INSERT INTO "Role" SELECT * FROM "Old"')
    with pytest.raises(ModelError, match="Role 36838: ID is there twice"):
        loaded(path)
    for value, shown in (("NULL", "None"), ("'x'", "'x'"), ("-1", "-1"), ("x'00'", "b'.*'")):
        path = change(copied(OLS, tmp_path), *without_key, f'UPDATE "Role" SET ID = {value}')
        with pytest.raises(ModelError, match=f"Role: ID is {shown}, not a positive number"):
            loaded(path)


def test_a_relationship_whose_column_is_of_another_table_does_not_load(tmp_path):
    path = change(copied(RLS, tmp_path), "UPDATE Relationship SET FromColumnID = ToColumnID")
    with pytest.raises(ModelError, match=r"FromColumnID is .* not a column of FromTableID"):
        loaded(path)


def test_a_model_of_thousands_of_columns_loads_in_linear_time(tmp_path):
    """Each column of the small model a thousand times over: 17 000 columns."""
    path = copied(SMALL, tmp_path)
    cells = [name for (name,) in ask(path, "SELECT name FROM pragma_table_info('Column')")]
    numbers = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n LIMIT 1000)"

    def multiplied(table: str, replaced: dict[str, str]) -> str:
        names = [name for (name,) in ask(path, f"SELECT name FROM pragma_table_info('{table}')")]
        columns = ", ".join(replaced.get(name, f't."{name}"') for name in names)
        return f'INSERT INTO "{table}" {numbers} SELECT {columns} FROM "{table}" t, n'

    assert "ColumnStorageID" in cells
    new_id = "t.ID + k * 1000000"
    change(
        path,
        multiplied(
            "Column",
            {
                "ID": new_id,
                "ColumnStorageID": "t.ColumnStorageID + k * 1000000",
                "ExplicitName": "coalesce(t.ExplicitName, t.InferredName) || k",
            },
        ),
        multiplied("ColumnStorage", {"ID": new_id, "ColumnID": "t.ColumnID + k * 1000000"}),
        multiplied("ColumnPartitionStorage", {"ID": new_id, "ColumnStorageID": "t.ColumnStorageID + k * 1000000"}),
    )
    started = datetime.now(UTC)
    model = loaded(path)
    seconds = (datetime.now(UTC) - started).total_seconds()
    assert sum(len(table.columns) for table in (*model.tables, *model.system_tables)) == 17 * 1001
    assert seconds < 5


def test_a_damaged_page_is_an_error_of_the_format(tmp_path):
    path = copied(SMALL, tmp_path)
    ((root,),) = ask(path, "SELECT rootpage FROM sqlite_master WHERE name = 'Column'")
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096] = 99
    with pytest.raises(FormatError):
        loaded(bytes(data))


def test_every_synonym_belongs_to_a_column_that_newer_versions_have():
    with Metadata.from_bytes(genuine_metadata(SMALL)) as metadata:
        assert all(new in metadata.column_names(table) for (table, _), new in SYNONYMS.items())


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_the_metadata_do_not_know_the_name_of_their_database(name):
    """Why a restore under a new name leaves the metadata alone: name and id stand in db.xml and the log."""
    with open_backup(MemorySource(sample_path(name).read_bytes())) as backup:
        names = {backup.container.log.object_name, backup.container.log.object_id}
    data = genuine_metadata(name).lower()
    for text in names:
        for form in (text, text.replace("-", " ")):
            assert form.lower().encode() not in data
            assert form.lower().encode("utf-16-le") not in data


def test_numbers_that_no_enumeration_knows_stay_numbers(tmp_path):
    path = change(
        copied(SMALL, tmp_path),
        'UPDATE "Partition" SET Mode = 9',
        'UPDATE "Column" SET ExplicitDataType = 77',
        "UPDATE DictionaryStorage SET Type = 3",
    )
    model = loaded(path)
    assert {partition.mode for table in model.tables for partition in table.partitions} == {9}
    columns = [column for table in model.tables for column in table.columns]
    assert {(column.data_type, column.storage.dictionary.type) for column in columns} == {(77, 3)}


def test_names_that_are_there_twice_do_not_keep_a_model_from_loading(tmp_path):
    path = change(copied(SMALL, tmp_path), "UPDATE \"Table\" SET Name = 'Twice'")
    assert {table.name for table in loaded(path).tables} == {"Twice"}


def test_metadata_may_be_read_and_closed_by_other_threads_and_not_after(tmp_path):
    for opened in (Metadata.open(copied(SMALL, tmp_path)), Metadata.from_bytes(genuine_metadata(SMALL))):
        with ThreadPoolExecutor(4) as pool:
            models = list(pool.map(lambda _, metadata=opened: load_model(metadata), range(4)))
            assert models == models[:1] * 4
            pool.submit(opened.close).result()
        with pytest.raises(DatabaseError, match="closed database"):
            opened.properties()
