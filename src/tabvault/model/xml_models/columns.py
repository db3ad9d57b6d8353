"""A column of an XML model as TMSL has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import FormatError
from tabvault.formats.xmla.names import decode_name
from tabvault.model.objects import DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.xml_models.storage import StoredColumn
    from tabvault.model.xml_models.tables import Attribute, Dimension

_DECLARED: Final = {
    "WChar": "string",
    "BigInt": "int64",
    "Integer": "int64",
    "UnsignedInt": "int64",
    "SmallInt": "int64",
    "TinyInt": "int64",
    "Double": "double",
    "Single": "double",
    "Date": "dateTime",
    "Currency": "decimal",
    "Boolean": "boolean",
    "Binary": "binary",
}
"""Words of ``KeyColumn/DataType``."""

_STORED: Final = {20: "int64", 3: "int64", 130: "string", 5: "double", 6: "decimal", 7: "dateTime", 11: "boolean"}
"""``DBType`` of what is stored, an OLE DB type."""

_DICTIONARIES: Final = {
    "string": DictionaryDataType.STRING,
    "binary": DictionaryDataType.STRING,
    "int64": DictionaryDataType.LONG,
    "decimal": DictionaryDataType.LONG,
    "boolean": DictionaryDataType.LONG,
    "double": DictionaryDataType.REAL,
    "dateTime": DictionaryDataType.REAL,
}

_SUMMARIES: Final = {
    "None": "none",
    "Sum": "sum",
    "Min": "min",
    "Max": "max",
    "Count": "count",
    "Average": "average",
    "DistinctCount": "distinctCount",
}

NO_CATEGORY: Final = frozenset({"", "Regular", "RowNumber"})
"""Words of ``Type`` that say nothing."""


def column(
    dimension: Dimension,
    attribute: Attribute,
    stored: StoredColumn,
    *,
    sort_by: Attribute | None,
    source_names: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    """
    Convert a column that is not the row number.

    Args:
        dimension: its table.
        attribute: its definition.
        stored: how it is stored.
        sort_by: the column that it is sorted by.
        source_names: what the source calls its columns, by what they are bound to.

    Raises:
        FormatError: its data type is not known, or not the one that is stored.
    """
    data_type = _data_type(dimension, attribute, stored)
    found: dict[str, Any] = {"name": attribute.name, "dataType": data_type}
    if attribute.expression is not None:
        found |= {"type": "calculated", "expression": attribute.expression}
        add_said(found, isDataTypeInferred=attribute.data_type in ("", "Empty"))
    else:
        found["sourceColumn"] = _source_column(attribute, source_names)
    add_said(
        found,
        description=attribute.description,
        isHidden=not attribute.is_visible,
        isKey=attribute.is_key,
        formatString=attribute.format_string,
        displayFolder=attribute.display_folder,
        dataCategory="" if attribute.type in NO_CATEGORY else attribute.type,
        summarizeBy=_SUMMARIES.get(attribute.aggregate, ""),
    )
    if sort_by is not None:
        found["sortByColumn"] = sort_by.name
    if not attribute.is_available_in_mdx:
        found["isAvailableInMdx"] = False
    return found


def add_said(members: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Add the values that say something: texts that are not empty, what is true. Returns *members*."""
    members |= {name: value for name, value in values.items() if value}
    return members


def _data_type(dimension: Dimension, attribute: Attribute, stored: StoredColumn) -> str:
    declared = _DECLARED.get(attribute.data_type) or _DECLARED.get(attribute.inferred_type)
    data_type = declared or _STORED.get(stored.db_type)
    where = f"column {attribute.name!r} of {dimension.name!r}"
    if data_type is None:
        raise FormatError(f"{where} has no data type that is known", file=dimension.file)
    if stored.dictionary is not None and stored.dictionary.data_type != _DICTIONARIES[data_type]:
        raise FormatError(
            f"{where} is {data_type}, and stored as {stored.dictionary.data_type.name}", file=dimension.file
        )
    return data_type


def _source_column(attribute: Attribute, source_names: Mapping[tuple[str, str], str]) -> str:
    if attribute.binding is None:
        return attribute.name
    return source_names.get(attribute.binding, decode_name(attribute.binding[1]))
