"""What a server answers, as the values that it was there."""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from tabvault.errors import TabvaultError
from tabvault.faces.cli.remote.connection import unexpected

if TYPE_CHECKING:
    from collections.abc import Iterator

_Result = TypeVar("_Result")


@contextlib.contextmanager
def expected(url: str) -> Iterator[None]:
    """Around what takes an answer apart: one that is of another shape is not a server's of this version."""
    try:
        yield
    except TabvaultError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unexpected(url) from None


def built(kind: type[_Result], document: Any, url: str) -> _Result:
    """The dataclass *kind* of a JSON object; a newer server may say more than we know."""
    with expected(url):
        values = {field.name: document[field.name] for field in fields(kind)}  # type: ignore[arg-type]
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def with_times(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """*document*, whose members *names* are times or null, with times there; inside of :func:`expected`."""
    times = {name: document[name] for name in names}
    return document | {
        name: None if text is None else datetime.datetime.fromisoformat(text) for name, text in times.items()
    }
