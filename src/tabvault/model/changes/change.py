"""
One change of one object, whoever asked for it: a row of a command, or an object of TMSL.

References to other objects are ids in ``cells``, or names in ``paths``. A path names an object and those it belongs to,
by their types: ``{"Table": "Sales", "Column": "Amount"}``. Objects whose parent has no other of their type (a KPI, a
calculation group) are not in a path: the parent's path is theirs. Source: rows that Microsoft's client sends, where
such a path stands in columns ``SortByColumnID.Table`` and ``SortByColumnID.Column``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value

Verb: TypeAlias = Literal["create", "alter", "delete", "clear"]

ObjectPath: TypeAlias = "Mapping[str, str]"
"""Names by type."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    A change.

    Attributes:
        verb: what is done. A rename is an ``alter`` of the name; ``clear`` takes the values of a partition, a table or
            the model away.
        type: of the object.
        cells: what is set, by property, as the metadata hold it; ``ID`` says which object an existing one is. Passwords
            may be among them: not in ``repr``.
        paths: references by name, by property; ``ID`` says the same.
        place: where the request says so, for errors.
    """

    verb: Verb
    type: ObjectType
    cells: Mapping[str, Value] = field(repr=False)
    paths: Mapping[str, ObjectPath] = field(default_factory=dict)
    place: str = ""
