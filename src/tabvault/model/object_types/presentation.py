"""Object types of how a model is shown: cultures, translations, perspectives, and the notes that hang on any object."""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    GENERIC_IDENTITY,
    MODIFIED,
    PREVIEW_LEVEL,
    STRUCTURE_MODIFIED,
    Form,
    ObjectType,
    Parent,
    Property,
    flag,
    identity,
    json_text,
    lines,
    link,
    only_child,
    text,
    word,
)

CULTURE: Final = ObjectType(
    "Culture",
    13,
    "TMSCHEMA_CULTURES",
    "Cultures",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        only_child("LinguisticMetadataID", "linguisticMetadata", "LinguisticMetadata"),
        MODIFIED,
        STRUCTURE_MODIFIED,
    ),
    key="Name",
    tmsl_collection="cultures",
    description="a language into which names are translated",
)

OBJECT_TRANSLATION: Final = ObjectType(
    "ObjectTranslation",
    14,
    "TMSCHEMA_OBJECT_TRANSLATIONS",
    "ObjectTranslations",
    Parent("CultureID", ("Culture",)),
    (
        *identity(parent="CultureID", target="Culture"),
        Property("ObjectID", "unsignedLong"),
        Property("ObjectType", "int"),
        word("Property", None, words.TRANSLATED_PROPERTY, default=None),
        text("Value"),
        MODIFIED,
        flag("Altered", level=1571),
    ),
    description="caption, description or display folder of an object; TMSL writes them as a tree, `translations`",
)

LINGUISTIC_METADATA: Final = ObjectType(
    "LinguisticMetadata",
    15,
    "TMSCHEMA_LINGUISTIC_METADATA",
    "LinguisticMetadata",
    Parent("CultureID", ("Culture",)),
    (
        *identity(parent="CultureID", target="Culture"),
        Property("Content", "string", tmsl="content", form=Form.JSON),
        MODIFIED,
        word("ContentType", "contentType", words.CONTENT_TYPE, default="xml", level=1465),
    ),
    description="the vocabulary of questions in natural language; XML text or, by ContentType, JSON",
)

PERSPECTIVE: Final = ObjectType(
    "Perspective",
    29,
    "TMSCHEMA_PERSPECTIVES",
    "Perspectives",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        MODIFIED,
    ),
    key="Name",
    tmsl_collection="perspectives",
    description="a choice of the model's objects",
)

PERSPECTIVE_TABLE: Final = ObjectType(
    "PerspectiveTable",
    30,
    "TMSCHEMA_PERSPECTIVE_TABLES",
    "PerspectiveTables",
    Parent("PerspectiveID", ("Perspective",)),
    (
        *identity(parent="PerspectiveID", target="Perspective"),
        link("TableID", "name", "Table"),
        flag("IncludeAll", "includeAll"),
        MODIFIED,
    ),
    key="TableID",
    tmsl_collection="tables",
    description="a table of a perspective",
)


def _perspective_member(number: int, target: str, plural: str, *, level: int) -> ObjectType:
    """A column, measure, hierarchy or set of a perspective."""
    return ObjectType(
        f"Perspective{target}",
        number,
        f"TMSCHEMA_PERSPECTIVE_{plural.upper()}",
        f"Perspective{plural}",
        Parent("PerspectiveTableID", ("PerspectiveTable",)),
        (
            *identity(parent="PerspectiveTableID", target="PerspectiveTable"),
            link(f"{target}ID", "name", target),
            MODIFIED,
        ),
        key=f"{target}ID",
        tmsl_collection=plural.lower(),
        minimum_level=level,
        description=f"a {target.lower()} of a perspective",
    )


PERSPECTIVE_COLUMN: Final = _perspective_member(31, "Column", "Columns", level=1200)
PERSPECTIVE_HIERARCHY: Final = _perspective_member(32, "Hierarchy", "Hierarchies", level=1200)
PERSPECTIVE_MEASURE: Final = _perspective_member(33, "Measure", "Measures", level=1200)
PERSPECTIVE_SET: Final = _perspective_member(39, "Set", "Sets", level=1400)

