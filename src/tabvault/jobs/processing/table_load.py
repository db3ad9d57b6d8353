"""Reading the partitions of tables, several at a time, into their encoders."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import JobCancelledError
from tabvault.jobs.processing.partition_rows import partition_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tabvault.engine.encoder.partition_writer import PartitionWriter
    from tabvault.engine.encoder.table_encoder import TableEncoder
    from tabvault.jobs.processing.kept_columns import KeptColumns
    from tabvault.jobs.processing.plan import TableLoad
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.jobs.progress import ProgressMeter
    from tabvault.model.objects import Model, Partition, Table

_STEP_S: Final = 0.2
"""How often whoever asked is told how far it is, and may cancel."""


@dataclass(frozen=True, slots=True)
class LoadedPartition:
    """
    A partition that was read.

    Attributes:
        row_count: all the rows that it has now.
        rounded: by column, how many values lost digits that their type has no room for.
    """

    table: Table
    partition: Partition
    row_count: int
    seconds: float
    rounded: dict[str, int]


class Loading:
    """
    Reads partitions, each in a thread of its own.

    The first that fails ends all others, and its error is raised. To cancel, the progress callback raises.

    Args:
        model: the model.
        access: to the sources.
        meter: told of rows.
        parallelism: partitions read at a time.
    """

    def __init__(self, model: Model, access: SourceAccess, meter: ProgressMeter, *, parallelism: int) -> None:
        self._model = model
        self._access = access
        self._meter = meter
        self._parallelism = parallelism
        self._lock = threading.Lock()
        self._row_count = 0
        self._must_stop = False
        self._cancels: dict[int, Callable[[], None]] = {}

    def run(self, loads: Sequence[tuple[TableLoad, TableEncoder, KeptColumns | None]]) -> list[LoadedPartition]:
        """
        Read every partition of every load into its encoder, with the calculated columns that are kept.

        Raises:
            SourceError: of the first partition that failed.
            CalculationNotSupportedError: a calculated column cannot be kept.
            JobCancelledError: whoever asked cancelled it.
        """
        self._meter.step("reading rows", None, unit="rows")
        with ThreadPoolExecutor(self._parallelism, thread_name_prefix="tabvault-load") as pool:
            futures: list[Future[LoadedPartition]] = []
            try:
                for load, encoder, kept in loads:
                    futures += [
                        pool.submit(self._load, load, partition, encoder, kept) for partition in load.partitions
                    ]
                self._wait(futures)
            except BaseException:
                self._stop(futures)
                raise
        return [future.result() for future in futures]

    def _wait(self, futures: Sequence[Future[LoadedPartition]]) -> None:
        told = 0
        while True:
            done, waiting = wait(futures, _STEP_S, FIRST_EXCEPTION)
            for future in done:
                error = future.exception()
                if error is not None:
                    raise error
            with self._lock:
                now = self._row_count
            self._meter.advance(now - told)
            told = now
            if not waiting:
                return

    def _stop(self, futures: Sequence[Future[LoadedPartition]]) -> None:
        for future in futures:
            future.cancel()
        with self._lock:
            self._must_stop = True
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel()

    def _load(
        self, load: TableLoad, partition: Partition, encoder: TableEncoder, kept: KeptColumns | None
    ) -> LoadedPartition:
        begun = time.monotonic()
        row_count = 0
        with partition_rows(self._model, load.table, partition, self._access) as given:
            self._begin(partition.id, given.cancel)
            writer: PartitionWriter = encoder.begin_partition(partition.id, append=load.appends)
            try:
                for batch in given.batches:
                    writer.write(kept.added_to(batch) if kept is not None else batch)
                    row_count += batch.num_rows
                    self._count(batch.num_rows)
                writer.close()
            finally:
                with self._lock:
                    del self._cancels[partition.id]
        if load.appends and partition.storage is not None:
            row_count += partition.storage.record_count
        seconds = time.monotonic() - begun
        return LoadedPartition(load.table, partition, row_count, seconds, dict(given.rows.rounded_counts))

    def _begin(self, partition_id: int, cancel: Callable[[], None]) -> None:
        with self._lock:
            self._cancels[partition_id] = cancel
            if self._must_stop:
                raise JobCancelledError("reading from the source was cancelled")

    def _count(self, row_count: int) -> None:
        with self._lock:
            if self._must_stop:
                raise JobCancelledError("reading from the source was cancelled")
            self._row_count += row_count
