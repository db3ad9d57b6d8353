"""From a source's values to a model's: exact, rounded where it is said, or refused; against Python's own arithmetic."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import decimal
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import SourceTypeError
from tabvault.sources.conforming import conformed
from tabvault.sources.source_type import DATES, FIELDS, NUMBERS, source_field
from tabvault.sources.text_rules import TextRules

CURRENCY = pa.decimal128(19, 4)
DATE_TIME = pa.timestamp("us")
CURRENCY_MIN, CURRENCY_MAX = Decimal("-922337203685477.5808"), Decimal("922337203685477.5807")
EXACT = decimal.Context(prec=400)


def rows_of(
    values: pa.Array, text_of: bytes | None = None, *, batch_row_count: int | None = None
) -> pa.RecordBatchReader:
    schema = pa.schema([source_field("v", values.type, native="native", text_of=text_of)])
    table = pa.Table.from_arrays([values], schema=schema)
    return pa.RecordBatchReader.from_batches(schema, table.to_batches(max_chunksize=batch_row_count))


def convert(
    values: pa.Array, data_type: pa.DataType, text_of: bytes | None = None, rules: TextRules | None = None
) -> list[Any]:
    table = conformed(rows_of(values, text_of), pa.schema([("v", data_type)]), rules=rules)
    return [value for batch in table for value in batch.column(0).to_pylist()]


def as_currency(number: Decimal) -> Decimal | None:
    """What decimal(19,4) makes of *number*; None where it has no room for it."""
    if number and number.adjusted() > 20:
        return None
    rounded = number.quantize(Decimal("0.0001"), decimal.ROUND_HALF_EVEN, EXACT)
    return rounded if CURRENCY_MIN <= rounded <= CURRENCY_MAX else None


def expect(values: pa.Array, data_type: pa.DataType, expected: list[Any], text_of: bytes | None = None) -> None:
    """*expected* holds None where a value does not fit: then one such is named, the first of its kind."""
    is_there = values.is_valid().to_pylist()
    misfits = [row for row, (there, one) in enumerate(zip(is_there, expected, strict=True), 1) if there and one is None]
    if not misfits:
        assert convert(values, data_type, text_of) == expected
        return
    with pytest.raises(SourceTypeError, match=rf"column 'v', row ({'|'.join(map(str, misfits))}): "):
        convert(values, data_type, text_of)


# ------------------------------------------------------------------------------------------------- numbers in text

digits = st.text("0123456789", min_size=1, max_size=24)
spelled = st.one_of(
    st.builds(
        lambda sign, whole, fraction, exponent: f"{sign}{whole}{fraction}{exponent}",
        st.sampled_from(["", "-", "+"]),
        digits,
        st.one_of(
            st.sampled_from(["", ".00005", ".5"]), st.text("0123456789", max_size=45).map(lambda text: "." + text)
        ),
        st.one_of(st.just(""), st.integers(-40, 40).map(lambda power: f"e{power}")),
    ),
    st.sampled_from(
        ["0.00005", "0.00015", "-0.00025", "922337203685477.5807", "922337203685477.58075", "-922337203685477.5808"]
    ),
    st.sampled_from(["0.00005" + "0" * 40 + "1", "-0.00005" + "0" * 40, "2.00015" + "0" * 26 + "1"]),
    st.sampled_from(["1e9999", "1e-9999", "0e9999", "-0e99", "1.0", ".5", "5.", "-1e-40"]),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.none(), spelled), max_size=5))
def test_numbers_in_text_become_decimals_as_python_rounds_them(texts: list[str | None]) -> None:
    expected = [None if text is None else as_currency(Decimal(text)) for text in texts]
    expect(pa.array(texts, pa.string()), CURRENCY, expected, NUMBERS)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.none(), spelled), max_size=5))
def test_numbers_in_text_become_whole_numbers_exactly_or_not(texts: list[str | None]) -> None:
    def whole(text: str) -> int | None:
        number = Decimal(text)
        if number and (number.adjusted() > 20 or number != number.to_integral_value(context=EXACT)):
            return None
        return int(number) if -(1 << 63) <= number < 1 << 63 else None

    expect(pa.array(texts, pa.string()), pa.int64(), [None if text is None else whole(text) for text in texts], NUMBERS)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.none(), spelled), max_size=5))
def test_numbers_in_text_become_the_nearest_doubles(texts: list[str | None]) -> None:
    doubles = [None if text is None else float(text) for text in texts]
    expected = [None if value is None or math.isinf(value) else value for value in doubles]
    expect(pa.array(texts, pa.string()), pa.float64(), expected, NUMBERS)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=12))
def test_text_is_a_number_by_our_rules_or_is_refused(text: str) -> None:
    try:
        [value] = convert(pa.array([text]), pa.float64())
    except SourceTypeError:
        return
    assert value == float(text)
    assert set(text.strip()) <= set("0123456789+-.eE")


def test_as_many_digits_as_postgresql_has_take_no_time() -> None:
    long = "1" * 100_000
    expect(pa.array(["0." + long, "0", None]), CURRENCY, [Decimal("0.1111"), Decimal(0), None], NUMBERS)
    expect(pa.array(["1", long]), CURRENCY, [Decimal(1), None], NUMBERS)
    expect(pa.array(["1", long]), pa.int64(), [1, None], NUMBERS)
    expect(pa.array(["1", "9" * 200_000]), pa.float64(), [1.0, None], NUMBERS)


# --------------------------------------------------------------------------------------------------------- numbers


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), st.floats(width=64)), max_size=5))
def test_doubles_become_decimals_by_their_shortest_spelling(values: list[float | None]) -> None:
    expected = [
        None if value is None or not math.isfinite(value) else as_currency(Decimal(repr(value))) for value in values
    ]
    expect(pa.array(values, pa.float64()), CURRENCY, expected)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), st.integers(-(1 << 63), (1 << 64) - 1)), max_size=5))
def test_whole_numbers_are_exact_in_every_type(values: list[int | None]) -> None:
    fits = all(value is None or value < 1 << 63 for value in values)
    array = (
        pa.array(values, pa.int64() if fits else pa.uint64())
        if fits or all(v is None or v >= 0 for v in values)
        else None
    )
    if array is None:
        return
    expect(array, pa.int64(), [value if value is None or value < 1 << 63 else None for value in values])
    if fits:
        expect(
            array,
            pa.float64(),
            [None if value is None or int(float(value)) != value else float(value) for value in values],
        )
    expect(array, CURRENCY, [None if value is None else as_currency(Decimal(value)) for value in values])
    assert convert(array, pa.string()) == [None if value is None else str(value) for value in values]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**16), max_value=10**16), max_size=5
    )
)
def test_decimals_become_the_model_s(values: list[Decimal]) -> None:
    for array in (pa.array(values, pa.decimal128(38, 12)), pa.array(values, pa.decimal256(60, 20))):
        expect(array, CURRENCY, [as_currency(value) for value in values])
        assert convert(array, pa.float64()) == [float(value) for value in values]
        assert [Decimal(text) for text in convert(array, pa.string())] == values


@pytest.mark.parametrize("scale", [-2, 0, 4, 5, 38])
def test_decimals_of_every_scale(scale: int) -> None:
    array = (
        pa.array([Decimal(1200)], pa.decimal128(38, scale))
        if scale <= 5
        else pa.array([Decimal("0.12345")], pa.decimal128(38, 38))
    )
    expect(array, CURRENCY, [Decimal(1200) if scale <= 5 else Decimal("0.1234")])


def test_a_decimal_becomes_the_double_that_its_digits_spell() -> None:
    """Arrow's own cast of decimal128(38, 20) 0.1 gives 0.09999999999999999."""
    assert convert(pa.array([Decimal("0.1")], pa.decimal128(38, 20)), pa.float64()) == [0.1]


