"""The two sides of a copy, and how an error tells at which of them it happened."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from tabvault.errors import NotAuthenticatedError, TabvaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

Side = Literal["source", "target"]


@contextlib.contextmanager
def at(side: Side) -> Iterator[None]:
    """Around what is asked of one side: an error says of which, the innermost one."""
    try:
        yield
    except TabvaultError as error:
        if error.message.startswith("at the "):
            raise
        error.message = f"at the {side}: {error.message}"
        error.args = (error.message,)
        if side == "target" and isinstance(error, NotAuthenticatedError):
            error.hint = "log in there: --to-user, or --to-api-key-file"
        raise
