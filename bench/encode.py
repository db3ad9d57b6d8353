"""
Encoding tables: rows per second and size beside Parquet and pbix-mcp, size beside the engine's own, peak memory.

``python -m bench.encode 20000000 DIR`` encodes so many generated rows and ends: the process whose memory is measured.
"""

from __future__ import annotations

import functools
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import tabvault
from bench.measure import Command, run_once
from tabvault.engine.collation.collation import Collation
from tabvault.engine.encoder.specification import ColumnSpecification, TableSpecification
from tabvault.engine.encoder.table_encoder import TableEncoder
from tabvault.errors import UnsupportedFeatureError, XmlMetadataError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tabvault.engine.encoder.table_encoder import EncodedTable

ROUNDS = 5
ROW_COUNT = 1 << 20
MEMORY_ROW_COUNT = 20_000_000
BATCH_ROW_COUNT = 1 << 16

_DATA_TYPES = {
    pa.string(): DataType.STRING,
    pa.binary(): DataType.BINARY,
    pa.int64(): DataType.INT64,
    pa.bool_(): DataType.BOOLEAN,
    pa.decimal128(19, 4): DataType.DECIMAL,
    pa.float64(): DataType.DOUBLE,
    pa.timestamp("us"): DataType.DATETIME,
}
_PEER_TYPES = {"order": "Int64", "customer": "Int64", "date": "DateTime", "product": "Int64", "store": "String"} | {
    "channel": "String",
    "promotion": "Int64",
    "quantity": "Int64",
    "price": "Float64",
    "amount": "Float64",
}


def sales(row_count: int, *, first_row: int = 0, seed: int = 0) -> pa.Table:
    """Rows of a fact table: keys of uneven frequency, dates, texts, prices; in the order of the orders."""
    random = np.random.default_rng((seed, first_row))
    product, store = _uneven(random, 2_000, row_count), _uneven(random, 50, row_count)
    quantity = random.integers(1, 11, row_count)
    price = np.round(np.exp(np.random.default_rng(seed).normal(3, 1, 2_000)), 2)[product]
    day = random.integers(18_000, 19_461, row_count)
    names, channels = pa.array([f"Store {n}" for n in range(50)]), pa.array(["web", "shop", "phone", "other"])
    return pa.table(
        {
            "order": (np.arange(row_count) + first_row) // 3,
            "customer": _uneven(random, 50_000, row_count),
            "date": pa.array(day * 86_400_000_000, pa.timestamp("us")),
            "product": product,
            "store": names.take(pa.array(store)),
            "channel": channels.take(pa.array(random.integers(0, 4, row_count))),
            "promotion": _uneven(random, 20, row_count),
            "quantity": quantity,
            "price": price,
            "amount": np.round(price * quantity, 2),
        }
    )


@functools.cache
def _chances(count: int) -> np.ndarray:
    chances = 1 / np.arange(1, count + 1)
    return np.cumsum(chances / chances.sum())


def _uneven(random: np.random.Generator, count: int, row_count: int) -> np.ndarray:
    """Numbers below *count*, the n-th of which is n times as rare as the first."""
    return np.searchsorted(_chances(count), random.random(row_count)).clip(max=count - 1).astype(np.int64)


def encode(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, scratch: Path, related: frozenset[str] = frozenset()
) -> tuple[int, int]:
    """Bytes of the segments and of the dictionaries."""
    columns = tuple(
        ColumnSpecification(index, field.name, _DATA_TYPES[field.type], needs_dictionary=field.name in related)
        for index, field in enumerate(schema)
    )
    collation = Collation.of(None, 1033)
    with TableEncoder(
        TableSpecification(0, -1, columns, (1,)),
        equality_keys=collation.equality_keys,
        scratch=lambda: tempfile.TemporaryFile(dir=scratch),
    ) as encoder:
        writer = encoder.begin_partition(1)
        for batch in batches:
            writer.write(batch)
        writer.close()
        return _byte_counts(encoder.finish())


def _byte_counts(encoded: EncodedTable) -> tuple[int, int]:
    bodies = [column.dictionary.body for column in encoded.columns]
    segments = sum(part.idf.byte_count for column in encoded.columns for part in column.segments.values())
    return segments, sum(body.byte_count for body in bodies if body)


def _parquet(rows: pa.Table) -> int:
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    return sink.tell()


def _peer(columns: list[dict[str, object]], rows: list[dict[str, object]]) -> None:
    """The one public function of pbix-mcp that encodes a table; it takes rows as dicts."""
    from pbix_mcp.formats.vertipaq_encoder import encode_table_data

    encode_table_data("Sales", 1, columns, rows)


class _Seconds(NamedTuple):
    """Medians: on the clock, and of the processor (of all threads)."""

    elapsed: float
    processor: float


