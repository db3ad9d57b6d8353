"""
Sessions of XMLA clients.

A session keeps what one request leaves for the next: the current catalogue, a transaction, what is running. It belongs
to the user who began it: to anybody else it does not exist. A session that nobody used for an hour is gone, with its
transaction. What holds:

1. A session is found only under its id, by its own user, until it is ended or expires.
2. A session that runs a command does not expire.
3. Ending or expiring a session rolls its transaction back. What else it is doing when it is ended is cancelled first:
   nobody could find it, or cancel it, any more.

Source: [MS-SSAS] 3.1.4.1 and the public description of XMLA sessions.
"""

from __future__ import annotations

import datetime
import itertools
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from tabvault.errors import JobCancelledError, RequestError, SessionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.faces.server.waiting_client import WaitingClient
    from tabvault.jobs.alteration import Alteration
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.runner.context import JobContext

IDLE_S_MAX: Final = 3600.0
"""``IdleConnectionTimeout`` of Analysis Services is off by default; clients that vanish would then stay for ever."""

SESSION_COUNT_MAX: Final = 10_000
PER_USER_COUNT_MAX: Final = 1_000

_IDLE_STEP_S: Final = 0.05

_CANCELLED: Final = "cancelled by a Cancel command"
_ENDED: Final = "cancelled, for its session has ended"


@dataclass(slots=True)
class RunningCommand:
    """What a session is doing."""

    text: str
    begun: datetime.datetime
    client: WaitingClient | None = None
    thread: int = field(default_factory=threading.get_ident)
    is_cancelled: threading.Event = field(default_factory=threading.Event)
    reason: str = _CANCELLED
    job: JobContext | None = None
    _stops: list[Callable[[], None]] = field(default_factory=list)
    _are_stopped: bool = False

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have *stop* called when its questions are stopped: each of a batch has its own."""
        self._stops.append(stop)
        if self._are_stopped:  # before there was anything to stop
            stop()

    def stop_questions(self) -> None:
        """Stop what is computed for it: nobody reads the rows any more. What else it does goes on."""
        self._are_stopped = True
        with ExitStack() as stops:  # all of them, also where one fails
            for stop in tuple(self._stops):
                stops.callback(stop)

    def cancel(self, reason: str | None = None) -> None:
        """Ask it to stop: at its next progress, or its next rows, for which it may be waiting on sources."""
        if reason is not None and not self.is_cancelled.is_set():
            self.reason = reason
        self.is_cancelled.set()
        self.stop_questions()
        if self.job is not None:
            self.job.stop(self.cancellation())

    def cancellation(self) -> JobCancelledError:
        """What whoever waits for it is told."""
        return JobCancelledError(self.reason)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Session:
    """
    One session.

    Attributes:
        id: GUID, as clients send it back.
        spid: small number by which people name it.
        caller: who began it.
        application: ``SspropInitAppName`` of the client.
        catalog: name of the current database; None before one was chosen.
        transaction: what BeginTransaction began.
        running: the commands that it is doing now: one, if the client waits for the end of each.
    """

    id: str
    spid: int
    caller: Caller
    begun: datetime.datetime
    last_used_s: float
    application: str | None = None
    catalog: str | None = None
    transaction: Transaction | None = None
    running: list[RunningCommand] = field(default_factory=list)
    command_count: int = 0
    last_command: str | None = None
    last_command_started: datetime.datetime | None = None
    last_command_ended: datetime.datetime | None = None

    def end(self, *, but: WaitingClient | None = None) -> None:
        """Ask what it is doing to stop, all but what *but* waits for, and roll its transaction back."""
        for command in tuple(self.running):
            if but is None or command.client is not but:
                command.cancel(_ENDED)
        self.roll_back()

    def roll_back(self) -> None:
        """Undo its transaction, if there is one."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.roll_back()

    def is_of(self, caller: Caller) -> bool:
        """Whether *caller* began it; an API key is somebody else than its owner, for it may do less."""
        own, other = self.caller.principal, caller.principal
        return (own.name, own.key_name) == (other.name, other.key_name)

    def own_command(self) -> RunningCommand | None:
        """The command that the calling thread works for."""
        own = threading.get_ident()
        return next((command for command in reversed(self.running) if command.thread == own), None)


