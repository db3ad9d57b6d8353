"""The files of one database, by logical name, wherever they lie (a version folder, a container)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from tabvault.formats.byte_source import ByteSource

METADATA_FILE = "metadata.sqlitedb"
"""Logical name of the metadata file of every model of compatibility level 1200 and up."""


class FileSet(Protocol):
    r"""
    Files by logical name: the path that the backup log gives, relative to the database folder, with backslashes
    (``Currency (10).tbl\\167.prt\\0.Currency (10).Name (12).0.idf``).
    """

    def names(self) -> Collection[str]:
        """All logical names, in the order of the backup log."""
        ...

    def byte_count(self, name: str) -> int:
        """
        Uncompressed length of the file.

        Raises:
            FormatError: no such file in the set.
        """
        ...

    def read(self, name: str) -> bytes | memoryview:
        """
        The whole file, checked against its checksum where the set has one.

        Raises:
            FormatError: no such file, or its bytes are damaged.
        """
        ...

    def open(self, name: str) -> ByteSource:
        """
        The file for reading in ranges.

        Raises:
            FormatError: no such file.
        """
        ...
