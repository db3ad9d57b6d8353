"""The data folders that this process has open, each once."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tabvault.storage.data_folder.folder import DataFolder

_shared: dict[Path, tuple[DataFolder, int]] = {}
_shared_lock = threading.Lock()


@contextlib.contextmanager
def shared_folder(path: Path, open_folder: Callable[[Path], DataFolder]) -> Iterator[DataFolder]:
    """
    The data folder of *path*, opened once in this process however many vaults use it.

    It is owned by a process, not by a vault: two databases opened side by side must not lock each other out.
    """
    key = path.absolute()
    with _shared_lock:
        folder, users = _shared[key] if key in _shared else (open_folder(key), 0)
        _shared[key] = (folder, users + 1)
    try:
        yield folder
    finally:
        with _shared_lock:
            folder, users = _shared.pop(key)
            if users > 1:
                _shared[key] = (folder, users - 1)
            else:
                folder.close()
