"""Power Pivot workbooks and backups of Analysis Services 2012/2014: read, imported, and what comes of damage."""

from __future__ import annotations

import functools
import math
import re
import warnings
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from pbixray import PBIXRay
from vaults import bodies, values, with_bodies

if TYPE_CHECKING:
    from pathlib import Path

import tabvault
from conftest import XML_SAMPLES, sample_path
from tabvault.errors import (
    FormatError,
    LimitError,
    ModelError,
    TabvaultError,
    UnsupportedFeatureError,
    XmlMetadataError,
)
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource, pieces
from tabvault.formats.safe_xml import XML_BYTE_COUNT_MAX
from tabvault.jobs.landing import LandingOptions
from tabvault.jobs.opening import open_backup, unwrap
from tabvault.jobs.restore import bring_in
from tabvault.jobs.vault import Vault
from tabvault.jobs.xml_import.conversion import convert
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.xml_models import model as xml_models

QUALITY, NULLS, SPEND = XML_SAMPLES
DDL = "http://schemas.microsoft.com/analysisservices/2003/engine"
EMPTY_FOR_PBIXRAY = {"Range"}
"""A table of one row that pbixray gives no row of; the file says how many there are."""


def plain(sample: str) -> bytes:
    """The container in a workbook: what an Analysis Services backup without a workbook around it is."""
    with unwrap(MemorySource(sample_path(sample).read_bytes())) as unwrapped:
        return b"".join(bytes(piece) for piece in pieces(unwrapped.source))


@pytest.fixture(scope="module")
def plain_of():
    made: dict[str, bytes] = {}

    def give(sample: str) -> bytes:
        if sample not in made:
            made[sample] = plain(sample)
        return made[sample]

    return give


def changed(backup: bytes, ending: str, change) -> bytes:
    """The backup with those files changed whose names match; at least one does, and is another one then."""
    different = []

    def new_body(name: str, body: bytes) -> bytes:
        if not re.search(ending, name):
            return body
        made = change(body.decode()).encode()
        different.append(made != body)
        return made

    rebuilt = with_bodies(backup, new_body)
    assert any(different)
    return rebuilt


def import_bytes(vault: Vault, backup: bytes, name: str = "new"):
    return bring_in(vault.own_folder, MemorySource(backup), "x.abf", name, options=LandingOptions())


def definition(vault: Vault, name: str = "new") -> dict:
    with vault.open(name) as opened:
        return tmsl_of(opened.metadata, name=name, id=name, compatibility_level=1200)["model"]


def load_document(object_: str, parents: str = "") -> str:
    return (
        f'<Load xmlns="{DDL}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><ParentObject>{parents}'
        f"</ParentObject><ObjectDefinition>{object_}</ObjectDefinition></Load>"
    )


def same(ours: object, theirs: object) -> bool:
    if theirs is None or theirs is pd.NaT or theirs is pd.NA or (isinstance(theirs, float) and math.isnan(theirs)):
        return ours is None
    if ours is None or isinstance(ours, str):
        return ours == theirs
    if isinstance(theirs, pd.Timestamp):
        return ours == theirs.to_pydatetime()
    return float(ours) == float(theirs)


