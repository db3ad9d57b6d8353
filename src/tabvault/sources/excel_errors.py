"""
Cells of a worksheet that hold an error, such as ``#N/A``: the reader of workbooks gives them as blank ones.

Power Query refuses to load such a cell. So they are looked for in the sheet's own part, ``<c r="C7" t="e">``, before
anything else is made of it. The part is found by way of the workbook: ``xl/workbook.xml`` names the sheets and their
relationships, ``xl/_rels/workbook.xml.rels`` says where these lead.

Source: ECMA-376 part 1, 18.2.19 (sheet), 18.3.1.4 (c); part 2, relationships.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from tabvault.formats import safe_xml

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_WORKBOOK: Final = "xl/workbook.xml"
_LINKS: Final = "xl/_rels/workbook.xml.rels"
_LINK_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_LINK_ID: Final = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"

_ERROR_CELL: Final = re.compile(rb"""<(?:\w+:)?c\s[^<>]*?\bt\s*=\s*["']e["'][^<>]*>""")
_PLACE: Final = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")
_BLOCK_BYTE_COUNT: Final = 1 << 20
_TAG_BYTE_COUNT_MAX: Final = 1 << 10


def error_cells(package: zipfile.ZipFile, sheet: str) -> Iterator[tuple[int, int]]:
    """
    Row and column, both from 0, of every cell of *sheet* that holds an error.

    Raises:
        FormatError: the parts that lead to the sheet are no XML.
        KeyError: a part is not there.
    """
    with package.open(_part(package, sheet)) as part:
        rest = b""
        while block := part.read(_BLOCK_BYTE_COUNT):
            block = rest + block
            end = 0
            for found in _ERROR_CELL.finditer(block):
                end = found.end()
                place = _PLACE.search(found[0])
                if place is not None:
                    yield int(place[2]) - 1, _column(place[1])
            rest = block[max(end, len(block) - _TAG_BYTE_COUNT_MAX) :]


def _part(package: zipfile.ZipFile, sheet: str) -> str:
    """The name of the part that holds *sheet*."""
    workbook = safe_xml.parse(safe_xml.text_of(package.read(_WORKBOOK), file=_WORKBOOK), file=_WORKBOOK)
    links = safe_xml.parse(safe_xml.text_of(package.read(_LINKS), file=_LINKS), file=_LINKS)
    targets = {link.get("Id"): link.get("Target", "") for link in links.iterfind("{*}Relationship")}
    for entry in workbook.iterfind("{*}sheets/{*}sheet"):
        if entry.get("name") == sheet:
            target = targets[entry.get(_LINK_ID) or entry.get(_STRICT_LINK_ID)]
            return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    raise KeyError(sheet)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
