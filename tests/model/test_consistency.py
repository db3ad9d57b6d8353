"""Genuine databases agree with themselves; each kind of damage to a copy is found under its name."""

from __future__ import annotations

import time

import pytest
from genuine import OLDEST, RLS, SMALL, ask, change, copied, genuine_files, genuine_metadata

from conftest import CONTAINER_SAMPLES
from genuine_columns import MemoryFiles
from tabvault.model.consistency import FINDINGS_MAX, Finding, check_consistency
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.references import reference_violations

ANY_FILE = "(SELECT max(StorageFileID) FROM SegmentStorage)"
ANY_HIERARCHY = "(SELECT max(ID) FROM AttributeHierarchyStorage WHERE SystemTableID)"

DIRECT_QUERY = "Hugoberry__directquery-parameters.pbix"


def checked(source, files) -> list[Finding]:
    opened = Metadata.from_bytes(source) if isinstance(source, bytes) else Metadata.open(source)
    with opened as metadata:
        return check_consistency(metadata, load_model(metadata), files)


def violated(findings: list[Finding]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity != "OK":
            found.setdefault(finding.subject, []).append(finding.message)
    return found


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_condition_holds_in_every_genuine_database(name):
    files = genuine_files(name)
    started = time.monotonic()
    findings = checked(genuine_metadata(name), files)
    assert time.monotonic() - started < 3
    assert {finding.severity for finding in findings} == {"OK"}
    assert [finding.subject for finding in findings] == [
        "metadata pages", "ids", "references", "columns", "storage objects", "storage files", "storage folders",
        "storage positions", "files", "partitions", "segments", "segment maps", "dictionaries", "statistics",
        "system tables", "hierarchies", "levels", "relationships", "DirectQuery", "names",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "subject", "message"),
    [
        ("UPDATE DBPROPERTIES SET VALUE = 100 WHERE NAME = 'MAXID'", "ids", "ID is above MAXID 100"),
        ("UPDATE DBPROPERTIES SET VALUE = 'x' WHERE NAME = 'MAXID'", "ids", "MAXID is 'x'"),
        ("UPDATE Annotation SET ID = 1 WHERE ID = 25422", "ids", "id 1 is in table Model and in table Annotation"),
        ("UPDATE Annotation SET ID = -1 WHERE ID = 25422", "ids", "Annotation: ID is -1"),
        ("UPDATE TablePermission SET TableID = 1", "references", "TableID 1 is no row of Table"),
        ("UPDATE TablePermission SET TableID = 'x'", "references", "TableID is 'x', not a whole number"),
        (
            "UPDATE PartitionStorage SET StorageFolderID = 0",
            "references",
            "StorageFolderID 0 is no row of StorageFolder",
        ),
        ('UPDATE "Column" SET SortByColumnID = 5', "references", "SortByColumnID 5 is no row of Column"),
        ("UPDATE SegmentMapStorage SET PartitionStorageID = 7", "storage objects", "PartitionStorageID is 7, and Part"),
        ("UPDATE DictionaryStorage SET ColumnStorageID = 7", "storage objects", "ColumnStorageID is 7, and Column"),
        (
            "DELETE FROM AttributeHierarchy WHERE ID = (SELECT min(ID) FROM AttributeHierarchy)",
            "storage objects",
            "is no",
        ),
        (
            'UPDATE "Hierarchy" SET HierarchyStorageID = 0',
            "storage objects",
            "and no row of Hierarchy names it",
        ),
        ("UPDATE StorageFile SET OwnerID = 1 WHERE OwnerType = 24", "storage files", "SegmentStorage 1 owns it"),
        ("UPDATE StorageFolder SET OwnerID = 1 WHERE OwnerType = 18", "storage files", "TableStorage 1 owns it"),
        ("UPDATE StorageFile SET FileName = 'x' || FileName WHERE OwnerType = 27", "files", "not among the files"),
        ("UPDATE SegmentMapStorage SET SegmentCount = SegmentCount + 1", "segments", "segment count of SegmentMap"),
        ("UPDATE SegmentStorage SET SegmentCount = SegmentCount + 1", "segments", "segment count of SegmentMap"),
        ("UPDATE SegmentMapStorage SET RecordCount = RecordCount + 1", "segments", "and the segments have"),
        ("UPDATE SegmentMapStorage SET RecordCount = RecordCount + 1", "hierarchies", "records, and column"),
        ("UPDATE SegmentMapStorage SET RecordCount = RecordCount + 1", "relationships", "records, RecordCount is"),
        ("UPDATE ColumnStorage SET Statistics_RowCount = 5", "statistics", "Statistics_RowCount is 5"),
        ("UPDATE ColumnStorage SET Statistics_HasNulls = 0", "statistics", "Statistics_HasNulls is 0"),
        ("UPDATE ColumnStorage SET Statistics_MaxDataID = 3", "statistics", "is 3 to 3, and the segments have 3 to"),
        ("UPDATE ColumnStorage SET Statistics_MaxDataID = 3", "hierarchies", "and column"),
        ("UPDATE ColumnStorage SET Statistics_MaxDataID = 3", "relationships", "needs 4"),
        (
            "UPDATE DictionaryStorage SET LastId = 2",
            "statistics",
            "LastId of the dictionary is 2, and Statistics_MaxDataID",
        ),
        ("UPDATE AttributeHierarchyStorage SET SystemTableID = 0", "hierarchies", "is 0, SystemTableID 0"),
        (
            "UPDATE AttributeHierarchyStorage SET SystemTableID = 31",
            "hierarchies",
            "SystemTableID is 31, not the id of",
        ),
        ("UPDATE AttributeHierarchyStorage SET DistinctDataCount = 1", "hierarchies", "needs 4"),
        ("UPDATE AttributeHierarchy SET ColumnID = 1", "hierarchies", "ColumnID is 1, not the id of a column"),
        (
            "UPDATE HierarchyStorage SET SystemTableID = 31",
            "hierarchies",
            "SystemTableID is 31, not the id of a system",
        ),
        ("UPDATE RelationshipIndexStorage SET RecordCount = 1", "relationships", "RecordCount is 1, and column"),
        ("UPDATE RelationshipIndexStorage SET SystemTableID = 31", "relationships", "SystemTableID is 31, not the id"),
        ("UPDATE RelationshipStorage SET RelationshipID = 1", "relationships", "RelationshipID is 1, not the id"),
        (
            'UPDATE "Column" SET SortByColumnID = (SELECT min(ID) FROM "Column") WHERE SortByColumnID',
            "columns",
            "SortByColumnID",
        ),
        ('UPDATE "Level" SET ColumnID = (SELECT max(ID) FROM "Column")', "columns", "is of table"),
        (
            f"UPDATE SegmentStorage SET StorageFileID = {ANY_FILE} WHERE ID = 429",
            "storage files",
            "is named by Segment",
        ),
        (f"UPDATE DictionaryStorage SET StorageFileID = {ANY_FILE} WHERE ID = 427", "storage files", "and by Segment"),
        (
            "UPDATE StorageFile SET StorageFolderID = (SELECT min(ID) FROM StorageFolder)",
            "storage folders",
            "of Diction",
        ),
        (
            "UPDATE StorageFile SET StorageFolderID = (SELECT min(ID) FROM StorageFolder) WHERE OwnerType = 24",
            "storage folders",
            "of SegmentStorage",
        ),
        (
            "UPDATE StorageFile SET StorageFolderID = (SELECT max(ID) FROM StorageFolder) WHERE OwnerType = 27",
            "storage folders",
            "of AttributeHierarchyStorage",
        ),
        ("UPDATE StorageFolder SET Path = 'x' || Path WHERE OwnerType = 20", "storage folders", "not in the folder"),
        ("UPDATE StorageFolder SET Path = 'x'", "storage folders", "which is that of StorageFolder"),
        ("UPDATE ColumnStorage SET StoragePosition = 1", "storage positions", "StoragePosition is 1, as of"),
        ("UPDATE SegmentMapStorage SET RecordsPerSegment = 0", "segment maps", "RecordsPerSegment are"),
        ("UPDATE SegmentMapStorage SET SegmentCount = SegmentCount + 1", "segment maps", "RecordsPerSegment are"),
        ("UPDATE DictionaryStorage SET BaseId = 3 WHERE Type = 1", "dictionaries", "BaseId is 3, not 2"),
        ("UPDATE DictionaryStorage SET StorageFileID = 0", "dictionaries", "and there is no file"),
        ("UPDATE DictionaryStorage SET LastId = 2", "dictionaries", "LastId is 2, and there is a file"),
        ("UPDATE DictionaryStorage SET Type = 2", "dictionaries", "of Type 2 has a file, and needs none"),
        ("UPDATE DictionaryStorage SET Magnitude = 0", "dictionaries", "Magnitude is 0"),
        ("UPDATE HierarchyStorage SET SystemTableID = 0", "system tables", "is named by no row of storage"),
        (
            f"UPDATE AttributeHierarchyStorage SET SystemTableID = 979 WHERE ID = {ANY_HIERARCHY}",
            "system tables",
            " and At",
        ),
        ("UPDATE AttributeHierarchyStorage SET ColumnPositionToData = 1", "system tables", "positions and a file are"),
        ("UPDATE AttributeHierarchyStorage SET MaterializationType = 2", "system tables", "not ((), -1, -1, False)"),
        (
            "UPDATE AttributeHierarchyStorage SET StorageFileID = 0",
            "system tables",
            "not (('POS_TO_ID',), 0, -1, True)",
        ),
        ("UPDATE \"Column\" SET ExplicitName = 'X' WHERE ExplicitName = 'INDEX'", "system tables", "not ('INDEX',)"),
        (
            "UPDATE \"Column\" SET ExplicitName = 'X' WHERE ExplicitName = 'CHILD_COUNT'",
            "system tables",
            "not ('MULTI_LEVEL_ID'",
        ),
        ("UPDATE HierarchyStorage SET LevelDefinition = 'x' || LevelDefinition", "levels", "is not of the columns"),
        ("UPDATE HierarchyStorage SET LevelDefinition = replace(LevelDefinition, '$0$', '$1$')", "levels", "start in"),
        ("UPDATE ColumnStorage SET Name = 'x' || Name", "levels", "is not of the columns"),
        ("UPDATE SegmentMapStorage SET RecordCount = 3", "levels", "of 3 rows"),
        ('UPDATE "Partition" SET Mode = 1 WHERE Type != 3', "DirectQuery", "rows"),
    ],
)
def test_damage_to_the_metadata_is_found_under_its_name(statement, subject, message, tmp_path):
    findings = checked(change(copied(RLS, tmp_path), statement), genuine_files(RLS))
    assert message in "\n".join(violated(findings)[subject])