@functools.cache
def pbixray_of(sample: str) -> PBIXRay:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PBIXRay(str(sample_path(sample)))


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_every_value_of_a_workbook_is_the_one_that_pbixray_reads(sample: str) -> None:
    path = sample_path(sample)
    ray = pbixray_of(sample)
    compared = 0
    with tabvault.open(path) as database:
        assert {table.name for table in database.tables} == set(ray.tables)
        for table in database.tables:
            theirs = ray.get_table(table.name)
            if table.name in EMPTY_FOR_PBIXRAY:
                assert len(theirs) == 0
                continue
            ours = table.to_arrow()
            assert set(ours.column_names) <= set(theirs.columns)
            for name in ours.column_names:
                mine, other = ours[name].to_pylist(), theirs[name].tolist()
                assert len(mine) == len(other)
                pairs = [] if mine == other else zip(mine, other, strict=True)
                different = [pair for pair in pairs if not same(*pair)]
                assert not different, (table.name, name, different[:3])
                compared += 1
        stored = sum(not column.is_row_number for table in database.model.tables for column in table.columns)
    assert compared >= stored - len(EMPTY_FOR_PBIXRAY)


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_relationships_are_those_that_pbixray_lists(sample: str) -> None:
    path = sample_path(sample)
    listed = pbixray_of(sample).relationships
    names = ["FromTableName", "FromColumnName", "ToTableName", "ToColumnName", "IsActive"]
    theirs = {tuple(row) for row in listed[names].itertuples(index=False)} if len(listed) else set()
    with tabvault.open(path) as database:
        model = database.model
    tables = {table.id: table.name for table in model.tables}
    columns = {column.id: column.name for table in model.tables for column in table.columns}
    ours = {
        (
            tables[one.from_table_id],
            columns[one.from_column_id],
            tables[one.to_table_id],
            columns[one.to_column_id],
            one.is_active,
        )
        for one in model.relationships
    }
    assert ours == theirs


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_measures_are_those_that_the_workbook_annotates(sample: str, plain_of) -> None:
    """Power Pivot repeats name and table of every measure beside its text; we only read the text."""
    with open_backup(MemorySource(plain_of(sample))) as opened:
        pass
    with unwrap(MemorySource(plain_of(sample))) as unwrapped:
        container = Container.open(unwrapped.source)
        (name,) = [name for name in container.files if name.endswith(".scr.xml")]
        script = etree.fromstring(bytes(container.read(name)))
    annotated = set()
    for command in script.iter(f"{{{DDL}}}Command"):
        said = {
            one.findtext(f"{{{DDL}}}Name"): one.findtext(f"{{{DDL}}}Value")
            for one in command.iter(f"{{{DDL}}}Annotation")
        }
        if "FullName" in said:
            annotated.add((said["Table"], said["FullName"]))
    with tabvault.open(sample_path(sample)) as database:
        ours = {(table.name, measure.name) for table in database.model.tables for measure in table.measures}
        expressions = [measure.expression for table in database.model.tables for measure in table.measures]
    assert ours == annotated
    text = " ".join(script.itertext())
    assert all(expression in text for expression in expressions)
    assert opened.converted_from == 1103


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_an_imported_workbook_verifies_and_survives_backup_and_restore(sample: str, tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        path = str(sample_path(sample))
        result = vault.import_file(path, "one")
        assert result.compatibility_level == 1200
        assert values(vault, "one") == values(vault, path)
        for subject in ("one", path):
            assert [one for one in vault.verify(subject).conditions if one.severity != "OK"] == []
        backup = vault.backup("one").file
        vault.restore(backup, "two")
        assert values(vault, "two") == values(vault, "one")
        inspection = vault.inspect(f"storage:{backup}")
        assert inspection.compatibility_level == 1200
        assert vault.inspect(path).compatibility_level == 1103
        assert [(one.name, one.row_count) for one in vault.inspect(path).tables] == [
            (one.name, one.row_count) for one in inspection.tables
        ]


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_bytes_of_columns_are_taken_over_as_they_are(sample: str, tmp_path: Path, plain_of) -> None:
    with open_backup(MemorySource(plain_of(sample))) as opened, unwrap(MemorySource(plain_of(sample))) as unwrapped:
        original = Container.open(unwrapped.source)
        kinds = (".idf", ".dictionary", ".hidx")
        theirs = sorted(bytes(original.read(name)) for name in original.files if name.endswith(kinds))
        ours = sorted(bytes(opened.container.read(name)) for name in opened.container.files if name.endswith(kinds))
    assert ours == theirs


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_an_unprocessed_hierarchy_is_made_anew_as_the_engine_made_it(sample: str, tmp_path: Path, plain_of) -> None:
    """The H$ tables of the workbook are the truth: what is made of the values has the same words, byte for byte."""
    unprocessed = changed(
        plain_of(sample),
        r"\.tbl\.xml$",
        lambda text: re.sub(r"(<IsProcessed [^>]*>)true(</IsProcessed><TypeM)", r"\1false\2", text),
    )
    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, plain_of(sample), "taken")
        import_bytes(vault, unprocessed, "made")
        taken, made = bodies(vault, "taken"), bodies(vault, "made")
        assert vault.verify("made").ok
    hierarchies = [name for name in taken if "\\" in name and "H$" in name and name.endswith((".idf", ".hidx"))]
    assert hierarchies
    assert [name for name in hierarchies if taken[name] != made[name]] == []


