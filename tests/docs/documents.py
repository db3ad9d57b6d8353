"""The documents of the repository, cut into what the tests compare: headings, tables, blocks of code, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCS = REPOSITORY / "docs"

_FENCE = re.compile(r"```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; *caption* is the line of text above it."""

    language: str
    text: str
    caption: str


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    return [
        Block(match["language"], match["text"], text[: match.start()].rstrip().rpartition("\n")[2])
        for match in _FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """The document without its blocks of code."""
    return _FENCE.sub("", text)


def tables(text: str) -> list[list[dict[str, str]]]:
    """Each table as a list of rows, a row by the headers of its columns. Bars inside code are written ``\\|``."""
    found: list[list[dict[str, str]]] = []
    for part in re.split(r"\n(?!\|)", prose(text)):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        if len(lines) > 2 and set(lines[1]) <= set("|- :"):
            header = _cells(lines[0])
            found.append([dict(zip(header, _cells(line), strict=True)) for line in lines[2:]])
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def anchors(text: str) -> set[str]:
    """What a link may name in the document, by GitHub's rule."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        for heading in _HEADING.findall(prose(text))
    }


def links(text: str) -> list[str]:
    return _LINK.findall(prose(text))


def section(text: str, heading: str) -> str:
    """The part of *text* under ``## heading``, up to the next heading of the same depth."""
    match = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"there is no section {heading!r}"
    return match[1]
