"""
Arrow arrays as the text that XSD types have in XML, a whole column at a time.

==============  ===============================================================================================
boolean         ``true``, ``false``
integers        decimal digits
double          the shortest text that reads back as the same value; ``NaN``, ``INF``, ``-INF``
decimal         digits with as many places as the type has, never an exponent
dateTime        ``2024-02-03T04:05:06`` and a fraction of 3, 6 or 7 digits where a value of the piece has one
base64Binary    base64 without line breaks
string          as it is; ``&``, ``<``, ``>`` and carriage return as references
==============  ===============================================================================================

What a client could not read as the same value is refused with a :class:`QueryError` that names the column: characters
that XML 1.0 cannot carry, years outside 1..9999, fractions finer than .NET's 100 ns, decimals beyond the 96 bits and 28
places of .NET's ``Decimal`` (which rounds such a value without a word).

Source: [XSD-2] 3.2 for the forms; the limits were tried with ADOMD.NET 19.118.
"""

from __future__ import annotations

import base64

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.errors import QueryError, QueryNotSupportedError
from tabvault.formats.xmla.escape import FORBIDDEN

TEXT = pa.large_string()
"""64-bit offsets: a chunk is small, but one value of it may be any length."""

_REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#xD;"))
_MARKUP = b"&<>\r"
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")

_SECONDS_MIN = -62_135_596_800  # 0001-01-01T00:00:00
_SECONDS_MAX = 253_402_300_799  # 9999-12-31T23:59:59
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

_DECIMAL_PLACES_MAX = 28
_DECIMAL_UNSCALED_MAX = (1 << 96) - 1
_DECIMAL_PRECISION_SAFE = 28  # ten to the 28th is under two to the 96th
_PLACES_WITHOUT_EXPONENT = 6  # Arrow writes small values of a larger scale as 1E-7


def column_text(array: pa.Array, name: str) -> pa.Array:
    """
    *array* as text that may stand between tags; nulls stay nulls.

    Args:
        array: one column, dictionary-encoded or not.
        name: of the column, for the error.

    Raises:
        QueryError: a value that a client could not read back.
        QueryNotSupportedError: a type that rowsets do not have.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _dictionary_text(array, name)
    if _is_text(kind):
        return _escaped(array.cast(TEXT), name)
    if pa.types.is_floating(kind):
        return _floating_text(array)
    if pa.types.is_decimal(kind):
        return _decimal_text(array, name)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _date_time_text(array, name)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return array.cast(TEXT)
    if _is_binary(kind):
        return _base64_text(array)
    raise QueryNotSupportedError(f"column {name[:100]!r} is of type {str(kind)[:100]}, which rowsets do not have")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_binary(kind)
    return bool(fixed or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _dictionary_text(array: pa.DictionaryArray, name: str) -> pa.Array:
    """Each value is written once, unless there are more of them than rows or one that no row has is refused."""
    if len(array.dictionary) <= len(array):
        try:
            return column_text(array.dictionary, name).take(array.indices)
        except QueryNotSupportedError:
            raise
        except QueryError:
            pass
    return column_text(array.dictionary_decode(), name)


def value_bytes(array: pa.Array) -> bytes:
    """The UTF-8 of all values, one behind the other (of nulls too, where bytes are left of them)."""
    _, offsets, values = array.buffers()
    if values is None:
        return b""
    bounds = memoryview(offsets).cast("q")
    return bytes(memoryview(values)[bounds[array.offset] : bounds[array.offset + len(array)]])


def _escaped(array: pa.Array, name: str) -> pa.Array:
    # Nearly every column has nothing to escape: one look at the bytes of all its values says so.
    values = value_bytes(array)
    if not values.isascii() or len(values.translate(None, _CONTROLS)) < len(values):
        _refuse_forbidden(array, values, name)
    if len(values.translate(None, _MARKUP)) == len(values):
        return array
    for character, reference in _REFERENCES:
        array = pc.replace_substring(array, pattern=character, replacement=reference)
    return array


def _refuse_forbidden(array: pa.Array, values: bytes, name: str) -> None:
    try:
        found = FORBIDDEN.search(values.decode())
        if found is None:
            return
        fault = f"has the character U+{ord(found[0]):04X}, which XML cannot carry"
    except UnicodeDecodeError:
        fault = "is not valid UTF-8"
    if array.null_count:  # it may stand behind a null
        present = pc.drop_null(array)
        _refuse_forbidden(present, value_bytes(present), name)
        return
    raise QueryError(
        f"a value of column {name[:100]!r} {fault}", hint="leave the column out, or export the data instead of querying"
    )


def _floating_text(array: pa.Array) -> pa.Array:
    values = array.cast(pa.float64())
    text = values.cast(TEXT)
    if pc.all(pc.is_finite(values)).as_py() is not False:
        return text
    for arrow, xsd in (("nan", "NaN"), ("-inf", "-INF"), ("inf", "INF")):
        text = pc.if_else(pc.equal(text, pa.scalar(arrow, TEXT)), pa.scalar(xsd, TEXT), text)
    return text


def _decimal_text(array: pa.Array, name: str) -> pa.Array:
    kind = array.type
    if kind.scale < 0 or kind.scale > _DECIMAL_PLACES_MAX or not pa.types.is_decimal128(kind):
        array = _with_places(array, min(max(kind.scale, 0), _DECIMAL_PLACES_MAX), name)
    text = _plain_decimal_text(array)
    if kind.precision > _DECIMAL_PRECISION_SAFE:
        _refuse_long_decimals(array, text, name)
    return text


def _with_places(array: pa.Array, places: int, name: str) -> pa.Array:
    try:
        return array.cast(pa.decimal256(76, places))
    except pa.ArrowInvalid:
        raise QueryError(
            f"a decimal of column {name[:100]!r} has over {_DECIMAL_PLACES_MAX} places, the most that clients read",
            hint="round it in the query",
        ) from None


def _unscaled(array: pa.Array) -> pa.Array:
    kind = array.type
    integer = pa.decimal128(kind.precision, 0) if pa.types.is_decimal128(kind) else pa.decimal256(kind.precision, 0)
    return pa.Array.from_buffers(integer, len(array), array.buffers(), offset=array.offset)


def _plain_decimal_text(array: pa.Array) -> pa.Array:
    places = array.type.scale
    if places <= _PLACES_WITHOUT_EXPONENT:
        return array.cast(TEXT)
    digits = _unscaled(array).cast(TEXT)
    sign = pc.if_else(pc.starts_with(digits, "-"), pa.scalar("-", TEXT), pa.scalar("", TEXT))
    padded = pc.utf8_lpad(pc.utf8_ltrim(digits, "-"), width=places + 1, padding="0")
    whole = pc.utf8_slice_codeunits(padded, 0, -places)
    fraction = pc.utf8_slice_codeunits(padded, -places)
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(sign, whole, pa.scalar("", TEXT)), fraction, pa.scalar(".", TEXT)
    )


def _refuse_long_decimals(array: pa.Array, text: pa.Array, name: str) -> None:
    """Refuse what has more digits than .NET's ``Decimal``, zeros at the end of the fraction aside."""
    bounds = pc.min_max(_unscaled(array)).as_py()
    if bounds["min"] is None or max(-bounds["min"], bounds["max"]) <= _DECIMAL_UNSCALED_MAX:
        return
    shortest = pc.utf8_rtrim(text, "0") if array.type.scale else text
    digit_count = pc.max(pc.utf8_length(pc.ascii_ltrim(pc.replace_substring(shortest, ".", ""), "-0"))).as_py()
    if digit_count > _DECIMAL_PRECISION_SAFE:
        raise QueryError(
            f"a decimal of column {name[:100]!r} has {digit_count} digits, and clients read {_DECIMAL_PRECISION_SAFE}",
            hint="round it in the query, or convert it to a double",
        )


