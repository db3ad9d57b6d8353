"""
Making the n-th call fail.

What is only correct while nothing fails is not correct. A test counts the calls of one operation and lets the first
fail, then the second, and so on until the operation comes to its end without meeting the fault; each time it looks
whether the result is whole or absent::

    for fail_at in itertools.count(1):
        faulty = FaultyStore(store, fail_at=fail_at, when="after")
        attempt(faulty)
        if not faulty.counter.has_failed:
            break

``before`` is a call that never reached its goal; ``after`` is one whose effect happened and whose answer was lost. With
``lasting`` every later call fails as well (before its effect): the disk or the network is gone for good.

:class:`FaultyStore` does this to an object store, :class:`FaultyModule` to a module that makes system calls.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from tabvault.errors import StoreUnavailableError
from tabvault.formats.byte_source import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import ModuleType, TracebackType

    from tabvault.storage.contract import ObjectInfo, ObjectStore, StoredObject, Upload

When = Literal["before", "after"]
_Result = TypeVar("_Result")

SYSTEM_CALLS = (
    "dup",
    "fstat",
    "fstatvfs",
    "fsync",
    "ftruncate",
    "link",
    "listdir",
    "mkdir",
    "open",
    "pread",
    "pwrite",
    "rename",
    "replace",
    "rmdir",
    "scandir",
    "stat",
    "unlink",
)
"""
What may fail in :mod:`os`. ``close`` is left out: on Linux a failed one closes all the same, and after ``fsync`` it has
nothing new to say.
"""


class CallCounter:
    """
    Counts calls, and makes one of them fail.

    Args:
        fail_at: number of the call that fails, from 1; ``None`` only counts.
        when: whether it fails before or after its effect.
        error: what is raised; ``None`` for a :class:`StoreUnavailableError`.
        lasting: whether all later calls fail too.

    Attributes:
        calls: names of the calls so far, in order.
    """

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        when: When = "before",
        error: Exception | None = None,
        lasting: bool = False,
    ) -> None:
        self.calls: list[str] = []
        self._fail_at = fail_at
        self._when = when
        self._error = error or StoreUnavailableError("the fault of the test")
        self._lasting = lasting
        self._lock = threading.Lock()

    @property
    def has_failed(self) -> bool:
        """Whether the call that was to fail has come."""
        return self._fail_at is not None and len(self.calls) >= self._fail_at

    def run(
        self, name: str, call: Callable[[], _Result], release: Callable[[_Result], object] | None = None
    ) -> _Result:
        """
        Make one call, or fail.

        Args:
            name: what to call it in :attr:`calls`.
            call: does it.
            release: lets go of a result that nobody is going to get.
        """
        with self._lock:
            self.calls.append(name)
            number = len(self.calls)
        fails_now = number == self._fail_at
        fails_later = self._lasting and self._fail_at is not None and number > self._fail_at
        if fails_later or (fails_now and self._when == "before"):
            raise self._error
        result = call()
        if fails_now:
            if release is not None:
                release(result)
            raise self._error
        return result


class FaultyModule:
    """
    A module some of whose functions are counted, to be put in the place of the real one (``monkeypatch.setattr``).

    Args:
        module: :mod:`os`, for instance.
        counter: counts, and decides which call fails.
        names: the functions that are counted.
    """

    def __init__(self, module: ModuleType, counter: CallCounter, names: Collection[str] = SYSTEM_CALLS) -> None:
        self._module = module
        self._counter = counter
        self._names = names

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._module, name)
        if name not in self._names:
            return attribute
        # A descriptor whose number was lost with the answer is one that the kernel closes with the process.
        release = self._module.close if name in {"open", "dup"} else None

        def counted(*args: object, **kwargs: object) -> object:
            return self._counter.run(name, lambda: attribute(*args, **kwargs), release)

        return counted


class FaultyStore:
    """
    An :class:`~tabvault.storage.contract.ObjectStore` around another, whose calls are counted and may fail.

    Counted are ``create``, ``write``, ``finish``, ``open``, ``read_at``, ``info``, ``list``, ``remove`` and
    ``free_byte_count``; not ``abort`` and ``close``, which do not fail.

    Args:
        store: does the work.
        fail_at: as in :class:`CallCounter`.
        when: as there.
        error: as there.
        lasting: as there.

    Attributes:
        counter: counts the calls of the store and of its uploads and objects.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        fail_at: int | None = None,
        when: When = "before",
        error: Exception | None = None,
        lasting: bool = False,
    ) -> None:
        self._store = store
        self.counter = CallCounter(fail_at=fail_at, when=when, error=error, lasting=lasting)

    @property
    def remote_place(self) -> str | None:
        """See the contract."""
        return self._store.remote_place

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> FaultyUpload:
        """See the contract."""
        upload = self.counter.run(
            "create",
            lambda: self._store.create(
                name,
                replace=replace,
                head_byte_count=head_byte_count,
                upload_key=upload_key,
                facts=facts,
                if_match=if_match,
            ),
            lambda lost: lost.abort(),
        )
        return FaultyUpload(upload, self.counter)

    def open(self, name: str) -> FaultyObject:
        """See the contract."""
        stored = self.counter.run("open", lambda: self._store.open(name), lambda lost: lost.close())
        return FaultyObject(stored, self.counter)

    def info(self, name: str) -> ObjectInfo:
        """See the contract."""
        return self.counter.run("info", lambda: self._store.info(name))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See the contract."""
        return self.counter.run("list", lambda: self._store.list(prefix))

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """See the contract."""
        self.counter.run("remove", lambda: self._store.remove(name, if_match=if_match))

    def free_byte_count(self) -> int | None:
        """See the contract."""
        return self.counter.run("free_byte_count", self._store.free_byte_count)

    def close(self) -> None:
        """See the contract."""
        self._store.close()


class FaultyUpload:
    """An upload whose calls are counted and may fail."""

    def __init__(self, upload: Upload, counter: CallCounter) -> None:
        self._upload = upload
        self._counter = counter

    def write(self, data: bytes | memoryview) -> None:
        """See the contract."""
        self._counter.run("write", lambda: self._upload.write(data))

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """See the contract; a ``finish`` that fails has ended the upload."""
        try:
            return self._counter.run("finish", lambda: self._upload.finish(head))
        finally:
            self._upload.abort()

    def abort(self) -> None:
        """See the contract."""
        self._upload.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class FaultyObject:
    """A stored object whose reads are counted and may fail."""

    def __init__(self, stored: StoredObject, counter: CallCounter) -> None:
        self._stored = stored
        self._counter = counter

    @property
    def info(self) -> ObjectInfo:
        """See the contract."""
        return self._stored.info

    @property
    def byte_count(self) -> int:
        """See the contract."""
        return self._stored.byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """See the contract."""
        return self._counter.run("read_at", lambda: self._stored.read_at(offset, byte_count))

    def whole(self) -> Iterator[bytes | memoryview]:
        """All of it; see the contract."""
        return pieces(self)

    def close(self) -> None:
        """See the contract."""
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
