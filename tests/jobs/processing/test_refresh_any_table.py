"""
Any table of any types, loaded and backed up: its rows come back, and another reader finds the same ones in the file.

The other reader (pbixray) rounds whole numbers over 2^53 and takes odd dates its own way; those are asked of ours
alone, in the tests of the encoder.
"""

from __future__ import annotations

import datetime
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refreshes import differences, parquet_partition, shop, table_of

VALUES = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    pa.binary(): st.binary(min_size=1, max_size=40),
    pa.int64(): st.one_of(st.integers(-5, 5), st.integers(-(2**50), 2**50), st.sampled_from([100, 2000, 10**12])),
    pa.bool_(): st.booleans(),
    pa.decimal128(19, 4): st.integers(-(2**50), 2**50).map(lambda number: Decimal(number).scaleb(-4)),
    pa.float64(): st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.integers(-1000, 1000).map(lambda cents: cents / 100)
    ),
    pa.timestamp("us"): st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2078, 12, 31)).map(  # noqa: DTZ001 - a model's dateTime has no zone
        lambda moment: moment.replace(microsecond=0)
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """One to four columns; rows repeat, so that there are runs and dictionaries."""
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(*(st.none() | VALUES[kind] for kind in types)), max_size=12))
    repeated = draw(st.lists(st.sampled_from(rows), max_size=20)) if rows else []
    times = draw(st.sampled_from([1, 7, 64]))
    cells = list(zip(*(repeated * times + rows), strict=True)) or [()] * len(types)
    return pa.table({f"c{i}": pa.array(cells[i], kind) for i, kind in enumerate(types)})


def folded(rows: pa.Table) -> pa.Table:
    """
    Texts by their ASCII letters in one case: spellings that the collation holds equal are one value.

    Doubles without the sign of zero, which a dictionary does not keep.
    """
    small = str.maketrans({chr(letter): chr(letter + 32) for letter in range(ord("A"), ord("Z") + 1)})
    columns = []
    for one in rows.columns:
        cells = one.to_pylist()
        if pa.types.is_string(one.type):
            cells = [None if cell is None else cell.translate(small) for cell in cells]
        elif pa.types.is_float64(one.type):
            cells = [None if cell is None else cell + 0.0 for cell in cells]
        columns.append(pa.array(cells, one.type))
    return pa.table(columns, names=rows.column_names)


@given(rows=tables())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_table_comes_back_from_the_database_and_in_another_reader_of_its_backup(rows: pa.Table) -> None:
    with tempfile.TemporaryDirectory() as folder, shop(Path(folder)) as made:
        partition = parquet_partition("All", made.files / "rows.parquet", rows)
        made.create(table_of("T", rows, partition))
        made.refresh()
        assert differences(folded(made.rows("T")), folded(rows)) == 0
        made.check()
