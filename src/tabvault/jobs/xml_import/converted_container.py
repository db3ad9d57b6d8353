"""
A container in which an XML model stands as what it was converted to.

Nothing is written for it: the bytes of columns are those of the container below, everything else is in memory. So a
backup of an XML model is inspected, opened, exported, verified and restored by the same code as any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError
from tabvault.formats.abf import backup_log
from tabvault.formats.abf.container import Container, StoredFile
from tabvault.formats.abf.virtual_directory import DirectoryEntry
from tabvault.formats.byte_source import MemorySource, pieces
from tabvault.model.container_files import ContainedFile
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.formats.byte_source import ByteSource


KEY_FILE: Final = "0.CryptKey.bin"
"""Belongs to the database, like ``db.xml``; what else there is belongs to its model."""

_IS_TABULAR: Final = {"IsTabular": "true"}
"""What the log of a model with sqlite metadata says besides."""


_DATABASE, _TABULAR = backup_log.DATABASE_CLASS, backup_log.TABULAR_CLASS
"""Classes of the file groups of a model with sqlite metadata; other models have more of them."""


def is_xml_model(container: Container) -> bool:
    """Whether the metadata of a backup's model are XML files."""
    classes = {file.group_class for file in container.files.values()}
    return METADATA_FILE not in container.files and not classes <= {_DATABASE, _TABULAR}


class ConvertedContainer(Container):
    """
    Args:
        original: the container of the XML model; open as long as this is used.
        definition_name: logical name of the new ``db.xml``.
        bodies: of all files by logical name, the metadata last.
    """

    def __init__(self, original: Container, definition_name: str, bodies: Mapping[str, ByteSource]) -> None:
        written = max((file.last_write_time for file in original.files.values()), default=0)
        files = {
            name: _stored_file(
                name,
                body,
                group_class=backup_log.DATABASE_CLASS
                if name in (definition_name, KEY_FILE)
                else backup_log.TABULAR_CLASS,
                written=written,
            )
            for name, body in bodies.items()
        }
        log = replace(original.log, fields={**original.log.fields, **_IS_TABULAR}, groups=())
        super().__init__(MemorySource(b""), original.header, original.encoding, (), log, files)
        self._bodies = bodies

    def body(self, name: str) -> Iterator[bytes | memoryview]:
        """The bytes of one file; FormatError if there is none, or the container below is damaged."""
        body = self._body(name)
        return body.container.body(body.name) if isinstance(body, ContainedFile) else pieces(body)

    def read(self, name: str) -> bytes | memoryview:
        """One file whole; FormatError if there is none, or the container below is damaged."""
        body = self._body(name)
        if isinstance(body, ContainedFile):
            return body.container.read(body.name)
        return body.read_at(0, body.byte_count)

    def _body(self, name: str) -> ByteSource:
        if name not in self._bodies:
            raise FormatError("no such file in the backup", file=name)
        return self._bodies[name]


def _stored_file(name: str, body: ByteSource, *, group_class: int, written: int) -> StoredFile:
    entry = DirectoryEntry(
        path=name,
        byte_count=body.byte_count,
        offset=0,
        delete=False,
        created=written,
        accessed=written,
        last_write_time=written,
    )
    return StoredFile(name, group_class, name, body.byte_count, written, entry)
