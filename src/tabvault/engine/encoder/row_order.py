"""
The order of the rows within a segment, which decides how long the runs are.

All columns of a segment have their rows in the same order, and any order is legal. A run of ``r`` equal ids in a column
of N bits is one entry of 64 bits instead of ``r * N`` bits, from 64 rows on. What is done is greedy, value by value:

1. Of all values of all columns, take the one whose rows side by side save most (its rows times N).
2. Put its rows first, and order them among themselves in the same way by the other columns.
3. Go on with the rows that are left, and all columns.

A value of fewer rows than a run needs is never taken, so rare values do not tear apart what other columns could join;
that is what sorting by one column after the other does.

When only small values are left to take, the rows are sorted by the one column that saves most, at once. Which values
are taken is planned on a sample of the rows in large segments, and then done to all, the groups of the first level side
by side; and planning ends when so many cells were looked at. All bounds are counted, not timed: the same rows get the
same order.

Source: greedy re-arrangement of rows is what [US 8,108,361] describes. It comes within 1 % of the sizes of the genuine
files whose rows were shuffled before; docs/formats/encoding.md has it beside other heuristics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.formats.vertipaq.hybrid_writer import RUN_LENGTH_MIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

_SAMPLED_ROW_COUNT_MAX = 1 << 15
"""Rows that are planned on: of more, every n-th, as far as of the shortest run there are enough."""

_SAMPLED_RUN_LENGTH_MIN = 2
"""With 1, everything that is in the sample would pass for a run: 8 % larger, measured on a million generated sales."""

_GROUPS_MAX_LOG2 = 8
"""
Values of fewer than rows / 2^8 rows are small, those of 128 rows at the most always. Measured together with the sample;
docs/formats/encoding.md has the figures.
"""

_VISITS_MAX = 16
"""How often each cell is looked at for each column, on the average: the bound for tables of very many columns."""

_COUNTED_MAX = 1 << 12
"""Arrow sorts values up to here by counting them, several times faster than NumPy by their digits."""


class _Columns(NamedTuple):
    """
    The columns that can have a run. Their values are told apart by cells: 0 for all that are too rare for a run.

    Each value that is not has a code over all columns, too: the cell plus *first* of the column. *bits* is what a row
    of a code saves, 0 for rare values; *column_of* the column of each code.
    """

    cells: list[NDArray[np.unsignedinteger]]
    first: NDArray[np.int64]
    bits: NDArray[np.int64]
    column_of: NDArray[np.int64]


class _Step(NamedTuple):
    """The rows of a code go first, and in an order of their own."""

    code: int
    then: _Order


class _Order(NamedTuple):
    """How rows are ordered: the steps, and the column by which those that are left are sorted."""

    steps: list[_Step]
    last_column: int | None


def row_order(
    codes: Sequence[NDArray[np.integer]], bit_widths: Sequence[int], workers: Executor
) -> NDArray[np.int64] | None:
    """
    Find an order that makes runs long.

    Args:
        codes: for each column, the values of the segment's rows as numbers from 0 on; equal numbers for equal values.
        bit_widths: N of each column.
        workers: share the work; the calling thread is none of them.

    Returns:
        The rows' positions in their new order, or None if no order is better than that in which they come.
    """
    row_count = len(codes[0]) if codes else 0
    stride = min(-(-row_count // _SAMPLED_ROW_COUNT_MAX), RUN_LENGTH_MIN // _SAMPLED_RUN_LENGTH_MIN) or 1
    columns = _columns(codes, bit_widths, stride, workers)
    if columns is None:
        return None
    sampled = [cells[::stride].astype(np.int64) for cells in columns.cells]
    sample = np.stack(sampled, axis=1) + columns.first[:-1]
    order = _Plan(columns, sample, stride).order
    *taken, left = _taken(columns, np.arange(row_count), order)
    then = [step.then for step in order.steps]
    groups = workers.map(lambda rows, order: _ordered(columns, rows, order), taken, then)
    return np.concatenate([*groups, left])


def _columns(
    codes: Sequence[NDArray[np.integer]], bit_widths: Sequence[int], stride: int, workers: Executor
) -> _Columns | None:
    """None if no column has a run to gain, as far as the rows tell that are planned on: every *stride*-th."""
    cells, first, bits = [], [0], []
    found = workers.map(lambda values: _cells(values, stride), codes)
    for (column_cells, frequent_count), bit_width in zip(found, bit_widths, strict=True):
        if column_cells is not None:
            cells.append(column_cells)
            first.append(first[-1] + 1 + frequent_count)
            bits.append(np.repeat([0, bit_width], [1, frequent_count]))
    if not cells:
        return None
    column_of = np.repeat(np.arange(len(cells)), np.diff(first))
    return _Columns(cells, np.array(first), np.concatenate(bits).astype(np.int64), column_of)


def _cells(values: NDArray[np.integer], stride: int) -> tuple[NDArray[np.unsignedinteger] | None, int]:
    """The cells of a column, None if it has no run to gain, and how many of its values are frequent."""
    sample = values[::stride]
    counts = np.bincount(sample, minlength=int(values.max()) + 1) if len(sample) else np.zeros(0, np.int64)
    is_frequent = counts >= _run_length_min(stride)
    frequent_count = int(np.count_nonzero(is_frequent))
    if frequent_count == 0 or counts.max() == len(sample):  # no run, or one in any order
        return None, 0
    cell_of = np.zeros(len(is_frequent), np.min_scalar_type(frequent_count))
    cell_of[is_frequent] = np.arange(1, frequent_count + 1)
    return cell_of.take(values), frequent_count


def _run_length_min(stride: int) -> int:
    """How many of every *stride*-th row make a run."""
    return RUN_LENGTH_MIN // stride


class _Plan:
    """
    Which codes are taken, in which order.

    Args:
        columns: the columns.
        sample: codes of the rows that are planned on, of shape ``(rows, columns)``.
        stride: each of them stands for so many rows.
    """

    def __init__(self, columns: _Columns, sample: NDArray[np.int64], stride: int) -> None:
        self._columns = columns
        self._run_length_min = _run_length_min(stride)
        self._row_count_min = max(2 * self._run_length_min, len(sample) >> _GROUPS_MAX_LOG2)
        self._visits_left = _VISITS_MAX * sample.size * sample.shape[1]
        self.order = self._order(sample, np.arange(sample.shape[1]), self._counts(sample))

    def _counts(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """How often each code is there."""
        self._visits_left -= cells.size
        return np.bincount(cells.reshape(-1), minlength=len(self._columns.bits))

    def _order(self, cells: NDArray[np.int64], columns: NDArray[np.int64], counts: NDArray[np.int64]) -> _Order:
        """
        Plan the order of a group of rows.

        Args:
            cells: their codes, of shape ``(rows, columns)``.
            columns: which columns these are. By the others the rows are grouped already, or cannot be.
            counts: how often each code is in *cells*.
        """
        (candidates,) = ((counts >= self._run_length_min) & (self._columns.bits > 0)).nonzero()
        is_candidate = np.zeros(len(self._columns.cells), np.bool_)
        is_candidate[self._columns.column_of[candidates]] = True
        has_candidates = is_candidate[columns]
        if not has_candidates.all():
            cells, columns = cells[:, has_candidates], columns[has_candidates]
        counts, bits = counts[candidates], self._columns.bits[candidates]
        by_value: dict[int, _RowsByCode] = {}
        is_left = np.ones(len(cells), np.bool_)
        steps = []
        while len(candidates) and self._visits_left > 0 and counts.max() >= self._row_count_min:
            code = int(candidates[(counts * bits).argmax()])
            column = int(self._columns.column_of[code])
            if column not in by_value:
                place = int(np.searchsorted(columns, column))
                by_value[column] = _RowsByCode(cells[:, place], *self._columns.first[column : column + 2])
            taken = by_value[column].take(code, is_left)
            step, taken_counts = self._step(code, cells.take(taken, axis=0), columns)
            steps.append(step)
            counts = counts - taken_counts[candidates]
            is_kept = counts >= self._run_length_min
            candidates, counts, bits = candidates[is_kept], counts[is_kept], bits[is_kept]
        if len(candidates) == 0:
            return _Order(steps, None)
        saved = np.bincount(self._columns.column_of[candidates], weights=counts * bits)
        return _Order(steps, int(saved.argmax()))

    def _step(self, code: int, cells: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[_Step, NDArray[np.int64]]:
        """Take the rows of a code, whose *cells* these are. Returns how often each code is in them, too."""
        counts = self._counts(cells)
        others = counts.copy()
        column = self._columns.column_of[code]
        others[self._columns.first[column] : self._columns.first[column + 1]] = 0
        return _Step(code, self._order(cells, columns, others)), counts


class _RowsByCode:
    """
    Finds the rows of a code in a column.

    Args:
        cells: the codes of the rows, *first* to *end* (not included).
    """

    def __init__(self, cells: NDArray[np.int64], first: np.int64, end: np.int64) -> None:
        values = (cells - first).astype(np.min_scalar_type(int(end - first) - 1))  # sorts faster
        self._first = int(first)
        self._positions = _sorted_positions(values)
        self._starts = np.zeros(int(end - first) + 1, np.int64)
        np.cumsum(np.bincount(values, minlength=int(end - first)), out=self._starts[1:])

    def take(self, code: int, is_left: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Positions of the code's rows as far as they are left; from then on they are not."""
        start, end = self._starts[code - self._first : code - self._first + 2]
        positions = self._positions[start:end]
        positions = positions[is_left[positions]]
        is_left[positions] = False
        return positions


