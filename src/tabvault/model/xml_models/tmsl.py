"""
An XML model as the ``database`` object of TMSL, at compatibility level 1200.

Everything that level 1200 knows keeps its meaning under its name; what is left out, or is not what it was, is said in a
warning. docs/formats/xml-models.md has the table.
"""

from __future__ import annotations

import locale
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import FormatError
from tabvault.model.xml_models import columns
from tabvault.model.xml_models.columns import add_said
from tabvault.model.xml_models.script import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.xml_models.cube import DataSource, Partition, Perspective
    from tabvault.model.xml_models.model import XmlModel
    from tabvault.model.xml_models.script import Script, ScriptKpi, ScriptMeasure
    from tabvault.model.xml_models.storage import StoredColumn, StoredTable
    from tabvault.model.xml_models.tables import Attribute, Dimension

LEVEL: Final = 1200
"""The lowest level with another kind of metadata; an XML model has nothing that it has no place for."""

_ENCRYPTED: Final = "[EncryptedDataStart]"

_DROPPED: Final = {
    "Role": "roles: {} not kept; nobody but administrators may read the database until roles are made",
    "Assembly": "assemblies: {} not kept",
    "MiningStructure": "mining structures: {} not kept",
    "AggregationDesign": "aggregation designs: {} not kept",
}


@dataclass
class Converted:
    """*database* is of TMSL, *warnings* for a person. *partitions*: by table, names in the order they are stored in."""

    database: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    partitions: dict[str, list[str]] = field(default_factory=dict)


def database(model: XmlModel, *, name: str, language: int, collation: str) -> Converted:
    """
    Convert a model.

    Args:
        model: the model.
        name: of the database.
        language: LCID.
        collation: empty for the server's.

    Raises:
        FormatError: the definitions and the storage contradict each other.
    """
    return _Conversion(model).run(name, language, collation)


