"""How a file is read as rows: what ``Csv.Document``, ``Parquet.Document`` and ``Excel.Workbook`` are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tabvault.errors import SourceError

_CODECS: Final = {
    65001: "utf-8",
    1200: "utf-16-le",
    1201: "utf-16-be",
    20127: "ascii",
    437: "cp437",
    850: "cp850",
    932: "cp932",
    936: "gbk",
    949: "cp949",
    950: "cp950",
    **{page: f"cp{page}" for page in (874, *range(1250, 1259))},
    **{28590 + part: f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 7, 9, 13, 15)},
}
"""Python's name of a Windows code page."""


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """
    Text with a separator. Every column is text; an empty field is empty text.

    Attributes:
        delimiter: one character.
        encoding: Python's name of it; a byte order mark in the file decides over it.
        has_quoted_line_breaks: whether a line break in quotes is part of the value; else every one ends a row.
        has_header: whether the first row names the columns; else they are ``Column1``, ``Column2``, …
        column_names: names to give instead of those.
        column_count: columns to give: further ones are dropped, missing ones are null.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    has_quoted_line_breaks: bool = True
    has_header: bool = False
    column_names: tuple[str, ...] | None = None
    column_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class ParquetFormat:
    """A Parquet file says everything itself."""


@dataclass(frozen=True, kw_only=True)
class ExcelFormat:
    """
    A sheet or a table of a workbook (xlsx, xlsm).

    Attributes:
        item: its name.
        kind: which of them; None where it is not said: then the name has to be unique.
        has_header: whether a sheet's first row names the columns, else ``Column1``, …. A table always has names.
    """

    item: str
    kind: Literal["Sheet", "Table"] | None = None
    has_header: bool = False


FileFormat: TypeAlias = CsvFormat | ParquetFormat | ExcelFormat


def codec_of(code_page: int) -> str:
    """
    Python's name of the Windows code page *code_page*, as in ``Encoding=1252``.

    Raises:
        SourceError: one that is not read here.
    """
    codec = _CODECS.get(code_page)
    if codec is None:
        raise SourceError(f"files of code page {code_page} are not read", hint="save the file as UTF-8 (65001)")
    return codec
