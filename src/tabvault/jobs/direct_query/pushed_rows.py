"""
The answer to a question that a source was asked as a whole: rows of the types that DuckDB would have given it.

An average is the sum divided by the count, as DuckDB does it: of whole numbers in doubles, of decimal numbers in the
widest floating point type of the machine, and then rounded to a double. Read off DuckDB 2.0's answers.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from tabvault.engine.sql import query_sql
from tabvault.errors import SourceError
from tabvault.jobs.direct_query.exact_columns import ExactKind
from tabvault.jobs.direct_query.source_questions import begun
from tabvault.sources.conforming import conformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabvault.jobs.direct_query.push_down import OrderKey, PushedQuery
    from tabvault.jobs.direct_query.result_columns import ResultColumn
    from tabvault.jobs.direct_query.source_questions import SourceQuestions

_HINT: Final = (
    "a value of the source may not fit the data type of the model's column; asked for plainly, the column tells"
)


def pushed_rows(pushed: PushedQuery, schema: pa.Schema, questions: SourceQuestions) -> pa.RecordBatchReader:
    """
    Ask, and give the rows as they come.

    Args:
        pushed: the question.
        schema: that DuckDB gives the query.
        questions: of the query.

    Raises:
        SourceError: what the source has against it.
        JobCancelledError: it was cancelled.
        QueryError: the time is over, or there are too many rows.
    """
    table = pushed.source.table.name
    wanted = pa.schema(list(_wanted(pushed.columns, schema)))
    with ExitStack() as stack:
        given = stack.enter_context(questions.rows(pushed.source.source, pushed.text, None, table=table))
        stack.enter_context(_values_explained())
        stack.enter_context(questions.asked(table))
        batches = questions.limited(iter(conformed(given, wanted)), table=table)
        answers: Iterator[pa.RecordBatch] = (_answer(batch, pushed.columns, schema) for batch in batches)
        if pushed.order:
            answers = _ordered(answers, pushed, schema, questions)
        return begun(stack.pop_all(), schema, answers)


@contextmanager
def _values_explained() -> Iterator[None]:
    """What a source says once it looks at rows is about a value, and tells nothing of the model's column."""
    try:
        yield
    except SourceError as error:
        if type(error) is SourceError and error.hint is None:
            error.hint = _HINT
        raise


def _wanted(columns: Sequence[ResultColumn], schema: pa.Schema) -> Iterator[pa.Field]:
    """What each part of the question's result is conformed to. A sum has more digits than a column of a model can."""
    types: list[pa.DataType] = []
    for column, type_ in zip(columns, schema.types, strict=True):
        if column.is_average:
            types += [pa.string(), pa.int64()]
        else:
            types.append(pa.string() if _is_sum(type_) else type_)
    return (pa.field(f"r{number}", type_) for number, type_ in enumerate(types))


def _is_sum(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(data_type) and data_type.precision == 38)


def _answer(batch: pa.RecordBatch, columns: Sequence[ResultColumn], schema: pa.Schema) -> pa.RecordBatch:
    given = iter(batch.columns)
    arrays = []
    for column, type_ in zip(columns, schema.types, strict=True):
        part = next(given)
        arrays.append(
            _average(part, next(given), 4 if column.kind is ExactKind.DECIMAL else 0)
            if column.is_average
            else part.cast(type_)
        )
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _average(sums: pa.Array, counts: pa.Array, place_count: int) -> pa.Array:
    """
    Args:
        sums: numbers in text; null where nothing was counted.
        counts: of what was added up, shape ``(n,)``.
        place_count: places after the point: a decimal number is divided as a whole one of its smallest unit.
    """
    exact = sums.cast(pa.decimal128(38, place_count)).fill_null(0)
    halves = np.frombuffer(exact.buffers()[1], np.int64).reshape(-1, 2)[exact.offset : exact.offset + len(exact)]
    is_negative = halves[:, 1] < 0
    lower = np.where(is_negative, -halves[:, 0], halves[:, 0])
    upper = np.where(is_negative, ~halves[:, 1] + (lower == 0), halves[:, 1])
    # DuckDB divides so too, except where its plan makes a sum and a count of an average of whole numbers: then in
    # double, one unit in the last place away where the sum has more than 53 bits. This is the nearer one.
    real: Any = np.longdouble
    magnitudes = upper.astype(real) * real(2**64) + lower.view(np.uint64).astype(real)
    divisors = counts.to_numpy(zero_copy_only=False).astype(real) * real(10**place_count)
    is_empty = divisors == 0
    quotients = np.where(is_negative, -magnitudes, magnitudes) / np.where(is_empty, real(1), divisors)
    return pa.array(quotients.astype(np.float64), mask=is_empty)


class _Gathered:
    """Rows as a table of the engine's."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self.schema: pa.Schema = rows.schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self._rows.select(list(columns))


def _ordered(
    batches: Iterator[pa.RecordBatch], pushed: PushedQuery, schema: pa.Schema, questions: SourceQuestions
) -> Iterator[pa.RecordBatch]:
    names = [f"r{number}" for number in range(len(schema))]
    plain = pa.schema(list(zip(names, schema.types, strict=True)))
    rows = pa.Table.from_batches([batch.rename_columns(names) for batch in batches], plain)
    limit = "" if pushed.limit is None else f" LIMIT {pushed.limit}"
    text = f"SELECT * FROM answer ORDER BY {', '.join(map(_key, pushed.order))}{limit} OFFSET {pushed.offset}"
    with query_sql(text, {"answer": _Gathered(rows)}, stopped=questions.stopped) as result:
        for batch in result:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _key(key: OrderKey) -> str:
    return (
        f"{key.index + 1} {'DESC' if key.is_descending else 'ASC'} NULLS {'FIRST' if key.has_nulls_first else 'LAST'}"
    )
