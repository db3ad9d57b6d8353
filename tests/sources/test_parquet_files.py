"""Parquet files, with pyarrow as the writer."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabvault.errors import SourceError, SourceTypeError
from tabvault.sources.conforming import conformed
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.file_formats import ParquetFormat
from tabvault.sources.opening import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.sources.source import Source

CURRENCY = pa.decimal128(19, 4)
DATE_TIME = pa.timestamp("us")
EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
MOMENT = datetime.datetime(2024, 1, 31, 10, 20, 30, 123000)


def source_at(path: Path) -> Source:
    definition = SourceDefinition(kind=SourceKind.FILE, path=str(path), file_format=ParquetFormat())
    return open_source(definition, None, allowed_folders=[path.parent])


def source_of(folder: Path, values: pa.Array, **options: Any) -> Source:
    pq.write_table(pa.table({"v": values}), folder / "a.parquet", **options)
    return source_at(folder / "a.parquet")


def as_model(source: Source, data_type: pa.DataType) -> list[Any]:
    with source.read("") as rows:
        return [
            value for batch in conformed(rows, pa.schema([("v", data_type)])) for value in batch.column(0).to_pylist()
        ]


@pytest.mark.parametrize(
    ("values", "data_type", "expected"),
    [
        (pa.array(["a", None, "a"]).dictionary_encode(), pa.string(), ["a", None, "a"]),
        (pa.array(["a", None], pa.large_string()), pa.string(), ["a", None]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)), CURRENCY, [Decimal("1.25"), None]),
        (pa.array([Decimal("1.00005")], pa.decimal128(38, 20)), CURRENCY, [Decimal("1.0000")]),
        (pa.array([Decimal("1.00015")], pa.decimal256(50, 30)), CURRENCY, [Decimal("1.0002")]),
        (pa.array([Decimal(7)], pa.decimal128(38, 0)), pa.int64(), [7]),
        (pa.array([1 << 63], pa.uint64()), pa.string(), ["9223372036854775808"]),
        (pa.array([255, None], pa.uint8()), pa.int64(), [255, None]),
        (pa.array([MOMENT], pa.timestamp("ms")), DATE_TIME, [MOMENT]),
        (pa.array([MOMENT], pa.timestamp("us", "Europe/Berlin")), DATE_TIME, [MOMENT]),
        (pa.array([-1_500, 1_500], pa.timestamp("ns")), DATE_TIME, [EPOCH - MICROSECOND, EPOCH + 2 * MICROSECOND]),
        (pa.array([datetime.date(1600, 2, 29)]), DATE_TIME, [datetime.datetime(1600, 2, 29)]),
        (pa.array([datetime.time(1, 2, 3)], pa.time32("ms")), DATE_TIME, [datetime.datetime(1899, 12, 30, 1, 2, 3)]),
        (pa.array([b"ab"], pa.binary(2)), pa.binary(), [b"ab"]),
        (pa.array([1.5], pa.float32()), pa.float64(), [1.5]),
        (pa.array([True, None]), pa.bool_(), [True, None]),
        (pa.nulls(2), pa.int64(), [None, None]),
    ],
)  # fmt: skip
def test_types_become_the_model_s(
    tmp_path: Path, values: pa.Array, data_type: pa.DataType, expected: list[Any]
) -> None:
    assert as_model(source_of(tmp_path, values), data_type) == expected


@pytest.mark.parametrize(
    ("values", "data_type"),
    [
        (pa.array([1 << 63], pa.uint64()), pa.int64()),
        (pa.array([[1]]), pa.string()),
        (pa.array([{"a": 1}]), pa.string()),
        (pa.array([1], pa.duration("s")), pa.int64()),
        (pa.array([10**17], pa.timestamp("ms")), DATE_TIME),
        (pa.array([1.5], pa.float16()), pa.float64()),
        (pa.array([float("inf")]), CURRENCY),
        (pa.array([1]), DATE_TIME),
    ],
)
def test_what_no_column_holds_is_refused(tmp_path: Path, values: pa.Array, data_type: pa.DataType) -> None:
    with pytest.raises(SourceTypeError, match="column 'v'"):
        as_model(source_of(tmp_path, values), data_type)


def test_row_groups_stream(tmp_path: Path) -> None:
    source = source_of(tmp_path, pa.array(["x" * 100] * 400_000), row_group_size=50_000, use_dictionary=False)
    before = pa.total_allocated_bytes()
    most = count = 0
    with source.read("", batch_row_count=10_000) as rows:
        for batch in rows:
            count += batch.num_rows
            most = max(most, pa.total_allocated_bytes() - before)
    assert count == 400_000
    assert most < 20_000_000  # the column has 42 MB


@pytest.mark.parametrize("damage", ["cut", "flipped", "no magic", "empty"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    source = source_of(tmp_path, pa.array(range(10_000)))
    path = tmp_path / "a.parquet"
    content = path.read_bytes()
    path.write_bytes(
        {"cut": content[:-100], "flipped": content[:-9] + b"\xff" + content[-8:], "no magic": b"x" * 500, "empty": b""}[
            damage
        ]
    )
    with pytest.raises(SourceError, match=r"a\.parquet is no Parquet file"), source.read("") as rows:
        list(rows)


def test_a_column_of_names_that_differ_by_case_is_found_by_its_own(tmp_path: Path) -> None:
    pq.write_table(pa.table({"V": [1], "v": [2]}), tmp_path / "a.parquet")
    assert as_model(source_at(tmp_path / "a.parquet"), pa.int64()) == [2]
    pq.write_table(pa.table({"V": [1]}), tmp_path / "a.parquet")
    assert as_model(source_at(tmp_path / "a.parquet"), pa.int64()) == [1]
