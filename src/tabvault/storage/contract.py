"""
What backup storage promises.

An :class:`ObjectStore` is **one container** of named, immutable runs of bytes. It knows nothing of backups or
models. The verbs are few, and each fits a folder on a disk as well as Azure block blobs:

========================  =======================================  ===============================================
verb                      folder                                   block blob
========================  =======================================  ===============================================
``create`` … ``finish``   temporary file, fsync, link or rename    Put Block …, one Put Block List
``replace=False``         ``link`` refuses an existing name        ``If-None-Match: *`` on Put Block List
``if_match``              compared under a lock of the folder      ``If-Match`` on Put Block List, Delete Blob
``head_byte_count``       the first bytes of the file come last    the first block of the list is staged last
``etag``                  inode, time and length of the file       the blob's ETag
``open`` … ``read_at``    one file descriptor, ``pread``           ranged GET with ``If-Match: <etag>``
========================  =======================================  ===============================================

Promises that hold for every verb:

1. An object is visible whole, or not at all. What an unfinished upload wrote is never listed, found or read.
2. When ``finish`` or ``remove`` has returned, its effect survives a crash.
3. A call that raises :class:`~tabvault.errors.StorageError` has had no effect or its whole effect. For
   ``ObjectExistsError``, ``ObjectNotFoundError`` and ``InvalidNameError`` it is: no effect. For all others (the
   answer of a disk or of a network may be what was lost) ``info`` tells.
4. Every failure of the storage is a ``StorageError``; an ``OSError`` or an exception of a client library never gets
   out.
5. Names are checked by :func:`tabvault.storage.names.check_object_name` and spelled as it returns them. A store may
   besides refuse with ``InvalidNameError`` a name that runs through another object (``x`` and ``x/y``).
6. A store may be used from several threads; one upload belongs to one thread at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType


@dataclass(frozen=True)
class ObjectInfo:
    """
    A published object.

    Attributes:
        name: its name in the container, folders separated by ``/``.
        byte_count: its length in bytes.
        last_modified: when its content was written, in UTC.
        etag: opaque; two different contents of one name have different tags.
    """

    name: str
    byte_count: int
    last_modified: datetime
    etag: str


class StoredObject(Protocol):
    """
    A published object, open for reading: a :class:`~tabvault.formats.byte_source.ByteSource` and a context manager.

    It reads the object that was opened, also after that one was replaced or removed. A store that cannot keep it
    readable raises; no store ever answers with bytes of the replacement.
    """

    @property
    def info(self) -> ObjectInfo:
        """The object as it was when it was opened."""
        ...

    @property
    def byte_count(self) -> int:
        """Length of the object, in bytes."""
        ...

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """
        Exactly *byte_count* bytes from *offset*; callable from several threads at once.

        Raises:
            TruncatedError: the range is not wholly inside the object.
            StorageError: the store failed.
        """
        ...

    def whole(self) -> Iterator[bytes | memoryview]:
        """
        All of it from front to back, in pieces as the store gives them fastest.

        Raises:
            StorageError: the store failed.
        """
        ...

    def close(self) -> None:
        """Let go of the object; closing twice is allowed, reading afterwards is not."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Upload(Protocol):
    """
    An object on its way: written from front to back, its head last, then published in one step.

    It ends with ``finish`` (published, or raised) or with ``abort``. As a context manager it aborts when it is left
    without ``finish``.
    """

    def write(self, data: bytes | memoryview) -> None:
        """
        Append *data* behind the head and behind what was written before.

        Raises:
            DiskFullError: no room.
            StorageError: the store failed; the upload can only be aborted now.
        """
        ...

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """
        Fill in the head and publish the object under its name.

        When it returns, the object is visible, whole and durable. When it raises, nothing of the upload is left
        but, where promise 3 leaves that open, the published object.

        Args:
            head: the first bytes of the object: ``head_byte_count`` of them, or fewer if nothing was written behind.

        Returns:
            What ``info`` says of the object from now on.

        Raises:
            ObjectExistsError: the upload was not to replace, and an object of that name exists at this moment. Of
                several such uploads of one name exactly one gets through.
            DiskFullError: no room.
            ObjectChangedError: the object of that name has another ETag than ``if_match`` at this moment, or there is
                none; of several such uploads exactly one gets through. Or somebody else published under the name since
                ``create``, where the store replaces only what was there then.
            StorageError: the store failed.
        """
        ...

    def abort(self) -> None:
        """
        Leave nothing behind. Allowed at any time and any number of times; after ``finish`` it does nothing.

        It raises nothing: what it cannot remove now, the store removes when it is opened next.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """One container; see the promises at the top of this module."""

    @property
    def remote_place(self) -> str | None:
        """
        Where the container is, if it is reached over a network, and an interrupted transfer is worth resuming: a text
        that tells it from all others and holds no secret. None for a container on this machine: what a transfer has
        cost there is not worth keeping anything for a second try.
        """
        ...

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> Upload:
        """
        Begin an object.

        Args:
            name: the object's name.
            replace: whether ``finish`` takes the place of an object of that name. The old one stays until the new one
                is whole.
            head_byte_count: how many bytes at the front of the object are not known before the end; ``write`` begins
                behind them and ``finish`` fills them in.
            upload_key: names the try. Where an earlier upload of the same name and key was interrupted, a store that
                can use what it left does so, as far as it holds the same bytes at the same offset, and sends only the
                rest. The writer notices nothing of it: it writes everything again, from the front.
            facts: what to keep beside the object, by lower-case identifier; a store that can keep nothing beside an
                object drops them.
            if_match: ETag of the only object whose place it may take, ``*`` for any that is there; goes with *replace*.

        Raises:
            InvalidNameError: *name* cannot denote an object here.
            ObjectExistsError: the upload is not to replace and an object of that name exists already. This is only the
                early answer; ``finish`` decides.
            ObjectChangedError: the object of that name has another ETag than *if_match*, or there is none; early too.
            StorageError: the store failed.
        """
        ...

    def open(self, name: str) -> StoredObject:
        """
        Open an object for reading.

        Raises:
            InvalidNameError: *name* cannot denote an object here.
            ObjectNotFoundError: there is none of that name.
            StorageError: the store failed.
        """
        ...

    def info(self, name: str) -> ObjectInfo:
        """
        What the store says of an object.

        Raises:
            InvalidNameError: *name* cannot denote an object here.
            ObjectNotFoundError: there is none of that name.
            StorageError: the store failed.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """
        The published objects whose names begin with *prefix*, ordered by name (by code point).

        Objects that come or go meanwhile are in the list or not; all others are.

        Raises:
            StorageError: the store failed, at the call or while iterating.
        """
        ...

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """
        Remove an object, durably.

        Args:
            name: the object's name.
            if_match: the only ETag that it may have.

        Raises:
            InvalidNameError: *name* cannot denote an object here.
            ObjectNotFoundError: there is none of that name.
            ObjectChangedError: it has another ETag.
            StorageError: the store failed.
        """
        ...

    def free_byte_count(self) -> int | None:
        """
        How many bytes can still be written, or ``None`` where the store has no such limit or does not tell.

        Raises:
            StorageError: the store failed.
        """
        ...

    def close(self) -> None:
        """Let go of connections; what was opened or begun is of no use afterwards. Closing twice is allowed."""
        ...


