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
are taken is planned on a sample of the rows in large segments, and then done to all; and planning ends when so many
cells were looked at. All bounds are counted, not timed: the same rows get the same order.

Source: greedy re-arrangement of rows is what [US 8,108,361] describes. It comes within 1 % of the sizes of the genuine
files whose rows were shuffled before; docs/formats/encoding.md has it beside other heuristics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.formats.vertipaq.hybrid_writer import RUN_LENGTH_MIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SAMPLED_ROW_COUNT_MAX = 1 << 16
"""Rows that are planned on: of more, every second, every fourth and so on, until they are no more."""

_GROUPS_MAX_LOG2 = 9
"""
Values of fewer than rows / 2^9 rows are small, those of 128 rows at the most always. Measured on a million generated
sales, together with the sample: 2^11 and a sample of 2^18 gain 0.7 % of the size and take half as much time again.
"""

_VISITS_MAX = 16
"""How often each cell is looked at for each column, on the average: the bound for tables of very many columns."""


class _Columns(NamedTuple):
    """
    The columns that can have a run, each value of which has a code of its own over all columns.

    *cells* are the codes of each column's rows. Those of column ``c`` are ``first[c]`` (any value too rare for a run)
    to ``first[c + 1]`` (not included). *bits* is what a row of a code saves, 0 for rare values; *column_of* the column
    of each code.
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


def row_order(codes: Sequence[NDArray[np.integer]], bit_widths: Sequence[int]) -> NDArray[np.int64] | None:
    """
    Find an order that makes runs long.

    Args:
        codes: for each column, the values of the segment's rows as numbers from 0 on; equal numbers for equal values.
        bit_widths: N of each column.

    Returns:
        The rows' positions in their new order, or None if no order is better than that in which they come.
    """
    columns = _columns(codes, bit_widths)
    if columns is None:
        return None
    row_count = len(columns.cells[0])
    stride = -(-row_count // _SAMPLED_ROW_COUNT_MAX)
    sample = np.stack([cells[::stride] for cells in columns.cells], axis=1)
    order = _Plan(columns, sample, stride).order
    groups: list[NDArray[np.int64]] = []
    _group(columns, np.arange(row_count), order, groups)
    return np.concatenate(groups)


def _columns(codes: Sequence[NDArray[np.integer]], bit_widths: Sequence[int]) -> _Columns | None:
    """None if no column has a run to gain."""
    frequent, first = [], [0]
    for values in codes:
        counts = np.bincount(values) if len(values) else np.zeros(0, np.int64)
        is_frequent = counts >= RUN_LENGTH_MIN
        is_kept = is_frequent.any() and counts.max() < len(values)  # else no run, or one in any order
        frequent.append(is_frequent)
        first.append(first[-1] + (1 + int(np.count_nonzero(is_frequent)) if is_kept else 0))
    if first[-1] == 0:
        return None
    narrow = np.dtype(np.uint16 if first[-1] <= 1 << 16 else np.uint32)
    cells, bits = [], []
    for values, is_frequent, bit_width, start, end in zip(codes, frequent, bit_widths, first, first[1:], strict=False):
        if end > start:
            code_of = np.full(len(is_frequent), start)
            code_of[is_frequent] = np.arange(start + 1, end)
            cells.append(code_of.astype(narrow)[values])
            bits.append(np.repeat([0, bit_width], [1, end - start - 1]))
    bounds = np.unique(first)
    column_of = np.repeat(np.arange(len(cells)), np.diff(bounds))
    return _Columns(cells, bounds, np.concatenate(bits).astype(np.int64), column_of)


class _Plan:
    """
    Which codes are taken, in which order.

    Args:
        columns: the columns.
        sample: codes of the rows that are planned on, of shape ``(rows, columns)``.
        stride: each of them stands for so many rows.
    """

    def __init__(self, columns: _Columns, sample: NDArray[np.unsignedinteger], stride: int) -> None:
        self._columns = columns
        self._run_length_min = max(1, RUN_LENGTH_MIN // stride)
        self._row_count_min = max(2 * self._run_length_min, len(sample) >> _GROUPS_MAX_LOG2)
        self._visits_left = _VISITS_MAX * sample.size * sample.shape[1]
        self.order = self._order(sample, np.arange(sample.shape[1]), self._counts(sample))

    def _counts(self, cells: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        """How often each code is there."""
        self._visits_left -= cells.size
        return np.bincount(cells.reshape(-1), minlength=len(self._columns.bits))

    def _order(
        self, cells: NDArray[np.unsignedinteger], columns: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> _Order:
        """
        Plan the order of a group of rows.

        Args:
            cells: their codes, of shape ``(rows, columns)``.
            columns: which columns these are. By the others the rows are grouped already, or cannot be.
            counts: how often each code is in *cells*.
        """
        (candidates,) = ((counts >= self._run_length_min) & (self._columns.bits > 0)).nonzero()
        has_candidates = np.isin(columns, self._columns.column_of[candidates])
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
            step, taken_counts = self._step(code, cells[taken], columns)
            steps.append(step)
            counts = counts - taken_counts[candidates]
            is_kept = counts >= self._run_length_min
            candidates, counts, bits = candidates[is_kept], counts[is_kept], bits[is_kept]
        if len(candidates) == 0:
            return _Order(steps, None)
        saved = np.bincount(self._columns.column_of[candidates], weights=counts * bits)
        return _Order(steps, int(saved.argmax()))

    def _step(
        self, code: int, cells: NDArray[np.unsignedinteger], columns: NDArray[np.int64]
    ) -> tuple[_Step, NDArray[np.int64]]:
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

    def __init__(self, cells: NDArray[np.unsignedinteger], first: np.int64, end: np.int64) -> None:
        values = (cells - cells.dtype.type(first)).astype(np.min_scalar_type(int(end - first) - 1))  # sorts faster
        self._first = int(first)
        self._positions = np.argsort(values, kind="stable")
        self._starts = np.zeros(int(end - first) + 1, np.int64)
        np.cumsum(np.bincount(values, minlength=int(end - first)), out=self._starts[1:])

    def take(self, code: int, is_left: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Positions of the code's rows as far as they are left; from then on they are not."""
        start, end = self._starts[code - self._first : code - self._first + 2]
        positions = self._positions[start:end]
        positions = positions[is_left[positions]]
        is_left[positions] = False
        return positions


def _group(columns: _Columns, rows: NDArray[np.int64], order: _Order, groups: list[NDArray[np.int64]]) -> None:
    """Do to *rows* what was planned: append the groups that they fall into."""
    is_left = np.ones(len(rows), np.bool_)
    by_value: dict[int, _RowsByCode] = {}
    for step in order.steps:
        column = int(columns.column_of[step.code])
        if column not in by_value:
            by_value[column] = _RowsByCode(columns.cells[column][rows], *columns.first[column : column + 2])
        _group(columns, rows[by_value[column].take(step.code, is_left)], step.then, groups)
    left = rows[is_left]
    if order.last_column is not None:
        left = left[np.argsort(columns.cells[order.last_column][left], kind="stable")]
    groups.append(left)
