"""Schema rowsets: what they hold, held against SQLite and the files themselves, and SELECT over them."""

# ruff: noqa: E501  # a query and its answer stand in one line
# ruff: noqa: DTZ001  # the times of a rowset carry no zone

from __future__ import annotations

import contextlib
import datetime
import re
import sqlite3
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import sample_path
from engine.rowsets.served_database import asked, changed
from tabvault.engine.rowsets import (
    CatalogEntry,
    RowsetContext,
    RowsetSource,
    discover,
    is_rowset_query,
    query_rowset,
    tmschema,
)
from tabvault.engine.rowsets.registry import rowsets
from tabvault.errors import (
    FormatError,
    ModelError,
    QueryError,
    QueryNotSupportedError,
    RequestError,
    TruncatedError,
    UnknownRowsetError,
)
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import ESSENTIAL_TABLES, SYNONYMS, Metadata
from tabvault.model.secrets import SECRET_COLUMNS

CONTOSO = "sql-bi__Contoso.pbix"
"""Every kind of system table, 64 rowsets."""

SMALL = "Hugoberry__abc.pbix"

ENTRY = CatalogEntry("Shop", "shop-id", "a shop", 1550, datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC), 4)
OTHER = CatalogEntry("Another", "another-id", None, 1200, None, 1)


@contextlib.contextmanager
def opened(sample: str):
    """The rowset source of a genuine sample, and its metadata file."""
    with contextlib.ExitStack() as stack:
        backup = stack.enter_context(open_backup(MemorySource(sample_path(sample).read_bytes())))
        files = ContainerFiles(backup.container)
        data = bytes(files.read(METADATA_FILE))
        metadata = stack.enter_context(Metadata.from_bytes(data))
        yield RowsetSource(ENTRY, [ENTRY, OTHER], metadata, load_model(metadata), files), data


@pytest.fixture(scope="module")
def contoso():
    with opened(CONTOSO) as (source, _):
        yield source


@cache
def small_metadata() -> bytes:
    with opened(SMALL) as (_, data):
        return data


def whole(name: str, source: RowsetSource) -> pa.Table:
    return discover(name, {}, RowsetContext.of_database(source))


