"""
The file between the two sides of a copy: what it is called, whether it is there, and how it is read.

Its name is ``copy-<database>-<digest>-<version>-<digest>.abf``. The first digest is of the database and of the place
where it goes, the second of the moment of that version and of the options on which the bytes depend: who finds a file
of that name knows what is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from tabvault.errors import ObjectNotFoundError
from tabvault.faces.cli.copy_sides import at
from tabvault.formats.byte_source import PIECE_BYTE_COUNT

if TYPE_CHECKING:
    from tabvault.faces.cli.session import CommandVault
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.listing import DatabaseListing
    from tabvault.storage.contract import ObjectInfo

_SLUG_CHARACTER_COUNT: Final = 60
_DIGEST_CHARACTER_COUNT: Final = 10


def file_prefix(listing: DatabaseListing, url: str, name: str) -> str:
    """What the names of all files begin with that are on their way from this database to that place."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", listing.name)[:_SLUG_CHARACTER_COUNT].strip("_") or "database"
    return f"copy-{slug}-{_digest(listing.id, listing.name, url, name.casefold())}-"


def version_mark(listing: DatabaseListing, *, encrypted: bool) -> str:
    """Tells this version, and what of the file depends on the options, from all others."""
    moment = None if listing.restored is None else listing.restored.isoformat()
    return f"{listing.version}-{_digest(moment, encrypted)}"


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_DIGEST_CHARACTER_COUNT]


def identity(info: ObjectInfo) -> tuple[str, int, str, str]:
    """No two files have the same; one that two servers see has."""
    return info.name, info.byte_count, info.etag, info.last_modified.isoformat()


def info_if_there(vault: CommandVault, file: str) -> ObjectInfo | None:
    """What the container has of that name."""
    try:
        return vault.store.info(file)
    except ObjectNotFoundError:
        return None


def remove_if_there(vault: CommandVault, file: str) -> None:
    """The container has nothing of that name."""
    with contextlib.suppress(ObjectNotFoundError):  # it was removed from the other side: the container is shared
        vault.store.remove(file)


class LastPart:
    """
    A file of the source that is read in parts.

    Of each, pieces are looked at again: those do not cross a network twice.

    Args:
        source: the file.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._offset = 0
        self._part = memoryview(b"")
        self.byte_count = source.byte_count

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        """See :meth:`ByteSource.read_at`."""
        begin = offset - self._offset
        if begin >= 0 and begin + byte_count <= len(self._part):
            return self._part[begin : begin + byte_count]
        with at("source"):
            data = memoryview(self._source.read_at(offset, byte_count))
        if byte_count > PIECE_BYTE_COUNT:
            self._offset, self._part = offset, data
        return data
