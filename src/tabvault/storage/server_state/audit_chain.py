"""
The chain that the lines of the audit log are: what a check of it finds, and what a break means.

A line holds the digest of the one before (:mod:`~tabvault.storage.server_state.audit_line`). So a break shows at the
line *behind* what was done, and says that one of the two is not what was written:

===============================  ========================================  ===================================
sequence                         digest of the line before                 what was done
===============================  ========================================  ===================================
one more than before             another                                   one of the two lines was changed
more than one more               another                                   lines between were removed or moved
not more than before             another                                   lines were inserted or moved
not one more                     the right one                             the last line was changed, or lines
                                                                           were written anew with their digests
===============================  ========================================  ===================================

No chain shows that its newest lines are gone, nor that all of it was written anew by who may write the files. Both show
against a :class:`NotedLine`: the digest of a line that was kept elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.storage.server_state.audit_line import (
    FIRST_PREVIOUS,
    LINE_BYTE_COUNT_MAX,
    AuditLine,
    line_digest,
    parse_line,
)

if TYPE_CHECKING:
    import datetime

FAULT_COUNT_MAX: Final = 100
"""So many faults are told of one by one."""

_CHANGED: Final = "this line or the one before is not the one that was written"
_REMOVED: Final = "lines that stood before this one were removed, or moved behind it"
_MOVED: Final = "this line was inserted here, or lines were moved or removed"
_RENUMBERED: Final = "this line is not the one that was written, or lines were written anew with their digests"
_NO_LINE: Final = "this line was changed or inserted, or the disk damaged it; what stood here is lost"
_UNFINISHED: Final = (
    "the end of the log was cut off, or a crash tore the line that was being written: the server sets such a rest "
    "aside before it writes the next line"
)
_CUT: Final = "the end of this file was cut off, or damaged"
_NOTED_CHANGED: Final = "this line, or one before it, was changed since, and the lines behind it were written anew"
_NOTED_REMOVED: Final = "the newest lines were removed, or an older copy of the log was put back"
_NOTED_ARCHIVED: Final = "the files with it are not here: the log can be compared where they were moved to"
_NOTED_LOST: Final = "it was removed or changed"


@dataclass(frozen=True, slots=True)
class NotedLine:
    """A line that was noted elsewhere: its sequence, and its digest in hexadecimal."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class AuditFault:
    """
    A place where the chain breaks.

    Attributes:
        file: its name; None for a line that is missing.
        line: in the file, from 1; None for one that is missing.
        message: what is there.
        meaning: what was done to the log, as far as that can be known.
    """

    file: str | None
    line: int | None
    message: str
    meaning: str

    def __str__(self) -> str:
        return self.message if self.file is None else f"{self.file} line {self.line} {self.message}"


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """
    What the chain of the log is like.

    Attributes:
        file_count: files of the log.
        line_count: lines that are there.
        first_sequence: of the first line; over 1 when older files were removed; 0 without lines.
        last_sequence: of the last line.
        first_time: when the first line was written; None without lines.
        last_time: when the last one was.
        head: digest of the last line: noted elsewhere, it proves later that nothing up to it was changed.
        fault_count: places where the chain breaks.
        faults: the first :data:`FAULT_COUNT_MAX` of them.
    """

    file_count: int
    line_count: int
    first_sequence: int
    last_sequence: int
    first_time: datetime.datetime | None
    last_time: datetime.datetime | None
    head: str
    fault_count: int
    faults: tuple[AuditFault, ...]

    @property
    def ok(self) -> bool:
        """Whether the chain is whole."""
        return self.fault_count == 0


