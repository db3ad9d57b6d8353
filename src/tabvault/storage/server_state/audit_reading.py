"""
Reading a file of the audit log from its end.

Memory is bounded whatever the file holds: a line that is longer than ours can be is not read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tabvault.storage.server_state.audit_line import LINE_BYTE_COUNT_MAX, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTE_COUNT: Final = 1 << 16


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
