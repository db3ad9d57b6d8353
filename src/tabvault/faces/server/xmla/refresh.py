"""
Refresh, as far as nothing has to be read from a source or computed.

``clearValues`` takes values away. ``calculate``, ``automatic`` and ``defragment`` of what is up to date do nothing, as
in Analysis Services. What needs data is refused: a refresh that says it is done, and is not, would be a lie that people
find out about months later.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tabvault.errors import CommandNotSupportedError
from tabvault.faces.server.xmla.tasks import alteration
from tabvault.model.changes.change import Change
from tabvault.model.changes.row_changes import clearing_changes
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.objects import ColumnType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.commands import ObjectChanges
    from tabvault.jobs.operations.caller import Caller
    from tabvault.model.metadata import Metadata
    from tabvault.model.tmsl.commands import Refresh

_WORDS: Final = {1: "full", 2: "clearValues", 3: "calculate", 4: "dataOnly", 5: "automatic", 7: "add", 8: "defragment"}
"""``RefreshType`` of the rows of a Refresh command."""

_CLEAR_VALUES: Final = "clearValues"

_WITHOUT_DATA: Final = frozenset({"calculate", "automatic", "defragment"})
"""Types that have nothing to do in a model that is up to date."""

_READY: Final = 1
"""``State`` of what has its values."""

_STATES: Final[Mapping[str, str]] = {
    "Column": "column",
    "Partition": "partition",
    "Hierarchy": "hierarchy",
    "Relationship": "relationship",
    "AttributeHierarchy": "hierarchy of a column",
}


def refresh_objects(service: Service, session: Session, caller: Caller, command: ObjectChanges) -> None:
    """
    Refresh, as the tabular object model asks for it.

    Args:
        service: of the server.
        session: whose transaction it is part of, and who is told of its progress.
        caller: who asks.
        command: with a row for each object.

    Raises:
        RequestError: an object is none that can be refreshed.
        CommandNotSupportedError: it needs data.
        NotAuthorizedError: the caller may not process the database.
        DatabaseReadOnlyError: it is read-only.
    """
    types = {_word(row.get("RefreshType")) for collection in command.collections for row in collection.rows}
    _refresh(service, session, caller, command.database_id, types, list(clearing_changes(command)))


def refresh_script(service: Service, session: Session, caller: Caller, command: Refresh) -> None:
    """
    Refresh, as TMSL asks for it.

    Args:
        service: of the server.
        session: as for :func:`refresh_objects`.
        caller: who asks.
        command: with the paths of the objects.

    Raises:
        RequestError, CommandNotSupportedError, NotAuthorizedError, DatabaseReadOnlyError: as :func:`refresh_objects`.
    """
    clearings: dict[str, list[Change]] = defaultdict(list)
    for path in command.objects:
        type_ = OBJECT_TYPES["Model" if path.type == "Database" else path.type]
        paths = {"ID": path.path} if path.path else {}
        clearings[path.database].append(Change("clear", type_, {}, paths, "refresh.objects"))
    for database, changes in clearings.items():
        _refresh(service, session, caller, database, {command.type}, changes if command.type == _CLEAR_VALUES else [])


def _refresh(
    service: Service,
    session: Session,
    caller: Caller,
    database: str,
    types: set[str],
    clearings: Sequence[Change],
) -> None:
    """Refuse what would need data; then take away what is to be cleared."""
    _, permissions = service.operations.find(caller, database)
    permissions.require_refresh()
    if types - _WITHOUT_DATA - {_CLEAR_VALUES}:
        raise _needs_data(types, None)
    with alteration(service, session, caller, database, service.operations.begin_refresh) as changing:
        if types & _WITHOUT_DATA:
            with changing.metadata() as metadata:
                stale = _stale(metadata)
            if stale is not None:
                raise _needs_data(types, stale)
        changing.change(clearings)


def _needs_data(types: set[str], stale: str | None) -> CommandNotSupportedError:
    words = ", ".join(sorted(types))
    return CommandNotSupportedError(
        f"a refresh of type {words} needs data, and this version does not process any"
        + (f": {stale} has no values yet" if stale else ""),
        hint="process the model where it was made, back it up there, and restore the backup here",
    )


def _stale(metadata: Metadata) -> str | None:
    """The first object that has no values."""
    for table, kind in _STATES.items():
        for row in metadata.rows(table):
            if row.get("State") not in (_READY, None) and not (
                table == "Column" and row.get("Type") == ColumnType.ROW_NUMBER
            ):
                return f"a {kind} ({table} {row['ID']!r})"
    return None


def _word(refresh_type: str | None) -> str:
    number = int(refresh_type) if refresh_type is not None and refresh_type.isdigit() else 0
    return _WORDS.get(number, f"number {refresh_type}")
