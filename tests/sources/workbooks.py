"""Workbooks written out by hand from ECMA-376: cells of each type, styles for dates, a table."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"

STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="4">'
    '<xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/>'
    '<xf numFmtId="21" applyNumberFormat="1"/></cellXfs></styleSheet>'
)
"""Style 1 shows a number as a date, 2 as a date with a time, 3 as a time."""


class Date(float):
    """A serial number that is shown as a date."""


class DateTime(float):
    """A serial number that is shown as a date and a time."""


class Time(float):
    """A fraction of a day that is shown as a time."""


class Failure(str):
    """An error in a cell."""

    __slots__ = ()


def write_workbook(
    path: Path,
    sheets: Mapping[str, Sequence[Sequence[object]]],
    *,
    tables: Mapping[str, tuple[str, str, Sequence[str]]] | None = None,
) -> None:
    """*tables*: name -> (sheet, reference such as ``B2:C4``, names of columns); they are on the first sheet."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        types = "".join(
            f'<Override PartName="/{part}" ContentType="{SPREADSHEET}.{kind}+xml"/>'
            for part, kind in [
                ("xl/workbook.xml", "sheet.main"),
                ("xl/styles.xml", "styles"),
                *((f"xl/worksheets/sheet{number}.xml", "worksheet") for number in range(1, len(sheets) + 1)),
                *((f"xl/tables/table{number}.xml", "table") for number in range(1, len(tables or {}) + 1)),
            ]
        )
        rels = "application/vnd.openxmlformats-package.relationships+xml"
        package.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="{rels}"/>{types}</Types>',
        )
        package.writestr("_rels/.rels", _relationships([("officeDocument", "xl/workbook.xml")]))
        listed = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
            for number, name in enumerate(sheets, 1)
        )
        package.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheets>{listed}</sheets></workbook>',
        )
        parts = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)]
        package.writestr("xl/_rels/workbook.xml.rels", _relationships([*parts, ("styles", "styles.xml")]))
        package.writestr("xl/styles.xml", STYLES)
        for number, rows in enumerate(sheets.values(), 1):
            cells = "".join(
                f'<row r="{row}">'
                + "".join(_cell(value, row, column) for column, value in enumerate(values))
                + "</row>"
                for row, values in enumerate(rows, 1)
            )
            package.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheetData>{cells}</sheetData></worksheet>',
            )
        if tables:
            links = [("table", f"../tables/table{number}.xml") for number in range(1, len(tables) + 1)]
            package.writestr("xl/worksheets/_rels/sheet1.xml.rels", _relationships(links))
        for number, (name, (_sheet, reference, columns)) in enumerate((tables or {}).items(), 1):
            inner = "".join(
                f'<tableColumn id="{index}" name={quoteattr(column)}/>' for index, column in enumerate(columns, 1)
            )
            package.writestr(
                f"xl/tables/table{number}.xml",
                f'<table xmlns="{MAIN}" id="{number}" name={quoteattr(name)} displayName={quoteattr(name)}'
                f' ref="{reference}" headerRowCount="1"><tableColumns count="{len(columns)}">{inner}</tableColumns>'
                "</table>",
            )


def _relationships(targets: Sequence[tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{RELATIONSHIPS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'


def _cell(value: object, row: int, column: int) -> str:
    place = f"{chr(65 + column)}{row}"
    match value:
        case None:
            return ""
        case Failure():
            return f'<c r="{place}" t="e"><v>{value}</v></c>'
        case bool():
            return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        case Date():
            return f'<c r="{place}" s="1"><v>{float(value)!r}</v></c>'
        case DateTime():
            return f'<c r="{place}" s="2"><v>{float(value)!r}</v></c>'
        case Time():
            return f'<c r="{place}" s="3"><v>{float(value)!r}</v></c>'
        case _:
            return f'<c r="{place}"><v>{value!r}</v></c>'
