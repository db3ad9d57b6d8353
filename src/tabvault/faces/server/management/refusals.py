"""
What fails, as Azure Resource Manager says it: ``{"error": {"code": …, "message": …, "target": …}}``.

The code of an error of ours is that of :mod:`tabvault.errors` in the way of these codes (``storage_access`` becomes
``StorageAccess``), but for those for which Azure Resource Manager has one that client libraries know. ``target`` is the
place in the request, where it is known.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

from tabvault import errors
from tabvault.faces.server.rest.problems import INTERNAL
from tabvault.storage.server_state.recorded_options import recorded_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

CODES: Final[Mapping[type[errors.TabvaultError], str]] = {
    errors.NotAuthenticatedError: "AuthenticationFailed",
    errors.NotAuthorizedError: "AuthorizationFailed",
    errors.TooManyAttemptsError: "TooManyRequests",
    errors.RequestError: "InvalidRequestContent",
}
"""By class; a class that is not here has a code made of its own."""

_log = logging.getLogger(__name__)


class ManagementError(Exception):
    """
    What this interface refuses.

    Args:
        status: of HTTP.
        code: as Azure Resource Manager has it.
        message: what is wrong, a sentence.
        target: the place in the request.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.headers = headers or {}

    def document(self) -> dict[str, str]:
        """The value of ``error``."""
        document = {"code": self.code, "message": self.message}
        return document if self.target is None else {**document, "target": self.target}

    def response(self) -> Response:
        """The answer that it makes."""
        return JSONResponse({"error": self.document()}, self.status, self.headers)


def refusal_of(error: Exception) -> ManagementError:
    """What *error* is to who asked. Of a mistake of ours only its class is told, and the log says where it was made."""
    match error:
        case ManagementError():
            return error
        case errors.TabvaultError():
            target = error.path if isinstance(error, errors.RequestError) else None
            return ManagementError(
                _status(error),
                _code(type(error)),
                recorded_text(_message(error)),
                target=target,
                headers=_headers(error),
            )
        case _:
            place = Exception, Exception(type(error).__name__), error.__traceback__
            _log.error("internal error (%s)", type(error).__name__, exc_info=place)
            message = f"Internal error ({type(error).__name__}), please report it."
            return ManagementError(500, INTERNAL.capitalize(), message)


def _status(error: errors.TabvaultError) -> int:
    """
    The status of HTTP.

    A storage that refuses is one that the request names: 400, and no failure of this server, which client libraries
    would take for passing, nor that there is no such server.
    """
    if isinstance(error, errors.StorageError) and not isinstance(error, errors.DiskFullError):
        return 409 if error.http_status == 409 else 400
    return error.http_status


def _headers(error: errors.TabvaultError) -> dict[str, str]:
    """What tells a client how to go on."""
    if isinstance(error, errors.TooManyAttemptsError):
        return {"Retry-After": str(math.ceil(error.retry_after_s))}
    return {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}


def _message(error: errors.TabvaultError) -> str:
    text = str(error)
    text = f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
    return f"{text} Hint: {error.hint}." if error.hint else text


def _code(kind: type[errors.TabvaultError]) -> str:
    return CODES.get(kind) or "".join(word.capitalize() for word in kind.code.split("_"))
