"""
Columns while steps are folded: what stands for each in SQL, and of which kind of M its values are.

===============  ==========================================================================================
kind             values
===============  ==========================================================================================
whole            whole numbers of 64 bits
decimal          decimal numbers
double           floating point numbers
number_text      numbers that the driver could only bring as text: compared in the database or not at all
text, logical, date, time, datetime, datetimezone, binary   as in M
null             nothing but null
other            what no step can look into
===============  ==========================================================================================
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa
from sqlglot import exp

from tabvault.errors import ExpressionNotSupportedError
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from tabvault.sources.source import SourceColumn

ColumnKind = Literal[
    "whole", "decimal", "double", "number_text", "text", "logical", "date", "time", "datetime", "datetimezone",
    "binary", "null", "other",
]  # fmt: skip

NUMBER_KINDS: Final = frozenset({"whole", "decimal", "double", "number_text"})

_HINT: Final = "the partition keeps its rows; let the data source do that step (a view, a native query)"


class Dialect(enum.StrEnum):
    """The SQL of a source, by sqlglot's name; GENERIC is what ODBC drivers agree on."""

    POSTGRESQL = "postgres"
    SQLITE = "sqlite"
    DUCKDB = "duckdb"
    SQL_SERVER = "tsql"
    GENERIC = ""


@dataclass(frozen=True, slots=True)
class FoldedColumn:
    """
    One column.

    Attributes:
        expression: what it is, in terms of the relation that is selected from.
        kind: of its values.
    """

    expression: exp.Expr
    kind: ColumnKind

    @property
    def is_plain(self) -> bool:
        """Whether it is a column of the relation as it stands."""
        return isinstance(self.expression, exp.Column)


def refused(step: str, what: str) -> ExpressionNotSupportedError:
    """The error that *what* in *step* is not done here."""
    return ExpressionNotSupportedError(f'cannot refresh here: step "{step[:200]}": {what[:300]}', hint=_HINT)


def kind_of_column(column: SourceColumn) -> ColumnKind:
    """The kind of a source's column."""
    data_type = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        marked: dict[DataType | None, ColumnKind] = {DataType.DECIMAL: "number_text", DataType.DATETIME: "other"}
        return marked.get(column.data_type, "text")
    if pa.types.is_integer(data_type):
        return "other" if pa.types.is_uint64(data_type) else "whole"
    if pa.types.is_decimal(data_type):
        return "decimal"
    if pa.types.is_timestamp(data_type):
        return "datetime" if data_type.tz is None else "datetimezone"
    tests: tuple[tuple[bool, ColumnKind], ...] = (
        (pa.types.is_floating(data_type), "double"),
        (pa.types.is_boolean(data_type), "logical"),
        (pa.types.is_date(data_type), "date"),
        (pa.types.is_time(data_type), "time"),
        (pa.types.is_null(data_type), "null"),
        (pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type), "binary"),
    )
    return next((kind for holds, kind in tests if holds), "other")


def column_of(name: str) -> exp.Column:
    """The column *name* of the relation that is selected from, in quotes."""
    return exp.column(exp.to_identifier(name, quoted=True))


def called(function: str, *arguments: exp.Expr) -> exp.Expr:
    """A function of DuckDB under its own name: sqlglot is not to find a synonym for it."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def text_literal(text: str) -> exp.Expr:
    """*text* as SQL."""
    return exp.Literal.string(text)
