"""The rows of a live table: columns of the model's names and types, as the source has them now."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa

from tabvault.errors import QueryNotSupportedError
from tabvault.jobs.direct_query.live_partition import has_loaded_rows, is_asked, live_schema, source_name
from tabvault.jobs.direct_query.source_questions import begun
from tabvault.sources.conforming import conformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlglot import exp

    from tabvault.jobs.direct_query.live_source import LiveSource
    from tabvault.jobs.direct_query.source_questions import SourceQuestions
    from tabvault.model.objects import Column


class LiveRows:
    """
    A live table as the engine takes tables (:class:`tabvault.engine.lazy_dataset.LazyTable`).

    Args:
        source: where its rows are.
        questions: of the query.
        loaded: gives the columns of a hybrid table's loaded rows.
    """

    def __init__(
        self, source: LiveSource, questions: SourceQuestions, loaded: Callable[[Sequence[str]], pa.Table]
    ) -> None:
        self.schema = live_schema(source.table)
        self._source = source
        self._questions = questions
        self._loaded = loaded
        self._columns = {column.name: column for column in source.table.columns}
        self.condition: exp.Expr | None = None
        """What rows of the source have to meet, over the columns of its query; others are of no use."""

    def read(self, columns: Sequence[str], *, row_count_max: int | None = None) -> pa.RecordBatchReader:
        """
        The columns of these names, as they come; of some rows only, if so many are asked for.

        Raises:
            QueryNotSupportedError: a column of DAX.
            SourceError: what the source has against it.
            JobCancelledError: it was cancelled.
            QueryError: the time is over; while rows come, that there are too many.
        """
        asked = [self._asked(name) for name in columns]
        schema = pa.schema([self.schema.field(name) for name in columns])
        limit = self._questions.row_count_max + 1
        if row_count_max is not None:
            limit = min(limit, row_count_max)
        with ExitStack() as stack:
            live = self._live(asked, schema, limit, stack)
            batches = self._questions.limited(live, table=self._source.table.name)
            if has_loaded_rows(self._source.table):
                batches = self._with_loaded(batches, schema)
            if row_count_max is not None:
                batches = _first(batches, row_count_max)
            return begun(stack.pop_all(), schema, batches)

    def _live(
        self, columns: Sequence[Column], schema: pa.Schema, limit: int, stack: ExitStack
    ) -> Iterator[pa.RecordBatch]:
        source, table = self._source, self._source.table.name
        query = source.rows_query(columns, self.condition, row_count_max=limit)
        wanted = pa.schema([(source_name(one), type_) for one, type_ in zip(columns, schema.types, strict=True)])
        given = stack.enter_context(self._questions.rows(source.source, query, source.local, table=table))
        stack.enter_context(self._questions.asked(table))
        return (batch.rename_columns(schema.names) for batch in conformed(given, wanted))

    def _with_loaded(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The loaded rows, and then the others."""
        loaded = self._loaded(schema.names)
        yield from loaded.cast(schema).to_batches()
        yield from batches

    def _asked(self, name: str) -> Column:
        column = self._columns[name]
        if not is_asked(column):
            raise QueryNotSupportedError(
                f"column {name!r} of table {self._source.table.name!r} is computed by DAX, and the table is in "
                "DirectQuery mode: its rows are in its source",
                hint="leave the column out",
            )
        return column


def _first(batches: Iterator[pa.RecordBatch], row_count: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, row_count)
        row_count -= batch.num_rows
        if row_count <= 0:
            return
