"""What the rowsets are made from, for one caller: the databases he may see, and the state of the server."""

from __future__ import annotations

import contextlib
import datetime
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from tabvault.engine.rowsets.source import (
    ConnectionFacts,
    JobFacts,
    RowsetContext,
    RowsetSource,
    ServerFacts,
    SessionFacts,
    TraceFacts,
)
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.reading import catalog_entry
from tabvault.model.load import load_model
from tabvault.storage.server_state.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.engine.rowsets import CatalogEntry
    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.jobs.operations.caller import Caller


@contextlib.contextmanager
def rowset_context(
    service: Service, session: Session, caller: Caller, properties: Mapping[str, str]
) -> Iterator[RowsetContext]:
    """
    Everything that rowsets may be asked for in this session.

    A database is opened once and stays open, in one version, as long as the context: a client loads a model with some
    forty requests in one batch, and they belong together.
    """
    visible = service.operations.visible(caller)
    catalogs = [
        catalog_entry(info, None if permissions.is_administrator else permissions.roles)
        for info, permissions in visible
    ]
    catalog = session.catalog or (catalogs[0].name if catalogs else None)
    with contextlib.ExitStack() as stack:
        opened: dict[str, RowsetSource] = {}

        def open_database(name: str) -> contextlib.AbstractContextManager[RowsetSource]:
            if name not in opened:
                opened[name] = stack.enter_context(_opened(service, session, caller, name, catalogs, properties))
            return contextlib.nullcontext(opened[name])

        yield RowsetContext(
            server=server_facts(service, caller),
            catalogs=catalogs,
            open_database=open_database,
            open_backup=functools.partial(_opened_backup, service, caller),
            catalog=catalog,
            properties=properties,
            user_name=caller.principal.name,
            is_administrator=caller.principal.is_server_administrator,
        )


@contextlib.contextmanager
def _opened(
    service: Service,
    session: Session,
    caller: Caller,
    name: str,
    catalogs: Sequence[CatalogEntry],
    properties: Mapping[str, str],
) -> Iterator[RowsetSource]:
    """A database; with the changes of the session's transaction, if it is that one's."""
    with service.operations.reading(caller, name, properties=properties) as reading:
        permissions, database = reading.permissions, reading.database
        source = RowsetSource(
            database=next((one for one in catalogs if one.name == database.name), database.entry),
            catalogs=catalogs,
            metadata=database.metadata,
            model=database.model,
            files=database.files,
            hidden_table_ids=permissions.hidden_tables,
            hidden_column_ids=permissions.hidden_columns,
            hidden_measure_ids=permissions.hidden_measures,
            is_administrator=permissions.may_see_definitions,
            kept=database.rowsets,
        )
        alteration = session.transaction.alteration if session.transaction is not None else None
        if alteration is None or alteration.info.key != reading.info.key:
            yield source
            return
        with alteration.metadata() as metadata:
            yield replace(source, metadata=metadata, model=load_model(metadata), kept=None)


@contextlib.contextmanager
def _opened_backup(service: Service, caller: Caller, file: str, password: str | None) -> Iterator[RowsetSource]:
    require_server_administrator(caller.principal, "look into backup files")
    with service.operations.backups.open_file(file, password) as opened:
        yield RowsetSource(opened.entry, [opened.entry], opened.metadata, opened.model, opened.files)


def server_facts(service: Service, caller: Caller) -> ServerFacts:
    """The server at this moment; sessions of others only for those who administer it."""
    everything = caller.principal.is_server_administrator
    sessions = [session for session in service.sessions if everything or session.is_of(caller)]
    jobs = [job for job in service.runner.active() if job.state is JobState.RUNNING] if everything else []
    return ServerFacts(
        name=service.name,
        version=service.engine_version,
        started=service.started,
        now=datetime.datetime.now(datetime.UTC),
        port=service.port,
        sessions=[_session(session) for session in sessions],
        connections=[_connection(session) for session in sessions],
        jobs=[
            JobFacts(
                id=job.number,
                description=f"{job.kind} {job.database or ''}".strip(),
                created=job.created,
                started=job.started,
                user_name=job.requested_by,
            )
            for job in jobs
        ],
        traces=[
            TraceFacts(id=trace.id, name=trace.name, created=trace.created)
            for trace in service.traces
            if everything or trace.owner == caller.principal.name
        ],
        properties=service.server_properties(),
    )


def _session(session: Session) -> SessionFacts:
    running = session.running[-1] if session.running else None
    return SessionFacts(
        id=session.id,
        spid=session.spid,
        user_name=session.caller.principal.name,
        started=session.begun,
        connection_id=session.spid,
        database=session.catalog,
        command_count=session.command_count,
        last_command=session.last_command,
        last_command_started=running.begun if running is not None else session.last_command_started,
        last_command_ended=None if running is not None else session.last_command_ended,
    )


def _connection(session: Session) -> ConnectionFacts:
    return ConnectionFacts(
        id=session.spid,
        user_name=session.caller.principal.name,
        started=session.begun,
        host_name=session.caller.address,
        application=session.application,
    )
