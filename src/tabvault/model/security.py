"""
The security modes of a restore: whose roles and whose members the restored database has.

==================  ===============================  =======================================================
mode                roles and permissions            members
==================  ===============================  =======================================================
copyAll             those of the backup              those of the backup
skipMembership      those of the backup              those of the overwritten database, by name of the role;
                                                     none in a new database
ignoreSecurity      those of the overwritten         those of the overwritten database
                    database; none in a new one
==================  ===============================  =======================================================

Source: the public description of ``RestoreSecurity`` of Analysis Services. What it leaves open is decided so that
nobody sees more than before. Roles are found by name without case, as the engine compares names; a permission goes to
the table or column of the same name. One that finds none is reported, for the thing it protected is gone; one that the
restored database's schema version cannot express fails the restore.

*staged* is always ``metadata.sqlitedb`` of the backup, a private copy; when something changes, a changed file takes its
place, and the caller makes that durable. *target* is the file of the database that is overwritten, None for a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import ModelError
from tabvault.model.edit import MetadataEdit
from tabvault.model.metadata import Metadata
from tabvault.model.ownership import OwnedRow, Ownership
from tabvault.model.records import Record, Records
from tabvault.model.role_transfer import RoleTransfer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READING_PERMISSIONS: Final = frozenset({2, 3, 5})
"""``Role.ModelPermission``: read, read and refresh, administrator. 1 is none and 4 refresh only."""


@dataclass(frozen=True, slots=True)
class SecurityChange:
    """
    What was done to the staged database.

    Attributes:
        roles_dropped: roles of the backup that were taken out.
        roles_kept: roles of the overwritten database that were put in.
        members_dropped: members of the backup that were taken out, those of dropped roles included.
        members_kept: members of the overwritten database that were put in.
        warnings: one line for each thing that was lost on the way.
    """

    roles_dropped: int = 0
    roles_kept: int = 0
    members_dropped: int = 0
    members_kept: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether *staged* is another file now."""
        return any((self.roles_dropped, self.roles_kept, self.members_dropped, self.members_kept))


def skip_membership(staged: Path, target: Path | None) -> SecurityChange:
    """
    Keep the roles of the backup, with the members that the overwritten database had.

    Raises:
        FormatError: one of the files is damaged.
        ModelError: ids or names in one of them contradict each other.
        CompatibilityError: the schema version of *staged* cannot express what *target* has.
    """
    with Metadata.open(staged) as metadata:
        edit = MetadataEdit(metadata)
        roles = Records(metadata, "Role", ("Name",))
        ownership = Ownership(metadata)
        members = _members(ownership, (role.id for role in roles))
        _delete(edit, [*members, *ownership.below(member.id for member in members)])
        added, warnings = [], []
        if target is not None:
            with Metadata.open(target) as overwritten:
                transfer = RoleTransfer(metadata, overwritten, edit)
                added = transfer.put(_members_by_role_name(roles, overwritten, transfer))
                warnings = transfer.warnings
    edit.apply(staged)
    return SecurityChange(
        members_dropped=len(members), members_kept=_count(added, "RoleMembership"), warnings=tuple(warnings)
    )


def ignore_security(staged: Path, target: Path | None) -> SecurityChange:
    """
    Replace the roles of the backup, with all that hangs on them, by those of the overwritten database.

    Raises:
        FormatError: one of the files is damaged.
        ModelError: ids or names in one of them contradict each other.
        CompatibilityError: the schema version of *staged* cannot express a permission of *target*.
    """
    with Metadata.open(staged) as metadata:
        edit = MetadataEdit(metadata)
        dropped = _roles_with_all(metadata)
        _delete(edit, dropped)
        added, warnings = [], []
        if target is not None:
            with Metadata.open(target) as overwritten:
                transfer = RoleTransfer(metadata, overwritten, edit)
                added = transfer.put(_roles_with_all(overwritten))
                warnings = transfer.warnings
    edit.apply(staged)
    return SecurityChange(
        roles_dropped=_count(dropped, "Role"),
        roles_kept=_count(added, "Role"),
        members_dropped=_count(dropped, "RoleMembership"),
        members_kept=_count(added, "RoleMembership"),
        warnings=tuple(warnings),
    )


def drop_roles_without_read(staged: Path) -> SecurityChange:
    """
    Drop the roles that may not read the model, with all that hangs on them (``ignoreIncompatibilities``).

    Raises:
        FormatError: the file is damaged.
        ModelError: ids in it contradict each other.
    """
    with Metadata.open(staged) as metadata:
        edit = MetadataEdit(metadata)
        roles = [
            role
            for role in Records(metadata, "Role", ("Name", "ModelPermission"))
            if role.integer("ModelPermission") not in READING_PERMISSIONS
        ]
        below = Ownership(metadata).below(role.id for role in roles)
    _delete(edit, below)
    for role in roles:
        edit.delete("Role", role.id)
    edit.apply(staged)
    return SecurityChange(
        roles_dropped=len(roles),
        members_dropped=_count(below, "RoleMembership"),
        warnings=tuple(f"role {role.text('Name')!r} is dropped: it may not read the model" for role in roles),
    )


def _roles_with_all(metadata: Metadata) -> list[OwnedRow]:
    """Every role, whole, and after them what hangs on them."""
    roles = Records(metadata, "Role", [column for column in metadata.column_names("Role") if column != "ID"])
    rows = [OwnedRow(table="Role", id=role.id, owner_ids=(), cells=dict(role.cells)) for role in roles]
    return [*rows, *Ownership(metadata).below(row.id for row in rows)]


def _members_by_role_name(roles: Records, target: Metadata, transfer: RoleTransfer) -> list[OwnedRow]:
    """The members of the roles of *target* whose names *roles* have too, and after them what hangs on them."""
    ownership = Ownership(target)
    namesakes = _by_name(roles)
    members: list[OwnedRow] = []
    for name, role in _by_name(Records(target, "Role", ("Name",))).items():
        own = _members(ownership, [role.id])
        if name in namesakes:
            transfer.map_id(role.id, namesakes[name].id)
            members += own
        elif own:
            transfer.warnings.append(f"role {role.text('Name')!r} is not in the backup: members not kept: {len(own)}")
    return [*members, *ownership.below(member.id for member in members)]


def _members(ownership: Ownership, roles: Iterable[int]) -> list[OwnedRow]:
    return [row for row in ownership.below(roles) if row.table == "RoleMembership"]


def _by_name(roles: Records) -> dict[str, Record]:
    by_name: dict[str, Record] = {}
    for role in roles:
        name = role.text("Name").lower()
        if name in by_name:
            raise ModelError(f"Role {role.id}: Name {role.text('Name')!r} is that of Role {by_name[name].id} too")
        by_name[name] = role
    return by_name


def _delete(edit: MetadataEdit, rows: Iterable[OwnedRow]) -> None:
    for row in rows:
        edit.delete(row.table, row.id)


def _count(rows: Iterable[OwnedRow], table: str) -> int:
    return sum(row.table == table for row in rows)
