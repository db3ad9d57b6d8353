r"""
The MDX script of an XML model: its measures and its indicators.

::

    CREATE MEASURE 'Sales'[Amount] = SUM(Sales[Value]);
    CREATE KPI CURRENTCUBE.[Amount] AS Measures.[Amount], ASSOCIATED_MEASURE_GROUP = 'Sales',
        GOAL = Measures.[_Amount Goal], STATUS = Measures.[_Amount Status], STATUS_GRAPHIC = 'Traffic Light - Single';

Statements end with a semicolon that stands outside texts, names and comments. The names of goal, status and trend are
those of hidden measures in the same script. ``CALCULATE``, and ``CREATE MEMBER`` and ``ALTER CUBE`` that only set up
the default measure, are in every script.

Source: [MS-SSAS-T] 2.2.2.2.1 (measures); the scripts of the genuine workbooks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN: Final = re.compile(
    r"""
      (?P<comment> (?:--|//)[^\n]* | /\*(?s:.*?)\*/ )
    | (?P<text> "(?:[^"]|"")*" | '(?:[^']|'')*' | \[(?:[^\]]|\]\])*\] )
    | (?P<end> ; )
    | (?P<open> /\* | ["'\[] )
    | (?P<other> [^-/"'\[;]+ | [-/] )
    """,
    re.VERBOSE,
)
"""*open* is the beginning of what never ends. Such a script is refused at once: to look for the end could take long."""

_NAME: Final = r"(?:\[(?:[^\]]|\]\])*\]|'(?:[^']|'')*'|\w+)"
_PATH: Final = rf"(?:{_NAME}\s*\.\s*)*{_NAME}"
_MEASURE: Final = re.compile(
    rf"CREATE\s+MEASURE\s+(?:CURRENTCUBE\s*\.\s*)?(?P<table>{_NAME})(?:\s*\.)?\s*"
    r"(?P<name>\[(?:[^\]]|\]\])*\])\s*=(?P<expression>.*)",
    re.IGNORECASE | re.DOTALL,
)
_KPI: Final = re.compile(rf"CREATE\s+KPI\s+(?P<name>{_PATH})\s+AS\s+[^,]+(?:,(?P<rest>.*))?", re.IGNORECASE | re.DOTALL)
_KPI_PROPERTY: Final = re.compile(rf"\s*(\w+)\s*=\s*(-?\d+(?:\.\d+)?|{_PATH})\s*(?:,|$)")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_LAST_NAME: Final = re.compile(rf"(?:{_NAME}\s*\.\s*)*(?P<last>{_NAME})")
_EVERYWHERE: Final = re.compile(r"CALCULATE|CREATE\s+MEMBER\s|ALTER\s+CUBE\s", re.IGNORECASE)
"""None of these patterns can match a text in two ways, so none takes longer than the text is long."""


@dataclass(frozen=True, slots=True)
class ScriptMeasure:
    """A measure, and the table it belongs to by its name."""

    table: str
    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class ScriptKpi:
    """An indicator of the measure *name*. *properties* are texts by their names in capitals, without quotes."""

    name: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Script:
    """What scripts define. *others* are the beginnings of statements that are none of it."""

    measures: tuple[ScriptMeasure, ...]
    kpis: tuple[ScriptKpi, ...]
    others: tuple[str, ...]


def parse(texts: Sequence[str], *, file: str) -> Script:
    """
    Read the commands of a script.

    Raises:
        FormatError: a text, a name or a comment does not end, or a measure is not written as above.
    """
    measures, kpis, others = [], [], []
    for text in texts:
        for statement in _statements(text, file=file):
            measure = _MEASURE.fullmatch(statement)
            kpi = _KPI.fullmatch(statement)
            if measure is not None:
                table, name = name_of(measure["table"]), name_of(measure["name"])
                measures.append(ScriptMeasure(table, name, measure["expression"].strip()))
            elif kpi is not None:
                kpis.append(ScriptKpi(name_of(kpi["name"]), _properties(kpi["rest"] or "")))
            elif re.match(r"CREATE\s+MEASURE\b", statement, re.IGNORECASE):
                raise FormatError(f"measure is not written as one: {statement[:80]!r}", file=file)
            elif not _EVERYWHERE.match(statement):
                others.append(" ".join(statement[:60].split()))
    return Script(tuple(measures), tuple(kpis), tuple(others))


def name_of(path: str) -> str:
    """The last name of a path without its quotes or brackets: ``Measures.[a]]b]`` gives ``a]b``."""
    match = _LAST_NAME.fullmatch(path.strip())
    if match is None or _NUMBER.fullmatch(path.strip()):
        return path.strip()
    name = match["last"]
    if name[0] == "[":
        return name[1:-1].replace("]]", "]")
    return name[1:-1].replace("''", "'") if name[0] == "'" else name


def _statements(text: str, *, file: str) -> Iterator[str]:
    """Statements without their semicolons, and without comments in front of them."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "every character begins a token"
        position = token.end()
        if token.lastgroup == "open":
            raise FormatError(f"a text, name or comment that begins with {token[0]} does not end", file=file)
        if token.lastgroup == "end":
            yield from _statement(parts)
            parts = []
        elif parts or token.lastgroup != "comment":
            parts.append(token[0] if parts else token[0].lstrip())
            if not parts[0]:
                parts.clear()
    yield from _statement(parts)


def _statement(parts: list[str]) -> Iterator[str]:
    statement = "".join(parts).strip()
    if statement:
        yield statement


def _properties(text: str) -> dict[str, str]:
    """Properties up to the first one that is something else than a name or a path of names."""
    found = {}
    position = 0
    while match := _KPI_PROPERTY.match(text, position):
        found[match[1].upper()] = name_of(match[2])
        position = match.end()
    return found
