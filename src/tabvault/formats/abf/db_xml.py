"""
``<id>.<version>.db.xml``: the definition of the database object.

``<Load><ObjectDefinition><Database>`` with ``Name``, ``ID``, ``ObjectVersion``, ``ObjectID``, ``PersistLocation``, …
in UTF-8 without declaration. The compatibility level stands here and nowhere in the sqlite metadata. Files of the
engine carry annotations with carriage returns and about forty namespace declarations, so an edit replaces the text of
single elements and leaves every other byte alone. Source: [MS-XLDM] 2.6.1 and 2.6.4 for the elements; read off
genuine files of compatibility levels 1103 to 1601.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError
from tabvault.formats import safe_xml

if TYPE_CHECKING:
    import datetime

_DDL: Final = "http://schemas.microsoft.com/analysisservices/2003/engine"
_DDL200: Final = "http://schemas.microsoft.com/analysisservices/2010/engine/200"
_DDL200_200: Final = "http://schemas.microsoft.com/analysisservices/2010/engine/200/200"
_DDL800: Final = "http://schemas.microsoft.com/analysisservices/2018/engine/800"

_ENGINE: Final = "http://schemas.microsoft.com/analysisservices"
_EXTENSIONS: Final = (
    ("2", "2003"),
    ("100", "2008"),
    ("200", "2010"),
    ("300", "2011"),
    ("400", "2012"),
    ("410", "2012"),
    ("500", "2013"),
    ("600", "2013"),
    ("700", "2018"),
    ("800", "2018"),
    ("900", "2019"),
    ("910", "2020"),
    ("920", "2020"),
    ("921", "2021"),
    ("922", "2022"),
)
"""Prefixes ``ddl<n>`` and the year in their namespace, up to the engine of 2022; newer ones add to the end."""

_EDITABLE: Final = {"name": "Name", "id": "ID", "object_id": "ObjectID", "unique_id": "ddl800:DbUniqueId"}

TABULAR_METADATA: Final = "TabularMetadata"
"""``StorageEngineUsed`` of a model with sqlite metadata; ``InMemory`` is a model with XML metadata."""


@dataclass(frozen=True, slots=True)
class DatabaseDefinition:
    """What the definition says. *storage_engine* is None where the element is absent; *unique_id* since about 2020."""

    name: str
    id: str
    object_version: int
    object_id: str
    persist_location: int
    compatibility_level: int
    storage_engine: str | None
    unique_id: str | None
    language: str
    collation: str


def parse(data: bytes | memoryview, *, file: str) -> DatabaseDefinition:
    """
    Read the definition.

    Raises:
        FormatError: not a definition of a database, or a value missing or not of its kind.
    """
    root = safe_xml.parse(safe_xml.text_of(data, file=file), file=file)
    database = root.find(f"{{{_DDL}}}ObjectDefinition/{{{_DDL}}}Database")
    if root.tag != f"{{{_DDL}}}Load" or database is None:
        raise FormatError("no Load/ObjectDefinition/Database element", file=file)

    def text(name: str, namespace: str = _DDL) -> str | None:
        found = database.findall(f"{{{namespace}}}{name}")
        if len(found) > 1:
            raise FormatError(f"element {name} stands {len(found)} times", file=file)
        return safe_xml.leaf_text(found[0], file=file) if found else None

    def needed(name: str, namespace: str = _DDL) -> str:
        value = text(name, namespace)
        if value is None:
            raise FormatError(f"element {name} is missing", file=file)
        return value

    def number(name: str, namespace: str = _DDL) -> int:
        return safe_xml.integer(needed(name, namespace), what=name, file=file, signed=True)

    return DatabaseDefinition(
        name=needed("Name"),
        id=needed("ID"),
        object_version=number("ObjectVersion"),
        object_id=needed("ObjectID"),
        persist_location=number("PersistLocation"),
        compatibility_level=number("CompatibilityLevel", _DDL200),
        storage_engine=text("StorageEngineUsed", _DDL200_200),
        unique_id=text("DbUniqueId", _DDL800),
        language=text("Language") or "",
        collation=text("Collation") or "",
    )


def build(
    *,
    name: str,
    id: str,  # noqa: A002 - the element's name
    object_id: str,
    unique_id: str,
    compatibility_level: int,
    language: int,
    collation: str,
    created: datetime.datetime,
) -> bytes:
    """
    The definition of a new database, as the engine of 2022 lays it out.

    The encrypted empty password of the impersonation is left empty: a guess, because nobody knows how it is encrypted.

    Args:
        name: of the database.
        id: of the database.
        object_id: GUID in capitals.
        unique_id: GUID in capitals.
        compatibility_level: from 1200.
        language: LCID.
        collation: empty for that of the server.
        created: in UTC.
    """
    time = created.replace(tzinfo=None).isoformat(timespec="microseconds")
    names = [f'xmlns="{_ENGINE}/2003/engine"']
    for number, year in _EXTENSIONS:
        names.append(f'xmlns:ddl{number}="{_ENGINE}/{year}/engine/{number}"')
        names.append(f'xmlns:ddl{number}_{number}="{_ENGINE}/{year}/engine/{number}/{number}"')
    names.append('xmlns:xsd="http://www.w3.org/2001/XMLSchema"')
    names.append('xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"')
    leaf = safe_xml.leaf
    text = (
        f"<Load {' '.join(names)}><ObjectDefinition><Database>{leaf('Name', name)}{leaf('ID', id)}"
        f"{leaf('CreatedTimestamp', time)}{leaf('LastSchemaUpdate', time)}<ObjectVersion>0</ObjectVersion>"
        f"{leaf('ObjectID', object_id)}<Ordinal>0</Ordinal><PersistLocation>0</PersistLocation><System>false</System>"
        f"<DataFileList>0.CryptKey.bin</DataFileList><Description/>{leaf('ddl800:DbUniqueId', unique_id)}"
        f"<AggregationPrefix/>{leaf('Language', language)}{leaf('Collation', collation)}"
        "<ddl400:DefaultCollationVersion>100</ddl400:DefaultCollationVersion><Visible>true</Visible>"
        "<MasterDataSourceID/><ProcessingPriority>0</ProcessingPriority>"
        f'<ddl200_200:StorageEngineUsed valuens="ddl500_500">{TABULAR_METADATA}</ddl200_200:StorageEngineUsed>'
        f"{leaf('ddl200:CompatibilityLevel', compatibility_level)}<Translations/><DataSourceImpersonationInfo>"
        "<ImpersonationMode>Default</ImpersonationMode><Account/><Password/></DataSourceImpersonationInfo>"
        "<DataVersion>0</DataVersion></Database></ObjectDefinition></Load>"
    )
    return text.encode("utf-8")


def edit(data: bytes | memoryview, *, file: str, **values: str) -> bytes:
    """
    The definition with some texts replaced and every other byte as it was.

    Args:
        data: the definition.
        file: its name, for errors.
        **values: new texts for ``name``, ``id``, ``object_id``, ``unique_id``; one whose element is absent is left out.

    Raises:
        FormatError: *data* is not a definition, or is not laid out as engines write it.
    """
    before = parse(data, file=file)
    text = safe_xml.text_of(data, file=file)
    start = text.find("<Database")
    if start < 0:  # legal with a prefix, and written by no engine
        raise FormatError("element Database is not where engines write it", file=file)
    for field, value in values.items():
        element = _EDITABLE[field]
        if getattr(before, field) is None:
            continue
        # The first one behind <Database>: the object's own elements precede those of anything inside it.
        match = re.compile(f"<{element}>([^<]*)</{element}>").search(text, start)
        if match is None:
            raise FormatError(f"element {element} is not where engines write it", file=file)
        text = text[: match.start(1)] + escape(value, quote=False) + text[match.end(1) :]
    edited = text.encode("utf-8")
    after = parse(edited, file=file)
    for field, value in values.items():
        if getattr(before, field) is not None and getattr(after, field) != value:
            raise FormatError(f"element {_EDITABLE[field]} could not be edited", file=file)
    return edited
