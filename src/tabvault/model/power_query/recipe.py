"""
What an M expression that is recognised asks for: where rows come from, and what is done to them, step by step.

A recipe says what M says, exactly; which part of it a database does and which is done here is decided where it is
folded. Names of columns are those that the step before gave them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tabvault.model.power_query.conditions import Condition, Scalar
    from tabvault.model.power_query.values import Value

DatabaseKind = Literal["postgresql", "sql_server", "odbc"]

ColumnType = Literal[
    "any", "text", "number", "int64", "currency", "logical", "date", "time", "datetime", "datetimezone", "duration",
    "binary",
]  # fmt: skip
"""A type as ``Table.TransformColumnTypes`` names it; ``number`` is a double, ``currency`` has four decimals."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """
    ``Csv.Document(File.Contents(path), …)``: every column is text.

    Attributes:
        path: of the file, as written.
        delimiter: one character.
        column_count: columns to give: further ones are dropped, missing ones null; None as many as there are.
        column_names: names of the columns where the expression gives them; otherwise ``Column1``, ``Column2``, …
        encoding: Windows code page: 65001 is UTF-8, 1200 UTF-16, 1252 Western European.
        has_quoted_line_breaks: a line break in quotes is part of the value (QuoteStyle.Csv); otherwise every line
            break ends a row (QuoteStyle.None).
    """

    path: str
    delimiter: str
    column_count: int | None
    column_names: tuple[str, ...] | None
    encoding: int
    has_quoted_line_breaks: bool


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """``Parquet.Document(File.Contents(path))``."""

    path: str


@dataclass(frozen=True, slots=True)
class ExcelTable:
    """
    ``Excel.Workbook(File.Contents(path), …){[Item = item, Kind = kind]}[Data]``.

    Attributes:
        path: of the workbook, as written.
        item: name of the sheet, the table or the defined name.
        kind: which of them; None where the expression does not say, and *item* has to be unique.
        has_headers: the first row of the item holds the names; a table has its own in any case.
    """

    path: str
    item: str
    kind: Literal["Sheet", "Table", "DefinedName"] | None
    has_headers: bool


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """
    A database that is asked in SQL.

    Attributes:
        kind: by which function it was reached.
        server: host, with port where given (``host:5432``, ``host,1433``); empty for ODBC.
        database: name of the database; empty for ODBC.
        connection_string: of ODBC, without credentials; empty otherwise.
    """

    kind: DatabaseKind
    server: str = ""
    database: str = ""
    connection_string: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseTable:
    """A table or view of a database: *path* from the outermost name to its own (catalog, schema, table)."""

    server: DatabaseServer
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NativeQuery:
    """A query in the database's own SQL."""

    server: DatabaseServer
    query: str


@dataclass(frozen=True, slots=True)
class LiteralTable:
    """Rows that stand in the expression itself: ``#table``, ``Table.FromRows``, "Enter Data"."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...] = field(repr=False)


Source: TypeAlias = "CsvFile | ParquetFile | ExcelTable | DatabaseTable | NativeQuery | LiteralTable"


@dataclass(frozen=True, slots=True)
class PromoteHeaders:
    """``Table.PromoteHeaders``: the first row is the names. *has_all_scalars*: not only texts and numbers."""

    name: str
    has_all_scalars: bool


@dataclass(frozen=True, slots=True)
class TransformColumnTypes:
    """``Table.TransformColumnTypes``: *culture* is the one it names, else that of the model; None if neither."""

    name: str
    types: tuple[tuple[str, ColumnType], ...]
    culture: str | None


@dataclass(frozen=True, slots=True)
class SelectColumns:
    """``Table.SelectColumns``. *ignores_missing* here and below: MissingField.Ignore."""

    name: str
    columns: tuple[str, ...]
    ignores_missing: bool


@dataclass(frozen=True, slots=True)
class RemoveColumns:
    """``Table.RemoveColumns``."""

    name: str
    columns: tuple[str, ...]
    ignores_missing: bool


@dataclass(frozen=True, slots=True)
class RenameColumns:
    """``Table.RenameColumns``: all at once, so names may be swapped."""

    name: str
    names: tuple[tuple[str, str], ...]
    ignores_missing: bool


@dataclass(frozen=True, slots=True)
class ReorderColumns:
    """``Table.ReorderColumns``: the named columns take each other's places."""

    name: str
    columns: tuple[str, ...]
    ignores_missing: bool


@dataclass(frozen=True, slots=True)
class SelectRows:
    """``Table.SelectRows``: the rows for which the condition is true; those for which it is null are dropped."""

    name: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Skip:
    """``Table.Skip``."""

    name: str
    row_count: int


@dataclass(frozen=True, slots=True)
class FirstRows:
    """``Table.FirstN``."""

    name: str
    row_count: int


@dataclass(frozen=True, slots=True)
class Distinct:
    """``Table.Distinct``: whole rows, or the first row of each combination of *columns*."""

    name: str
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Sort:
    """``Table.Sort``: pairs of column and whether it is descending."""

    name: str
    keys: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class ReplaceValue:
    """``Table.ReplaceValue``: whole values (Replacer.ReplaceValue), or every occurrence inside a text."""

    name: str
    old: Value
    new: Value
    is_text: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TransformText:
    """``Table.TransformColumns`` with a function of text."""

    name: str
    functions: tuple[tuple[str, Literal["trim", "upper", "lower", "clean"]], ...]


@dataclass(frozen=True, slots=True)
class AddColumn:
    """``Table.AddColumn``: *scalar* of the row. A type that the step names is only claimed, nothing is converted."""

    name: str
    column: str
    scalar: Scalar


Step: TypeAlias = (
    "PromoteHeaders | TransformColumnTypes | SelectColumns | RemoveColumns | RenameColumns | ReorderColumns"
    " | SelectRows | Skip | FirstRows | Distinct | Sort | ReplaceValue | TransformText | AddColumn"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    An M expression that is recognised.

    Attributes:
        source: where the rows come from.
        steps: what is done to them, first one first.
        parameters: the parameters (``RangeStart``, …) whose bound values it used.
    """

    source: Source
    steps: tuple[Step, ...]
    parameters: frozenset[str]
