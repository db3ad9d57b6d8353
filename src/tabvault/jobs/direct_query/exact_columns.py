"""
Columns whose values a source can compare, group and add up exactly as it is done here.

The values of a model's column are those that conforming makes of the source's (:mod:`tabvault.sources.conforming`). So
a column takes part in a question that is left to the source only as an expression that is equal to the conformed value
for every value there can be, and fails where conforming refuses one:

PostgreSQL
===========================  ===========  =====================================================================
type                         data type    as
===========================  ===========  =====================================================================
int2, int4, int8             int64        itself
numeric                      int64        bigint; fails for a fraction
numeric                      decimal      rounded to four places, half to even; fails beyond the range
int2, int4, int8             decimal      numeric; fails beyond the range
float4, float8               double       float8; fails for NaN and infinity
text, varchar                string       text of the collation "C": equal if and only if the characters are
timestamp, timestamptz,      dateTime     timestamp without zone, of UTC; fails for infinity and outside of the
date                                      years 100 to 9999
bool                         boolean      itself
===========================  ===========  =====================================================================

DuckDB
===========================  ===========  =====================================================================
TINYINT … BIGINT, unsigned   int64        itself (UBIGINT is not)
DECIMAL of at most 14        decimal      itself
digits before, 4 after it
FLOAT, DOUBLE                double       DOUBLE; fails for NaN and infinity
VARCHAR                      string       the collation C, which is binary
TIMESTAMP, DATE              dateTime     TIMESTAMP; fails as above
BOOLEAN                      boolean      itself
===========================  ===========  =====================================================================

All others are done here. That is, among them: ``char(n)``, which PostgreSQL compares without the blanks at its end;
``citext``; SQLite, whose columns hold values of any type.

How it fails: PostgreSQL has no function for it, and evaluates constants before it looks at rows; a division by zero
that depends on the value cannot be evaluated before.
"""

from __future__ import annotations

import enum
import re
from functools import cache
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp

from tabvault.model.objects import DataType
from tabvault.sources.folding_columns import Dialect

if TYPE_CHECKING:
    from tabvault.sources.source import SourceColumn


class ExactKind(enum.Enum):
    """What the values are; values of one kind compare with each other."""

    WHOLE = "whole"
    DECIMAL = "decimal"
    REAL = "real"
    TEXT = "text"
    MOMENT = "moment"
    TRUTH = "truth"


_KINDS: Final = {
    DataType.INT64: ExactKind.WHOLE,
    DataType.DECIMAL: ExactKind.DECIMAL,
    DataType.DOUBLE: ExactKind.REAL,
    DataType.STRING: ExactKind.TEXT,
    DataType.DATETIME: ExactKind.MOMENT,
    DataType.BOOLEAN: ExactKind.TRUTH,
}

_MONEY_RANGE: Final = "{x} >= -922337203685477.58085 AND {x} < 922337203685477.58075"
"""Of what is in the range of decimal(19,4) once it is rounded."""

_MOMENT_RANGE: Final = "{x} >= CAST('0100-01-01' AS TIMESTAMP) AND {x} < CAST('10000-01-01' AS TIMESTAMP)"
_FINITE: Final = "{x} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
_WHOLE_RANGE: Final = "{x} = TRUNC({x}) AND {x} BETWEEN -9223372036854775808 AND 9223372036854775807"
_HALF_TO_EVEN: Final = (
    "CASE WHEN ABS({x} - TRUNC({x}, 4)) = 0.00005 AND MOD(TRUNC({x}, 4) * 10000, 2) = 0 "
    "THEN TRUNC({x}, 4) ELSE ROUND({x}, 4) END"
)


def _or_fails(value: str, type_name: str, allowed: str) -> str:
    """*value* where *allowed* holds for it or it is NULL, in PostgreSQL."""
    failing = f"CAST(CAST(1 / CASE WHEN {allowed} THEN 1 ELSE 0 END AS TEXT) AS {type_name})"
    return f"CASE WHEN ({allowed}) OR {{x}} IS NULL THEN {value} ELSE {failing} END"


def _or_error(value: str, allowed: str) -> str:
    """The same, in DuckDB."""
    return f"CASE WHEN ({allowed}) OR {{x}} IS NULL THEN {value} ELSE ERROR('a value has no room in its column') END"


