"""Databases made from TMSL in a data folder of their own and refreshed, and what other readers find in them then."""

from __future__ import annotations

import base64
import contextlib
import datetime
import sqlite3
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pbixray import PBIXRay
from refresh_models import column, m_partition, table

from tabvault.jobs.alteration import Alteration
from tabvault.jobs.creation import create_database
from tabvault.jobs.processing.refresh import refresh_database
from tabvault.jobs.processing.request import RefreshKind, RefreshRequest, RefreshTarget
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.jobs.vault import Vault
from tabvault.model.changes.tree_changes import ExistingObjects, create_changes
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.tmsl.parse import object_tree
from tabvault.storage.server_state.source_folders import allow_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from tabvault.jobs.processing.result import RefreshResult
    from tabvault.jobs.progress import Progress

ROW_NUMBER = "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61"
TYPES = {
    pa.string(): "string",
    pa.int64(): "int64",
    pa.float64(): "double",
    pa.decimal128(19, 4): "decimal",
    pa.timestamp("us"): "dateTime",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
}
"""What a column of a model is that takes such values as they are."""


class Shop:
    """
    A data folder with one database, ``shop``, and a folder for source files that may be read.

    Attributes:
        vault: the data folder.
        files: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.vault = Vault(folder / "data")
        self.files = folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        _ = self.vault.own_folder  # makes the data folder
        allow_folder(self.vault.data, self.files)

    def create(self, *tables: dict[str, Any], level: int = 1550, **more: Any) -> None:
        """Make the database."""
        tree = object_tree("Model", {"tables": list(tables), **more}, place="model")
        create_database(self.vault.own_folder, "shop", compatibility_level=level, model=tree)

    def add(self, type_name: str, given: dict[str, Any], owner: str | None = None) -> None:
        """Add an object, in the words of TMSL, to the model or to the table *owner*."""
        tree = object_tree(type_name, given, place="object", **({"owners": {"Table": owner}} if owner else {}))
        at = {"owner_type": "Table", "owner": {"Table": owner}} if owner else {}
        with Alteration(self.vault.own_folder, "shop") as alteration:
            alteration.change(create_changes(tree, **at))
            alteration.commit()

    def read_from(self, table: str, partition: str, expression: str) -> None:
        """Let a partition have another M expression."""
        given = {"name": partition, "source": {"type": "m", "expression": expression}}
        tree = object_tree("Partition", given, place="partition", owners={"Table": table})
        with Alteration(self.vault.own_folder, "shop") as alteration:
            with alteration.metadata() as metadata:
                changes = ExistingObjects(metadata).alter_changes(tree, {"Table": table, "Partition": partition})
            alteration.change(changes)
            alteration.commit()

    def refresh(
        self,
        kind: str = "full",
        *targets: str | tuple[str, str],
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> RefreshResult:
        """Refresh the database, or the tables and partitions that are named."""
        named = tuple(RefreshTarget(*((one,) if isinstance(one, str) else one)) for one in targets)
        return refresh_database(
            self.vault.own_folder,
            "shop",
            RefreshRequest(RefreshKind(kind), named, **options),
            self.access,
            progress=progress,
        )

    def access(self, info: Any) -> SourceAccess:
        """What the sources may be asked with."""
        return SourceAccess(self.vault.data, info.id)

    def rows(self, name: str) -> pa.Table:
        """The rows of a table, without dictionaries."""
        with self.vault.open("shop") as opened:
            return plain(next(one for one in opened.tables if one.name == name).to_arrow())

    def cells(self, table_name: str, *names: str) -> list[tuple[Any, ...]]:
        """Cells of a table of the metadata, as SQLite reads them; without what belongs to system tables."""
        with self.vault.folder.read("shop") as version:
            connection = sqlite3.connect(f"file:{version.path(METADATA_FILE)}?mode=ro", uri=True)
            with contextlib.closing(connection):
                chosen = ", ".join(f'"{name}"' for name in names)
                where = " WHERE SystemFlags = 0" if table_name in ("Table", "Partition") else ""
                return list(connection.execute(f'SELECT {chosen} FROM "{table_name}"{where} ORDER BY 1'))

    def version(self) -> int:
        """Of the database."""
        return self.vault.folder.find("shop").version

    def staging(self) -> list[str]:
        """What lies in the staging folder."""
        return [path.name for path in (self.vault.data / "staging").iterdir()]

    def check(self) -> None:
        """
        `verify` finds nothing wrong, and another reader the same values in a backup as ours in the database.

        The other reader finds files by their names without the folder: of a table whose partitions were processed
        together it reads one partition several times, and such a table is left to the source's own rows.
        """
        report = self.vault.verify("shop")
        assert report.ok, [condition for condition in report.conditions if condition.severity != "OK"]
        self.vault.backup("shop", "check.abf", overwrite=True)
        peer = PBIXRay(str(self.vault.data / "storage/backups/check.abf"))
        with self.vault.folder.read("shop") as version:
            file_names = Counter(name.rpartition("\\")[2] for name in version.names() if name.endswith(".idf"))
        with self.vault.open("shop") as opened:
            for one in opened.tables:
                if any(file_names[name] > 1 for name in file_names if f".{one.name} (" in name):
                    continue
                ours = plain(one.to_arrow())
                if ours.num_rows == 0:
                    continue  # of which the other reader knows no columns either
                theirs = peer.get_table(one.name)
                assert set(ours.column_names) == set(theirs.columns) - {ROW_NUMBER}, one.name
                for name in ours.column_names:
                    assert_equal(ours.column(name), theirs[name], f"{one.name}[{name}]")


@contextlib.contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """A new one, or the one that is there."""
    made = Shop(folder)
    with made.vault:
        yield made


def plain(rows: pa.Table) -> pa.Table:
    """Without dictionaries."""
    columns = [one.cast(one.type.value_type) if pa.types.is_dictionary(one.type) else one for one in rows.columns]
    return pa.table(columns, names=rows.column_names)


def differences(ours: pa.Table, truth: pa.Table) -> int:
    """How many rows one has and the other has not, as DuckDB counts them; the order does not matter."""
    connection = duckdb.connect()
    connection.register("ours", ours)
    connection.register("truth", truth.select(ours.column_names))
    query = "SELECT count(*) FROM ((FROM ours EXCEPT ALL FROM truth) UNION ALL (FROM truth EXCEPT ALL FROM ours))"
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0])


def assert_equal(ours: pa.ChunkedArray, theirs: pd.Series[Any], place: str) -> None:
    """A column as pbixray reads it. It reads a value-encoded column that has no ``.hidx`` file as nulls alone."""
    assert len(ours) == len(theirs), place
    if len(ours) == 0 or theirs.isna().all():
        return
    if pa.types.is_boolean(ours.type) or pa.types.is_binary(ours.type):  # it takes BLANK for true, and for b"nan"
        theirs = theirs.where(~ours.is_null().to_numpy())
    assert np.array_equal(ours.is_null().to_numpy(), theirs.isna().to_numpy()), place
    left, right = ours.drop_null(), theirs[theirs.notna()]
    if pa.types.is_timestamp(left.type):
        moments = right.astype("datetime64[ns]").dt.round("us").astype("datetime64[us]")
        assert left.to_pylist() == [moment.to_pydatetime() for moment in moments], place
    elif pa.types.is_decimal(left.type):
        assert left.to_pylist() == [Decimal(value) for value in right], place
    elif pa.types.is_binary(left.type):
        assert left.to_pylist() == [base64.b64decode(text) for text in right], place
    else:
        assert left.to_pylist() == [left.type.to_pandas_dtype()(one) for one in right], place


def table_of(
    name: str,
    rows: pa.Table,
    *partitions: dict[str, Any],
    details: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A table with the columns of *rows*."""
    columns = [column(field.name, TYPES[field.type], **(details or {}).get(field.name, {})) for field in rows.schema]
    return table(name, *columns, partitions=partitions, **more)


