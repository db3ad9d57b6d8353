"""
What never changes: the words and literals of queries, the enumerations of the protocol, the data types of columns.

DISCOVER_KEYWORDS         words that a query cannot use as a bare name
DISCOVER_LITERALS         characters and lengths of names and texts in a query
DISCOVER_ENUMERATORS      enumerations of XML for Analysis
DBSCHEMA_PROVIDER_TYPES   the types of columns and measures
MDSCHEMA_FUNCTIONS        none: neither MDX nor DAX expressions are calculated
MDSCHEMA_ACTIONS, _SETS   none: tabular models have no such objects

Sources: [MS-SSAS] 3.1.4.2.2.1.3 (names, types); OLE DB (DBLITERAL, DBTYPE, searchability); XML for Analysis 1.1
(enumerations). The keywords are those of the statements that are answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.definition import OLAP_GUID, Match, Restriction, Rowset, restrictions, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest

_KEYWORDS: Final = schema("Keyword")
_LITERALS: Final = schema(
    "LiteralName LiteralValue LiteralInvalidChars LiteralInvalidStartingChars LiteralMaxLength:int"
    " LiteralNameEnumValue:int"
)
_ENUMERATORS: Final = schema("EnumName EnumDescription EnumType ElementName ElementDescription ElementValue")
_PROVIDER_TYPES: Final = schema(
    "TYPE_NAME DATA_TYPE:unsignedShort COLUMN_SIZE:unsignedInt LITERAL_PREFIX LITERAL_SUFFIX CREATE_PARAMS"
    " IS_NULLABLE:boolean CASE_SENSITIVE:boolean SEARCHABLE:unsignedInt UNSIGNED_ATTRIBUTE:boolean"
    " FIXED_PREC_SCALE:boolean AUTO_UNIQUE_VALUE:boolean LOCAL_TYPE_NAME MINIMUM_SCALE:short MAXIMUM_SCALE:short"
    " GUID:uuid TYPELIB VERSION IS_LONG:boolean BEST_MATCH:boolean IS_FIXEDLENGTH:boolean"
)
_FUNCTIONS: Final = schema(
    "FUNCTION_NAME DESCRIPTION PARAMETER_LIST RETURN_TYPE:int ORIGIN:int INTERFACE_NAME LIBRARY_NAME DLL_NAME HELP_FILE"
    " HELP_CONTEXT:int OBJECT CAPTION"
)
_ACTIONS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME ACTION_NAME ACTION_TYPE:int COORDINATE COORDINATE_TYPE:int ACTION_CAPTION"
    " DESCRIPTION CONTENT APPLICATION INVOCATION:int"
)
_SETS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME SET_NAME SCOPE:int DESCRIPTION EXPRESSION DIMENSIONS SET_CAPTION"
    " SET_DISPLAY_FOLDER SET_EVALUATION_CONTEXT:int"
)
CUBE_SOURCE: Final = Restriction("CUBE_SOURCE", "unsignedShort", Match.BITS)
"""1 cubes, 2 dimensions. All rows come of cubes."""

KEYWORDS: Final = [
    "AND",
    "ASC",
    "BETWEEN",
    "BY",
    "DEFINE",
    "DESC",
    "DISTINCT",
    "EVALUATE",
    "FALSE",
    "FROM",
    "IN",
    "IS",
    "LIKE",
    "MEASURE",
    "NOT",
    "NULL",
    "OR",
    "ORDER",
    "ROW",
    "SELECT",
    "START",
    "TOP",
    "TOPN",
    "TRUE",
    "VAR",
    "WHERE",
]

_NAME_CHARACTER_COUNT_MAX: Final = 100
_NO_LIMIT: Final = -1

LITERALS: Final = (
    ("DBLITERAL_CATALOG_NAME", None, ".,;'`:/\\*|?\"&%$!-+=()[]{}<>", " 0123456789", _NAME_CHARACTER_COUNT_MAX, 2),
    ("DBLITERAL_CATALOG_SEPARATOR", ".", None, None, 0, 3),
    ("DBLITERAL_COLUMN_ALIAS", None, "'\"[]", " 0123456789", _NO_LIMIT, 5),
    ("DBLITERAL_COLUMN_NAME", None, None, None, _NAME_CHARACTER_COUNT_MAX, 6),
    ("DBLITERAL_LIKE_PERCENT", "%", None, None, 0, 11),
    ("DBLITERAL_LIKE_UNDERSCORE", "_", None, None, 0, 12),
    ("DBLITERAL_QUOTE_PREFIX", "[", None, None, 0, 15),
    ("DBLITERAL_TABLE_NAME", None, None, None, _NAME_CHARACTER_COUNT_MAX, 17),
    ("DBLITERAL_TEXT_COMMAND", None, None, None, _NO_LIMIT, 18),
    ("DBLITERAL_SCHEMA_SEPARATOR", ".", None, None, 0, 27),
    ("DBLITERAL_QUOTE_SUFFIX", "]", None, None, 0, 28),
)
"""Name, value, characters it cannot have, characters it cannot begin with, length, number in OLE DB."""

ENUMERATIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "ProviderType": ("kinds of provider", ("TDP", "MDP", "DMP")),
    "AuthenticationMode": ("ways to log in", ("Unauthenticated", "Authenticated", "Integrated")),
    "PropertyAccessType": ("access to a property", ("Read", "Write", "ReadWrite")),
    "StateSupport": ("whether there are sessions", ("None", "Sessions")),
    "StateActionVerb": ("what a header does to a session", ("BeginSession", "Session", "EndSession")),
    "ResultsetFormat": ("formats of a result", ("Tabular", "Multidimensional", "Native")),
    "ResultsetAxisFormat": ("formats of axes", ("TupleFormat", "ClusterFormat", "CustomFormat")),
    "ResultsetContents": ("parts of a result", ("None", "Schema", "Data", "SchemaData")),
    "MDXSupportLevel": ("parts of MDX", ("Core",)),
}
"""Elements by enumeration. An element's value is its name."""

