"""
``manifest.json``: what a version of a database consists of.

The manifest is the truth about a version: a file it does not name is not there, and a file lies where it says. UTF-8
JSON, one line per file, for a person to read:

=============================  =====================================================================================
key                            value
=============================  =====================================================================================
format, format_version         ``tabvault database version``, 1
name, id                       of the database
compatibility_level            as in ``db.xml``: 1200, 1550, …
read_write_mode                ``readWrite``, ``readOnly`` or ``readOnlyExclusive``
created, committed             of the database, of this version: ISO 8601 with offset
container                      an object that belongs to the caller: what the backup said besides its files
files                          list in the order of the backup log
files[].name                   logical name, unique
files[].path                   below the ``files`` folder, see :mod:`~tabvault.storage.data_folder.file_names`; unique
files[].byte_count             length
files[].crc32                  CRC-32/BZIP2 of the bytes
files[].last_write_time        FILETIME: 100 ns since 1601, UTC
files[].group_class            class of the file group in the backup log: 100002 or 100069
=============================  =====================================================================================

It is read strictly: no key missing, none unknown, every number in its range. Whether it is the manifest that was
committed, its digest in ``CURRENT`` tells.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from tabvault.errors import FormatError
from tabvault.storage.data_folder.file_names import check_logical_name, is_stored_path

FORMAT: Final = "tabvault database version"
FORMAT_VERSION: Final = 1

READ_WRITE_MODES: Final = ("readWrite", "readOnly", "readOnlyExclusive")
"""``ReadWriteMode`` of a database, spelt as in the commands of Analysis Services."""

FILE_COUNT_MAX: Final = 1_000_000
"""More than a backup log of 256 MiB names with paths of usual length. A model has two files or more for each column
and partition: thousands of partitions make hundreds of thousands. One costs about half a kilobyte of memory."""

MANIFEST_BYTE_COUNT_MAX: Final = 256 << 20
"""Room for as many files with names of usual length, and for the container object."""

TEXT_CHARACTER_COUNT_MAX: Final = 1024
"""For the database's name and id; Analysis Services allows 100 and 512 characters at most."""


class ManifestFile(NamedTuple):
    """One file of a version. The fields are the keys of the module's table."""

    name: str
    path: str
    byte_count: int
    crc32: int
    last_write_time: int
    group_class: int

    def check(self) -> None:
        """
        Raise unless every field is of its type and in its range.

        Raises:
            ValueError: one is not.
        """
        name, path, byte_count, crc32, last_write_time, group_class = self
        if type(name) is not str or type(path) is not str:
            raise ValueError("name or path of a file is not a text")
        try:
            check_logical_name(name)
        except FormatError as error:
            raise ValueError(str(error)) from None
        if not is_stored_path(path):
            raise ValueError(f"path {path[:80]!a} does not stay in the folder")
        _check_number("byte_count", byte_count, 0, (1 << 63) - 1)
        _check_number("crc32", crc32, 0, (1 << 32) - 1)
        _check_number("last_write_time", last_write_time, -(1 << 63), (1 << 63) - 1)
        _check_number("group_class", group_class, -(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    A manifest whose fields are of their types and in their ranges.

    Raises:
        ValueError: one is not.
    """

    name: str
    id: str
    compatibility_level: int
    read_write_mode: str
    created: datetime.datetime
    committed: datetime.datetime
    container: dict[str, Any]
    files: tuple[ManifestFile, ...]

    def __post_init__(self) -> None:
        for field in ("name", "id"):
            text = getattr(self, field)
            if type(text) is not str or not 0 < len(text) <= TEXT_CHARACTER_COUNT_MAX:
                raise ValueError(f"{field} is not a text of 1 to {TEXT_CHARACTER_COUNT_MAX} characters")
            text.encode()  # a lone surrogate: UnicodeEncodeError, which is a ValueError
        _check_number("compatibility_level", self.compatibility_level, 0, 1_000_000)
        if self.read_write_mode not in READ_WRITE_MODES:
            raise ValueError(f"read_write_mode is {self.read_write_mode!a}, not one of {', '.join(READ_WRITE_MODES)}")
        for time in (self.created, self.committed):
            if time.tzinfo is None:
                raise ValueError(f"time {time.isoformat()} has no offset")
        if type(self.container) is not dict:
            raise ValueError("container is not an object")
        if len(self.files) > FILE_COUNT_MAX:
            raise ValueError(f"{len(self.files)} files are over {FILE_COUNT_MAX}")
        for file in self.files:
            file.check()
        if len({file.name for file in self.files}) != len(self.files):
            raise ValueError("a logical name stands twice")
        if len({file.path for file in self.files}) != len(self.files):
            raise ValueError("a path stands twice")

    @property
    def byte_count(self) -> int:
        """Length of all files together."""
        return sum(file.byte_count for file in self.files)


def emit(manifest: Manifest) -> bytes:
    """
    The manifest as the content of ``manifest.json``.

    Raises:
        ValueError: the container object is no JSON.
    """
    head: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION}
    for field in fields(Manifest):
        value = getattr(manifest, field.name)
        head[field.name] = value.isoformat() if isinstance(value, datetime.datetime) else value
    del head["files"]
    lines = [f"{json.dumps(key)}: {_json(value)}," for key, value in head.items()]
    files = ",\n".join(_json(file._asdict()) for file in manifest.files)
    return "\n".join(["{", *lines, '"files": [', f"{files}]", "}", ""]).encode()


def digest(data: bytes) -> str:
    """What ``CURRENT`` says of the content *data* of ``manifest.json``: its SHA-256, 64 digits."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Manifest:
    """
    The manifest in *data*.

    Raises:
        ValueError: it is none. The caller knows where it lies and names the place.
    """
    if len(data) > MANIFEST_BYTE_COUNT_MAX:
        raise ValueError(f"{len(data)} bytes are over {MANIFEST_BYTE_COUNT_MAX}")
    try:
        root = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(root, dict):
        raise ValueError("not an object")  # noqa: TRY004 - damage of the text, not a wrong type in our code
    found = (root.pop("format", None), root.pop("format_version", None))
    if found != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"format is {found[0]!a} {found[1]!a}, not {FORMAT!a} {FORMAT_VERSION}")
    _check_keys(root, {field.name for field in fields(Manifest)}, "manifest")
    if not isinstance(root["files"], list):
        raise ValueError("files is not a list")  # noqa: TRY004 - as above
    return Manifest(
        **{
            **root,
            "created": _time(root["created"]),
            "committed": _time(root["committed"]),
            "files": tuple(map(_file, root["files"])),
        }
    )


def _file(value: object) -> ManifestFile:
    if not isinstance(value, dict):
        raise ValueError("a file is not an object")  # noqa: TRY004 - as above
    if value.keys() != _FILE_KEYS:
        _check_keys(value, _FILE_KEYS, "file")
    return ManifestFile(**value)


_FILE_KEYS: Final = frozenset(ManifestFile._fields)


def _check_keys(value: dict[str, Any], expected: set[str] | frozenset[str], what: str) -> None:
    if value.keys() != expected:
        wrong = sorted(map(ascii, value.keys() ^ expected))
        raise ValueError(f"keys missing or unknown in {what}: {', '.join(wrong)[:200]}")


def _check_number(what: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{what} is not a whole number from {least} to {most}")


def _time(value: object) -> datetime.datetime:
    if not isinstance(value, str):
        raise ValueError("a time is not a text")  # noqa: TRY004 - as above
    return datetime.datetime.fromisoformat(value)


_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
