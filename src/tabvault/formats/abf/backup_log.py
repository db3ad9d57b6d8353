"""
The backup log: which database this is, and the true path of every stored file.

Text elements (server root, flags, object name and id, …), then ``Collations``, ``Languages`` and ``FileGroups``. A
model with sqlite metadata has two groups: class 100002, the database (``<id>.<version>.db.xml`` and the key file),
and class 100069, metadata and data. UTF-16LE with byte order mark, last stored file of the backup. Source:
[MS-XLDM] 2.1.2.3 for the elements; which of them stand, their order and the two classes read off genuine files.

The *logical name* of a file is its path below the database's folder (``PersistLocationPath`` of the group of class
100002), or its bare file name where it lies elsewhere (only ``db.xml`` does: it lies beside that folder).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError
from tabvault.formats import safe_xml

if TYPE_CHECKING:
    from lxml.etree import _Element

DATABASE_CLASS: Final = 100002
"""File group class of the database object: ``db.xml`` and the key file."""
TABULAR_CLASS: Final = 100069
"""File group class of a model of compatibility level 1200 and up: its metadata and data files."""

_FILE: Final = "backup log"
_GROUP_ELEMENTS: Final = (
    "Class",
    "ID",
    "Name",
    "ObjectVersion",
    "PersistLocation",
    "PersistLocationPath",
    "StorageLocationPath",
    "ObjectID",
    "FileList",
)
_FILE_ELEMENTS: Final = ("Path", "StoragePath", "LastWriteTime", "Size")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file: its full path on the server, its storage key, FILETIME, and uncompressed size without CRC."""

    path: str
    storage_path: str
    last_write_time: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The files of one object of the server."""

    class_: int
    id: str
    name: str
    object_version: int
    persist_location: int
    persist_location_path: str
    storage_location_path: str
    object_id: str
    files: tuple[LogFile, ...]


@dataclass(frozen=True, slots=True)
class BackupLog:
    """
    The whole log.

    *fields* are the plain text elements before ``Collations``, by name, in their order: ``BackupRestoreSyncVersion``,
    ``ServerRoot``, …, ``ObjectName``, ``ObjectId``, ``Write``, ``OlapInfo`` and, except in Excel, ``IsTabular``.
    """

    fields: dict[str, str]
    collations: tuple[str, ...]
    languages: tuple[str, ...]
    groups: tuple[FileGroup, ...]

    @property
    def object_name(self) -> str:
        """The database's name."""
        return self.fields["ObjectName"]

    @property
    def object_id(self) -> str:
        """The database's id."""
        return self.fields["ObjectId"]

    def logical_name(self, file: LogFile) -> str:
        """Path below the database's folder, or the bare file name where the file lies outside it."""
        folder = next((g.persist_location_path for g in self.groups if g.class_ == DATABASE_CLASS), "") + "\\"
        return file.path.removeprefix(folder) if file.path.startswith(folder) else file.path.rpartition("\\")[2]


def parse(data: bytes | memoryview) -> BackupLog:
    """
    Read the log.

    Raises:
        FormatError: elements missing, unknown or in another order, or values not of their kind.
    """
    root = safe_xml.parse(safe_xml.text_of(data, file=_FILE), file=_FILE)
    if root.tag != "BackupLog":
        raise FormatError(f"root element is {root.tag}, not BackupLog", file=_FILE)
    fields: dict[str, str] = {}
    lists: dict[str, _Element] = {}
    for name, child in safe_xml.children(root, file=_FILE):
        if name in fields or name in lists:
            raise FormatError(f"element {name} stands twice", file=_FILE)
        if name in ("Collations", "Languages", "FileGroups"):
            lists[name] = child
        elif lists:
            raise FormatError(f"element {name} stands behind the lists", file=_FILE)
        else:
            fields[name] = safe_xml.leaf_text(child, file=_FILE)
    absent = {"ObjectName", "ObjectId"} - fields.keys() | {"Collations", "Languages", "FileGroups"} - lists.keys()
    if absent:
        raise FormatError(f"elements missing: {', '.join(sorted(absent))}", file=_FILE)
    return BackupLog(
        fields=fields,
        collations=_texts(lists["Collations"], "Collation"),
        languages=_texts(lists["Languages"], "Language"),
        groups=tuple(_group(child) for _, child in safe_xml.children(lists["FileGroups"], file=_FILE)),
    )


