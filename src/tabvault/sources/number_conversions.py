"""
Numbers of a source as those of a model: exact, or rounded where the type wanted says so, or refused.

==============  ====================================================================================================
wanted          rule
==============  ====================================================================================================
int64           exact: a fraction, or more than 64 bits, is refused
double          the nearest double of a decimal number; a whole number has to be exact; no NaN, no infinity
decimal(19,4)   four decimals, further ones rounded half to even (as ``Currency.From`` of M does), and counted;
                beyond ±922,337,203,685,477.5807 it is refused. A double is taken for the shortest decimal number
                that denotes it
==============  ====================================================================================================

Source: "Currency.From" in the M reference; the range of the data type in the documentation of tabular models.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.sources.misfit import Converted, refuse, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENCY: Final = pa.decimal128(19, 4)

_CURRENCY_MAX: Final = decimal.Decimal("922337203685477.5807")
_CURRENCY_MIN: Final = decimal.Decimal("-922337203685477.5808")
_INT64_MAX: Final = (1 << 63) - 1
_INT64_MIN: Final = -(1 << 63)
_PLACE: Final = decimal.Decimal("0.0001")
_EXACT: Final = decimal.Context(prec=200, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)

_NUMBER: Final = r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$"
_SHORT: Final = r"^[+-]?\d{1,34}(?:\.\d{1,4})?$"
_PLAIN: Final = r"^[+-]?\d{1,34}(?:\.\d{1,30})?$"
_SHORT_WHOLE: Final = r"^-?\d{1,18}$"
_NOT_FINITE: Final = r"(?i)^[+-]?(?:nan|inf|infinity)$"
_DIGIT_COUNT_MAX: Final = 150_000
"""PostgreSQL's numeric has at most 131,072 digits before the point and 16,383 after it."""


def numbers_to_int64(text: pa.Array) -> Converted:
    """Numbers in text, with a point, as whole numbers. Raises MisfitError."""
    text = _checked(text)
    whole = pc.replace_substring_regex(pc.replace_substring_regex(text, r"^\+", ""), r"\.0*$", "")
    whole = _with_others(whole, _SHORT_WHOLE, _whole_digits)
    refuse(pc.equal(whole, "fraction"), "a number with a fraction")
    refuse(pc.equal(whole, "range"), "a whole number beyond 64 bits")
    return Converted(whole.cast(pa.int64()))


def numbers_to_double(text: pa.Array) -> Converted:
    """Numbers in text, with a point, as the nearest doubles. Raises MisfitError."""
    values = _checked(text).cast(pa.float64())
    refuse_unless(pc.is_finite(values), "a number beyond the range of a double")
    return Converted(values)


def numbers_to_currency(text: pa.Array) -> Converted:
    """Numbers in text, with a point, as decimal(19,4). Raises MisfitError."""
    text = _checked(text)
    if pc.all(pc.match_substring_regex(text, _SHORT)).as_py() is not False:
        return decimals_to_currency(text.cast(pa.decimal128(38, 4)))
    refuse(_too_large(text), "a number beyond the range of a decimal with four places")
    return decimals_to_currency(_with_others(text, _PLAIN, _thirty_places).cast(pa.decimal256(76, 30)))


def decimals_to_currency(values: pa.Array) -> Converted:
    """Decimal numbers of any precision as decimal(19,4). Raises MisfitError."""
    precision, scale = values.type.precision, values.type.scale
    if scale > 4:
        wide = values.cast(pa.decimal128(38, scale) if precision < 38 else pa.decimal256(76, scale))
        rounded = pc.round(wide, 4, round_mode="half_to_even")
        rounded_count = pc.sum(pc.not_equal(rounded, wide)).as_py() or 0
    else:
        rounded, rounded_count = values, 0
    digits_before = precision - scale + 1
    rounded = rounded.cast(pa.decimal128(38, 4) if digits_before <= 34 else pa.decimal256(76, 4))
    low, high = (pa.scalar(bound, rounded.type) for bound in (_CURRENCY_MIN, _CURRENCY_MAX))
    is_out = pc.or_(pc.less(rounded, low), pc.greater(rounded, high))
    refuse(is_out, "a number beyond the range of a decimal with four places")
    return Converted(rounded.cast(CURRENCY), rounded_count)


def decimals_to_int64(values: pa.Array) -> Converted:
    """Decimal numbers as whole numbers. Raises MisfitError."""
    return numbers_to_int64(values.cast(pa.string()))


def decimals_to_double(values: pa.Array) -> Converted:
    """Decimal numbers as doubles, by way of text: Arrow's own cast is off by a bit for many of them."""
    return numbers_to_double(values.cast(pa.string()))


def decimals_to_text(values: pa.Array) -> Converted:
    """Decimal numbers as text with all the places of their type."""
    return Converted(_with_others(values.cast(pa.string()), r"^[^E]*$", lambda text: f"{decimal.Decimal(text):f}"))


