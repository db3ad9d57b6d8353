"""
The bar on standard error for work that takes over a second.

It appears by a timer, not by the job's next report: a job that is silent from its first second on (a key is being
derived, a disk hangs) is the one that a person at a terminal wonders about.

It is one line, written over by the next and erased at the end. So it must never be wrapped by the terminal: what
finds no room is left out, and three cells stay free, for the cursor and the ``^C`` that a terminal shows.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from tabvault.faces.cli.output import say
from tabvault.faces.text import byte_size, duration
from tabvault.jobs.progress import Progress

if TYPE_CHECKING:
    from types import TracebackType

DELAY_S: Final = 1.0
"""Work that is shorter shows no bar."""

_STEP_S: Final = 0.2
_BAR_CELL_COUNTS: Final = (30, 12)
_FREE_CELL_COUNT: Final = len("^C") + 1
_WIDTH_UNKNOWN: Final = 80
_ERASE: Final = "\r\x1b[K"


class ProgressBar:
    """
    A progress callback for a job, and a context manager around it.

    Reports come in the job's thread, the line is written in one of the bar's own; one lock keeps them apart.
    """

    def __init__(self) -> None:
        self._report = Progress("starting", 0, None, "")
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_shown = False
        self._thread = threading.Thread(target=self._show, daemon=True, name="tabvault-progress")

    def __call__(self, report: Progress) -> None:
        """Take a report of the job."""
        with self._lock:
            if report.step != self._report.step:
                self._begun = time.monotonic()
            self._report = report

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if self._is_shown:
            # The terminal's own ^C stood behind the bar and goes with it; elsewhere it stays, so it does here.
            say(f"{_ERASE}^C" if exc_type is KeyboardInterrupt else _ERASE)

    def _show(self) -> None:
        wait_s = DELAY_S
        while not self._is_over.wait(wait_s):
            wait_s = _STEP_S
            self._is_shown = True
            with self._lock:
                report, elapsed_s = self._report, time.monotonic() - self._begun
            line = progress_line(report, elapsed_s=elapsed_s, width=_terminal_width() - _FREE_CELL_COUNT)
            say(f"\r{line}\x1b[K")


def progress_line(report: Progress, *, elapsed_s: float, width: int) -> str:
    """
    A report in *width* characters at most.

    Args:
        report: its step and unit are ASCII, a cell a character.
        elapsed_s: since the step began.
        width: room; what does not fit is left out, the most important last.
    """
    step = report.step[: max(width, 0)]
    if not report.done or not report.unit:
        since = f"{elapsed_s:.0f} s" if elapsed_s < 10 else duration(elapsed_s)
        line = f"{report.step}  {since}"
        return line if len(line) <= width else step
    amount = f"  {_amount(report)}"
    speed = f", {byte_size(report.done / elapsed_s)}/s" if report.unit == "bytes" and elapsed_s >= 1 else ""
    share = left = ""
    bars: list[str] = []
    if report.total:
        part = min(report.done / report.total, 1.0)
        share = f" {part:>4.0%}"
        left = f", {duration(elapsed_s * (1 / part - 1))} left" if part < 1 and elapsed_s >= 1 else ""
        bars = [f" [{'#' * int(count * part):.<{count}}]" for count in _BAR_CELL_COUNTS]
    lines = [
        *(f"{report.step}{bar}{share}{amount}{speed}{left}" for bar in bars),
        f"{report.step}{share}{amount}{speed}{left}",
        f"{report.step}{share}{amount}{speed}",
        f"{report.step}{share}{amount}",
        f"{report.step}{share}",
    ]
    return next((line for line in lines if len(line) <= width), step)


def _amount(report: Progress) -> str:
    """``1.2 of 3.4 MiB``, ``900 KiB of 3.4 MiB``, ``7 of 12 columns``; without a total ``7 columns``."""
    if report.unit != "bytes":
        total = "" if report.total is None else f" of {report.total:,}"
        return f"{report.done:,}{total} {report.unit}"
    done = byte_size(report.done)
    if report.total is None:
        return done
    total = byte_size(report.total)
    number, _, unit = done.partition(" ")
    return f"{number} of {total}" if total.endswith(f" {unit}") else f"{done} of {total}"


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH_UNKNOWN
    except OSError:
        return _WIDTH_UNKNOWN
