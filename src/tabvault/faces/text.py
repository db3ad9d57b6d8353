r"""
Text for a person or for a pipe: escaped so that it cannot act on a terminal, and numbers with units.

Names and values come from backups, and a backup is hostile input: an escape sequence in a table's name could rewrite
the screen, a line break could forge an output line, a reordering character could make ``txt.exe`` read as ``exe.txt``.
What does not show is written as it would stand in a program: ``\n``, ``\x1b``, ``\u202e``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime

_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

UNSHOWN: Final = (
    "\x00-\x1f\x7f-\x9f"  # control characters, C1 (8-bit escape sequences) included
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # reorder the text around them
    "\u2028\u2029"  # line and paragraph separator
    "\ud800-\udfff\ufeff\ufffe\uffff"  # surrogates, byte order mark, noncharacters
)
"""What never reaches a terminal raw, as the inside of a character class of a regular expression."""

_UNSHOWN: Final = re.compile(f"[{UNSHOWN}]")
_UNSHOWN_OR_BACKSLASH: Final = re.compile(rf"[\\{UNSHOWN}]")


def printable(text: str) -> str:
    """*text* on one line, with what a terminal would act on escaped. For people: a backslash stays one."""
    return _UNSHOWN.sub(_escaped, text)


def field(text: str) -> str:
    r"""*text* as a field of a tab-separated line. For programs: a backslash is doubled, so nothing is ambiguous."""
    return _UNSHOWN_OR_BACKSLASH.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":
        return "\\\\"
    code_point = ord(character)
    return _SHORT.get(character) or (f"\\x{code_point:02x}" if code_point < 0x100 else f"\\u{code_point:04x}")


def byte_size(byte_count: float) -> str:
    """``17 B``, ``1.2 MiB``, ``340 GiB``: three digits or so."""
    if byte_count < 1024:
        return f"{byte_count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        byte_count /= 1024
        if byte_count < 1024 or unit == "TiB":
            break
    return f"{byte_count:.0f} {unit}" if byte_count >= 99.95 else f"{byte_count:.1f} {unit}"


def quantity(count: int, noun: str) -> str:
    """``1 row``, ``12,345 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """``0.4 s``, ``75 s``, ``3 min 20 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def local_time(moment: datetime.datetime) -> str:
    """A moment in the time zone of this machine, to the minute: ``2026-01-31 18:05``."""
    return moment.astimezone().replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