@pytest.mark.parametrize("end", [".idf", ".idfmeta", ".dictionary", ".hidx"])
def test_a_file_that_is_gone_is_missed_by_name(end):
    files = genuine_files(RLS)
    gone = next(name for name in files.names() if name.endswith(end))
    del files.bodies[gone]
    assert violated(checked(genuine_metadata(RLS), files)) == {
        "files": [f"file {gone!r} is in the metadata and not among the files"]
    }


def test_the_metadata_are_a_file_too():
    files = genuine_files(SMALL)
    del files.bodies[METADATA_FILE]
    assert list(violated(checked(genuine_metadata(SMALL), files))) == ["files"]


@pytest.mark.parametrize("name", ["stray.bin", "ABC (12).tbl\\stray.db.xml", "metadata.sqlitedb-journal"])
def test_a_file_that_nothing_names_is_found(name):
    files = genuine_files(SMALL)
    files.bodies[name] = b""
    assert violated(checked(genuine_metadata(SMALL), files)) == {
        "files": [f"file {name!r} is among the files and not in the metadata"]
    }


def test_segments_of_another_column_length_are_found():
    """The .idfmeta of a column of one table in place of that of another."""
    files = genuine_files(RLS)
    of_sales = next(n for n in files.names() if n.startswith("Sales ") and n.endswith(".idfmeta"))
    of_regions = next(n for n in files.names() if n.startswith("Regions ") and n.endswith(".idfmeta"))
    files.bodies[of_regions] = files.bodies[of_sales]
    messages = "\n".join(violated(checked(genuine_metadata(RLS), files))["segments"])
    assert "Regions[" in messages
    assert "and the segments have" in messages
    assert "those of the table's first column" in messages


