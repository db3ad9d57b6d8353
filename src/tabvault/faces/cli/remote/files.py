"""The backup storage of a server: its files listed, read in place by ranges, put and removed."""

from __future__ import annotations

import contextlib
import datetime
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any, Final, Self

from tabvault.errors import ObjectExistsError, ObjectNotFoundError, StoreUnavailableError
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.formats.byte_source import check_range, pieces
from tabvault.jobs.file_details import FileDetails
from tabvault.jobs.stored_folders import DescribedFile, StoredFolder
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from tabvault.faces.cli.remote.connection import Answer, Sending, ServerConnection

_SKIPPED_BYTE_COUNT_MAX: Final = 256 << 10
"""What is read away to get on, rather than asking again."""

_DESCRIBED_COUNT: Final = 100
"""Files that are described by one answer: each may take a quarter of a second."""


class RemoteStore:
    """The container that a server keeps its backups in, as far as commands need it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The files whose names begin with *prefix*, by name."""
        query = {"prefix": prefix} if prefix else {}
        after: str | None = ""
        while after is not None:
            page = self._connection.get("/files", **query, **({"after": after} if after else {}))
            yield from (self._info(file) for file in page["files"])
            after = page["next"]

    def described(self, folder: str | None, *, details: bool) -> tuple[Sequence[StoredFolder], Sequence[DescribedFile]]:
        """What is in a folder, all files for None; and where that is asked for what each is."""
        query: dict[str, str | int] = {} if folder is None else {"folder": folder or "/"}
        if details:
            query |= {"details": "true", "limit": _DESCRIBED_COUNT}
        folders: list[StoredFolder] = []
        files: list[DescribedFile] = []
        after: str | None = ""
        while after is not None:
            page = self._connection.get("/files", **query, **({"after": after} if after else {}))
            try:
                folders += [StoredFolder(**one | {"last_modified": _moment(one)}) for one in page["folders"]]
                for file in page["files"]:
                    found = None if file["details"] is None else FileDetails(**file["details"])
                    files.append(DescribedFile(self._info(file), found))
            except (KeyError, TypeError, ValueError):
                raise unexpected(self._connection.url) from None
            after = page["next"]
        return folders, files

    def info(self, name: str) -> ObjectInfo:
        """
        What the server says of a file.

        Raises:
            InvalidNameError: *name* cannot be the name of a file.
            ObjectNotFoundError: there is none of that name.
        """
        name = check_object_name(name)
        for file in self._connection.get("/files", prefix=name, limit=1)["files"]:
            info = self._info(file)
            if info.name == name:
                return info
        # The server says it in its own words, those of the storage that it has.
        with self._connection.request("GET", f"/files/{quoted_name(name)}"):
            pass
        raise ObjectNotFoundError(f"object {name} came this very moment", hint="ask again")

    def open(self, name: str) -> RemoteFile:
        """Open a file for reading; errors as :meth:`info`."""
        return RemoteFile(self._connection, self.info(name))

    def create(self, name: str, *, replace: bool) -> RemoteUpload:
        """
        Begin to put a file.

        Raises:
            InvalidNameError: *name* cannot be the name of a file.
            ObjectExistsError: there is one, and *replace* is false.
        """
        name = check_object_name(name)
        if not replace:
            # The early answer, before gigabytes are sent; the server decides again at the end.
            with contextlib.suppress(ObjectNotFoundError):
                self.info(name)
                raise ObjectExistsError(f"{name} exists already", hint="allow overwriting, or choose another name")
        query = {"overwrite": "true"} if replace else {}
        return RemoteUpload(self, name, self._connection.sending("PUT", f"/files/{quoted_name(name)}", query=query))

    def remove(self, name: str) -> None:
        """Remove a file; errors as :meth:`info`."""
        self._connection.send("DELETE", f"/files/{quoted_name(check_object_name(name))}")

    def _info(self, file: Any) -> ObjectInfo:
        try:
            return ObjectInfo(str(file["name"]), int(file["byte_count"]), _moment(file), str(file["etag"]))
        except (KeyError, TypeError, ValueError):
            raise unexpected(self._connection.url) from None


class RemoteFile:
    """
    A file of a server, open for reading; see :class:`tabvault.storage.contract.StoredObject`.

    Reading on where the last read ended goes on with the same answer: a file that is read from front to back is one
    request. Another place is another one.
    """

    def __init__(self, connection: ServerConnection, info: ObjectInfo) -> None:
        self.info = info
        self._connection = connection
        self._lock = threading.Lock()
        self._answer: Answer | None = None
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def byte_count(self) -> int:
        """Length of the file, in bytes."""
        return self.info.byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes:
        """
        Exactly *byte_count* bytes from *offset*.

        Raises:
            TruncatedError: the range is not wholly inside the file.
            StoreUnavailableError: it was replaced since it was opened.
            ServerUnreachableError: the connection broke off.
        """
        check_range(offset, byte_count, self.byte_count)
        if byte_count == 0:
            return b""
        with self._lock:
            answer = self._answer_at(offset)
            parts = []
            end = offset + byte_count
            while self._at < end:
                piece = answer.read(end - self._at)
                if not piece:
                    self._close()
                    raise unexpected(self._connection.url)
                self._at += len(piece)
                parts.append(piece)
            return b"".join(parts)

    def whole(self) -> Iterator[bytes | memoryview]:
        """All of it; see the contract."""
        return pieces(self)  # one request

    def close(self) -> None:
        """Let go of the file. Twice is allowed."""
        with self._lock:
            self._close()

    def _answer_at(self, offset: int) -> Answer:
        gap = offset - self._at
        if self._answer is not None and 0 < gap <= _SKIPPED_BYTE_COUNT_MAX:
            self._at += len(self._answer.read(gap))
        if self._answer is None or self._at != offset:
            self._close()
            answer = self._connection.request(
                "GET",
                f"/files/{quoted_name(self.info.name)}",
                headers={"Range": f"bytes={offset}-", "Accept": "*/*"},
            )
            self._answer, self._at = answer, offset
            if urllib.parse.unquote(answer.headers.get("ETag", "")) != f'"{self.info.etag}"':
                self._close()
                raise StoreUnavailableError(f"file {self.info.name!r} was replaced while it was read")
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                self._close()
                raise unexpected(self._connection.url)
        return self._answer

    def _close(self) -> None:
        if self._answer is not None:
            with self._answer:
                self._answer = None


class RemoteUpload:
    """A file on its way to a server; it appears there when it is whole."""

    def __init__(self, store: RemoteStore, name: str, sending: Sending) -> None:
        self._store = store
        self._name = name
        self._sending = sending

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Before the end of the body that tells the server to forget what it has; after it, nothing.
        self._sending.close()

    def write(self, data: bytes | memoryview) -> None:
        """
        Append *data*.

        Raises:
            TabvaultError: what the server says is wrong; ServerUnreachableError: the connection broke off.
        """
        self._sending.write(data)

    def finish(self) -> ObjectInfo:
        """
        Publish the file.

        Raises:
            ObjectExistsError: there is one of that name by now. Others as :meth:`write`.
        """
        self._sending.finish()
        return self._store.info(self._name)


def _moment(document: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(document["last_modified"])


def quoted_name(name: str) -> str:
    """The name of a file as the end of a path."""
    return "/".join(quoted(part) for part in name.split("/"))
