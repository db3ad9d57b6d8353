"""
Notes of the uploads in parts that this program began, by which it knows them again.

A service keeps the parts of an upload that was neither completed nor ended, and lists such uploads with name, id and
time: nothing that tells whose they are. A part that says so must not be sent, because not every service completes an
upload that has parts which its request does not list (Ceph refuses it). So what is ours is written down here, a file
for each upload, for the owner alone::

    <folder>/<32 random digits>.json

=================  ============================================================================================
key                content
=================  ============================================================================================
``service``        URL of the service
``bucket``         name of the bucket
``name``           of the object
``upload_id``      of the upload, as the service gave it
``key_digest``     of upload key and facts (:func:`~tabvault.storage.s3.parts.digest_of_key`); null without a key
``begun``          when it was begun, by this machine's clock: ISO 8601, UTC, microseconds
``sha256``         of the object without this key, in the same spelling
=================  ============================================================================================

and ``format_version``, which is 1. A file in another spelling of the same JSON is none of ours.

Invariants:

1. Nothing is resumed or ended but what a note names, and a note names only what a service answered to this program's
   CreateMultipartUpload.
2. When :meth:`UploadNotes.add` has returned a note it is durable. The first part is sent after that: whatever ends the
   process, an upload that has parts has a note. Between the answer of the service and the note there is only an
   upload without parts.
3. Who uses a note holds a lock on its file, from before the file has its name until he lets go of it, however he ends.
   What another holds is neither resumed nor ended: of two tries with one key at once, the second begins an upload of
   its own, with a note of its own.
4. A note goes when its upload is gone: published, ended, or not known to the service. One that a crash left behind
   goes when the service is next asked for its upload.
5. A file that is damaged, torn or of another version is no note: what it named is neither resumed nor ended.
6. No upload fails by its note. Where none can be written (a data folder that can only be read, a full disk) there is
   none, and what is begun then has to be ended by who began it; a process that is killed leaves it to the bucket.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tabvault.storage.durable import fsync_directory, make_directory_durably, write_all_at
from tabvault.storage.names import is_object_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOTE_BYTE_COUNT_MAX: Final = 16 << 10
"""A name has 1,024 bytes, an id some hundred; what is longer is not noted, and not read."""

_FORMAT_VERSION: Final = 1
_OWNER_ONLY: Final = 0o600
_FILE: Final = re.compile(r"[0-9a-f]{32}\.json")
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}\.json\.tmp")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NotedUpload:
    """
    What a note says.

    Attributes:
        service: URL of the service.
        bucket: name of the bucket.
        name: of the object.
        upload_id: the service's.
        key_digest: of upload key and facts; None where there was no key.
        begun: when.
    """

    service: str
    bucket: str
    name: str
    upload_id: str
    key_digest: str | None
    begun: datetime


class UploadNote:
    """
    A note, from when it is taken until :meth:`release` or :meth:`remove` nobody else's. :class:`UploadNotes` gives it.

    Attributes:
        upload: what it says.
    """

    def __init__(self, upload: NotedUpload, path: Path, descriptor: int) -> None:
        self.upload = upload
        self._path = path
        self._descriptor = descriptor

    def remove(self) -> None:
        """The upload is gone. A note that cannot be removed goes another time."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - the system call itself, as in :mod:`tabvault.storage.durable`
        self.release()

    def take(self) -> bool:
        """Have it for oneself; False if somebody else has, or it is gone."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed it between our opening and our lock.
            return os.fstat(self._descriptor).st_nlink > 0
        except OSError:
            return False

    def release(self) -> None:
        """Let go of it; it stays. Twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class UploadNotes:
    """
    The notes about one bucket. Threads and processes may share the folder.

    Args:
        folder: where all notes lie; made when the first is written.
        service: URL of the service.
        bucket: name of the bucket.
    """

    def __init__(self, folder: Path, *, service: str, bucket: str) -> None:
        self._folder = folder
        self._service = service
        self._bucket = bucket

    def add(self, name: str, upload_id: str, *, key_digest: str | None, begun: datetime) -> UploadNote | None:
        """
        Write down an upload that was begun, durably; None where that cannot be done.

        Args:
            name: of the object.
            upload_id: the service's.
            key_digest: of upload key and facts.
            begun: when, with its offset from UTC.
        """
        upload = NotedUpload(self._service, self._bucket, name, upload_id, key_digest, begun)
        data = _encoded(upload)
        if len(data) > NOTE_BYTE_COUNT_MAX:
            return None
        path = self._folder / f"{secrets.token_hex(16)}.json"
        try:
            make_directory_durably(self._folder)
            return UploadNote(upload, path, _write_new(path, data))
        except OSError:
            return None

    def of_key(self, name: str, key_digest: str) -> Iterator[UploadNote]:
        """The notes of uploads of the object *name* with this key and these facts, each to be released or removed."""
        return self._held(lambda upload: (upload.name, upload.key_digest) == (name, key_digest))

    def begun_before(self, moment: datetime) -> Iterator[UploadNote]:
        """The notes of uploads that were begun before *moment*, each to be released or removed."""
        return self._held(lambda upload: upload.begun < moment)

    def upload_ids(self) -> frozenset[str]:
        """The ids of all uploads that are noted, those at work included."""
        found = set()
        for path in self._paths(_FILE):
            note = self._opened(path)
            if note is not None:
                found.add(note.upload.upload_id)
                note.release()
        return frozenset(found)

    def remove_temporary_files(self, before: datetime) -> None:
        """Remove what writers left that were killed *before* that moment; what cannot be removed now stays."""
        for path in self._paths(_TEMPORARY):
            with contextlib.suppress(OSError):
                if os.stat(path, follow_symlinks=False).st_mtime < before.timestamp():  # noqa: PTH116 - as above
                    os.unlink(path)  # noqa: PTH108 - as above

    def _held(self, is_wanted: Callable[[NotedUpload], bool]) -> Iterator[UploadNote]:
        for path in self._paths(_FILE):
            note = self._opened(path)
            if note is None:
                continue
            if is_wanted(note.upload) and note.take():
                yield note
            else:
                note.release()

    def _paths(self, kind: re.Pattern[str]) -> list[Path]:
        """The files of that kind, as far as there is anything to be seen."""
        try:
            return [self._folder / file for file in os.listdir(self._folder) if kind.fullmatch(file)]  # noqa: PTH208 - as above
        except OSError:
            return []

    def _opened(self, path: Path) -> UploadNote | None:
        """The note in a file, not yet taken; None for what is none, or is about another bucket."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            upload = _decoded(os.pread(descriptor, NOTE_BYTE_COUNT_MAX + 1, 0))
        except OSError:
            upload = None
        if upload is None or (upload.service, upload.bucket) != (self._service, self._bucket):
            os.close(descriptor)
            return None
        return UploadNote(upload, path, descriptor)


def _encoded(upload: NotedUpload) -> bytes:
    members = {
        "format_version": _FORMAT_VERSION,
        "service": upload.service,
        "bucket": upload.bucket,
        "name": upload.name,
        "upload_id": upload.upload_id,
        "key_digest": upload.key_digest,
        "begun": upload.begun.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    digest = hashlib.sha256(_spelling(members)).hexdigest()
    return _spelling({**members, "sha256": digest})


def _spelling(members: dict[str, object]) -> bytes:
    return json.dumps(members, indent=1).encode("ascii") + b"\n"


def _decoded(data: bytes) -> NotedUpload | None:
    """What *data* say; None if they are not what :func:`_encoded` gives for any upload."""
    try:
        members = json.loads(data.decode("ascii"))
        texts = [members[key] for key in ("service", "bucket", "name", "upload_id", "begun")]
        key_digest = members["key_digest"]
        if not all(isinstance(text, str) and text for text in texts) or not is_object_name(members["name"]):
            return None
        if key_digest is not None and _DIGEST.fullmatch(key_digest) is None:
            return None
        service, bucket, name, upload_id, begun = texts
        upload = NotedUpload(service, bucket, name, upload_id, key_digest, datetime.fromisoformat(begun))
        # Every key, no other, in this order, of this version, and the digest.
        return upload if _encoded(upload) == data else None
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None


def _write_new(path: Path, data: bytes) -> int:
    """Put a new file under the name, durably, locked from before it has it; gives the descriptor."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_all_at(descriptor, data, 0)
        os.fsync(descriptor)
        os.rename(temporary, path)  # noqa: PTH104 - as above
        fsync_directory(path.parent)
    except BaseException:
        for left in (temporary, path):
            with contextlib.suppress(OSError):
                os.unlink(left)  # noqa: PTH108 - as above
        os.close(descriptor)
        raise
    return descriptor
