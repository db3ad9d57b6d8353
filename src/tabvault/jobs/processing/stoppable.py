"""Work that ends soon after it was cancelled, though what does it knows nothing of that."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from tabvault.errors import JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")

_STEP_S = 0.2
"""How often whoever asked is asked whether to go on."""


class Stoppable:
    """
    Runs work whose temporary files refuse when it shall stop: encoding reads one for every segment of every column.

    Args:
        new_file: gives an empty temporary file.
        check: raises when the work shall stop; asked in the thread that waits for the work.
    """

    def __init__(self, new_file: Callable[[], BinaryIO], check: Callable[[], None]) -> None:
        self._new_file = new_file
        self._check = check
        self._must_stop = threading.Event()

    def scratch_file(self) -> BinaryIO:
        """A temporary file for the work."""
        return cast("BinaryIO", _StoppableFile(self._new_file(), self._must_stop))

    def run(self, work: Callable[[], _Result]) -> _Result:
        """
        Do *work*, and wait for it.

        Raises:
            JobCancelledError: or whatever else *check* raises; the work has ended then.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="tabvault-encode") as thread:
            future = thread.submit(work)
            try:
                while wait([future], _STEP_S).not_done:
                    self._check()
                return future.result()
            except BaseException:
                self._must_stop.set()
                raise


class _StoppableFile:
    """What :class:`~tabvault.engine.encoder.scratch.ScratchFile` does with a file."""

    def __init__(self, file: BinaryIO, must_stop: threading.Event) -> None:
        self._file = file
        self._must_stop = must_stop

    def seek(self, offset: int) -> int:
        if self._must_stop.is_set():
            raise JobCancelledError("encoding was cancelled")
        return self._file.seek(offset)

    def write(self, content: bytes | memoryview) -> int:
        return self._file.write(content)

    def read(self, byte_count: int) -> bytes:
        return self._file.read(byte_count)

    def close(self) -> None:
        self._file.close()
