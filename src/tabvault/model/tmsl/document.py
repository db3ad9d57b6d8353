"""
JSON objects as text, of requests and inside of metadata, read within limits.

Plain JSON (RFC 8259): no comments, no trailing commas, no ``NaN``. A member may stand in an object once. Numbers are
whole or finite. Texts hold no half of a surrogate pair, so that each can be written as UTF-8 again.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from tabvault.errors import RequestError, RequestTooLargeError

CHARACTER_COUNT_MAX: Final = 64 << 20
"""A script of a model of ten thousand measures has some millions."""

DEPTH_MAX: Final = 64
"""Levels of objects and arrays. A translation tree in a sequence needs 14."""

MEMBER_LENGTH_MAX: Final = 1024
"""Characters of a member's name, which errors repeat. Entities of linguistic metadata have the longest."""


def load_document(text: str) -> dict[str, Any]:
    """
    The object that *text* says.

    Raises:
        RequestError: it is no JSON object, or a member is there twice.
        RequestTooLargeError: more characters or levels than a request may have.
    """
    if len(text) > CHARACTER_COUNT_MAX:
        raise RequestTooLargeError(f"the JSON has {len(text)} characters, not at most {CHARACTER_COUNT_MAX}")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise RequestError(f"the text is not JSON: {error.msg}", line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise RequestTooLargeError(f"the JSON has more than {DEPTH_MAX} levels") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise RequestError(f"the JSON holds a number that is none: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"the text is {kind_of(value)}, not an object")
    _check(value)
    return value


def kind_of(value: object) -> str:
    """What JSON calls *value*, with an article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise RequestError(f"member {twice!r} is there twice")
    return members


def _no_constant(name: str) -> None:
    raise RequestError(f"{name} is not a JSON number")


def _check(document: dict[str, Any]) -> None:
    """Levels, numbers and texts, without recursion."""
    waiting: list[tuple[Any, int]] = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth > DEPTH_MAX:
                raise RequestTooLargeError(f"the JSON has more than {DEPTH_MAX} levels")
            if isinstance(value, dict):
                waiting.extend((name, depth) for name in value)
                longest = max(map(len, value), default=0)
                if longest > MEMBER_LENGTH_MAX:
                    unreadable = f"the name of a member has {longest} characters, not at most {MEMBER_LENGTH_MAX}"
                    raise RequestTooLargeError(unreadable)
            waiting.extend((inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, float) and not math.isfinite(value):
            raise RequestError("a number is over the largest that can be told from infinity")
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise RequestError("a text holds half of a surrogate pair") from error
