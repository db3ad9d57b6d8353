"""
What a file of the backup storage is, from its beginning alone.

===================  =============================================================================  ==================
the file             what is read of it                                                             ranged reads
===================  =============================================================================  ==================
a plain container    page 0 and what lies behind it; the end of the directory; the log's beginning  3
an XPress9 envelope  the frame headers that lead to the first block, and that block                 4
``.pbix``/``.xlsx``  the end of the archive with its directory, then as one of the above            3 more
encrypted (age)      the first bytes                                                                1
===================  =============================================================================  ==================

A container keeps ``db.xml``, which has the name, the id and the level of the database, as the first file behind its
``ADDITIONAL_LOG`` and ``PARTITIONS`` (every genuine file, and ours). Where it is not there, directory and log are read,
as for a restore. Never more than :data:`READ_BYTE_COUNT_MAX` bytes.

This is for a list: it believes what it finds and compares no checksum but those of XPress9. ``inspect`` and ``verify``
do. Source: genuine files of Analysis Services, Power BI Desktop and Excel.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tabvault.errors import (
    FormatError,
    JobError,
    LimitError,
    NoModelError,
    ServerEncryptedError,
    UnsupportedFeatureError,
)
from tabvault.formats import age, crc32, office_package, xpress8, xpress9
from tabvault.formats.abf import db_xml, header
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource, check_range
from tabvault.jobs.definition_file import definition_file
from tabvault.jobs.landing import COMPATIBILITY_LEVEL_MAX, COMPATIBILITY_LEVEL_MIN
from tabvault.jobs.xpress9_process import DecoderProcess

if TYPE_CHECKING:
    from tabvault.formats.abf.db_xml import DatabaseDefinition
    from tabvault.formats.abf.header import Header
    from tabvault.formats.byte_source import ByteSource

FileKind = Literal["abf", "pbix", "xlsx", "cache.abf", "unknown"]
"""A container, a Power BI or Excel package, a container in an XPress9 envelope."""

Encryption = Literal["none", "age", "microsoft"]
"""By nobody, by Tabvault (or the age tool), by a Microsoft server with its password."""

READ_BYTE_COUNT_MAX: Final = 16 << 20
"""Read of one file at most: a frame of XPress9 as long as we allocate, or the directory of 50,000 files."""

_FRONT_BYTE_COUNT: Final = 64 << 10
"""Page 0, the two parts of the container (4.8 KB in the largest genuine one) and db.xml (3 to 40 KB)."""

_DIRECTORY_END_BYTE_COUNT: Final = 2 << 10
"""More than the last entry of a directory needs, in UTF-16 too."""

_BLOCK_S: Final = 5.0
"""
How long the first block may take: two hundred times as long as a genuine one does.

