"""
A retail star schema: five tables with generated rows, the same ones for the same seed, and the model over them.

===========  ==========  =====================================================================================
table        rows        what is in it
===========  ==========  =====================================================================================
Date         1,096       three years from 1 January 2024; a hierarchy Year, Month, Day
Product      2,000       names with accents and hyphens, a hierarchy Category, Subcategory, Product
Store        200         towns of eight countries; a store that has not opened has no opening date
Customer     50,000      names, e-mail addresses (some have none), birth dates
Sales        1,000,000   keys of the other four, quantity, currency amounts, a discount that is mostly blank
===========  ==========  =====================================================================================

One customer in a thousand sales is not among the customers, as happens in real facts: the relationship has unmatched
keys.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SEED: Final = 20260101
SALES_ROW_COUNT: Final = 1_000_000
FIRST_DAY: Final = datetime.date(2024, 1, 1)
_DAY_COUNT: Final = 1096
_PRODUCT_COUNT: Final = 2000
_STORE_COUNT: Final = 200
_CUSTOMER_COUNT: Final = 50_000

_SUBCATEGORIES: Final[Mapping[str, Sequence[str]]] = {
    "Bikes": ("Mountain bikes", "Road bikes", "E-bikes", "Children's bikes"),
    "Clothing": ("Jerseys", "Gloves", "Caps", "T-shirts"),
    "Accessories": ("Helmets", "Lights", "Locks", "Mudguards"),
    "Café": ("Coffee", "Crème brûlée", "Pains au chocolat", "Müsli bars"),
}
_SIZES: Final = ("XS", "S", "M", "L", "XL", "48-50", "52-54", "One size")
_TOWNS: Final[Mapping[str, Sequence[str]]] = {
    "Germany": ("München", "Köln", "Berlin", "Baden-Baden"),
    "France": ("Saint-Étienne", "Paris", "Besançon", "Lyon"),
    "Spain": ("A Coruña", "Málaga", "Sevilla", "León"),
    "Poland": ("Łódź", "Kraków", "Gdańsk", "Bielsko-Biała"),
    "Sweden": ("Malmö", "Göteborg", "Örebro", "Uppsala"),
    "Ireland": ("Dún Laoghaire", "Cork", "Galway", "Dublin"),
    "Portugal": ("São João da Madeira", "Porto", "Évora", "Lisboa"),
    "Iceland": ("Reykjavík", "Akureyri", "Ísafjörður", "Húsavík"),
}
_GIVEN_NAMES: Final = (
    "Zoë", "André", "Jürgen", "Anne-Marie", "Łukasz", "Siobhán", "José", "Åsa", "Inês", "Þóra", "Jean-Luc", "Björn",
    "Małgorzata", "Niamh", "Mónica", "Günther",
)  # fmt: skip
_FAMILY_NAMES: Final = (
    "O'Brien", "Müller", "García", "Nowak", "Åström", "Lefèvre", "Gonçalves", "Jónsdóttir", "Smith-Jones", "Weiß",
    "Ó Súilleabháin", "Kowalski", "Fernández", "Dupont", "Lindqvist", "Şahin",
)  # fmt: skip
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retail:
    """The rows of the five tables, by name, in the order in which the model has them."""

    tables: Mapping[str, pa.Table]

    @property
    def value_count(self) -> int:
        """Values in all of them, blanks included."""
        return sum(table.num_rows * table.num_columns for table in self.tables.values())


def retail(*, sales_row_count: int = SALES_ROW_COUNT, seed: int = SEED) -> Retail:
    """The rows, generated."""
    random = np.random.default_rng(seed)
    products = _products(random)
    return Retail(
        {
            "Date": _dates(),
            "Product": products,
            "Store": _stores(random),
            "Customer": _customers(random),
            "Sales": _sales(random, products, sales_row_count),
        }
    )


def _dates() -> pa.Table:
    days = [FIRST_DAY + datetime.timedelta(days=number) for number in range(_DAY_COUNT)]
    return pa.table(
        {
            "Date": pa.array([datetime.datetime.combine(day, datetime.time()) for day in days], pa.timestamp("us")),
            "Year": pa.array([day.year for day in days], pa.int64()),
            "Month number": pa.array([day.month for day in days], pa.int64()),
            "Month": pa.array([_MONTHS[day.month - 1] for day in days]),
            "Weekend": pa.array([day.weekday() >= 5 for day in days]),
        }
    )


def _products(random: np.random.Generator) -> pa.Table:
    kinds = [(category, kind) for category, names in _SUBCATEGORIES.items() for kind in names]
    chosen = random.integers(len(kinds), size=_PRODUCT_COUNT)
    sizes = random.integers(len(_SIZES), size=_PRODUCT_COUNT)
    prices = random.integers(199, 400_000, size=_PRODUCT_COUNT)
    numbers = range(1, _PRODUCT_COUNT + 1)
    return pa.table(
        {
            "Product key": pa.array(numbers, pa.int64()),
            "Product": [
                f"{kinds[kind][1]} No. {number}, {_SIZES[size]}"
                for number, kind, size in zip(numbers, chosen, sizes, strict=True)
            ],
            "Category": [kinds[kind][0] for kind in chosen],
            "Subcategory": [kinds[kind][1] for kind in chosen],
            "Weight": _blank(random.uniform(0.05, 25, _PRODUCT_COUNT).round(3), random, share=0.1),
            "List price": _currency(prices * 100),
        }
    )


def _stores(random: np.random.Generator) -> pa.Table:
    towns = [(country, town) for country, names in _TOWNS.items() for town in names]
    numbers = range(1, _STORE_COUNT + 1)
    opened = np.datetime64("2005-03-01", "us") + random.integers(0, 7000, _STORE_COUNT).astype("timedelta64[D]")
    return pa.table(
        {
            "Store key": pa.array(numbers, pa.int64()),
            "Store": [f"{towns[number % len(towns)][1]} {number}" for number in numbers],
            "Town": [towns[number % len(towns)][1] for number in numbers],
            "Country": [towns[number % len(towns)][0] for number in numbers],
            "Opened": _blank(opened, random, share=0.05),
        }
    )


def _customers(random: np.random.Generator) -> pa.Table:
    given = random.integers(len(_GIVEN_NAMES), size=_CUSTOMER_COUNT)
    family = random.integers(len(_FAMILY_NAMES), size=_CUSTOMER_COUNT)
    born = np.datetime64("1945-01-01", "us") + random.integers(0, 22_000, _CUSTOMER_COUNT).astype("timedelta64[D]")
    addresses = np.array([f"customer{number:05}@example.com" for number in range(1, _CUSTOMER_COUNT + 1)])
    return pa.table(
        {
            "Customer key": pa.array(np.arange(1, _CUSTOMER_COUNT + 1)),
            "Customer": [f"{_GIVEN_NAMES[one]} {_FAMILY_NAMES[two]}" for one, two in zip(given, family, strict=True)],
            "E-mail": _blank(addresses, random, share=0.2),
            "Born": _blank(born, random, share=0.3),
        }
    )


def _sales(random: np.random.Generator, products: pa.Table, row_count: int) -> pa.Table:
    """In the order of their days, as facts arrive."""
    days = np.sort(random.integers(_DAY_COUNT, size=row_count))
    product_keys = 1 + (_PRODUCT_COUNT * random.power(2.5, row_count)).astype(np.int64) % _PRODUCT_COUNT
    customer_keys = random.integers(1, _CUSTOMER_COUNT + 1, row_count)
    customer_keys[random.random(row_count) < 0.001] = _CUSTOMER_COUNT + 1
    quantities = 1 + random.poisson(0.7, row_count)
    list_prices = _ten_thousandths(products["List price"])
    rebates = random.choice([100, 100, 100, 95, 90, 80], row_count)
    amounts = list_prices[product_keys - 1] * quantities * rebates // 100
    return pa.table(
        {
            "Date": pa.array(np.datetime64(FIRST_DAY, "us") + days.astype("timedelta64[D]")),
            "Product key": product_keys,
            "Store key": 1 + (random.integers(0, _STORE_COUNT * 40, row_count) // 40),
            "Customer key": customer_keys,
            "Quantity": quantities,
            "Amount": _currency(amounts),
            "Discount": pa.array((100 - rebates) / 100, mask=rebates == 100),
        }
    )


def _currency(ten_thousandths: NDArray[np.int64]) -> pa.Array:
    """decimal(19, 4): 128-bit numbers of ten-thousandths."""
    words = np.stack([ten_thousandths, ten_thousandths >> 63], axis=1)
    return pa.Array.from_buffers(pa.decimal128(19, 4), len(ten_thousandths), [None, pa.py_buffer(words.tobytes())])


def _ten_thousandths(amounts: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.frombuffer(amounts.combine_chunks().buffers()[1], np.int64)[::2]


def _blank(values: NDArray[Any], random: np.random.Generator, *, share: float) -> pa.Array:
    """The values, about *share* of them blank."""
    return pa.array(values, mask=random.random(len(values)) < share)


def retail_model(partition_source: Callable[[str], Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """
    The model over the tables, as the ``model`` of TMSL.

    Args:
        partition_source: gives the ``source`` of the one partition of a table.
        more: further members, such as ``dataSources``.
    """
    return {
        "culture": "en-US",
        **more,
        "tables": [_table(name, partition_source(name)) for name in _COLUMNS],
        "relationships": [
            {"name": f"Sales to {table}", "fromTable": "Sales", "fromColumn": key, "toTable": table, "toColumn": key}
            for table, key in _KEYS.items()
        ],
        "roles": [
            {"name": "Managers", "modelPermission": "read"},
            {"name": "Operators", "modelPermission": "readRefresh"},
            {
                "name": "Germany only",
                "modelPermission": "read",
                "tablePermissions": [{"name": "Store", "filterExpression": 'Store[Country] = "Germany"'}],
            },
        ],
    }


def _table(name: str, source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "columns": [
            {"name": column, "dataType": data_type, "sourceColumn": column, **_DETAILS.get((name, column), {})}
            for column, data_type in _COLUMNS[name].items()
        ],
        "partitions": [{"name": name, "mode": "import", "source": dict(source)}],
        **_MEMBERS.get(name, {}),
    }


_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "Date": {"Date": "dateTime", "Year": "int64", "Month number": "int64", "Month": "string", "Weekend": "boolean"},
    "Product": {
        "Product key": "int64",
        "Product": "string",
        "Category": "string",
        "Subcategory": "string",
        "Weight": "double",
        "List price": "decimal",
    },
    "Store": {"Store key": "int64", "Store": "string", "Town": "string", "Country": "string", "Opened": "dateTime"},
    "Customer": {"Customer key": "int64", "Customer": "string", "E-mail": "string", "Born": "dateTime"},
    "Sales": {
        "Date": "dateTime",
        "Product key": "int64",
        "Store key": "int64",
        "Customer key": "int64",
        "Quantity": "int64",
        "Amount": "decimal",
        "Discount": "double",
    },
}

_KEYS: Final[Mapping[str, str]] = {
    "Date": "Date",
    "Product": "Product key",
    "Store": "Store key",
    "Customer": "Customer key",
}

_HIDDEN_KEY: Final[Mapping[str, Any]] = {"isHidden": True, "summarizeBy": "none"}

_DETAILS: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("Date", "Date"): {"isKey": True, "formatString": "yyyy-mm-dd"},
    ("Date", "Month"): {"sortByColumn": "Month number"},
    ("Product", "Product key"): {"isKey": True, **_HIDDEN_KEY},
    ("Store", "Store key"): {"isKey": True, **_HIDDEN_KEY},
    ("Customer", "Customer key"): {"isKey": True, **_HIDDEN_KEY},
    ("Sales", "Product key"): _HIDDEN_KEY,
    ("Sales", "Store key"): _HIDDEN_KEY,
    ("Sales", "Customer key"): _HIDDEN_KEY,
}


def _hierarchy(name: str, *levels: str) -> dict[str, Any]:
    return {
        "name": name,
        "levels": [{"name": level, "ordinal": ordinal, "column": level} for ordinal, level in enumerate(levels)],
    }


_MEMBERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Date": {"dataCategory": "Time", "hierarchies": [_hierarchy("Calendar", "Year", "Month", "Date")]},
    "Product": {"hierarchies": [_hierarchy("Products", "Category", "Subcategory", "Product")]},
    "Store": {"hierarchies": [_hierarchy("Places", "Country", "Town", "Store")]},
    "Sales": {
        "measures": [
            {"name": "Total amount", "expression": "SUM ( Sales[Amount] )", "formatString": "#,0.00"},
            {"name": "Pieces", "expression": "SUM ( Sales[Quantity] )", "formatString": "#,0"},
            {"name": "Amount per piece", "expression": "DIVIDE ( [Total amount], [Pieces] )"},
        ]
    },
}
