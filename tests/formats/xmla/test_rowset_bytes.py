"""Rowsets, read back by another XML reader and compared with the Arrow values."""

from __future__ import annotations

import base64
import datetime
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tabvault.errors import QueryError, QueryNotSupportedError
from tabvault.formats.xmla.rowset import (
    CHUNK_BYTE_COUNT,
    ROWSET_END,
    RowsetColumn,
    rowset_begin,
    rowset_chunks,
    rowset_columns,
    rowset_rows,
)

NAMESPACE = "{urn:schemas-microsoft-com:xml-analysis:rowset}"


def document(table: pa.Table, name: str | None = None) -> bytes:
    columns = rowset_columns(table.schema)
    rows = b"".join(rowset_rows(columns, batch) for batch in table.to_batches())
    return rowset_begin(columns, name) + rows + ROWSET_END


def texts(table: pa.Table) -> list[list[str | None]]:
    """The rows as another reader sees them; ``None`` where the element is left out."""
    columns = rowset_columns(table.schema)
    found = []
    for row in etree.fromstring(document(table)).iterfind(f"{NAMESPACE}row"):
        by_element = {etree.QName(cell).localname: cell.text or "" for cell in row}
        assert len(by_element) == len(row)
        found.append([by_element.pop(column.element, None) for column in columns])
        assert not by_element
    return found


def column_texts(array: pa.Array) -> list[str | None]:
    return [row[0] for row in texts(pa.table({"c": array}))]


def test_a_rowset_by_hand():
    table = pa.table(
        {
            "Sales[Amount]": pa.array([12.5, None]),
            "n": pa.array([7, 8]),
            "s<": pa.array(["a & b\r", ""]).dictionary_encode(),
        }
    )
    assert document(table, "Tables").decode() == (
        '<root xmlns="urn:schemas-microsoft-com:xml-analysis:rowset" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" name="Tables">'
        '<xsd:schema targetNamespace="urn:schemas-microsoft-com:xml-analysis:rowset"'
        ' xmlns:sql="urn:schemas-microsoft-com:xml-sql" elementFormDefault="qualified">'
        '<xsd:element name="root"><xsd:complexType><xsd:sequence minOccurs="0" maxOccurs="unbounded">'
        '<xsd:element name="row" type="row"/></xsd:sequence></xsd:complexType></xsd:element>'
        '<xsd:simpleType name="uuid"><xsd:restriction base="xsd:string"><xsd:pattern'
        ' value="[0-9a-zA-Z]{8}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{12}"/>'
        "</xsd:restriction></xsd:simpleType>"
        '<xsd:complexType name="xmlDocument"><xsd:sequence><xsd:any/></xsd:sequence></xsd:complexType>'
        '<xsd:complexType name="row"><xsd:sequence>'
        '<xsd:element sql:field="Sales[Amount]" name="Sales_x005B_Amount_x005D_" type="xsd:double" minOccurs="0"/>'
        '<xsd:element sql:field="n" name="n" type="xsd:long" minOccurs="0"/>'
        '<xsd:element sql:field="s&lt;" name="s_x003C_" type="xsd:string" minOccurs="0"/>'
        "</xsd:sequence></xsd:complexType></xsd:schema>"
        "<row><Sales_x005B_Amount_x005D_>12.5</Sales_x005B_Amount_x005D_>"
        "<n>7</n><s_x003C_>a &amp; b&#xD;</s_x003C_></row>"
        "<row><n>8</n><s_x003C_></s_x003C_></row></root>"
    )


@pytest.mark.parametrize(
    ("arrow", "xsd"),
    [
        (pa.bool_(), "boolean"),
        (pa.int8(), "short"),
        (pa.int16(), "short"),
        (pa.int32(), "int"),
        (pa.int64(), "long"),
        (pa.uint8(), "unsignedShort"),
        (pa.uint16(), "unsignedShort"),
        (pa.uint32(), "unsignedInt"),
        (pa.uint64(), "unsignedLong"),
        (pa.float32(), "double"),
        (pa.decimal128(19, 4), "decimal"),
        (pa.timestamp("us"), "dateTime"),
        (pa.date32(), "dateTime"),
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.float64()), "double"),
        (pa.binary(), "base64Binary"),
        (pa.null(), "string"),
    ],
)
def test_types_follow_from_arrow(arrow, xsd):
    assert rowset_columns(pa.schema([("c", arrow)])) == (RowsetColumn("c", xsd, "c"),)


def test_a_field_may_name_its_type():
    fields = [
        pa.field("u", pa.string(), metadata={b"xmla": b"uuid"}),
        pa.field("v", pa.int64(), metadata={b"xmla": b"variant"}),
        pa.field("x", pa.string(), metadata={b"xmla": b"xmlDocument"}),
        pa.field("l", pa.int64(), metadata={b"xmla": b"unsignedLong"}),
    ]
    table = pa.table([["g"], [5], ['<A xmlns="u">b</A>'], [1]], schema=pa.schema(fields))
    text = document(table).decode()
    assert 'name="u" type="uuid"' in text
    assert '<xsd:element sql:field="v" name="v" minOccurs="0"/>' in text
    assert 'name="l" type="xsd:unsignedLong"' in text
    assert '<row><u>g</u><v xsi:type="xsd:long">5</v><x><A xmlns="u">b</A></x><l>1</l></row>' in text