A damaged one may take for ever, and a whole folder of files waits behind it.
"""

_LOG_BEGINNING_BYTE_COUNT: Final = 2 << 10

_XML_MODEL_LEVELS: Final = frozenset({1100, 1103})
_XML_MODEL_ENGINE: Final = "InMemory"

_PARTS_END: Final = re.compile(b"|".join(end.encode("utf-16-le") for end in ("<Partitions/>", "</Partitions>")))
_DEFINITION: Final = re.compile(rb"<Load[ >].*?</Load>", re.DOTALL)
_OFFSET: Final = re.compile(rb"<m_cbOffsetHeader>([0-9]{1,18})</m_cbOffsetHeader>")
_SERVER_ROOT: Final = re.compile("<ServerRoot>([^<]{0,500})")
_CHUNK_HEADER: Final = struct.Struct("<HH")

_SUFFIXES: Final[dict[str, FileKind]] = {".abf": "abf", ".pbix": "pbix", ".xlsx": "xlsx"}


@dataclass(frozen=True, slots=True)
class FileDetails:
    """
    What a look at a file has found; None is unknown.

    Attributes:
        kind: by its content; of an encrypted file by its name.
        encryption: by whom.
        compressed: whether the model in it is, by whatever.
        database: name of the database in it.
        id: of that database.
        compatibility_level: of its model.
        compatible: whether a restore of that level is possible here.
        made_by: the program.
        remark: begins with ``unknown:``, ``damaged:`` or ``not compatible:`` and says why; or what else is to be known.
    """

    kind: FileKind = "unknown"
    encryption: Encryption | None = None
    compressed: bool | None = None
    database: str | None = None
    id: str | None = None
    compatibility_level: int | None = None
    compatible: bool | None = None
    made_by: str | None = None
    remark: str | None = None


def read_details(source: ByteSource, name: str) -> FileDetails:
    """
    Look at a file.

    Args:
        source: its bytes.
        name: in the storage.

    Raises:
        StorageError: *source* cannot be read. What is wrong with the bytes themselves is a remark.
    """
    look = _Look(source, name)
    try:
        look.at_file()
    except ServerEncryptedError as error:
        look.find(kind="abf", encryption="microsoft", compatible=False, remark=f"not compatible: {error}")
    except NoModelError as error:
        look.find(compatible=False, remark=f"not compatible: {error}")
    except (UnsupportedFeatureError, JobError) as error:
        look.find(remark=f"unknown: {error}")
    except FormatError as error:
        look.find(remark=f"unknown: {look.spent}" if look.spent else f"damaged: {error}")
    return look.found


class _Look:
    """A look at one file, as far as it has come."""

    def __init__(self, source: ByteSource, name: str) -> None:
        self._source = _LimitedSource(source)
        self._named_kind: FileKind = _SUFFIXES.get(f".{name.lower().rpartition('.')[2]}", "unknown")
        self.found = FileDetails()

    @property
    def spent(self) -> str | None:
        """Why no more of the file was read; None if it was not for that."""
        return self._source.spent

    def find(self, **values: object) -> None:
        """Add to what was found."""
        self.found = replace(self.found, **values)  # type: ignore[arg-type]  # of the dataclass, by name

    def at_file(self) -> None:
        """From the first bytes on."""
        front = self._source.front()
        if age.is_age(front):
            self.find(kind=self._named_kind, encryption="age", remark="unknown: encrypted, the password opens it")
        elif front.startswith(office_package.MAGIC):
            self.find(encryption="none")
            self._at_package()
        else:
            self._at_model(self._source, front)

    def _at_package(self) -> None:
        if self._named_kind in ("pbix", "xlsx"):
            self.find(kind=self._named_kind)
        member = office_package.ModelMember(self._source)
        is_excel = member.name.startswith("xl/")
        self.find(kind="xlsx" if is_excel else "pbix", made_by="Excel" if is_excel else "Power BI Desktop")
        span = member.unchecked_span()
        if span is not None:
            self._at_model(span, bytes(span.read_at(0, min(_FRONT_BYTE_COUNT, span.byte_count))))
            return
        # Deflated: what can be had of it begins at its beginning.
        front = b""
        for piece in member.pieces():
            front += piece
            if len(front) >= _FRONT_BYTE_COUNT:
                break
        if xpress9.envelope_of(front) not in (None, xpress9.Envelope.NONE):
            self.find(compressed=True, remark="unknown: a deflated package member, and XPress9 in it")
            return
        self._at_front(front)
        self.find(compressed=True)

    def _at_model(self, source: ByteSource, front: bytes) -> None:
        """A container, or one in an XPress9 envelope."""
        envelope = xpress9.envelope_of(front)
        if envelope is None:
            raise _not_a_backup(front)
        if envelope is not xpress9.Envelope.NONE:
            if self.found.kind == "unknown":
                self.find(kind="cache.abf", made_by="Power BI Desktop")
            self.find(encryption="none", compressed=True)
            with DecoderProcess(patience_s=_BLOCK_S) as decoder:
                self._at_front(next(xpress9.unwrap(source, new_decoder=decoder.new_session)))
            self.find(compressed=True)
            return
        if self.found.kind == "unknown":
            self.find(kind="abf")
        head = header.parse(front[: header.PAGE_BYTE_COUNT])
        check_range(head.directory_offset, head.directory_byte_count, source.byte_count)
        if self.found.made_by is None:
            self.find(made_by=_made_by(source, head))
        if not self._at_front(front):
            _, definition = definition_file(Container.open(source))
            self._define(definition)

    def _at_front(self, front: bytes) -> bool:
        """The beginning of a container; whether db.xml was there."""
        head = header.parse(front[: header.PAGE_BYTE_COUNT])
        self.find(encryption="none", compressed=head.apply_compression)
        definition = _definition_in(front[:_FRONT_BYTE_COUNT], head)
        if definition is None:
            self.find(remark="unknown: the definition of the database is not at its beginning")
            return False
        self._define(definition)
        return True

    def _define(self, definition: DatabaseDefinition) -> None:
        level = definition.compatibility_level
        remark = None
        if level in _XML_MODEL_LEVELS and definition.storage_engine == _XML_MODEL_ENGINE:
            remark = f"its metadata are converted to level {COMPATIBILITY_LEVEL_MIN}"
        elif not COMPATIBILITY_LEVEL_MIN <= level <= COMPATIBILITY_LEVEL_MAX:
            remark = f"not compatible: compatibility level {level}"
        self.find(
            database=definition.name,
            id=definition.id,
            compatibility_level=level,
            compatible=remark is None or not remark.startswith("not compatible"),
            remark=remark,
        )


def _not_a_backup(front: bytes) -> UnsupportedFeatureError:
    if not front:
        return UnsupportedFeatureError("not a backup: the file is empty")
    return UnsupportedFeatureError(f"not a backup: it begins with {front[:16].hex(' ')}")


def _definition_in(front: bytes, head: Header) -> DatabaseDefinition | None:
    """``db.xml``, if it is the first file behind the container's own parts."""
    parts_end = _PARTS_END.search(front, head.data_offset)
    if parts_end is None:
        return None
    start = parts_end.end() + (crc32.CRC_BYTE_COUNT if head.error_code else 0)
    text = _first_file(front[start:]) if head.apply_compression else front[start:]
    found = _DEFINITION.match(text)
    return None if found is None else db_xml.parse(found.group(), file="db.xml")