@pytest.mark.parametrize("sample", [QUALITY, SPEND])
def test_a_missing_relationship_index_is_made_anew(sample: str, tmp_path: Path, plain_of) -> None:
    without = changed(
        plain_of(sample),
        r"\.tbl\.xml$",
        lambda text: text.replace("XMRelationshipIndexDenseDIDs", "XMRelationshipIndex"),
    )
    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, without)
        assert [one for one in vault.verify("new").conditions if one.severity != "OK"] == []
        with vault.open("new") as opened:
            count = len(list(opened.metadata.rows("RelationshipIndexStorage", ["ID"])))
            assert count == len(opened.model.relationships) > 0


def test_a_one_that_is_not_unique_leaves_its_relationship_without_an_index(tmp_path: Path, plain_of) -> None:
    """Sub Category ID of Metrics repeats: as the end of a relationship it cannot be indexed."""

    def turn(text: str) -> str:
        turned = {"From": "To", "To": "From"}
        return re.sub("(From|To)(?=RelationshipEnd>)", lambda match: turned[match[1]], text)

    backup = changed(plain_of(QUALITY), r"^Metrics.*\.dim\.xml$", turn)
    backup = changed(
        backup, r"\.tbl\.xml$", lambda text: text.replace("XMRelationshipIndexDenseDIDs", "XMRelationshipIndex")
    )
    with Vault(tmp_path / "data") as vault:
        result = import_bytes(vault, backup)
        assert sum("has no index" in warning for warning in result.warnings) == 7
        assert len(definition(vault)["relationships"]) == 7