def test_a_float_is_the_double_of_the_same_value() -> None:
    assert convert(pa.array([0.1], pa.float32()), pa.float64()) == [float(np.float32(0.1))]


def test_numbers_become_text_as_people_write_them() -> None:
    assert convert(pa.array([1.5, 1.0, 1e300, -0.25]), pa.string()) == ["1.5", "1", "1e+300", "-0.25"]
    assert convert(pa.array([Decimal("0.0000000001")], pa.decimal128(38, 10)), pa.string()) == ["0.0000000001"]


# ----------------------------------------------------------------------------------------------------------- dates

moments = st.datetimes(datetime.datetime(100, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), moments), max_size=5), st.sampled_from([" ", "T"]))
def test_iso_8601_is_read_back(values: list[datetime.datetime | None], separator: str) -> None:
    texts = [None if value is None else value.isoformat(separator) for value in values]
    assert convert(pa.array(texts, pa.string()), DATE_TIME) == values
    assert [
        text and datetime.datetime.fromisoformat(text) for text in convert(pa.array(values, DATE_TIME), pa.string())
    ] == values


zones = [datetime.timezone(datetime.timedelta(minutes=minutes)) for minutes in (0, 345, -180)]
moments_in_zones = st.datetimes(datetime.datetime(1, 1, 1), timezones=st.sampled_from(zones))


