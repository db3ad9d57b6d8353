"""A local file that somebody asked for by its path: it appears whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from tabvault.errors import ObjectExistsError, StoreUnavailableError
from tabvault.storage.durable import fsync_directory
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes | memoryview], *, overwrite: bool) -> int:
    """
    Write *pieces* to *path* through a temporary file beside it.

    Args:
        path: the file; its folder exists.
        pieces: its content; what their source raises passes through.
        overwrite: replace a file that is there. Otherwise the last step, which publishes, refuses one.

    Returns:
        Its length in bytes.

    Raises:
        ObjectExistsError: it exists and *overwrite* is false.
        StorageError: the file system refuses.
    """
    what = f"file {path}"
    taken = ObjectExistsError(f"{what} exists already", hint="allow overwriting, or choose another path")
    if not overwrite and os.path.lexists(path):
        raise taken
    temporary = path.with_name(f".{path.name[:100]}-{secrets.token_hex(8)}.tmp")
    byte_count = 0
    try:
        # Not one block: an OSError of the source is not one of this file.
        with storage_errors(what, missing=StoreUnavailableError):
            file = temporary.open("xb")
        with file:
            for piece in pieces:
                with storage_errors(what):
                    file.write(piece)
                byte_count += len(piece)
            with storage_errors(what):
                file.flush()
                os.fsync(file.fileno())
        with storage_errors(what):
            if overwrite:
                temporary.replace(path)
            else:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    raise taken from None
            fsync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return byte_count
