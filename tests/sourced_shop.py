"""A model of two tables whose rows come from files: orders of a SQLite file, and regions of a CSV file."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ORDER_COUNT = 1000


def definition(folder: Path, name: str) -> dict:
    """Orders of a SQLite file in two partitions, regions of a CSV file."""
    orders = "SELECT id, region, amount FROM orders WHERE id"
    csv = (
        f'let Source = Csv.Document(File.Contents("{folder / "region.csv"}"), [Delimiter=",", Encoding=65001]), '
        "Regions = Table.PromoteHeaders(Source, [PromoteAllScalars=true]) in Regions"
    )
    return {
        "name": name,
        "compatibilityLevel": 1550,
        "model": {
            "culture": "en-US",
            "dataSources": [
                {
                    "name": "Warehouse",
                    "connectionString": f"Data Source={folder / 'shop.db'}",
                    "impersonationMode": "impersonateServiceAccount",
                    "provider": "SQLite",
                }
            ],
            "tables": [
                {
                    "name": "Orders",
                    "columns": [
                        {"name": "Id", "dataType": "int64", "sourceColumn": "id"},
                        {"name": "Region", "dataType": "string", "sourceColumn": "region"},
                        {"name": "Amount", "dataType": "double", "sourceColumn": "amount"},
                    ],
                    "partitions": [
                        {
                            "name": part,
                            "source": {"type": "query", "query": f"{orders} {rule}", "dataSource": "Warehouse"},
                        }
                        for part, rule in (("early", "< 600"), ("late", ">= 600"))
                    ],
                },
                {
                    "name": "Region",
                    "columns": [
                        {"name": "Region", "dataType": "string", "sourceColumn": "Region"},
                        {"name": "Manager", "dataType": "string", "sourceColumn": "Manager"},
                    ],
                    "partitions": [{"name": "Region", "mode": "import", "source": {"type": "m", "expression": csv}}],
                },
            ],
            "relationships": [
                {
                    "name": "orders to region",
                    "fromTable": "Orders",
                    "fromColumn": "Region",
                    "toTable": "Region",
                    "toColumn": "Region",
                }
            ],
        },
    }


def write_sources(folder: Path) -> None:
    """Write the two files into *folder*."""
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER, region TEXT, amount REAL)")
        rows = [(number, ["North", "South"][number % 2], number / 4) for number in range(ORDER_COUNT)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    (folder / "region.csv").write_text("Region,Manager\nNorth,Ann\nSouth,Bob\n")


def orders(*, changed: Callable[[float], float] = lambda amount: amount) -> list[tuple]:
    return [(number, ["North", "South"][number % 2], changed(number / 4)) for number in range(ORDER_COUNT)]