def test_what_a_workbook_says_of_its_columns_is_kept(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        vault.import_file(str(sample_path(QUALITY)), "new")
        tables = {table["name"]: table for table in definition(vault)["tables"]}
    date = {column["name"]: column for column in tables["Date"]["columns"]}
    assert tables["Date"]["dataCategory"] == "Time"
    assert tables["Metrics"]["isHidden"] is True
    assert date["Date"]["isKey"] is True
    assert date["Date"]["formatString"] == "General Date"
    assert date["Date"]["dataType"] == "dateTime"
    assert date["Month"]["type"] == "calculated"
    assert date["Month"]["expression"] == 'FORMAT([Date], "MMM")'
    assert date["Month"]["sortByColumn"] == "MonthNumber"
    assert date["Year"]["summarizeBy"] == "none"
    plants = {column["name"]: column for column in tables["Plant"]["columns"]}
    assert plants["Plant ID"]["isHidden"] is True
    assert plants["Plant"]["dataCategory"] == "City"
    assert plants["Plant ID"]["sourceColumn"] == "Plant ID"
    (partition,) = tables["Date"]["partitions"]
    assert partition["source"]["query"] == "SELECT [Date$].*   FROM [Date$]"
    measures = {measure["name"]: measure for measure in tables["Metrics"]["measures"]}
    assert measures["Total Defect Reports"] == {
        "name": "Total Defect Reports",
        "expression": "COUNTROWS(Metrics)",
        "formatString": "#,0",
    }


def test_an_indicator_takes_the_hidden_measures_of_its_goal_and_status(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        vault.import_file(str(sample_path(SPEND)), "new")
        (fact,) = [table for table in definition(vault)["tables"] if table["name"] == "Fact"]
    (measure,) = [one for one in fact["measures"] if "kpi" in one]
    assert measure["name"] == "Actual/Plan"
    assert measure["expression"] == "[Actual]"
    assert measure["kpi"]["targetExpression"] == "'Fact'[Plan]"
    assert measure["kpi"]["statusGraphic"] == "Traffic Light - Single"
    assert "".join(measure["kpi"]["statusExpression"]).startswith("if(ISBLANK('Fact'[Actual/Plan]/")
    assert not [one["name"] for one in fact["measures"] if one["name"].startswith("_")]


def test_the_database_is_read_only_if_asked_for(tmp_path: Path, plain_of) -> None:
    with Vault(tmp_path / "data") as vault:
        options = LandingOptions(read_write_mode="readOnly")
        bring_in(vault.own_folder, MemorySource(plain_of(NULLS)), "x.abf", "new", options=options)
        assert [listing.read_write_mode for listing in vault.databases()] == ["readOnly"]


LEVELS = "".join(
    f"<Level><Name>{name}</Name><ID>{name}</ID><SourceAttributeID>{attribute}</SourceAttributeID></Level>"
    for name, attribute in (("Y", "Year"), ("M", "CalculatedColumn1 1"), ("D", "Date"))
)


def test_a_user_hierarchy_is_kept_and_materialised(tmp_path: Path, plain_of) -> None:
    hierarchy = f"<Hierarchy><Name>Calendar</Name><ID>Calendar</ID><Levels>{LEVELS}</Levels></Hierarchy>"
    backup = changed(
        plain_of(QUALITY),
        r"^Date_.*\.dim\.xml$",
        lambda text: text.replace("<Hierarchies/>", f"<Hierarchies>{hierarchy}</Hierarchies>"),
    )
    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, backup)
        assert [one for one in vault.verify("new").conditions if one.severity != "OK"] == []
        (date,) = [table for table in definition(vault)["tables"] if table["name"] == "Date"]
        assert [level["column"] for level in date["hierarchies"][0]["levels"]] == ["Year", "Month", "Date"]
        with vault.open("new") as opened:
            (storage,) = opened.metadata.rows("HierarchyStorage", ["LevelDefinition"])
            rows = opened.table("Date").to_arrow().select(["Year", "Month"])
    years, months = len(set(rows["Year"].to_pylist())), len(rows.group_by(["Year", "Month"]).aggregate([]))
    starts = [int(start) for start in re.findall(r"\$(\d+)(?=\$)", storage["LevelDefinition"])]
    assert starts == [0, years, years + months]


def test_a_perspective_is_kept_and_roles_are_reported(tmp_path: Path, plain_of) -> None:
    perspective = (
        "<Perspective><Name>Plants</Name><ID>P</ID><Dimensions><Dimension><CubeDimensionID>{plant}</CubeDimensionID>"
        "<Attributes><Attribute><AttributeID>Plant</AttributeID></Attribute></Attributes></Dimension>"
        "<Dimension><CubeDimensionID>{metrics}</CubeDimensionID></Dimension></Dimensions>"
        "<Calculations><Calculation><Name>[Total Defect Qty]</Name></Calculation></Calculations></Perspective>"
    )
    with unwrap(MemorySource(plain_of(QUALITY))) as unwrapped:
        names = list(Container.open(unwrapped.source).files)
    ids = {
        name.split("_")[0]: name.removesuffix(".dim.xml").rsplit(".", 1)[0]
        for name in names
        if name.endswith(".dim.xml")
    }
    infos = sorted(name for name in names if name.rpartition("\\")[2].startswith("info."))
    made = {
        infos[0]: load_document(perspective.format(plant=ids["Plant"], metrics=ids["Metrics"])),
        infos[1]: load_document("<Role><Name>Readers</Name><ID>R</ID></Role>"),
    }
    backup = with_bodies(plain_of(QUALITY), lambda name, body: made[name].encode() if name in made else body)
    with Vault(tmp_path / "data") as vault:
        result = import_bytes(vault, backup)
        (found,) = definition(vault)["perspectives"]
    assert any(warning.startswith("roles: 1 not kept") for warning in result.warnings)
    assert "perspectives: 1 kept" in result.warnings
    assert {table["name"]: table for table in found["tables"]} == {
        "Plant": {"name": "Plant", "columns": [{"name": "Plant"}]},
        "Metrics": {"name": "Metrics", "measures": [{"name": "Total Defect Qty"}]},
    }


def test_a_relationship_that_no_measure_group_uses_is_inactive(tmp_path: Path, plain_of) -> None:
    backup = changed(
        plain_of(QUALITY),
        r"^Model\.0\.cub\\Metrics.*\.det\.xml$|\\Metrics[^\\]*\.det\.xml$",
        lambda text: re.sub(
            r'<Dimension xsi:type="ReferenceMeasureGroupDimension">(?:(?!</Dimension>).)*'
            r"<CubeDimensionID>Date_[^<]*</CubeDimensionID>.*?</Dimension>|"
            r'<Dimension xsi:type="ReferenceMeasureGroupDimension">(?:(?!</Dimension>).)*</Dimension>',
            lambda m: "" if "<IntermediateGranularityAttributeID>Date<" in m[0] else m[0],
            text,
            flags=re.DOTALL,
        ),
    )
    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, backup)
        relationships = definition(vault)["relationships"]
    assert {one["toTable"]: one.get("isActive", True) for one in relationships} == {
        "Category": True,
        "Plant": True,
        "Vendor": True,
        "Defect Type": True,
        "Material Type": True,
        "Defect": True,
        "Date": False,
    }


