"""Discover: restrictions, who may see what, and what the rowsets of a server and of a database say."""

# ruff: noqa: E501  # a request and its answer stand in one line

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from served_database import OTHER, SHOP, asked, changed, metadata_of, serving

from conftest import sample_path
from tabvault.engine.rowsets import RowsetSource, discover, root_name
from tabvault.errors import (
    DatabaseNotFoundError,
    ModelError,
    NotAuthorizedError,
    PasswordWrongError,
    RequestError,
    UnknownRowsetError,
)
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

CONTOSO = "sql-bi__Contoso.pbix"
OLD = "Hugoberry__old-schema17-DataTable.pbix"
HIERARCHIES = "microsoft__Regional_Sales_Sample.pbix"
KPIS = "microsoft__Corporate_Spend.pbix"


@pytest.fixture(scope="module")
def contoso():
    return serving(metadata_of(CONTOSO))


def column(table, name: str) -> list:
    return table[name].to_pylist()


# ---------------------------------------------------------------------------------------------------- restrictions


@pytest.mark.parametrize(
    ("rowset", "restrictions", "names", "answer"),
    [
        ("DISCOVER_PROPERTIES", {"PropertyName": "catalog"}, ["PropertyName", "Value"], [("Catalog", "Shop")]),
        ("discover_properties", {"PROPERTYNAME": ("DBMSVersion", "ServerName")}, ["Value"], [("16.0.43.220",), ("vault",)]),
        ("DISCOVER_PROPERTIES", {"PropertyName": "nothing"}, ["Value"], []),
        ("DBSCHEMA_CATALOGS", {"CATALOG_NAME": "SHOP"}, ["CATALOG_NAME", "CURRENTLY_USED"], [("Shop", True)]),
        ("DISCOVER_SESSIONS", {"SESSION_SPID": "2"}, ["SESSION_ID", "SESSION_STATUS", "SESSION_ELAPSED_TIME_MS"], [("S-2", 0, 30000)]),
        ("DISCOVER_SESSIONS", {"SESSION_STATUS": "1"}, ["SESSION_ID", "SESSION_LAST_COMMAND_ELAPSED_TIME_MS"], [("S-1", 90000)]),
        ("DISCOVER_COMMANDS", {}, ["SESSION_SPID", "COMMAND_TEXT", "COMMAND_END_TIME"], [(1, "EVALUATE x", None)]),
        ("DISCOVER_CONNECTIONS", {"CONNECTION_HOST_NAME": "DESK"}, ["CONNECTION_ID", "CONNECTION_IDLE_TIME_MS", "CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS", "CONNECTION_BYTES_SENT"], [(1, 60000, 30000, 5)]),
        ("DISCOVER_JOBS", {}, ["JOB_ID", "JOB_TOTAL_TIME_MS", "JOB_EXECUTION_TIME_MS"], [(1, 90000, 80000), (2, 1000, None)]),
        ("DISCOVER_JOBS", {"JOB_MIN_TOTAL_TIME_MS": "1001"}, ["JOB_ID"], [(1,)]),
        ("DISCOVER_KEYWORDS", {"Keyword": "evaluate"}, ["Keyword"], [("EVALUATE",)]),
        ("DISCOVER_LITERALS", {"LiteralName": "DBLITERAL_QUOTE_PREFIX"}, ["LiteralValue", "LiteralNameEnumValue"], [("[", 15)]),
        ("DISCOVER_ENUMERATORS", {"EnumName": "StateSupport"}, ["ElementName"], [("None",), ("Sessions",)]),
        ("DBSCHEMA_PROVIDER_TYPES", {"DATA_TYPE": "130", "BEST_MATCH": "true"}, ["TYPE_NAME"], [("WCHAR",)]),
        ("DISCOVER_INSTANCES", {}, ["INSTANCE_NAME", "INSTANCE_PORT_NUMBER"], [("vault", 8282)]),
        ("DISCOVER_DATASOURCES", {"ProviderType": "MDP"}, ["DataSourceName", "ProviderType"], [("vault", "MDP")]),
        ("TMSCHEMA_TABLES", {"DatabaseName": "shop", "ID": "13"}, ["Name"], [("Customer",)]),
        ("TMSCHEMA_TABLES", {"Name": "customer"}, ["ID"], [(13,)]),
        ("DBSCHEMA_TABLES", {"TABLE_TYPE": "TABLE", "TABLE_NAME": "SALES"}, ["TABLE_SCHEMA", "TABLE_NAME"], [("Model", "Sales")]),
        ("DBSCHEMA_TABLES", {"TABLE_TYPE": "SCHEMA", "TABLE_NAME": "DBSCHEMA_TABLES"}, ["TABLE_SCHEMA"], [("$SYSTEM",)]),
        ("DBSCHEMA_COLUMNS", {"TABLE_NAME": "Currency"}, ["COLUMN_NAME", "ORDINAL_POSITION", "DATA_TYPE", "COLUMN_OLAP_TYPE"], [("CurrencyKey", 1, 20, "ATTRIBUTE"), ("Currency Code", 2, 130, "ATTRIBUTE"), ("Currency", 3, 130, "ATTRIBUTE")]),
        ("MDSCHEMA_CUBES", {"CUBE_SOURCE": "3"}, ["CATALOG_NAME", "CUBE_NAME", "CUBE_TYPE"], [("Shop", "Model", "CUBE")]),
        ("MDSCHEMA_CUBES", {"CUBE_SOURCE": "2"}, ["CUBE_NAME"], []),
        ("MDSCHEMA_DIMENSIONS", {"DIMENSION_UNIQUE_NAME": "[Date]"}, ["DIMENSION_NAME", "DIMENSION_TYPE"], [("Date", 3)]),
        ("MDSCHEMA_MEASURES", {"CUBE_SOURCE": "2"}, ["MEASURE_NAME"], []),
        ("MDSCHEMA_HIERARCHIES", {"HIERARCHY_ORIGIN": "1", "DIMENSION_UNIQUE_NAME": "[Currency]"}, ["HIERARCHY_NAME"], []),
        ("MDSCHEMA_ACTIONS", {"CUBE_NAME": "Model", "COORDINATE": "x", "COORDINATE_TYPE": "1"}, ["ACTION_NAME"], []),
    ],
)  # fmt: skip
def test_restrictions_leave_the_rows_that_have_their_values(contoso, rowset, restrictions, names, answer):
    table = discover(rowset, restrictions, contoso)
    assert [tuple(row[name] for name in names) for row in table.to_pylist()] == answer


