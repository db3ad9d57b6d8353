"""
Statements: text in a language of its own.

======================================  ==============================
a statement that begins with            is
======================================  ==============================
``{``                                   a TMSL command
``EVALUATE``, ``DEFINE``                DAX
``SELECT … FROM $SYSTEM.…``             a query of a schema rowset
``SystemGetSubdirs``                    SSMS, looking for a folder
======================================  ==============================

Source: what Microsoft's clients send; the last one is in public sample code. The other statements with which SSMS fills
a dialog of files (drives, the files of a folder, whether one exists) are in no public document or code: their names and
columns would be guesses, so they are refused as any other statement. Names of files can be typed there.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.engine.dax import is_dax
from tabvault.engine.rowsets import is_rowset_query, query_rowset
from tabvault.errors import JobCancelledError, QueryError, QueryNotSupportedError
from tabvault.faces.server.xmla.results import Result, Rows, table_rows
from tabvault.faces.server.xmla.rowset_context import rowset_context
from tabvault.faces.server.xmla.tmsl import execute_script
from tabvault.jobs.evaluation import evaluate
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.model.tmsl.commands import is_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import RunningCommand, Session
    from tabvault.jobs.operations.caller import Caller

LOCATIONS: Final = "DISCOVER_LOCATIONS"
"""The one rowset that opens a file of the backup storage."""

_SUBFOLDERS: Final = re.compile(r"\s*SystemGetSubdirs\s+'((?:[^']|'')*)'\s*;?\s*", re.IGNORECASE)
_SUBFOLDER_SCHEMA: Final = pa.schema([("Dir", pa.string()), ("Allowed", pa.int32())])


def execute_statement(
    service: Service, session: Session, caller: Caller, text: str, properties: Mapping[str, str]
) -> Result:
    """
    Do what *text* says.

    Raises:
        QueryNotSupportedError: it is in no language that is answered.
        TabvaultError: whatever it asks for cannot be done.
    """
    if is_command(text):
        return execute_script(service, session, caller, text)
    if is_dax(text):
        return Result(_evaluate(service, session, caller, text, properties))
    if is_rowset_query(text):
        with rowset_context(service, session, caller, properties) as context:
            return Result(table_rows(query_rowset(text, context)))
    folder = _SUBFOLDERS.fullmatch(text)
    if folder is not None:
        return Result(_subfolders(service, caller, folder.group(1).replace("''", "'")))
    word = (text.split() or [""])[0][:40]
    raise QueryNotSupportedError(
        f"Query (1, 1) a statement that begins with {word!r} is not answered",
        line=1,
        column=1,
        hint="DAX (EVALUATE), rowset queries (SELECT ... FROM $SYSTEM...) and TMSL are; SQL is on the command line "
        "and REST",
    )


def _evaluate(service: Service, session: Session, caller: Caller, text: str, properties: Mapping[str, str]) -> Rows:
    with contextlib.ExitStack() as stack:
        reading = stack.enter_context(
            service.operations.reading(caller, current_database(service, session, caller), properties=properties)
        )
        permissions = reading.permissions
        permissions.require_query()
        running = session.own_command()
        answer = evaluate(
            reading.database,
            text,
            hidden_tables=permissions.hidden_tables,
            hidden_columns=permissions.hidden_columns,
            sources=SourceAccess(service.vault.data, reading.info.id),
            on_asking=None if running is None else running.on_stop,
        )
        stack.callback(answer.cancel)
        batches = _until_cancelled(answer.batches, running)
        # What fails before the first rows is a fault.
        first = list(itertools.islice(batches, 1))
        return Rows(answer.schema, itertools.chain(first, batches), resources=stack.pop_all())


def current_database(service: Service, session: Session, caller: Caller) -> str:
    """
    Name of the session's database: the one that was chosen, else the first that the caller may see.

    Raises:
        QueryError: there is none.
    """
    if session.catalog:
        return session.catalog
    visible = service.operations.visible(caller)
    if not visible:
        raise QueryError("there is no database that you have access to")
    return visible[0][0].name


def _until_cancelled(batches: Iterable[pa.RecordBatch], running: RunningCommand | None) -> Iterator[pa.RecordBatch]:
    if running is None:
        yield from batches
        return
    try:
        for batch in batches:
            if running.is_cancelled.is_set():
                break
            yield batch
        else:
            return
    except JobCancelledError:
        if not running.is_cancelled.is_set():
            raise
    raise running.cancellation()


def is_file_dialog(text: str) -> bool:
    """Whether the statement asks for what is in the backup storage."""
    return _SUBFOLDERS.fullmatch(text) is not None or LOCATIONS in text.upper()


def _subfolders(service: Service, caller: Caller, folder: str) -> Rows:
    """The folders in a folder of the backup container: one row each."""
    found = service.files.folder(caller, folder).folders
    rows = [{"Dir": one.name.rstrip("/").rpartition("/")[2], "Allowed": 1} for one in found]
    return table_rows(pa.Table.from_pylist(rows, _SUBFOLDER_SCHEMA))
