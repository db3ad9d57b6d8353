"""
Files as sources of rows: the path of ``File.Contents``, and the options of ``Csv.Document`` and ``Excel.Workbook``.

Source: the pages of these functions in the M reference; genuine models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.power_query import syntax
from tabvault.model.power_query.environment import NotConstantError, described, refused
from tabvault.model.power_query.recipe import CsvFile

if TYPE_CHECKING:
    from tabvault.model.power_query.environment import Constant, Located

_UTF_8: Final = 65001
_ENCODINGS: Final = {
    "TextEncoding.Utf8": 65001,
    "TextEncoding.Utf16": 1200,
    "TextEncoding.Unicode": 1200,
    "TextEncoding.Windows": 1252,
    "TextEncoding.Ascii": 20127,
}
_CODE_PAGES: Final = frozenset({65001, 1200, 1250, 1251, 1252, 20127, 28591})
_COLUMN_COUNT_MAX: Final = 16_384


def file_path(argument: Located, step: str) -> str:
    """
    The path in ``File.Contents(path)``.

    Raises:
        ExpressionNotSupportedError: the bytes come from elsewhere (``Web.Contents``, …).
    """
    here = argument.settled()
    call = here.call()
    if call is None or call[0] != "File.Contents" or len(call[1]) != 1:
        raise refused(step, f"{described(here)} where File.Contents is expected")
    try:
        path = call[1][0].constant()
    except NotConstantError as problem:
        raise refused(step, f"a path from {problem.what}") from None
    if not isinstance(path, str) or not path or "\0" in path:
        raise refused(step, "a path that is no text")
    return path


def csv_file(arguments: tuple[Located, ...], step: str) -> CsvFile:
    """
    ``Csv.Document(source, [options])`` or ``Csv.Document(source, columns, delimiter, extraValues, encoding)``.

    Raises:
        ExpressionNotSupportedError: an option whose effect is not known exactly.
    """
    if not 1 <= len(arguments) <= 5:
        raise refused(step, f"Csv.Document with {len(arguments)} arguments")
    path = file_path(arguments[0], step)
    options: dict[str, Constant] = {}
    second = arguments[1].settled() if len(arguments) > 1 else None
    if second is not None and isinstance(second.expression, syntax.RecordExpression):
        if len(arguments) > 2:
            raise refused(step, "Csv.Document with options in two places")
        for name, value in second.expression.fields:
            options[name] = _option(name, second.at(value), step)
    else:
        names = ("Columns", "Delimiter", "ExtraValues", "Encoding")
        for name, argument in zip(names, arguments[1:], strict=False):
            options[name] = _option(name, argument, step)
    return _csv_file(path, {name: value for name, value in options.items() if value is not None}, step)


def _option(name: str, argument: Located, step: str) -> Constant:
    here = argument.settled()
    enumerated = here.library_name()
    if enumerated is not None and enumerated.startswith(("QuoteStyle.", "CsvStyle.", "TextEncoding.")):
        return _ENCODINGS.get(enumerated, enumerated)
    try:
        return here.constant()
    except NotConstantError as problem:
        raise refused(step, f"Csv.Document with the option {name} from {problem.what}") from None


def _csv_file(path: str, options: dict[str, Constant], step: str) -> CsvFile:
    delimiter = options.pop("Delimiter", ",")
    columns = options.pop("Columns", None)
    encoding = options.pop("Encoding", _UTF_8)
    quote_style = options.pop("QuoteStyle", "QuoteStyle.Csv")
    csv_style = options.pop("CsvStyle", "CsvStyle.QuoteAfterDelimiter")
    if options:
        raise refused(step, f"Csv.Document with the option {next(iter(options))}")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise refused(step, f"Csv.Document with the delimiter {str(delimiter)[:20]!r}")
    if encoding not in _CODE_PAGES or isinstance(encoding, bool):
        raise refused(step, f"Csv.Document with the encoding {str(encoding)[:40]}")
    if quote_style not in ("QuoteStyle.Csv", "QuoteStyle.None", 0, 1) or isinstance(quote_style, bool):
        raise refused(step, f"Csv.Document with the quote style {str(quote_style)[:40]}")
    if csv_style not in ("CsvStyle.QuoteAfterDelimiter", 0) or isinstance(csv_style, bool):
        raise refused(step, f"Csv.Document with {str(csv_style)[:40]}")
    names = _names(columns)
    if names is None and columns is not None and not _is_count(columns):
        raise refused(step, "Csv.Document with columns that are neither a number nor a list of names")
    count = len(names) if names is not None else columns if isinstance(columns, int) else None
    has_quoted_line_breaks = quote_style in ("QuoteStyle.Csv", 1)
    return CsvFile(path, delimiter, count, names, int(str(encoding)), has_quoted_line_breaks)


def _is_count(columns: Constant) -> bool:
    return isinstance(columns, int) and not isinstance(columns, bool) and 1 <= columns <= _COLUMN_COUNT_MAX


def _names(columns: Constant) -> tuple[str, ...] | None:
    if not isinstance(columns, tuple) or not columns or not all(isinstance(one, str) for one in columns):
        return None
    names = tuple(one for one in columns if isinstance(one, str))
    return names if len(set(names)) == len(names) else None


def excel_headers(arguments: tuple[Located, ...], step: str) -> bool:
    """
    Whether the first row is the names: ``useHeaders``, alone or as a field of an options record.

    ``delayTypes`` only says whether the columns claim a type; the values are the same.

    Raises:
        ExpressionNotSupportedError: an option whose effect is not known.
    """
    try:
        values = [argument.constant() for argument in arguments]
    except NotConstantError as problem:
        raise refused(step, f"Excel.Workbook with {problem.what}") from None
    use_headers = values[0] if values else None
    if isinstance(use_headers, dict):
        unknown = [name for name in use_headers if name not in ("UseHeaders", "DelayTypes", "InferSheetDimensions")]
        if unknown:
            raise refused(step, f"Excel.Workbook with the option {unknown[0]}")
        use_headers = use_headers.get("UseHeaders")
    if use_headers is not None and not isinstance(use_headers, bool):
        raise refused(step, "Excel.Workbook with useHeaders that is neither true nor false")
    return bool(use_headers)
