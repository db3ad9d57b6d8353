"""Waiting for a job of a server: its progress as if it were one of ours, and Ctrl-C cancels it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import TabvaultError
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.faces.cli.remote.problems import error_of
from tabvault.jobs.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.faces.cli.remote.connection import ServerConnection

_FIRST_WAIT_S: Final = 0.05
_WAIT_S_MAX: Final = 1.0
"""Between two looks; they begin short, for most jobs of a small database are over in a blink."""

_CANCEL_S: Final = 15.0
"""How long the end of a cancelled job is waited for, to say how it ended."""

_ENDS: Final = {
    "succeeded": "the job on the server had ended already: it is done",
    "cancelled": "the job on the server is cancelled",
}


def result_of_job(
    connection: ServerConnection,
    method: str,
    path: str,
    options: Mapping[str, object] | None,
    progress: Callable[[Progress], None] | None,
) -> Any:
    """
    Ask for a job and wait for its end.

    Args:
        connection: to the server.
        method: by which it is asked for.
        path: of what.
        options: of the job.
        progress: told how far it is.

    Returns:
        Its result, as JSON.

    Raises:
        KeyboardInterrupt: it was cancelled; a note says what became of it.
        TabvaultError: why it failed, or why it cannot be asked for.
    """
    return result_of(connection, connection.send(method, path, options), progress)


def result_of(connection: ServerConnection, job: Any, progress: Callable[[Progress], None] | None) -> Any:
    """Wait for the end of *job*, as the server shows it; the rest as :func:`result_of_job`."""
    job_path = f"/jobs/{quoted(_member(connection, job, 'id'))}"
    wait_s = _FIRST_WAIT_S
    try:
        while _member(connection, job, "state") in {"queued", "running"}:
            _tell(job, progress)
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _WAIT_S_MAX)
            job = connection.get(job_path)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(_cancelled(connection, job_path))
        raise
    if job["state"] == "succeeded":
        return job.get("result")
    failure = job.get("error") or {}
    raise error_of(str(failure.get("code", "")), str(failure.get("message", "the job failed")), failure)


def _member(connection: ServerConnection, job: Any, name: str) -> str:
    value = job.get(name) if isinstance(job, dict) else None
    if not isinstance(value, str):
        raise unexpected(connection.url)
    return value


def _tell(job: Any, progress: Callable[[Progress], None] | None) -> None:
    now = job.get("progress")
    if progress is None:
        return
    if now is None:
        progress(Progress("waiting", 0, None, ""))
    else:
        progress(Progress(str(now["step"]), int(now["done"]), now["total"], str(now["unit"])))


def _cancelled(connection: ServerConnection, job_path: str) -> str:
    """Cancel a job; what became of it, for the user."""
    end_s = time.monotonic() + _CANCEL_S
    with contextlib.suppress(TabvaultError):
        connection.send("DELETE", job_path)
        while time.monotonic() < end_s:
            job = connection.get(job_path)
            if job["state"] not in {"queued", "running"}:
                return _ENDS.get(job["state"], f"the job on the server is {job['state']}")
            time.sleep(_FIRST_WAIT_S)
    return f"the job may still be at work on the server: {job_path.removeprefix('/')}"
