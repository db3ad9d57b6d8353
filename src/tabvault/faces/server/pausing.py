"""
What a paused server does and does not do.

==============================  ====================================================================================
asked of a paused server        what happens
==============================  ====================================================================================
anything over XMLA              refused, with a fault that says so; sessions, their transactions and traces have ended
questions over XMLA before it   as jobs: they have had time to end, and were cancelled then
what would be a job             refused, whoever asks: backup, restore, refresh, verification, changes of a database
reading over REST               as ever
administration, management      as ever
==============================  ====================================================================================

Jobs that run when the pause begins may finish, as at the end of the server; queued ones are interrupted. That a server
is paused is kept by :mod:`tabvault.storage.server_state.server_resource`: here is what follows from it in this process.
"""

from __future__ import annotations

import datetime
import logging
import time
from typing import TYPE_CHECKING, Final

from tabvault.jobs.runner.outcome import paused_server

if TYPE_CHECKING:
    from tabvault.faces.server.xmla.sessions import Sessions
    from tabvault.faces.server.xmla.traces import Traces
    from tabvault.jobs.runner.runner import JobRunner

PAUSE_TIMEOUT_S: Final = 30.0
"""How long jobs and questions may take that run when the pause begins."""

_log = logging.getLogger(__name__)


class Pausing:
    """
    Whether this server is paused. Threads may share it.

    Args:
        runner: of the jobs.
        sessions: of XMLA clients.
        traces: that they watch.
    """

    def __init__(self, runner: JobRunner, sessions: Sessions, traces: Traces) -> None:
        self._runner = runner
        self._sessions = sessions
        self._traces = traces
        self._is_paused = False
        self._since: datetime.datetime | None = None

    @property
    def since(self) -> datetime.datetime | None:
        """
        Since when it is paused.

        None if it is not, or if it was when it started: then the audit log has the moment, in a ``suspend_server``.
        """
        return self._since

    @property
    def is_paused(self) -> bool:
        """Whether it is, or is about to be: what is refused then is refused from the begin of the pause on."""
        return self._is_paused

    def check(self) -> None:
        """
        Refuse what a paused server does not do.

        Raises:
            ServerPausedError: it is paused.
        """
        if self._is_paused:
            raise paused_server()

    def start_paused(self) -> None:
        """Be paused from the start, as it was when it ended."""
        self._pause(0.0)

    def pause(self, timeout_s: float) -> None:
        """
        Begin nothing new, and wait for the end of what runs.

        Args:
            timeout_s: how long jobs and questions may take; then they are interrupted.
        """
        if not self._is_paused:
            self._since = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self._pause(timeout_s)

    def _pause(self, timeout_s: float) -> None:
        self._is_paused = True
        self._traces.end_all()
        end_s = time.monotonic() + timeout_s
        left = self._runner.pause(timeout_s)
        self._sessions.wait_idle(end_s - time.monotonic())
        # Once more: what came just before the pause may have begun since.
        self._traces.end_all()
        self._sessions.end_all()
        _log.info("paused; jobs that did not end in time: %d", len(left))

    def resume(self) -> None:
        """Take up everything again."""
        self._runner.resume()
        self._is_paused = False
        self._since = None
        _log.info("resumed")
