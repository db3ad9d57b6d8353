"""
Dates and times of a source as ``dateTime`` of a model: microseconds, without a zone, years 100 to 9999.

===============  ==================================================================================================
given            becomes
===============  ==================================================================================================
date             its midnight
time of day      that time on 30 December 1899, as a date that is a fraction of a day is shown
point in time    as it is, to the nearest microsecond; with a zone, what the clock shows in UTC
text             ISO 8601: ``2024-01-31``, ``2024-01-31 23:59:59.999999`` or with ``T``; with an offset: UTC
===============  ==================================================================================================

Infinity and dates before the year 100 or after 9999 are refused: an OLE date ([MS-OAUT] 2.2.25) holds none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.model.ole_date import DAY_MICROSECONDS, MICROSECONDS_END, MICROSECONDS_MIN, ZERO_MICROSECONDS
from tabvault.sources.misfit import Converted, refuse, refuse_unless

if TYPE_CHECKING:
    from tabvault.sources.text_rules import TextRules

DATE_TIME: Final = pa.timestamp("us")

_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_OUT_OF_RANGE: Final = "a date outside of the years 100 to 9999"

_ISO: Final = r"^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?$"
_ISO_WITH_OFFSET: Final = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)$"


def timestamps_to_date_time(values: pa.Array) -> Converted:
    """Points in time of any unit. Raises MisfitError."""
    per_second = _PER_SECOND[values.type.unit]
    counts = values.cast(pa.timestamp(values.type.unit)).cast(pa.int64())
    first, end = (bound * per_second // 1_000_000 for bound in (MICROSECONDS_MIN, MICROSECONDS_END))
    if first > -(1 << 63):  # nanoseconds reach from 1677 to 2262 alone
        refuse(pc.or_(pc.less(counts, first), pc.greater_equal(counts, end)), _OUT_OF_RANGE)
    if per_second <= 1_000_000:
        return Converted(pc.multiply(counts, 1_000_000 // per_second).cast(DATE_TIME))
    microseconds = _nearest_microseconds(counts)
    rounded_count = pc.sum(pc.not_equal(pc.multiply(microseconds, 1000), counts)).as_py() or 0
    return Converted(microseconds.cast(DATE_TIME), rounded_count)


def dates_to_date_time(values: pa.Array) -> Converted:
    """Dates. Raises MisfitError."""
    days = values.cast(pa.int32()) if pa.types.is_date32(values.type) else None
    if days is None:
        milliseconds = values.cast(pa.int64())
        return timestamps_to_date_time(milliseconds.cast(pa.timestamp("ms")))
    is_out = pc.or_(
        pc.less(days, MICROSECONDS_MIN // DAY_MICROSECONDS),
        pc.greater_equal(days, MICROSECONDS_END // DAY_MICROSECONDS),
    )
    refuse(is_out, _OUT_OF_RANGE)
    return Converted(values.cast(DATE_TIME))


def times_to_date_time(values: pa.Array) -> Converted:
    """Times of day. Raises MisfitError."""
    per_second = _PER_SECOND[values.type.unit]
    counts = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64()).cast(pa.int64())
    refuse(
        pc.or_(pc.less(counts, 0), pc.greater_equal(counts, 86_400 * per_second)), "a time beyond the end of the day"
    )
    if per_second > 1_000_000:
        microseconds = _nearest_microseconds(counts)
        rounded_count = pc.sum(pc.not_equal(pc.multiply(microseconds, 1000), counts)).as_py() or 0
    else:
        microseconds, rounded_count = pc.multiply(counts, 1_000_000 // per_second), 0
    return Converted(pc.add(microseconds, ZERO_MICROSECONDS).cast(DATE_TIME), rounded_count)


def text_to_date_time(text: pa.Array, rules: TextRules) -> Converted:
    """ISO 8601, and dates in digits by *rules*. Raises MisfitError."""
    text = rules.iso_dates(pc.utf8_trim_whitespace(text))
    is_local = pc.match_substring_regex(text, _ISO)
    has_offset = pc.match_substring_regex(text, _ISO_WITH_OFFSET)
    refuse_unless(pc.or_(is_local, has_offset), "text that is no date")
    local = _parsed(pc.if_else(is_local, text, pa.scalar(None, text.type)), pa.timestamp("us"))
    if pc.any(has_offset).as_py():
        utc = _parsed(pc.if_else(has_offset, text, pa.scalar(None, text.type)), pa.timestamp("us", "UTC"))
        local = pc.coalesce(local, utc.cast(DATE_TIME))
    rounded_count = pc.sum(pc.match_substring_regex(text, r"\.\d{6}\d*[1-9]")).as_py() or 0
    return timestamps_to_date_time(local)._replace(rounded_count=rounded_count)


def date_times_to_text(values: pa.Array) -> Converted:
    """Dates, times and points in time as ISO 8601, without zeros at the end of a fraction."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp(values.type.unit))
    text = values.cast(pa.string())
    if not pa.types.is_date(values.type):
        text = pc.replace_substring_regex(text, r"(\.\d*[1-9])0+$|\.0+$", r"\1")
    return Converted(text)


def _parsed(text: pa.Array, data_type: pa.TimestampType) -> pa.Array:
    """Digits beyond the sixth of a second are rounded; the thirtieth of February is refused."""
    kind = "text that is no date"
    beyond = pc.match_substring_regex(text, r"\.\d{7}")
    if pc.any(beyond).as_py():
        seventh = pc.match_substring_regex(text, r"\.\d{6}[5-9]")
        text = pc.replace_substring_regex(text, r"(\.\d{6})\d+", r"\1")
        return _add_microsecond(_parsed(text, data_type), seventh)
    try:
        return text.cast(data_type)
    except pa.ArrowInvalid:
        is_date = [_is_parsed(value, data_type) for value in text]
        refuse_unless(pa.array(is_date, pa.bool_()), kind)
        raise


def _add_microsecond(values: pa.Array, where: pa.Array) -> pa.Array:
    counts = values.cast(pa.int64())
    return pc.add(counts, pc.if_else(where, 1, 0)).cast(values.type)


def _is_parsed(value: pa.Scalar, data_type: pa.TimestampType) -> bool:
    try:
        value.cast(data_type)
    except pa.ArrowInvalid:
        return False
    return True


def _nearest_microseconds(nanoseconds: pa.Array) -> pa.Array:
    """Halves go forward. Arrow divides towards zero: before 1970 the whole part is one less."""
    whole = pc.divide(nanoseconds, 1000)
    rest = pc.subtract(nanoseconds, pc.multiply(whole, 1000))
    is_before = pc.less(rest, 0)
    whole = pc.subtract(whole, is_before.cast(pa.int64()))
    rest = pc.add(rest, pc.if_else(is_before, 1000, 0))
    return pc.add(whole, pc.greater_equal(rest, 500).cast(pa.int64()))
