"""
XPress9 blocks decoded in a process of their own.

The library's decoder does not come back from a block in which a match reaches back before the beginning: it tries the
same code again for ever, and inside the library nothing can interrupt it. So a block that nobody vouches for is given
to a child process, which is ended when it takes too long. What the library prints about damaged blocks ends there too.

A request is ``<?II``: whether a session begins, the raw and the compressed byte count; then the block. The answer is
the raw bytes. The child says that it is ready first, and ends itself when it cannot answer.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from xpress9 import Xpress9

from tabvault.errors import JobError

if TYPE_CHECKING:
    from types import TracebackType

_REQUEST = struct.Struct("<?II")

_READY = b"ready\n"

PATIENCE_S = 20.0
"""How long one block may take. A genuine block takes a fiftieth of a second; a machine may be very busy."""


class DecoderProcess:
    """
    A child process that decodes the sessions of one envelope, one after the other.

    Pass its :meth:`new_session` to :func:`tabvault.formats.xpress9.unwrap` as *new_decoder*.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
                # -P: a module of that name in the working folder, where a hostile file may lie, is not ours.
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except (OSError, ValueError) as error:
            raise JobError(f"the process that decodes XPress9 cannot be started: {error}") from None
        assert self._process.stdout is not None
        if self._process.stdout.read(len(_READY)) != _READY:
            _, complaint = self._process.communicate()
            reason = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise JobError(f"the process that decodes XPress9 ended at its start: {reason or 'no reason given'}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with suppress(OSError):  # what was still to be written to it
            self._process.communicate()

    def new_session(self) -> _ProcessSession:
        """A decoder for the blocks of the next session; the one before is of no more use."""
        return _ProcessSession(self)

    def decompress(self, block: bytes, raw_byte_count: int, *, begins_session: bool) -> bytes:
        """
        The raw bytes of *block*.

        Raises:
            ValueError: the child did not find so many, or not in time. It is gone.
        """
        to_child, from_child = self._process.stdin, self._process.stdout
        assert to_child is not None
        assert from_child is not None
        watchdog = threading.Timer(self._patience_s, self._process.kill)
        watchdog.start()
        try:
            to_child.write(_REQUEST.pack(begins_session, raw_byte_count, len(block)) + block)
            to_child.flush()
            raw = from_child.read(raw_byte_count)
        except BrokenPipeError:
            raw = b""
        finally:
            watchdog.cancel()
        if len(raw) != raw_byte_count:
            raise ValueError(f"the decoder gave up after {len(raw)} of {raw_byte_count} bytes")
        return raw


class _ProcessSession:
    def __init__(self, process: DecoderProcess) -> None:
        self._process = process
        self._begins = True

    def decompress(self, block: bytes, raw_byte_count: int, /) -> bytes:
        begins_session, self._begins = self._begins, False
        return self._process.decompress(block, raw_byte_count, begins_session=begins_session)


def _serve() -> None:
    """The child: answer requests until there are no more, or until a block does not decode."""
    decoder = Xpress9()
    # What the library prints about damaged blocks concerns nobody, and a full pipe would stop it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    while len(header := sys.stdin.buffer.read(_REQUEST.size)) == _REQUEST.size:
        begins_session, raw_byte_count, compressed_byte_count = _REQUEST.unpack(header)
        if begins_session:
            decoder = Xpress9()
        try:
            raw = decoder.decompress(sys.stdin.buffer.read(compressed_byte_count), raw_byte_count)
        except ValueError:
            return
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