EXTENDABLE: Final = (
    "Model",
    "DataSource",
    "Table",
    "Column",
    "AttributeHierarchy",
    "Partition",
    "Relationship",
    "Measure",
    "Hierarchy",
    "Level",
    "KPI",
    "Culture",
    "LinguisticMetadata",
    "Perspective",
    "PerspectiveTable",
    "PerspectiveColumn",
    "PerspectiveHierarchy",
    "PerspectiveMeasure",
    "Role",
    "RoleMembership",
    "TablePermission",
    "Variation",
    "Set",
    "PerspectiveSet",
    "Expression",
    "ColumnPermission",
    "RefreshPolicy",
    "Function",
    "BindingInfo",
)
"""What can have annotations and extended properties."""

ANNOTATION: Final = ObjectType(
    "Annotation",
    11,
    "TMSCHEMA_ANNOTATIONS",
    "Annotations",
    Parent("ObjectID", (*EXTENDABLE, "CalculationGroup", "AlternateOf", "QueryGroup", "DataCoverageDefinition")),
    (*GENERIC_IDENTITY, text("Name", "name"), lines("Value", "value"), MODIFIED),
    key="Name",
    tmsl_collection="annotations",
    description="a note of a tool on an object",
)

EXTENDED_PROPERTY: Final = ObjectType(
    "ExtendedProperty",
    40,
    "TMSCHEMA_EXTENDED_PROPERTIES",
    "ExtendedProperties",
    Parent("ObjectID", EXTENDABLE),
    (
        *GENERIC_IDENTITY,
        text("Name", "name"),
        word("Type", "type", words.EXTENDED_PROPERTY_TYPE, default=None),
        json_text("Value", "value"),
        MODIFIED,
    ),
    key="Name",
    tmsl_collection="extendedProperties",
    minimum_level=1400,
    description="a property that a tool added to an object; a text or, by Type, JSON",
)

CHANGED_PROPERTY: Final = ObjectType(
    "ChangedProperty",
    53,
    "TMSCHEMA_CHANGED_PROPERTIES",
    "ChangedProperties",
    Parent("ObjectID", ("Table", "Column", "Relationship", "Measure", "Hierarchy", "Level", "Function")),
    (*GENERIC_IDENTITY, text("Property", "property")),
    key="Property",
    tmsl_collection="changedProperties",
    minimum_level=1567,
    description="a property that was changed after the object came from another model",
)

EXCLUDED_ARTIFACT: Final = ObjectType(
    "ExcludedArtifact",
    54,
    "TMSCHEMA_EXCLUDED_ARTIFACTS",
    "ExcludedArtifacts",
    Parent("ObjectID", ("Model", "Table", "Hierarchy", "Expression")),
    (
        *GENERIC_IDENTITY,
        Property("ArtifactType", "int", tmsl="artifactType"),
        json_text("Reference", "reference"),
    ),
    tmsl_collection="excludedArtifacts",
    minimum_level=PREVIEW_LEVEL,
    description="what was left out when the object came from another model",
)

ANALYTICS_AI_METADATA: Final = ObjectType(
    "AnalyticsAIMetadata",
    52,
    "TMSCHEMA_ANALYTICS_AIMETADATA",
    "AnalyticsAIMetadata",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        json_text("MeasureAnalysisDefinition", "measureAnalysisDefinition"),
    ),
    key="Name",
    tmsl_collection="analyticsAIMetadata",
    minimum_level=PREVIEW_LEVEL,
    description="how a measure is analysed",
)

PRESENTATION_TYPES: Final = (
    ANNOTATION,
    CULTURE,
    OBJECT_TRANSLATION,
    LINGUISTIC_METADATA,
    PERSPECTIVE,
    PERSPECTIVE_TABLE,
    PERSPECTIVE_COLUMN,
    PERSPECTIVE_HIERARCHY,
    PERSPECTIVE_MEASURE,
    PERSPECTIVE_SET,
    EXTENDED_PROPERTY,
    ANALYTICS_AI_METADATA,
    CHANGED_PROPERTY,
    EXCLUDED_ARTIFACT,
)
