r"""
``Table.TransformColumnTypes`` as SQL of DuckDB: every value is converted as M does it, or the query ends with an error
that names the column and the value.

Text is read by the culture of the step:

===========  =======  =======  ==========
culture      decimal  groups   dates
===========  =======  =======  ==========
en-US, ""    .        ,        7/31/2024
en-GB        .        ,        31/7/2024
de-DE        ,        .        31.7.2024
===========  =======  =======  ==========

and dates as ISO 8601 (2024-07-31) in each. In any other culture only whole numbers without groups are read. White space
around is dropped; empty text becomes null where a number or a point in time is asked for. Percent signs, currency
signs, parentheses, names of months and two-digit years are not read, although M would guess at them.

Numbers become whole by rounding half to even. A number becomes text only if it is whole, a date only in en-US.

Sources: the pages of ``Table.TransformColumnTypes`` and of the ``.From`` functions in the M reference. That empty text
becomes null is what a CSV file with empty fields shows in Power Query; for logical values it is not known, and refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tabvault.errors import SourceTypeError
from tabvault.model import ole_date
from tabvault.sources.folding_columns import ColumnKind, FoldedColumn, called, refused, text_literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.model.power_query.recipe import ColumnType

_MARK: Final = "tabvault cannot convert"
_BLANKS: Final = " \t\r\n\u00a0"

_SQL_TYPES: Final[dict[ColumnType, tuple[str, ColumnKind]]] = {
    "text": ("TEXT", "text"),
    "number": ("DOUBLE", "double"),
    "int64": ("BIGINT", "whole"),
    "currency": ("DECIMAL(19, 4)", "decimal"),
    "logical": ("BOOLEAN", "logical"),
    "date": ("DATE", "date"),
    "time": ("TIME", "time"),
    "datetime": ("TIMESTAMP", "datetime"),
}
_UNCHANGED: Final = frozenset({
    ("text", "text"), ("whole", "int64"), ("whole", "number"), ("whole", "currency"), ("decimal", "number"),
    ("double", "number"), ("logical", "logical"), ("date", "date"), ("time", "time"), ("datetime", "datetime"),
    ("datetimezone", "datetimezone"), ("binary", "binary"), ("number_text", "number"), ("number_text", "currency"),
})  # fmt: skip
"""Conversions that change no value: in M a whole number is a number."""


@dataclass(frozen=True)
class _Culture:
    decimal: str
    group: str
    date: str
    """Of a date in strptime's words."""

    has_half_days: bool
    """Whether times are also written with AM and PM."""


_ENGLISH: Final = _Culture(".", ",", "%m/%d/%Y", has_half_days=True)
_CULTURES: Final = {
    "en-us": _ENGLISH,
    "": _ENGLISH,
    "en-gb": _Culture(".", ",", "%d/%m/%Y", has_half_days=False),
    "de-de": _Culture(",", ".", "%d.%m.%Y", has_half_days=False),
}


def cell_error(message: str) -> SourceTypeError | None:
    """What DuckDB's *message* says of a value that is not converted; None if it speaks of something else."""
    found = re.search(rf"{_MARK} (.*)", message)
    if found is None:
        return None
    return SourceTypeError(f"cannot convert {found.group(1)[:300]}", hint="correct the value, or the type in the step")


def is_unchanged(kind: ColumnKind, to: ColumnType) -> bool:
    """Whether the conversion leaves every value as it is."""
    return to == "any" or (kind, to) in _UNCHANGED