class _Conversion:
    """One conversion, with what it looks up."""

    def __init__(self, model: XmlModel) -> None:
        self._model = model
        self._dimensions = {one.id: one for one in model.dimensions}
        self._attributes = {
            (one.id, attribute.id): attribute for one in model.dimensions for attribute in one.attributes
        }
        self._cube_dimensions = {one.id: one.dimension_id for one in model.cubes[0].dimensions}
        self._hidden = {one.dimension_id for one in model.cubes[0].dimensions if not one.is_visible}
        self._sources = {one.id: one.name for one in model.data_sources}
        self._looks = {name_of(one.reference): one for one in model.calculation_properties if one.reference[:1] == "["}
        self._script = model.script
        self._support: set[str] = set()
        self._converted = Converted()

    def run(self, name: str, language: int, collation: str) -> Converted:
        kpis = self._kpis(self._script)
        tables = {one.id: self._table(one) for one in self._model.dimensions}
        by_name = {table["name"]: table for table in tables.values()}
        if len(by_name) != len(tables):
            raise FormatError("two tables have the same name")
        for measure in self._script.measures:
            if measure.name in self._support:
                continue
            if measure.table not in by_name:
                raise FormatError(f"measure {measure.name!r} is of table {measure.table!r}, which is not there")
            by_name[measure.table].setdefault("measures", []).append(self._measure(measure, kpis.get(measure.name)))
        found: dict[str, Any] = {"tables": list(tables.values()), "relationships": self._relationships()}
        found["dataSources"] = [self._data_source(one) for one in self._model.data_sources]
        found["perspectives"] = [self._perspective(one, by_name) for one in self._model.perspectives]
        culture = locale.windows_locale.get(language)
        if culture is not None:
            found["culture"] = culture.replace("_", "-")
        if collation:
            found["collation"] = collation
        self._converted.database = {"name": name, "compatibilityLevel": LEVEL, "model": found}
        self._warn_of_the_rest()
        return self._converted

    def _warn(self, warning: str) -> None:
        self._converted.warnings.append(warning)

    def _warn_of_the_rest(self) -> None:
        for tag, text in _DROPPED.items():
            if count := self._model.others.get(tag):
                self._warn(text.format(count))
        cube = self._model.cubes[0]
        if cube.action_count:
            self._warn(f"actions: {cube.action_count} not kept")
        if count := cube.translation_count + sum(one.translation_count for one in self._model.dimensions):
            self._warn(f"translations: {count} not kept")
        if self._script.others:
            self._warn(
                f"statements of the MDX script: {len(self._script.others)} not kept, {self._script.others[0]!r} first"
            )
        if self._model.perspectives:
            self._warn(f"perspectives: {len(self._model.perspectives)} kept")

    def _table(self, dimension: Dimension) -> dict[str, Any]:
        stored = self._model.tables.get(dimension.id)
        if stored is None:
            raise FormatError(f"table {dimension.name!r} has no .tbl.xml named {dimension.id!r}", file=dimension.file)
        stored_columns = {column.name: column for column in stored.columns}
        if missing := {one.id for one in dimension.attributes} ^ stored_columns.keys():
            raise FormatError(
                f"columns {sorted(missing)[:5]} stand in one of dimension and .tbl.xml", file=dimension.file
            )
        table: dict[str, Any] = {"name": dimension.name}
        add_said(table, description=dimension.description, isHidden=dimension.id in self._hidden)
        add_said(table, dataCategory="" if dimension.type in columns.NO_CATEGORY else dimension.type)
        table["columns"] = [
            self._column(dimension, one, stored_columns[one.id])
            for one in dimension.attributes
            if not one.is_row_number
        ]
        table["partitions"] = self._partitions(dimension, stored)
        hierarchies = [
            {
                **add_said({"name": one.name}, description=one.description, displayFolder=one.display_folder),
                "levels": [
                    {"name": level, "ordinal": ordinal, "column": self._attribute(dimension.id, attribute_id).name}
                    for ordinal, (level, attribute_id) in enumerate(one.levels)
                ],
            }
            for one in dimension.hierarchies
        ]
        add_said(table, hierarchies=hierarchies)
        return table

    def _column(self, dimension: Dimension, attribute: Attribute, stored: StoredColumn) -> dict[str, Any]:
        by = attribute.order_by_id
        sort_by = self._attribute(dimension.id, by) if by and by != attribute.id else None
        return columns.column(dimension, attribute, stored, sort_by=sort_by, source_names=self._model.source_names)

    def _attribute(self, dimension_id: str, attribute_id: str) -> Attribute:
        if (dimension_id, attribute_id) not in self._attributes:
            raise FormatError(f"there is no attribute {attribute_id!r} in dimension {dimension_id!r}")
        return self._attributes[dimension_id, attribute_id]

    def _partitions(self, dimension: Dimension, stored: StoredTable) -> list[dict[str, Any]]:
        """In the order in which their rows are stored."""
        groups = {
            one.id
            for one in self._model.measure_groups
            if self._cube_dimensions.get(one.cube_dimension_id) == dimension.id
        }
        own = [one for one in self._model.partitions if one.measure_group_id in groups]
        ordered = _in_stored_order(own, stored)
        self._converted.partitions[dimension.id] = [one.name for one in ordered] or [dimension.name]
        if not ordered:
            return [{"name": dimension.name, "source": {"type": "none"}}]
        return [self._partition(one) for one in ordered]

    def _partition(self, partition: Partition) -> dict[str, Any]:
        source: dict[str, Any] = {"type": "none"}
        if partition.query is not None:
            if partition.data_source_id not in self._sources:
                raise FormatError(
                    f"partition {partition.name!r} is of data source {partition.data_source_id!r}, which is not there"
                )
            name = self._sources[partition.data_source_id]
            source = {"type": "query", "query": partition.query, "dataSource": name}
        return {**add_said({"name": partition.name}, description=partition.description), "source": source}

    def _relationships(self) -> list[dict[str, Any]]:
        active = {relationship_id for one in self._model.measure_groups for relationship_id in one.active}
        ends = {
            (self._cube_dimensions.get(start), attribute, self._cube_dimensions.get(end))
            for one in self._model.measure_groups
            for start, attribute, end in one.active_ends
        }
        found = []
        for one in (relationship for dimension in self._model.dimensions for relationship in dimension.relationships):
            start, end = one.start, one.end
            is_active = one.id in active or (start.dimension_id, start.attribute_id, end.dimension_id) in ends
            relationship: dict[str, Any] = {"name": one.id}
            for side, of_side in (("from", start), ("to", end)):
                if of_side.dimension_id not in self._dimensions:
                    raise FormatError(f"relationship {one.id!r} is of dimension {of_side.dimension_id!r}, not there")
                relationship[f"{side}Table"] = self._dimensions[of_side.dimension_id].name
                relationship[f"{side}Column"] = self._attribute(of_side.dimension_id, of_side.attribute_id).name
            if start.is_one:
                relationship["fromCardinality"] = "one"
            if not is_active:
                relationship["isActive"] = False
            found.append(relationship)
        return found

    def _data_source(self, source: DataSource) -> dict[str, Any]:
        connection = source.connection_string
        if connection.startswith(_ENCRYPTED):
            self._warn(f"data source {source.name!r}: its connection string is encrypted in the file and not kept")
            connection = ""
        found = {"name": source.name, "connectionString": connection, "impersonationMode": "default"}
        return add_said(found, description=source.description, provider=source.provider)

    def _measure(self, measure: ScriptMeasure, kpi: dict[str, Any] | None) -> dict[str, Any]:
        found: dict[str, Any] = {"name": measure.name, "expression": measure.expression}
        if (looks := self._looks.get(measure.name)) is not None:
            add_said(
                found,
                description=looks.description,
                displayFolder=looks.display_folder,
                formatString=name_of(looks.format_string),
                isHidden=not looks.is_visible,
            )
        return add_said(found, kpi=kpi)

    def _kpis(self, script: Script) -> dict[str, dict[str, Any]]:
        """Indicators by their measures; the hidden measures that hold their expressions become part of them."""
        measures = {one.name: one for one in script.measures}
        found = {}
        for kpi in script.kpis:
            if kpi.name not in measures:
                self._warn(f"KPI {kpi.name!r}: not kept, it is of no measure of that name")
                continue
            found[kpi.name] = self._kpi(kpi, measures)
        return found

    def _kpi(self, kpi: ScriptKpi, measures: Mapping[str, ScriptMeasure]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for word, member in (("GOAL", "target"), ("STATUS", "status"), ("TREND", "trend")):
            name = kpi.properties.get(word, "")
            if name.startswith("_") and name in measures:
                self._support.add(name)
                found[f"{member}Expression"] = measures[name].expression
            elif name:
                found[f"{member}Expression"] = f"[{name.replace(']', ']]')}]" if name in measures else name
        add_said(found, statusGraphic=kpi.properties.get("STATUS_GRAPHIC", ""))
        add_said(found, trendGraphic=kpi.properties.get("TREND_GRAPHIC", ""))
        return found

    def _perspective(self, perspective: Perspective, tables: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        shown = {name_of(one) for one in perspective.calculations}
        found = []
        for cube_dimension_id, (attribute_ids, hierarchy_ids) in perspective.dimensions.items():
            dimension = self._dimensions.get(self._cube_dimensions.get(cube_dimension_id, ""))
            if dimension is None:
                raise FormatError(f"perspective {perspective.name!r} has dimension {cube_dimension_id!r}, not there")
            attributes = [self._attribute(dimension.id, one) for one in attribute_ids]
            hierarchies = [one.name for one in dimension.hierarchies if one.id in hierarchy_ids]
            measures = [one["name"] for one in tables[dimension.name].get("measures", ()) if one["name"] in shown]
            table: dict[str, Any] = {"name": dimension.name}
            add_said(
                table,
                columns=[{"name": one.name} for one in attributes if not one.is_row_number],
                hierarchies=[{"name": name} for name in hierarchies],
                measures=[{"name": name} for name in measures],
            )
            found.append(table)
        return {**add_said({"name": perspective.name}, description=perspective.description), "tables": found}


def _in_stored_order(partitions: list[Partition], stored: StoredTable) -> list[Partition]:
    """
    The storage names a partition by its id, or by that of its table where there is one alone.

    Raises:
        FormatError: the partitions stored are not those defined.
    """
    by_id = {one.id: one for one in partitions}
    if len(partitions) <= 1 and len(stored.partitions) <= 1:
        return partitions
    if len(by_id) != len(partitions) or by_id.keys() != set(stored.partitions):
        raise FormatError(
            f"partitions {sorted(stored.partitions)[:5]} are stored, {sorted(by_id)[:5]} defined", file=stored.file
        )
    return [by_id[name] for name in stored.partitions]