def made(*statements: str) -> Metadata:
    """Metadata with the tables that must be there, all empty, and those that *statements* make."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for table in ESSENTIAL_TABLES:
            connection.execute(f'CREATE TABLE "{table}" (ID INTEGER PRIMARY KEY)')
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return Metadata.from_bytes(connection.serialize())


# ---------------------------------------------------------------------------------------------------- TMSCHEMA_*


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("BindingInfo", "TMSCHEMA_BINDING_INFO_COLLECTION"),
        ("StringIndexStorage", "TMSCHEMA_STRING_INDEX_STORAGES"),
        ("Model", "TMSCHEMA_MODEL"),
        ("Table", "TMSCHEMA_TABLES"),
        ("DataSource", "TMSCHEMA_DATA_SOURCES"),
        ("AttributeHierarchy", "TMSCHEMA_ATTRIBUTE_HIERARCHIES"),
        ("AttributeHierarchyStorage", "TMSCHEMA_ATTRIBUTE_HIERARCHY_STORAGES"),
        ("KPI", "TMSCHEMA_KPIS"),
        ("RoleMembership", "TMSCHEMA_ROLE_MEMBERSHIPS"),
        ("LinguisticMetadata", "TMSCHEMA_LINGUISTIC_METADATA"),
        ("DetailRowsDefinition", "TMSCHEMA_DETAIL_ROWS_DEFINITIONS"),
        ("ExtendedProperty", "TMSCHEMA_EXTENDED_PROPERTIES"),
        ("RefreshPolicy", "TMSCHEMA_REFRESH_POLICIES"),
        ("AlternateOf", "TMSCHEMA_ALTERNATE_OF_DEFINITIONS"),
        ("AnalyticsAIMetadata", "TMSCHEMA_ANALYTICS_AIMETADATA"),
        ("RelatedColumnDetails", "TMSCHEMA_RELATED_COLUMN_DETAILS"),
        ("SegmentMapStorage", "TMSCHEMA_SEGMENT_MAP_STORAGES"),
        ("SomethingNewIn2030", "TMSCHEMA_SOMETHING_NEW_IN2030S"),
    ],
)
def test_a_rowset_has_the_name_that_the_specification_gives_it(table, name):
    assert tmschema.rowset_name(table) == name


CELLS = """CREATE TABLE "Thing" (ID INTEGER, IsHidden INTEGER, SystemManaged INTEGER, ModifiedTime INTEGER, RangeStart REAL,
    Name TEXT, Magnitude REAL, Settings INTEGER, Bitmap BLOB, Description TEXT, NewText TEXT, Never INTEGER)"""


def test_cells_take_the_type_of_their_column():
    row = "(7, 1, 0, 132223104000000019, 43831.25, 'ä', 0.5, -1, x'00ff', NULL, 'n', NULL)"
    with made(CELLS, f'INSERT INTO "Thing" VALUES {row}') as metadata:
        table = tmschema.read_table(metadata, "Thing")
    assert table.to_pylist() == [
        {
            "ID": 7,
            "IsHidden": True,
            "SystemManaged": False,
            "ModifiedTime": datetime.datetime(2020, 1, 1, 0, 0, 0, 1),
            "RangeStart": datetime.datetime(2020, 1, 1, 6),
            "Name": "ä",
            "Magnitude": 0.5,
            "Settings": -1,
            "Bitmap": b"\0\xff",
            "Description": None,
            "NewText": "n",
            "Never": None,
        }
    ]
    assert table.schema.field("Description").type == pa.string()
    assert table.schema.field("ID").type == table.schema.field("Never").type == pa.int64()


def test_an_empty_table_has_the_same_types():
    with made(CELLS) as metadata:
        schema = tmschema.read_table(metadata, "Thing").schema
    types = {
        name: schema.field(name).type
        for name in ("ID", "IsHidden", "ModifiedTime", "RangeStart", "Name", "Description")
    }
    assert types == {
        "ID": pa.int64(),
        "IsHidden": pa.bool_(),
        "ModifiedTime": pa.timestamp("us"),
        "RangeStart": pa.timestamp("us"),
        "Name": pa.string(),
        "Description": pa.string(),
    }


@pytest.mark.parametrize(
    ("days", "moment"),
    [
        (0.0, datetime.datetime(1899, 12, 30)),
        (-1.25, datetime.datetime(1899, 12, 29, 6)),
        (2.5, datetime.datetime(1900, 1, 1, 12)),
        (-657434.0, datetime.datetime(100, 1, 1)),
        (2958465.0, datetime.datetime(9999, 12, 31)),
    ],
)
def test_ole_dates_count_days_and_the_time_of_the_day(days, moment):
    with made(CELLS, f'INSERT INTO "Thing" (RangeStart) VALUES ({days})') as metadata:
        assert tmschema.read_table(metadata, "Thing")["RangeStart"].to_pylist() == [moment]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("IsHidden", "2"),
        ("IsHidden", "'yes'"),
        ("SystemManaged", "-1"),
        ("ModifiedTime", "-1"),
        ("ModifiedTime", str(2**63 - 1)),
        ("ModifiedTime", "'now'"),
        ("ModifiedTime", "1.5"),
        ("RangeStart", "1e300"),
        ("RangeStart", "-1e300"),
        ("RangeStart", "1e999"),
        ("RangeStart", "'x'"),
    ],
)
def test_a_cell_of_the_wrong_kind_is_damage(column, cell):
    with (
        made(CELLS, f'INSERT INTO "Thing" ({column}) VALUES ({cell})') as metadata,
        pytest.raises(ModelError, match=rf"Thing\.{column}"),
    ):
        tmschema.read_table(metadata, "Thing")


def test_a_column_of_numbers_and_texts_is_damage():
    with (
        made('CREATE TABLE "Thing" (X)', "INSERT INTO Thing VALUES (1), ('a')") as metadata,
        pytest.raises(ModelError, match=r"Thing\.X"),
    ):
        tmschema.read_table(metadata, "Thing")


def test_secrets_of_data_sources_never_come_out():
    data = changed(
        small_metadata(),
        "INSERT INTO DataSource (ID, Name, ConnectionString, Account, Password, Credential) VALUES "
        "(9001, 'sql', 'Data Source=s;PWD=hush', 'DOM\\me', 'hush', '{\"Password\":\"hush\"}'), (9002, 'none', NULL, '', NULL, NULL)",
    )
    with Metadata.from_bytes(data) as metadata:
        table = tmschema.read_table(metadata, "DataSource")
        secret = table.select(["Name", "ConnectionString", "Account", "Password", "Credential"]).to_pylist()
    assert secret == [
        {"Name": "sql", "ConnectionString": "Data Source=s;PWD=********", "Account": "DOM\\me", "Password": "********", "Credential": '{"Password": "********"}'},
        {"Name": "none", "ConnectionString": None, "Account": "", "Password": None, "Credential": None},
    ]  # fmt: skip
    assert "hush" not in str(table.to_pylist())


def test_every_metadata_table_of_a_genuine_file_is_a_rowset_with_the_rows_that_sqlite_finds(sample):
    with opened(sample.name) as (source, data):
        names = [name for (name,) in asked(data, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        served = rowsets(RowsetContext.of_database(source))
        for table in set(names) - {"DBPROPERTIES"}:
            assert tmschema.rowset_name(table) in served
            rowset = whole(tmschema.rowset_name(table), source)
            visible = "WHERE (SystemFlags & 1) = 0" if table in ("Table", "Column", "Partition") else ""
            rows = asked(data, f'SELECT * FROM "{table}" {visible}')
            assert rowset.num_rows == len(rows), table
            stored = asked(data, f'PRAGMA table_info("{table}")')
            for index, (_, column, *_) in enumerate(stored):
                name = SYNONYMS.get((table, column), column)
                cells = [row[index] for row in rows]
                kind = rowset.schema.field(name).type
                if kind == pa.bool_():
                    assert [None if cell is None else int(cell) for cell in rowset[name].to_pylist()] == cells
                elif not pa.types.is_timestamp(kind) and (table, name) not in SECRET_COLUMNS:
                    assert rowset[name].to_pylist() == cells, (table, name)
        for name in ("DISCOVER_STORAGE_TABLES", "DISCOVER_STORAGE_TABLE_COLUMNS"):
            assert whole(name, source).num_rows > 0


def test_no_name_of_a_system_table_is_among_the_tables_of_the_model(contoso):
    names = query_rowset("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES", contoso)["Name"].to_pylist()
    assert sorted(names) == sorted(table.name for table in contoso.model.tables)


# ---------------------------------------------------------------------------------------------------- DISCOVER_STORAGE_*


def test_storage_tables_name_the_table_that_each_system_table_serves(contoso):
    rows = whole("DISCOVER_STORAGE_TABLES", contoso).to_pylist()
    assert len(rows) == len(contoso.model.tables) + len(contoso.model.system_tables)
    name_of = {str(table.id): table.name for table in contoso.model.tables}
    kinds = set()
    for row in rows:
        assert (row["DATABASE_NAME"], row["CUBE_NAME"]) == ("Shop", "Model")
        # "Sales (12)", "H$Sales (12)$Amount (14)": the first id in a storage name is that of the user table
        assert (
            row["DIMENSION_NAME"] == row["MEASURE_GROUP_NAME"] == name_of[re.findall(r"\((\d+)\)", row["TABLE_ID"])[0]]
        )
        kinds.add(row["TABLE_ID"][0] if row["TABLE_ID"][1:2] == "$" else "")
    assert kinds == {"", "H", "R", "U"}


@pytest.mark.parametrize("sample_name", [CONTOSO, "Hugoberry__DataModel.abf", "microsoft__Corporate_Spend.pbix"])
def test_segments_account_for_every_byte_and_every_row_of_the_files(sample_name):
    with opened(sample_name) as (source, data):
        rows = whole("DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS", source)
        tables = whole("DISCOVER_STORAGE_TABLES", source)
        total = pc.sum(rows["ALLOCATED_SIZE"]).as_py()
        framed = sum(
            8 * stored.segment_count * (1 if table.is_system else 2)
            for table in (*source.model.tables, *source.model.system_tables)
            for column in table.columns
            if column.storage
            for stored in column.storage.partitions
        )
        assert total + framed == sum(
            source.files.byte_count(name) for name in source.files.names() if name.endswith(".idf")
        )
        assert pc.all(pc.less_equal(rows["USED_SIZE"], rows["ALLOCATED_SIZE"])).as_py()
        records = dict(asked(data, "SELECT s.Name, sum(m.RecordCount) FROM SegmentMapStorage m JOIN PartitionStorage p ON p.SegmentMapStorageID = m.ID JOIN Partition q ON q.ID = p.PartitionID JOIN TableStorage s ON s.TableID = q.TableID GROUP BY s.Name"))  # fmt: skip
        assert {row["TABLE_ID"]: row["ROWS_COUNT"] for row in tables.to_pylist()} == records
        counted = rows.group_by(["TABLE_ID", "COLUMN_ID"]).aggregate([("RECORDS_COUNT", "sum")]).to_pylist()
        for row in counted:
            if row["TABLE_ID"][1:2] != "$":
                assert row["RECORDS_COUNT_sum"] == records[row["TABLE_ID"]], row


def test_a_row_number_is_shown_as_what_it_is(contoso):
    text = "SELECT DISTINCT COMPRESSION_TYPE, BITS_COUNT, USED_SIZE FROM $SYSTEM.DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS WHERE LEFT(COLUMN_ID, 9) = 'RowNumber'"
    assert query_rowset(text, contoso).to_pylist() == [{"COMPRESSION_TYPE": "C123", "BITS_COUNT": None, "USED_SIZE": 8}]


def test_storage_columns_tell_types_encodings_and_dictionary_sizes(contoso):
    text = "SELECT * FROM $SYSTEM.DISCOVER_STORAGE_TABLE_COLUMNS WHERE DIMENSION_NAME = 'Currency' AND COLUMN_TYPE = 'BASIC_DATA'"
    rows = {row["ATTRIBUTE_NAME"]: row for row in query_rowset(text, contoso).to_pylist()}
    key, name = rows["CurrencyKey"], rows["Currency"]
    assert (key["DATATYPE"], key["COLUMN_ENCODING"], key["ISROWNUMBER"]) == ("DBTYPE_I8", 1, False)
    assert name["DATATYPE"] == "DBTYPE_WSTR"
    (file,) = [file for file in contoso.files.names() if file.endswith(f".{name['COLUMN_ID']}.dictionary")]
    assert name["DICTIONARY_SIZE"] == contoso.files.byte_count(file) > 0
    types = set(whole("DISCOVER_STORAGE_TABLE_COLUMNS", contoso)["COLUMN_TYPE"].to_pylist())
    assert types == {
        "BASIC_DATA",
        "HIERARCHY_POSITION_TO_DATAID",
        "HIERARCHY_DATAID_TO_POSITION",
        "RELATIONSHIP",
        "UNKNOWN",
    }


class ChangedFiles:
    """A file set with one file's bytes replaced."""

    def __init__(self, files, name: str, data: bytes) -> None:
        self._files = files
        self._name = name
        self._data = data

    def names(self):
        return self._files.names()

    def byte_count(self, name):
        return len(self.read(name))

    def read(self, name):
        return self._data if name == self._name else self._files.read(name)

    def open(self, name):
        return MemorySource(self.read(name))


