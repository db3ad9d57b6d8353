"""Questions to a database: SQL, DAX and schema rowsets, answered as JSON, CSV or Arrow."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets import is_rowset_query, query_rowset
from tabvault.errors import QueryError
from tabvault.faces.server.rest.endpoint import instance_of
from tabvault.faces.server.rest.negotiation import chosen_media_type
from tabvault.faces.server.rest.row_formats import ARROW, CSV, JSON, arrow_pieces, csv_pieces, json_pieces
from tabvault.faces.server.streamed import PiecewiseResponse
from tabvault.faces.server.xmla.rowset_context import rowset_context
from tabvault.jobs.evaluation import evaluate
from tabvault.jobs.operations.questions import ask_in_sql
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.jobs.query import Answer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pyarrow as pa

    from tabvault.faces.server.rest.action import Call
    from tabvault.faces.server.rest.models import NoParameters, QueryRequest

MEDIA_TYPES: Final = (JSON, CSV, ARROW)


def query(call: Call[QueryRequest, NoParameters]) -> PiecewiseResponse:
    """
    Ask a database one question.

    The Accept header chooses the form. For those who may read the database; what object-level security hides from the
    caller is not there for him, and who is bound by a row filter is refused.
    """
    media_type = chosen_media_type(call.request.headers.get("accept"), MEDIA_TYPES)
    with ExitStack() as stack:
        answer = _answer(call, stack)
        # What fails before the first rows fails with a status.
        first = list(itertools.islice(answer.batches, 1))
        batches = itertools.chain(first, answer.batches)
        if media_type == ARROW:
            pieces = arrow_pieces(answer.schema, batches)
        elif media_type == CSV:
            pieces = csv_pieces(answer.schema, batches)
        else:
            pieces = json_pieces(answer.schema, batches, instance=instance_of(call.request))
        return PiecewiseResponse(
            _closing(pieces, stack.pop_all()),
            media_type=media_type,
            in_thread=call.question_turns.run,
            client=call.client,
        )


def _answer(call: Call[QueryRequest, NoParameters], stack: ExitStack) -> Answer:
    body = call.body
    sql, dmv = body.sql, body.dmv
    if sql is not None and is_rowset_query(sql):
        sql, dmv = None, sql
    if dmv is not None:
        return _within(_ask_rowset(call, dmv), body.timeout_s)
    reading = stack.enter_context(call.service.operations.reading(call.caller, call.path["name"]))
    sources = SourceAccess(call.service.vault.data, reading.info.id)
    if sql is not None:
        answer = stack.enter_context(
            ask_in_sql(reading, sql, timeout_s=body.timeout_s, sources=sources, on_asking=call.client.on_gone)
        )
        stack.callback(answer.cancel)
        return answer
    assert body.dax is not None, "one of the three is there"
    permissions = reading.permissions
    permissions.require_query()
    answer = evaluate(
        reading.database,
        body.dax,
        hidden_tables=permissions.hidden_tables,
        hidden_columns=permissions.hidden_columns,
        sources=sources,
        timeout_s=body.timeout_s,
        on_asking=call.client.on_gone,
    )
    stack.callback(answer.cancel)
    return _within(answer, body.timeout_s)


def _ask_rowset(call: Call[QueryRequest, NoParameters], text: str) -> Answer:
    info, permissions = call.service.operations.find(call.caller, call.path["name"])
    permissions.require_read()
    session = call.service.sessions.passing(call.caller)
    session.catalog = info.name
    with rowset_context(call.service, session, call.caller, {}) as context:
        table = query_rowset(text, context)
    return Answer(table.schema, iter(table.to_batches()))


def _within(answer: Answer, timeout_s: float) -> Answer:
    """The same rows, for so long; the time is looked at between batches."""
    deadline_s = time.monotonic() + timeout_s

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in answer.batches:
            if time.monotonic() > deadline_s:
                raise QueryError(f"query took longer than {timeout_s} s")
            yield batch

    return Answer(answer.schema, batches())


def _closing(pieces: Generator[bytes, None, None], resources: ExitStack) -> Generator[bytes, None, None]:
    """The same pieces; *resources* are let go of at their end, or when nobody wants more, not even the first."""

    def closing() -> Generator[bytes, None, None]:
        with resources:
            yield b""
            yield from pieces

    begun = closing()
    next(begun)  # one that was never begun would not come to its end either
    return begun
