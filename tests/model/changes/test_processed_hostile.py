"""Into damaged metadata nothing is written, or it is written: never anything else."""

from __future__ import annotations

import sqlite3
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from model.changes.model_changes import NOW, rows_of
from model.changes.processed_values import GenuineProcessing
from model.changes.test_hostile_metadata_changed import STRANGE, cells, damaged, rows
from model.genuine import SMALL, genuine_files, genuine_metadata
from tabvault.errors import ConsistencyError, ModelError, TabvaultError
from tabvault.model.changes.processed_storage import write_processed


@cache
def processed():
    return GenuineProcessing(genuine_metadata(SMALL), genuine_files(SMALL).read).processed()


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_any_cell_may_hold_anything(data):
    any_id = st.sampled_from([row_id for found in rows().values() for row_id in found])
    statements = []
    for _ in range(data.draw(st.integers(1, 3))):
        table, column = data.draw(st.sampled_from(cells()))
        row_id = data.draw(st.sampled_from(sorted(rows()[table])))
        value = data.draw(st.one_of(STRANGE, any_id))
        statements.append((f'UPDATE OR IGNORE "{table}" SET "{column}" = ? WHERE "ID" = ?', (value, row_id)))
    try:
        content = damaged(*statements)
    except sqlite3.Error:
        return  # an id that is no number
    try:
        outcome = write_processed(content, processed(), now=NOW)
    except TabvaultError:
        return
    assert rows_of(outcome.content)["Table"]


def test_a_whole_column_of_nothing_is_refused_or_not_needed():
    outcomes = set()
    for table, column in cells():
        if table.endswith(("Storage", "Folder", "File")) and column != "ID":
            try:
                write_processed(damaged((f'UPDATE "{table}" SET "{column}" = NULL', ())), processed(), now=NOW)
            except (ModelError, ConsistencyError) as error:
                outcomes.add(type(error))
            else:
                outcomes.add(None)
    assert outcomes == {ModelError, ConsistencyError, None}
