"""
TMSL: JSON commands, as the operations they ask for.

The commands of a ``sequence`` are done one after the other. Those that follow each other and change objects of one
database are done together, all or none. Where a later one fails, the earlier ones stay done, and the error says how
many they are: a file that was written and a database that was dropped cannot be brought back. ``maxParallelism`` bounds
how many partitions a refresh processes at a time, and has no other effect.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, cast

from tabvault.engine.rowsets.source import DEFAULT_COMPATIBILITY_LEVEL
from tabvault.errors import CommandNotSupportedError, RequestError, TabvaultError
from tabvault.faces.server.xmla import commands, tasks
from tabvault.faces.server.xmla.refresh import refresh_script
from tabvault.faces.server.xmla.results import Result
from tabvault.model.changes.tree_changes import ExistingObjects, create_changes, delete_changes
from tabvault.model.tmsl import commands as tmsl
from tabvault.model.tmsl.commands import parse_command
from tabvault.model.tmsl.parse import check_level
from tabvault.model.tmsl.tree import DatabaseDefinition, TabularObject

if TYPE_CHECKING:
    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.response import Message
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.operations.caller import Caller

_OWNER: Final = {"Partition": "Table"}
"""What an object belongs to that does not belong to the model."""


def execute_script(service: Service, session: Session, caller: Caller, text: str) -> Result:
    """
    Do what a script says.

    Raises:
        RequestError: it is no script; the place is in it.
        CommandNotSupportedError: a command that this version does not do.
        TabvaultError: whatever it asks for cannot be done.
    """
    command = parse_command(text)
    if isinstance(command, tmsl.Sequence):
        return _sequence(service, session, caller, command)
    return _operation(service, session, caller, command)


def _sequence(service: Service, session: Session, caller: Caller, sequence: tmsl.Sequence) -> Result:
    messages: list[Message] = []
    operations = sequence.operations
    position = 0
    while position < len(operations):
        end = _group_end(operations, position)
        try:
            with tasks.together(service, session, caller) if end - position > 1 else nullcontext():
                for operation in operations[position:end]:
                    result = _operation(service, session, caller, operation, parallelism=sequence.max_parallelism)
                    messages += result.messages
        except TabvaultError as error:
            if len(operations) > 1:
                done = f"{position} of {len(operations)} operations of the sequence were done before, and stay done"
                error.hint = done if error.hint is None else f"{error.hint}; {done}"
            raise
        position = end
    return Result(messages=messages)


def _group_end(operations: tuple[tmsl.Operation, ...], start: int) -> int:
    """Where the operations end that are done together with the one at *start*."""
    database = _changed_database(operations[start])
    end = start + 1
    while database is not None and end < len(operations) and _changed_database(operations[end]) == database:
        end += 1
    return end


def _changed_database(operation: tmsl.Operation) -> str | None:
    """The database whose objects or values the operation changes; None where it does something else."""
    match operation:
        case tmsl.Create(parent=tmsl.ObjectPath() as path):
            return path.database.casefold()
        case tmsl.CreateOrReplace(object=path) | tmsl.Alter(object=path) | tmsl.Delete(object=path) if path.path:
            return path.database.casefold()
        case tmsl.Refresh(objects=paths) if len({path.database.casefold() for path in paths}) == 1:
            return paths[0].database.casefold()
    return None


def _operation(
    service: Service,
    session: Session,
    caller: Caller,
    operation: tmsl.Operation,
    *,
    parallelism: int | None = None,
) -> Result:
    match operation:
        case tmsl.Backup():
            task = service.operations.backups.backup(
                caller,
                operation.database,
                operation.file,
                overwrite=operation.allow_overwrite,
                compress=operation.apply_compression,
                password=operation.password,
            )
            return commands.with_warnings(tasks.run_task(service, session, caller, task))
        case tmsl.Restore():
            return _restore(service, session, caller, operation)
        case tmsl.Create(definition=DatabaseDefinition() as definition):
            _create_database(service, session, caller, definition, replace=False)
        case tmsl.CreateOrReplace(definition=DatabaseDefinition() as definition):
            _replace_database(service, session, caller, operation.object.database, definition)
        case tmsl.Alter(definition=DatabaseDefinition() as definition):
            _alter_database(service, session, caller, operation.object.database, definition)
        case tmsl.Create() | tmsl.CreateOrReplace() | tmsl.Alter():
            _change_object(service, session, caller, operation)
        case tmsl.Delete(object=path) if path.path:
            changes = delete_changes(path.type, path.path, place="delete.object")
            tasks.change_model(service, session, caller, path.database, changes)
        case tmsl.Delete(object=path):
            tasks.run_task(service, session, caller, service.operations.databases.drop(caller, path.database))
        case tmsl.Refresh():
            warnings = refresh_script(service, session, caller, operation, parallelism=parallelism)
            return commands.with_warnings(None, warnings)
        case tmsl.Attach():
            mode = cast("ReadWriteMode | None", operation.read_write_mode)
            task = service.operations.databases.attach(
                caller, operation.folder, read_write_mode=mode, password=operation.password
            )
            return commands.with_warnings(tasks.run_task(service, session, caller, task))
        case tmsl.Detach():
            task = service.operations.databases.detach(caller, operation.database, password=operation.password)
            return commands.with_warnings(tasks.run_task(service, session, caller, task))
    return Result()


def _restore(service: Service, session: Session, caller: Caller, operation: tmsl.Restore) -> Result:
    task = service.operations.backups.restore(
        caller,
        operation.file,
        operation.database,
        overwrite=operation.allow_overwrite,
        password=operation.password,
        security=cast("Security", operation.security or "copyAll"),
        read_write_mode=cast("ReadWriteMode", operation.read_write_mode or "readWrite"),
        force=operation.force_restore,
        ignore_incompatibilities=operation.ignore_incompatibilities,
    )
    done = tasks.run_task(service, session, caller, task)
    return commands.with_warnings(done, commands.location_warnings(operation.db_storage_location))


def _create_database(
    service: Service, session: Session, caller: Caller, definition: DatabaseDefinition, *, replace: bool
) -> None:
    level = definition.compatibility_level or DEFAULT_COMPATIBILITY_LEVEL
    if definition.model is not None:
        check_level(definition.model, level)
    task = service.operations.databases.create(
        caller,
        definition.name,
        id=definition.id,
        compatibility_level=level,
        model=definition.model,
        replace=replace,
    )
    tasks.run_task(service, session, caller, task)


def _replace_database(
    service: Service, session: Session, caller: Caller, database: str, definition: DatabaseDefinition
) -> None:
    """
    A database of that name becomes what the script says; columns that stay as they are keep their values.

    Only where the compatibility level is another one it is made anew.
    """
    existing = next(
        (info for info, _ in service.operations.visible(caller) if info.name.casefold() == database.casefold()), None
    )
    if existing is None:
        _create_database(service, session, caller, definition, replace=False)
        return
    if definition.compatibility_level not in (None, existing.compatibility_level):
        if definition.name.casefold() != existing.name.casefold():
            raise CommandNotSupportedError("a database cannot get another name and another compatibility level at once")
        if session.transaction is not None:
            raise CommandNotSupportedError(
                "a database cannot get another compatibility level in a transaction", hint="commit it before"
            )
        _create_database(service, session, caller, definition, replace=True)
        return
    _alter_database(service, session, caller, database, definition, replace_model=True)


def _alter_database(
    service: Service,
    session: Session,
    caller: Caller,
    database: str,
    definition: DatabaseDefinition,
    *,
    replace_model: bool = False,
) -> None:
    with tasks.alteration(service, session, caller, database) as alteration:
        info = alteration.info
        if definition.compatibility_level not in (None, info.compatibility_level):
            raise CommandNotSupportedError(
                f"the compatibility level of a database cannot be changed from {info.compatibility_level} to "
                f"{definition.compatibility_level}"
            )
        if definition.read_write_mode not in (None, info.read_write_mode):
            raise CommandNotSupportedError("readWriteMode is changed by detaching and attaching a database")
        if definition.model is not None:
            check_level(definition.model, info.compatibility_level)
            with alteration.metadata() as metadata:
                existing = ExistingObjects(metadata)
            changes = (
                existing.replace_changes(definition.model)
                if replace_model
                else existing.alter_changes(definition.model, {})
            )
            alteration.change(changes)
        if definition.name != info.name:
            alteration.rename(definition.name)


def _change_object(
    service: Service, session: Session, caller: Caller, operation: tmsl.Create | tmsl.CreateOrReplace | tmsl.Alter
) -> None:
    """An object of a model: a table, a partition, a data source, a role."""
    path = operation.parent if isinstance(operation, tmsl.Create) else operation.object
    definition = operation.definition
    if path is None or not isinstance(definition, TabularObject):
        raise RequestError("the object has no database")
    owner_type = _OWNER.get(definition.type.name, "Model")
    owner = {kind: name for kind, name in path.path.items() if kind == owner_type}
    with tasks.alteration(service, session, caller, path.database) as alteration:
        check_level(definition, alteration.info.compatibility_level)
        if isinstance(operation, tmsl.Create):
            changes = create_changes(definition, owner_type=owner_type, owner=owner)
        else:
            with alteration.metadata() as metadata:
                existing = ExistingObjects(metadata)
            if isinstance(operation, tmsl.CreateOrReplace):
                changes = existing.replace_changes(definition, owner_type=owner_type, owner=owner)
            else:
                changes = existing.alter_changes(definition, path.path)
        alteration.change(changes)