@pytest.mark.parametrize(
    ("rowset", "restrictions", "kind", "message"),
    [
        ("DISCOVER_NOTHING", {}, UnknownRowsetError, "no rowset 'DISCOVER_NOTHING'"),
        ("TMSCHEMA_NOTHING", {}, UnknownRowsetError, "no rowset"),
        (
            "DBSCHEMA_CATALOGS",
            {"CATALOG": "x"},
            RequestError,
            "the CATALOG restriction of rowset DBSCHEMA_CATALOGS was not recognized",
        ),
        ("DBSCHEMA_CATALOGS", {"CATALOG_NAME": "x", "catalog_name": "y"}, RequestError, "there twice"),
        ("DISCOVER_SESSIONS", {"SESSION_SPID": "one"}, RequestError, "SESSION_SPID is 'one', not of type int"),
        ("DISCOVER_SESSIONS", {"SESSION_SPID": str(2**31)}, RequestError, "not of type int"),
        ("DISCOVER_SESSIONS", {"SESSION_SPID": "9" * 5000}, RequestError, "9…"),
        ("DBSCHEMA_PROVIDER_TYPES", {"BEST_MATCH": "perhaps"}, RequestError, "not of type boolean"),
        ("MDSCHEMA_CUBES", {"CUBE_SOURCE": "-1"}, RequestError, "not of type unsignedShort"),
        ("MDSCHEMA_ACTIONS", {}, RequestError, "CUBE_NAME restriction of rowset MDSCHEMA_ACTIONS is required"),
        ("DISCOVER_LOCATIONS", {"LOCATION_PASSWORD": "x"}, RequestError, "LOCATION_BACKUP_FILE_PATHNAME restriction"),
        ("DISCOVER_LOCATIONS", {"LOCATION_BACKUP_FILE_PATHNAME": "x"}, RequestError, "cannot be opened from here"),
        ("TMSCHEMA_TABLES", {"DatabaseName": ("Shop", "Another")}, RequestError, "2 values, not one"),
        ("TMSCHEMA_TABLES", {"DatabaseName": "Gone"}, DatabaseNotFoundError, "'Gone'"),
        ("MDSCHEMA_CUBES", {"CATALOG_NAME": "Gone"}, DatabaseNotFoundError, "'Gone'"),
    ],
)
def test_a_request_that_says_what_no_rowset_takes_is_refused(contoso, rowset, restrictions, kind, message):
    with pytest.raises(kind) as caught:
        discover(rowset, restrictions, contoso)
    assert message in caught.value.message