def test_a_type_that_rowsets_do_not_have_is_refused():
    with pytest.raises(QueryNotSupportedError, match="column 'c' is of type list"):
        rowset_columns(pa.schema([("c", pa.list_(pa.int64()))]))


def test_columns_of_one_name_have_elements_of_their_own():
    table = pa.table([[1], [2], [3]], names=["a b", "a b", "a_x0020_b_1"])
    assert [column.element for column in rowset_columns(table.schema)] == [
        "a_x0020_b",
        "a_x0020_b_1",
        "a_x005F_x0020_b_1",
    ]
    assert texts(table) == [["1", "2", "3"]]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.none()
        | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\ufffe\uffff", min_codepoint=32))
        | st.text("\t\r\n &<>\"']]>é€😀", max_size=8)
    )
)
def test_every_text_that_xml_can_carry_comes_back(values):
    assert column_texts(pa.array(values, pa.string())) == values
    assert column_texts(pa.array(values, pa.string()).dictionary_encode()) == values


@settings(deadline=None, max_examples=150)
@given(st.lists(st.none() | st.floats()))
def test_every_double_comes_back(values):
    for text, value in zip(column_texts(pa.array(values, pa.float64())), values, strict=True):
        if text is None or value is None:
            assert text is value
        elif math.isnan(value):
            assert text == "NaN"
        else:
            assert text not in ("inf", "-inf")
            back = float(text)
            assert (back, math.copysign(1, back)) == (value, math.copysign(1, value))


def test_special_doubles_are_spelled_as_xsd_has_them():
    values = [float("inf"), float("-inf"), float("nan"), -0.0, 0.1, 5e-324, 1e16, None]
    assert column_texts(pa.array(values)) == ["INF", "-INF", "NaN", "-0", "0.1", "5e-324", "1e+16", None]
    assert column_texts(pa.array([0.1], pa.float32())) == ["0.10000000149011612"]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.none() | st.integers(-(10**28) + 1, 10**28 - 1)), st.integers(0, 28))
def test_every_decimal_comes_back_without_exponent(unscaled, places):
    values = [None if number is None else Decimal(number).scaleb(-places) for number in unscaled]
    for text, value in zip(column_texts(pa.array(values, pa.decimal128(28, places))), values, strict=True):
        if text is None or value is None:
            assert text is value
        else:
            assert set(text) <= set("-.0123456789")
            assert len(text.partition(".")[2]) == places
            assert Decimal(text) == value


def test_decimals_beyond_those_of_clients_are_refused():
    wide = pa.decimal128(38, 10)
    exact = ["79228162514264337593.0000000000", "-0.1234567890"]
    assert column_texts(pa.array([Decimal(text) for text in exact], wide)) == exact
    with pytest.raises(QueryError, match="a decimal of column 'c' has 30 digits, and clients read 28"):
        column_texts(pa.array([Decimal("79228162514264337593.1234567891")], wide))
    with pytest.raises(QueryError, match="over 28 places"):
        column_texts(pa.array([Decimal("1e-30")], pa.decimal128(38, 30)))
    assert column_texts(pa.array([Decimal("0.5")], pa.decimal128(38, 30))) == ["0." + "5".ljust(28, "0")]
    assert column_texts(pa.array([Decimal(1500)], pa.decimal256(60, 0))) == ["1500"]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.none() | st.datetimes()), st.sampled_from(["s", "ms", "us"]))
def test_every_date_time_comes_back(values, unit):
    array = pa.array(values, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
    expected = array.cast(pa.timestamp("us")).to_pylist()
    found = column_texts(array)
    assert [None if text is None else datetime.datetime.fromisoformat(text) for text in found] == expected


def test_date_times_by_hand():
    whole = datetime.datetime(2024, 2, 3, 4, 5, 6)  # noqa: DTZ001 - dateTime without zone
    assert column_texts(pa.array([whole, None], pa.timestamp("us"))) == ["2024-02-03T04:05:06", None]
    assert column_texts(pa.array([whole.replace(microsecond=1000)], pa.timestamp("us"))) == ["2024-02-03T04:05:06.001"]
    assert column_texts(pa.array([whole.replace(microsecond=1)], pa.timestamp("us"))) == ["2024-02-03T04:05:06.000001"]
    assert column_texts(pa.array([100, -100], pa.timestamp("ns"))) == [
        "1970-01-01T00:00:00.0000001",
        "1969-12-31T23:59:59.9999999",
    ]
    assert column_texts(pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)])) == [
        "0001-01-01T00:00:00",
        "9999-12-31T00:00:00",
    ]
    assert column_texts(pa.array([0], pa.timestamp("s", tz="Europe/Rome"))) == ["1970-01-01T00:00:00"]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([-62_135_596_801], pa.timestamp("s")),
        pa.array([253_402_300_800_000], pa.timestamp("ms")),
        pa.array([-(2**63)], pa.timestamp("us")),
        pa.array([-719_163], pa.date32()),
        pa.array([2_932_897], pa.date32()),
    ],
)
def test_a_date_that_no_client_reads_is_refused(array):
    with pytest.raises(QueryError, match="a date of column 'c' is outside the years 1 to 9999"):
        column_texts(array)


