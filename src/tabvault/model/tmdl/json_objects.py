"""
Properties that are JSON objects, which TMDL writes as indented properties, or behind ``=`` as JSON, or as both.

=================================  ============================================================================
property                           members that stand as properties
=================================  ============================================================================
``dataAccessOptions``              ``fastCombine``, ``legacyRedirects``, ``returnErrorValuesAsNull``
``automaticAggregationOptions``    ``queryCoverage``, ``detailTableMinRows``, ``aggregationTableMaxRows``, …
``connectionDetails``              ``protocol``, and ``address`` with ``server``, ``database``, …
``credential``                     ``authenticationKind``, ``username``, …
``options``                        none
=================================  ============================================================================

Any other member stands in the JSON. Source: the schema of TMDL that the public tabular object model publishes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError
from tabvault.model.tmdl import values
from tabvault.model.tmsl.document import load_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.tmdl.declaration import Declaration

_TEXT: Final = "text"
_BOOLEAN: Final = "boolean"
_NUMBER: Final = "number"
_Members = dict[str, Any]

MEMBERS: Final[Mapping[str, _Members]] = MappingProxyType(
    {
        "dataAccessOptions": dict.fromkeys(("fastCombine", "legacyRedirects", "returnErrorValuesAsNull"), _BOOLEAN),
        "automaticAggregationOptions": dict.fromkeys(
            ("queryCoverage", "detailTableMinRows", "aggregationTableMaxRows", "aggregationTableSizeLimit"), _NUMBER
        ),
        "connectionDetails": {
            "protocol": _TEXT,
            "address": dict.fromkeys(
                (
                    *("server", "database", "model", "schema", "object", "url", "contentType", "resource", "path"),
                    *("domain", "account", "emailAddress", "connectionstring", "property", "view"),
                ),
                _TEXT,
            ),
        },
        "credential": {
            **dict.fromkeys(("authenticationKind", "privacySetting", "username", "password"), _TEXT),
            "encryptConnection": _BOOLEAN,
        },
        "options": {},
    }
)
"""The members that stand as properties; a mapping where they stand indented once more."""


def json_object(declaration: Declaration, word: str) -> dict[str, Any]:
    """
    The object that a declaration of the property *word* says.

    Raises:
        RequestError: a property is unknown, or its value of another type; or the JSON is none.
    """
    members = MEMBERS.get(word)
    if members is None:
        if declaration.children:
            raise declaration.children[0].error(f"{word} has no properties, it is JSON behind =")
        return _json(declaration)
    return _object(declaration, word, members)


def _object(declaration: Declaration, word: str, members: _Members) -> dict[str, Any]:
    by_text = {text.casefold(): text for text in members}
    made = _json(declaration) if declaration.value is not None else {}
    for child in declaration.children:
        member = by_text.get(child.word.casefold())
        if member is None or child.name is not None:
            raise child.error(f"{word} has no property {child.word!r}", hint="other members stand as JSON behind =")
        if member in made:
            raise child.error(f"{word} has {member} twice")
        kind = members[member]
        made[member] = _object(child, member, kind) if isinstance(kind, dict) else _value(child, kind)
    return made


def _value(declaration: Declaration, kind: str) -> str | bool | float:
    if declaration.children:
        raise declaration.children[0].error(f"{declaration.word} is no object, nothing belongs to it")
    if kind == _BOOLEAN:
        return values.boolean(declaration)
    return values.number(declaration) if kind == _NUMBER else values.text(declaration)


def _json(declaration: Declaration) -> dict[str, Any]:
    try:
        return load_document(values.text(declaration))
    except RequestError as error:
        raise declaration.error(f"{declaration.word} is not JSON: {error.message}") from None
