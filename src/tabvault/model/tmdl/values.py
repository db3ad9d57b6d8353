"""Single values of TMDL: what a text says where the registry wants a number, a word or a reference."""

from __future__ import annotations

import datetime
import math
import re
from typing import TYPE_CHECKING, Any, Final

from tabvault.model.tmdl.names import referred_names

if TYPE_CHECKING:
    from tabvault.model.object_types import Enumeration, Property
    from tabvault.model.tmdl.declaration import Declaration

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?")
_SHOWN_LENGTH: Final = 60


def scalar(declaration: Declaration, prop: Property) -> Any:
    """
    The value of a property that is no reference and no JSON, as TMSL has it.

    Raises:
        RequestError: the text is none of the property's values.
    """
    if prop.enumeration is not None:
        return word(declaration, prop.enumeration)
    if prop.type == "boolean":
        return boolean(declaration)
    if prop.type in {"int", "long"}:
        return whole(declaration)
    if prop.type == "dateTime":
        return time(declaration)
    return text(declaration)


def text(declaration: Declaration) -> str:
    """The text itself."""
    if declaration.value is None:
        raise declaration.error(f"{declaration.word} has no value")
    return declaration.value


def boolean(declaration: Declaration) -> bool:
    """True, false; a word that stands alone is true."""
    said = "true" if declaration.value is None else declaration.value.casefold()
    if said not in {"true", "false"}:
        raise _no(declaration, "true or false")
    return said == "true"


def whole(declaration: Declaration) -> int:
    """A whole number."""
    if not _WHOLE.fullmatch(text(declaration)):
        raise _no(declaration, "a whole number")
    return int(text(declaration))


def number(declaration: Declaration) -> int | float:
    """A number, whole where it is written so."""
    said = text(declaration)
    if not _NUMBER.fullmatch(said) or not math.isfinite(float(said)):
        raise _no(declaration, "a number")
    return int(said) if _WHOLE.fullmatch(said) else float(said)


def word(declaration: Declaration, enumeration: Enumeration) -> str:
    """A word of an enumeration, whatever its capitals."""
    said = text(declaration).casefold()
    for known in enumeration.words:
        if known.casefold() == said:
            return known
    raise _no(declaration, f"one of {', '.join(enumeration.words)}")


def time(declaration: Declaration) -> str:
    """A day, or a time of a day."""
    try:
        return datetime.datetime.fromisoformat(text(declaration)).isoformat()
    except ValueError:
        raise _no(declaration, "a time of ISO 8601") from None


def reference(declaration: Declaration, *, name_count: int) -> tuple[str, ...]:
    """The names of a reference, of at most *name_count*, outermost first."""
    names = referred_names(text(declaration))
    if names is None or len(names) > name_count:
        shape = "a name" if name_count == 1 else "Table.Name"
        raise declaration.error(
            f"{declaration.word} is {_shown(text(declaration))}, no reference of the form {shape}",
            hint="names with blanks and . = : ' are put in single quotes, a quote in them is doubled",
        )
    return names


def _no(declaration: Declaration, wanted: str) -> Exception:
    return declaration.error(f"{declaration.word} is {_shown(text(declaration))}, not {wanted}")


def _shown(said: str) -> str:
    return repr(said if len(said) <= _SHOWN_LENGTH else said[:_SHOWN_LENGTH] + "…")
