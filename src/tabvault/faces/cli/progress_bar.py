"""
The bar on standard error for work that takes over a second.

It appears by a timer, not by the job's next report: a job that is silent from its first second on (a key is being
derived, a disk hangs) is the one that a person at a terminal wonders about.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from tabvault.faces.cli.text import byte_size

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Task

    from tabvault.jobs.progress import Progress as Report

DELAY_S: Final = 1.0
"""Work that is shorter shows no bar."""


class ProgressBar:
    """
    A progress callback for a job, and a context manager around it.

    Reports come in the job's thread, the bar appears in the timer's; one lock keeps them apart.
    """

    def __init__(self) -> None:
        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            _Amount(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, unit="")
        self._step = ""
        self._lock = threading.Lock()
        self._is_over = False
        self._timer = threading.Timer(DELAY_S, self._appear)
        self._timer.daemon = True

    def __call__(self, report: Report) -> None:
        """Take a report of the job."""
        with self._lock:
            if report.step != self._step:
                self._step = report.step
                self._bar.reset(self._task, total=report.total, description=report.step, unit=report.unit)
            self._bar.update(self._task, completed=report.done, total=report.total)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            self._bar.stop()

    def _appear(self) -> None:
        with self._lock:
            if not self._is_over:
                self._bar.start()


class _Amount(ProgressColumn):
    """``1.2 of 3.4 MiB, 210 MiB/s``; ``7 of 12 columns`` for what is not bytes."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        if not unit:
            return Text("")
        is_bytes = unit == "bytes"
        done = byte_size(task.completed) if is_bytes else f"{task.completed:,.0f}"
        total = "" if task.total is None else f" of {byte_size(task.total) if is_bytes else f'{task.total:,.0f}'}"
        speed = f", {byte_size(task.speed)}/s" if is_bytes and task.speed else ""
        return Text(f"{done}{total}{'' if is_bytes else f' {unit}'}{speed}")
