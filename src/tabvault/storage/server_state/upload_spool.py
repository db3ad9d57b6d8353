"""
Uploads that may be cut off and go on: ``<data>/server/uploads/``.

=================  ================================================================================================
``<id>.json``      what is to be uploaded, by whom, and how many bytes of it are durable
``<id>.part``      the bytes, from the front
=================  ================================================================================================

The object appears in the storage when all bytes are here. Invariants:

1. The first ``received_byte_count`` bytes of the part file, as the record has it, survive a crash. What lies behind
   them is written over.
2. A record without an object has a part file; of a published one the part file is gone and the record stays, so that
   who lost the answer hears that it went well.
3. Who wrote last may write: a newer request takes the turn from one whose client is gone and does not know it yet.

What was not touched for :data:`EXPIRY` is removed.
"""

from __future__ import annotations

import datetime
import os
import re
import secrets
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, JobConflictError, ObjectNotFoundError, RequestTooLargeError
from tabvault.storage.durable import FILE_MODE, fsync_directory, make_directory_durably, write_all_at
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.state_file import FOLDER, moment_text, read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

UPLOADS_FOLDER: Final = "uploads"
EXPIRY: Final = datetime.timedelta(days=7)
"""As Azure keeps blocks that nobody commits."""

CHECKPOINT_BYTE_COUNT: Final = 32 << 20
"""How much a crash may take back: it costs two flushes of the disk."""

