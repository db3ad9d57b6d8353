"""
What a server says of itself: its name, and who is connected and does what.

DISCOVER_DATASOURCES   the server as a data source, the way OLE DB clients find it
DISCOVER_INSTANCES     its instances: this one
DISCOVER_SESSIONS      sessions
DISCOVER_CONNECTIONS   connections
DISCOVER_COMMANDS      the last command of each session that ran one, running or ended
DISCOVER_JOBS          running jobs

Who does not administer the server sees what is his own. What is not measured (disk reads and writes, memory of a
session) is NULL.

Sources: [MS-SSAS] 3.1.4.2.2.1.3 and the documentation of the rowsets (names, types, restrictions); a single
``ProviderType``, because olap4j refuses a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.definition import OLAP_GUID, Match, Restriction, Rowset, restrictions, schema

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetContext

PROVIDER_NAME: Final = "Microsoft Analysis Services"
"""Clients choose their behaviour by it."""

_DATASOURCES: Final = schema(
    "DataSourceName DataSourceDescription URL DataSourceInfo ProviderName ProviderType AuthenticationMode"
)
_INSTANCES: Final = schema("INSTANCE_NAME INSTANCE_PORT_NUMBER:int INSTANCE_STATE:int")
_SESSIONS: Final = schema(
    "SESSION_ID SESSION_SPID:int SESSION_CONNECTION_ID:int SESSION_USER_NAME SESSION_CURRENT_DATABASE"
    " SESSION_USED_MEMORY:int SESSION_PROPERTIES SESSION_START_TIME:dateTime SESSION_ELAPSED_TIME_MS:unsignedLong"
    " SESSION_LAST_COMMAND_START_TIME:dateTime SESSION_LAST_COMMAND_END_TIME:dateTime"
    " SESSION_LAST_COMMAND_ELAPSED_TIME_MS:unsignedLong SESSION_IDLE_TIME_MS:unsignedLong"
    " SESSION_CPU_TIME_MS:unsignedLong SESSION_LAST_COMMAND SESSION_LAST_COMMAND_CPU_TIME_MS:unsignedLong"
    " SESSION_STATUS:int SESSION_READS:unsignedLong SESSION_WRITES:unsignedLong SESSION_READ_KB:unsignedLong"
    " SESSION_WRITE_KB:unsignedLong SESSION_COMMAND_COUNT:int"
)
_CONNECTIONS: Final = schema(
    "CONNECTION_ID:int CONNECTION_USER_NAME CONNECTION_IMPERSONATED_USER_NAME CONNECTION_HOST_NAME"
    " CONNECTION_HOST_APPLICATION CONNECTION_START_TIME:dateTime CONNECTION_ELAPSED_TIME_MS:long"
    " CONNECTION_LAST_COMMAND_START_TIME:dateTime CONNECTION_LAST_COMMAND_END_TIME:dateTime"
    " CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS:long CONNECTION_IDLE_TIME_MS:long CONNECTION_BYTES_SENT:long"
    " CONNECTION_DATA_BYTES_SENT:long CONNECTION_BYTES_RECEIVED:long CONNECTION_DATA_BYTES_RECEIVED:long"
)
_COMMANDS: Final = schema(
    "SESSION_SPID:int SESSION_COMMAND_COUNT:int COMMAND_START_TIME:dateTime COMMAND_ELAPSED_TIME_MS:long"
    " COMMAND_CPU_TIME_MS:long COMMAND_READS:long COMMAND_READ_KB:long COMMAND_WRITES:long COMMAND_WRITE_KB:long"
    " COMMAND_TEXT COMMAND_END_TIME:dateTime"
)
_JOBS: Final = schema(
    "SPID:int JOB_ID:int JOB_DESCRIPTION JOB_THREADPOOL_ID:int JOB_CREATION_TIME:dateTime JOB_START_TIME:dateTime"
    " JOB_TOTAL_TIME_MS:long JOB_EXECUTION_TIME_MS:long"
)

_STARTED: Final = 1
_ACTIVE: Final = 1
_IDLE: Final = 0


def _datasources(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    yield {
        "DataSourceName": request.context.server.name,
        "DataSourceDescription": None,
        "URL": None,
        "DataSourceInfo": None,
        "ProviderName": PROVIDER_NAME,
        "ProviderType": "MDP",
        "AuthenticationMode": "Authenticated",
    }


def _instances(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    server = request.context.server
    yield {"INSTANCE_NAME": server.name, "INSTANCE_PORT_NUMBER": server.port, "INSTANCE_STATE": _STARTED}


def _sessions(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    now = request.context.server.now
    for session in request.context.server.sessions:
        if not _may_see(request.context, session.user_name):
            continue
        yield {
            "SESSION_ID": session.id,
            "SESSION_SPID": session.spid,
            "SESSION_CONNECTION_ID": session.connection_id,
            "SESSION_USER_NAME": session.user_name,
            "SESSION_CURRENT_DATABASE": session.database,
            "SESSION_START_TIME": _utc(session.started),
            "SESSION_ELAPSED_TIME_MS": _ms(session.started, now),
            "SESSION_LAST_COMMAND": session.last_command,
            "SESSION_LAST_COMMAND_START_TIME": _utc(session.last_command_started),
            "SESSION_LAST_COMMAND_END_TIME": _utc(session.last_command_ended),
            "SESSION_LAST_COMMAND_ELAPSED_TIME_MS": _ms(
                session.last_command_started, session.last_command_ended or now
            ),
            "SESSION_LAST_COMMAND_CPU_TIME_MS": session.last_command_cpu_time_ms,
            "SESSION_IDLE_TIME_MS": 0 if session.is_active else _ms(session.last_command_ended or session.started, now),
            "SESSION_CPU_TIME_MS": session.cpu_time_ms,
            "SESSION_STATUS": _ACTIVE if session.is_active else _IDLE,
            "SESSION_COMMAND_COUNT": session.command_count,
        }


def _connections(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    now = request.context.server.now
    for connection in request.context.server.connections:
        if not _may_see(request.context, connection.user_name):
            continue
        ended = connection.last_command_ended
        yield {
            "CONNECTION_ID": connection.id,
            "CONNECTION_USER_NAME": connection.user_name,
            "CONNECTION_HOST_NAME": connection.host_name,
            "CONNECTION_HOST_APPLICATION": connection.application,
            "CONNECTION_START_TIME": _utc(connection.started),
            "CONNECTION_ELAPSED_TIME_MS": _ms(connection.started, now),
            "CONNECTION_LAST_COMMAND_START_TIME": _utc(connection.last_command_started),
            "CONNECTION_LAST_COMMAND_END_TIME": _utc(ended),
            "CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS": _ms(connection.last_command_started, ended or now),
            "CONNECTION_IDLE_TIME_MS": _ms(ended, now) if ended else 0,
            "CONNECTION_BYTES_SENT": connection.sent_byte_count,
            "CONNECTION_DATA_BYTES_SENT": connection.sent_byte_count,
            "CONNECTION_BYTES_RECEIVED": connection.received_byte_count,
            "CONNECTION_DATA_BYTES_RECEIVED": connection.received_byte_count,
        }


def _commands(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    now = request.context.server.now
    for session in request.context.server.sessions:
        if session.last_command_started is None or not _may_see(request.context, session.user_name):
            continue
        yield {
            "SESSION_SPID": session.spid,
            "SESSION_COMMAND_COUNT": session.command_count,
            "COMMAND_START_TIME": _utc(session.last_command_started),
            "COMMAND_ELAPSED_TIME_MS": _ms(session.last_command_started, session.last_command_ended or now),
            "COMMAND_CPU_TIME_MS": session.last_command_cpu_time_ms,
            "COMMAND_TEXT": session.last_command,
            "COMMAND_END_TIME": _utc(session.last_command_ended),
        }


def _jobs(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    now = request.context.server.now
    for job in request.context.server.jobs:
        if not _may_see(request.context, job.user_name):
            continue
        yield {
            "SPID": job.spid,
            "JOB_ID": job.id,
            "JOB_DESCRIPTION": job.description,
            "JOB_CREATION_TIME": _utc(job.created),
            "JOB_START_TIME": _utc(job.started),
            "JOB_TOTAL_TIME_MS": _ms(job.created, now),
            "JOB_EXECUTION_TIME_MS": _ms(job.started, now),
        }


def _may_see(context: RowsetContext, user_name: str | None) -> bool:
    return context.is_administrator or user_name == context.user_name


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    """As a rowset holds it: UTC, and no word about that."""
    return None if moment is None else moment.replace(tzinfo=None)


def _ms(begin: datetime.datetime | None, end: datetime.datetime) -> int | None:
    """Whole milliseconds; 0 where a clock was set back meanwhile."""
    return None if begin is None else max(0, int((end - begin).total_seconds() * 1000))


ROWSETS: Final = (
    Rowset(
        "DISCOVER_DATASOURCES",
        "06C03D41-F66D-49F3-B1B8-987F7AF4CF18",
        "the server as a data source",
        _DATASOURCES,
        restrictions("DataSourceName URL ProviderName ProviderType AuthenticationMode", on=_DATASOURCES),
        _datasources,
    ),
    Rowset(
        "DISCOVER_INSTANCES",
        "20518699-2474-4C15-9885-0E947EC7A7E3",
        "the instances of the server",
        _INSTANCES,
        restrictions("INSTANCE_NAME", on=_INSTANCES),
        _instances,
    ),
    Rowset(
        "DISCOVER_SESSIONS",
        OLAP_GUID.format(0x26),
        "the sessions, and the last command of each",
        _SESSIONS,
        restrictions(
            "SESSION_ID SESSION_SPID SESSION_CONNECTION_ID SESSION_USER_NAME SESSION_CURRENT_DATABASE"
            " SESSION_ELAPSED_TIME_MS SESSION_CPU_TIME_MS SESSION_IDLE_TIME_MS SESSION_STATUS",
            on=_SESSIONS,
        ),
        _sessions,
    ),
    Rowset(
        "DISCOVER_CONNECTIONS",
        OLAP_GUID.format(0x25),
        "the connections of clients",
        _CONNECTIONS,
        restrictions(
            "CONNECTION_ID CONNECTION_USER_NAME CONNECTION_IMPERSONATED_USER_NAME CONNECTION_HOST_NAME"
            " CONNECTION_ELAPSED_TIME_MS CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS CONNECTION_IDLE_TIME_MS",
            on=_CONNECTIONS,
        ),
        _connections,
    ),
    Rowset(
        "DISCOVER_COMMANDS",
        OLAP_GUID.format(0x34),
        "the last command of each session",
        _COMMANDS,
        restrictions("SESSION_SPID", on=_COMMANDS),
        _commands,
    ),
    Rowset(
        "DISCOVER_JOBS",
        OLAP_GUID.format(0x27),
        "the running jobs",
        _JOBS,
        restrictions(
            "SPID JOB_ID JOB_DESCRIPTION JOB_THREADPOOL_ID",
            on=_JOBS,
            others=[Restriction("JOB_MIN_TOTAL_TIME_MS", "long", Match.AT_LEAST, "JOB_TOTAL_TIME_MS")],
        ),
        _jobs,
    ),
)