def test_a_session_without_a_database_sees_no_cubes_and_all_catalogs(contoso):
    nowhere = replace(contoso, catalog=None)
    assert discover("MDSCHEMA_CUBES", {}, nowhere).num_rows == 0
    assert discover("TMSCHEMA_MODEL", {}, nowhere).num_rows == 0
    assert discover("MDSCHEMA_CUBES", {"CATALOG_NAME": "Shop"}, nowhere).num_rows == 1
    assert column(discover("DBSCHEMA_CATALOGS", {}, nowhere), "CATALOG_NAME") == ["Another", "Shop"]
    assert column(discover("DISCOVER_PROPERTIES", {"PropertyName": "Catalog"}, nowhere), "Value") == [""]


def test_properties_of_the_request_are_told_back_and_facts_of_the_server_stay(contoso):
    context = replace(contoso, properties={"timeout": "30", "DBMSVersion": "1.0", "Unknown": "x"})
    values = dict(
        zip(
            *discover("DISCOVER_PROPERTIES", {}, context).select(["PropertyName", "Value"]).to_pydict().values(),
            strict=True,
        )
    )
    assert (values["Timeout"], values["DBMSVersion"]) == ("30", "16.0.43.220")
    assert {"DbpropMsmdActivityID", "DbpropMsmdRequestID", "DbpropMsmdCurrentActivityID"} <= values.keys()
    assert "Unknown" not in values


def test_schema_rowsets_tell_the_restrictions_in_order(contoso):
    (row,) = discover("DISCOVER_SCHEMA_ROWSETS", {"SchemaName": "mdschema_cubes"}, contoso).to_pylist()
    names = [restriction["Name"] for restriction in row["Restrictions"]]
    assert names == ["CATALOG_NAME", "SCHEMA_NAME", "CUBE_NAME", "CUBE_SOURCE", "BASE_CUBE_NAME"]
    assert row["Restrictions"][3] == {"Name": "CUBE_SOURCE", "Type": "xsd:unsignedShort"}
    assert row["RestrictionsMask"] == 0b11111
    assert row["SchemaGuid"] == "C8B522D8-5CF3-11CE-ADE5-00AA0044773D"


# ---------------------------------------------------------------------------------------------------- who may see what


def test_who_does_not_administer_the_server_sees_his_own_sessions(contoso):
    guest = replace(contoso, is_administrator=False, user_name="bob")
    assert column(discover("DISCOVER_SESSIONS", {}, guest), "SESSION_ID") == ["S-2"]
    assert column(discover("DISCOVER_JOBS", {}, guest), "JOB_ID") == [2]
    for rowset in ("DISCOVER_COMMANDS", "DISCOVER_CONNECTIONS"):
        assert discover(rowset, {}, guest).num_rows == 0
    for rowset, restrictions in (
        ("DISCOVER_TRACES", {}),
        ("DISCOVER_LOCATIONS", {"LOCATION_BACKUP_FILE_PATHNAME": "x"}),
    ):
        with pytest.raises(NotAuthorizedError, match="'bob'"):
            discover(rowset, restrictions, guest)


