"""Conversions of Table.TransformColumnTypes: each value as M converts it, or an error with column and value."""

# ruff: noqa: DTZ001 - datetimes of M have no zone
from __future__ import annotations

import datetime
from contextlib import closing
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from tabvault.errors import ExpressionNotSupportedError, SourceTypeError
from tabvault.model.power_query.recogniser import recognise
from tabvault.sources.folding import Dialect, fold
from tabvault.sources.folding_types import cell_error
from tabvault.sources.source import SourceColumn
from tabvault.sources.source_type import model_type


def convert(value: object, to: str, *, culture: str | None = "en-US", data_type: pa.DataType | None = None) -> object:
    values = pa.array([value], data_type or pa.string())
    text = f'Table.TransformColumnTypes(Parquet.Document(File.Contents("f")), {{{{"c c", {to}}}}})'
    recipe = recognise(text, queries={}, parameters={}, culture=culture)
    field = pa.field("c c", values.type)
    query = fold(recipe, [SourceColumn(field.name, field.type, str(field.type), model_type(field))], Dialect.DUCKDB)
    with closing(duckdb.connect()) as connection:
        connection.register("source", pa.table([values], names=["c c"]))
        return connection.execute(query.local or "SELECT * FROM source").fetchall()[0][0]


@pytest.mark.parametrize(
    ("value", "to", "culture", "expected"),
    [
        ("12", "Int64.Type", "en-US", 12),
        (" -1,234 ", "Int64.Type", "en-US", -1234),
        ("9007199254740993", "Int64.Type", "en-US", 9007199254740993),
        ("2.5", "Int64.Type", "en-US", 2),
        ("3.5", "Int64.Type", "", 4),
        ("-2.5", "Int64.Type", "en-GB", -2),
        ("1e3", "Int64.Type", "en-US", 1000),
        ("1.234,5", "type number", "de-DE", 1234.5),
        ("1,234.5", "type number", "en-US", 1234.5),
        ("+.5", "type number", "en-US", 0.5),
        ("0.1", "type number", "en-US", 0.1),
        ("5.0E-10", "type number", "en-US", 5e-10),
        ("", "type number", "en-US", None),
        ("", "Int64.Type", "fr-FR", None),
        ("7", "Int64.Type", "fr-FR", 7),
        (None, "Int64.Type", "en-US", None),
        ("12.3456", "Currency.Type", "en-US", Decimal("12.3456")),
        ("922,337,203,685,477.5807", "Currency.Type", "en-US", Decimal("922337203685477.5807")),
        ("TRUE", "type logical", "en-US", True),
        ("false", "type logical", "de-DE", False),
        ("2024-02-29", "type date", "de-DE", datetime.date(2024, 2, 29)),
        ("2/29/2024", "type date", "en-US", datetime.date(2024, 2, 29)),
        ("3/2/2024", "type date", "en-GB", datetime.date(2024, 2, 3)),
        ("03.02.2024", "type date", "de-DE", datetime.date(2024, 2, 3)),
        ("", "type date", "en-US", None),
        ("2010-12-31T01:30:25", "type datetime", "en-US", datetime.datetime(2010, 12, 31, 1, 30, 25)),
        ("2010-12-31 01:30:25.125", "type datetime", "de-DE", datetime.datetime(2010, 12, 31, 1, 30, 25, 125_000)),
        ("1/2/2024 1:02:03 PM", "type datetime", "en-US", datetime.datetime(2024, 1, 2, 13, 2, 3)),
        ("1/2/2024 12:02 am", "type datetime", "en-US", datetime.datetime(2024, 1, 2, 0, 2)),
        ("1/2/2024 13:02", "type datetime", "en-US", datetime.datetime(2024, 1, 2, 13, 2)),
        ("31/1/2024", "type datetime", "en-GB", datetime.datetime(2024, 1, 31)),
        ("13:02:03", "type time", "en-US", datetime.time(13, 2, 3)),
        ("abc", "type text", None, "abc"),
        ("abc", "type any", None, "abc"),
    ],
)
def test_a_text_is_converted_as_in_m(value: str | None, to: str, culture: str | None, expected: object) -> None:
    found = convert(value, to, culture=culture)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "data_type", "to", "expected"),
    [
        (2.5, pa.float64(), "Int64.Type", 2),
        (3.5, pa.float64(), "Int64.Type", 4),
        (Decimal("-2.500"), pa.decimal128(9, 3), "Int64.Type", -2),
        (7, pa.int32(), "Int64.Type", 7),
        (7, pa.int64(), "type number", 7),
        (1.25, pa.float64(), "Currency.Type", Decimal("1.2500")),
        (Decimal("1.00005"), pa.decimal128(9, 5), "Currency.Type", Decimal("1.0000")),
        (2015.0, pa.float64(), "type text", "2015"),
        (-3, pa.int64(), "type text", "-3"),
        (True, pa.bool_(), "type text", "true"),
        (True, pa.bool_(), "Int64.Type", 1),
        (0, pa.int64(), "type logical", False),
        (-199, pa.int64(), "type logical", True),
        (datetime.date(2024, 7, 4), pa.date32(), "type text", "7/4/2024"),
        (datetime.date(1975, 4, 4), pa.date32(), "type datetime", datetime.datetime(1975, 4, 4)),
        (datetime.datetime(1899, 12, 30, 6, 45), pa.timestamp("us"), "type date", datetime.date(1899, 12, 30)),
        (43910.0, pa.float64(), "type date", datetime.date(2020, 3, 20)),
        (-1, pa.int64(), "type date", datetime.date(1899, 12, 29)),
        (None, pa.null(), "Int64.Type", None),
        (None, pa.float64(), "Int64.Type", None),
    ],
)
def test_a_value_is_converted_as_in_m(value: object, data_type: pa.DataType, to: str, expected: object) -> None:
    found = convert(value, to, data_type=data_type)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "to", "culture"),
    [
        ("abc", "Int64.Type", "en-US"),
        ("1,23", "Int64.Type", "en-US"),
        ("12%", "type number", "en-US"),
        ("$5", "type number", "en-US"),
        ("1.5", "type number", "de-DE"),
        ("1,5", "type number", "fr-FR"),
        ("١٢", "Int64.Type", "en-US"),
        ("9223372036854775808", "Int64.Type", "en-US"),
        ("nan", "type number", "en-US"),
        ("infinity", "type number", "en-US"),
        ("1.23456", "Currency.Type", "en-US"),
        ("", "type logical", "en-US"),
        ("yes", "type logical", "en-US"),
        ("13/1/2024", "type date", "en-US"),
        ("2023-02-29", "type date", "en-US"),
        ("1/2/24", "type date", "en-US"),
        ("1/2/2024 0:00", "type date", "en-US"),
        ("2024-01-01 25:00", "type datetime", "en-US"),
        ("1/2/2024 1:00 PM", "type datetime", "en-GB"),
        ("1/2/2024 13:00 PM", "type datetime", "en-US"),
        ("24:00", "type time", "en-US"),
        (" ", "type number", "en-US"),
    ],
)
def test_a_text_that_is_not_surely_what_m_takes_it_for_ends_the_query(value: str, to: str, culture: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        convert(value, to, culture=culture)
    error = cell_error(str(caught.value))
    assert isinstance(error, SourceTypeError)
    assert "column c c: " + value in error.message


@pytest.mark.parametrize(
    ("value", "to"), [(0.5, "type text"), (1.00005, "Currency.Type"), (0.5, "type date"), (1e300, "Int64.Type")]
)
def test_a_number_that_cannot_be_converted_exactly_ends_the_query(value: float, to: str) -> None:
    with pytest.raises(duckdb.Error, match="tabvault cannot convert column c c"):
        convert(value, to, data_type=pa.float64())


@pytest.mark.parametrize(
    ("data_type", "to", "culture"),
    [
        (pa.string(), "type date", "th-TH"),
        (pa.string(), "type datetime", None),
        (pa.string(), "type datetimezone", "en-US"),
        (pa.string(), "type duration", "en-US"),
        (pa.string(), "type binary", "en-US"),
        (pa.timestamp("us", "UTC"), "type datetime", "en-US"),
        (pa.date32(), "type text", "de-DE"),
        (pa.date32(), "type number", "en-US"),
        (pa.decimal128(9, 2), "type text", "en-US"),
    ],
)
def test_a_conversion_that_depends_on_more_than_is_known_is_refused(
    data_type: pa.DataType, to: str, culture: str | None
) -> None:
    with pytest.raises(ExpressionNotSupportedError, match="conversion of column c c"):
        convert(None, to, culture=culture, data_type=data_type)


def test_a_message_that_is_not_ours_is_no_conversion_error() -> None:
    assert cell_error("Out of Memory Error") is None
