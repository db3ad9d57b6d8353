"""
The three standard streams, as every command may use them: there, and able to take any text.

A stream that was closed when the program began (``>&-``, a careless supervisor) is None in Python, and the next file
that is opened gets its number: what is printed would land in a database. So its place is taken at once.

================  ===================  =========================================
closed            its place is taken    and so
================  ===================  =========================================
standard input    by ``/dev/null``     there is nothing to read
standard output   by ``/dev/null``,    writing fails, as a named error
                  for reading only
standard error    by ``/dev/null``     what it would have shown is lost
================  ===================  =========================================
"""

from __future__ import annotations

import io
import os
import sys
from typing import Literal


def prepare() -> None:
    """Take the places of closed streams, and let the others spell what their encoding cannot."""
    # In this order: the system gives out the lowest number that is free, which is the one of the closed stream.
    if sys.stdin is None:
        sys.stdin = _null(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _null(os.O_RDONLY, "w")
    if sys.stderr is None:
        sys.stderr = _null(os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot spell must not end a listing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """Give up what is still buffered for standard output, so that leaving the program does not fail on it again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _null(flags: int, mode: Literal["r", "w"]) -> io.TextIOWrapper:
    return os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8")