_ID: Final = re.compile(r"[0-9a-f]{32}")
_BYTE_COUNT_MAX: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """
    An upload, as its file has it.

    Attributes:
        id: 32 hexadecimal digits.
        container: where to.
        name: of the object.
        byte_count: its length.
        owner: who began it.
        key: names the try; the same owner finds the upload by it.
        overwrite: whether it replaces an object.
        if_match: which one; None for any.
        created: when it began.
        touched: when the last bytes came.
        received_byte_count: how many have come.
        etag: of the object, when it was published; None before.
    """

    id: str
    container: str
    name: str
    byte_count: int
    owner: str
    key: str | None
    overwrite: bool
    if_match: str | None
    created: datetime.datetime
    touched: datetime.datetime
    received_byte_count: int = 0
    etag: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the object is there."""
        return self.etag is not None

    @property
    def expires(self) -> datetime.datetime:
        """When it is removed, if nothing comes."""
        return self.touched + EXPIRY


class SpooledUpload:
    """
    An upload on its way. Threads may share it.

    Get it from :class:`UploadSpool`.
    """

    def __init__(self, data_folder: Path, record: UploadRecord, now: Callable[[], datetime.datetime]) -> None:
        self._data_folder = data_folder
        self._path = data_folder / FOLDER / UPLOADS_FOLDER / f"{record.id}.part"
        self._now = now
        self._lock = threading.RLock()
        self._turn = 0
        self._record = record
        self._durable_byte_count = record.received_byte_count

    @property
    def record(self) -> UploadRecord:
        """As it is now, what is not durable yet included."""
        return self._record

    def take_turn(self) -> int:
        """The number of a new writer; those before may not write any more."""
        with self._lock:
            self._turn += 1
            return self._turn

    def append(self, turn: int, data: bytes | memoryview) -> None:
        """
        Add bytes at the end.

        Raises:
            JobConflictError: a newer writer has taken the turn.
            RequestTooLargeError: they are more than the upload was to have.
            StorageError: they cannot be written.
        """
        with self._lock, storage_errors(f"upload of {self._record.name}"):
            if turn != self._turn:
                raise JobConflictError(f"another request goes on with the upload of {self._record.name}")
            received = self._record.received_byte_count + len(data)
            if received > self._record.byte_count:
                raise RequestTooLargeError(
                    f"{received} bytes or more have come, and {self._record.byte_count} were announced"
                )
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                write_all_at(descriptor, data, self._record.received_byte_count)
            finally:
                os.close(descriptor)
            self._record = replace(self._record, received_byte_count=received, touched=self._now())
            if received - self._durable_byte_count >= CHECKPOINT_BYTE_COUNT:
                self.checkpoint()

    def checkpoint(self) -> UploadRecord:
        """
        Make durable what has come.

        Raises:
            StorageError: the disk refuses.
        """
        with self._lock:
            if self._record.received_byte_count != self._durable_byte_count:
                with storage_errors(f"upload of {self._record.name}"):
                    descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
                _write_record(self._data_folder, self._record)
                self._durable_byte_count = self._record.received_byte_count
            return self._record

    def source(self) -> FileSource:
        """
        The bytes that have come, for reading.

        Raises:
            StorageError: they cannot be read.
        """
        return FileSource(self._path)

    def complete(self, etag: str) -> UploadRecord:
        """
        The object is there: the bytes are not needed here any more.

        Raises:
            StorageError: the record cannot be written.
        """
        with self._lock, storage_errors(f"upload of {self._record.name}"):
            self._record = replace(self._record, etag=etag, touched=self._now())
            _write_record(self._data_folder, self._record)
            self._path.unlink(missing_ok=True)
            return self._record


class UploadSpool:
    """
    All uploads of the server on *data_folder*. Threads may share it; one process may have it.

    Args:
        data_folder: root of the data folder.
        now: the time of day, with its offset.
    """

    def __init__(self, data_folder: Path, *, now: Callable[[], datetime.datetime]) -> None:
        self._data_folder = data_folder
        self._folder = data_folder / FOLDER / UPLOADS_FOLDER
        self._now = now
        self._lock = threading.Lock()
        self._uploads: dict[str, SpooledUpload] | None = None

    def all(self) -> list[SpooledUpload]:
        """
        Every upload that has not expired, the oldest first; those that have are removed.

        Raises:
            StorageError: the folder cannot be read.
        """
        with self._lock:
            uploads = self._loaded()
            now = self._now()
            for upload in [upload for upload in uploads.values() if upload.record.expires <= now]:
                self._forget(upload.record.id)
            return sorted(uploads.values(), key=lambda upload: upload.record.created)

    def get(self, upload_id: str) -> SpooledUpload:
        """
        The upload of that id.

        Raises:
            ObjectNotFoundError: there is none, or it has expired.
            StorageError: the folder cannot be read.
        """
        found = next((upload for upload in self.all() if upload.record.id == upload_id), None)
        if found is None:
            raise ObjectNotFoundError(
                f"there is no upload {upload_id!r:.80}",
                hint=f"what is not touched for {EXPIRY.days} days is removed; begin it again",
            )
        return found

    def create(
        self,
        *,
        container: str,
        name: str,
        byte_count: int,
        owner: str,
        key: str | None,
        overwrite: bool,
        if_match: str | None,
    ) -> SpooledUpload:
        """
        Begin an upload; the arguments are those of :class:`UploadRecord`.

        Raises:
            StorageError: it cannot be written down.
        """
        now = self._now()
        record = UploadRecord(
            secrets.token_hex(16), container, name, byte_count, owner, key, overwrite, if_match, now, now
        )
        with self._lock, storage_errors(f"upload of {name}"):
            uploads = self._loaded()
            make_directory_durably(self._folder)
            path = self._folder / f"{record.id}.part"
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
            fsync_directory(self._folder)
            _write_record(self._data_folder, record)
            uploads[record.id] = SpooledUpload(self._data_folder, record, self._now)
            return uploads[record.id]

    def remove(self, upload_id: str) -> None:
        """
        Forget an upload and its bytes.

        Raises:
            StorageError: they cannot be removed.
        """
        with self._lock:
            self._forget(upload_id)

    def free_byte_count(self) -> int:
        """
        How many bytes can still be written.

        Raises:
            StorageError: the file system does not tell.
        """
        with storage_errors(f"data folder {self._data_folder}"):
            status = os.statvfs(self._data_folder)
            return status.f_bavail * status.f_frsize

    def _loaded(self) -> dict[str, SpooledUpload]:
        if self._uploads is None:
            with storage_errors(f"folder {self._folder}"):
                names = sorted(path.name for path in self._folder.iterdir()) if self._folder.exists() else []
            uploads = {}
            for name in names:
                upload_id, _, suffix = name.rpartition(".")
                if suffix == "json" and _ID.fullmatch(upload_id):
                    record = _read_record(self._data_folder, upload_id)
                    if record is not None:
                        uploads[upload_id] = SpooledUpload(self._data_folder, record, self._now)
            self._remove_strangers(names, uploads)
            # All of them or none: what one error hid would stay hidden.
            self._uploads = uploads
        return self._uploads

    def _remove_strangers(self, names: list[str], uploads: Collection[str]) -> None:
        """What a crash left: parts without a record, temporary files of records."""
        for name in names:
            if name.rpartition(".")[0] not in uploads:
                with suppress(OSError):
                    (self._folder / name).unlink()

    def _forget(self, upload_id: str) -> None:
        upload = self._loaded().get(upload_id)
        if upload is None:
            return
        with storage_errors(f"upload {upload_id}"):
            upload.take_turn()
            # The record first: a part without one is garbage, a record without a part would be a promise.
            (self._folder / f"{upload_id}.json").unlink(missing_ok=True)
            (self._folder / f"{upload_id}.part").unlink(missing_ok=True)
        del self._loaded()[upload_id]


def _file_name(upload_id: str) -> str:
    return f"{UPLOADS_FOLDER}/{upload_id}.json"


def _write_record(data_folder: Path, record: UploadRecord) -> None:
    content = asdict(record) | {"created": moment_text(record.created), "touched": moment_text(record.touched)}
    del content["id"]
    write_state(data_folder, _file_name(record.id), content)


def _read_record(data_folder: Path, upload_id: str) -> UploadRecord | None:
    """The record; None where it is damaged: its upload has to begin again."""
    keys = [name for name in UploadRecord.__slots__ if name != "id"]
    try:
        members = read_state(data_folder, _file_name(upload_id), *keys)
        if members is None:
            return None
        byte_count = members["byte_count"].integer(0, _BYTE_COUNT_MAX)
        record = UploadRecord(
            id=upload_id,
            container=members["container"].text(),
            name=members["name"].text(),
            byte_count=byte_count,
            owner=members["owner"].text(),
            key=members["key"].text_or_none(),
            overwrite=members["overwrite"].flag(),
            if_match=members["if_match"].text_or_none(),
            created=members["created"].moment(),
            touched=members["touched"].moment(),
            received_byte_count=members["received_byte_count"].integer(0, byte_count),
            etag=members["etag"].text_or_none(),
        )
    except FormatError:
        return None
    part = data_folder / FOLDER / UPLOADS_FOLDER / f"{upload_id}.part"
    has_bytes = part.is_file() and part.stat().st_size >= record.received_byte_count
    return record if record.is_complete or has_bytes else None
