r"""
What the roles of a model permit, as facts: who is a member, what he may do, what is kept from him.

===================================  ================================================================================
``Role.ModelPermission``             1 none, 2 read, 3 read and refresh, 4 refresh, 5 administrator
``RoleMembership.MemberName``        ``user@domain``, ``DOMAIN\user``, ``obj:GROUP@TENANT``, ``app:ID@TENANT``
``TablePermission.FilterExpression`` DAX; the role sees the rows for which it is true. Empty: all rows
``TablePermission.State``            1 ready; with any other the role has no access to the table ([MS-SSAS-T] 2.2.5.23)
``….MetadataPermission``             of a table or a column: 0 default, 1 none (its name is kept back too), 2 read
===================================  ================================================================================

Sources: [MS-SSAS-T] 2.2.5 and genuine files of schema versions 17 to 123. Roles add up: a member of several may what
any of them permits, and an object is kept from him only when each role by which he reads keeps it.

A measure is not named in a role. It is kept back with what it refers to ("object-level security" in the documentation
of Analysis Services): with a table, a column or another measure. Its expression is not parsed, only taken apart into
strings, comments and names; where a name could be two things, it is both, so that too much is kept back rather than
too little.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.model.objects import ObjectState
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.model.metadata import Metadata
    from tabvault.model.records import Record

METADATA_NONE: Final = 1
"""``MetadataPermission`` none: the object and its name are kept back."""

EXPRESSION_LENGTH_MAX: Final = 1 << 18
"""A longer expression of a measure is not searched, and counts as referring to everything."""

_TRUE = re.compile(r"\s*TRUE\s*\(\s*\)\s*", re.IGNORECASE)

_TOKEN = re.compile(
    r"""
    "(?:[^"]|"")*+" | (?://|--)[^\r\n]*+ | /\*.*?\*/
    | (?:'(?P<quoted>(?:[^']|'')++)'|(?P<bare>[\w.]++)) (?:\s*+\[(?P<column>(?:[^\]]|\]\])++)\])?
    | \[(?P<name>(?:[^\]]|\]\])++)\]
    | (?P<stray>["'\[]|/\*)
    """,
    re.VERBOSE | re.DOTALL,
)
"""
A string, a comment, a table and perhaps its column, a name in brackets, or a mark that nothing closes.

It takes linear time: what repeats is possessive, and a mark that nothing closes ends the search.
"""


class ModelPermission(enum.IntEnum):
    """``Role.ModelPermission``."""

    NONE = 1
    READ = 2
    READ_AND_REFRESH = 3
    REFRESH = 4
    ADMINISTRATOR = 5

    @property
    def reads(self) -> bool:
        """Whether it lets a member ask for data."""
        return self in (ModelPermission.READ, ModelPermission.READ_AND_REFRESH, ModelPermission.ADMINISTRATOR)

    @property
    def refreshes(self) -> bool:
        """Whether it lets a member have data processed."""
        return self in (ModelPermission.READ_AND_REFRESH, ModelPermission.REFRESH, ModelPermission.ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """
    A role.

    Attributes:
        id: of the row in ``Role``.
        name: of the role.
        permission: on the model as a whole.
        members: their names, case-folded.
        filtered_tables: ids of the tables of which it may not show every row.
        hidden_tables: ids of the tables it keeps back.
        hidden_columns: ids of the columns it keeps back, those of hidden tables included.
    """

    id: int
    name: str
    permission: ModelPermission
    members: frozenset[str]
    filtered_tables: frozenset[int]
    hidden_tables: frozenset[int]
    hidden_columns: frozenset[int]

    @property
    def hides(self) -> bool:
        """Whether it keeps any object back."""
        return bool(self.hidden_tables or self.hidden_columns)


@dataclass(frozen=True, slots=True)
class _Measure:
    """
    What a measure's expression refers to, all names case-folded.

    Attributes:
        tables: names of tables; words of the language are among them.
        columns: table and column; table "" where only a name in brackets stands.
        unread: the expression is too long, or a string or name in it does not end.
    """

    id: int
    name: str
    tables: frozenset[str]
    columns: frozenset[tuple[str, str]]
    unread: bool


@dataclass(frozen=True, slots=True)
class ModelPermissions:
    """
    The roles of a model, and the names that are needed to say what they keep back.

    Read it once per version of a database; it holds on to nothing of the file.
    """

    roles: tuple[RolePermissions, ...] = ()
    _tables: tuple[tuple[int, str], ...] = ()
    _columns: tuple[tuple[int, str, str], ...] = ()
    _measures: tuple[_Measure, ...] = ()

    @classmethod
    def read(cls, metadata: Metadata) -> ModelPermissions:
        """
        The roles that *metadata* define.

        Raises:
            FormatError: a table of the file is damaged.
            ModelError: a cell or a reference is not what it must be.
        """
        tables = Records(metadata, "Table", ("Name",))
        columns = Records(metadata, "Column", ("TableID", "ExplicitName", "InferredName"))
        roles = tuple(_roles(metadata, tables, columns))
        if not any(role.hides for role in roles):
            return cls(roles)
        by_table = [(column, tables.target(column, "TableID")) for column in columns]
        return cls(
            roles,
            tuple((table.id, _folded(table.text("Name"))) for table in tables),
            tuple((column.id, _folded(table.text("Name")), _column_name(column)) for column, table in by_table),
            tuple(_measure(record) for record in Records(metadata, "Measure", ("Name", "Expression"))),
        )

    def hidden_measures(self, hidden_tables: frozenset[int], hidden_columns: frozenset[int]) -> frozenset[int]:
        """Ids of the measures that refer to one of these tables or columns, directly or through another measure."""
        if not hidden_tables and not hidden_columns:
            return frozenset()
        tables = {name for table_id, name in self._tables if table_id in hidden_tables}
        columns = {(table, name) for column_id, table, name in self._columns if column_id in hidden_columns}
        # A name in brackets without a table is a column of the table at hand, or a measure.
        columns |= {("", name) for _, name in columns}
        users: dict[str, list[_Measure]] = {}
        for measure in self._measures:
            for name in {name for _, name in measure.columns}:
                users.setdefault(name, []).append(measure)
        pending = [m for m in self._measures if m.unread or m.tables & tables or m.columns & columns]
        hidden = {measure.id for measure in pending}
        while pending:
            found = [user for user in users.get(pending.pop().name, ()) if user.id not in hidden]
            hidden.update(user.id for user in found)
            pending += found
        return frozenset(hidden)


def _roles(metadata: Metadata, tables: Records, columns: Records) -> Iterable[RolePermissions]:
    roles = Records(metadata, "Role", ("Name", "ModelPermission"))
    members = Records(metadata, "RoleMembership", ("RoleID", "MemberName")).grouped_by("RoleID", roles)
    on_tables = Records(
        metadata, "TablePermission", ("RoleID", "TableID", "FilterExpression", "State", "MetadataPermission")
    )
    on_columns = Records(
        metadata, "ColumnPermission", ("TablePermissionID", "ColumnID", "MetadataPermission")
    ).grouped_by("TablePermissionID", on_tables)
    by_role = on_tables.grouped_by("RoleID", roles)
    for role in roles:
        own = by_role.get(role.id, [])
        hidden_tables = frozenset(tables.target(record, "TableID").id for record in own if _hides(record))
        hidden_columns = {
            columns.target(record, "ColumnID").id
            for permission in own
            for record in on_columns.get(permission.id, ())
            if _hides(record)
        }
        hidden_columns |= {column.id for column in columns if column.integer("TableID") in hidden_tables}
        yield RolePermissions(
            id=role.id,
            name=role.text("Name"),
            permission=_model_permission(role),
            members=frozenset(_folded(member.text("MemberName")) for member in members.get(role.id, ())),
            filtered_tables=frozenset(tables.target(record, "TableID").id for record in own if _filters(record)),
            hidden_tables=hidden_tables,
            hidden_columns=frozenset(hidden_columns),
        )


def _model_permission(role: Record) -> ModelPermission:
    try:
        return ModelPermission(role.integer("ModelPermission", ModelPermission.NONE))
    except ValueError:
        raise role.error("ModelPermission", "a permission from 1 to 5") from None


def _hides(permission: Record) -> bool:
    value = permission.integer("MetadataPermission", 0)
    if value not in (0, METADATA_NONE, 2):
        raise permission.error("MetadataPermission", "0, 1 or 2")
    return value == METADATA_NONE


def _filters(permission: Record) -> bool:
    """
    Whether rows may be kept back. Only ``TRUE()``, whole, surely shows them all; anything else is DAX to evaluate.

    The filter of a state that is not ready gives no access to the table, whatever its text.
    """
    text = permission.text_or_none("FilterExpression")
    if permission.integer("State", ObjectState.READY) != ObjectState.READY:
        return True
    return text is not None and bool(text.strip()) and not _TRUE.fullmatch(text)


def _measure(record: Record) -> _Measure:
    name = _folded(record.text("Name"))
    expression = record.text_or_none("Expression") or ""
    if len(expression) > EXPRESSION_LENGTH_MAX:
        return _Measure(record.id, name, frozenset(), frozenset(), unread=True)
    tables: set[str] = set()
    columns: set[tuple[str, str]] = set()
    for token in _TOKEN.finditer(expression):
        if token["stray"]:
            return _Measure(record.id, name, frozenset(), frozenset(), unread=True)
        table = _folded((token["quoted"] or "").replace("''", "'") or token["bare"] or "")
        column = token["column"] or token["name"]
        if table:
            tables.add(table)
        if column:
            columns.add((table, _folded(column.replace("]]", "]"))))
    return _Measure(record.id, name, frozenset(tables), frozenset(columns), unread=False)


def _column_name(column: Record) -> str:
    return _folded(column.text_or_none("ExplicitName") or column.text_or_none("InferredName") or "")


def _folded(name: str) -> str:
    return name.casefold()