def converted(column: FoldedColumn, to: ColumnType, *, name: str, culture: str | None, step: str) -> FoldedColumn:
    """
    *column* converted to *to*.

    Args:
        column: any.
        to: the type of M.
        name: of the column, for messages.
        culture: by which text is read; None if it is not known.
        step: for messages.

    Raises:
        ExpressionNotSupportedError: no value of the column's kind can be converted exactly.
    """
    if is_unchanged(column.kind, to):
        return column
    if to not in _SQL_TYPES:
        raise refused(step, f"conversion of column {name} to {to}")
    sql_type, kind = _SQL_TYPES[to]
    if column.kind == "null":
        return FoldedColumn(exp.cast(column.expression.copy(), sql_type), kind)
    convert = _CONVERSIONS.get((column.kind, to))
    if convert is None:
        raise refused(step, f"conversion of column {name} from {column.kind} to {to}")
    known = None if culture is None else _CULTURES.get(culture.lower())
    conversion = _Conversion(column.expression, name, to, known, step)
    return FoldedColumn(convert(conversion), kind)


@dataclass(frozen=True)
class _Conversion:
    """One column on its way to one type. *value* is what it is now; *culture* None for one that is not known."""

    value: exp.Expr
    name: str
    to: ColumnType
    culture: _Culture | None
    step: str

    @property
    def trimmed(self) -> exp.Expr:
        """The text without white space around."""
        return called("trim", self.value.copy(), text_literal(_BLANKS))

    def failed(self) -> exp.Expr:
        """The end of the query, with column and value in its message."""
        shown = called("left", exp.cast(self.value.copy(), "TEXT"), exp.Literal.number(60))
        before = text_literal(f"{_MARK} column {self.name[:100]}: ")
        return called("error", called("concat", before, shown, text_literal(f" to {self.to}")))

    def cases(self, *cases: tuple[exp.Expr, exp.Expr]) -> exp.Expr:
        """Null for null, what belongs to the first case that holds, the end of the query for none."""
        whole = exp.Case().when(exp.Is(this=self.value.copy(), expression=exp.null()), exp.null())
        for condition, then in cases:
            whole = whole.when(condition, then)
        return whole.else_(self.failed())

    def text_cases(self, *cases: tuple[exp.Expr, exp.Expr]) -> exp.Expr:
        """The same, and null for empty text."""
        return self.cases((exp.EQ(this=self.value.copy(), expression=text_literal("")), exp.null()), *cases)

    def matches(self, pattern: str) -> exp.Expr:
        """Whether the trimmed text is one of *pattern*, all of it."""
        return called("regexp_full_match", self.trimmed, text_literal(pattern))

    def tried(self, value: exp.Expr, sql_type: str) -> exp.Expr:
        """*value* as *sql_type*, or the end of the query."""
        return called("coalesce", exp.TryCast(this=value, to=exp.DataType.build(sql_type)), self.failed())

    def number_text(self) -> tuple[str, exp.Expr]:
        """The pattern of numbers of the culture, and the text of one with ``.`` and no groups."""
        if self.culture is None:
            return "[-+]?[0-9]+", self.trimmed
        point, group = re.escape(self.culture.decimal), re.escape(self.culture.group)
        digits = rf"([0-9]+|[0-9]{{1,3}}({group}[0-9]{{3}})+)"
        bare = called("replace", self.trimmed, text_literal(self.culture.group), text_literal(""))
        bare = called("replace", bare, text_literal(self.culture.decimal), text_literal("."))
        return rf"[-+]?({digits}({point}[0-9]*)?|{point}[0-9]+)", bare


def _text_to_number(here: _Conversion) -> exp.Expr:
    pattern, bare = here.number_text()
    exponent = "([eE][-+]?[0-9]{1,2})?" if here.culture else ""
    return here.text_cases((here.matches(f"{pattern}{exponent}"), here.tried(bare, "DOUBLE")))


def _text_to_int64(here: _Conversion) -> exp.Expr:
    pattern, bare = here.number_text()
    whole_pattern = "[-+]?[0-9]+"
    grouped = whole_pattern
    if here.culture is not None:
        grouped = rf"[-+]?([0-9]+|[0-9]{{1,3}}({re.escape(here.culture.group)}[0-9]{{3}})+)"
    rounded = called("round_even", here.tried(bare.copy(), "DOUBLE"), exp.Literal.number(0))
    exponent = "([eE][-+]?[0-9]{1,2})?" if here.culture else ""
    return here.text_cases(
        (here.matches(grouped), here.tried(bare, "BIGINT")),
        (here.matches(f"{pattern}{exponent}"), here.tried(rounded, "BIGINT")),
    )


