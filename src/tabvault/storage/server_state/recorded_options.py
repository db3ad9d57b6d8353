"""
Which options of a command are written down, in job records and the audit log.

A secret must not get there by being forgotten in a list of secrets, so the list is of what *may* be written: of any
other option only its name is kept. Values are made small, and a text that holds an address loses the parts of it in
which credentials travel (``user:password@``, the query with its signature).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED_OPTIONS: Final = frozenset(
    [
        "account",
        "apply_compression",
        "compatibility_level",
        "compress",
        "container",
        "database",
        "direct_query_row_count_max",
        "enabled",
        "encrypted",
        "file",
        "folder",
        "force",
        "format",
        "ignore_incompatibilities",
        "keep_calculated",
        "name",
        "objects",
        "overwrite",
        "read_write_mode",
        "scope",
        "security",
        "table",
        "to",
        "type",
        "user",
    ]
)
"""The options whose values are no secrets. A password is none of them: ``encrypted`` says whether there was one."""

WITHHELD: Final = "(not recorded)"
"""Stands for the value of every other option."""

TEXT_LENGTH_MAX: Final = 1024
"""The longest name of a file or database fits; what is longer ends with ``…``."""

ITEM_COUNT_MAX: Final = 100
OPTION_COUNT_MAX: Final = 50

_ADDRESS: Final = re.compile(r"://(?:\S*@)?(?P<path>[^?#\s]*)(?P<query>[?#]\S*)?")
"""An address behind its scheme. A password may hold any character, so all up to the last ``@`` may be part of it."""


def recorded_options(options: Mapping[str, object]) -> dict[str, object]:
    """What is written down of *options*: JSON values, bounded, and nothing that may be a secret."""
    kept = list(options.items())[:OPTION_COUNT_MAX]
    return {name[:64]: _recorded(value) if name in RECORDED_OPTIONS else WITHHELD for name, value in kept}


def recorded_text(text: str) -> str:
    """*text* without credentials in addresses, valid Unicode, and not longer than :data:`TEXT_LENGTH_MAX`."""
    # Cut before the search as well, so that its time is bounded, and far enough that nothing kept depends on the rest.
    text = (
        text[: 4 * TEXT_LENGTH_MAX].encode(errors="backslashreplace").decode()
    )  # names of files bring along surrogates
    text = _ADDRESS.sub(_without_credentials, text)
    return text if len(text) <= TEXT_LENGTH_MAX else text[: TEXT_LENGTH_MAX - 1] + "…"


def _recorded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return recorded_text(value)
    if isinstance(value, list | tuple):
        return [
            item if isinstance(item, bool | int | float) else recorded_text(str(item))
            for item in value[:ITEM_COUNT_MAX]
        ]
    return WITHHELD


def _without_credentials(match: re.Match[str]) -> str:
    return f"://{match['path']}{'?…' if match['query'] else ''}"
