"""
A store in memory: it keeps the contract and nothing beyond it.

For tests that need many stores quickly, and as the plainest reading of :mod:`tabvault.storage.contract`: a dictionary
that is changed under a lock.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from tabvault.errors import ObjectNotFoundError
from tabvault.formats.byte_source import MemorySource, pieces
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.names import check_object_name
from tabvault.storage.upload import OpenUpload, check_match, object_exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType


class MemoryStore:
    """
    An :class:`~tabvault.storage.contract.ObjectStore` in memory, empty at first. Facts are dropped.

    Attributes:
        bodies: what each object holds, by name: for tests that look, or put something there, behind its back.
    """

    remote_place: str | None = None

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self._infos: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._lock = threading.Lock()
        self._written_count = 0

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,  # noqa: ARG002 - nothing is left of an upload that could be used again
        facts: Mapping[str, str] | None = None,  # noqa: ARG002 - the contract allows to drop them
        if_match: str | None = None,
    ) -> MemoryUpload:
        """Begin an object; see the contract."""
        spelling = check_object_name(name)
        if not replace and spelling in self.bodies:
            raise object_exists(spelling)
        with self._lock:
            self._check_match(spelling, if_match)
        return MemoryUpload(self, spelling, replace=replace, head_byte_count=head_byte_count, if_match=if_match)

    def publish(self, name: str, data: bytes, *, replace: bool, if_match: str | None) -> ObjectInfo:
        """What ``finish`` of an upload does."""
        with self._lock:
            if not replace and name in self.bodies:
                raise object_exists(name)
            self._check_match(name, if_match)
            self.bodies[name] = data
            return self._info(name, data)

    def open(self, name: str) -> MemoryObject:
        """Open an object for reading; see the contract."""
        spelling = check_object_name(name)
        with self._lock:
            data = self._found(spelling)
            return MemoryObject(data, self._info(spelling, data))

    def info(self, name: str) -> ObjectInfo:
        """What is known of an object; see the contract."""
        spelling = check_object_name(name)
        with self._lock:
            return self._info(spelling, self._found(spelling))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects, ordered by name; see the contract."""
        with self._lock:
            return iter(
                [self._info(name, self.bodies[name]) for name in sorted(self.bodies) if name.startswith(prefix)]
            )

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """Remove an object; see the contract."""
        spelling = check_object_name(name)
        with self._lock:
            self._found(spelling)
            self._check_match(spelling, if_match)
            del self.bodies[spelling]

    def free_byte_count(self) -> int | None:
        """Not known; see the contract."""
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _found(self, name: str) -> bytes:
        try:
            return self.bodies[name]
        except KeyError:
            raise ObjectNotFoundError(f"{name} is not in memory") from None

    def _check_match(self, name: str, if_match: str | None) -> None:
        data = self.bodies.get(name)
        check_match(name, None if data is None else self._info(name, data), if_match)

    def _info(self, name: str, data: bytes) -> ObjectInfo:
        """What is known of *data*; made when they are first seen, so that a test may put them there itself."""
        known = self._infos.get(name)
        if known is None or known[0] is not data:
            self._written_count += 1
            known = data, ObjectInfo(name, len(data), datetime.now(UTC), str(self._written_count))
            self._infos[name] = known
        return known[1]


class MemoryUpload(OpenUpload):
    """An upload into a :class:`MemoryStore`; get it from :meth:`MemoryStore.create`."""

    def __init__(
        self, store: MemoryStore, name: str, *, replace: bool, head_byte_count: int, if_match: str | None
    ) -> None:
        super().__init__(name, head_byte_count=head_byte_count)
        self._store = store
        self._replace = replace
        self._if_match = if_match
        self._buffer = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*; see the contract."""
        self._check_open()
        self._buffer += data

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Fill in the head and publish; see the contract."""
        self._check_open()
        self._check_head(head, is_written=bool(self._buffer))
        try:
            return self._store.publish(self._name, head + self._buffer, replace=self._replace, if_match=self._if_match)
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of everything; see the contract."""
        self._is_open = False
        self._buffer = bytearray()


class MemoryObject(MemorySource):
    """
    An object of a :class:`MemoryStore`, as it was when it was opened.

    Attributes:
        info: the object as it was then.
    """

    def __init__(self, data: bytes, info: ObjectInfo) -> None:
        super().__init__(data)
        self.info = info
        self._is_open = True

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        """A range; see the contract."""
        if not self._is_open:
            raise ValueError(f"{self.info.name} is closed")
        return super().read_at(offset, byte_count)

    def whole(self) -> Iterator[bytes | memoryview]:
        """All of it; see the contract."""
        return pieces(self)

    def close(self) -> None:
        """Let go of the object; see the contract."""
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