@settings(deadline=None, max_examples=200)
@given(st.lists(moments_in_zones, max_size=4))
def test_an_offset_is_taken_off(values: list[datetime.datetime]) -> None:
    def utc(value: datetime.datetime) -> datetime.datetime | None:
        try:
            moved = value.astimezone(datetime.UTC).replace(tzinfo=None)
        except OverflowError:
            return None
        return moved if moved.year >= 100 else None

    expected = [utc(value) for value in values]
    expect(pa.array([value.isoformat(" ") for value in values], pa.string()), DATE_TIME, expected, DATES)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_years_100_to_9999_are_the_range_of_every_unit(unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    first, end = -59_011_459_200 * per_second, 253_402_300_800 * per_second
    for count, fits in (
        (first, True),
        (first - 1, False),
        (end - 1, True),
        (end, False),
        (-(1 << 63) + 1, False),
        ((1 << 63) - 1, False),
    ):
        if -(1 << 63) <= count < 1 << 63 and unit != "ns":
            expected = (
                datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=count * 10**6 // per_second)
                if fits
                else None
            )
            expect(pa.array([count], pa.int64()).cast(pa.timestamp(unit)), DATE_TIME, [expected])
    assert convert(pa.array([0], pa.timestamp(unit)), DATE_TIME) == [datetime.datetime(1970, 1, 1)]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-(1 << 63) + 1, (1 << 63) - 1), max_size=5))
def test_nanoseconds_are_rounded_to_the_nearest_microsecond(values: list[int]) -> None:
    expected = [
        datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=(value + 500) // 1000) for value in values
    ]
    assert convert(pa.array(values, pa.timestamp("ns")), DATE_TIME) == expected


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "2024-13-01", "24-01-01", "2024-1-1", "2024-01-01 25:00", "2024-01-01 10:60", "2024-01-01 10:00:00.",
     "2024-01-01 10", "infinity", "0099-12-31", "0000-00-00", "2024-01-01 10:00 PM", "45322", "2024-01-01+02",
     "20240131", "31.01.2024", "2024-01-01 10:00:00.1234567890"],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(SourceTypeError, match="row 2"):
        convert(pa.array(["2024-01-01", text]), DATE_TIME)


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        ("dmy", "31.01.2024", datetime.datetime(2024, 1, 31)),
        ("dmy", "1/2/2024 03:04", datetime.datetime(2024, 2, 1, 3, 4)),
        ("mdy", "1/2/2024", datetime.datetime(2024, 1, 2)),
        ("mdy", "12-31-2024", datetime.datetime(2024, 12, 31)),
        ("ymd", "2024/01/31", datetime.datetime(2024, 1, 31)),
        ("dmy", "2024-01-31", datetime.datetime(2024, 1, 31)),
    ],
)
def test_dates_in_digits_are_read_in_the_order_that_is_said(order: Any, text: str, expected: object) -> None:
    assert convert(pa.array([text]), DATE_TIME, rules=TextRules(date_order=order)) == [expected]


