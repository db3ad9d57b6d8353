"""
A backup of an XML model (level 1100 or 1103) as one of a model of level 1200.

Invariants:

1. No value is encoded anew: files of columns and dictionaries stay byte for byte what they are.
2. What the conversion leaves out, it says.
3. The outcome is checked like every other backup when it is landed.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.engine.collation import Collation
from tabvault.engine.dax.inference import inferred_type
from tabvault.errors import FormatError, ModelError, ProcessingError, RequestError, XmlMetadataError
from tabvault.formats import safe_xml
from tabvault.formats.abf import db_xml
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.creation import LANGUAGE
from tabvault.jobs.definition_file import definition_file
from tabvault.jobs.xml_import.converted_container import KEY_FILE, ConvertedContainer
from tabvault.jobs.xml_import.structures import Structures
from tabvault.jobs.xml_import.table_values import TableValues
from tabvault.jobs.xml_import.taken_over import TakenOver
from tabvault.model.changes.apply import change_metadata
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.processed_storage import write_processed
from tabvault.model.changes.tree_changes import ExistingObjects
from tabvault.model.container_files import ContainedFile, ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.processed import Processed
from tabvault.model.tmsl.parse import database_definition
from tabvault.model.xml_models import model as xml_models
from tabvault.model.xml_models import tmsl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.abf.container import Container
    from tabvault.formats.abf.db_xml import DatabaseDefinition
    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.objects import Model
    from tabvault.model.processed import ProcessedRelationship, ProcessedUserHierarchy
    from tabvault.model.tmsl.tree import TabularObject
    from tabvault.model.xml_models.model import XmlModel
    from tabvault.model.xml_models.tables import Dimension
    from tabvault.model.xml_models.tmsl import Converted

_LEVELS: Final = (1100, 1103)
_IN_MEMORY: Final = "InMemory"


@dataclass(frozen=True, slots=True)
class Conversion:
    """The outcome; *level* is that of the model as it was. *warnings* are for a person to read."""

    container: ConvertedContainer
    level: int
    warnings: tuple[str, ...]


def convert(container: Container) -> Conversion:
    """
    Make a model of level 1200 of an XML model.

    Args:
        container: of the backup; open as long as the outcome is used.

    Raises:
        XmlMetadataError: it is no tabular model of level 1100 or 1103.
        FormatError: a file is damaged, or two contradict each other.
        UnsupportedFeatureError: something is stored in a way that is not read.
        ModelError: the model has something that no model of level 1200 can have.
        ProcessingError: a hierarchy that is not stored cannot be made.
    """
    definition = _definition(container)
    files = ContainerFiles(container)
    xml_model = xml_models.read(files)
    language = _language(definition)
    converted = tmsl.database(xml_model, name=definition.name, language=language, collation=definition.collation)
    now = datetime.datetime.now(datetime.UTC)
    content, bodies = _metadata(converted, now)
    with Metadata.from_bytes(content) as metadata:
        model = load_model(metadata)
    collation = Collation.of(definition.collation or None, language)
    processed, warnings = _Processing(container, xml_model, converted, model, collation).run()
    written = write_processed(content, processed, now=now)
    bodies = {name: body for name, body in bodies.items() if name not in written.dropped_files}
    definition_name = f"{definition.id}.0.db.xml"
    new_definition = db_xml.build(
        name=definition.name,
        id=definition.id,
        object_id=definition.object_id,
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_OID, definition.object_id)).upper(),
        compatibility_level=tmsl.LEVEL,
        language=language,
        collation=definition.collation,
        created=now,
    )
    every: dict[str, ByteSource] = {definition_name: MemorySource(new_definition)}
    if KEY_FILE in container.files:
        every[KEY_FILE] = ContainedFile(container, KEY_FILE)
    every |= {**bodies, **written.added_files, METADATA_FILE: MemorySource(written.content)}
    return Conversion(
        ConvertedContainer(container, definition_name, every),
        definition.compatibility_level,
        (*converted.warnings, *warnings),
    )


def _definition(container: Container) -> DatabaseDefinition:
    name, definition = definition_file(container)
    if definition.compatibility_level not in _LEVELS:
        raise XmlMetadataError(
            f"the model has compatibility level {definition.compatibility_level} and XML metadata; "
            f"of those, {_LEVELS[0]} and {_LEVELS[1]} are read",
            file=name,
            hint="save the workbook with Excel 2013 or later, or upgrade the model",
        )
    if definition.storage_engine != _IN_MEMORY:
        raise XmlMetadataError(
            f"the database is of the storage engine {definition.storage_engine}, not {_IN_MEMORY}",
            file=name,
            hint="multidimensional databases cannot be read",
        )
    log = container.log
    if (log.object_name, log.object_id) != (definition.name, definition.id):
        raise FormatError(
            f"the log is of {log.object_name!r} ({log.object_id!r}), db.xml of {definition.name!r} ({definition.id!r})",
            file=name,
        )
    return definition


def _language(definition: DatabaseDefinition) -> int:
    """LCID; that of a new database where the definition says none."""
    if not definition.language:
        return LANGUAGE
    return safe_xml.integer(definition.language, what="Language", file=f"{definition.id}.db.xml")


def _metadata(converted: Converted, now: datetime.datetime) -> tuple[bytes, dict[str, ByteSource]]:
    """The metadata of the model without values, and the files that go with them."""
    try:
        tree: TabularObject | None = database_definition(converted.database).model
        assert tree is not None, "the conversion gives every database a model"
        content = new_metadata(tmsl.LEVEL, now=now)
        with Metadata.from_bytes(content) as metadata:
            changes = ExistingObjects(metadata).replace_changes(tree)
        changed = change_metadata(content, changes, compatibility_level=tmsl.LEVEL, now=now, infer=inferred_type)
    except RequestError as error:
        raise ModelError(f"the model cannot be converted to level {tmsl.LEVEL}: {error}") from error
    return changed.content, {name: MemorySource(body) for name, body in changed.added_files.items()}


class _Processing:
    """What is stored, joined with what was made of the definitions."""

    def __init__(
        self, container: Container, xml_model: XmlModel, converted: Converted, model: Model, collation: Collation
    ) -> None:
        self._xml_model = xml_model
        self._converted = converted
        self._model = model
        self._dimensions = {one.id: one for one in xml_model.dimensions}
        tables = {table.name: table for table in model.tables}
        self._tables = {one.id: tables[one.name] for one in xml_model.dimensions}
        self._values = {one.id: TableValues(container, xml_model.tables[one.id]) for one in xml_model.dimensions}
        self._columns = {
            (dimension.id, attribute.id): column
            for dimension in xml_model.dimensions
            for attribute in dimension.attributes
            for column in self._tables[dimension.id].columns
            if (column.is_row_number if attribute.is_row_number else column.name == attribute.name)
        }
        self._taken_over = TakenOver(container, xml_model.system_tables)
        self._structures = Structures(self._dimensions, self._values, self._columns, collation=collation)
        self._warnings: list[str] = []

    def run(self) -> tuple[Processed, list[str]]:
        """Everything, and what could not be made."""
        filled = [one for one in self._xml_model.dimensions if self._values[one.id].row_count]
        tables = tuple(
            self._taken_over.table(
                one,
                self._values[one.id],
                self._tables[one.id],
                self._converted.partitions[one.id],
                self._structures,
            )
            for one in filled
        )
        hierarchies = tuple(made for one in filled for made in self._user_hierarchies(one))
        relationships = tuple(self._relationships({one.id for one in filled}))
        return Processed(tables, relationships, hierarchies), self._warnings

    def _user_hierarchies(self, dimension: Dimension) -> Iterator[ProcessedUserHierarchy]:
        made = {one.name: one for one in self._tables[dimension.id].hierarchies}
        for definition in dimension.hierarchies:
            yield self._structures.user_hierarchy(dimension.id, definition, made[definition.name])

    def _relationships(self, filled: set[str]) -> Iterator[ProcessedRelationship]:
        made = {one.name: one for one in self._model.relationships}
        stored = {index.relationship_id: index for table in self._xml_model.tables.values() for index in table.indexes}
        for dimension in self._xml_model.dimensions:
            for one in dimension.relationships:
                start, end = one.start, one.end
                if not {start.dimension_id, end.dimension_id} <= filled:
                    continue
                many = self._values[start.dimension_id].column(start.attribute_id)
                taken = self._taken_over.relationship(made[one.id], stored.get(one.id), many)
                try:
                    yield taken or self._structures.relationship(start, end, made[one.id])
                except ProcessingError as error:
                    self._warnings.append(f"relationship {one.id!r}: has no index: {error}")