def _text_to_currency(here: _Conversion) -> exp.Expr:
    if here.culture is None:
        return here.text_cases((here.matches("[-+]?[0-9]+"), here.tried(here.trimmed, "DECIMAL(19, 4)")))
    point, group = re.escape(here.culture.decimal), re.escape(here.culture.group)
    pattern = rf"[-+]?([0-9]+|[0-9]{{1,3}}({group}[0-9]{{3}})+)({point}[0-9]{{0,4}})?"
    return here.text_cases((here.matches(pattern), here.tried(here.number_text()[1], "DECIMAL(19, 4)")))


def _text_to_logical(here: _Conversion) -> exp.Expr:
    lower = called("lower", here.trimmed)
    return here.cases(
        (exp.EQ(this=lower, expression=text_literal("true")), exp.true()),
        (exp.EQ(this=lower.copy(), expression=text_literal("false")), exp.false()),
    )


def _culture_for_dates(here: _Conversion) -> _Culture:
    if here.culture is None:
        raise refused(here.step, f"conversion of column {here.name} from text to {here.to} in a culture not known here")
    return here.culture


_ISO_DATE: Final = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME: Final = r"([01]?[0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"


def _date_pattern(culture: _Culture) -> str:
    separator = re.escape(culture.date[2])
    return rf"[0-9]{{1,2}}{separator}[0-9]{{1,2}}{separator}[0-9]{{4}}"


def _parsed(here: _Conversion, text: exp.Expr, formats: tuple[str, ...]) -> exp.Expr:
    listed = exp.Array(expressions=[text_literal(one) for one in formats])
    return called("coalesce", called("try_strptime", text, listed), here.failed())


def _text_to_date(here: _Conversion) -> exp.Expr:
    culture = _culture_for_dates(here)
    return here.text_cases(
        (here.matches(_ISO_DATE), here.tried(here.trimmed, "DATE")),
        (here.matches(_date_pattern(culture)), exp.cast(_parsed(here, here.trimmed, (culture.date,)), "DATE")),
    )


def _text_to_datetime(here: _Conversion) -> exp.Expr:
    culture = _culture_for_dates(here)
    date = _date_pattern(culture)
    day = culture.date
    cases = [
        (here.matches(f"{_ISO_DATE}([T ]{_TIME})?"), here.tried(here.trimmed, "TIMESTAMP")),
        (
            here.matches(f"{date}( [0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}})?)?"),
            _parsed(here, here.trimmed, (f"{day} %H:%M:%S", f"{day} %H:%M", day)),
        ),
    ]
    if culture.has_half_days:
        half_days = (f"{day} %I:%M:%S %p", f"{day} %I:%M %p")
        pattern = f"{date} [0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}})? [AaPp][Mm]"
        cases.append((here.matches(pattern), _parsed(here, called("upper", here.trimmed), half_days)))
    return here.text_cases(*cases)


def _text_to_time(here: _Conversion) -> exp.Expr:
    return here.text_cases((here.matches(_TIME), here.tried(here.trimmed, "TIME")))


def _whole_to_text(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "TEXT")


def _is_whole(here: _Conversion, limit: int) -> exp.Expr:
    """Whether a floating point number is whole and below *limit* in size."""
    size = called("abs", here.value.copy())
    is_whole = exp.EQ(this=here.value.copy(), expression=called("trunc", here.value.copy()))
    return exp.and_(exp.LT(this=size, expression=exp.Literal.number(limit)), is_whole)