def _of(template: str, value: str) -> str:
    return template.replace("{x}", value)


_POSTGRESQL_MOMENT: Final = _or_fails("{x}", "TIMESTAMP", _MOMENT_RANGE)
_POSTGRESQL_REAL: Final = _or_fails("{x}", "DOUBLE PRECISION", _of(_FINITE, "{x}"))
_POSTGRESQL: Final = {
    **dict.fromkeys([(native, DataType.INT64) for native in ("int2", "int4", "int8")], "{x}"),
    **dict.fromkeys(
        [(native, DataType.DECIMAL) for native in ("int2", "int4", "int8")],
        _of(_or_fails("{x}", "NUMERIC", _MONEY_RANGE), "CAST({x} AS NUMERIC)"),
    ),
    ("numeric", DataType.INT64): _or_fails("CAST({x} AS BIGINT)", "BIGINT", _WHOLE_RANGE),
    ("numeric", DataType.DECIMAL): _or_fails(_HALF_TO_EVEN, "NUMERIC", _MONEY_RANGE),
    **dict.fromkeys(
        [(native, DataType.DOUBLE) for native in ("float4", "float8")],
        _of(_POSTGRESQL_REAL, "CAST({x} AS DOUBLE PRECISION)"),
    ),
    **dict.fromkeys([(native, DataType.STRING) for native in ("text", "varchar")], 'CAST({x} AS TEXT) COLLATE "C"'),
    ("timestamp", DataType.DATETIME): _POSTGRESQL_MOMENT,
    ("timestamptz", DataType.DATETIME): _of(_POSTGRESQL_MOMENT, "({x} AT TIME ZONE 'UTC')"),
    ("date", DataType.DATETIME): _of(_POSTGRESQL_MOMENT, "CAST({x} AS TIMESTAMP)"),
    ("bool", DataType.BOOLEAN): "{x}",
}

_DUCKDB_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_DUCKDB: Final = {
    **dict.fromkeys([(native, DataType.INT64) for native in _DUCKDB_WHOLE], "{x}"),
    **dict.fromkeys(
        [(native, DataType.DOUBLE) for native in ("FLOAT", "DOUBLE")],
        _of(_or_error("{x}", _FINITE), "CAST({x} AS DOUBLE)"),
    ),
    ("DECIMAL", DataType.DECIMAL): "{x}",
    ("VARCHAR", DataType.STRING): "{x} COLLATE C",
    **dict.fromkeys(
        [(native, DataType.DATETIME) for native in ("TIMESTAMP", "DATE")],
        _of(_or_error("{x}", _MOMENT_RANGE), "CAST({x} AS TIMESTAMP)"),
    ),
    ("BOOLEAN", DataType.BOOLEAN): "{x}",
}

_TEMPLATES: Final = {Dialect.POSTGRESQL: _POSTGRESQL, Dialect.DUCKDB: _DUCKDB}

_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def exact_kind(data_type: int) -> ExactKind | None:
    """The kind of a column of this data type."""
    return _KINDS.get(data_type)  # type: ignore[call-overload, no-any-return]  # a data type may be any number


def exact_column(column: SourceColumn, data_type: int, dialect: Dialect) -> exp.Expr | None:
    """
    The expression over *column* that is equal to the model's value; None if there is none.

    Args:
        column: of the partition's query.
        data_type: of the model's column.
        dialect: of the source.
    """
    native = column.native_type
    decimal = _DECIMAL.fullmatch(native)
    if decimal is not None:
        digit_count, place_count = map(int, decimal.groups())
        native = "DECIMAL" if place_count <= 4 and digit_count - place_count <= 14 else native
    template = _TEMPLATES.get(dialect, {}).get((native, DataType(data_type)))
    if template is None:
        return None
    name = exp.column(column.name, quoted=True)
    parsed = _parsed(template, dialect).copy()
    if isinstance(parsed, exp.Column):
        return name
    for place in list(parsed.find_all(exp.Column)):
        place.replace(name.copy())
    return parsed


@cache
def _parsed(template: str, dialect: Dialect) -> exp.Expr:
    return sqlglot.parse_one(_of(template, "x"), read=dialect.value)
