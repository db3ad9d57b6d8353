"""
What fails, as problem details (RFC 9457).

==============  ====================================================================================================
member          content
==============  ====================================================================================================
``type``        ``urn:tabvault:error:`` and the code
``title``       what errors of this code are, the same for all of them
``status``      of the answer: ``http_status`` of the error's class
``detail``      what is wrong this time, and where
``code``        of :mod:`tabvault.errors`, or one of :data:`HTTP_CODES`
``hint``        the way out, or null
``instance``    path of the request
==============  ====================================================================================================

and where they are known ``path`` (place in the request), ``line`` and ``column`` (in a query), ``file`` and ``offset``
(in a damaged file), ``retryable`` (of the storage), ``job`` (that is in the way).
"""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from tabvault.errors import FormatError, QueryError, RequestError, StorageError, TabvaultError, TooManyAttemptsError
from tabvault.faces.server.authentication import CHALLENGE

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/problem+json"

HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "There is nothing at this path"),
    405: ("method_not_allowed", "That cannot be done with what is at this path"),
    406: ("not_acceptable", "No answer of an acceptable type can be made"),
    409: ("conflict", "Something is in the way"),
    412: ("precondition_failed", "The file is not, or no longer, the one that the request is about"),
    415: ("unsupported_media_type", "The body is not of the type that is taken here"),
    416: ("range_not_satisfiable", "The file does not have these bytes"),
}
"""Code and title of what HTTP itself refuses, by status."""

INTERNAL: Final = "internal"
"""The code of a mistake of ours."""

_log = logging.getLogger(__name__)


class HttpError(Exception):
    """
    What HTTP itself refuses; the errors of the operations are in :mod:`tabvault.errors`.

    Args:
        status: one of :data:`HTTP_CODES`.
        detail: what is wrong.
        hint: the way out.
        headers: of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.headers = headers or {}


def problem_response(error: Exception, instance: str, **members: str | None) -> Response:
    """
    The answer that *error* makes.

    Args:
        error: of ours, of HTTP, or a mistake.
        instance: path of the request.
        members: further members of the document.
    """
    problem = problem_document(error, instance) | members
    content = json.dumps(problem).encode()  # ASCII: a name with half a character in it stays JSON
    return Response(content, problem["status"], headers=_headers(error), media_type=MEDIA_TYPE)


def problem_document(error: Exception, instance: str) -> dict[str, Any]:
    """The document of *error*; the table of this module says what is in it."""
    if isinstance(error, HttpError):
        code, title = HTTP_CODES[error.status]
        return _document(code, title, error.status, error.detail, error.hint, instance)
    if not isinstance(error, TabvaultError):
        _log.error("internal error (%s)", type(error).__name__, exc_info=_without_values(error))
        detail = f"internal error ({type(error).__name__}), please report it"
        return _document(INTERNAL, "A mistake of the program", 500, detail, "look into the server's log", instance)
    document = _document(error.code, title_of(type(error)), error.http_status, str(error), error.hint, instance)
    return document | _place(error)


def title_of(kind: type[TabvaultError]) -> str:
    """What errors of that class are: the first paragraph of what is written about it, on one line."""
    paragraph = (kind.__doc__ or kind.code).strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".")


def _document(code: str, title: str, status: int, detail: str, hint: str | None, instance: str) -> dict[str, Any]:
    return {
        "type": f"urn:tabvault:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "instance": instance,
    }


def _place(error: TabvaultError) -> dict[str, Any]:
    match error:
        case FormatError():
            place = {"file": error.file, "offset": error.offset}
        case QueryError():
            place = {"line": error.line, "column": error.column}
        case RequestError():
            place = {"path": error.path, "line": error.line, "column": error.column}
        case StorageError():
            place = {"retryable": error.retryable}
        case _:
            place = {}
    return {name: value for name, value in place.items() if value is not None}


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, HttpError):
        return dict(error.headers)
    if isinstance(error, TooManyAttemptsError):
        return {"Retry-After": str(math.ceil(error.retry_after_s))}
    if isinstance(error, TabvaultError) and error.http_status == 401:
        return {"WWW-Authenticate": f"{CHALLENGE}, Bearer"}
    return {}


def _without_values(error: Exception) -> tuple[type[Exception], Exception, Any]:
    """For the log: where it happened. What it said may quote a value, and a value may be a password."""
    return Exception, Exception(type(error).__name__), error.__traceback__
