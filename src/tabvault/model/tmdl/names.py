"""
Names of objects, and references made of them: ``Total``, ``'Sales Amount'``, ``'Sales 2024'.'Sales Amount'``.

A name that holds white space, ``. = : '`` or nothing is put in single quotes; a quote in it is doubled. A colon within
a name is taken without quotes too: the public tabular object model writes such names.

Source: learn.microsoft.com, "Tabular Model Definition Language (TMDL)".
"""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = r"'(?:[^']|'')*'"
NAME: Final = rf"(?:{_QUOTED}|[^\s'=.:](?:[^\s'=.]*[^\s'=.:])?)"
"""Regular expression of one name as it is written."""

_PATH: Final = re.compile(rf"(?P<first>{NAME})(?:\.(?P<second>{NAME}))?")


def unquoted_name(written: str) -> str:
    """The name that *written* says."""
    if written.startswith("'"):
        return written[1:-1].replace("''", "'")
    return written


def referred_names(written: str) -> tuple[str, ...] | None:
    """The one or two names of a reference, outermost first; None when it is none."""
    found = _PATH.fullmatch(written)
    if found is None:
        return None
    return tuple(unquoted_name(name) for name in found.group("first", "second") if name is not None)
