"""
Data types of calculated columns that leave theirs to the engine.

``Column.InferredDataType`` is what their expression yields. The formula language is none of the model's business: the
caller brings what tells a type from an expression. What it cannot tell stays unknown, and such a column gets no
storage until an engine has calculated it. Values that an engine calculated keep the type they have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from tabvault.model.changes.storage import data_type
from tabvault.model.changes.values import tables_with_rows
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.objects import ColumnType, DataType

if TYPE_CHECKING:
    from tabvault.model.changes.application import Application
    from tabvault.model.sqlite_file import Value

ColumnDataType: TypeAlias = Callable[[str | None, str], int | None]
"""The data type that a reference has, by the name of its table and of its column; None for what is no column of it."""

Infer: TypeAlias = Callable[[str, ColumnDataType], int]
"""The data type of an expression; :attr:`DataType.UNKNOWN` where it cannot be told."""

_PASS_COUNT_MAX: Final = 16
"""Columns whose expressions build on each other more often than this may stay unknown."""

_LEFT_TO_THE_ENGINE: Final = (None, 0, DataType.AUTOMATIC, DataType.UNKNOWN)


def set_inferred_types(application: Application, infer: Infer) -> None:
    """Infer the types in the tables whose columns changed, as far as nothing is stored with another one."""
    rows, names = application.rows, application.names
    filled = tables_with_rows(rows, without=frozenset())
    measures = {names.fold(str(row["Name"])) for row in rows["Measure"].values()}
    columns: dict[Value, dict[str, int]] = {table_id: {} for table_id in application.incomplete_tables}
    for row_id, row in rows["Column"].items():
        if row["TableID"] in columns and row["Type"] != ColumnType.ROW_NUMBER:
            name = names.key(OBJECT_TYPES["Column"], row_id)
            columns[row["TableID"]][names.fold(name or "")] = row_id
    for table_id, by_name in columns.items():
        open_ids = [
            row_id
            for row_id in by_name.values()
            if rows["Column"][row_id]["Type"] == ColumnType.CALCULATED
            and rows["Column"][row_id]["ExplicitDataType"] in _LEFT_TO_THE_ENGINE
            and (table_id not in filled or not rows["Column"][row_id]["ColumnStorageID"])
        ]
        if not open_ids:
            continue
        assert isinstance(table_id, int), "ids of tables are asked for above"
        table_name = names.fold(str(rows["Table"][table_id]["Name"]))

        def column_type(
            table: str | None, column: str, *, own: str = table_name, by_name: dict[str, int] = by_name
        ) -> int | None:
            folded = names.fold(column)
            if folded not in by_name or (folded in measures if table is None else names.fold(table) != own):
                return None
            return data_type(rows["Column"][by_name[folded]])

        for _ in range(_PASS_COUNT_MAX):
            if not [row_id for row_id in open_ids if _is_changed(application, row_id, infer, column_type)]:
                break


def _is_changed(application: Application, column_id: int, infer: Infer, column_type: ColumnDataType) -> bool:
    """Infer the type of one column; whether it is another one than before."""
    row = application.rows["Column"][column_id]
    found = infer(str(row["Expression"] or ""), column_type)
    if found in (DataType.UNKNOWN, row["InferredDataType"]):
        return False
    application.drop_values(column_id)
    application.rows.update("Column", column_id, {"InferredDataType": found})
    return True