def test_a_date_of_another_order_is_refused() -> None:
    with pytest.raises(SourceTypeError):
        convert(pa.array(["31/01/2024"]), DATE_TIME, rules=TextRules(date_order="mdy"))


def test_seven_digits_of_a_second_are_rounded_and_counted() -> None:
    rows = rows_of(
        pa.array(["2024-01-01 00:00:00.1234567", "2024-01-01 00:00:00.1234560", "2024-01-01 23:59:59.9999999"])
    )
    table = conformed(rows, pa.schema([("v", DATE_TIME)]))
    [batch] = table
    assert [value.microsecond for value in batch.column(0).to_pylist()] == [123457, 123456, 0]
    assert table.rounded_counts == {"v": 2}


# ------------------------------------------------------------------------------------------- what else there is


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["true", "FALSE", " 1 ", "0", None], [True, False, True, False, None]),
        ([1, 0, None], [True, False, None]),
        ([True, None], [True, None]),
    ],
)
def test_truth_values(values: list[Any], expected: list[Any]) -> None:
    assert convert(pa.array(values), pa.bool_()) == expected


@pytest.mark.parametrize("values", [["yes"], [""], [2], [-1], ["t"]])
def test_what_is_neither_true_nor_false_is_refused(values: list[Any]) -> None:
    with pytest.raises(SourceTypeError, match="row 1"):
        convert(pa.array(values), pa.bool_())


def test_empty_text_is_null_only_where_a_source_has_no_null() -> None:
    texts = pa.array(["", "1"])
    assert convert(texts, pa.int64(), FIELDS) == [None, 1]
    assert convert(texts, pa.string(), FIELDS) == ["", "1"]
    with pytest.raises(SourceTypeError, match="row 1: text that is no number"):
        convert(texts, pa.int64())


def test_an_error_names_the_row_in_all_rows_and_how_many_follow_and_not_the_value() -> None:
    values = pa.array([str(number) if number not in {2500, 2600, 2999} else "secret" for number in range(3000)])
    table = conformed(rows_of(values, batch_row_count=1000), pa.schema([("v", pa.int64())]))
    with pytest.raises(SourceTypeError) as caught:
        list(table)
    assert str(caught.value) == (
        "column 'v', row 2501: text that is no number does not fit the data type int64, as 2 more up to row 3000 do"
    )
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    batch = pa.RecordBatch.from_pydict({"A": [1], "b": ["x"], "c": [2]})
    rows = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    [result] = conformed(rows, pa.schema([("B", pa.string()), ("a", pa.int64())]))
    assert result.to_pylist() == [{"B": "x", "a": 1}]
    with pytest.raises(SourceTypeError, match="no column 'z'") as caught:
        conformed(rows, pa.schema([("z", pa.string())]))
    assert "A, b, c" in (caught.value.hint or "")


def test_sliced_batches_keep_their_values() -> None:
    values = pa.array([None, "1", "2", None, "3"])
    for data_type, expected in (
        (pa.int64(), [2, None, 3]),
        (CURRENCY, [Decimal(2), None, Decimal(3)]),
        (pa.string(), ["2", None, "3"]),
    ):
        assert convert(values.slice(2), data_type) == expected
        assert convert(values.dictionary_encode().slice(2), data_type) == expected


def test_a_million_rows_take_about_a_second() -> None:
    numbers = pa.array([f"{number}.{number % 10_000:04d}" for number in range(200_000)])
    begun = datetime.datetime.now(datetime.UTC)
    convert_all = conformed(rows_of(numbers, NUMBERS), pa.schema([("v", CURRENCY)]))
    assert sum(batch.num_rows for batch in convert_all) == 200_000
    assert (datetime.datetime.now(datetime.UTC) - begun).total_seconds() < 2
