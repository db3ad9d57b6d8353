"""Discover: a schema rowset for a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.engine.rowsets import discover as read_rowset
from tabvault.engine.rowsets import root_name
from tabvault.faces.server.xmla.results import table_rows
from tabvault.faces.server.xmla.rowset_context import rowset_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.engine.rowsets import RowsetContext
    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.results import Rows
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.commands import Discover
    from tabvault.jobs.operations.caller import Caller


def discover(service: Service, session: Session, caller: Caller, command: Discover) -> Rows:
    """
    The rowset that *command* asks for.

    Raises:
        UnknownRowsetError: there is none of that name.
        RequestError: a restriction is wrong or missing.
        NotAuthorizedError: it is not for the caller.
    """
    with rowset_context(service, session, caller, command.properties) as context:
        return _rows(service, command, context)


def discover_all(
    service: Service, session: Session, caller: Caller, commands: Sequence[Discover], properties: Mapping[str, str]
) -> list[Rows]:
    """The rowsets of a batch, all of one version of each database. Errors as :func:`discover`."""
    with rowset_context(service, session, caller, properties) as context:
        return [_rows(service, command, context) for command in commands]


def _rows(service: Service, command: Discover, context: RowsetContext) -> Rows:
    table = read_rowset(command.request_type, command.restrictions, context)
    return table_rows(table, name=root_name(command.request_type), written=service.written_rowsets)
