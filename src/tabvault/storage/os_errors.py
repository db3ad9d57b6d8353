"""
What the operating system's errors mean for storage: one table, applied by one context manager.

==================================  ===========================================================================
``errno``                           error
==================================  ===========================================================================
ENOENT                              :class:`ObjectNotFoundError`, or what the caller says a missing thing means
EEXIST                              :class:`ObjectExistsError`
ENOSPC, EDQUOT, EFBIG               :class:`DiskFullError`
ENAMETOOLONG, EILSEQ                :class:`InvalidNameError`: the file system cannot spell the name
ENOTDIR, EISDIR, ELOOP              :class:`InvalidNameError`: the name runs through an object, a folder, a link
EXDEV, EOPNOTSUPP, ENOSYS, ENOLCK   :class:`StorageError`: this file system cannot do what we need, now or later
ENXIO                               :class:`StorageError`: a socket or a device without driver, not a file
all others (EIO, EACCES, EROFS, …)  :class:`StoreUnavailableError`
==================================  ===========================================================================
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tabvault.errors import (
    DiskFullError,
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRORS: dict[int, type[StorageError]] = {
    errno.ENOENT: ObjectNotFoundError,
    errno.EEXIST: ObjectExistsError,
    errno.ENOSPC: DiskFullError,
    errno.EDQUOT: DiskFullError,
    errno.EFBIG: DiskFullError,
    errno.ENAMETOOLONG: InvalidNameError,
    errno.EILSEQ: InvalidNameError,
    errno.ENOTDIR: InvalidNameError,
    errno.EISDIR: InvalidNameError,
    errno.ELOOP: InvalidNameError,
    errno.EXDEV: StorageError,
    errno.EOPNOTSUPP: StorageError,
    errno.ENOSYS: StorageError,
    errno.ENOLCK: StorageError,
    errno.ENXIO: StorageError,
}

_HINTS: dict[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the file system of the storage, or raise the quota"),
    **dict.fromkeys(
        (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EPERM),
        "a container needs one file system that has hard links and file locks",
    ),
}


@contextmanager
def storage_errors(what: str, *, missing: type[StorageError] = ObjectNotFoundError) -> Iterator[None]:
    """
    Turn an :class:`OSError` of the block into a :class:`StorageError` that begins with *what*.

    Args:
        what: the thing that was worked on, in the user's words.
        missing: what it means when a file or folder is not there.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or errno.EIO
        kind = missing if number == errno.ENOENT else _ERRORS.get(number, StoreUnavailableError)
        raise kind(f"{what}: {os.strerror(number).lower()}", hint=_HINTS.get(number)) from error
