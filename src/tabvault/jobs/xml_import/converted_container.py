"""
A container in which an XML model stands as what it was converted to.

Nothing is written for it: the bytes of columns are those of the container below, everything else is in memory. So a
backup of an XML model is inspected, opened, exported, verified and restored by the same code as any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError
from tabvault.formats.abf import backup_log
from tabvault.formats.abf.container import Container, StoredFile
from tabvault.formats.abf.virtual_directory import DirectoryEntry
from tabvault.formats.byte_source import MemorySource
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.model.processed import Body

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


@dataclass(frozen=True, slots=True)
class ContainedBody:
    """The bytes of a file of a container; checked against its CRC as they are read."""

    container: Container
    name: str

    @property
    def byte_count(self) -> int:
        """Its length."""
        return self.container.files[self.name].byte_count

    def pieces(self) -> Iterator[bytes | memoryview]:
        """All of them, in order; may be asked again."""
        return self.container.body(self.name)


class ConvertedContainer(Container):
    """
    Args:
        original: the container of the XML model; open as long as this is used.
        definition_name: logical name of the new ``db.xml``.
        bodies: of all files by logical name, the metadata last.
    """

    def __init__(self, original: Container, definition_name: str, bodies: Mapping[str, Body]) -> None:
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
        return self._body(name).pieces()

    def read(self, name: str) -> bytes | memoryview:
        """One file whole; FormatError if there is none, or the container below is damaged."""
        body = self._body(name)
        return body.container.read(body.name) if isinstance(body, ContainedBody) else b"".join(body.pieces())

    def _body(self, name: str) -> Body:
        if name not in self._bodies:
            raise FormatError("no such file in the backup", file=name)
        return self._bodies[name]


def _stored_file(name: str, body: Body, *, group_class: int, written: int) -> StoredFile:
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