@pytest.mark.parametrize("rowset", ["TMSCHEMA_TABLES", "TMSCHEMA_COLUMN_STORAGES", "DISCOVER_STORAGE_TABLES"])
def test_metadata_and_storage_are_for_administrators_of_the_database(rowset):
    reader = serving(metadata_of(CONTOSO), is_administrator=False)
    with pytest.raises(NotAuthorizedError, match="administrators of database 'Shop'"):
        discover(rowset, {}, reader)
    assert discover("MDSCHEMA_CUBES", {}, reader).num_rows == 1


def test_nothing_names_what_object_level_security_hides():
    data = metadata_of(CONTOSO)
    ((table,),) = asked(data, "SELECT ID FROM \"Table\" WHERE Name = 'Customer'")
    ((secret,),) = asked(data, "SELECT ID FROM Column WHERE ExplicitName = 'Currency Code'")
    ((measure, name),) = asked(data, "SELECT ID, Name FROM Measure ORDER BY Name LIMIT 1")
    rowsets = ["DBSCHEMA_TABLES", "DBSCHEMA_COLUMNS", "MDSCHEMA_DIMENSIONS", "MDSCHEMA_HIERARCHIES", "MDSCHEMA_LEVELS", "MDSCHEMA_MEASURES", "MDSCHEMA_MEASUREGROUPS", "MDSCHEMA_MEASUREGROUP_DIMENSIONS"]  # fmt: skip

    def shown(context) -> str:
        return "\n".join(str(discover(rowset, {}, context).to_pylist()) for rowset in rowsets)

    whole = shown(serving(data))
    part = shown(
        serving(
            data,
            hidden_table_ids=frozenset({table}),
            hidden_column_ids=frozenset({secret}),
            hidden_measure_ids=frozenset({measure}),
            is_administrator=False,
        )
    )
    for hidden in ("'Customer'", "[Customer]", "Currency Code", f"[{name}]"):
        assert hidden in whole
        assert hidden not in part
    assert "Store" in part
    assert "CurrencyKey" in part


# ---------------------------------------------------------------------------------------------------- TMSCHEMA_*


def test_columns_that_a_schema_version_lacks_have_the_default_of_the_property():
    context = serving(metadata_of(OLD))
    tables = discover("TMSCHEMA_TABLES", {}, context)
    assert "ExcludeFromModelRefresh" not in [row[1] for row in asked(metadata_of(OLD), 'PRAGMA table_info("Table")')]
    assert set(column(tables, "ExcludeFromModelRefresh")) == {False}
    assert set(column(tables, "LineageTag")) == {None}
    assert tables.schema.field("ID").metadata == {b"xmla": b"unsignedLong"}
    assert discover("TMSCHEMA_MODEL", {}, context)["Version"].to_pylist() == [4]


def test_a_rowset_whose_table_a_schema_version_lacks_is_empty():
    groups = discover("TMSCHEMA_CALCULATION_GROUPS", {}, serving(metadata_of(OLD)))
    assert groups.num_rows == 0
    assert groups.schema.names[:3] == ["ID", "TableID", "Description"]
    assert discover("TMSCHEMA_PACKAGES", {}, serving(metadata_of(OLD))).schema.names == ["ID"]


def test_a_table_that_we_do_not_know_is_a_rowset_too():
    data = changed(
        metadata_of(OLD), "CREATE TABLE NewThing (ID INTEGER, Name TEXT)", "INSERT INTO NewThing VALUES (7, 'n')"
    )
    context = serving(data)
    assert discover("TMSCHEMA_NEW_THINGS", {"Name": "N"}, context).to_pylist() == [{"ID": 7, "Name": "n"}]
    listed = discover("DISCOVER_SCHEMA_ROWSETS", {"SchemaName": "TMSCHEMA_NEW_THINGS"}, context)
    assert [restriction["Name"] for restriction in listed["Restrictions"][0].as_py()] == ["DatabaseName", "ID", "Name"]
    with pytest.raises(UnknownRowsetError):
        discover("TMSCHEMA_NEW_THINGS", {}, serving(data, is_administrator=False))


