"""The server and its databases."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from tabvault.errors import FormatError, StorageError
from tabvault.faces.server.rest import answers, storage_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.jobs import submitted
from tabvault.faces.server.rest.models import NoParameters
from tabvault.jobs.listing import listing_of
from tabvault.jobs.model_files import definition_of
from tabvault.model.tmsl.export import tmsl_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from tabvault.faces.server.rest.models import CreationParameters, CreationRequest
    from tabvault.jobs.access.authorization import DatabasePermissions
    from tabvault.jobs.listing import DatabaseListing
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.folder import DatabaseInfo

Plain = Call[None, NoParameters]


def server(call: Plain) -> Answer:
    """Show the server, and who asks it."""
    principal = call.caller.principal
    storage = call.administration.storage(call.caller) if principal.is_server_administrator else None
    service = call.service
    check = None if storage is None else service.storage_watch.last
    return Answer(
        answers.Server(
            name=service.name,
            version=version("tabvault"),
            engine_version=service.engine_version,
            started=service.started,
            state="paused" if service.pausing.is_paused else "running",
            paused=service.pausing.is_paused,
            paused_since=service.pausing.since,
            user=answers.Asker.model_validate(principal),
            storage=None if storage is None else storage_answers.Storage.model_validate(storage),
            storage_check=None if check is None else storage_answers.StorageCheck.model_validate(check),
        )
    )


def databases(call: Plain) -> Answer:
    """List the databases that the caller may know of."""
    store = _store(call)
    found = [
        _shown(call, info, permissions, store) for info, permissions in call.service.operations.visible(call.caller)
    ]
    return Answer(answers.Databases(databases=sorted(found, key=lambda one: one.name.casefold())))


def detached(call: Plain) -> Answer:
    """List the databases out of service, which XMLA and TMSL attach by their folders. For server administrators."""
    found = call.service.operations.databases.detached(call.caller)
    return Answer(answers.DetachedDatabases(databases=[answers.DetachedDatabase.model_validate(one) for one in found]))


def database(call: Plain) -> Answer:
    """Show a database, by its name or its id."""
    info, permissions = call.service.operations.find(call.caller, call.path["name"])
    return Answer(_shown(call, info, permissions, _store(call)))


def model(call: Plain) -> Response:
    """Show the model of a database as TMSL, the ``database`` object of a ``.bim`` file. For its administrators."""
    with call.service.operations.reading(call.caller, call.path["name"]) as reading:
        reading.permissions.require_administrator("script")
        info = reading.info
        document = tmsl_of(
            reading.database.metadata, name=info.name, id=info.id, compatibility_level=info.compatibility_level
        )
    return JSONResponse(document)


def create(call: Call[CreationRequest, CreationParameters]) -> Answer | Response:
    """
    Make a database of a model, by a job. It has no rows before its first refresh.

    For server administrators; in the place of a database for its administrators.
    """
    body = call.body
    definition = definition_of({"model": body.model}, name=body.name, compatibility_level=body.compatibility_level)
    assert definition.compatibility_level is not None, "the definition has a level"
    task = call.service.operations.databases.create(
        call.caller,
        definition.name,
        compatibility_level=definition.compatibility_level,
        model=definition.model,
        replace=call.query.overwrite,
    )
    return submitted(call, task)


def drop(call: Plain) -> Answer | Response:
    """Drop a database, by a job. Its backups stay. For its administrators."""
    return submitted(call, call.service.operations.databases.drop(call.caller, call.path["name"]))


def _store(call: Plain) -> ObjectStore | None:
    try:
        return call.service.vault.store
    except (StorageError, FormatError):  # a list of databases does not fail by its backup storage
        return None


def _shown(
    call: Plain, info: DatabaseInfo, permissions: DatabasePermissions, store: ObjectStore | None
) -> answers.Database:
    listing = listing_of(call.service.folder, info, store)
    return answers.Database.model_validate(_visible_part(listing, permissions))


def _visible_part(listing: DatabaseListing, permissions: DatabasePermissions) -> DatabaseListing:
    """Without what the caller may not know: the names of files, and counts over what is hidden from him."""
    if permissions.is_administrator:
        return listing
    listing = replace(listing, problem=None, last_backup_file=None, last_backup_state=None)
    sees_all = permissions.may_read and not permissions.hidden_tables and permissions.filter_conflict is None
    return listing if sees_all else replace(listing, row_count=None, table_count=None)
