"""
Files may be read only under the folders that an administrator allowed.

1. A path is absolute. It is resolved through every symbolic link first, and the allowed folders are too: what counts
   is where the file lies, not what it is called.
2. Only regular files: no device, no pipe, no socket, no folder.
3. An empty list of folders allows nothing.

Between this check and the driver's opening the file somebody who may write in the allowed folder could swap it. The
resolved path is what drivers get, so a link swapped later is not followed; who may write there may put any file there
anyway.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tabvault.errors import SourceAccessError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable


def allowed_file(path: str, allowed_folders: Iterable[str | Path]) -> Path:
    """
    The true path of the file that *path* names.

    Raises:
        SourceAccessError: it is not under a folder of *allowed_folders*, or no regular file.
        SourceError: it lies in an allowed folder, and is not there.
    """
    true_path = allowed_path(path, allowed_folders, what="file")
    try:
        if true_path.is_file():
            return true_path
        is_there = true_path.exists()
    except OSError as error:
        raise SourceAccessError(f"file {path} cannot be looked at: {error.strerror}") from None
    if is_there:
        raise SourceAccessError(f"{path} is no regular file")
    raise SourceError(f"there is no file {path}")


def allowed_path(path: str, allowed_folders: Iterable[str | Path], *, what: str) -> Path:
    """
    The true path that *path* leads to, be it there or not.

    Args:
        path: absolute.
        allowed_folders: those an administrator allowed.
        what: what it is, for messages.

    Raises:
        SourceAccessError: it is not under a folder of *allowed_folders*.
    """
    if "\0" in path or not PurePosixPath(path).is_absolute():
        raise SourceAccessError(f"{what} {path!r} is no absolute path of this machine")
    try:
        true_path = Path(path).resolve()
        folders = [Path(folder).resolve() for folder in allowed_folders]
    except (OSError, RuntimeError) as error:  # a circle of links is RuntimeError
        raise SourceAccessError(f"{what} {path!r} cannot be resolved: {type(error).__name__}") from None
    if not any(folder in true_path.parents for folder in folders):
        raise SourceAccessError(
            f"{what} {path} is not under a folder that may be read",
            hint=f"an administrator allows it with `tabvault datasource allow-folder {Path(path).parent}`",
        )
    return true_path
