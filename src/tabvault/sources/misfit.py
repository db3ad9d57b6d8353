"""A value that does not fit where it should go: told by its kind and its place, never by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa


class Converted(NamedTuple):
    """
    Values as the model has them.

    Attributes:
        values: as many as there were.
        rounded_count: how many of them lost digits that their type has no room for.
    """

    values: pa.Array
    rounded_count: int = 0


class MisfitError(Exception):
    """
    Values that do not convert.

    Attributes:
        kind: what they are: "text that is no number".
        index: of the first one.
        count: how many there are.
    """

    def __init__(self, kind: str, *, index: int, count: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.index = index
        self.count = count


def refuse(is_misfit: pa.BooleanArray, kind: str) -> None:
    """
    Let nothing through for which *is_misfit* holds; null does not.

    Raises:
        MisfitError: there is one.
    """
    count = pc.sum(is_misfit).as_py()
    if count:
        raise MisfitError(kind, index=pc.index(is_misfit, True).as_py(), count=count)


def refuse_unless(is_fit: pa.BooleanArray, kind: str) -> None:
    """Let nothing through for which *is_fit* does not hold; null passes. Raises MisfitError."""
    refuse(pc.invert(is_fit), kind)
