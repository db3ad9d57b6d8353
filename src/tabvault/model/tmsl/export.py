"""
A model as TMSL: the ``database`` object of ``.bim`` files and of ``createOrReplace``.

What is written is what the public tabular object model writes for the same metadata when it leaves out times and what
the engine inferred, and splits texts of several lines. Deviations, on purpose: a password and the credential of a
structured data source are not written at all, and secrets in other texts are masked (:mod:`tabvault.model.secrets`).

Left out as inferred: the row number column of a table, the hierarchy that every column has, states, error messages,
data types of calculated objects.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import ModelError, RequestError
from tabvault.model.object_types import OBJECT_TYPES, Form, Property, Role
from tabvault.model.secrets import masked
from tabvault.model.tmsl.document import load_document
from tabvault.model.tmsl.rows import ModelRows, ObjectRow
from tabvault.model.tmsl.shape import COLLECTIONS, KINDS, PARTITION_SOURCES, SELECTION_MEMBERS, WIDE_REFERENCES
from tabvault.model.tmsl.translations import translations_of

if TYPE_CHECKING:
    from tabvault.model.metadata import Metadata

TmslObject = dict[str, Any]

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_ROW_NUMBER: Final = OBJECT_TYPES["Column"]["Type"]
_INFERRED_CHILDREN: Final = frozenset({"AttributeHierarchy"})


def tmsl_of(metadata: Metadata, *, name: str, id: str, compatibility_level: int) -> TmslObject:  # noqa: A002 - TMSL's word
    """
    The ``database`` object of a database.

    Args:
        metadata: its tables.
        name: its name; the metadata do not know it.
        id: its id; left out when it is the name.
        compatibility_level: decides which properties there are.

    Raises:
        FormatError: the metadata are damaged.
        ModelError: an object contradicts its type or refers to what is not there.
    """
    rows = ModelRows(metadata)
    model = _Exporter(rows, compatibility_level).object(rows.model())
    identity = {"name": name} if id == name else {"name": name, "id": id}
    return {**identity, "compatibilityLevel": compatibility_level, "model": model}


class _Exporter:
    """Writes the objects of one model."""

    def __init__(self, rows: ModelRows, level: int) -> None:
        self._rows = rows
        self._level = level

    def object(self, row: ObjectRow) -> TmslObject:
        """The TMSL object of *row* with everything in it."""
        written = self._members(row)
        for prop in row.type.children:
            if prop.target and prop.target not in _INFERRED_CHILDREN and self._exists(prop):
                for child in self._rows.children(row, prop.target):
                    written[prop.tmsl or prop.name] = self.object(child)
        special = _SPECIAL.get(row.type.name)
        if special is not None:
            special(self, row, written)
        for collection, type_ in COLLECTIONS[row.type.name].items():
            if type_.minimum_level <= self._level:
                children = self._rows.children(row, type_.name)
                objects = [self.object(child) for child in children if not _is_inferred(child)]
                if objects:
                    written[collection] = objects
        return written

    def _exists(self, prop: Property) -> bool:
        return prop.minimum_level <= self._level

    def _members(self, row: ObjectRow) -> TmslObject:
        """The properties that the modeller set, ``type`` and ``name`` first."""
        kind = self._kind(row)
        kinds = KINDS.get(row.type.name, {})
        written: TmslObject = {}
        for prop in row.type.by_tmsl.values():
            if prop.role is not Role.DEFINITION or not self._exists(prop) or prop.is_secret:
                continue
            tmsl = prop.tmsl or prop.name
            if tmsl in kinds and kind not in kinds[tmsl]:
                continue
            value = self._value(row, prop)
            if value is not None:
                written[tmsl] = value
        first = {member: written[member] for member in ("type", "name") if member in written}
        return first | written

    def _kind(self, row: ObjectRow) -> str | None:
        """The word of the ``type`` that decides which members an object has."""
        if row.type.name not in KINDS:
            return None
        return _word(row, row.type["Type"])

    def _value(self, row: ObjectRow, prop: Property) -> Any:
        """The TMSL value of a property; None when it is the default and therefore left out."""
        if prop.target is not None:
            return self.reference(row, prop)
        value = row.value(prop)
        if value is None or value in {prop.default, ""}:
            return None
        if prop.enumeration is not None:
            return _word(row, prop)
        if isinstance(value, datetime.datetime):
            return value.isoformat()
        if isinstance(value, str):
            value = masked(row.type.name, prop.name, value)
        if isinstance(value, str) and prop.form is not Form.PLAIN:
            return _json(row, prop, value) if prop.form is Form.JSON else lines_of(value)
        return value

    def reference(self, row: ObjectRow, prop: Property) -> Any:
        """The name of the object referred to, with the name of its table where the place does not say it."""
        target = self._rows.target(row, prop)
        if target is None:
            return None
        name = self._rows.name(target)
        wide = WIDE_REFERENCES.get((row.type.name, prop.name))
        if wide is None:
            return name
        outer, inner = (type_name.lower() for type_name in wide)
        return {outer: self._rows.name(self._rows.parent(target)), inner: name}

    def column(self, row: ObjectRow, written: TmslObject) -> None:
        """What a column leaves to be inferred."""
        kind = self._kind(row)
        data_type = row.type["ExplicitDataType"]
        explicit = _word(row, data_type)
        if explicit in {None, "automatic", "unknown"}:
            written.pop("dataType", None)
        if kind == "calculatedTableColumn":
            name = row.text("ExplicitName")
            written["name"] = self._rows.name(row)
            written["isNameInferred"] = not name
        if kind in {"calculated", "calculatedTableColumn"}:
            inferred = row.number("InferredDataType")
            word = data_type.enumeration.word(inferred) if data_type.enumeration and inferred else None
            if "dataType" not in written and word not in {None, "unknown"}:
                written["dataType"] = word
                written["isDataTypeInferred"] = True

    def partition(self, row: ObjectRow, written: TmslObject) -> None:
        """``source``."""
        kind = _word(row, row.type["Type"])
        if kind is None or kind == "none":
            return
        if kind not in PARTITION_SOURCES:
            raise ModelError(f"Partition {row.id}: TMSL has no source of Type {kind}")
        source: TmslObject = {"type": kind}
        for member, column in PARTITION_SOURCES[kind].items():
            prop = row.type[column]
            value = self._value(row, prop) if self._exists(prop) else None
            if value is not None:
                source[member] = value
        written["source"] = source

    def extended_property(self, row: ObjectRow, written: TmslObject) -> None:
        """``value``: text or JSON."""
        value = row.text("Value")
        if _word(row, row.type["Type"]) == "string":
            written.pop("type", None)
            if value:
                written["value"] = lines_of(value)

    def linguistic_metadata(self, row: ObjectRow, written: TmslObject) -> None:
        """``content``: XML text or JSON."""
        content = row.text("Content")
        if content and _word(row, row.type["ContentType"]) != "json":
            written["content"] = content

    def culture(self, row: ObjectRow, written: TmslObject) -> None:
        """``translations``."""
        tree = translations_of(self._rows, row)
        if tree:
            written["translations"] = tree

    def calculation_group(self, row: ObjectRow, written: TmslObject) -> None:
        """The expressions for no or several items."""
        for child in self._rows.children(row, "CalculationExpression"):
            word = _word(child, child.type["SelectionMode"])
            for member, mode in SELECTION_MEMBERS.items():
                if mode == word and self._level >= child.type.minimum_level:
                    written[member] = self.object(child)

    def calendar_column_group(self, row: ObjectRow, written: TmslObject) -> None:
        """The columns of the group: those of a unit of time, or those that are only related to time."""
        references = self._rows.children(row, "CalendarColumnReference")
        names: dict[bool, list[str]] = {True: [], False: []}
        for reference in references:
            names[bool(reference.number("IsPrimaryColumn"))].append(self._rows.name(reference))
        if "timeUnit" not in written:
            written["columns"] = names[True] + names[False]
            return
        if len(names[True]) > 1:
            raise ModelError(f"CalendarColumnGroup {row.id}: {len(names[True])} primary columns, not 1")
        if names[True]:
            written["primaryColumn"] = names[True][0]
        if names[False]:
            written["associatedColumns"] = names[False]


_SPECIAL: Final = {
    "Column": _Exporter.column,
    "Partition": _Exporter.partition,
    "ExtendedProperty": _Exporter.extended_property,
    "LinguisticMetadata": _Exporter.linguistic_metadata,
    "Culture": _Exporter.culture,
    "CalculationGroup": _Exporter.calculation_group,
    "CalendarColumnGroup": _Exporter.calendar_column_group,
}
"""Types whose TMSL object is more than its members (see :mod:`tabvault.model.tmsl.shape`)."""


def lines_of(text: str) -> str | list[str]:
    """A text of several lines as the array of its lines."""
    lines = _LINE_BREAK.split(text)
    return lines if len(lines) > 1 else text


def _is_inferred(row: ObjectRow) -> bool:
    return row.type.name == "Column" and _word(row, _ROW_NUMBER) == "rowNumber"


def _word(row: ObjectRow, prop: Property) -> str | None:
    """The word of an enumeration's number. Raises ModelError: it has none."""
    assert prop.enumeration is not None, f"{prop.name} is no enumeration"
    number = row.number(prop.name)
    if number is None:
        return None
    word = prop.enumeration.word(number)
    if word is None:
        unknown = f"{row.type.table} {row.id}: {prop.name} is {number}"
        raise ModelError(f"{unknown}, for which {prop.enumeration.name} has no word")
    return word


def _json(row: ObjectRow, prop: Property, text: str) -> Any:
    """The JSON value of a text that is JSON; the text itself where it is not and may be something else."""
    if row.type.name in {"ExtendedProperty", "LinguisticMetadata"} and not text.lstrip().startswith("{"):
        return text
    try:
        return load_document(text)
    except RequestError as error:
        raise ModelError(f"{row.type.table} {row.id}: {prop.name} is not JSON: {error.message}") from error