@dataclass(slots=True)
class Transaction:
    """
    Changes of one database that are seen by their own session only, until they are committed.

    Attributes:
        alteration: what was changed so far.
        is_over: it was committed or rolled back.
        lock: held by who uses the alteration, which is for one thread at a time.
    """

    alteration: Alteration | None = None
    is_over: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def roll_back(self) -> None:
        """Forget the changes."""
        with self.lock:
            self.is_over = True
            if self.alteration is not None:
                self.alteration.close()


class Sessions:
    """
    All sessions of a server; any thread may call.

    Args:
        clock: seconds that only grow.
        idle_s_max: a session unused for longer is gone.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, idle_s_max: float = IDLE_S_MAX) -> None:
        self._clock = clock
        self._idle_s_max = idle_s_max
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._passing: WeakSet[Session] = WeakSet()
        self._spids = itertools.count(1)

    def begin(self, caller: Caller) -> Session:
        """
        A new session of *caller*.

        Raises:
            RequestError: there are as many as may be.
        """
        session = self._made(caller)
        with self._lock:
            expired = self._take_expired()
            own = sum(other.caller.principal.name == session.caller.principal.name for other in self._sessions.values())
            full = len(self._sessions) >= SESSION_COUNT_MAX or own >= PER_USER_COUNT_MAX
            if not full:
                self._sessions[session.id] = session
        _roll_back(expired)
        if full:
            raise RequestError(
                f"there are {len(self._sessions)} sessions, {own} of them of {caller.principal.name!r}",
                hint="close connections that are no longer used",
            )
        return session

    def passing(self, caller: Caller) -> Session:
        """A session for one request of a client that began none."""
        session = self._made(caller)
        with self._lock:
            self._passing.add(session)
        return session

    def _made(self, caller: Caller) -> Session:
        now = datetime.datetime.now(datetime.UTC)
        return Session(str(uuid.uuid4()).upper(), next(self._spids), caller, now, self._clock())

    def resume(self, session_id: str, caller: Caller) -> Session:
        """
        Go on with a session.

        Raises:
            SessionNotFoundError: it is not there, or another user's.
        """
        with self._lock:
            expired = self._take_expired()
            session = self._sessions.get(session_id)
            found = session is not None and session.is_of(caller)
            if session is not None and found:
                session.last_used_s = self._clock()
        _roll_back(expired)
        if session is None or not found:
            raise SessionNotFoundError(
                f"the {session_id[:64]!r} session ID cannot be found", hint="connect again: the session has ended"
            )
        return session

    def is_busy(self, session_id: str) -> bool:
        """Whether there is such a session, and it is doing something."""
        with self._lock:
            session = self._sessions.get(session_id)
            return session is not None and bool(session.running)

    def wait_idle(self, timeout_s: float) -> None:
        """Wait until no session, and no request without one, is doing anything; for *timeout_s* at most."""
        end_s = time.monotonic() + timeout_s
        while any(session.running for session in self._all()) and time.monotonic() < end_s:
            time.sleep(_IDLE_STEP_S)

    def _all(self) -> list[Session]:
        with self._lock:
            return [*self._sessions.values(), *self._passing]

    def end(self, session_id: str, caller: Caller, *, client: WaitingClient | None = None) -> None:
        """
        End a session.

        Args:
            session_id: which.
            caller: whose it is.
            client: asks for it; what it waits for itself is not cancelled.

        Raises:
            SessionNotFoundError: it is not there, or another user's.
        """
        session = self.resume(session_id, caller)
        with self._lock:
            self._sessions.pop(session.id, None)
        session.end(but=client)

    def end_all(self) -> None:
        """The server ends, or is paused. What clients without a session ask is cancelled too."""
        sessions = self._all()
        with self._lock:
            self._sessions.clear()
        for session in sessions:
            session.end()

    def __iter__(self) -> Iterator[Session]:
        with self._lock:
            expired = self._take_expired()
            sessions = list(self._sessions.values())
        _roll_back(expired)
        return iter(sessions)

    def _take_expired(self) -> list[Session]:
        limit = self._clock() - self._idle_s_max
        expired = [s for s in self._sessions.values() if s.last_used_s < limit and not s.running]
        for session in expired:
            del self._sessions[session.id]
        return expired


def _roll_back(sessions: list[Session]) -> None:
    for session in sessions:
        session.roll_back()