DBTYPE_BYTES: Final = 128
DBTYPE_BOOL: Final = 11
DBTYPE_CY: Final = 6
DBTYPE_DATE: Final = 7
DBTYPE_I8: Final = 20
DBTYPE_R8: Final = 5
DBTYPE_VARIANT: Final = 12
DBTYPE_WSTR: Final = 130

_SEARCHABLE: Final = 4
_SEARCHABLE_EXCEPT_LIKE: Final = 3

_TYPES: Final = (
    ("DOUBLE", DBTYPE_R8, 15),
    ("CURRENCY", DBTYPE_CY, 19),
    ("DATE", DBTYPE_DATE, 23),
    ("BOOLEAN", DBTYPE_BOOL, 1),
    ("VARIANT", DBTYPE_VARIANT, None),
    ("BIGINT", DBTYPE_I8, 19),
    ("BINARY", DBTYPE_BYTES, None),
    ("WCHAR", DBTYPE_WSTR, None),
)
"""Name, number in OLE DB, digits or characters."""


def _keywords(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    return ({"Keyword": keyword} for keyword in KEYWORDS)


def _literals(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    return (dict(zip(_LITERALS.names, literal, strict=True)) for literal in LITERALS)


def _enumerators(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    for name, (description, elements) in ENUMERATIONS.items():
        for element in elements:
            yield {
                "EnumName": name,
                "EnumDescription": description,
                "EnumType": "string",
                "ElementName": element,
                "ElementValue": element,
            }


def _provider_types(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    for name, number, size in _TYPES:
        is_text = number == DBTYPE_WSTR
        is_number = number in {DBTYPE_R8, DBTYPE_CY, DBTYPE_I8}
        yield {
            "TYPE_NAME": name,
            "DATA_TYPE": number,
            "COLUMN_SIZE": size,
            "LITERAL_PREFIX": "'" if is_text else None,
            "LITERAL_SUFFIX": "'" if is_text else None,
            "IS_NULLABLE": True,
            "CASE_SENSITIVE": False,
            "SEARCHABLE": _SEARCHABLE if is_text else _SEARCHABLE_EXCEPT_LIKE,
            "UNSIGNED_ATTRIBUTE": False if is_number else None,
            "FIXED_PREC_SCALE": number == DBTYPE_CY,
            "AUTO_UNIQUE_VALUE": False,
            "IS_LONG": False,
            "BEST_MATCH": True,
            "IS_FIXEDLENGTH": number not in {DBTYPE_WSTR, DBTYPE_BYTES, DBTYPE_VARIANT},
        }


def _none(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    return iter(())


_ACTION_RESTRICTIONS: Final = (
    *restrictions("CATALOG_NAME SCHEMA_NAME CUBE_NAME! ACTION_NAME", on=_ACTIONS),
    Restriction("ACTION_TYPE", "int", Match.BITS, "ACTION_TYPE"),
    *restrictions("COORDINATE! COORDINATE_TYPE! INVOCATION", on=_ACTIONS),
    CUBE_SOURCE,
)

ROWSETS: Final = (
    Rowset(
        "DISCOVER_KEYWORDS",
        "1426C443-4CDD-4A40-8F45-572FAB9BBAA1",
        "the keywords of queries",
        _KEYWORDS,
        restrictions("Keyword", on=_KEYWORDS),
        _keywords,
    ),
    Rowset(
        "DISCOVER_LITERALS",
        "C3EF5ECB-0A07-4665-A140-B075722DBDC2",
        "the literals of queries",
        _LITERALS,
        restrictions("LiteralName", on=_LITERALS),
        _literals,
    ),
    Rowset(
        "DISCOVER_ENUMERATORS",
        "55A9E78B-ACCB-45B4-95A6-94C5065617A7",
        "the enumerations of XML for Analysis",
        _ENUMERATORS,
        restrictions("EnumName", on=_ENUMERATORS),
        _enumerators,
    ),
    Rowset(
        "DBSCHEMA_PROVIDER_TYPES",
        "C8B5222C-5CF3-11CE-ADE5-00AA0044773D",
        "the data types",
        _PROVIDER_TYPES,
        restrictions("DATA_TYPE BEST_MATCH", on=_PROVIDER_TYPES),
        _provider_types,
    ),
    Rowset(
        "MDSCHEMA_FUNCTIONS",
        OLAP_GUID.format(0x07),
        "the functions of expressions: none are calculated",
        _FUNCTIONS,
        restrictions("LIBRARY_NAME INTERFACE_NAME FUNCTION_NAME ORIGIN", on=_FUNCTIONS),
        _none,
    ),
    Rowset(
        "MDSCHEMA_ACTIONS",
        OLAP_GUID.format(0x08),
        "the actions of a cube: a tabular model has none",
        _ACTIONS,
        _ACTION_RESTRICTIONS,
        _none,
    ),
    Rowset(
        "MDSCHEMA_SETS",
        OLAP_GUID.format(0x0B),
        "the named sets of a cube: a tabular model has none",
        _SETS,
        restrictions(
            "CATALOG_NAME SCHEMA_NAME CUBE_NAME SET_NAME SCOPE",
            on=_SETS,
            others=[Restriction("HIERARCHY_UNIQUE_NAME", "string", Match.OTHER), CUBE_SOURCE],
        ),
        _none,
    ),
)