@pytest.mark.parametrize("statement", ["UPDATE Annotation SET ObjectID = -1", "UPDATE Annotation SET Name = x'ff'", "UPDATE Annotation SET ObjectType = 5.5", "UPDATE Annotation SET ObjectType = 9999999999"])  # fmt: skip
def test_a_cell_that_its_type_does_not_hold_is_damage(statement):
    data = changed(metadata_of(CONTOSO), statement)
    with pytest.raises(ModelError, match=r"Annotation\.\w+ holds a value of the wrong kind"):
        discover("TMSCHEMA_ANNOTATIONS", {}, serving(data))


@pytest.mark.parametrize(
    ("rowset", "root"),
    [
        ("TMSCHEMA_MODEL", "Model"),
        ("tmschema_data_sources", "DataSources"),
        ("TMSCHEMA_KPIS", "Kpis"),
        ("TMSCHEMA_ALTERNATE_OF_DEFINITIONS", "AlternateOfDefinitions"),
        ("TMSCHEMA_COLUMN_STORAGES", "ColumnStorages"),
        ("DBSCHEMA_CATALOGS", None),
    ],
)
def test_the_root_of_a_rowset_of_the_model_has_the_name_of_its_collection(rowset, root):
    assert root_name(rowset) == root


# ---------------------------------------------------------------------------------------------------- MDSCHEMA_*


def test_members_are_counted_as_the_engine_counted_distinct_values(contoso):
    counted = dict(
        asked(
            metadata_of(CONTOSO),
            "SELECT '[' || t.Name || '].[' || c.ExplicitName || ']', s.Statistics_DistinctStates FROM Column c JOIN \"Table\" t ON t.ID = c.TableID JOIN ColumnStorage s ON s.ID = c.ColumnStorageID",
        )
    )
    rows = discover("MDSCHEMA_HIERARCHIES", {"HIERARCHY_ORIGIN": "2", "HIERARCHY_VISIBILITY": "3"}, contoso).to_pylist()
    assert len(rows) > 50
    assert {row["HIERARCHY_UNIQUE_NAME"]: row["HIERARCHY_CARDINALITY"] for row in rows} == {
        row["HIERARCHY_UNIQUE_NAME"]: counted[row["HIERARCHY_UNIQUE_NAME"]] + 1 for row in rows
    }


def test_every_level_has_its_hierarchy_and_every_hierarchy_its_dimension(sample):
    context = serving(metadata_of(sample.name))
    for visibility in ("1", "3"):
        dimensions = discover("MDSCHEMA_DIMENSIONS", {"DIMENSION_VISIBILITY": visibility}, context)
        hierarchies = discover("MDSCHEMA_HIERARCHIES", {"HIERARCHY_VISIBILITY": visibility}, context)
        levels = discover("MDSCHEMA_LEVELS", {"LEVEL_VISIBILITY": visibility}, context)
        assert set(column(levels, "HIERARCHY_UNIQUE_NAME")) == set(column(hierarchies, "HIERARCHY_UNIQUE_NAME"))
        assert set(column(hierarchies, "DIMENSION_UNIQUE_NAME")) == set(column(dimensions, "DIMENSION_UNIQUE_NAME"))
        assert None not in column(levels, "LEVEL_CARDINALITY")


def test_a_level_whose_column_is_in_another_table_is_damage():
    data = metadata_of(HIERARCHIES)
    statement = "UPDATE Level SET ColumnID = (SELECT max(ID) FROM Column WHERE TableID <> (SELECT TableID FROM Hierarchy WHERE ID = HierarchyID))"
    context = serving(changed(data, statement))
    for rowset in ("MDSCHEMA_LEVELS", "MDSCHEMA_HIERARCHIES"):
        with pytest.raises(ModelError, match="of another table"):
            discover(rowset, {}, context)


def test_a_count_of_members_over_32_bits_is_told_as_their_highest_number():
    data = changed(metadata_of(CONTOSO), f"UPDATE ColumnStorage SET Statistics_DistinctStates = {2**40}")
    counts = discover("MDSCHEMA_HIERARCHIES", {"HIERARCHY_ORIGIN": "2"}, serving(data))["HIERARCHY_CARDINALITY"]
    assert set(counts.to_pylist()) == {2**32 - 1}