def with_file(source: RowsetSource, name: str, data: bytes) -> RowsetSource:
    return RowsetSource(
        source.database, source.catalogs, source.metadata, source.model, ChangedFiles(source.files, name, data)
    )


@pytest.mark.parametrize("ending", [".idf", ".idfmeta"])
def test_segments_of_a_damaged_file_are_an_error_with_its_name(contoso, ending):
    name = next(name for name in contoso.files.names() if "CurrencyKey" in name and name.endswith(ending))
    data = bytes(contoso.files.read(name))
    for damaged in (b"", data[:7], data[: len(data) // 2], b"\xff" * len(data)):
        with pytest.raises(FormatError) as caught:
            whole("DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS", with_file(contoso, name, damaged))
        assert caught.value.file == name


def test_a_word_count_past_the_end_of_the_file_is_refused(contoso):
    name = next(name for name in contoso.files.names() if "CurrencyKey" in name and name.endswith(".idf"))
    data = (2**64 - 1).to_bytes(8, "little") + bytes(contoso.files.read(name))[8:]
    with pytest.raises(TruncatedError):
        whole("DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS", with_file(contoso, name, data))


# ---------------------------------------------------------------------------------------------------- lists


def test_catalogs_lists_all_databases_by_name(contoso):
    rows = query_rowset("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS", contoso).to_pylist()
    shown = [
        {
            key: row[key]
            for key in (
                "CATALOG_NAME",
                "DATABASE_ID",
                "COMPATIBILITY_LEVEL",
                "DATE_MODIFIED",
                "TYPE",
                "VERSION",
                "ROLES",
            )
        }
        for row in rows
    ]
    assert shown == [
        {"CATALOG_NAME": "Another", "DATABASE_ID": "another-id", "COMPATIBILITY_LEVEL": 1200, "DATE_MODIFIED": None, "TYPE": 3, "VERSION": 1, "ROLES": "*"},
        {"CATALOG_NAME": "Shop", "DATABASE_ID": "shop-id", "COMPATIBILITY_LEVEL": 1550, "DATE_MODIFIED": datetime.datetime(2024, 5, 6, 7, 8, 9), "TYPE": 3, "VERSION": 4, "ROLES": "*"},
    ]  # fmt: skip


def test_every_listed_rowset_can_be_read_and_no_other_is_there(contoso):
    context = RowsetContext.of_database(contoso)
    listed = query_rowset("SELECT [SchemaName] FROM $System.DISCOVER_SCHEMA_ROWSETS", contoso)["SchemaName"].to_pylist()
    assert listed == list(rowsets(context))
    assert {"TMSCHEMA_TABLES", "TMSCHEMA_DICTIONARY_STORAGES", "DBSCHEMA_CATALOGS", "DISCOVER_STORAGE_TABLES"} <= set(
        listed
    )
    for rowset in rowsets(context).values():
        if any(restriction.required for restriction in rowset.restrictions):
            with pytest.raises(RequestError, match="required"):
                discover(rowset.name, {}, context)
        else:
            assert set(rowset.schema.names) <= set(discover(rowset.name, {}, context).schema.names)


# ---------------------------------------------------------------------------------------------------- SELECT


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES", True),
        ("select [Name] from $system.TMSCHEMA_TABLES -- a comment", True),
        ("SELECT * FROM [$System].[TMSCHEMA_TABLES]", True),
        ('SELECT * FROM "$SYSTEM".TMSCHEMA_TABLES', True),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, [ID] = '1')", True),
        ("SELECT * FROM Sales JOIN $SYSTEM.TMSCHEMA_TABLES ON true", True),
        ("SELECT * FROM Sales", False),
        ("SELECT '$SYSTEM.TMSCHEMA_TABLES'", False),
        ("SELECT 1 -- FROM $SYSTEM.TMSCHEMA_TABLES", False),
        ("SELECT 1 /* $SYSTEM.TMSCHEMA_TABLES */", False),
        ("SELECT * FROM [$SYSTEM", False),
        ("SELECT $SYSTEM", False),
        ("", False),
        ("$SYSTEM.X" + " " * 70_000, False),
    ],
)
def test_a_rowset_query_is_told_from_sql_over_tables(text, is_one):
    assert is_rowset_query(text) is is_one


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SELECT TOP 2 [Name] FROM $SYSTEM.TMSCHEMA_TABLES ORDER BY [Name]", [("Currency",), ("Customer",)]),
        ("select top 1 name as [The Name] from [$system].[tmschema_tables] where NAME > 'P' order by Name desc", [("__measures",)]),
        ("SELECT DISTINCT [Type] FROM $SYSTEM.TMSCHEMA_COLUMNS ORDER BY [Type]", [(1,), (3,)]),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE [IsHidden] = false AND LEFT([Name], 1) = 'S' ORDER BY 1", [("Sales",), ("Store",)]),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE [Name] LIKE 'S%' AND NOT [Name] = 'Store'", [("Sales",)]),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE [ID] IN (10, 13) OR [Name] IN ('Store') ORDER BY ID", [("Currency",), ("Customer",), ("Store",)]),
        ("SELECT [ID] FROM $SYSTEM.TMSCHEMA_TABLES WHERE [ID] BETWEEN 10 AND '13' AND [Description] IS NULL ORDER BY [ID]", [(10,), (13,)]),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE ([ID] = 10 OR [ID] = 13) AND ([ModifiedTime] >= '2022-01-01')", [("Currency",), ("Customer",)]),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE [ID] <> [ID] OR [ID] < -1", []),
        ("SELECT DIMENSION_NAME AS T, ROWS_COUNT FROM $SYSTEM.DISCOVER_STORAGE_TABLES WHERE RIGHT ( LEFT ( TABLE_ID, 2 ), 1 ) <> '$' AND ROWS_COUNT = 28 ORDER BY TABLE_ID", [("Currency", 28), ("Promotion", 28)]),
    ],
)  # fmt: skip
def test_a_select_over_a_rowset_is_answered(contoso, text, answer):
    assert is_rowset_query(text)
    table = query_rowset(text, contoso)
    assert [tuple(row.values()) for row in table.to_pylist()] == answer