def _texts(element: _Element, name: str) -> tuple[str, ...]:
    for found, _ in safe_xml.children(element, file=_FILE):
        if found != name:
            raise FormatError(f"element {found} stands inside {element.tag}", file=_FILE)
    return tuple(safe_xml.leaf_text(child, file=_FILE) for child in element)


def _group(element: _Element) -> FileGroup:
    names = tuple(name for name, _ in safe_xml.children(element, file=_FILE))
    if element.tag != "FileGroup" or names != _GROUP_ELEMENTS:
        raise FormatError(f"group elements are {element.tag}: {', '.join(names)[:200]}", file=_FILE)
    class_, id_, name, version, location, location_path, storage_path, object_id = (
        safe_xml.leaf_text(child, file=_FILE) for child in element[:-1]
    )
    return FileGroup(
        class_=safe_xml.integer(class_, what="Class", file=_FILE),
        id=id_,
        name=name,
        object_version=safe_xml.integer(version, what="ObjectVersion", file=_FILE, signed=True),
        persist_location=safe_xml.integer(location, what="PersistLocation", file=_FILE, signed=True),
        persist_location_path=location_path,
        storage_location_path=storage_path,
        object_id=object_id,
        files=tuple(_file(child) for _, child in safe_xml.children(element[-1], file=_FILE)),
    )


def _file(element: _Element) -> LogFile:
    names = tuple(name for name, _ in safe_xml.children(element, file=_FILE))
    if element.tag != "BackupFile" or names != _FILE_ELEMENTS:
        raise FormatError(f"file elements are {element.tag}: {', '.join(names)[:200]}", file=_FILE)
    path, storage_path, written, byte_count = (safe_xml.leaf_text(child, file=_FILE) for child in element)
    return LogFile(
        path=path,
        storage_path=storage_path,
        last_write_time=safe_xml.integer(written, what="LastWriteTime", file=_FILE),
        byte_count=safe_xml.integer(byte_count, what="Size", file=_FILE),
    )


def emit(log: BackupLog) -> bytes:
    """The log's bytes, as engines write them."""
    parts = ["<BackupLog>"]
    parts += [safe_xml.leaf(name, text) for name, text in log.fields.items()]
    parts.append(_list("Collations", "".join(safe_xml.leaf("Collation", text) for text in log.collations)))
    parts.append(_list("Languages", "".join(safe_xml.leaf("Language", text) for text in log.languages)))
    parts.append(_list("FileGroups", "".join(_emit_group(group) for group in log.groups)))
    parts.append("</BackupLog>")
    return safe_xml.BOM_UTF16 + "".join(parts).encode("utf-16-le")


def _list(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def _emit_group(group: FileGroup) -> str:
    values: tuple[str | int, ...] = (
        group.class_,
        group.id,
        group.name,
        group.object_version,
        group.persist_location,
        group.persist_location_path,
        group.storage_location_path,
        group.object_id,
    )
    leaves = "".join(safe_xml.leaf(name, value) for name, value in zip(_GROUP_ELEMENTS, values, strict=False))
    files = "".join(
        "<BackupFile>"
        + safe_xml.leaf("Path", file.path)
        + safe_xml.leaf("StoragePath", file.storage_path)
        + safe_xml.leaf("LastWriteTime", file.last_write_time)
        + safe_xml.leaf("Size", file.byte_count)
        + "</BackupFile>"
        for file in group.files
    )
    return f"<FileGroup>{leaves}{_list('FileList', files)}</FileGroup>"
