"""
Rows of one database's roles, rewritten to stand in another database.

Every row gets a new id from the counter of its new home. References are followed by meaning: to rows that move along by
their new id; to tables, columns and cultures by name; to the model, which is one. Columns that only one of the two
schema versions has take their default, or are left behind if they hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import CompatibilityError
from tabvault.model.ownership import OWNER_COLUMNS, OwnedRow
from tabvault.model.records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.model.edit import MetadataEdit
    from tabvault.model.metadata import Metadata
    from tabvault.model.sqlite_file import Value

SECURITY_TABLES: Final = ("Role", "RoleMembership", "TablePermission", "ColumnPermission")
"""Losing something of these changes who sees what; anything else that hangs on a role is decoration."""

_DEFAULTS: Final = {"MetadataPermission": 0, "Altered": 0}
"""Columns that came later: no restriction on metadata (schema version 31), translation not altered by the user."""


class RoleTransfer:
    """
    Puts rows of *source* into *destination*.

    Args:
        destination: the database that gets the rows, as it is before *edit*.
        source: the database they come from.
        edit: the changes to *destination*, to which the rows are added.
    """

    def __init__(self, destination: Metadata, source: Metadata, edit: MetadataEdit) -> None:
        self.warnings: list[str] = []
        self._destination = destination
        self._edit = edit
        self._new_ids: dict[int, int] = {}
        self._there = _Names(destination)
        self._here = _Names(source)

    def map_id(self, source_id: int, destination_id: int) -> None:
        """Say which row of the destination stands for a row of the source that does not move."""
        self._new_ids[source_id] = destination_id

    def put(self, rows: Iterable[OwnedRow]) -> list[OwnedRow]:
        """
        Add *rows*, owners before what they own; returns those that could be added, ``warnings`` tells of the others.

        Raises:
            CompatibilityError: the schema version of the destination has no place for a restriction.
        """
        added = []
        for row in rows:
            if not all(owner_id in self._new_ids for owner_id in row.owner_ids):
                continue  # what it hangs on was not added, and that was told
            cells = self._cells(row)
            if cells is not None:
                self._new_ids[row.id] = self._edit.new_id()
                self._edit.insert(row.table, {**cells, "ID": self._new_ids[row.id]})
                added.append(row)
        return added

    def _cells(self, row: OwnedRow) -> dict[str, Value] | None:
        """The row for its new home; None when it has no place there."""
        columns = self._destination.column_names(row.table)
        cells: dict[str, Value] = {column: _DEFAULTS.get(column) for column in columns}
        for column, value in row.cells.items():
            if column == "ID":
                continue
            moved, lost = self._reference(column, value) if column.endswith("ID") else (value, None)
            if lost is not None:
                self._warn(row, f"the restored database has no {lost}")
                return None
            if column in columns:
                cells[column] = moved
            elif value not in (None, 0, "", _DEFAULTS.get(column)):
                if row.table in SECURITY_TABLES:
                    raise self._inexpressible(row, column)
                self._warn(row, f"its schema version has no {row.table}.{column}")
                return None
        return cells

    def _reference(self, column: str, value: Value) -> tuple[Value, str | None]:
        """The value of a reference in the new home, and what is missing there if it has none."""
        if not isinstance(value, int) or value == 0:
            return value, None
        if column in OWNER_COLUMNS:
            return self._new_ids[value], None
        name = self._here.name(column, value)
        found = None if name is None else self._there.id(column, name)
        if found is None:
            return None, f"{column.removesuffix('ID').lower()} {'.'.join(name) if name else value!r}"
        return found, None

    def _warn(self, row: OwnedRow, why: str) -> None:
        self.warnings.append(f"{self._here.describe(row)} is not kept: {why}")

    def _inexpressible(self, row: OwnedRow, column: str) -> CompatibilityError:
        return CompatibilityError(
            f"{self._here.describe(row)}: {row.table}.{column} cannot be kept, "
            f"for schema version {self._destination.schema_version} does not have it",
            hint="restore with security mode copyAll, or under a new name, and set the roles afterwards",
        )


class _Names:
    """What the references of a role's rows mean, by name, in one database."""

    def __init__(self, metadata: Metadata) -> None:
        tables = Records(metadata, "Table", ("Name",))
        columns = Records(metadata, "Column", ("TableID", "ExplicitName", "InferredName"))
        self._role_names: dict[Value, str] = {
            role.id: role.text("Name") for role in Records(metadata, "Role", ("Name",))
        }
        self._permissions: dict[Value, int] = {
            permission.id: permission.integer("RoleID")
            for permission in Records(metadata, "TablePermission", ("RoleID",))
        }
        self._names: dict[str, dict[int, tuple[str, ...]]] = {
            "ModelID": {model.id: () for model in Records(metadata, "Model", ())},
            "CultureID": {culture.id: (culture.text("Name"),) for culture in Records(metadata, "Culture", ("Name",))},
            "TableID": {table.id: (table.text("Name"),) for table in tables},
            "ColumnID": {
                column.id: (tables.target(column, "TableID").text("Name"), _column_name(column)) for column in columns
            },
        }
        self._ids = {
            kind: {_without_case(name): row_id for row_id, name in names.items()} for kind, names in self._names.items()
        }

    def name(self, column: str, row_id: int) -> tuple[str, ...] | None:
        """The name of the row that a reference in *column* means; None without such a row or for an unknown column."""
        return self._names.get(column, {}).get(row_id)

    def id(self, column: str, name: tuple[str, ...]) -> int | None:
        """The row of that name, for a reference in *column*."""
        return self._ids.get(column, {}).get(_without_case(name))

    def describe(self, row: OwnedRow) -> str:
        """The row in the words of an administrator."""
        cells = row.cells
        if row.table == "RoleMembership":
            return f"{self._role(cells['RoleID'])}: member {cells['MemberName']!r}"
        if row.table == "TablePermission":
            what = "row filter" if cells["FilterExpression"] else "permission"
            return f"{self._role(cells['RoleID'])}: {what} on table {self._shown('TableID', cells)}"
        if row.table == "ColumnPermission":
            permission = self._permissions.get(cells["TablePermissionID"])
            return f"{self._role(permission)}: permission on column {self._shown('ColumnID', cells)}"
        return f"{row.table} {cells.get('Name') or row.id!r}"

    def _role(self, role_id: Value) -> str:
        name = self._role_names.get(role_id)
        return f"role {name!r}"

    def _shown(self, column: str, cells: dict[str, Value]) -> str:
        row_id = cells[column]
        name = self.name(column, row_id) if isinstance(row_id, int) else None
        return repr(".".join(name)) if name else repr(row_id)


def _column_name(column: Record) -> str:
    return column.text_or_none("ExplicitName") or column.text("InferredName")


def _without_case(name: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in name)