def test_levels_of_a_hierarchy_come_in_order_under_the_level_of_all():
    data = metadata_of(HIERARCHIES)
    ((hierarchy, name, table),) = asked(data, 'SELECT h.ID, h.Name, t.Name FROM Hierarchy h JOIN "Table" t ON t.ID = h.TableID ORDER BY h.ID LIMIT 1')  # fmt: skip
    stored = [level for (level,) in asked(data, f"SELECT Name FROM Level WHERE HierarchyID = {hierarchy} ORDER BY Ordinal")]  # fmt: skip
    levels = discover("MDSCHEMA_LEVELS", {"HIERARCHY_UNIQUE_NAME": f"[{table}].[{name}]", "LEVEL_VISIBILITY": "3"}, serving(data))  # fmt: skip
    assert column(levels, "LEVEL_NAME") == ["(All)", *stored]
    assert column(levels, "LEVEL_NUMBER") == list(range(len(stored) + 1))


def test_measures_are_those_of_the_model_and_hidden_ones_only_when_asked_for(contoso):
    data = changed(metadata_of(CONTOSO), "UPDATE Measure SET IsHidden = 1 WHERE ID = (SELECT min(ID) FROM Measure)")
    names = {name for (name,) in asked(data, "SELECT Name FROM Measure WHERE IsHidden = 0")}
    hidden = {name for (name,) in asked(data, "SELECT Name FROM Measure WHERE IsHidden = 1")}
    context = serving(changed(data, 'UPDATE "Table" SET IsHidden = 0'))
    assert set(column(discover("MDSCHEMA_MEASURES", {}, context), "MEASURE_NAME")) == names
    assert set(column(discover("MDSCHEMA_MEASURES", {"MEASURE_VISIBILITY": "2"}, context), "MEASURE_NAME")) == hidden


def test_a_table_marked_as_time_is_a_time_dimension():
    data = changed(metadata_of(CONTOSO), "UPDATE \"Table\" SET DataCategory = 'Time' WHERE Name = 'Date'")
    for rowset in ("MDSCHEMA_DIMENSIONS", "MDSCHEMA_HIERARCHIES"):
        rows = discover(rowset, {}, serving(data)).to_pylist()
        assert {row["DIMENSION_UNIQUE_NAME"] for row in rows if row["DIMENSION_TYPE"] == 1} == {"[Date]"}


def test_a_bracket_in_a_name_is_doubled():
    data = changed(metadata_of(CONTOSO), "UPDATE \"Table\" SET Name = 'Cu]rr' WHERE Name = 'Currency'")
    names = column(discover("MDSCHEMA_DIMENSIONS", {}, serving(data)), "DIMENSION_UNIQUE_NAME")
    assert "[Cu]]rr]" in names


def test_a_perspective_is_a_cube_of_what_it_shows():
    data = metadata_of(CONTOSO)
    ((sales,), (store,)) = asked(data, "SELECT ID FROM \"Table\" WHERE Name IN ('Sales', 'Store') ORDER BY Name")
    ((key, key_name),) = asked(
        data, f"SELECT ID, ExplicitName FROM Column WHERE TableID = {sales} AND Type = 1 ORDER BY ID LIMIT 1"
    )
    data = changed(
        data,
        "INSERT INTO Perspective (ID, ModelID, Name) VALUES (90001, 1, 'View')",
        f"INSERT INTO PerspectiveTable (ID, PerspectiveID, TableID, IncludeAll) VALUES (90002, 90001, {sales}, 0), (90003, 90001, {store}, 1)",
        f"INSERT INTO PerspectiveColumn (ID, PerspectiveTableID, ColumnID) VALUES (90004, 90002, {key})",
    )
    context = serving(data)
    assert discover("MDSCHEMA_CUBES", {"BASE_CUBE_NAME": "Model"}, context)["CUBE_NAME"].to_pylist() == ["View"]
    restrictions = {"CUBE_NAME": "View", "HIERARCHY_VISIBILITY": "3"}
    shown = column(discover("MDSCHEMA_HIERARCHIES", restrictions, context), "HIERARCHY_UNIQUE_NAME")
    assert [name for name in shown if name.startswith("[Sales]")] == [f"[Sales].[{key_name}]"]
    whole = column(discover("MDSCHEMA_HIERARCHIES", {**restrictions, "CUBE_NAME": "Model"}, context), "HIERARCHY_UNIQUE_NAME")  # fmt: skip
    assert [name for name in shown if name.startswith("[Store]")] == [name for name in whole if name.startswith("[Store]")]  # fmt: skip


