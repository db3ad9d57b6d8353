"""What a job's work is given: a way to say how far it is, and to be asked to stop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tabvault.errors import StoreUnavailableError
from tabvault.storage.remote.wire import Stop
from tabvault.storage.server_state.job import JobProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.jobs.progress import Progress


class JobContext:
    """
    Belongs to one job, and is used by the thread that works at it.

    Args:
        job_id: of the job.
        tell: called with how far the job is, and whether a step began with it.

    Attributes:
        job_id: of the job.
        stopped: set by :meth:`stop`.
    """

    def __init__(self, job_id: str, tell: Callable[[JobProgress, bool], None]) -> None:
        self.job_id = job_id
        self.stopped = Stop()
        self._tell = tell
        self._lock = threading.Lock()
        self._stop: BaseException | None = None
        self._step_number = 0
        self._last: Progress | None = None

    def progress(self, now: Progress) -> None:
        """
        Say how far the job is. This is the callback that every job takes.

        Raises:
            JobCancelledError: somebody cancelled the job.
            JobInterruptedError: the server ends.
        """
        self.check_cancelled()
        # Some steps follow one of the same name, on the next file for instance.
        begins = self._last is None or now.step != self._last.step or now.done < self._last.done
        self._last = now
        self._step_number += begins
        self._tell(JobProgress(now.step, self._step_number, now.done, now.total, now.unit), begins)

    def check_cancelled(self) -> None:
        """Raise as :meth:`progress` does. For work that takes long without any progress to tell."""
        if self._stop is not None:
            raise self._stop

    def stop(self, error: BaseException) -> None:
        """Have the work end with *error* the next time it asks; the first to say so is heard. From any thread."""
        with self._lock:
            if self._stop is None:
                self._stop = error
        self.stopped.set()

    def cause_of(self, error: BaseException) -> BaseException:
        """Why the work ended with *error*: a transfer that was stopped looks as if the storage had gone."""
        return error if self._stop is None or not isinstance(error, StoreUnavailableError) else self._stop
