"""The files of a database with those of an alteration that was not committed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import FormatError
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.file_set import FileSet


class AlteredFiles:
    """
    A :class:`~tabvault.model.file_set.FileSet`.

    Args:
        files: of the version that is altered.
        dropped: names that are not there any more.
        added: bodies by name; before those of *files*.
    """

    def __init__(self, files: FileSet, *, dropped: Collection[str], added: Mapping[str, ByteSource]) -> None:
        self._files = files
        self._dropped = dropped
        self._added = added

    def names(self) -> list[str]:
        """All logical names; the metadata are last, as in every backup of an engine."""
        kept = [name for name in self._files.names() if name not in self._added and name not in self._dropped]
        kept.remove(METADATA_FILE)
        return [*kept, *self._added, METADATA_FILE]

    def byte_count(self, name: str) -> int:
        """Length of the file; FormatError if there is none."""
        added = self._added.get(name)
        return added.byte_count if added is not None else self._files.byte_count(self._there(name))

    def read(self, name: str) -> bytes | memoryview:
        """The whole file; FormatError if there is none, or it is damaged."""
        added = self._added.get(name)
        return added.read_at(0, added.byte_count) if added is not None else self._files.read(self._there(name))

    def open(self, name: str) -> ByteSource:
        """The file for reading in ranges; FormatError if there is none."""
        added = self._added.get(name)
        return added if added is not None else self._files.open(self._there(name))

    def _there(self, name: str) -> str:
        if name in self._dropped:
            raise FormatError("no such file in the database", file=name)
        return name
