"""
A folder held open, and what is done to the names in it.

A path is looked up by the kernel in one go, through whatever symbolic links lie on the way. A container must not be
left through such a link, and checking first does not help: the link may come after the check. So a name is walked
here one component at a time, each opened relative to the folder before it with ``O_NOFOLLOW`` (``openat`` and its
relatives).

Names are UTF-8 on the disk whatever the locale says. Everything here raises :class:`OSError`.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from tabvault.storage.durable import FILE_MODE, FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a pipe would wait for its other end.
_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """
    A folder, open until :meth:`close`; a context manager.

    Args:
        descriptor: of the folder; owned from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder at *path*; this one path may run through links, the administrator chose it."""
        return cls(os.open(path, _FOLDER_FLAGS))

    def folder(self, name: str, *, create: bool = False) -> Folder:
        """
        The folder *name* in this one.

        Args:
            name: one component.
            create: make it, durably, if it is missing.

        Raises:
            NotADirectoryError: it is a file or a symbolic link.
            OSError: it cannot be opened or made.
        """
        encoded_name = name.encode()
        if create:
            with suppress(FileExistsError):
                os.mkdir(encoded_name, FOLDER_MODE, dir_fd=self._descriptor)
            # Also when it was there: the one who made it may not have come to this step.
            self.fsync()
        return Folder(os.open(encoded_name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=self._descriptor))

    def descend(self, names: Sequence[str], *, create: bool = False) -> Folder:
        """
        The folder at the end of *names*, each in the one before; a second handle on this folder if there are none.

        Raises:
            OSError: as :meth:`folder`.
        """
        folder = Folder(os.dup(self._descriptor))
        for name in names:
            with folder:
                folder = folder.folder(name, create=create)
        return folder

    def open_file(self, name: str, flags: int) -> int:
        """
        A descriptor of the file *name*, which may be a pipe or a device: the caller looks.

        Raises:
            OSError: it cannot be opened, or is a symbolic link.
        """
        return os.open(name.encode(), flags | _FILE_FLAGS, FILE_MODE, dir_fd=self._descriptor)

    def status(self, name: str) -> os.stat_result:
        """
        ``lstat`` of *name*.

        Raises:
            OSError: there is nothing of that name, or the file system refuses.
        """
        return os.stat(name.encode(), dir_fd=self._descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """
        What the folder holds, in no order; names that are not UTF-8 are left out, since none of ours is.

        Raises:
            OSError: the file system refuses.
        """
        names = []
        for name in os.listdir(self._descriptor):  # noqa: PTH208 - a Path has no descriptor
            try:
                names.append(os.fsencode(name).decode())
            except UnicodeDecodeError:
                continue
        return names

    def link(self, name: str, folder: Folder, new_name: str) -> None:
        """
        Give the file *name* a second name, in *folder*.

        Raises:
            FileExistsError: *new_name* is taken, by whatever it be.
            OSError: the file system refuses.
        """
        os.link(
            name.encode(),
            new_name.encode(),
            src_dir_fd=self._descriptor,
            dst_dir_fd=folder._descriptor,
            follow_symlinks=False,
        )

    def rename(self, name: str, folder: Folder, new_name: str) -> None:
        """
        Move the file *name* to *folder*, over a file that has *new_name* there.

        Raises:
            OSError: *new_name* is a folder, or the file system refuses.
        """
        os.rename(name.encode(), new_name.encode(), src_dir_fd=self._descriptor, dst_dir_fd=folder._descriptor)

    def unlink(self, name: str) -> None:
        """
        Remove the file or link *name*.

        Raises:
            OSError: there is none, or the file system refuses.
        """
        os.unlink(name.encode(), dir_fd=self._descriptor)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """
        Keep off whoever else asks for a turn in this folder, so that a look at a name holds for what is done to it.

        It is a lock of the kernel, between threads as well as processes; on a network file system, between those of
        one machine.

        Raises:
            OSError: the file system refuses.
        """
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def fsync(self) -> None:
        """
        Make the names in the folder durable.

        Raises:
            OSError: the file system reports a failure.
        """
        os.fsync(self._descriptor)

    def free_byte_count(self) -> int | None:
        """
        What an ordinary user may still write on the folder's file system; ``None`` if that does not keep count.

        Raises:
            OSError: the file system refuses.
        """
        status = os.fstatvfs(self._descriptor)
        return status.f_bavail * status.f_frsize if status.f_blocks else None

    def close(self) -> None:
        """Let go of the folder. Closing twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
