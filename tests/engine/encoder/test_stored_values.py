"""Arrow values as dictionaries hold them: the exact inverse of how they are read, or an error."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.engine import values
from tabvault.engine.encoder.specification import ColumnSpecification
from tabvault.engine.encoder.stored_values import checked, stored, stored_arrow_type, texts_of
from tabvault.errors import SourceTypeError
from tabvault.model.objects import DataType

EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - OLE dates have no zone
DAY = 86_400_000_000


def column(data_type: int) -> ColumnSpecification:
    return ColumnSpecification(1, "C", data_type)


def ole(*timestamps: datetime.datetime | int) -> list[float]:
    return stored(pa.array(timestamps, pa.timestamp("us")), column(DataType.DATETIME)).to_pylist()


def test_days_count_from_1899_and_fractions_forward_from_midnight() -> None:
    noon = datetime.time(12)
    assert ole(
        datetime.datetime(1899, 12, 30),  # noqa: DTZ001
        datetime.datetime(1970, 1, 1),  # noqa: DTZ001
        datetime.datetime.combine(datetime.date(1899, 12, 29), noon),
        datetime.datetime.combine(datetime.date(1899, 12, 28), noon),
        datetime.datetime.combine(datetime.date(1900, 1, 1), noon),
    ) == [0.0, 25569.0, -1.5, -2.5, 2.5]


@given(st.lists(st.integers(-(2**47), 2**51 + 2**50), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_timestamp_until_2079_comes_back_to_the_microsecond(microseconds: list[int]) -> None:
    timestamps = pa.array(microseconds, pa.int64()).cast(pa.timestamp("us"))
    found = stored(timestamps, column(DataType.DATETIME))
    assert values.from_numbers(found.to_numpy(), pa.timestamp("us"), is_null=None, file=None).equals(timestamps)


@given(st.integers(-719_162 + 36_159, 2_932_896), st.integers(0, DAY - 1))
@settings(deadline=None)
def test_every_ole_date_stays_on_its_day_and_within_the_resolution_of_a_double(day: int, time: int) -> None:
    (date,) = ole(day * DAY + time)
    assert date is not None
    back = (
        values.from_numbers(np.array([date]), pa.timestamp("us"), is_null=None, file=None).cast(pa.int64())[0].as_py()
    )
    assert back // DAY == day
    assert abs(back - (day * DAY + time)) <= 41


def test_the_last_microsecond_of_a_day_is_not_the_next_day() -> None:
    (date,) = ole(datetime.datetime(9999, 12, 31, 23, 59, 59, 999999))  # noqa: DTZ001
    assert int(date) == 2958465


@pytest.mark.parametrize("beyond", [-719_162 * DAY + 36_158 * DAY, 2_932_897 * DAY, -(2**63) + 1, 2**63 - 1])
def test_a_timestamp_that_is_no_ole_date_is_refused(beyond: int) -> None:
    with pytest.raises(SourceTypeError, match=r"column 'C' has a timestamp .* OLE dates go from the year 100 to 9999"):
        ole(0, beyond)


def distinct(rows: pa.Array, data_type: int) -> list[object]:
    return stored(checked(rows, column(data_type)).dictionary_encode().dictionary, column(data_type)).to_pylist()


def test_what_lies_under_a_null_is_not_looked_at() -> None:
    hidden = pa.Array.from_buffers(
        pa.timestamp("us"), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([0, 2**63 - 1]))]
    )
    assert distinct(hidden, DataType.DATETIME) == [25569.0]
    halves = np.array([[10_000, 0], [5, 5]], np.int64)
    decimals = pa.Array.from_buffers(pa.decimal128(19, 4), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(halves)])
    assert distinct(decimals, DataType.DECIMAL) == [10_000]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
@settings(deadline=None)
def test_a_decimal_is_stored_as_ten_thousandths(numbers: list[int]) -> None:
    decimals = pa.array([Decimal(number).scaleb(-4) for number in numbers], pa.decimal128(19, 4))
    assert stored(decimals, column(DataType.DECIMAL)).to_pylist() == numbers
    assert stored(decimals.slice(1), column(DataType.DECIMAL)).to_pylist() == numbers[1:]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**19 - 1, -(10**19) + 1])
def test_a_decimal_over_64_bits_is_refused(number: int) -> None:
    decimals = pa.array([Decimal(number).scaleb(-4)], pa.decimal128(19, 4))
    with pytest.raises(SourceTypeError, match=r"column 'C' has the decimal .*, which does not fit into 64 bits"):
        stored(decimals, column(DataType.DECIMAL))


def test_zeros_are_one_number_and_so_are_nans() -> None:
    odd_nan = np.array([0x7FF8_0000_0000_0001, 0xFFF8_0000_0000_0000], np.uint64).view(np.float64)
    doubles = pa.array(np.concatenate(([0.0, -0.0, np.inf, -np.inf], odd_nan)))
    found = stored(doubles, column(DataType.DOUBLE)).to_numpy()
    assert found.view(np.uint64)[1] == 0
    assert found[2:4].tolist() == [np.inf, -np.inf]
    assert len(stored(doubles, column(DataType.DOUBLE)).dictionary_encode().dictionary) == 4


@given(st.lists(st.booleans(), max_size=20))
def test_a_boolean_is_stored_as_0_or_1(truths: list[bool]) -> None:
    found = stored(pa.array(truths, pa.bool_()), column(DataType.BOOLEAN))
    assert found.to_pylist() == [int(truth) for truth in truths]


def test_base64_text_has_lines_of_76_characters_as_in_genuine_files() -> None:
    texts = texts_of(pa.array([b"", b"\0" * 57, b"\0" * 58], pa.large_binary())).to_pylist()
    assert texts == ["", "A" * 76 + " \n", "A" * 76 + " \nAA== \n"]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_binary_values_come_back(octets: list[bytes]) -> None:
    texts = texts_of(pa.array(octets, pa.large_binary()))
    assert values.from_text(texts, pa.binary(), file=None).to_pylist() == octets


@pytest.mark.parametrize(
    ("data_type", "array"),
    [
        (DataType.STRING, pa.array([b"x"])),
        (DataType.STRING, pa.array([1])),
        (DataType.INT64, pa.array([1.0])),
        (DataType.DATETIME, pa.array([0], pa.timestamp("ms"))),
        (DataType.DATETIME, pa.array([0], pa.timestamp("us", "UTC"))),
        (DataType.DECIMAL, pa.array([Decimal(1)], pa.decimal128(19, 2))),
        (DataType.DOUBLE, pa.array([1])),
        (DataType.BOOLEAN, pa.array([1])),
        (DataType.BINARY, pa.array(["x"])),
    ],
)
def test_another_type_is_refused_by_name(data_type: DataType, array: pa.Array) -> None:
    with pytest.raises(SourceTypeError, match=f"column 'C' of data type {data_type.name} got values of type"):
        checked(array, column(data_type))


@pytest.mark.parametrize("data_type", [DataType.STRING, DataType.BINARY, DataType.INT64, DataType.DATETIME])
def test_no_value_has_the_stored_type_too(data_type: DataType) -> None:
    nothing = pa.array([None, None], column(data_type).stored_type.arrow)
    found = stored(checked(nothing, column(data_type)).dictionary_encode().dictionary, column(data_type))
    assert (len(found), found.type) == (0, stored_arrow_type(data_type))
