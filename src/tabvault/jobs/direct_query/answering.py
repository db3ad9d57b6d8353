"""
A query over tables of which some are live: one question to their source if that can answer it alike, else done here.

Both ways DuckDB looks at the query first, over tables of the same columns without a row: what is wrong with it is said
as it is said of loaded tables, and the answer's names and types are DuckDB's, whoever computes it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from tabvault.engine.sql import parse_query, query_sql
from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.filters import filters
from tabvault.jobs.direct_query.live_rows import LiveRows
from tabvault.jobs.direct_query.live_source import LiveSource
from tabvault.jobs.direct_query.push_down import has_form, pushed_query
from tabvault.jobs.direct_query.pushed_rows import pushed_rows
from tabvault.jobs.direct_query.source_questions import SourceQuestions
from tabvault.jobs.direct_query.syntax import NotAlikeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from tabvault.engine.lazy_dataset import LazyTable
    from tabvault.engine.sql import ParsedQuery
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.model.objects import Model, Table


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """
    The rows of an answer.

    Attributes:
        schema: names and types of the columns.
        batches: the rows, to be taken once.
        cancel: stops the sources, from any thread.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    cancel: Callable[[], None]


@contextmanager
def live_query(
    text: str,
    loaded: Mapping[str, LazyTable],
    live: Mapping[str, Table],
    *,
    model: Model,
    access: SourceAccess | None,
    row_count_max: int | None = None,
    timeout_s: float | None = None,
    on_asking: Callable[[Callable[[], None]], object] | None = None,
) -> Iterator[LiveAnswer]:
    """
    Answer *text*.

    Args:
        text: one statement that reads.
        loaded: all tables by name: the loaded rows of each.
        live: those of them that are live, by name.
        model: of the database.
        access: what the sources may be asked with; None where none may.
        row_count_max: rows that a source may give for one question; as many as was set by default.
        timeout_s: from now to the last row.
        on_asking: given what stops the sources and DuckDB, from any thread, before any is asked.

    Raises:
        QueryError: it cannot be answered, or reaches a bound.
        SourceError: what a source has against it; of a credential that is missing it says whose.
        JobCancelledError: it was cancelled.
        DataFolderDamagedError: a source is to be asked, and how many rows it may give cannot be read.
        FormatError, ModelError: as :func:`tabvault.engine.sql.query_sql`.
    """
    parsed = parse_query(text, loaded)
    with SourceQuestions(access, row_count_max=row_count_max, timeout_s=timeout_s) as questions:
        if on_asking is not None:
            on_asking(questions.cancel)
        sources = {
            name: LiveSource(model, table, access, questions) for name, table in live.items() if name in parsed.tables
        }
        rows = {name: LiveRows(source, questions, partial(_loaded, loaded[name])) for name, source in sources.items()}
        answer = _pushed(text, parsed, sources, rows, questions)
        if answer is not None:
            with answer:
                yield LiveAnswer(answer.schema, iter(answer), questions.cancel)
            return
        if sources and parsed.tree is not None:
            for name, condition in filters(parsed.tree, _by_folded_name(sources)).items():
                next(one for other, one in rows.items() if folded(other) == name).condition = condition
        tables = {**loaded, **rows}
        stopped, cancel = questions.stopped, questions.cancel
        with query_sql(text, tables, timeout_s=timeout_s, stopped=stopped, on_stop=cancel) as result:
            try:
                yield LiveAnswer(result.schema, iter(result), questions.cancel)
            finally:
                questions.cancel()  # first: DuckDB ends once the rows that it waits for are there, or will not come


def _pushed(
    text: str,
    parsed: ParsedQuery,
    sources: Mapping[str, LiveSource],
    rows: Mapping[str, LiveRows],
    questions: SourceQuestions,
) -> pa.RecordBatchReader | None:
    """The answer of the one source that all tables are in, or None if it need not be the right one."""
    tree: Mapping[str, Any] | None = parsed.tree
    if tree is None or not sources or set(sources) != parsed.tables or not has_form(tree):
        return None
    with query_sql(text, {name: _Empty(one.schema) for name, one in rows.items()}) as bound:
        schema = bound.schema
    try:
        pushed = pushed_query(tree, _by_folded_name(sources), row_count_max=questions.row_count_max)
    except NotAlikeError:
        return None
    return pushed_rows(pushed, schema, questions)


def _by_folded_name(sources: Mapping[str, LiveSource]) -> dict[str, LiveSource]:
    return {folded(name): source for name, source in sources.items()}


def _loaded(table: LazyTable, columns: Sequence[str]) -> pa.Table:
    rows = table.read(columns)
    return rows if isinstance(rows, pa.Table) else rows.read_all()


class _Empty:
    """A table of these columns without a row."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self.schema.empty_table().select(list(columns))
