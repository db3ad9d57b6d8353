"""
An upload into a container that is a folder.

The bytes go into a temporary file in ``.tabvault-uploads/`` of the container (a hidden name, so no object's, and
the same file system, so that a link can publish it). The uploader holds an exclusive ``flock`` on that file until
the upload ends, in whatever way: the kernel drops the lock with the last descriptor, also when the process is
killed. So a temporary file without a lock is garbage, and a locked one is somebody's work, however old.

One gap has to be closed, between the file's creation and its lock: a cleaner may take the lock first and remove the
file. The uploader therefore looks, once it holds the lock, whether the file still has a name, and starts again if not.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tabvault.errors import StoreUnavailableError
from tabvault.storage.durable import WRITE_BEHIND_BYTE_COUNT, begin_writing, write_all_at
from tabvault.storage.local_object import local_object_info
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.upload import OpenUpload, check_match, object_exists

if TYPE_CHECKING:
    from tabvault.storage.contract import ObjectInfo
    from tabvault.storage.local_folder import Folder

UPLOADS_FOLDER = ".tabvault-uploads"


class LocalUpload(OpenUpload):
    """
    An :class:`~tabvault.storage.contract.Upload` into a folder.

    Args:
        container: the container's folder; owned from now on.
        name: the object's name, checked and spelled out.
        replace: whether an object of that name gives way.
        head_byte_count: bytes at the front that :meth:`finish` fills in.
        if_match: the ETag of the only object that gives way, ``*`` for any, None also for none.

    Raises:
        OSError: the temporary file cannot be made.
    """

    def __init__(
        self, container: Folder, name: str, *, replace: bool, head_byte_count: int, if_match: str | None
    ) -> None:
        super().__init__(name, head_byte_count=head_byte_count)
        self._replace = replace
        self._if_match = if_match
        self._written_byte_count = 0
        self._begun_byte_count = 0
        with ExitStack() as stack:
            self._container = stack.enter_context(container)
            self._uploads = stack.enter_context(container.folder(UPLOADS_FOLDER, create=True))
            self._descriptor, self._temporary_name = _new_temporary(self._uploads)
            stack.callback(os.close, self._descriptor)
            stack.callback(self._uploads.unlink, self._temporary_name)
            self._resources = stack.pop_all()

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*; see the contract."""
        self._check_open()
        view = memoryview(data).cast("B")
        with storage_errors(f"upload of {self._name}", missing=StoreUnavailableError):
            write_all_at(self._descriptor, view, self._head_byte_count + self._written_byte_count)
            self._written_byte_count += len(view)
            waiting_byte_count = self._written_byte_count - self._begun_byte_count
            if waiting_byte_count >= WRITE_BEHIND_BYTE_COUNT:
                begin_writing(
                    self._descriptor, self._head_byte_count + self._begun_byte_count, byte_count=waiting_byte_count
                )
                self._begun_byte_count = self._written_byte_count

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Fill in the head and publish; see the contract."""
        self._check_open()
        self._check_head(head, is_written=bool(self._written_byte_count))
        try:
            with storage_errors(f"upload of {self._name}", missing=StoreUnavailableError):
                return self._publish(head)
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove the temporary file and let go of everything; see the contract."""
        self._is_open = False
        # The object's fate is decided; a temporary file that stays is garbage, and the next opening looks for garbage.
        with suppress(OSError):
            self._resources.close()

    def _publish(self, head: bytes) -> ObjectInfo:
        """Steps 2 to 6 of the module :mod:`tabvault.storage.local`."""
        write_all_at(self._descriptor, head, 0)
        os.fsync(self._descriptor)
        status = os.fstat(self._descriptor)
        *folder_names, file_name = self._name.split("/")
        with self._container.descend(folder_names, create=True) as folder:
            if self._replace:
                # Also without a condition: else it would come between another's look and his renaming, and be lost.
                with self._uploads.turn():
                    self._check_match(folder, file_name)
                    self._uploads.rename(self._temporary_name, folder, file_name)
            else:
                try:
                    self._uploads.link(self._temporary_name, folder, file_name)
                except FileExistsError:
                    raise object_exists(self._name) from None
            folder.fsync()
        return local_object_info(self._name, status)

    def _check_match(self, folder: Folder, file_name: str) -> None:
        if self._if_match is None:
            return
        try:
            seen = local_object_info(self._name, folder.status(file_name))
        except FileNotFoundError:
            seen = None
        check_match(self._name, seen, self._if_match)


def remove_leftovers(container: Folder) -> None:
    """
    Remove the temporary files of uploads whose process is gone.

    What cannot be removed stays for the next time: a container that may only be read is still good for reading.
    """
    with suppress(OSError), container.folder(UPLOADS_FOLDER) as uploads:
        for name in uploads.names():
            with suppress(OSError), ExitStack() as stack:
                # Opened for writing, since network file systems give an exclusive lock to writers only.
                descriptor = uploads.open_file(name, os.O_RDWR)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                uploads.unlink(name)


def _new_temporary(uploads: Folder) -> tuple[int, str]:
    """A new, empty file in *uploads*, locked: its descriptor and its name."""
    while True:
        name = secrets.token_hex(16)
        descriptor = uploads.open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # A cleaner was faster; it removes the file.
                os.close(descriptor)
                continue
            if os.fstat(descriptor).st_nlink:
                return descriptor, name
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                uploads.unlink(name)
            raise
        os.close(descriptor)
