"""
Databases that stay open between the requests of a server.

To open a version (its manifest, its metadata, its model) costs more than most questions to it, and a version never
changes: so the one that was asked last of each database is kept, for all threads. What holds:

1. Who opens a database gets the version that the data folder called current when he looked it up, or a later one;
   never one that was replaced before he asked.
2. A kept version is pinned like any that is read. It is let go when another one, a drop or a detachment has taken its
   place (:meth:`OpenedVersions.let_go_superseded`, after every job), when nobody has asked for
   :data:`IDLE_S_MAX`, and when more than :data:`KEPT_COUNT_MAX` others were asked since.
3. What is let go is closed by the last who uses it, and only then.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from tabvault.jobs.reading import OpenDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder

KEPT_COUNT_MAX: Final = 64
"""Each holds a file open, and its model in memory."""

IDLE_S_MAX: Final = 600.0


class OpenedVersion:
    """
    A version of a database that is open.

    Attributes:
        info: the database at this version.
        version: its files, pinned.
        database: its model, metadata and files.
    """

    def __init__(self, folder: DataFolder, info: DatabaseInfo) -> None:
        with ExitStack() as stack:
            self.version = stack.enter_context(folder.read(info))
            self.info = self.version.info
            self.database = stack.enter_context(OpenDatabase.of_version(self.version))
            self._resources = stack.pop_all()
        # What follows is the keeper's, under his lock.
        self.user_count = 1
        self.is_kept = False
        self.used_s = 0.0

    def is_version_of(self, info: DatabaseInfo) -> bool:
        """Whether *info* is the database at this version."""
        own = self.info
        return (own.key, own.version, own.manifest_digest) == (info.key, info.version, info.manifest_digest)

    def close(self) -> None:
        """Let go of the files and of the version."""
        self._resources.close()


class OpenedVersions:
    """
    The versions of one data folder that stay open, until :meth:`close`. Threads may share it.

    Args:
        folder: the data folder.
        kept_count_max: how many stay open.
        idle_s_max: how long one stays open that nobody asks for.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        folder: DataFolder,
        *,
        kept_count_max: int = KEPT_COUNT_MAX,
        idle_s_max: float = IDLE_S_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._kept_count_max = kept_count_max
        self._idle_s_max = idle_s_max
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, OpenedVersion] = OrderedDict()
        self._timer: threading.Timer | None = None
        self._is_closed = False

    @contextmanager
    def open(self, info: DatabaseInfo) -> Iterator[OpenedVersion]:
        """
        The database *info*, at that version or at a later one; it stays as long as the block.

        Raises:
            DatabaseNotFoundError: it was dropped meanwhile.
            DataFolderDamagedError: it is damaged.
            FormatError, ModelError: its metadata are.
        """
        opened = self._taken(info)
        if opened is None:
            opened = OpenedVersion(self._folder, info)
            self._keep(opened)
        try:
            yield opened
        finally:
            with self._lock:
                opened.user_count -= 1
                opened.used_s = self._clock()
                is_over = not opened.is_kept and not opened.user_count
            if is_over:
                opened.close()

    def let_go_superseded(self) -> None:
        """Let go of versions that are not current any more; call it after every change of the data folder."""
        current = {info.key: info for info in self._folder.databases() if info.damage is None}
        with self._lock:
            old = [
                opened
                for key, opened in self._kept.items()
                if key not in current or not opened.is_version_of(current[key])
            ]
            unused = self._dropped(old)
        _close(unused)

    def let_go_idle(self) -> None:
        """Let go of versions that nobody asked for; a timer calls it."""
        with self._lock:
            limit_s = self._clock() - self._idle_s_max
            idle = [opened for opened in self._kept.values() if not opened.user_count and opened.used_s <= limit_s]
            unused = self._dropped(idle)
            self._timer = None
            self._wait_for_idle()
        _close(unused)

    def close(self) -> None:
        """Keep nothing any more. Twice is allowed."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            unused = self._dropped(list(self._kept.values()))
        _close(unused)

    def _taken(self, info: DatabaseInfo) -> OpenedVersion | None:
        with self._lock:
            opened = self._kept.get(info.key)
            if opened is None or info.damage is not None or not opened.is_version_of(info):
                return None
            self._kept.move_to_end(info.key)
            opened.user_count += 1
            return opened

    def _keep(self, opened: OpenedVersion) -> None:
        """Keep what was opened, unless it has been replaced already or another thread was first."""
        key = opened.info.key
        with self._lock:
            known = self._kept.get(key)
            if self._is_closed or (known is not None and known.info.version >= opened.info.version):
                return
            unused = self._dropped([known] if known is not None else [])
            self._kept[key] = opened
            opened.is_kept = True
            unused += self._dropped(list(self._kept.values())[: -self._kept_count_max])
            self._wait_for_idle()
        _close(unused)
        # A change between the opening and now has looked for old versions before this one was here.
        self.let_go_superseded()

    def _dropped(self, versions: list[OpenedVersion]) -> list[OpenedVersion]:
        """Keep *versions* no more; returns those of them that nobody uses. The lock is held."""
        for opened in versions:
            del self._kept[opened.info.key]
            opened.is_kept = False
        return [opened for opened in versions if not opened.user_count]

    def _wait_for_idle(self) -> None:
        """See to it that idle versions are looked for as long as there are any. The lock is held."""
        if self._timer is None and self._kept and not self._is_closed:
            self._timer = threading.Timer(self._idle_s_max, self.let_go_idle)
            self._timer.daemon = True
            self._timer.start()


def _close(versions: list[OpenedVersion]) -> None:
    for opened in versions:
        opened.close()
