"""
Results of commands, and the answers they make on the wire, piece by piece.

A result's rows are made while they are sent. An error among them is told after the rows before it, where every client
looks for it: rows that were cut short never look whole.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.faces.server.xmla.faults import message_of
from tabvault.formats.xmla import response, rowset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from tabvault.faces.server.xmla.traces import Subscription, SubscriptionKey
    from tabvault.faces.server.xmla.written_rowsets import WrittenRowsets
    from tabvault.formats.xmla.response import Message


KEPT_BYTE_COUNT_MAX: Final = 4 << 20
"""Of one rowset; a longer one is not collected while it is sent."""


@dataclass(slots=True)
class Rows:
    """
    Rows that a client gets.

    Attributes:
        schema: the columns; see :func:`tabvault.formats.xmla.rowset.rowset_columns`.
        batches: the rows, taken once.
        name: name of the rowset, where clients look at it.
        resources: closed after the last row, or when nobody reads on.
        table: where all rows come from one that may be asked for again.
        written: what was written of such tables.
        is_cut_short: an error came among the rows.
    """

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    name: str | None = None
    resources: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    table: weakref.ref[pa.Table] | None = None
    written: WrittenRowsets | None = None
    is_cut_short: bool = False


@dataclass(slots=True)
class Result:
    """What a command gives: rows or nothing, and messages."""

    rows: Rows | None = None
    messages: Sequence[Message] = ()


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """
    An answer that stays open: the events of a subscription.

    Attributes:
        key: under which the subscription is known.
        session_id: for the header of the answer.
        subscription: the events.
    """

    key: SubscriptionKey
    session_id: str | None
    subscription: Subscription


def table_rows(table: pa.Table, name: str | None = None, written: WrittenRowsets | None = None) -> Rows:
    """The rows of a table in memory; *written* where it may be asked for again, always under the same name."""
    return Rows(table.schema, table.to_batches(), name, table=weakref.ref(table), written=written)


def discover_answer(session_id: str | None, rows: Rows) -> Iterator[bytes]:
    """The answer to a Discover."""
    yield response.envelope_begin(session_id) + response.DISCOVER_BEGIN
    yield from rows_root(rows)
    yield response.DISCOVER_END + response.ENVELOPE_END


def execute_answer(session_id: str | None, results: Sequence[Result], *, is_batch: bool) -> Iterator[bytes]:
    """The answer to an Execute."""
    with contextlib.ExitStack() as opened:
        # Nobody may come as far as the rows of the last one.
        for result in results:
            if result.rows is not None:
                opened.callback(result.rows.resources.close)
        yield response.envelope_begin(session_id) + response.EXECUTE_BEGIN
        if is_batch:
            yield response.RESULTS_BEGIN
        for result in results:
            yield from _result(result)
        if is_batch:
            yield response.RESULTS_END
        yield response.EXECUTE_END + response.ENVELOPE_END


def _result(result: Result) -> Iterator[bytes]:
    if result.rows is not None:
        yield from rows_root(result.rows, result.messages)
    elif result.messages:
        yield response.result_messages(result.messages)
    else:
        yield response.EMPTY_RESULT


def fault_answer(session_id: str | None, error: Exception) -> bytes:
    """The answer to a request that failed before it had a result."""
    return response.envelope_begin(session_id) + response.fault(message_of(error)) + response.ENVELOPE_END


def rows_root(rows: Rows, messages: Sequence[Message] = ()) -> Iterator[bytes]:
    """The root element of a rowset."""
    with rows.resources:
        if rows.written is None or rows.table is None or messages:
            yield from _root(rows, messages)
            return
        kept = rows.written.get(rows.table)
        if kept is not None:
            yield kept
            return
        pieces = []
        byte_count = 0
        for piece in _root(rows, messages):
            byte_count += len(piece)
            if byte_count <= KEPT_BYTE_COUNT_MAX:
                pieces.append(piece)
            yield piece
        if byte_count <= KEPT_BYTE_COUNT_MAX and not rows.is_cut_short:
            rows.written.keep(rows.table, b"".join(pieces))


def _root(rows: Rows, messages: Sequence[Message]) -> Iterator[bytes]:
    columns = rowset.rowset_columns(rows.schema)
    yield rowset.rowset_begin(columns, rows.name)
    try:
        for batch in rows.batches:
            yield from rowset.rowset_chunks(columns, batch)
    except Exception as error:  # noqa: BLE001 - the rows before it are on the way already
        rows.is_cut_short = True
        messages = [*messages, message_of(error)]
    if messages:
        yield response.messages(messages)
    yield rowset.ROWSET_END
