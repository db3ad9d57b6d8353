"""
Which rows of the metadata hang on which.

A row hangs on the row whose id stands in ``RoleID`` (memberships, table permissions), ``TablePermissionID`` (column
permissions) or ``ObjectID`` (annotations, extended properties, translations, whatever else a schema version attaches to
any object). Ids are unique over all tables, so the id alone says whose a row is. Source: genuine files of schema
versions 17 to 122; the columns are looked for in every table, so that tables we do not know are seen too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.model.metadata import Metadata
    from tabvault.model.sqlite_file import Value

OWNER_COLUMNS: Final = ("RoleID", "RoleMembershipID", "TablePermissionID", "ColumnPermissionID", "ObjectID")


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """A whole row of *table*; *owner_ids* are the ids of the rows it hangs on."""

    table: str
    id: int
    owner_ids: tuple[int, ...]
    cells: dict[str, Value]


class Ownership:
    """
    Every row that hangs on another one.

    Raises:
        FormatError: a table is damaged.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._owned: dict[int, list[OwnedRow]] = {}
        for table in metadata.table_names():
            columns = metadata.column_names(table)
            owners = [column for column in OWNER_COLUMNS if column in columns]
            if "ID" not in columns or not owners:
                continue
            for cells in metadata.rows(table):
                row_id = cells["ID"]
                owner_ids = tuple(owner for column in owners if isinstance(owner := cells[column], int) and owner)
                if isinstance(row_id, int):
                    row = OwnedRow(table=table, id=row_id, owner_ids=owner_ids, cells=cells)
                    for owner_id in owner_ids:
                        self._owned.setdefault(owner_id, []).append(row)

    def below(self, roots: Iterable[int]) -> list[OwnedRow]:
        """All rows that hang on *roots*, directly or not, owners before what they own; each row once."""
        found: list[OwnedRow] = []
        pending = list(dict.fromkeys(roots))
        seen = set(pending)
        for owner_id in pending:
            for row in self._owned.get(owner_id, ()):
                if row.id not in seen:
                    seen.add(row.id)
                    pending.append(row.id)
                    found.append(row)
        return found
