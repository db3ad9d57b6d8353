"""
What each file in the backup storage is.

It comes from its beginning (:mod:`tabvault.jobs.file_details`), several files at a time, and is remembered by name and
ETag: a list that is asked for again reads nothing again. A list has so much time; what was not looked at by then, the
next one looks at.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from tabvault.errors import ObjectNotFoundError, StorageError
from tabvault.jobs.file_details import FileDetails, read_details
from tabvault.jobs.stored_folders import DescribedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.storage.contract import ObjectInfo, ObjectStore

REMEMBERED_COUNT_MAX: Final = 10_000
"""Some hundred bytes each."""

READER_COUNT: Final = 4
"""
Files that are looked at together, by all who ask.

A look mostly waits for the storage, or for the process that decodes XPress9.
"""

LOOKING_S_MAX: Final = 30.0
"""How long one list looks at files; a look that has begun ends."""


class FileCatalogue:
    """What files are, remembered. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(READER_COUNT)
        self._remembered: OrderedDict[tuple[str, str, int], FileDetails] = OrderedDict()

    def describe(self, store: ObjectStore, files: Sequence[ObjectInfo]) -> list[DescribedFile]:
        """
        What each of *files* is, in their order.

        No file makes it fail: what cannot be read is unknown, and what is damaged is said to be.
        """
        missing = [info for info in files if self._known(info) is None]
        end = time.monotonic() + LOOKING_S_MAX
        with ThreadPoolExecutor(READER_COUNT, thread_name_prefix="file-details") as readers:
            looked = zip(missing, readers.map(lambda info: self._look_in_turn(store, info, end), missing), strict=True)
            now = {info.name: details for info, details in looked}
        return [DescribedFile(info, now.get(info.name) or self._known(info)) for info in files]

    def _look_in_turn(self, store: ObjectStore, info: ObjectInfo, end: float) -> FileDetails:
        left_s = end - time.monotonic()
        if left_s <= 0 or not self._turns.acquire(timeout=left_s):
            return FileDetails(remark="unknown: not looked at yet, ask again")
        try:
            return self._look(store, info)
        finally:
            self._turns.release()

    def _look(self, store: ObjectStore, info: ObjectInfo) -> FileDetails:
        try:
            with store.open(info.name) as stored:
                details = read_details(stored, info.name)
                self._remember(stored.info, details)
        except ObjectNotFoundError:
            return FileDetails(remark="unknown: it has gone meanwhile")
        except StorageError as error:  # it may be another one the next time
            return FileDetails(remark=f"unknown: {error}")
        return details

    def _known(self, info: ObjectInfo) -> FileDetails | None:
        key = _key(info)
        with self._lock:
            details = self._remembered.get(key)
            if details is not None:
                self._remembered.move_to_end(key)
        return details

    def _remember(self, info: ObjectInfo, details: FileDetails) -> None:
        with self._lock:
            self._remembered[_key(info)] = details
            while len(self._remembered) > REMEMBERED_COUNT_MAX:
                self._remembered.popitem(last=False)


def _key(info: ObjectInfo) -> tuple[str, str, int]:
    return info.name, info.etag, info.byte_count
