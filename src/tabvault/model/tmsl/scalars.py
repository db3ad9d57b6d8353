"""
Single values of TMSL, read strictly.

What the public tabular object model accepts is accepted: a text may be an array of its lines, whichever it is. What it
refuses is refused: ``"true"`` for true, ``3.0`` for 3, words of an enumeration in other capitals. It also takes the
numbers of enumerations; here only words are.
"""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError
from tabvault.model.object_types import Form, Property
from tabvault.model.tmsl.document import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tabvault.model.object_types import Enumeration

_INT_MAX: Final = (1 << 31) - 1
_SHOWN_LENGTH: Final = 60


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise wrong_kind(value, "an object", place)
    return value


def array(value: Any, place: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise wrong_kind(value, "an array", place)
    return value


def string(value: Any, place: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong_kind(value, "a string", place)
    return value


def name(value: Any, place: str) -> str:
    """A string that is not empty."""
    text = string(value, place)
    if not text.strip():
        raise RequestError("a name is empty", path=place)
    return text


def text(value: Any, place: str) -> str:
    """A string, or the array of its lines."""
    if isinstance(value, list):
        return "\n".join(string(line, f"{place}[{index}]") for index, line in enumerate(value))
    return string(value, place)


def boolean(value: Any, place: str, *, or_text: bool = False) -> bool:
    """True or false; with *or_text* also the strings that say so."""
    if or_text and isinstance(value, str) and value in {"true", "false"}:
        return bool(value == "true")
    if not isinstance(value, bool):
        raise wrong_kind(value, "true or false", place)
    return value


def whole(value: Any, place: str) -> int:
    """A whole number of 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_kind(value, "a whole number", place)
    if not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise RequestError(f"{value} does not fit into 32 bits", path=place)
    return value


def word(value: Any, words: Iterable[str], place: str) -> str:
    """One of *words*."""
    given = string(value, place)
    if given not in words:
        raise RequestError(f"{_shown(given)} is none of {', '.join(sorted(words))}", path=place)
    return given


def enumerated(value: Any, enumeration: Enumeration, place: str) -> int:
    """The number of a word."""
    return enumeration.number(word(value, enumeration.words, place))


def time(value: Any, place: str) -> datetime.datetime:
    """A time of ISO 8601, as UTC without a zone."""
    given = string(value, place)
    try:
        moment = datetime.datetime.fromisoformat(given)
        return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise RequestError(f"{_shown(given)} is no time of ISO 8601", path=place) from None


def json_text(value: Any, place: str) -> str:
    """The text of a JSON object, indented as clients write it."""
    return json.dumps(mapping(value, place), ensure_ascii=False, indent=2)


def scalar(prop: Property, value: Any, place: str) -> str | int | bool | datetime.datetime:
    """
    The value of a property that is no reference.

    Raises:
        RequestError: *value* is of another type, or a word that the property does not have.
    """
    if prop.enumeration is not None:
        return enumerated(value, prop.enumeration, place)
    if prop.type == "boolean":
        return boolean(value, place)
    if prop.type in {"int", "long"}:
        return whole(value, place)
    if prop.type == "dateTime":
        return time(value, place)
    return json_text(value, place) if prop.form is Form.JSON else text(value, place)


def wrong_kind(value: Any, wanted: str, place: str) -> RequestError:
    """The error that *value* is not *wanted*. The value itself is not shown: it may be a secret."""
    return RequestError(f"{kind_of(value)} stands here, not {wanted}", path=place)


def _shown(given: str) -> str:
    return repr(given if len(given) <= _SHOWN_LENGTH else given[:_SHOWN_LENGTH] + "…")