def _date_time_text(array: pa.Array, name: str) -> pa.Array:
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s" if pa.types.is_date32(array.type) else "ms"))
    unit = array.type.unit
    array = array.cast(pa.timestamp(unit))  # an instant with a zone is written in UTC
    counts = array.cast(pa.int64())
    bounds = pc.min_max(counts).as_py()
    per_second = _PER_SECOND[unit]
    if bounds["min"] is None:
        return array.cast(TEXT)
    if bounds["min"] < _SECONDS_MIN * per_second or bounds["max"] >= (_SECONDS_MAX + 1) * per_second:
        raise QueryError(
            f"a date of column {name[:100]!r} is outside the years 1 to 9999, which clients read",
            hint="filter such rows in the query",
        )
    text = pc.binary_replace_slice(_shortest_unit(array).cast(TEXT), start=10, stop=11, replacement="T")
    if unit == "ns":
        _refuse_nanoseconds(counts, name)
        text = pc.binary_slice(text.cast(pa.large_binary()), 0, len("2024-02-03T04:05:06.1234567")).cast(TEXT)
    return text


def _shortest_unit(array: pa.Array) -> pa.Array:
    """*array* in the coarsest unit that loses nothing: most columns of dates have no fraction at all."""
    for unit in _PER_SECOND:
        try:
            return array.cast(pa.timestamp(unit))
        except pa.ArrowInvalid:
            continue
    return array


def _refuse_nanoseconds(counts: pa.Array, name: str) -> None:
    ticks = pc.multiply(pc.divide(counts, 100), 100)
    if pc.all(pc.equal(ticks, counts)).as_py() is False:
        raise QueryError(
            f"a time of column {name[:100]!r} is finer than 100 nanoseconds, the finest that clients read",
            hint="round it in the query",
        )


def _base64_text(array: pa.Array) -> pa.Array:
    # Arrow has no kernel for it; such columns are rare, and dictionary-encoded ones come here once per value.
    encoded = [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()]
    return pa.array(encoded, TEXT)