def test_systemrestrictschema_gives_a_rowset_its_restrictions(contoso):
    text = "SELECT [Name] FROM SystemRestrictSchema($SYSTEM.TMSCHEMA_TABLES, [Name] = 'CUSTOMER', ID = '13') WHERE [ID] > 0"
    assert query_rowset(text, contoso).to_pylist() == [{"Name": "Customer"}]
    assert query_rowset(text.replace("'13'", "10"), contoso).num_rows == 0
    with pytest.raises(RequestError, match="Nonsense restriction"):
        query_rowset("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, [Nonsense] = '1')", contoso)
    with pytest.raises(QueryError, match="there twice"):
        query_rowset("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, [ID] = '1', [ID] = '2')", contoso)


def test_an_alias_names_the_column(contoso):
    table = query_rowset("SELECT [Name] AS [a name], ID b FROM $SYSTEM.TMSCHEMA_TABLES", contoso)
    assert table.schema.names == ["a name", "b"]


def test_the_types_of_a_rowset_survive_its_query(contoso):
    table = query_rowset("SELECT * FROM $SYSTEM.TMSCHEMA_PARTITIONS", contoso)
    assert table.schema.equals(whole("TMSCHEMA_PARTITIONS", contoso).schema, check_metadata=True)
    part = query_rowset("SELECT [Name] AS n, [ID] FROM $SYSTEM.TMSCHEMA_PARTITIONS", contoso)
    assert [field.metadata for field in part.schema] == [{b"xmla": b"string"}, {b"xmla": b"unsignedLong"}]


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES t", "TABLE ALIAS"),
        ("SELECT a.[ID] FROM $SYSTEM.TMSCHEMA_TABLES", "qualified column a.ID"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES JOIN $SYSTEM.TMSCHEMA_COLUMNS ON 1 = 1", "JOIN"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES, $SYSTEM.TMSCHEMA_COLUMNS", "JOIN"),
        ("SELECT * FROM (SELECT * FROM $SYSTEM.TMSCHEMA_TABLES)", "SUBQUERY"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE [ID] IN (SELECT [ID] FROM $SYSTEM.TMSCHEMA_TABLES)", "SUBQUERY"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE EXISTS (SELECT 1)", "EXISTS"),
        ("SELECT COUNT(*) FROM $SYSTEM.TMSCHEMA_TABLES", "COUNT"),
        ("SELECT [ID] FROM $SYSTEM.TMSCHEMA_TABLES GROUP BY [ID]", "GROUP"),
        ("SELECT [ID] FROM $SYSTEM.TMSCHEMA_TABLES HAVING [ID] = 1", "HAVING"),
        ("SELECT [ID] + 1 FROM $SYSTEM.TMSCHEMA_TABLES", "ADD"),
        ("SELECT CAST([ID] AS VARCHAR) FROM $SYSTEM.TMSCHEMA_TABLES", "CAST"),
        ("SELECT LEFT(CAST([ID] AS VARCHAR), 1) FROM $SYSTEM.TMSCHEMA_TABLES", "CAST"),
        ("SELECT OPENROWSET('x') FROM $SYSTEM.TMSCHEMA_TABLES", "OPENROWSET"),
        ("SELECT CASE WHEN [ID] = 1 THEN 1 END FROM $SYSTEM.TMSCHEMA_TABLES", "CASE"),
        ("SELECT TOP 2 PERCENT * FROM $SYSTEM.TMSCHEMA_TABLES", "LIMIT OPTIONS"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, [ID] > '1')", "GT"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, [ID] = 1 + 1)", "EQ"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES, 1)", "LITERAL"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA('$SYSTEM.TMSCHEMA_TABLES')", "LITERAL"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA()", "SYSTEMRESTRICTSCHEMA"),
        ("SELECT SYSTEMRESTRICTSCHEMA(1) FROM SYSTEMRESTRICTSCHEMA($SYSTEM.TMSCHEMA_TABLES)", "SYSTEMRESTRICTSCHEMA"),
        ("SELECT * FROM SYSTEMRESTRICTSCHEMA(Other.TMSCHEMA_TABLES, [ID] = '1')", "one rowset"),
        ("SELECT * FROM OTHERFUNCTION($SYSTEM.TMSCHEMA_TABLES)", "OTHERFUNCTION"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES UNION ALL SELECT * FROM $SYSTEM.TMSCHEMA_TABLES", "UNION"),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM $SYSTEM.TMSCHEMA_TABLES", "WITH"),
        ("SELECT * INTO x FROM $SYSTEM.TMSCHEMA_TABLES", "INTO"),
        ("SELECT * FROM other.$SYSTEM.TMSCHEMA_TABLES", "database name other"),
        ("SELECT * FROM Sales", "one rowset"),
        ("SELECT 1", "one rowset"),
        ("DELETE FROM $SYSTEM.TMSCHEMA_TABLES", "DELETE"),
        ("UPDATE $SYSTEM.TMSCHEMA_TABLES SET [Name] = 'x'", "UPDATE"),
        ("DROP TABLE $SYSTEM.TMSCHEMA_TABLES", "DROP"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES; DROP TABLE $SYSTEM.TMSCHEMA_TABLES", "2 statements"),
        ("", "0 statements"),
    ],
)
def test_what_a_rowset_does_not_take_is_refused_by_name(contoso, text, construct):
    with pytest.raises(QueryNotSupportedError) as caught:
        query_rowset(text, contoso)
    assert construct in caught.value.message