def _first_file(stored: bytes) -> bytes:
    """Xpress8 chunks up to the first that is not full, or as far as *stored* goes."""
    offset = raw_byte_count = 0
    while len(stored) - offset >= _CHUNK_HEADER.size:
        raw, compressed = _CHUNK_HEADER.unpack_from(stored, offset)
        if offset + _CHUNK_HEADER.size + compressed > len(stored):
            break
        offset += _CHUNK_HEADER.size + compressed
        raw_byte_count += raw
        if raw < xpress8.CHUNK_BYTE_COUNT:
            break
    return b"".join(xpress8.decompress(MemorySource(stored[:offset]), file="db.xml", raw_byte_count=raw_byte_count))


def _made_by(source: ByteSource, head: Header) -> str | None:
    """By the folder of the server, which stands at the beginning of the log, the last file of the directory."""
    byte_count = min(_DIRECTORY_END_BYTE_COUNT, head.directory_byte_count)
    end = source.read_at(head.directory_offset + head.directory_byte_count - byte_count, byte_count)
    # In one byte a character or in two: the elements are ASCII.
    offsets = _OFFSET.findall(bytes(end).replace(b"\0", b""))
    log_offset = int(offsets[-1]) if offsets else source.byte_count
    if log_offset >= head.directory_offset:
        raise FormatError(f"the log begins at {log_offset}, and the directory at {head.directory_offset}")
    beginning = source.read_at(log_offset, min(_LOG_BEGINNING_BYTE_COUNT, head.directory_offset - log_offset))
    root = _SERVER_ROOT.search(bytes(beginning).decode("utf-16-le", errors="replace"))
    if root is None:
        return None
    for words, maker in (("\\Tabvault\\", "Tabvault"), ("Power BI Desktop", "Power BI Desktop")):
        if words in root.group(1):
            return maker
    return "Analysis Services"


class _LimitedSource:
    """Another source, of which no more than :data:`READ_BYTE_COUNT_MAX` bytes are read, and its beginning once only."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = READ_BYTE_COUNT_MAX
        self.byte_count = source.byte_count
        self.spent: str | None = None
        self._front = b""

    def front(self) -> bytes:
        """The first bytes, as many as a container's beginning needs."""
        if not self._front:
            self._front = bytes(self.read_at(0, min(_FRONT_BYTE_COUNT, self.byte_count)))
        return self._front

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        check_range(offset, byte_count, self.byte_count)
        if offset + byte_count <= len(self._front):
            return self._front[offset : offset + byte_count]
        if byte_count > self._left:
            self.spent = f"more than {READ_BYTE_COUNT_MAX} bytes of it would have to be read"
            raise LimitError(self.spent, offset=offset)
        self._left -= byte_count
        return self._source.read_at(offset, byte_count)
