"""
Refresh, as the tabular object model and TMSL ask for it.

Several objects that are refreshed together are one job and one commit. In a transaction the job makes the tables, and
the end of the transaction commits them together with what else was changed.

That calculated values are kept no client library can ask for: rows of a Refresh command have no column for it. A script
can, by a member of our own, ``"keepCalculated": true`` beside ``type`` and ``objects``.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.faces.server.xmla.tasks import alteration, run_task
from tabvault.jobs.processing.request import (
    PARALLELISM_DEFAULT,
    PARALLELISM_MAX,
    RefreshKind,
    RefreshRequest,
    RefreshTarget,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.commands import Collection, ObjectChanges
    from tabvault.jobs.operations.caller import Caller
    from tabvault.model.metadata import Metadata
    from tabvault.model.tmsl.commands import Refresh

_KINDS: Final = {
    1: RefreshKind.FULL,
    2: RefreshKind.CLEAR_VALUES,
    3: RefreshKind.CALCULATE,
    4: RefreshKind.DATA_ONLY,
    5: RefreshKind.AUTOMATIC,
    7: RefreshKind.ADD,
    8: RefreshKind.DEFRAGMENT,
}
"""``RefreshType`` of the rows of a Refresh command."""

_FALSE: Final = frozenset({"", "0", "false"})

_Asked = tuple[RefreshKind, RefreshTarget | None]
"""What is to be done, to what; None is the whole database."""


def refresh_objects(service: Service, session: Session, caller: Caller, commands: Sequence[ObjectChanges]) -> list[str]:
    """
    Refresh, as the tabular object model asks for it.

    Args:
        service: of the server.
        session: whose transaction it is part of, and who is told of its progress.
        caller: who asks.
        commands: of one database, with a row for each object.

    Returns:
        Warnings.

    Raises:
        RequestError: an object is none that can be refreshed.
        CommandNotSupportedError: a property of a refresh that is not supported.
        NotAuthorizedError: the caller may not process the database.
        DatabaseReadOnlyError: it is read-only.
        TabvaultError: as :func:`tabvault.jobs.processing.refresh.process`.
    """
    database = commands[0].database_id
    collections = [collection for command in commands for collection in command.collections]
    with _metadata(service, session, caller, database) as metadata:
        names = _Names(metadata)
        asked = [one for collection in collections for one in _of_rows(collection, names)]
    return _refresh(service, session, caller, database, _requests(asked))


def refresh_script(
    service: Service, session: Session, caller: Caller, command: Refresh, *, parallelism: int | None = None
) -> list[str]:
    """
    Refresh, as TMSL asks for it.

    Args:
        service: of the server.
        session: as for :func:`refresh_objects`.
        caller: who asks.
        command: with the paths of the objects.
        parallelism: partitions that are read at a time.

    Returns:
        Warnings.

    Raises:
        TabvaultError: as :func:`refresh_objects`.
    """
    if command.apply_refresh_policy or command.effective_date is not None:
        raise _no_policy("refresh")
    asked: dict[str, list[_Asked]] = defaultdict(list)
    for path in command.objects:
        table = path.path.get("Table")
        target = None if table is None else RefreshTarget(table, path.path.get("Partition"))
        asked[path.database].append((RefreshKind(command.type), target))
    warnings: list[str] = []
    for database, one in asked.items():
        requests = _requests(one, parallelism, keep_calculated=command.keep_calculated)
        warnings += _refresh(service, session, caller, database, requests)
    return warnings


def _refresh(
    service: Service, session: Session, caller: Caller, database: str, requests: Sequence[RefreshRequest]
) -> list[str]:
    refreshes = service.operations.refreshes
    if session.transaction is None:
        task = refreshes.refresh(caller, database, requests)
        return list(run_task(service, session, caller, task).warnings)
    with alteration(service, session, caller, database, service.operations.alterations.begin_refresh) as changing:
        task = refreshes.refresh_within(caller, changing, requests)
        return list(run_task(service, session, caller, task).warnings)


def _requests(
    asked: Iterable[_Asked], parallelism: int | None = None, *, keep_calculated: bool = False
) -> list[RefreshRequest]:
    """A request for each kind, in the order in which the kinds were first asked for."""
    targets: dict[RefreshKind, list[RefreshTarget | None]] = defaultdict(list)
    for kind, target in asked:
        targets[kind].append(target)
    at_a_time = min(parallelism or PARALLELISM_DEFAULT, PARALLELISM_MAX)
    return [
        RefreshRequest(
            kind,
            () if None in of_kind else tuple(target for target in of_kind if target is not None),
            keep_calculated=keep_calculated,
            parallelism=at_a_time,
        )
        for kind, of_kind in targets.items()
    ]


@contextmanager
def _metadata(service: Service, session: Session, caller: Caller, database: str) -> Iterator[Metadata]:
    """The metadata that the rows of a command refer to: with what the transaction changed before."""
    transaction = session.transaction
    begin = service.operations.alterations.begin_refresh
    if transaction is None:
        with begin(caller, database) as own, own.metadata() as metadata:
            yield metadata
        return
    with alteration(service, session, caller, database, begin) as changing, changing.metadata() as metadata:
        yield metadata


class _Names:
    """Names of tables and partitions by their ids."""

    def __init__(self, metadata: Metadata) -> None:
        self.tables = {str(row["ID"]): str(row["Name"]) for row in metadata.rows("Table", ("ID", "Name"))}
        self.partitions = {
            str(row["ID"]): (self.tables.get(str(row["TableID"]), ""), str(row["Name"]))
            for row in metadata.rows("Partition", ("ID", "TableID", "Name"))
        }


def _of_rows(collection: Collection, names: _Names) -> Iterator[_Asked]:
    for number, row in enumerate(collection.rows, 1):
        place = f"refresh.{collection.name}[{number}]"
        given = {column: text.strip() for column, text in row.items() if text is not None}
        kind = _kind(given.pop("RefreshType", ""), place)
        target = _target(collection.name, given, names, place)
        if any(given.pop(name, "").lower() not in _FALSE for name in ("ApplyRefreshPolicy", "EffectiveDate")):
            raise _no_policy(place)
        if given:
            raise CommandNotSupportedError(f"{min(given)} of a refresh is not supported", path=place)
        yield kind, target


def _kind(text: str, place: str) -> RefreshKind:
    kind = _KINDS.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 4 else None
    if kind is None:
        raise RequestError(f"{text!r:.40} is no type of refresh", path=f"{place}.RefreshType")
    return kind


def _target(collection: str, given: dict[str, str], names: _Names, place: str) -> RefreshTarget | None:
    """What a row is about; takes from it the columns that say so."""
    object_id, table, partition = (given.pop(column, "") for column in ("ID", "ID.Table", "ID.Partition"))
    if collection == "Model":
        return None
    if collection == "Tables":
        table = table or names.tables.get(object_id, "")
    elif collection == "Partitions":
        if not partition:
            table, partition = names.partitions.get(object_id, ("", ""))
    else:
        raise RequestError(f"objects of {collection} cannot be refreshed by themselves", path=place)
    if not table:
        raise RequestError("there is no such object", path=place)
    return RefreshTarget(table, partition or None)


def _no_policy(place: str) -> CommandNotSupportedError:
    return CommandNotSupportedError(
        "a refresh that applies a refresh policy is not supported",
        path=place,
        hint="name the partitions, or refresh with applyRefreshPolicy false",
    )