def _seconds(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[_Seconds]:
    """The functions take turns, after one round that does not count if there are several."""
    seen: list[list[tuple[float, float]]] = [[] for _ in functions]
    for _ in range(rounds + (rounds > 1)):
        for function, seconds in zip(functions, seen, strict=True):
            begun, begun_processor = time.perf_counter(), time.process_time()
            function()
            seconds.append((time.perf_counter() - begun, time.process_time() - begun_processor))
    return [_Seconds(*map(statistics.median, zip(*seconds[rounds > 1 :], strict=True))) for seconds in seen]


def speed(scratch: Path) -> list[str]:
    """
    Rows per second and bytes of a generated table: the same rows for everybody, in the form that each takes.

    The peer does not order rows, so its segments are not compared by size; instead it writes a ``.hidx`` file for each
    column, which tabvault does later, with the hierarchies.
    """
    rows = sales(ROW_COUNT)
    ours, parquet = _seconds(
        lambda: encode(rows.to_batches(BATCH_ROW_COUNT), rows.schema, scratch), lambda: _parquet(rows)
    )
    columns = [{"name": name, "data_type": _PEER_TYPES[name], "nullable": False} for name in rows.column_names]
    dicts = rows.to_pylist()
    (peer,) = _seconds(lambda: _peer(columns, dicts), rounds=1)
    byte_count, parquet_byte_count = sum(encode(rows.to_batches(), rows.schema, scratch)), _parquet(rows)
    size = f"{parquet_byte_count:,} | {byte_count / parquet_byte_count:.2f} x |"
    return [
        f"{ROW_COUNT:,} rows. *Processor*: the same, of all threads together, whoever else uses the machine.",
        "",
        "| encoder | thousand rows/s | tabvault's speed beside it | processor | bytes | tabvault's size beside it |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| tabvault | {ROW_COUNT / ours.elapsed / 1e3:,.0f} | | | {byte_count:,} | |",
        f"| pyarrow, Parquet/zstd | {_beside(ours, parquet)} | {size}",
        f"| pbix-mcp | {_beside(ours, peer)} | | |",
    ]


def _beside(ours: _Seconds, other: _Seconds) -> str:
    ratios = f"{other.elapsed / ours.elapsed:.2f} x | {other.processor / ours.processor:.2f} x"
    return f"{ROW_COUNT / other.elapsed / 1e3:,.0f} | {ratios}"


def sizes(samples: Path, scratch: Path) -> list[str]:
    """Genuine tables with their rows shuffled and encoded again, beside the engine's own segments."""
    lines = [
        "| sample | tables | rows | engine's .idf bytes | tabvault's | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    engine_total = ours_total = 0
    for path in sorted(path for path in samples.iterdir() if path.suffix in {".pbix", ".abf", ".bin"}):
        try:
            tables, rows, engine, ours = _again(path, scratch)
        except UnsupportedFeatureError:  # no model, or one whose metadata are XML
            continue
        engine_total, ours_total = engine_total + engine, ours_total + ours
        if engine >= 100_000:
            title = path.name.partition("__")[2].replace("_", " ")
            lines.append(f"| {title} | {tables} | {rows:,} | {engine:,} | {ours:,} | {ours / engine:.3f} x |")
    lines.append(f"| all | | | {engine_total:,} | {ours_total:,} | {ours_total / engine_total:.3f} x |")
    return lines


def _again(path: Path, scratch: Path) -> tuple[int, int, int, int]:
    """How many tables and rows a file has, and the bytes of their segments as they are and as we make them."""
    with open_backup(MemorySource(path.read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        if METADATA_FILE not in files.names():
            raise XmlMetadataError("metadata are XML")
        with Metadata.from_bytes(bytes(files.read(METADATA_FILE))) as metadata:
            model = load_model(metadata)
        related_ids = {r.from_column_id for r in model.relationships} | {r.to_column_id for r in model.relationships}
        table_count = row_count = engine = ours = 0
        with tabvault.open(path) as database:
            for table, stored in zip(database.tables, model.tables, strict=True):
                if stored.row_count == 0 or any(column.storage is None for column in stored.columns):
                    continue
                rows = _plain(table.to_arrow())
                shuffled = rows.take(pa.array(np.random.default_rng(rows.num_rows).permutation(rows.num_rows)))
                related = frozenset(column.name for column in stored.columns if column.id in related_ids)
                ours += encode(shuffled.to_batches(), shuffled.schema, scratch, related)[0]
                engine += sum(
                    files.byte_count(part.idf_file)
                    for column in stored.columns
                    if column.storage and not column.is_row_number
                    for part in column.storage.partitions
                    if part.idf_file
                )
                table_count, row_count = table_count + 1, row_count + rows.num_rows
    return table_count, row_count, engine, ours


def _plain(rows: pa.Table) -> pa.Table:
    """The rows without dictionary arrays."""
    schema = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in rows.schema])
    return rows.cast(schema)


def memory(scratch: Path) -> list[str]:
    """Seconds and peak memory of a process that encodes many rows."""
    command = [sys.executable, "-m", "bench.encode"]
    none = run_once(Command("no rows", [*command, "0", str(scratch)]))
    many = run_once(Command("many rows", [*command, str(MEMORY_ROW_COUNT), str(scratch)]))
    return [
        f"{MEMORY_ROW_COUNT:,} such rows in batches of {BATCH_ROW_COUNT:,}, generating them included: {many[0]:.0f} s,",
        f"peak memory {many[1] / 2**20:,.0f} MiB, of which {none[1] / 2**20:,.0f} MiB are Python and its libraries.",
    ]


def report(samples: Path, scratch: Path) -> list[str]:
    """Lines of Markdown."""
    return [*speed(scratch), "", *memory(scratch), "", *sizes(samples, scratch)]


def _generated(row_count: int) -> Iterator[pa.RecordBatch]:
    for first_row in range(0, row_count, BATCH_ROW_COUNT):
        yield from sales(min(BATCH_ROW_COUNT, row_count - first_row), first_row=first_row).to_batches()


if __name__ == "__main__":
    encode(_generated(int(sys.argv[1])), sales(0).schema, Path(sys.argv[2]))
