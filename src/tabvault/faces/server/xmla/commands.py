"""The commands of XML for Analysis, as the operations they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from tabvault.engine.rowsets.source import DEFAULT_COMPATIBILITY_LEVEL
from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.faces.server.xmla.faults import warning
from tabvault.faces.server.xmla.refresh import refresh_objects
from tabvault.faces.server.xmla.results import Result
from tabvault.faces.server.xmla.tasks import alteration, change_model, run_task
from tabvault.jobs.landing import MODE_WORDS
from tabvault.model.changes.row_changes import row_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla import commands as xmla
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.operations.caller import Caller

SECURITIES: Final[dict[str | None, Security]] = {
    None: "copyAll",  # AMO leaves its default out
    "CopyAll": "copyAll",
    "SkipMembership": "skipMembership",
    "IgnoreSecurity": "ignoreSecurity",
}
READ_WRITE_MODES: Final[dict[str | None, ReadWriteMode]] = {
    None: "readWrite",
    **{word: cast("ReadWriteMode", mode) for mode, word in MODE_WORDS.items()},
}


def with_warnings(done: Any, more: Sequence[str] = ()) -> Result:
    """A result without rows that carries the warnings of what was done."""
    return Result(messages=[warning(text) for text in (*getattr(done, "warnings", ()), *more)])


def backup(service: Service, session: Session, caller: Caller, command: xmla.Backup) -> Result:
    """
    Backup.

    Raises:
        CommandNotSupportedError: of remote partitions.
    """
    if command.backup_remote_partitions or command.locations:
        raise CommandNotSupportedError("remote partitions are not supported: a tabular database has none")
    task = service.operations.backups.backup(
        caller,
        command.database_id,
        command.file,
        overwrite=command.allow_overwrite,
        compress=command.apply_compression,
        password=command.password,
    )
    return with_warnings(run_task(service, session, caller, task))


def restore(service: Service, session: Session, caller: Caller, command: xmla.Restore) -> Result:
    """
    Restore.

    ``DbStorageLocation`` is said to be ignored: databases lie in the data folder.

    Raises:
        CommandNotSupportedError: of remote partitions.
    """
    if command.locations:
        raise CommandNotSupportedError("remote partitions are not supported: a tabular database has none")
    task = service.operations.backups.restore(
        caller,
        command.file,
        command.database_name or command.database_id,
        overwrite=command.allow_overwrite,
        password=command.password,
        security=SECURITIES[command.security],
        read_write_mode=READ_WRITE_MODES[command.read_write_mode],
        force=command.force_restore,
        ignore_incompatibilities=command.ignore_incompatibilities,
    )
    return with_warnings(run_task(service, session, caller, task), location_warnings(command.db_storage_location))


def location_warnings(db_storage_location: str | None) -> list[str]:
    """What is said of a storage location."""
    if not db_storage_location:
        return []
    return ["DbStorageLocation is not used: databases lie in the data folder of the server"]


def drop(service: Service, session: Session, caller: Caller, command: xmla.Delete) -> Result:
    """Delete of a database."""
    task = service.operations.databases.drop(caller, command.database_id or "")
    run_task(service, session, caller, task)
    return Result()


def create_database(service: Service, session: Session, caller: Caller, command: xmla.CreateDatabase) -> Result:
    """Create of a database without objects."""
    name = command.name or command.id
    if not name:
        raise RequestError("a database needs a Name")
    task = service.operations.databases.create(
        caller,
        name,
        id=command.id,
        compatibility_level=command.compatibility_level or DEFAULT_COMPATIBILITY_LEVEL,
        replace=command.allow_overwrite,
    )
    run_task(service, session, caller, task)
    return Result()


def alter_database(service: Service, session: Session, caller: Caller, command: xmla.AlterDatabase) -> Result:
    """
    Alter of a database, or its creation.

    Raises:
        CommandNotSupportedError: what would be changed is fixed when a database is made.
    """
    database = command.database_id
    existing = [info for info, _ in service.operations.visible(caller) if info.id.casefold() == database.casefold()]
    if not existing and command.allow_create:
        name = command.name or command.id or database
        task = service.operations.databases.create(
            caller,
            name,
            id=command.id or database,
            compatibility_level=command.compatibility_level or DEFAULT_COMPATIBILITY_LEVEL,
        )
        run_task(service, session, caller, task)
        return Result()
    info, _ = service.operations.find(caller, database)
    if command.compatibility_level not in (None, info.compatibility_level):
        raise CommandNotSupportedError(
            f"the compatibility level of a database cannot be changed from {info.compatibility_level} to "
            f"{command.compatibility_level}"
        )
    if READ_WRITE_MODES[command.read_write_mode] != info.read_write_mode and command.read_write_mode is not None:
        raise CommandNotSupportedError("ReadWriteMode is changed by detaching and attaching a database")
    if command.name is not None and command.name != info.name:
        with alteration(service, session, caller, info.id) as renamed:
            renamed.rename(command.name)
    return Result()


def change_objects(service: Service, session: Session, caller: Caller, command: xmla.ObjectChanges) -> Result:
    """
    Changes of model objects, in the transaction of the session or by themselves.

    Raises:
        CommandNotSupportedError: a second database in one transaction.
    """
    if command.verb == "refresh":
        return with_warnings(None, refresh_objects(service, session, caller, [command]))
    change_model(service, session, caller, command.database_id, list(row_changes(command)))
    return Result()


def cancel(service: Service, session: Session, caller: Caller, command: xmla.Cancel) -> None:
    """
    Stop what a session is doing: another one's by its id, its SPID or its connection, else the own one.

    Raises:
        RequestError: there is no such session for him.
    """
    named = command.session_id is not None or command.spid is not None or command.connection_id is not None
    targets = (
        [
            other
            for other in service.sessions
            if (command.session_id is None or other.id.casefold() == command.session_id.casefold())
            and (command.spid is None or other.spid == command.spid)
            and (command.connection_id is None or other.spid == command.connection_id)
            and (caller.principal.is_server_administrator or other.is_of(caller))
        ]
        if named
        else [session]
    )
    if not targets:
        # Not SessionNotFoundError: by its number AMO takes the session it asks in for lost.
        raise RequestError("there is no such session", hint="DISCOVER_SESSIONS lists them")
    for target in targets:
        for running in tuple(target.running):
            running.cancel()


def attach(service: Service, session: Session, caller: Caller, command: xmla.Attach) -> Result:
    """Attach."""
    task = service.operations.databases.attach(
        caller,
        command.folder,
        read_write_mode=None if command.read_write_mode is None else READ_WRITE_MODES[command.read_write_mode],
        password=command.password,
    )
    return with_warnings(run_task(service, session, caller, task))


def detach(service: Service, session: Session, caller: Caller, command: xmla.Detach) -> Result:
    """Detach."""
    task = service.operations.databases.detach(caller, command.database_id, password=command.password)
    return with_warnings(run_task(service, session, caller, task))
