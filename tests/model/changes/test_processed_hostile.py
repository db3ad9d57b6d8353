"""Into damaged metadata nothing is written, or it is written: never anything else."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings

from model.changes.damaged_metadata import cells, damaged, with_strange_cells
from model.changes.model_changes import NOW, rows_of
from model.changes.processed_values import GenuineProcessing
from model.genuine import SMALL, genuine_files, genuine_metadata
from tabvault.errors import ConsistencyError, ModelError, TabvaultError
from tabvault.model.changes.processed_storage import write_processed


@cache
def processed():
    return GenuineProcessing(genuine_metadata(SMALL), genuine_files(SMALL).read).processed()


@settings(deadline=None, max_examples=80)
@given(with_strange_cells())
def test_any_cell_may_hold_anything(content):
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
