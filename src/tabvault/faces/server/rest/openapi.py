"""The OpenAPI 3.1 document, made from the route table and the models that check what comes and goes."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from tabvault.faces.server.rest import problems
from tabvault.faces.server.rest.action import Content
from tabvault.faces.server.rest.answers import ResultRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaMode

    from tabvault.faces.server.rest.action import Action

_REF: Final = "#/components/schemas/{model}"
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_VARIABLES: Final = {
    "name": "Name; a slash in it is written `%2F`.",
    "id": "As it stands in the answer that made it.",
    "path": "Name in the backup storage, folders allowed.",
    "container": "The container that backups are in.",
    "source": "Name of the data source; a slash in it is written `%2F`.",
}
_REFUSALS: Final[Mapping[int, str]] = {
    400: "The request does not say what it should.",
    401: "No credential, or one that does not hold; or the firewall does not let the address in.",
    403: "The caller may not do this, or a password does not fit a file.",
    404: "There is no such thing, or the caller may not know of it.",
    406: "None of the forms that there are is acceptable.",
    409: "Something is in the way.",
    412: "The file is not the one that a header of the request names.",
    413: "The body is too large.",
    415: "The body is not of the type that is taken here.",
    416: "The file does not have these bytes.",
    422: "A file or a model is damaged, or not one that is read.",
    429: "Log-ins failed too often; `Retry-After` says when to come again.",
    500: "A mistake of the program, or a damaged data folder.",
    501: "This version does not do it.",
    502: "The backup storage or a data source failed.",
    503: "The backup storage or a data source cannot be reached.",
    507: "There is not enough room.",
}
_BY_EVERYBODY: Final = (400, 401, 403, 429, 500, 502, 503)
_WITH_BODY: Final = (413, 415)

_PROBLEM: Final[dict[str, Any]] = {
    "description": "What is wrong (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "hint": {"type": ["string", "null"]},
        "instance": {"type": "string"},
        "path": {"type": "string", "description": "Place in the request."},
        "line": {"type": "integer"},
        "column": {"type": "integer"},
        "file": {"type": "string"},
        "offset": {"type": "integer"},
        "retryable": {"type": "boolean"},
        "job": {"type": ["string", "null"], "description": "The job that is in the way."},
    },
    "required": ["type", "title", "status", "detail", "code", "hint", "instance"],
}


def openapi_document(prefix: str, actions: Sequence[Action]) -> dict[str, Any]:
    """The document of *actions*, all below *prefix*."""
    references, schemas = _schemas(actions)
    paths: dict[str, dict[str, Any]] = {}
    for action in actions:
        operation = _operation(action, references)
        paths.setdefault(f"{prefix}{action.path}", {})[action.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tabvault",
            "version": version("tabvault"),
            "description": "Backups, restores and questions to the databases of a Tabvault server.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"basic": []}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token, or an API key."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


_Key = tuple[type, str]


def _schemas(actions: Iterable[Action]) -> tuple[Mapping[_Key, dict[str, Any]], dict[str, Any]]:
    """References to the schemas of all models by model and direction, and the schemas."""
    models: dict[_Key, None] = {(ResultRows, "serialization"): None}
    for action in actions:
        if isinstance(action.body, type):
            models[action.body, "validation"] = None
        if isinstance(action.answer, type):
            models[action.answer, "serialization"] = None
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = list(models)  # type: ignore[arg-type]
    references, document = models_json_schema(inputs, ref_template=_REF)
    return references, document["$defs"]  # type: ignore[return-value]


def _operation(action: Action, references: Mapping[_Key, dict[str, Any]]) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(action.handler.__doc__ or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": _operation_id(action),
        "summary": " ".join(summary.split()),
        "tags": [action.path.split("/")[1]],
        "parameters": [*_path_parameters(action), *_query_parameters(action)],
        "responses": _responses(action, references),
    }
    if description:
        operation["description"] = description
    if action.body is not None:
        content = _content(action.body, references, "validation")
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(action: Action) -> str:
    words = _VARIABLE.sub(r"by_\1", action.path).replace(".", "_").replace("-", "_").strip("/").split("/")
    return "_".join([action.method.lower(), *words])


def _path_parameters(action: Action) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _VARIABLES[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _VARIABLE.findall(action.path)
    ]


def _query_parameters(action: Action) -> list[dict[str, Any]]:
    schema = action.query.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    parameters = []
    for name, described in schema.get("properties", {}).items():
        inner = _inlined(described, definitions)
        description = inner.pop("description", "")
        parameters.append({"name": name, "in": "query", "description": description, "schema": inner})
    return parameters


def _inlined(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: what is left out is left out, there is no null in an address."""
    alternatives = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    reference = alternatives[0].get("$ref")
    inner = dict(definitions[reference.rpartition("/")[2]] if reference else alternatives[0])
    if "description" in schema:
        inner["description"] = schema["description"]
    inner.pop("title", None)
    if inner.get("default", "") is None:
        del inner["default"]
    return inner


def _responses(action: Action, references: Mapping[_Key, dict[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done." if action.status != 202 else "A job was made for it."}
    if action.answer is not None:
        success["content"] = _content(action.answer, references, "serialization")
    if action.headers:
        success["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in action.headers.items()
        }
    responses = {str(action.status): success}
    if 416 in action.refusals:
        responses["206"] = {**success, "description": "The part that was asked for."}
    statuses = {*_BY_EVERYBODY, *action.refusals}
    if action.body is not None:
        statuses |= set(_WITH_BODY)
    if _VARIABLE.search(action.path):
        statuses.add(404)
    problem = {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    for status in sorted(statuses):
        responses[str(status)] = {"description": _REFUSALS[status], "content": problem}
    return responses


def _content(
    content: type[BaseModel] | Content, references: Mapping[_Key, dict[str, Any]], direction: str
) -> dict[str, Any]:
    if not isinstance(content, Content):
        return {"application/json": {"schema": references[content, direction]}}
    rows = len(content.media_types) > 1
    return {
        media_type: {"schema": references[ResultRows, "serialization"]} if rows and media_type.endswith("/json") else {}
        for media_type in content.media_types
    }
