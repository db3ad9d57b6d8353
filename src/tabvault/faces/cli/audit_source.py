"""
The audit log as a command reads it: in the files of a data folder, or over a server.

Of a data folder the files are read, also while a server owns it: a check is not left to who is checked. Who may read
them is who may read the data folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tabvault.faces.cli.remote.documents import built, expected, with_times
from tabvault.faces.cli.session import connected
from tabvault.jobs.vault import Vault
from tabvault.storage.data_folder.layout import require
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.audit_chain import AuditCheck, AuditFault, NotedLine
from tabvault.storage.server_state.audit_line import AuditLine
from tabvault.storage.server_state.audit_log import AuditLog

if TYPE_CHECKING:
    import datetime

    from tabvault.faces.cli.target import Target


def audit_lines(
    target: Target, *, since: datetime.datetime | None, until: datetime.datetime | None, limit: int
) -> list[AuditLine]:
    """
    Lines of the audit log, the latest first; see :meth:`AuditLog.read`.

    Raises:
        DatabaseNotFoundError: there is no data folder.
        StorageError: the log cannot be read.
        TabvaultError: what a server says is wrong.
    """
    if target.server is None:
        return list(_log(target).read(since=since, until=until, limit=limit))
    connection = connected(target.server)
    times = {"since": since, "until": until}
    query = {name: time.isoformat() for name, time in times.items() if time is not None}
    document = connection.get("/audit", limit=limit, **query)
    with expected(connection.url):
        return [built(AuditLine, with_times(line, "time"), connection.url) for line in document["lines"]]


def check_audit(target: Target, noted: NotedLine | None) -> AuditCheck:
    """What a check of the chain finds; see :meth:`AuditLog.verify_chain`. Errors as :func:`audit_lines`."""
    if target.server is None:
        return _log(target).verify_chain(noted)
    connection = connected(target.server)
    content = {"noted": None if noted is None else {"sequence": noted.sequence, "digest": noted.digest}}
    with connection.request(
        "POST",
        "/audit/check",
        body=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
        timeout_s=None,  # a log of many years takes its time
    ) as answer:
        document = answer.document()
    with expected(connection.url):
        faults = [built(AuditFault, fault, connection.url) for fault in document["faults"]]
        document = with_times(document, "first_time", "last_time") | {"faults": faults}
        return built(AuditCheck, document, connection.url)


def _log(target: Target) -> AuditLog:
    with Vault(target.data) as vault, storage_errors(f"data folder {vault.data}"):
        require(vault.data)
        return AuditLog(vault.data)
