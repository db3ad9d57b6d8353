"""
What the uploads of all stores have in common, and those in pieces more.

An upload ends once, by ``finish`` or ``abort``, and takes nothing afterwards. The bytes at the front that are not known
before the end are its *head*: what is written begins behind it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import ObjectChangedError, ObjectExistsError, StorageError

if TYPE_CHECKING:
    from types import TracebackType

    from tabvault.storage.contract import ObjectInfo

_SMALL_BYTE_COUNT: Final = 16 << 10
"""Shorter parts are copied together while they come: an object for each would take more memory than they do."""


class OpenUpload(ABC):
    """
    The part of an :class:`~tabvault.storage.contract.Upload` that is the same for all stores.

    Args:
        name: the object's name, checked and spelled out.
        head_byte_count: bytes at the front that ``finish`` fills in.
    """

    def __init__(self, name: str, *, head_byte_count: int) -> None:
        self._name = name
        self._head_byte_count = head_byte_count
        self._is_open = True

    @abstractmethod
    def abort(self) -> None:
        """Let go of everything; see the contract."""

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"the upload of {self._name} has ended")

    def _check_head(self, head: bytes, *, is_written: bool) -> None:
        """An object to which nothing was written may be shorter than its head was to be."""
        if len(head) != self._head_byte_count and (is_written or len(head) > self._head_byte_count):
            raise ValueError(f"the head has {len(head)} bytes, and {self._head_byte_count} were left for it")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class UploadInPieces(OpenUpload):
    """An upload whose bytes are gathered until there are enough for a piece, which a service then takes."""

    def __init__(self, name: str, *, head_byte_count: int) -> None:
        super().__init__(name, head_byte_count=head_byte_count)
        self._gathered: list[bytes | bytearray] = []
        self._gathered_byte_count = 0

    @abstractmethod
    def _piece_byte_count(self) -> int:
        """
        How long the piece is that is being gathered, if it is not the last.

        Raises:
            StorageError: the service takes no more pieces.
        """

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """
        A piece is whole; the next one begins.

        Raises:
            StorageError: it, or one before it, could not be sent.
        """

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*; see the contract."""
        self._check_open()
        rest = memoryview(data).cast("B")
        try:
            while len(rest):
                missing_byte_count = self._piece_byte_count() - self._gathered_byte_count
                if isinstance(data, bytes) and len(rest) == len(data) <= missing_byte_count:
                    part, rest = data, rest[:0]  # nobody can change it: as it is, without a copy
                else:
                    part, rest = bytes(rest[:missing_byte_count]), rest[missing_byte_count:]
                self._gather(part)
                if len(part) == missing_byte_count:
                    self._take_gathered()
        except StorageError:
            self.abort()
            raise

    def _gather(self, part: bytes) -> None:
        self._gathered_byte_count += len(part)
        if len(part) >= _SMALL_BYTE_COUNT:
            self._gathered.append(part)
        elif self._gathered and isinstance(self._gathered[-1], bytearray):
            self._gathered[-1] += part
        else:
            self._gathered.append(bytearray(part))

    def _take_gathered(self) -> None:
        """What was gathered is a piece."""
        gathered = self._forget_gathered()
        only = gathered[0] if len(gathered) == 1 else None
        self._take(only if isinstance(only, bytes) else b"".join(gathered))

    def _forget_gathered(self) -> list[bytes | bytearray]:
        gathered, self._gathered, self._gathered_byte_count = self._gathered, [], 0
        return gathered


def check_match(name: str, seen: ObjectInfo | None, if_match: str | None) -> None:
    """
    Refuse where an object is not the one that was meant.

    Args:
        name: its name.
        seen: the object of that name, if there is one.
        if_match: the ETag that it must have; ``*`` for any; None asks for nothing.

    Raises:
        ObjectChangedError: there is none, or it has another.
    """
    if if_match is None:
        return
    if seen is None:
        raise ObjectChangedError(f"there is no object {name}, and it was to be replaced")
    if if_match not in ("*", seen.etag):
        raise object_changed(name)


def object_changed(name: str) -> ObjectChangedError:
    """The error for an object that is not the one that was meant."""
    return ObjectChangedError(f"{name} is not the one that was meant", hint="look at it again, then decide")


def object_exists(name: str) -> ObjectExistsError:
    """The error for a name that is taken."""
    return ObjectExistsError(f"{name} exists already", hint="choose another name, or ask for overwriting")
