"""How a job says how far it is, and how it is asked to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Progress:
    """
    A moment in a job.

    Args:
        step: what is being done, in words for a person (``reading``, ``writing``, ``checking``).
        done: units finished so far in this step.
        total: units in the whole step, or None where it cannot be known beforehand.
        unit: ``bytes`` or ``columns``.
    """

    step: str
    done: int
    total: int | None
    unit: str = "bytes"


class ProgressMeter:
    """
    Counts units and tells a callback.

    A callback that raises stops the job at that point: with
    :class:`~tabvault.errors.JobCancelledError` it is cancelled and leaves nothing behind.

    Args:
        callback: called at the begin of each step and after each piece; None counts nothing.
    """

    def __init__(self, callback: Callable[[Progress], None] | None) -> None:
        self._callback = callback
        self._now = Progress("", 0, None)

    def step(self, name: str, total: int | None, *, unit: str = "bytes") -> None:
        """Begin a step."""
        self._tell(Progress(name, 0, total, unit))

    def advance(self, count: int) -> None:
        """Add finished units to the current step."""
        now = self._now
        self._tell(Progress(now.step, now.done + count, now.total, now.unit))

    def counted(self, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        """The pieces, counted as they pass."""
        for piece in pieces:
            yield piece
            self.advance(len(piece))

    def _tell(self, now: Progress) -> None:
        self._now = now
        if self._callback is not None:
            self._callback(now)