def parquet_partition(name: str, path: Path, rows: pa.Table | None = None) -> dict[str, Any]:
    """A partition that reads a Parquet file by M; made here, if *rows* are given."""
    if rows is not None:
        pq.write_table(rows, path)
    return m_partition(name, f'let Source = Parquet.Document(File.Contents("{path}")) in Source')


def all_types(row_count: int, *, first: int = 0) -> pa.Table:
    """A column of each type, with nulls, spellings, signs and extremes."""
    start = datetime.datetime(2020, 2, 28, 23, 59, 58)  # noqa: DTZ001 - a model's dateTime has no zone
    numbers = range(first, first + row_count)
    texts = ("Łódź", "São-João", "", "a\u0301", "𝄞", "O'Brien")
    columns = {
        "Key": pa.array(numbers, pa.int64()),
        "Text": pa.array([None if n % 7 == 6 else f"{texts[n % 6]} {n % 50}" for n in numbers], pa.string()),
        "Empty": pa.array(["" if n % 2 else None for n in numbers], pa.string()),
        "Whole": pa.array([None if n % 5 == 0 else (n * 1_000_003) % 2**50 - 2**49 for n in numbers], pa.int64()),
        "Real": pa.array([None if n % 11 == 0 else n / 7 - 3 for n in numbers], pa.float64()),
        "Money": pa.array([None if n % 9 == 0 else Decimal(n * 37 - 900) / 10_000 for n in numbers],
                          pa.decimal128(19, 4)),
        "Moment": pa.array([None if n % 8 == 0 else start + datetime.timedelta(minutes=n, microseconds=n * 10)
                            for n in numbers], pa.timestamp("us")),
        "Flag": pa.array([None if n % 3 == 0 else n % 2 == 0 for n in numbers], pa.bool_()),
        "Octets": pa.array([None if n % 4 == 0 else bytes([n % 256, 0, 255]) * (n % 40) for n in numbers],
                           pa.binary()),
        "Never": pa.array([None] * row_count, pa.string()),
    }  # fmt: skip
    return pa.table(columns)