def integers_to_int64(values: pa.Array) -> Converted:
    """Whole numbers of any width. Raises MisfitError."""
    if pa.types.is_uint64(values.type):
        refuse(pc.greater(values, pa.scalar(_INT64_MAX, pa.uint64())), "a whole number beyond 64 bits")
    return Converted(values.cast(pa.int64()))


def integers_to_double(values: pa.Array) -> Converted:
    """Whole numbers as doubles that are equal to them. Raises MisfitError."""
    values = integers_to_int64(values).values
    as_double = values.cast(pa.float64(), safe=False)
    is_in_range = pc.less(as_double, float(1 << 63))
    back = pc.if_else(is_in_range, as_double, 0.0).cast(pa.int64())
    refuse_unless(pc.and_(is_in_range, pc.equal(back, values)), "a whole number that no double is equal to")
    return Converted(as_double)


def integers_to_currency(values: pa.Array) -> Converted:
    """Whole numbers as decimal(19,4). Raises MisfitError."""
    return decimals_to_currency(values.cast(pa.decimal128(20, 0)))


def doubles_to_double(values: pa.Array) -> Converted:
    """Finite doubles; a float is the double of the same value. Raises MisfitError."""
    values = values.cast(pa.float64())
    refuse_unless(pc.is_finite(values), "a number that is not finite")
    return Converted(values)


def doubles_to_int64(values: pa.Array) -> Converted:
    """Doubles that are whole, as whole numbers. Raises MisfitError."""
    values = doubles_to_double(values).values
    refuse_unless(pc.equal(values, pc.trunc(values)), "a number with a fraction")
    is_in_range = pc.and_(pc.greater_equal(values, float(_INT64_MIN)), pc.less(values, float(1 << 63)))
    refuse_unless(is_in_range, "a whole number beyond 64 bits")
    return Converted(values.cast(pa.int64()))


def doubles_to_currency(values: pa.Array) -> Converted:
    """Doubles as decimal(19,4), each as the shortest decimal number that denotes it. Raises MisfitError."""
    if pa.types.is_float32(values.type):
        refuse_unless(pc.is_finite(values), "a number that is not finite")
        return numbers_to_currency(values.cast(pa.string()))
    return numbers_to_currency(doubles_to_double(values).values.cast(pa.string()))


def _checked(text: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(text)
    refuse(pc.match_substring_regex(text, _NOT_FINITE), "a number that is not finite")
    refuse_unless(pc.match_substring_regex(text, _NUMBER), "text that is no number")
    refuse(pc.greater(pc.binary_length(text), _DIGIT_COUNT_MAX), "a number of too many digits")
    return text


def _too_large(text: pa.Array) -> pa.Array:
    """Whether a number has over 34 digits before the point: too many for the decimal type it passes through."""
    is_long = pc.match_substring_regex(text, r"^[+-]?0*[1-9]\d{33}")
    has_exponent = pc.match_substring_regex(text, "[eE]")
    if not pc.any(has_exponent).as_py():
        return is_long
    large = [value is not None and _power(decimal.Decimal(value)) > 33 for value in text.to_pylist()]
    return pc.or_(pc.and_not(is_long, has_exponent), pa.array(large))


def _with_others(text: pa.Array, usual: str, rewrite: Callable[[str], str]) -> pa.Array:
    """*text*, its values that are not of the pattern *usual* rewritten one by one: they are few."""
    is_other = pc.invert(pc.fill_null(pc.match_substring_regex(text, usual), True))
    others = text.filter(is_other)
    if not len(others):
        return text
    rewritten = pa.array([rewrite(value) for value in others.to_pylist()], text.type)
    return pc.replace_with_mask(text, is_other, rewritten)


def _power(number: decimal.Decimal) -> int:
    """The power of ten that *number* begins with; 0 of zero, however it is written."""
    return number.adjusted() if number else 0


def _whole_digits(text: str) -> str:
    number = decimal.Decimal(text)
    if _power(number) > 20:
        return "range"
    if not number:
        return "0"
    whole = number.to_integral_value(decimal.ROUND_DOWN, _EXACT)
    if whole != number:
        return "fraction"
    return str(int(whole)) if _INT64_MIN <= whole <= _INT64_MAX else "range"


def _thirty_places(text: str) -> str:
    """
    A number in digits with at most thirty decimals, that rounds to four places as *text* does.

    A digit beyond the thirtieth only decides whether the rest is a tie, so that any digit there will do.
    """
    number = decimal.Decimal(text) or decimal.Decimal(0)
    cut = number.quantize(decimal.Decimal((0, (1,), -29)), decimal.ROUND_DOWN, _EXACT)
    rest = "1" if cut != number else "0"
    return f"{cut:f}{rest}"