def _ordered(columns: _Columns, rows: NDArray[np.int64], order: _Order) -> NDArray[np.int64]:
    """Do to *rows* what was planned."""
    *taken, left = _taken(columns, rows, order)
    groups = [_ordered(columns, taken_rows, step.then) for step, taken_rows in zip(order.steps, taken, strict=True)]
    return np.concatenate([*groups, left]) if groups else left


def _taken(columns: _Columns, rows: NDArray[np.int64], order: _Order) -> list[NDArray[np.int64]]:
    """The rows that each step takes, and those that are left, sorted."""
    *taken, left = _by_step(columns, rows, order.steps)
    if order.last_column is not None:
        left = left.take(_sorted_positions(columns.cells[order.last_column].take(left)))
    return [*taken, left]


def _by_step(columns: _Columns, rows: NDArray[np.int64], steps: list[_Step]) -> list[NDArray[np.int64]]:
    """The rows that each step takes, and those that are left, in the order in which they come."""
    if not steps:
        return [rows]
    places = _first_steps(columns, rows, steps)
    counts = np.bincount(places, minlength=len(steps) + 1)
    return np.split(rows.take(_sorted_positions(places)), counts.cumsum()[:-1])


def _first_steps(columns: _Columns, rows: NDArray[np.int64], steps: list[_Step]) -> NDArray[np.unsignedinteger]:
    """For each row the first of the steps that takes it; behind the last one if none does."""
    place_type = np.min_scalar_type(len(steps))
    places = np.full(len(rows), len(steps), place_type)
    steps_of: dict[int, list[tuple[int, int]]] = {}
    for place, step in enumerate(steps):
        column = int(columns.column_of[step.code])
        steps_of.setdefault(column, []).append((step.code - int(columns.first[column]), place))
    for column, found in steps_of.items():
        place_of = np.full(int(columns.first[column + 1] - columns.first[column]), len(steps), place_type)
        cells, places_found = zip(*found, strict=True)
        place_of[list(cells)] = places_found
        np.minimum(places, place_of.take(columns.cells[column].take(rows)), out=places)
    return places


def _sorted_positions(values: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Positions of the smallest values first, of equal ones in their order."""
    if len(values) and values.max() <= _COUNTED_MAX:
        positions: NDArray[np.uint64] = pc.array_sort_indices(pa.array(values)).to_numpy()
        return positions.view(np.int64)
    return np.argsort(values, kind="stable")