@pytest.mark.parametrize(
    ("text", "kind", "message", "place", "hint"),
    [
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLE", UnknownRowsetError, "no rowset 'TMSCHEMA_TABLE'", (None, None), "TMSCHEMA_TABLES"),
        ("SELECT * FROM $SYSTEM.ÄÖÜ", UnknownRowsetError, "no rowset 'ÄÖÜ'", (None, None), "DISCOVER_SCHEMA_ROWSETS"),
        ("SELECT\n  [nam] FROM $SYSTEM.TMSCHEMA_TABLES", QueryError, "no column 'nam'", (2, 3), "there is 'Name'"),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE [ä] = 1", QueryError, "no column 'ä'", (1, 45), None),
        ("SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES WHERE", QueryError, "syntax error at or near 'WHERE'", (1, 44), None),
        ("SELECT [Name FROM $SYSTEM.TMSCHEMA_TABLES", QueryError, "has no end", (None, None), None),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE [Name] = 1", QueryError, "could not convert string", (None, None), None),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE " + "(" * 3000 + "[ID] = 1" + ")" * 3000, QueryError, "nested too deeply", (None, None), None),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES WHERE " + "NOT " * 3000 + "[ID] = 1", QueryError, "nested too deeply", (None, None), None),
        ("SELECT * FROM $SYSTEM.TMSCHEMA_TABLES " + " " * 70_000, QueryError, "over the limit of 65536", (None, None), None),
    ],
)  # fmt: skip
def test_an_error_says_what_and_where(contoso, text, kind, message, place, hint):
    with pytest.raises(QueryError) as caught:
        query_rowset(text, contoso)
    assert type(caught.value) is kind
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    if hint:
        assert hint in caught.value.hint


_WORDS = ["SELECT", "DISTINCT", "TOP", "2", "*", "[Name]", "[ID]", ",", "FROM", "$SYSTEM", ".", "TMSCHEMA_TABLES", "WHERE", "=", "'a'", "AND", "NOT", "(", ")", "ORDER", "BY", "LIKE", "IN", "[", ";", "--", "\n"]  # fmt: skip


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(_WORDS), max_size=15).map(" ".join)
    | st.lists(st.sampled_from(_WORDS), max_size=8).map(
        lambda words: f"SELECT * FROM $SYSTEM.TMSCHEMA_CULTURES WHERE {' '.join(words)}"
    )
)
@settings(deadline=None, max_examples=100)
def test_any_text_is_answered_or_refused(contoso, text):
    with contextlib.suppress(QueryError):
        query_rowset(text, contoso)
