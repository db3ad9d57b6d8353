"""
Where TMSL departs from "one object per row, one member per property".

=========================  ==========================================================================================
object                     what differs
=========================  ==========================================================================================
references                 a name where the place says the table, an object ``{"table", "column"}`` where it does not
column                     ``type`` decides which members there are; a calculated table column without a name of its own
                           has ``isNameInferred``, one without a data type of its own ``isDataTypeInferred``
partition                  what depends on the kind of source stands in ``source``
extended property          ``value`` is text or a JSON object, by ``type``
linguistic metadata        ``content`` is XML text or a JSON object, by ``contentType``
calculation group          its expressions are two members, named by their selection mode
calendar column group      its columns are names: ``primaryColumn`` and ``associatedColumns``, or ``columns``
culture                    its translations are a tree that repeats the model's names
=========================  ==========================================================================================

Source: the JSON schema that the public tabular object model publishes, and what it reads and writes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tabvault.model.object_types import OBJECT_TYPES, ObjectType

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDE_REFERENCES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        ("Model", "DefaultMeasureID"): ("Table", "Measure"),
        ("Variation", "DefaultHierarchyID"): ("Table", "Hierarchy"),
        ("Variation", "DefaultColumnID"): ("Table", "Column"),
        ("AlternateOf", "BaseColumnID"): ("Table", "Column"),
        ("Expression", "ParameterValuesColumnID"): ("Table", "Column"),
    }
)
"""References that are objects with a member per type: ``{"table": …, "column": …}``."""

PARTITION_SOURCES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "query": {"query": "QueryDefinition", "dataSource": "DataSourceID"},
        "calculated": {"expression": "QueryDefinition", "retainDataTillForceCalculate": "RetainDataTillForceCalculate"},
        "none": {},
        "m": {"expression": "QueryDefinition", "attributes": "MAttributes"},
        "entity": {
            "entityName": "QueryDefinition",
            "dataSource": "DataSourceID",
            "expressionSource": "ExpressionSourceID",
            "schemaName": "SchemaName",
        },
        "policyRange": {
            "start": "RangeStart",
            "end": "RangeEnd",
            "granularity": "RangeGranularity",
            "refreshBookmark": "RefreshBookmark",
        },
        "calculationGroup": {},
        "inferred": {},
    }
)
"""Members of a partition's ``source`` by its ``type``, and the properties they are."""

KINDS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = MappingProxyType(
    {
        "Column": {
            "sourceColumn": frozenset({"data", "calculatedTableColumn"}),
            "expression": frozenset({"calculated"}),
            "expressionContext": frozenset({"calculated"}),
            "isNameInferred": frozenset({"calculatedTableColumn"}),
            "columnOriginTable": frozenset({"calculatedTableColumn"}),
            "columnOriginColumn": frozenset({"calculatedTableColumn"}),
        },
        "DataSource": {
            **dict.fromkeys(
                ("connectionString", "impersonationMode", "account", "password", "isolation", "timeout", "provider"),
                frozenset({"provider"}),
            ),
            **dict.fromkeys(
                ("connectionDetails", "options", "credential", "contextExpression"), frozenset({"structured"})
            ),
        },
    }
)
"""Members that an object has only when its ``type`` is one of these words."""

SELECTION_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {"multipleOrEmptySelectionExpression": "multipleOrEmptySelection", "noSelectionExpression": "noSelection"}
)
"""Members of a calculation group that are calculation expressions, and the word of their selection mode."""

TRANSLATED: Final[Mapping[str, str]] = MappingProxyType(
    {"translatedCaption": "caption", "translatedDescription": "description", "translatedDisplayFolder": "displayFolder"}
)
"""Members of the translation tree, and the words of ``ObjectTranslation.Property``."""

TRANSLATABLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("Model", "Table", "Variation", "Level", "Calendar", "Perspective", "Expression", "Function"),
            frozenset({"translatedCaption", "translatedDescription"}),
        ),
        **dict.fromkeys(("Column", "Measure", "Hierarchy", "Set"), frozenset(TRANSLATED)),
        **dict.fromkeys(("KPI", "Role", "QueryGroup", "BindingInfo"), frozenset({"translatedDescription"})),
    }
)
"""What of which types the translation tree can say."""


def _collections(parent: ObjectType) -> Mapping[str, ObjectType]:
    """What *parent* holds, notes of tools last."""
    held = [child for child in OBJECT_TYPES.values() if child.parent and parent.name in child.parent.types]
    held.sort(key=lambda child: child.parent is not None and child.parent.is_generic)
    return MappingProxyType({child.tmsl_collection: child for child in held if child.tmsl_collection})


COLLECTIONS: Final[Mapping[str, Mapping[str, ObjectType]]] = MappingProxyType(
    {name: _collections(type_) for name, type_ in OBJECT_TYPES.items()}
)
"""By type: the arrays of its TMSL object, and what they hold."""
