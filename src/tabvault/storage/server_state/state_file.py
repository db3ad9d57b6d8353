"""
Settings of a server as JSON documents: ``<data>/server/NAME.json``, readable for the owner alone.

A document is one object with ``"format_version": 1`` and the keys that its module names, no others: a key that we do
not know is more likely a typing error, or of a newer version, than harmless. It is written whole, durably and in one
step. What is missing was never set.

The values are read through :class:`StateValue`, which checks the type and the bounds of each and names its place
(``users[2].name``) in the error.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, ObjectNotFoundError
from tabvault.storage.durable import make_directory_durably, write_file_durably
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FOLDER: Final = "server"
"""The folder of the data folder that holds what a server remembers of itself."""

FORMAT_VERSION: Final = 1

STATE_BYTE_COUNT_MAX: Final = 16 << 20
"""Some ten thousand users with keys; what is larger is not our file."""

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class StateValue:
    """A value of a document, and where it stands. Every method raises :class:`FormatError` for what does not fit."""

    file: str
    place: str
    value: object

    def members(self, *keys: str) -> dict[str, StateValue]:
        """The members of an object that has these *keys* and no others."""
        if not isinstance(self.value, dict) or self.value.keys() != set(keys):
            found = sorted(self.value) if isinstance(self.value, dict) else type(self.value).__name__
            raise self.error(f"{found!r:.200}, not an object with the keys {sorted(keys)}")
        prefix = f"{self.place}." if self.place else ""
        return {key: StateValue(self.file, f"{prefix}{key}", self.value[key]) for key in keys}

    def items(self) -> list[StateValue]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise self.error(f"{self.value!r:.80}, not an array")
        return [StateValue(self.file, f"{self.place}[{index}]", item) for index, item in enumerate(self.value)]

    def items_or_none(self) -> list[StateValue] | None:
        """The items of an array, or None for null."""
        return None if self.value is None else self.items()

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.error(f"{self.value!r:.80}, not a text")
        return self.value

    def text_or_none(self) -> str | None:
        """A text, or None for null."""
        return None if self.value is None else self.text()

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"{self.value!r:.80}, not true or false")
        return self.value

    def integer(self, minimum: int, maximum: int) -> int:
        """A whole number between the two, both included."""
        if type(self.value) is not int or not minimum <= self.value <= maximum:
            raise self.error(f"{self.value!r:.80}, not a whole number from {minimum} to {maximum}")
        return self.value

    def octets(self, minimum: int, maximum: int) -> bytes:
        """Bytes, written as hexadecimal digits; so many of them, both bounds included."""
        try:
            data = bytes.fromhex(self.text())
        except ValueError:
            raise self.error("not hexadecimal digits") from None
        if not minimum <= len(data) <= maximum:
            raise self.error(f"{len(data)} bytes, not from {minimum} to {maximum}")
        return data

    def moment(self) -> datetime.datetime:
        """A point in time, ISO 8601 with its offset from UTC."""
        try:
            moment = datetime.datetime.fromisoformat(self.text())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise self.error(f"{self.value!r:.80}, not a date and time with an offset")
        return moment

    def moment_or_none(self) -> datetime.datetime | None:
        """A point in time, or None for null."""
        return None if self.value is None else self.moment()

    def day_or_none(self) -> datetime.date | None:
        """A day, ISO 8601, or None for null."""
        if self.value is None:
            return None
        try:
            return datetime.date.fromisoformat(self.text())
        except ValueError:
            raise self.error(f"{self.value!r:.80}, not a date") from None

    def error(self, reason: str) -> FormatError:
        """The error of a value that is *reason*."""
        where = f"{self.place} is " if self.place else ""
        return FormatError(
            f"the server's settings cannot be used: {where}{reason}",
            file=self.file,
            hint="put the file back from a backup of the data folder; without it the server begins with none of these",
        )


def read_state(data_folder: Path, name: str, *keys: str) -> Mapping[str, StateValue] | None:
    """
    The document ``<data>/server/<name>``; None when nothing was ever set.

    Args:
        data_folder: root of the data folder.
        name: file name.
        keys: the keys that it has besides ``format_version``.

    Raises:
        FormatError: it is damaged, or of another version.
        StorageError: it cannot be read.
    """
    path = data_folder / FOLDER / name
    root = StateValue(str(path), "", None)
    try:
        with FileSource(path) as source:
            if source.byte_count > STATE_BYTE_COUNT_MAX:
                raise root.error(f"it has {source.byte_count} bytes, and {STATE_BYTE_COUNT_MAX} are allowed")
            data = source.read_at(0, source.byte_count)
    except ObjectNotFoundError:
        return None
    try:
        document = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise root.error(f"it is not JSON: {error}") from None
    members = StateValue(str(path), "", document).members("format_version", *keys)
    members["format_version"].integer(FORMAT_VERSION, FORMAT_VERSION)
    return members


def write_state(data_folder: Path, name: str, content: Mapping[str, object]) -> None:
    """
    Make *content* that of the document ``<data>/server/<name>``, durably and in one step.

    Raises:
        StorageError: it cannot be written; the document holds the old content or the new.
    """
    document = json.dumps({"format_version": FORMAT_VERSION, **content}, indent=1)  # ASCII: any text is valid then
    folder = data_folder / FOLDER
    path = folder / name
    with storage_errors(f"file {path}"):
        make_directory_durably(folder)
        # The folder first: nobody else gets through it to the file while that still has the mode of other files.
        folder.chmod(_FOLDER_MODE)
        write_file_durably(path, document.encode() + b"\n")
        path.chmod(_FILE_MODE)


def moment_text(moment: datetime.datetime | None) -> str | None:
    """A point in time as :meth:`StateValue.moment` reads it, in UTC."""
    return None if moment is None else moment.astimezone(datetime.UTC).isoformat()


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members