def test_a_measure_group_goes_with_what_its_table_is_related_to(contoso):
    data = metadata_of(CONTOSO)
    related = asked(
        data,
        "WITH RECURSIVE r(id) AS (SELECT ID FROM \"Table\" WHERE Name = 'Sales' UNION SELECT ToTableID FROM Relationship JOIN r ON FromTableID = r.id WHERE IsActive = 1) SELECT '[' || Name || ']' FROM \"Table\" JOIN r USING (id)",
    )
    assert len(related) > 4
    rows = discover("MDSCHEMA_MEASUREGROUP_DIMENSIONS", {"MEASUREGROUP_NAME": "Sales", "DIMENSION_VISIBILITY": "3"}, contoso).to_pylist()  # fmt: skip
    assert {row["DIMENSION_UNIQUE_NAME"] for row in rows} == {name for (name,) in related}
    assert [row["DIMENSION_UNIQUE_NAME"] for row in rows if row["DIMENSION_IS_FACT_DIMENSION"]] == ["[Sales]"]


def test_a_kpi_names_the_measures_of_its_parts():
    data = metadata_of(KPIS)
    kpis = asked(data, "SELECT m.Name, k.TargetExpression FROM KPI k JOIN Measure m ON m.ID = k.MeasureID")
    rows = discover("MDSCHEMA_KPIS", {}, serving(data)).to_pylist()
    assert [row["KPI_VALUE"] for row in rows] == [f"[Measures].[{name}]" for name, _ in kpis]
    assert [row["KPI_GOAL"] is not None for row in rows] == [bool(target) for _, target in kpis]


# ---------------------------------------------------------------------------------------------------- DISCOVER_LOCATIONS


@contextlib.contextmanager
def backup(path: str, password: str | None):
    if password == "wrong":
        raise PasswordWrongError("the password does not open the file")
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_backup(MemorySource(sample_path(path).read_bytes()), password=password))
        files = ContainerFiles(opened.container)
        metadata = stack.enter_context(Metadata.from_bytes(bytes(files.read(METADATA_FILE))))
        yield RowsetSource(SHOP, [SHOP, OTHER], metadata, load_model(metadata), files)


def test_the_contents_of_a_backup_file_are_its_partitions(contoso):
    context = replace(contoso, open_backup=backup)
    rows = discover("DISCOVER_LOCATIONS", {"LOCATION_BACKUP_FILE_PATHNAME": CONTOSO}, context).to_pylist()
    with backup(CONTOSO, None) as source:
        names = {partition.name for table in source.model.tables for partition in table.partitions}
        assert {row["LOCATION_PARTITION_NAME"] for row in rows} == names
        stored = {
            file
            for table in source.model.tables
            for column in table.columns
            if column.storage
            for part in column.storage.partitions
            for file in (part.idf_file, part.idfmeta_file)
        }
        assert sum(int(row["LOCATION_PARTITION_SIZE"]) for row in rows) == sum(map(source.files.byte_count, stored))
    assert {row["LOCATION_BACKUP_FILE_PATHNAME"] for row in rows} == {CONTOSO}


def test_what_keeps_a_backup_file_closed_is_said(contoso):
    context = replace(contoso, open_backup=backup)
    with pytest.raises(PasswordWrongError):
        discover(
            "DISCOVER_LOCATIONS", {"LOCATION_BACKUP_FILE_PATHNAME": CONTOSO, "LOCATION_PASSWORD": "wrong"}, context
        )
