"""
Reading the files of the audit log: from the end, and as the chain that they are.

Memory is bounded whatever the files hold: a line that is longer than ours can be is not read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.storage.server_state.audit_line import FIRST_PREVIOUS, LINE_BYTE_COUNT_MAX, line_digest, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULT_COUNT_MAX: Final = 100
"""So many faults are told of one by one."""

_BLOCK_BYTE_COUNT: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """
    What the chain of the log is like.

    Attributes:
        line_count: lines that are there.
        first_sequence: of the first line; over 1 when older files were removed; 0 without lines.
        last_sequence: of the last line.
        head: digest of the last line: noted elsewhere, it proves later that nothing up to it was changed.
        faults: file, line and what is wrong there, for the first :data:`FAULT_COUNT_MAX`.
    """

    line_count: int
    first_sequence: int
    last_sequence: int
    head: str
    faults: tuple[str, ...]


class ChainCheck:
    """Goes over the lines of all files in their order."""

    def __init__(self) -> None:
        self._line_count = 0
        self._first_sequence = 0
        self._sequence = 0
        self._digest = FIRST_PREVIOUS
        self._faults: list[str] = []

    def file(self, name: str, descriptor: int, byte_count: int) -> None:
        """Look at the first *byte_count* bytes of a file."""
        with os.fdopen(os.dup(descriptor), "rb") as file:
            number = 0
            while file.tell() < byte_count:
                number += 1
                line = file.readline(LINE_BYTE_COUNT_MAX)
                where = f"{name} line {number}"
                if not line.endswith(b"\n"):
                    self._fault(f"{where} has no end")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LINE_BYTE_COUNT_MAX)
                    continue
                self._line(where, line[:-1])

    def result(self) -> AuditCheck:
        """What was found."""
        return AuditCheck(self._line_count, self._first_sequence, self._sequence, self._digest, tuple(self._faults))

    def _line(self, where: str, data: bytes) -> None:
        line = parse_line(data)
        self._line_count += 1
        if line is None:
            self._fault(f"{where} is not one of an audit log")
        elif not self._first_sequence:
            self._first_sequence = line.sequence
            if line.sequence == 1 and line.previous != FIRST_PREVIOUS:
                self._fault(f"{where} is the first, and its previous digest is {line.previous:.64}")
        else:
            if line.sequence != self._sequence + 1:
                self._fault(f"{where} has sequence {line.sequence} behind {self._sequence}")
            if line.previous != self._digest:
                self._fault(f"{where} says {line.previous:.64} of the line before, whose digest is {self._digest}")
        self._sequence = self._sequence + 1 if line is None else line.sequence
        self._digest = line_digest(data)

    def _fault(self, text: str) -> None:
        if len(self._faults) < FAULT_COUNT_MAX:
            self._faults.append(text)


def last_whole_line(descriptor: int) -> tuple[int, bytes | None]:
    """Where the last line ends that is one of ours, its line feed included, and the line; 0 and None without one."""
    for end, data in lines_backward(descriptor):
        if data is not None and parse_line(data) is not None:
            return end, data
    return 0, None


def lines_backward(descriptor: int) -> Iterator[tuple[int, bytes | None]]:
    """
    The lines that have a line feed, from the last: where each ends, its line feed included, and its bytes without that.

    None stands for a line that is longer than ours can be.
    """
    ends = _line_feeds_backward(descriptor)
    last = next(ends, None)
    while last is not None:
        before = next(ends, None)
        begin = 0 if before is None else before + 1
        is_long = last + 1 - begin > LINE_BYTE_COUNT_MAX
        yield last + 1, None if is_long else os.pread(descriptor, last - begin, begin)
        last = before


def _line_feeds_backward(descriptor: int) -> Iterator[int]:
    """Offsets of the line feeds, from the last."""
    end = os.fstat(descriptor).st_size
    while end:
        begin = max(0, end - _BLOCK_BYTE_COUNT)
        block = os.pread(descriptor, end - begin, begin)
        found = block.rfind(b"\n")
        while found >= 0:
            yield begin + found
            found = block.rfind(b"\n", 0, found)
        end = begin
