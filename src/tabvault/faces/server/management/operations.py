"""
What takes its time: an operation that goes on when its request has been answered, and can be asked for.

There is one at a time; a second one is refused until it has ended. They are kept in memory: whoever asks for one after
the server has started again hears that there is none, and looks at the server itself.
"""

from __future__ import annotations

import datetime
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tabvault.faces.server.management.refusals import ManagementError, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATION_COUNT_MAX: Final = 1000
"""How many are kept; then the oldest is forgotten."""


@dataclass(eq=False, slots=True)
class ManagementOperation:
    """
    An operation.

    Attributes:
        id: 32 hexadecimal digits.
        group: the resource group that was named when it was asked for.
        state: of the server while it is done.
        begun: when.
        ended: when; None while it is done.
        error: with which it ended; None for success.
        done: set when it has ended.
    """

    id: str
    group: str
    state: str
    begun: datetime.datetime
    ended: datetime.datetime | None = None
    error: ManagementError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def document(self, path: str) -> dict[str, Any]:
        """``OperationStatus`` of the REST API, at *path*."""
        document: dict[str, Any] = {"id": path, "name": self.id, "startTime": _text(self.begun), "status": "Running"}
        if self.ended is not None:
            document |= {"endTime": _text(self.ended), "status": "Succeeded" if self.error is None else "Failed"}
        if self.error is not None:
            document["error"] = self.error.document()
        return document


class ManagementOperations:
    """The operations of a server. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[str, ManagementOperation] = {}
        self._current: ManagementOperation | None = None

    @property
    def doing(self) -> str | None:
        """The state of the server while something is done; None if nothing is."""
        current = self._current
        return None if current is None else current.state

    def begin(self, group: str, state: str, work: Callable[[], object]) -> ManagementOperation:
        """
        Begin an operation in a thread of its own.

        Args:
            group: the resource group that was named.
            state: of the server while it is done.
            work: does it.

        Raises:
            ManagementError: another one has not ended.
        """
        operation = ManagementOperation(uuid.uuid4().hex, group, state, datetime.datetime.now(datetime.UTC))
        with self._lock:
            if self._current is not None:
                raise ManagementError(
                    409,
                    "AnotherOperationInProgress",
                    f"The server is {self._current.state.lower()}: operation {self._current.id} has not ended.",
                    headers={"Retry-After": "1"},
                )
            # Within the lock, which its end waits for: where no thread is to be had, nothing has begun.
            threading.Thread(target=self._do, args=(operation, work), name="management", daemon=True).start()
            self._current = operation
            self._operations[operation.id] = operation
            if len(self._operations) > OPERATION_COUNT_MAX:
                del self._operations[next(iter(self._operations))]
        return operation

    def find(self, operation_id: str) -> ManagementOperation | None:
        """The operation of that id, if it is known."""
        return self._operations.get(operation_id)

    def _do(self, operation: ManagementOperation, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the edge of a thread; whoever asks for the operation hears of it
            operation.error = refusal_of(error)
        finally:
            with self._lock:
                self._current = None
            operation.ended = datetime.datetime.now(datetime.UTC)
            operation.done.set()


def _text(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