@dataclass(frozen=True)
class ContainerInfo:
    """
    A container of a storage account.

    Attributes:
        name: its name.
        last_modified: when it was last changed, in UTC; None where the account does not tell.
    """

    name: str
    last_modified: datetime | None


class StorageAccount(Protocol):
    """Where containers are: a folder, a storage account of Azure, an endpoint that speaks S3."""

    def containers(self, prefix: str = "") -> Iterator[ContainerInfo]:
        """
        The containers whose names begin with *prefix*, ordered by name.

        Raises:
            StorageAccessError: what the server was given opens one container only, or may not list.
            StorageError: the account cannot be asked.
        """
        ...

    def create_container(self, name: str) -> ContainerInfo:
        """
        Make a container, durably.

        Raises:
            InvalidNameError: *name* cannot be a container's.
            ObjectExistsError: there is one of that name.
            StorageAccessError: this server may not.
            StorageError: the account failed.
        """
        ...

    def container(self, name: str) -> ObjectStore:
        """
        Open a container. Whether it is there, its first use tells, if not this.

        Raises:
            InvalidNameError: *name* cannot be a container's.
            StoreUnavailableError: it is missing or cannot be used.
        """
        ...

    def close(self) -> None:
        """Let go of connections. Closing twice is allowed."""
        ...