def test_a_damaged_segment_file_is_named():
    files = genuine_files(RLS)
    name = next(n for n in files.names() if n.endswith(".idfmeta"))
    files.bodies[name] = files.bodies[name][:-1]
    (message,) = violated(checked(genuine_metadata(RLS), files))["segments"]
    assert name in message


def test_a_column_that_lies_in_too_few_partitions_is_found(tmp_path):
    path = copied(RLS, tmp_path)
    ((part,),) = ask(path, "SELECT min(ID) FROM ColumnPartitionStorage")
    change(path, f"DELETE FROM ColumnPartitionStorage WHERE ID = {part}")
    (message,) = violated(checked(path, genuine_files(RLS)))["partitions"]
    assert "lies in partition storages []" in message


def test_two_partitions_in_one_place_are_found(tmp_path):
    """One table takes the columns and the only partition of the other."""
    path = copied(SMALL, tmp_path)
    one, other = ask(path, 'SELECT ID FROM "Table" WHERE SystemFlags != 1')
    change(path, f'UPDATE "Partition" SET TableID = {one[0]} WHERE TableID = {other[0]}')
    change(path, f'UPDATE "Column" SET TableID = {one[0]}, ExplicitName = ID WHERE TableID = {other[0]}')
    messages = "\n".join(violated(checked(path, genuine_files(SMALL)))["partitions"])
    assert "two partitions have one storage position, of [0, 0]" in messages
    assert "its table in" in messages


