"""
Bodies of JSON, strictly: UTF-8, no member twice, no number that is none, and what the model says.

An error names the place and never the value that is wrong: it may be a password.
"""

from __future__ import annotations

import json
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from tabvault.errors import RequestError

ModelT = TypeVar("ModelT", bound=BaseModel)

_CONSTANTS: Final = "NaN and Infinity are no JSON"


def parse_json(model: type[ModelT], data: bytes) -> ModelT:
    """
    The value of *model* that *data* holds.

    Raises:
        RequestError: it is not JSON, or not what *model* says; with the place.
    """
    try:
        # What the library lets pass: a member that stands twice, numbers that are none.
        json.loads(data.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant)
        return model.model_validate_json(data)
    except ValidationError as error:
        raise invalid(error) from None
    except UnicodeDecodeError:
        raise RequestError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise RequestError(
            f"the body is not JSON: {error.msg.lower()}", line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise RequestError("the body is nested too deeply") from None
    except ValueError:  # an integer of more digits than Python reads
        raise RequestError("the body holds a number that is too long") from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise RequestError("the member is there twice", path=twice[:100])
    return members


def _refuse_constant(_text: str) -> object:
    raise RequestError(_CONSTANTS)


def invalid(error: ValidationError) -> RequestError:
    """The first thing that is wrong, and where; never the value that is wrong."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])[:200]
    message = first["msg"].removeprefix("Value error, ")
    return RequestError(f"{message[:1].lower()}{message[1:]}", path=path or None)
