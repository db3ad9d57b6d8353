"""
What a principal may do, as in Analysis Services.

A server administrator may do everything. Anybody else has on a database what the roles of its model give that he is a
member of, by one of his names; several roles add up. A principal without any role is told that the database may not
exist at all.

===========================================  ==================================================================
to                                           one must be
===========================================  ==================================================================
see that a database exists                   member of a role that permits anything
read metadata                                member of a role with read
query                                        the same, and rows must not be kept back by a filter, see below
process                                      member of a role with refresh
back up, restore over, alter, drop, detach   administrator of the database
see definitions (expressions, roles, …)      administrator of the database
create, attach, restore as new               server administrator
===========================================  ==================================================================

**Row filters** are DAX, and not evaluated by this version. A member is free of them when one of the roles by which he
reads filters no table: he sees all rows by that one. The filter ``TRUE()`` is none. Otherwise he is refused, on every
table: a filter goes on to the tables related to its own, and which those are is not proved here. Several roles that
filter different tables free nobody, for that reason.

**Object-level security**: a table or column is hidden when every role by which the member reads hides it. A member of
one role that filters rows and *another* that hides objects is refused, as the documentation of Analysis Services has
it. Filters and hiding bind neither server nor database administrators.

An **API key** takes away: what its scopes or its list of databases do not cover is refused, whatever its owner may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import NotAuthorizedError, RowFilterError
from tabvault.jobs.access.principal import Principal, Scope
from tabvault.model.permissions import ModelPermission

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tabvault.model.permissions import ModelPermissions, RolePermissions


@dataclass(frozen=True, slots=True)
class DatabasePermissions:
    """
    What *principal* may do on one database.

    Attributes:
        principal: who.
        database: name of the database.
        is_administrator: of the database or of the server; API key aside.
        may_read: whether a role lets him read; API key aside.
        may_refresh: whether a role lets him have data processed; API key aside.
        filter_conflict: why rows would be kept back in a way that is not evaluated; None when all rows are his.
        roles: names of his roles.
        hidden_tables: ids of the tables that must not be shown to him.
        hidden_columns: ids of the columns, those of hidden tables included.
        hidden_measures: ids of the measures that refer to one of these.
    """

    principal: Principal
    database: str
    is_administrator: bool
    may_read: bool
    may_refresh: bool
    filter_conflict: str | None = None
    roles: tuple[str, ...] = ()
    hidden_tables: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    hidden_measures: frozenset[int] = frozenset()

    @property
    def is_visible(self) -> bool:
        """Whether he may know that the database exists."""
        return (self.is_administrator or self.may_read or self.may_refresh) and self.principal.covers(self.database)

    @property
    def may_see_definitions(self) -> bool:
        """Whether he may see what only administrators see: expressions, sources, roles and members, storage."""
        return self.is_administrator and self.principal.allows(Scope.READ, self.database)

    def require_visible(self) -> None:
        """
        Refuse a principal who may not know of the database.

        Raises:
            NotAuthorizedError: that one.
        """
        if not self.is_visible:
            raise no_access(self.principal, self.database)

    def require_read(self) -> None:
        """
        Refuse a principal who may not read metadata.

        Raises:
            NotAuthorizedError: he may not.
        """
        self._require(Scope.READ, "read", permitted=self.may_read or self.is_administrator)

    def require_query(self) -> None:
        """
        Refuse a principal who may not read data, or not all of it.

        Raises:
            NotAuthorizedError: he may not.
            RowFilterError: a row filter binds him.
        """
        self.require_read()
        if self.filter_conflict is not None:
            raise RowFilterError(
                f"the user, '{self.principal.name}', cannot query the '{self.database}' database: "
                f"{self.filter_conflict}",
                hint="a role without row filters, or an administrator, can query it",
            )

    def require_refresh(self) -> None:
        """
        Refuse a principal who may not have data processed.

        Raises:
            NotAuthorizedError: he may not.
        """
        self._require(Scope.ADMIN, "process", permitted=self.may_refresh or self.is_administrator)

    def require_backup(self) -> None:
        """
        Refuse a principal who may not back the database up.

        Raises:
            NotAuthorizedError: he may not.
        """
        self._require(Scope.BACKUP, "back up", permitted=self.is_administrator)

    def require_restore_over(self) -> None:
        """
        Refuse a principal who may not overwrite the database with a backup.

        Raises:
            NotAuthorizedError: he may not.
        """
        self._require(Scope.RESTORE, "restore over", permitted=self.is_administrator)

    def require_administrator(self, action: str) -> None:
        """
        Refuse a principal who does not administer the database.

        Args:
            action: what he wants to do with it, a verb: ``alter``, ``drop``, ``detach``.

        Raises:
            NotAuthorizedError: he may not.
        """
        self._require(Scope.ADMIN, action, permitted=self.is_administrator)

    def _require(self, scope: Scope, action: str, *, permitted: bool) -> None:
        self.require_visible()
        if not permitted:
            raise NotAuthorizedError(
                f"the user, '{self.principal.name}', does not have permission to {action} the '{self.database}' "
                "database",
                hint="an administrator can give it with a role of the model",
            )
        if not self.principal.allows(scope, self.database):
            raise _key_refused(self.principal, scope)


def database_permissions(
    principal: Principal,
    database: str,
    model: ModelPermissions,
    *,
    effective_user_name: str | None = None,
    role_names: Sequence[str] = (),
) -> DatabasePermissions:
    """
    What *principal* may do on *database*.

    Args:
        principal: who asks.
        database: name of the database.
        model: the roles of its model.
        effective_user_name: the connection property of that name: an administrator asks as if he were that user.
        role_names: the connection property ``Roles``: he asks as a member of these roles only. Roles that he is not a
            member of are for administrators.

    Raises:
        NotAuthorizedError: he may not ask as somebody else, or there is no such role for him.
    """
    own = _of_member(principal, database, _roles_of(principal.identities, model), model)
    if principal.administers_server:
        own = DatabasePermissions(principal, database, True, True, True, roles=own.roles)
    if effective_user_name is None and not role_names:
        return own
    own.require_visible()
    if effective_user_name is not None:
        if not own.is_administrator:
            raise NotAuthorizedError(
                f"the user, '{principal.name}', does not have permission to ask as the user '{effective_user_name}'",
                hint="EffectiveUserName is for administrators",
            )
        roles = _roles_of({effective_user_name.casefold()}, model)
    else:
        roles = list(model.roles) if own.is_administrator else _roles_of(principal.identities, model)
    if role_names:
        wanted = {name.casefold() for name in role_names}
        roles = [role for role in roles if role.name.casefold() in wanted]
        missing = wanted - {role.name.casefold() for role in roles}
        if missing:
            raise NotAuthorizedError(
                f"either the role {min(missing)!r} does not exist in the '{database}' database, or the user, "
                f"'{effective_user_name or principal.name}', is not a member of it"
            )
    return _of_member(principal, database, roles, model)


def require_server_administrator(principal: Principal, action: str) -> None:
    """
    Refuse a principal who does not administer the server.

    Args:
        principal: who asks.
        action: what he wants to do: ``manage users``.

    Raises:
        NotAuthorizedError: he may not.
    """
    _require_server(principal, action)
    if not principal.is_server_administrator:
        raise _key_refused(principal, Scope.ADMIN)


def require_new_database(principal: Principal, database: str) -> None:
    """
    Refuse a principal who may not create or attach a database of that name.

    Raises:
        NotAuthorizedError: he may not.
    """
    _require_server(principal, f"create the '{database}' database")
    if not principal.allows(Scope.ADMIN, database):
        raise _key_refused(principal, Scope.ADMIN)


def require_restore_new(principal: Principal, database: str) -> None:
    """
    Refuse a principal who may not restore a backup as a new database of that name.

    Whoever may not is not told whether there is such a database: ask this, too, where the name is that of one that he
    cannot see.

    Raises:
        NotAuthorizedError: he may not.
    """
    _require_server(principal, f"restore the '{database}' database, unless it exists and he administers it")
    if not principal.allows(Scope.RESTORE, database):
        raise _key_refused(principal, Scope.RESTORE)


def no_access(principal: Principal, database: str) -> NotAuthorizedError:
    """
    The one answer for a database that the principal may not see, and for one that is not there.

    Raise it for a name that nobody has, too, unless a server administrator asks.
    """
    return NotAuthorizedError(
        f"Either the user, '{principal.name}', does not have access to the '{database}' database, or the database "
        "does not exist."
    )


def _require_server(principal: Principal, action: str) -> None:
    if not principal.administers_server:
        raise NotAuthorizedError(
            f"the user, '{principal.name}', does not have permission to {action}: he is not a server administrator"
        )


def _key_refused(principal: Principal, scope: Scope) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"the API key {principal.key_name!r} of the user, '{principal.name}', is not good for this",
        hint=f"make one with the scope {scope} and, where it lists databases, this one",
    )


def _roles_of(identities: Iterable[str], model: ModelPermissions) -> list[RolePermissions]:
    return [role for role in model.roles if not role.members.isdisjoint(identities)]


def _of_member(
    principal: Principal, database: str, roles: Sequence[RolePermissions], model: ModelPermissions
) -> DatabasePermissions:
    reading = [role for role in roles if role.permission.reads]
    is_administrator = any(role.permission == ModelPermission.ADMINISTRATOR for role in roles)
    hidden_tables: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    if reading and not is_administrator:
        hidden_tables = frozenset.intersection(*(role.hidden_tables for role in reading))
        hidden_columns = frozenset.intersection(*(role.hidden_columns for role in reading))
    return DatabasePermissions(
        principal=principal,
        database=database,
        is_administrator=is_administrator,
        may_read=bool(reading),
        may_refresh=any(role.permission.refreshes for role in roles),
        filter_conflict=None if is_administrator else _filter_conflict(reading),
        roles=tuple(role.name for role in roles),
        hidden_tables=hidden_tables,
        hidden_columns=hidden_columns,
        hidden_measures=model.hidden_measures(hidden_tables, hidden_columns),
    )


def _filter_conflict(reading: Sequence[RolePermissions]) -> str | None:
    filtering = [role for role in reading if role.filtered_tables]
    if not filtering:
        return None
    if len(filtering) == len(reading):
        return f"the row filter of the role {filtering[0].name!r} binds him, and cannot be evaluated by this version"
    for role in filtering:
        hiding = next((other for other in reading if other.hides and other is not role), None)
        if hiding is not None:
            return (
                f"row-level security of the role {role.name!r} and object-level security of the role {hiding.name!r} "
                "cannot be combined"
            )
    return None
