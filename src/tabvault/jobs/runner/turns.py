"""
The queue of jobs, and whose turn it is.

1. At most N tasks have a turn, and turns are given in the order in which the tasks entered.
2. A task leaves the queue once: with a turn, by :meth:`Turns.take`, or by :meth:`Turns.shut`. Who got it so owns it.
3. A task that somebody waits for has its turn in his thread, any other in one of N threads of ours. Since at most N
   have a turn, one of these is always free for it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.jobs.runner.context import JobContext
    from tabvault.storage.server_state.job import Job


@dataclass(eq=False, slots=True)
class Task:
    """
    A job that waits or works. Only the thread that owns the task changes it.

    Attributes:
        job: as it is now.
        work: does it.
        on_end: is told of the end.
        is_waited_for: whether a thread waits for ``decided``, to do the work or to learn that it will not be done.
        context: what the work is given.
        decided: set when the task has its turn, or has ended without one.
        has_turn: whether it has, or had, its turn.
        saved_s: when its progress was last recorded, by the monotonic clock.
        value: what the work returned.
        error: what the job ended with.
    """

    job: Job
    work: Callable[[JobContext], Any]
    on_end: Callable[[Job], object] | None
    is_waited_for: bool
    context: JobContext
    decided: threading.Event = field(default_factory=threading.Event)
    has_turn: bool = False
    saved_s: float = 0.0
    value: Any = None
    error: BaseException | None = None


class Turns:
    """
    Args:
        count: how many tasks have a turn at a time.
        work: does a task that nobody waits for, in a thread of ours; raises nothing.
    """

    def __init__(self, count: int, work: Callable[[Task], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self._free_count = count
        self._is_open = True
        self._given: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work_in_turn, name=f"jobs {number}", daemon=True)
            for number in range(1, count + 1)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_open(self) -> bool:
        """Whether tasks may still enter."""
        return self._is_open

    def enter(self, task: Task) -> bool:
        """Queue a task, or give it its turn; False if :meth:`shut` came before, and the caller still owns it."""
        with self._lock:
            if self._is_open:
                self._queue.append(task)
                self._give()
            return self._is_open

    def take(self, task: Task) -> bool:
        """Own a task that waits in the queue; False if it does not, or no longer."""
        with self._lock:
            if task not in self._queue:
                return False
            self._queue.remove(task)
            return True

    def give_back(self) -> None:
        """End a turn."""
        with self._lock:
            self._free_count += 1
            self._give()

    def shut(self) -> tuple[Task, ...]:
        """Let no task in any more; those of the queue are the caller's now."""
        with self._lock:
            self._is_open = False
            waiting = tuple(self._queue)
            self._queue.clear()
            return waiting

    def open(self) -> None:
        """Let tasks in again, after :meth:`shut`."""
        with self._lock:
            self._is_open = True

    def release_threads(self) -> None:
        """Let the threads end, each when it has nothing to do. After :meth:`shut`."""
        for _ in self._threads:
            self._given.put(None)

    def _give(self) -> None:
        """The lock is held."""
        while self._queue and self._free_count:
            task = self._queue.popleft()
            self._free_count -= 1
            task.has_turn = True
            if task.is_waited_for:
                task.decided.set()
            else:
                self._given.put(task)

    def _work_in_turn(self) -> None:
        while (task := self._given.get()) is not None:
            self._work(task)
            del task  # what the work holds is free while there is nothing to do
