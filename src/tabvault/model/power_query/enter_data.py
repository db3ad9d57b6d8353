"""
Rows that stand in the expression itself.

::

    #table({"A", "B"}, {{1, "x"}, {2, "y"}})            #table(type table [A = number, B = text], {…})
    Table.FromRows({{1, "x"}}, {"A", "B"})
    Table.FromRows(Json.Document(Binary.Decompress(Binary.FromText("…", BinaryEncoding.Base64), Compression.Deflate)),
        let _t = ((type nullable text) meta [Serialized.Text = true]) in type table [A = _t, B = _t])

The last is what "Enter Data" writes: a JSON list of rows, raw deflate, base64. The types of the columns are claims, the
values are not converted to them. Its ``Serialized.Text`` says that every value was written as a text.

Source: genuine models (twenty-odd such tables), and the pages of these functions in the M reference.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from typing import TYPE_CHECKING, Final

from tabvault.model.power_query import syntax
from tabvault.model.power_query.environment import NotConstantError, described, refused
from tabvault.model.power_query.recipe import LiteralTable

if TYPE_CHECKING:
    from tabvault.model.power_query.environment import Constant, Located
    from tabvault.model.power_query.values import Value

JSON_BYTE_COUNT_MAX: Final = 1 << 26
"""Longest rows once decompressed. Power Query's editor takes 3,000 cells."""

CELL_COUNT_MAX: Final = 2_000_000
"""Most values."""

_RAW_DEFLATE: Final = -15


def literal_table(call: tuple[str, tuple[Located, ...]], step: str) -> LiteralTable:
    """
    The table that ``#table`` or ``Table.FromRows`` gives.

    Raises:
        ExpressionNotSupportedError: its rows or columns are not constants, or do not fit each other.
    """
    function, arguments = call
    columns_at, rows_at = (0, 1) if function == "#table" else (1, 0)
    if len(arguments) not in ((2,) if function == "#table" else (1, 2)):
        raise refused(step, f"{function} with {len(arguments)} arguments")
    rows = _rows(arguments[rows_at], step)
    width = len(rows[0]) if rows else 0
    columns = _columns(arguments[columns_at], step, width) if len(arguments) > columns_at else _default(width)
    if len(set(columns)) != len(columns):
        raise refused(step, "two columns of the same name")
    for row in rows:
        if len(row) != len(columns):
            raise refused(step, f"a row of {len(row)} values in a table of {len(columns)} columns")
    return LiteralTable(columns, rows)


def _default(count: int) -> tuple[str, ...]:
    return tuple(f"Column{number}" for number in range(1, count + 1))


def _columns(argument: Located, step: str, width: int) -> tuple[str, ...]:
    here = argument.settled()
    if isinstance(here.expression, syntax.TypeExpression):
        if not isinstance(here.expression.type, syntax.TableType):
            raise refused(step, "columns given by a type that is no table type")
        return tuple(column.name for column in here.expression.type.columns)
    try:
        columns = here.constant()
    except NotConstantError as problem:
        raise refused(step, f"columns given by {problem.what}") from None
    if columns is None:
        return _default(width)
    if isinstance(columns, int) and not isinstance(columns, bool):
        if columns != width:
            raise refused(step, f"{columns} columns for {width} values")
        return _default(columns)
    if not isinstance(columns, tuple) or not all(isinstance(one, str) for one in columns):
        raise refused(step, "columns that are no list of names")
    return tuple(one for one in columns if isinstance(one, str))


def _rows(argument: Located, step: str) -> tuple[tuple[Value, ...], ...]:
    here = argument.settled()
    call = here.call()
    try:
        rows = _json(call, step) if call is not None and call[0] == "Json.Document" else here.constant()
    except NotConstantError as problem:
        raise refused(step, f"rows with {problem.what}") from None
    if not isinstance(rows, tuple):
        raise refused(step, "rows that are no list")
    table: list[tuple[Value, ...]] = []
    cell_count = 0
    for row in rows:
        if not isinstance(row, tuple):
            raise refused(step, "a row that is no list")
        cell_count += len(row)
        if cell_count > CELL_COUNT_MAX:
            raise refused(step, f"more than {CELL_COUNT_MAX} values")
        values = tuple(value for value in row if not isinstance(value, tuple | dict))
        if len(values) != len(row):
            raise refused(step, "a value that is a list or a record")
        table.append(values)
    return tuple(table)


def _json(call: tuple[str, tuple[Located, ...]], step: str) -> Constant:
    """The rows in ``Json.Document(Binary.Decompress(Binary.FromText(…), Compression.Deflate))``."""
    decompress = call[1][0].settled().call() if len(call[1]) == 1 else None
    if decompress is None or decompress[0] != "Binary.Decompress" or len(decompress[1]) != 2:
        raise refused(step, "Json.Document of anything but typed-in rows")
    packed, compression = decompress[1]
    if compression.settled().library_name() != "Compression.Deflate":
        raise refused(step, f"Binary.Decompress with {described(compression.settled())}")
    from_text = packed.settled().call()
    if from_text is None or from_text[0] != "Binary.FromText" or len(from_text[1]) not in (1, 2):
        raise refused(step, f"Binary.Decompress of {described(packed.settled())}")
    encoding = from_text[1][1].settled().library_name() if len(from_text[1]) == 2 else "BinaryEncoding.Base64"
    text = from_text[1][0].constant()
    if encoding != "BinaryEncoding.Base64" or not isinstance(text, str):
        raise refused(step, "Binary.FromText of anything but a base64 text")
    return _lists(_decoded(_decompressed(text, step), step))


def _decompressed(text: str, step: str) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
        stream = zlib.decompressobj(_RAW_DEFLATE)
        plain = stream.decompress(packed, JSON_BYTE_COUNT_MAX + 1)
    except (binascii.Error, ValueError, zlib.error) as problem:
        raise refused(step, f"typed-in rows are damaged: {problem}") from None
    if len(plain) > JSON_BYTE_COUNT_MAX:
        raise refused(step, f"typed-in rows of more than {JSON_BYTE_COUNT_MAX} bytes")
    if not stream.eof:
        raise refused(step, "typed-in rows are damaged: the compressed data end early")
    return plain


def _decoded(plain: bytes, step: str) -> object:
    def unknown(constant: str) -> object:
        raise ValueError(f"{constant} is no value of JSON")

    def real(spelled: str) -> float:
        value = float(spelled)
        if not math.isfinite(value):
            raise ValueError(f"{spelled[:40]} is no number")
        return value

    try:
        return json.loads(plain, parse_constant=unknown, parse_float=real)
    except (ValueError, RecursionError) as problem:
        raise refused(step, f"typed-in rows are damaged: {str(problem)[:100]}") from None


def _lists(rows: object) -> Constant:
    """JSON lists of lists as constants; a value that is no scalar is left for the caller to refuse."""
    if not isinstance(rows, list):
        return None
    return tuple(
        tuple(value if _is_scalar(value) else () for value in row) if isinstance(row, list) else None for row in rows
    )


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
