"""Tables for queries, and the asking."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa

from tabvault.engine.sql import query_sql

D = Decimal
DAY = datetime.datetime


class Recorded:
    """A lazy table over one in memory that notes what is read of it."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.schema = table.schema
        self.reads: list[tuple[str, ...]] = []

    def read(self, columns):
        self.reads.append(tuple(columns))
        return self.table.select(list(columns))


def sales() -> Recorded:
    """Every type and encoding that a decoded column can have, NULLs in each."""
    return Recorded(
        pa.table(
            {
                "Region": pa.array(["North", "South", None, "North", "East"]).dictionary_encode(),
                "Units": pa.array([3, None, 5, 0, -7]).dictionary_encode(),
                "Price": pa.array(
                    [D("1.5000"), D("-0.0001"), None, D("922337203685477.5807"), D(0)], pa.decimal128(19, 4)
                ),
                "Day": pa.array(
                    [DAY(2020, 1, 1), None, DAY(1899, 12, 30), DAY(2020, 1, 1, 12), DAY(9999, 12, 31)],
                    pa.timestamp("us"),
                ),
                "Factor": pa.array([0.5, float("nan"), None, -0.0, float("inf")]).dictionary_encode(),
                "Open": pa.array([True, False, None, True, False]),
                "Raw": pa.array([b"a", b"", None, b"\0\xff", b"a"]).dictionary_encode(),
                "Sum": pa.array([D("1.5"), D(2), None, D("1.5"), D(2)], pa.decimal128(19, 4)).dictionary_encode(),
                "When": pa.array([DAY(2020, 1, 1), None, DAY(2021, 1, 1), DAY(2020, 1, 1), None]).dictionary_encode(),
            }
        )
    )


def ask(text, tables=None, **options):
    with query_sql(text, {"Sales": sales()} if tables is None else tables, **options) as result:
        return [tuple(row.values()) for row in result.read_all().to_pylist()]