def test_a_time_finer_than_clients_read_is_refused():
    with pytest.raises(QueryError, match="finer than 100 nanoseconds"):
        column_texts(pa.array([150], pa.timestamp("ns")))


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff"])
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_a_character_that_xml_cannot_carry_is_refused_by_name(character, is_dictionary):
    array = pa.array(["é", f"a{character}b", None])
    with pytest.raises(QueryError, match=rf"column 'c' has the character U\+{ord(character):04X}"):
        column_texts(array.dictionary_encode() if is_dictionary else array)


def test_text_that_is_not_utf_8_is_refused():
    surrogate = pa.array([b"\xed\xa0\x80"], pa.binary())
    array = pa.Array.from_buffers(pa.string(), 1, surrogate.buffers())
    with pytest.raises(QueryError, match="is not valid UTF-8"):
        column_texts(array)


def test_a_forbidden_character_that_no_row_has_does_no_harm():
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0]), pa.array(["a", "\x01"]))
    assert column_texts(unused) == ["a", "a", "a"]
    behind_null = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(b"\x02"), *pa.array(["\x01", "b"]).buffers()[1:]], null_count=1
    )
    assert column_texts(behind_null) == [None, "b"]


def test_the_other_types_by_hand():
    assert column_texts(pa.array([True, False, None])) == ["true", "false", None]
    assert column_texts(pa.array([2**64 - 1, None], pa.uint64())) == ["18446744073709551615", None]
    assert column_texts(pa.array([b"\x00\x01\xff", b"", None])) == ["AAH/", "", None]
    assert column_texts(pa.nulls(2)) == [None, None]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.binary(max_size=20)))
def test_binary_comes_back(values):
    found = column_texts(pa.array(values, pa.binary()))
    assert [None if text is None else base64.b64decode(text) for text in found] == values


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_rows_with_any_mix_of_nulls_and_columns(data):
    row_count = data.draw(st.integers(0, 6))
    makers: list[tuple[Any, pa.DataType]] = [
        (st.integers(-(2**63), 2**63 - 1), pa.int64()),
        (st.text("ab&< ", max_size=3), pa.string()),
        (st.booleans(), pa.bool_()),
    ]
    chosen = data.draw(st.lists(st.sampled_from(makers), min_size=1, max_size=4))
    columns = [
        pa.array(data.draw(st.lists(st.none() | values, min_size=row_count, max_size=row_count)), kind)
        for values, kind in chosen
    ]
    table = pa.table(columns, names=[f"c{index}" for index in range(len(columns))])
    expected = [
        [
            None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            for value in row.values()
        ]
        for row in table.to_pylist()
    ]
    assert texts(table) == expected
    start = data.draw(st.integers(0, row_count))
    assert texts(table.slice(start)) == expected[start:]


def test_chunks_are_of_whole_rows_and_about_a_mebibyte():
    row_count = 30_000
    numbers = pa.array(range(row_count))
    words = pa.array(["word & " * 20]).take(pa.array([0] * row_count)).dictionary_encode()
    batch = pa.record_batch({"n": numbers, "w": words, "z": pa.array([1.5, None] * (row_count // 2))})
    columns = rowset_columns(batch.schema)
    chunks = list(rowset_chunks(columns, batch))
    assert len(chunks) > 3
    assert all(chunk.startswith(b"<row>") and chunk.endswith(b"</row>") for chunk in chunks)
    assert max(len(chunk) for chunk in chunks) < 3 * CHUNK_BYTE_COUNT
    found = [row[0].text for row in etree.fromstring(b"<r>" + b"".join(chunks) + b"</r>")]
    assert found == [str(number) for number in range(row_count)]


def test_one_long_value_often_repeated_is_written_a_row_at_a_time():
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 5), pa.array(["x" * (2 << 20)]))
    batch = pa.record_batch({"c": long})
    sizes = [len(chunk) for chunk in rowset_chunks(rowset_columns(batch.schema), batch)]
    assert sizes == [(2 << 20) + len("<row><c></c></row>")] * 5


def test_no_rows_and_no_columns():
    empty = pa.record_batch({"a": pa.array([], pa.int64())})
    assert list(rowset_chunks(rowset_columns(empty.schema), empty)) == []
    assert etree.fromstring(document(pa.table({}))).tag == f"{NAMESPACE}root"
