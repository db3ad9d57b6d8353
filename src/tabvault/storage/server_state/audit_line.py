"""
A line of the audit log: one JSON object in ASCII, of at most :data:`LINE_BYTE_COUNT_MAX` bytes with its line feed.

==============  ======  ==========================================================================================
key             type    content
==============  ======  ==========================================================================================
sequence        number  1 for the first line; one more for each that follows, over all files
time            text    ISO 8601, UTC
phase           text    ``begin`` and ``end`` of an operation, or ``event`` for what has no duration
begin           number  of an ``end``: sequence of its ``begin``; else null
who             text    the user, by the name that he gave; null if he gave none
authentication  text    ``basic``, ``api_key``, ``bearer``, ``local``; null
address         text    of the client; null for the machine itself
interface       text    ``xmla``, ``rest``, ``cli``, ``schedule``
operation       text    ``backup``, ``restore``, ``drop``, ``alter``, ``login``, …
object          text    database, file or user that it is about; null
options         object  through :mod:`~tabvault.storage.server_state.recorded_options`: no secrets
result          text    ``success`` or ``failure``; null in a ``begin``
code            text    of a failure: a code of :mod:`tabvault.errors`; else null
job             text    id of the job; null
duration_s      number  of an ``end``: seconds since its ``begin``; else null
previous        text    SHA-256 of the line before without its line feed, in hexadecimal; of the first: 64 zeros
==============  ======  ==========================================================================================
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from tabvault.storage.server_state.recorded_options import recorded_options, recorded_text

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_BYTE_COUNT_MAX: Final = 1 << 17
"""Eight texts of the greatest length, each character escaped as twelve, and the rest."""

FIRST_PREVIOUS: Final = "0" * 64

Phase = Literal["begin", "end", "event"]


@dataclass(frozen=True, slots=True)
class AuditAction:
    """
    What is about to be done, and by whom; the table of this module says what the fields mean.

    Texts are bounded and options pass through the allowlist when a line is made of it.
    """

    operation: str
    who: str | None = None
    authentication: str | None = None
    address: str | None = None
    interface: str = "cli"
    object: str | None = None
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A line as it was read; the table of this module says what the fields mean."""

    sequence: int
    time: datetime.datetime
    phase: Phase
    begin: int | None
    who: str | None
    authentication: str | None
    address: str | None
    interface: str
    operation: str
    object: str | None
    options: Mapping[str, Any]
    result: Literal["success", "failure"] | None
    code: str | None
    job: str | None
    duration_s: float | None
    previous: str


def line_bytes(
    action: AuditAction,
    *,
    sequence: int,
    previous: str,
    time: datetime.datetime,
    phase: Phase,
    begin: int | None = None,
    code: str | None = None,
    job: str | None = None,
    duration_s: float | None = None,
) -> bytes:
    """The bytes of a line, its line feed included."""
    members = {
        "sequence": sequence,
        "time": time.astimezone(datetime.UTC).isoformat(timespec="microseconds"),
        "phase": phase,
        "begin": begin,
        "who": _text(action.who),
        "authentication": _text(action.authentication),
        "address": _text(action.address),
        "interface": recorded_text(action.interface),
        "operation": recorded_text(action.operation),
        "object": _text(action.object),
        "options": recorded_options(action.options or {}),
        "result": None if phase == "begin" else "success" if code is None else "failure",
        "code": _text(code),
        "job": _text(job),
        "duration_s": duration_s,
        "previous": previous,
    }
    line = _encoded(members)
    if len(line) > LINE_BYTE_COUNT_MAX:
        line = _encoded({**members, "options": {"left_out": f"{len(action.options or {})} options"}})
    return line


def parse_line(line: bytes) -> AuditLine | None:
    """The line of these bytes without line feed; None if :func:`line_bytes` does not make such."""
    try:
        members = json.loads(line.decode("ascii"))
        if not isinstance(members, dict) or tuple(members) != _KEYS:
            return None
        time = datetime.datetime.fromisoformat(members["time"])
        parsed = AuditLine(**{**members, "time": time})
        return parsed if _is_line(parsed) else None
    except (ValueError, TypeError, RecursionError):
        return None


def line_digest(line: bytes) -> str:
    """What the next line holds as ``previous``; *line* comes without its line feed."""
    return hashlib.sha256(line).hexdigest()


_KEYS: Final = tuple(field.name for field in fields(AuditLine))


def _encoded(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode("ascii") + b"\n"


def _text(text: str | None) -> str | None:
    return None if text is None else recorded_text(text)


def _is_line(line: AuditLine) -> bool:
    texts = (line.who, line.authentication, line.address, line.object, line.code, line.job)
    return (
        _is_number(line.sequence)
        and 0 < line.sequence < 1 << 63
        and line.time.utcoffset() == datetime.timedelta()
        and 1 < line.time.year < 9999  # so that every time zone has it
        and line.phase in {"begin", "end", "event"}
        and (line.begin is None or _is_number(line.begin))
        and all(text is None or isinstance(text, str) for text in texts)
        and all(isinstance(text, str) for text in (line.interface, line.operation, line.previous))
        and isinstance(line.options, dict)
        and line.result in {"success", "failure", None}
        and (line.duration_s is None or isinstance(line.duration_s, float | int))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