def _double_to_text(here: _Conversion) -> exp.Expr:
    whole = exp.cast(exp.cast(here.value.copy(), "BIGINT"), "TEXT")
    return here.cases((_is_whole(here, 10**15), whole))


def _logical_to_text(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "TEXT")


def _date_to_text(here: _Conversion) -> exp.Expr:
    if here.culture is not _ENGLISH:
        raise refused(here.step, f"conversion of column {here.name} from date to text in a culture not known here")
    return called("strftime", here.value.copy(), text_literal("%-m/%-d/%Y"))


def _number_to_int64(here: _Conversion) -> exp.Expr:
    rounded = called("round_even", here.value.copy(), exp.Literal.number(0))
    return here.cases((exp.true(), here.tried(rounded, "BIGINT")))


def _decimal_to_currency(here: _Conversion) -> exp.Expr:
    rounded = called("round_even", here.value.copy(), exp.Literal.number(4))
    return here.cases((exp.true(), here.tried(rounded, "DECIMAL(19, 4)")))


def _double_to_currency(here: _Conversion) -> exp.Expr:
    """Only numbers of four decimals: where a double lies half way, M and others may round apart."""
    short = exp.TryCast(this=here.value.copy(), to=exp.DataType.build("DECIMAL(19, 4)"))
    is_same = exp.EQ(this=exp.cast(short, "DOUBLE"), expression=here.value.copy())
    return here.cases((is_same, short.copy()))


def _number_to_logical(here: _Conversion) -> exp.Expr:
    return exp.NEQ(this=here.value.copy(), expression=exp.Literal.number(0))


def _logical_to_int64(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "BIGINT")


def _logical_to_number(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "DOUBLE")


def _cast_to_date(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "DATE")


def _cast_to_timestamp(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "TIMESTAMP")


def _cast_to_time(here: _Conversion) -> exp.Expr:
    return exp.cast(here.value.copy(), "TIME")


def _day(here: _Conversion) -> exp.Expr:
    """Days since 30 December 1899, of a whole number."""
    days = exp.cast(here.value.copy(), "INTEGER")
    return exp.Add(this=exp.cast(text_literal(str(ole_date.ZERO.date())), "DATE"), expression=days)


def _number_to_date(here: _Conversion) -> exp.Expr:
    return here.cases((_is_whole(here, ole_date.DAYS_END), _day(here)))


def _number_to_datetime(here: _Conversion) -> exp.Expr:
    return here.cases((_is_whole(here, ole_date.DAYS_END), exp.cast(_day(here), "TIMESTAMP")))


_CONVERSIONS: Final[dict[tuple[ColumnKind, ColumnType], Callable[[_Conversion], exp.Expr]]] = {
    ("text", "number"): _text_to_number,
    ("text", "int64"): _text_to_int64,
    ("text", "currency"): _text_to_currency,
    ("text", "logical"): _text_to_logical,
    ("text", "date"): _text_to_date,
    ("text", "datetime"): _text_to_datetime,
    ("text", "time"): _text_to_time,
    ("whole", "text"): _whole_to_text,
    ("double", "text"): _double_to_text,
    ("logical", "text"): _logical_to_text,
    ("date", "text"): _date_to_text,
    ("double", "int64"): _number_to_int64,
    ("decimal", "int64"): _number_to_int64,
    ("decimal", "currency"): _decimal_to_currency,
    ("double", "currency"): _double_to_currency,
    ("whole", "logical"): _number_to_logical,
    ("double", "logical"): _number_to_logical,
    ("logical", "int64"): _logical_to_int64,
    ("logical", "number"): _logical_to_number,
    ("datetime", "date"): _cast_to_date,
    ("date", "datetime"): _cast_to_timestamp,
    ("datetime", "time"): _cast_to_time,
    ("whole", "date"): _number_to_date,
    ("double", "date"): _number_to_date,
    ("whole", "datetime"): _number_to_datetime,
    ("double", "datetime"): _number_to_datetime,
}
