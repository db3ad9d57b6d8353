"""
What becomes of memory that nobody uses any more: a short command lives differently from a server.

Loading a program makes objects that stay, and looking through them for garbage again and again was a tenth of a short
command. And the C library gives the memory of each block of a backup back to the operating system, to ask for it anew
for the next block; the pages then are cleared one by one. Backups of 512 MiB into a folder, seven of each in turn, took
1.64 s, and 1.32 s with what is freed kept; the heap of all threads is one then, so that the memory in all is no more.

A server makes garbage for weeks, and shares the machine with others: what is usual is for it.
"""

import gc
import sys
from typing import Final

_GARBAGE_AS_USUAL: Final = gc.get_threshold()

_GARBAGE_SELDOM: Final = 50_000
"""Objects made between two looks; Python's own number is 700, or 2,000."""

# <malloc.h> of the GNU C library; mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_KEPT_BYTE_COUNT: Final = 64 << 20
"""About what a backup or a restore over a network has in blocks at once."""

_FROM_THE_HEAP_BYTE_COUNT: Final = 32 << 20
"""The most that the library allows: what is larger has pages of its own, which go when it is freed."""


def look_for_garbage_seldom() -> None:
    """What runs is a short command, as far as is known yet."""
    gc.set_threshold(_GARBAGE_SELDOM)


def look_for_garbage_as_usual() -> None:
    """What runs will do so for long."""
    gc.set_threshold(*_GARBAGE_AS_USUAL)


def keep_what_is_freed() -> None:
    """Let this process reuse its memory until it ends, where the C library can be told to."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - --help needs no memory

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)  # with a heap for each thread every one would keep as much
        mallopt(_M_MMAP_THRESHOLD, _FROM_THE_HEAP_BYTE_COUNT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTE_COUNT)
