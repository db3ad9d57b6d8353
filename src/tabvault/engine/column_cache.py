"""
Decoded columns kept in memory, and the tables that take their columns from there.

What holds at any moment:

1. A column that several threads ask for at once is decoded once; the others wait for it.
2. The kept columns take at most ``byte_count_max`` bytes, the buffers they share counted for each. The columns least
   recently asked for go first. A column that alone is larger is handed out and not kept.
3. A failure is not kept: those who waited see it, the next one decodes again.

The key names the version of the database, so a new version never sees the columns of an old one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence


class ColumnCache:
    """
    Decoded columns by key, for all threads and all databases of a process.

    Args:
        byte_count_max: how many bytes of decoded columns are kept; 0 keeps none.
    """

    def __init__(self, *, byte_count_max: int) -> None:
        if byte_count_max < 0:
            raise ValueError(f"byte_count_max is {byte_count_max}")
        self._byte_count_max = byte_count_max
        self._lock = threading.Lock()
        self._columns: OrderedDict[Hashable, pa.ChunkedArray] = OrderedDict()
        self._byte_count = 0
        self._decoding: dict[Hashable, Future[pa.ChunkedArray]] = {}

    @property
    def byte_count(self) -> int:
        """Bytes of the columns kept now."""
        return self._byte_count

    def get(self, key: Hashable, decode: Callable[[], pa.ChunkedArray]) -> pa.ChunkedArray:
        """
        The column of *key*, decoded by *decode* unless it is here or another thread is at it.

        Raises:
            Exception: what *decode* raises, in this thread or in the one that was first.
        """
        with self._lock:
            column = self._columns.get(key)
            if column is not None:
                self._columns.move_to_end(key)
                return column
            pending = self._decoding.get(key)
            if pending is None:
                mine: Future[pa.ChunkedArray] = Future()
                self._decoding[key] = mine
        if pending is not None:
            return pending.result()
        return self._decode(key, decode, mine)

    def _decode(
        self, key: Hashable, decode: Callable[[], pa.ChunkedArray], future: Future[pa.ChunkedArray]
    ) -> pa.ChunkedArray:
        try:
            column = decode()
        except BaseException as error:
            with self._lock:
                del self._decoding[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._decoding[key]
            self._keep(key, column)
        future.set_result(column)
        return column

    def _keep(self, key: Hashable, column: pa.ChunkedArray) -> None:
        byte_count = column.get_total_buffer_size()
        if byte_count > self._byte_count_max:
            return
        self._columns[key] = column
        self._byte_count += byte_count
        while self._byte_count > self._byte_count_max:
            _, oldest = self._columns.popitem(last=False)
            self._byte_count -= oldest.get_total_buffer_size()


class CachedTable:
    """
    A :class:`~tabvault.engine.lazy_dataset.LazyTable` whose columns go through a :class:`ColumnCache`.

    Args:
        schema: gives the columns; asked once, when a query uses the table.
        decode: gives the whole column of a name.
        cache: where decoded columns are kept.
        key: names the table and the version of its database; no other table's key is equal to it.
    """

    def __init__(
        self,
        schema: Callable[[], pa.Schema],
        decode: Callable[[str], pa.ChunkedArray],
        *,
        cache: ColumnCache,
        key: Hashable,
    ) -> None:
        self._schema = schema
        self._decode = decode
        self._cache = cache
        self._key = key

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns. Raises what *schema* raises."""
        return self._schema()

    def read(self, columns: Sequence[str], *, row_count_max: int | None = None) -> pa.Table:
        """The columns of these names, in this order; of the first rows only, if so many are asked for."""
        arrays = [self._cache.get((self._key, name), partial(self._decode, name)) for name in columns]
        if row_count_max is not None:
            # Before they become a table: that looks at every chunk of every column.
            arrays = [array.slice(0, row_count_max) for array in arrays]
        return pa.table(arrays, schema=pa.schema([self.schema.field(name) for name in columns]))
