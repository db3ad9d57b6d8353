"""Workbooks written out by hand."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from workbooks import Date, DateTime, Failure, Time, write_workbook

from tabvault.errors import SourceError, SourceTypeError
from tabvault.sources import excel_errors, excel_file
from tabvault.sources.conforming import conformed
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.file_formats import ExcelFormat
from tabvault.sources.opening import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.sources.source import Source

MIDNIGHT = datetime.datetime(2024, 1, 31)
SERIAL = 45322  # of 31 January 2024


def source_of(path: Path, item: str, **options: Any) -> Source:
    definition = SourceDefinition(kind=SourceKind.FILE, path=str(path), file_format=ExcelFormat(item=item, **options))
    return open_source(definition, None, allowed_folders=[path.parent])


def read_all(source: Source) -> pa.Table:
    with source.read("") as rows:
        return pa.Table.from_batches(list(rows), schema=rows.schema)


def column_of(folder: Path, *cells: object) -> tuple[pa.DataType, list[Any]]:
    write_workbook(folder / "a.xlsx", {"S": [["v", "row"], *([cell, "x"] for cell in cells)]})
    table = read_all(source_of(folder / "a.xlsx", "S", has_header=True))
    return table.schema.field("v").type, table.column("v").to_pylist()


@pytest.mark.parametrize(
    ("cells", "data_type", "expected"),
    [
        ([1, 2.5, None, 1e300], pa.float64(), [1.0, 2.5, None, 1e300]),
        ([True, None, False], pa.bool_(), [True, None, False]),
        ([Date(SERIAL), DateTime(SERIAL + 0.5), None], pa.timestamp("us"), [MIDNIGHT, MIDNIGHT.replace(hour=12), None]),
        ([Date(SERIAL), None], pa.date32(), [MIDNIGHT.date(), None]),
        ([Time(0.25), Time(0.75)], pa.time64("us"), [datetime.time(6), datetime.time(18)]),
        (["é & <b>", None, "", " "], pa.string(), ["é & <b>", None, None, " "]),
        ([None, None], pa.string(), [None, None]),
        (
            [1, 2.5, "n/a", True, Date(SERIAL), DateTime(SERIAL + 0.5), None],
            pa.string(),
            ["1", "2.5", "n/a", "true", "2024-01-31", "2024-01-31 12:00:00", None],
        ),
    ],
)
def test_a_column_has_the_kind_of_its_cells(
    tmp_path: Path, cells: list[object], data_type: pa.DataType, expected: list[Any]
) -> None:
    assert column_of(tmp_path, *cells) == (data_type, expected)


def test_cells_become_the_model_s(tmp_path: Path) -> None:
    rows = [["id", "price", "day"], [1, 0.1, Date(SERIAL)], [2, None, None]]
    write_workbook(tmp_path / "a.xlsx", {"S": rows})
    schema = pa.schema([("id", pa.int64()), ("price", pa.decimal128(19, 4)), ("day", pa.timestamp("us"))])
    with source_of(tmp_path / "a.xlsx", "S", has_header=True).read("") as given:
        [batch] = conformed(given, schema)
    assert batch.to_pylist() == [
        {"id": 1, "price": Decimal("0.1"), "day": MIDNIGHT},
        {"id": 2, "price": None, "day": None},
    ]


def test_a_number_is_no_date_and_text_no_number(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"S": [["v", "w"], [SERIAL, "x"], [SERIAL, 1]]})
    source = source_of(tmp_path / "a.xlsx", "S", has_header=True)
    with source.read("") as rows, pytest.raises(SourceTypeError, match="does not convert to the data type dateTime"):
        conformed(rows, pa.schema([("v", pa.timestamp("us"))]))
    with source.read("") as rows, pytest.raises(SourceTypeError, match="column 'w', row 1: text that is no number"):
        list(conformed(rows, pa.schema([("w", pa.int64())])))


def test_columns_are_named_by_the_header_or_by_number(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"S": [["a", None, 2024], [1, 2, 3]]})
    assert read_all(source_of(tmp_path / "a.xlsx", "S", has_header=True)).schema.names == ["a", "Column2", "2024"]
    assert read_all(source_of(tmp_path / "a.xlsx", "S")).to_pylist() == [
        {"Column1": "a", "Column2": None, "Column3": 2024.0},
        {"Column1": "1", "Column2": 2.0, "Column3": 3.0},
    ]


def test_a_table_has_its_own_names_and_place(tmp_path: Path) -> None:
    rows = [["title"], [None, "k", "v"], [None, "a", 1], [None, "b", 2], ["sum", None, 3]]
    write_workbook(tmp_path / "a.xlsx", {"S": rows}, tables={"Figures": ("S", "B2:C4", ["k", "v"])})
    for kind in ("Table", None):
        table = read_all(source_of(tmp_path / "a.xlsx", "Figures", kind=kind))
        assert table.to_pylist() == [{"k": "a", "v": 1.0}, {"k": "b", "v": 2.0}]


def test_an_item_has_to_be_there_and_to_be_one(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"Both": [["k"], ["a"]]}, tables={"Both": ("Both", "A1:A2", ["k"])})
    with pytest.raises(SourceError, match="a sheet and a table 'Both'"):
        source_of(tmp_path / "a.xlsx", "Both").test()
    assert read_all(source_of(tmp_path / "a.xlsx", "Both", kind="Sheet")).num_rows == 2
    assert read_all(source_of(tmp_path / "a.xlsx", "Both", kind="Table")).num_rows == 1
    with pytest.raises(SourceError, match="no Sheet 'both'; it has 'Both'"):
        source_of(tmp_path / "a.xlsx", "both", kind="Sheet").test()


def test_an_empty_sheet_has_no_columns(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"S": [], "T": [["a", "b"]]})
    assert read_all(source_of(tmp_path / "a.xlsx", "S", has_header=True)).schema.names == []
    table = read_all(source_of(tmp_path / "a.xlsx", "T", has_header=True))
    assert (table.schema.names, table.num_rows) == (["a", "b"], 0)


def test_an_error_in_a_cell_is_no_blank(tmp_path: Path) -> None:
    rows = [["a", "b"], [1, 2], [3, Failure("#N/A")]]
    tables = {"Left": ("S", "A1:A3", ["a"]), "Right": ("S", "B1:B3", ["b"])}
    write_workbook(tmp_path / "a.xlsx", {"S": rows, "T": [["a"], [1]]}, tables=tables)
    with pytest.raises(SourceTypeError, match=r"sheet 'S' .* holds an error in row 3, column 2"):
        source_of(tmp_path / "a.xlsx", "S").test()
    with pytest.raises(SourceTypeError, match="row 3, column 2"):
        source_of(tmp_path / "a.xlsx", "Right").test()
    assert read_all(source_of(tmp_path / "a.xlsx", "Left")).num_rows == 2
    assert read_all(source_of(tmp_path / "a.xlsx", "T")).num_rows == 2


@pytest.mark.parametrize("block_byte_count", [1, 7, 100, 1 << 20])
def test_an_error_is_found_wherever_it_lies_in_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_byte_count: int
) -> None:
    monkeypatch.setattr(excel_errors, "_BLOCK_BYTE_COUNT", block_byte_count)
    failures = {(3, 1), (40, 0), (40, 2), (99, 2)}
    rows = [[Failure("#REF!") if (row, column) in failures else row for column in range(3)] for row in range(100)]
    write_workbook(tmp_path / "a.xlsx", {"S": rows})
    with zipfile.ZipFile(tmp_path / "a.xlsx") as package:
        assert list(excel_errors.error_cells(package, "S")) == sorted(failures)


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(path, {"S": [["a"], [1]]})
    content = path.read_bytes()
    for damaged in (b"", b"nothing", content[: len(content) // 2], content[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="is no workbook"):
            source_of(path, "S").test()
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("other", "x")
    with pytest.raises(SourceError, match="is no workbook"):
        source_of(path, "S").test()


def test_a_part_that_is_no_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    for part in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml"):
        write_workbook(tmp_path / "whole.xlsx", {"S": [["a"], [1]]})
        with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(path, "w") as package:
            for name in whole.namelist():
                package.writestr(name, b"<a" if name == part else whole.read(name))
        with pytest.raises(SourceError):
            source_of(path, "S").test()


def test_a_workbook_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_file, "_UNPACKED_BYTE_COUNT_MAX", 100_000)
    write_workbook(tmp_path / "a.xlsx", {"S": [["x" * 200_000]]})
    with pytest.raises(SourceError, match="unpacks to"):
        source_of(tmp_path / "a.xlsx", "S").test()
