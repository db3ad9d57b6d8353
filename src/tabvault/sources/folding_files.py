"""
What a recipe asks of the reader of a file: its format, and whether the first row is the names of the columns.

``Table.PromoteHeaders`` directly on the rows of a CSV file or a sheet is done by the reader; it is the one step that
needs a row to know the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.model.power_query.recipe import CsvFile, ExcelTable, ParquetFile, PromoteHeaders
from tabvault.sources.file_formats import CsvFormat, ExcelFormat, FileFormat, ParquetFormat, codec_of
from tabvault.sources.folding_columns import refused

if TYPE_CHECKING:
    from tabvault.model.power_query.recipe import Recipe

_READER = "(the file)"


def starting_step(recipe: Recipe) -> int:
    """How many of the first steps the reader of the file does."""
    return 1 if promotes_headers(recipe) else 0


def promotes_headers(recipe: Recipe) -> bool:
    """Whether the first step promotes the first row of a CSV file or a sheet that has no names otherwise."""
    source = recipe.source
    if not recipe.steps or not isinstance(recipe.steps[0], PromoteHeaders):
        return False
    if isinstance(source, CsvFile):
        return source.column_names is None
    return isinstance(source, ExcelTable) and source.kind == "Sheet" and not source.has_headers


def file_format(recipe: Recipe) -> FileFormat | None:
    """
    How the file of *recipe* is read; None if its source is no file.

    Raises:
        ExpressionNotSupportedError: a defined name of a workbook.
        SourceError: an encoding that is not read.
    """
    source = recipe.source
    if isinstance(source, CsvFile):
        return CsvFormat(
            delimiter=source.delimiter,
            encoding=codec_of(source.encoding),
            has_quoted_line_breaks=source.has_quoted_line_breaks,
            has_header=promotes_headers(recipe),
            column_names=source.column_names,
            column_count=source.column_count,
        )
    if isinstance(source, ParquetFile):
        return ParquetFormat()
    if isinstance(source, ExcelTable):
        if source.kind == "DefinedName":
            raise refused(_READER, f"the defined name {source.item}")
        has_header = source.has_headers or promotes_headers(recipe)
        return ExcelFormat(item=source.item, kind=source.kind, has_header=has_header)
    return None