def test_a_direct_query_table_with_rows_is_found(tmp_path):
    path = change(copied(DIRECT_QUERY, tmp_path), "UPDATE SegmentMapStorage SET RecordCount = 9 WHERE ID = 98")
    (message,) = violated(checked(path, genuine_files(DIRECT_QUERY)))["DirectQuery"]
    assert message.endswith("of table 'DimDate' holds 9 rows")


def test_a_direct_query_sample_may_hold_rows(tmp_path):
    rows = "UPDATE SegmentMapStorage SET RecordCount = 9 WHERE ID = 98"
    for sample in ('UPDATE "Partition" SET DataView = 1', 'UPDATE "Model" SET DefaultDataView = 1'):
        path = change(copied(DIRECT_QUERY, tmp_path), 'UPDATE "Partition" SET DataView = 3', rows)
        assert "DirectQuery" in violated(checked(path, genuine_files(DIRECT_QUERY)))
        assert "DirectQuery" not in violated(checked(change(path, sample), genuine_files(DIRECT_QUERY)))


def test_names_that_are_there_twice_are_a_warning_as_the_collation_compares_them(tmp_path):
    path = change(
        copied(SMALL, tmp_path), "UPDATE \"Table\" SET Name = CASE SystemFlags WHEN 1 THEN ID ELSE 'same' END"
    )
    (first,), *_ = ask(path, "SELECT ID FROM \"Table\" WHERE Name = 'same'")
    (finding,) = [f for f in checked(path, genuine_files(SMALL)) if f.subject == "names"]
    assert (finding.severity, finding.message) == ("WARNING", "table name 'same' of the model is there twice")
    change(path, f"UPDATE \"Table\" SET Name = 'Same' WHERE ID = {first}")
    assert "names" in violated(checked(path, genuine_files(SMALL)))
    change(path, "UPDATE \"Model\" SET Collation = 'Latin1_General_CS_AS'")
    assert "names" not in violated(checked(path, genuine_files(SMALL)))


def test_only_rows_demand_a_file_of_a_column(tmp_path):
    path = change(copied(RLS, tmp_path), "UPDATE ColumnPartitionStorage SET StorageFileID = 0")
    messages = violated(checked(path, genuine_files(RLS)))["references"]
    assert "StorageFileID 0 is no row of StorageFile, for" in messages[0]
    change(path, "UPDATE SegmentMapStorage SET RecordCount = 0")
    assert "references" not in violated(checked(path, genuine_files(RLS)))


def test_a_column_without_segments_needs_no_file_that_describes_them(tmp_path):
    path = change(copied(RLS, tmp_path), "UPDATE SegmentStorage SET StorageFileID = 0")
    with Metadata.open(path) as metadata:
        messages = list(reference_violations(metadata))
    assert messages
    assert all("StorageFileID 0 is no row of StorageFile, for" in message for message in messages)
    change(path, "UPDATE SegmentStorage SET SegmentCount = 0")
    with Metadata.open(path) as metadata:
        assert list(reference_violations(metadata)) == []


def test_damage_to_pages_that_no_table_needs_is_found():
    """A page of the free list: SQLite reads every table without it, and would write over the wrong page one day."""
    data = bytearray(genuine_metadata(RLS))
    trunk = int.from_bytes(data[32:36], "big")
    assert trunk, "the sample has free pages"
    data[(trunk - 1) * 4096 + 4 : (trunk - 1) * 4096 + 8] = (0x7FFFFFFF).to_bytes(4, "big")
    assert list(violated(checked(bytes(data), genuine_files(RLS)))) == ["metadata pages"]


def test_findings_about_one_condition_are_limited():
    bodies = genuine_files(RLS).bodies
    files = MemoryFiles({name: body for name, body in bodies.items() if "\\" not in name})
    assert [len(messages) for messages in violated(checked(genuine_metadata(RLS), files)).values()] == [FINDINGS_MAX]


def test_the_oldest_schema_is_checked_under_its_other_column_names(tmp_path):
    path = change(copied(OLDEST, tmp_path), "UPDATE RelationshipIndexStorage SET RecordCount = 1")
    assert list(violated(checked(path, genuine_files(OLDEST)))) == ["relationships"]