class ChainCheck:
    """
    Goes over the lines of all files in their order, one line in memory at a time.

    Args:
        noted: a line that has to be there as it was.
    """

    def __init__(self, noted: NotedLine | None = None) -> None:
        self._noted = noted
        self._has_noted = False
        self._file_count = 0
        self._line_count = 0
        self._sequence = 0
        self._digest = FIRST_PREVIOUS
        self._first: AuditLine | None = None
        self._last: AuditLine | None = None
        self._fault_count = 0
        self._faults: list[AuditFault] = []

    def file(self, name: str, descriptor: int, byte_count: int, *, is_last: bool) -> None:
        """Look at the first *byte_count* bytes of a file."""
        self._file_count += 1
        with os.fdopen(os.dup(descriptor), "rb") as file:
            number = 0
            while file.tell() < byte_count and (line := file.readline(LINE_BYTE_COUNT_MAX)):
                number += 1
                if line.endswith(b"\n"):
                    self._line(name, number, line[:-1])
                    continue
                is_long = len(line) == LINE_BYTE_COUNT_MAX
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_BYTE_COUNT_MAX)
                if is_long:
                    self._fault(name, number, "is longer than a line can be", _NO_LINE)
                else:
                    self._fault(name, number, "has no end", _UNFINISHED if is_last else _CUT)

    def result(self) -> AuditCheck:
        """What was found."""
        if self._noted is not None and not self._has_noted:
            self._miss(self._noted)
        return AuditCheck(
            file_count=self._file_count,
            line_count=self._line_count,
            first_sequence=0 if self._first is None else self._first.sequence,
            last_sequence=self._sequence,
            first_time=None if self._first is None else self._first.time,
            last_time=None if self._last is None else self._last.time,
            head=self._digest,
            fault_count=self._fault_count,
            faults=tuple(self._faults),
        )

    def _line(self, name: str, number: int, data: bytes) -> None:
        line, digest = parse_line(data), line_digest(data)
        self._line_count += 1
        if line is None:
            self._fault(name, number, "is not one of an audit log", _NO_LINE)
            self._sequence += 1
        else:
            self._compare(name, number, line)
            self._look_for_noted(name, number, line, digest)
            self._first = self._first or line
            self._last = line
            self._sequence = line.sequence
        self._digest = digest

    def _compare(self, name: str, number: int, line: AuditLine) -> None:
        """A line with what stands before it."""
        is_begin = self._line_count == 1
        if is_begin and line.sequence > 1:
            return  # the chain begins later: older files are not here
        follows = line.sequence == self._sequence + 1
        if line.previous == self._digest and follows:
            return
        if line.previous == self._digest:
            self._fault(name, number, f"has sequence {line.sequence} behind {self._sequence}", _RENUMBERED)
        elif is_begin:
            self._fault(name, number, f"has sequence 1, and digest {line.previous:.64} before it", _CHANGED)
        elif follows:
            message = f"holds digest {line.previous:.64} of the line before, which has {self._digest}"
            self._fault(name, number, message, _CHANGED)
        else:
            meaning = _REMOVED if line.sequence > self._sequence else _MOVED
            message = f"has sequence {line.sequence} behind {self._sequence}, and not the digest of that line"
            self._fault(name, number, message, meaning)

    def _look_for_noted(self, name: str, number: int, line: AuditLine, digest: str) -> None:
        noted = self._noted
        if noted is None or self._has_noted or line.sequence != noted.sequence:
            return
        self._has_noted = True
        if digest != noted.digest:
            self._fault(name, number, f"has digest {digest}, and {noted.digest} was noted", _NOTED_CHANGED)

    def _miss(self, noted: NotedLine) -> None:
        if noted.sequence > self._sequence:
            meaning = _NOTED_REMOVED
        elif self._first is not None and noted.sequence < self._first.sequence:
            meaning = _NOTED_ARCHIVED
        else:
            meaning = _NOTED_LOST
        message = f"the line of sequence {noted.sequence}, which was noted, is not in the log"
        self._fault(None, None, f"{message}; its last has {self._sequence}", meaning)

    def _fault(self, name: str | None, number: int | None, message: str, meaning: str) -> None:
        self._fault_count += 1
        if len(self._faults) < FAULT_COUNT_MAX:
            self._faults.append(AuditFault(name, number, message, meaning))
