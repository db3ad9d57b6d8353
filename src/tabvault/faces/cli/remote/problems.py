"""
A server's answer that something failed (problem details, RFC 9457), as the error that it was there.

So a command fails in the same words and with the same code, whether the work is done here or on a server.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tabvault.errors import (
    FormatError,
    NotAuthenticatedError,
    QueryError,
    RequestError,
    ServerError,
    ServerUnreachableError,
    TabvaultError,
    TooManyAttemptsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOG_IN = "log in: --user, or --api-key-file"


def error_of_answer(status: int, body: bytes, *, url: str) -> TabvaultError:
    """
    The error that an answer tells.

    Args:
        status: of HTTP.
        body: problem details; anything else is no server of ours.
        url: of the server, for the message.
    """
    try:
        problem = json.loads(body)
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ServerUnreachableError(
            f"{url} answers with status {status}, and not as a Tabvault server does", hint="check the address"
        )
    error = error_of(code, detail, problem)
    if isinstance(error, NotAuthenticatedError):
        error.hint = error.hint and _LOG_IN
    return error


def error_of(code: str, message: str, members: Mapping[str, Any]) -> TabvaultError:
    """
    The error of *code*.

    Args:
        code: of :mod:`tabvault.errors`; one that we do not know (of HTTP, of a newer server) is named in the message.
        message: what is wrong.
        members: ``hint``, and where the kind of error has them ``line``, ``column``, ``file``, ``offset``, ``path``.
    """
    hint = _text(members, "hint")
    kind = _KINDS.get(code)
    if kind is None:
        return ServerError(f"{message} ({code})", hint=hint)
    if issubclass(kind, FormatError):
        return _format_error(kind, message, members, hint)
    if issubclass(kind, QueryError):
        return kind(message, line=_number(members, "line"), column=_number(members, "column"), hint=hint)
    if issubclass(kind, RequestError):
        return kind(message, path=_text(members, "path"), hint=hint)
    if issubclass(kind, TooManyAttemptsError):
        return kind(message, retry_after_s=0.0, hint=hint)
    return kind(message, hint=hint)


def _format_error(kind: type[FormatError], message: str, members: Mapping[str, Any], hint: str | None) -> FormatError:
    """The message of a server ends with the place, which the error adds by itself."""
    error = kind("", file=_text(members, "file"), offset=_number(members, "offset"), hint=hint)
    message = message.removesuffix(str(error))
    return kind(message, file=error.file, offset=error.offset, hint=hint)


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _number(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    return value if type(value) is int else None


def _family(kind: type[TabvaultError]) -> Iterator[type[TabvaultError]]:
    yield kind
    for member in kind.__subclasses__():
        yield from _family(member)


_KINDS = {kind.code: kind for kind in _family(TabvaultError)}