def test_partitions_are_read_in_the_order_in_which_they_are_stored(tmp_path: Path, plain_of) -> None:
    """A second partition that has the rows of the first once more; as written by no workbook, after the field names."""
    with unwrap(MemorySource(plain_of(NULLS))) as unwrapped:
        container = Container.open(unwrapped.source)
        (info,) = [name for name in container.files if name.rpartition("\\")[2].startswith("info.") and ".prt" in name]
        (storage,) = [
            name
            for name in container.files
            if name.endswith("\\TheTable_d3e77791-335b-46f6-a4c9-ced9df984182.0.tbl.xml")
        ]
    group = "TheTable_d3e77791-335b-46f6-a4c9-ced9df984182"
    second = load_document(
        '<Partition><Name>Second</Name><ID>second</ID><Source xsi:type="QueryBinding">'
        "<DataSourceID>0fa88663-fa87-4772-953a-289449cf68f1</DataSourceID><QueryDefinition>SELECT 2</QueryDefinition>"
        "</Source></Partition>",
        f"<MeasureGroupID>{group}</MeasureGroupID>",
    )

    def twice(text: str) -> str:
        text = re.sub(r"(<XMObject class=\"XMSegment1Map\".*?</XMObject>)", r"\1\1", text)
        text = re.sub(
            r"(<XMObject class=\"XMPartition\".*?</XMObject>)",
            lambda m: m[1] + m[1].replace(group, "second").replace('"xsd:int">0<', '"xsd:int">1<'),
            text,
        )
        text = re.sub(r"(<Name>Segments</Name>)(.*?)(</Collection></Collections><DataObjects>)", r"\1\2\2\3", text)
        text = re.sub(
            r"(<DataObject><XMObject class=\"XMRawColumnPartitionDataObject\".*?</DataObject>)",
            lambda m: m[1] + re.sub(r"(<Partition [^>]*>)0<", r"\g<1>1<", m[1]),
            text,
        )
        return re.sub(
            r"(<XMObject class=\"XMColumnStats\".*?<RowCount [^>]*>)500<", r"\g<1>1000<", text, flags=re.DOTALL
        )

    def change(name: str, body: bytes) -> bytes:
        if name == info:
            return second.encode()
        return twice(body.decode()).encode() if name == storage else body

    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, with_bodies(plain_of(NULLS), change))
        import_bytes(vault, plain_of(NULLS), "once")
        with vault.open("new") as new, vault.open("once") as once:
            rows, half = new.tables[0].to_arrow(), once.tables[0].to_arrow()
            assert [one.name for one in new.model.tables[0].partitions] == ["TheTable", "Second"]
            assert [one.storage.record_count for one in new.model.tables[0].partitions] == [500, 500]
        assert rows.equals(pa.concat_tables([half, half]))
        assert [one for one in vault.verify("new").conditions if one.severity == "FAILED"] == []


