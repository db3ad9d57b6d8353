"""
Which path is what: the table of the REST API, and how a path is found in it.

Case counts in no part that the table spells out, nor in the name of the server: Azure Resource Manager takes
``resourcegroups`` for ``resourceGroups``, and clients rely on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from tabvault.errors import RequestError
from tabvault.faces.server.management.resource import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUBSCRIPTION: Final = f"/subscriptions/{{subscription}}/providers/{PROVIDER}"
_GROUP: Final = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{PROVIDER}"
_SERVER: Final = f"{_GROUP}/servers/{{server}}"
_LOCATION: Final = f"{_SUBSCRIPTION}/locations/{{location}}"

PREFIXES: Final = ("/subscriptions", "/providers")
"""What all of them begin with."""

TABLE: Final[tuple[tuple[str, str, str], ...]] = (
    ("GET", f"/providers/{PROVIDER}/operations", "Operations_List"),
    ("GET", f"{_SUBSCRIPTION}/servers", "Servers_List"),
    ("GET", f"{_GROUP}/servers", "Servers_ListByResourceGroup"),
    ("GET", _SERVER, "Servers_GetDetails"),
    ("HEAD", _SERVER, "Servers_CheckExistence"),
    ("PUT", _SERVER, "Servers_Create"),
    ("PATCH", _SERVER, "Servers_Update"),
    ("DELETE", _SERVER, "Servers_Delete"),
    ("POST", f"{_SERVER}/suspend", "Servers_Suspend"),
    ("POST", f"{_SERVER}/resume", "Servers_Resume"),
    ("POST", f"{_SERVER}/listGatewayStatus", "Servers_ListGatewayStatus"),
    ("POST", f"{_SERVER}/dissociateGateway", "Servers_DissociateGateway"),
    ("GET", f"{_SERVER}/skus", "Servers_ListSkusForExisting"),
    ("GET", f"{_SUBSCRIPTION}/skus", "Servers_ListSkusForNew"),
    ("POST", f"{_LOCATION}/checkNameAvailability", "Servers_CheckNameAvailability"),
    ("GET", f"{_LOCATION}/operationresults/{{operation}}", "Servers_ListOperationResults"),
    ("GET", f"{_LOCATION}/operationstatuses/{{operation}}", "Servers_ListOperationStatuses"),
)
"""Method, path, and ``operationId`` of the specification; HEAD is none of its own."""

PART_LENGTH_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Place:
    """
    A path of the table.

    Attributes:
        route: the path as it stands in the table.
        operations: what can be done there: the ``operationId`` by method.
        values: of the variables, decoded.
    """

    route: str
    operations: Mapping[str, str]
    values: Mapping[str, str]


def find_place(path: str) -> Place | None:
    """
    What is at *path*, which is still encoded: a slash in a name is ``%2F`` there. None if nothing is.

    Raises:
        RequestError: a variable cannot be a name.
    """
    parts = path.rstrip("/").split("/")
    for route, operations in _PLACES.items():
        pattern = route.split("/")
        if len(pattern) == len(parts) and all(map(_fits, pattern, parts)):
            variables = ((name[1:-1], part) for name, part in zip(pattern, parts, strict=True) if name.startswith("{"))
            return Place(route, operations, {name: _decoded(name, part) for name, part in variables})
    return None


def _fits(pattern: str, part: str) -> bool:
    return part != "" if pattern.startswith("{") else pattern.lower() == part.lower()


def _decoded(variable: str, part: str) -> str:
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise RequestError("the path is not UTF-8", path=variable) from None
    if not 1 <= len(text) <= PART_LENGTH_MAX or not text.isprintable() or "/" in text:
        raise RequestError(
            f"{text!r:.300} is not 1 to {PART_LENGTH_MAX} printable characters without a slash", path=variable
        )
    return text


_PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    path: {method: operation for method, of, operation in TABLE if of == path} for _, path, _ in TABLE
}