def test_a_table_without_rows_stays_one(tmp_path: Path, plain_of) -> None:
    """Vendors without rows: no segments, no files, nothing processed."""

    def empty(text: str) -> str:
        text = re.sub(r"(<Name>Segments</Name>).*?(</Collection></Collections><DataObjects>)", r"\1\2", text)
        text = re.sub(r"<DataObject><XMObject class=\"XMRawColumnPartitionDataObject\".*?</DataObject>", "", text)
        text = re.sub(r"(<(?:RowCount|Records) [^>]*>)\d+<", r"\g<1>0<", text)
        return re.sub(r"(<IsProcessed [^>]*>)true<", r"\1false<", text)

    backup = changed(plain_of(QUALITY), r"\\Vendor_[^\\]*\.tbl\.xml$", empty)
    with Vault(tmp_path / "data") as vault:
        import_bytes(vault, backup)
        assert [one for one in vault.verify("new").conditions if one.severity == "FAILED"] == []
        with vault.open("new") as opened:
            vendors = opened.table("Vendor").to_arrow()
            assert (vendors.num_rows, vendors.column_names) == (0, ["Vendor", "Vendor ID"])
            assert opened.table("Metrics").to_arrow().num_rows == 6145


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'

HOSTILE = {
    "an entity bomb in a dimension": (r"\.dim\.xml$", lambda text: BOMB + text, FormatError),
    "an entity bomb in the storage": (r"\.tbl\.xml$", lambda text: BOMB + text, FormatError),
    "an external entity": (
        r"\.ds\.xml$",
        lambda text: '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + text,
        FormatError,
    ),
    "deep nesting": (r"\.cub\.xml$", lambda _: "<a>" * 100_000 + "</a>" * 100_000, FormatError),
    "no XML": (r"\.scr\.xml$", lambda _: "CREATE MEASURE", FormatError),
    "no cube": (r"\.cub\.xml$", lambda _: "<nothing/>", XmlMetadataError),
    "a cut document": (r"\.dim\.xml$", lambda text: text[: len(text) // 2], FormatError),
    "a table without storage": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace("TheTable_", "Table_"),
        FormatError,
    ),
    "a missing member": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace("<Name>ColumnStats</Name>", "<Name>Other</Name>"),
        FormatError,
    ),
    "a missing property": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: re.sub(r"<StorageUsedSize.*?</StorageUsedSize>", "", text),
        FormatError,
    ),
    "contradicting rows": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace(">500<", ">499<", 1),
        FormatError,
    ),
    "a huge count": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace(">500<", ">9000000000000000000<"),
        FormatError,
    ),
    "a number that is none": (r"ced9df984182\.0\.tbl\.xml$", lambda text: text.replace(">500<", ">five<"), FormatError),
    "a width of no class": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace("XMRENoSplitCompressionInfo&lt;9>", "XMRENoSplitCompressionInfo&lt;11>"),
        UnsupportedFeatureError,
    ),
    "a file elsewhere": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace('name="0.TheTable_', 'name="..\\0.TheTable_'),
        FormatError,
    ),
    "a file that is not there": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: text.replace('name="0.TheTable_', 'name="1.TheTable_'),
        FormatError,
    ),
    "a partition that is not there": (
        r"ced9df984182\.0\.tbl\.xml$",
        lambda text: re.sub(r"(<Partition [^>]*>)0(</Partition><SegmentCount)", r"\g<1>7\2", text),
        FormatError,
    ),
    "another type than is stored": (
        r"\.dim\.xml$",
        lambda text: text.replace("<DataType>BigInt</DataType>", "<DataType>Double</DataType>"),
        FormatError,
    ),
    "a data source that is not there": (
        r"\.prt\.xml$",
        lambda text: text.replace("<DataSourceID>0fa", "<DataSourceID>1fa"),
        FormatError,
    ),
    "two columns of one name": (
        r"\.dim\.xml$",
        lambda text: text.replace("<Name>N</Name><ID>N</ID>", "<Name>a</Name><ID>N</ID>"),
        ModelError,
    ),
    "a measure of no table": (
        r"\.scr\.xml$",
        lambda text: text.replace("CALCULATE;", "CALCULATE; CREATE MEASURE 'None'[M]=1;"),
        FormatError,
    ),
    "a language that is no number": (
        r"\.db\.xml$",
        lambda text: text.replace("<Language>2057<", "<Language>" + "9" * 5000 + "<"),
        FormatError,
    ),
    "level 1050": (r"\.db\.xml$", lambda text: text.replace(">1103<", ">1050<"), XmlMetadataError),
    "a multidimensional database": (
        r"\.db\.xml$",
        lambda text: text.replace(">InMemory<", ">Traditional<"),
        XmlMetadataError,
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_damaged_model_is_refused_by_name(case: str, plain_of) -> None:
    ending, change, error = HOSTILE[case]
    with pytest.raises(error) as caught:
        convert(Container.open(MemorySource(changed(plain_of(NULLS), ending, change))))
    assert str(caught.value)


def test_nothing_is_imported_of_a_damaged_model(tmp_path: Path, plain_of) -> None:
    ending, change, error = HOSTILE["contradicting rows"]
    with Vault(tmp_path / "data") as vault:
        with pytest.raises(error):
            import_bytes(vault, changed(plain_of(NULLS), ending, change))
        assert vault.databases() == []


def test_verify_says_which_part_of_an_xml_model_is_damaged(tmp_path: Path, plain_of) -> None:
    path = tmp_path / "damaged.abf"
    path.write_bytes(changed(plain_of(NULLS), r"\.tbl\.xml$", lambda text: text.replace(">500<", ">499<", 1)))
    with Vault(tmp_path / "data") as vault:
        verification = vault.verify(str(path))
    failed = [one.subject for one in verification.conditions if one.severity == "FAILED"]
    assert failed == ["XML metadata"]


TEXTS = ["", "-1", "0", "2", "499", "99999999999", "true", "x", "'", "Double", "One", "9" * 30, "a" * 600, "[", "\\"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ending=st.sampled_from([r"84\.0\.tbl", "dim", "det", "prt", "scr", "dsv", "cub"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(TEXTS)), min_size=1, max_size=3),
)
def test_any_text_in_a_metadata_file_gives_a_model_or_a_named_error(plain_of, ending, changes) -> None:
    def change(name: str, body: bytes) -> bytes:
        if not re.search(rf"{ending}\.xml$", name):
            return body
        parts = re.split(r"(?<=>)([^<>]+)(?=</)", body.decode())  # texts have the odd places
        for place, text in changes:
            parts[2 * int(place * (len(parts) // 2)) + 1] = text
        return "".join(parts).encode()

    try:
        conversion = convert(Container.open(MemorySource(with_bodies(plain_of(NULLS), change))))
    except TabvaultError:
        return
    assert conversion.level == 1103


def test_a_document_that_is_too_long_is_refused_before_it_is_read() -> None:
    class Long:
        """A file set with one file that nobody may read."""

        def names(self) -> list[str]:
            return ["a.dim.xml"]

        def byte_count(self, _name: str) -> int:
            return XML_BYTE_COUNT_MAX + 1

    with pytest.raises(LimitError):
        xml_models.read(Long())


def test_every_object_of_the_conversion_is_known_at_level_1200() -> None:
    for name in ("Table", "Column", "Measure", "Relationship", "Hierarchy", "KPI", "Perspective", "Partition"):
        assert OBJECT_TYPES[name].minimum_level <= 1200
