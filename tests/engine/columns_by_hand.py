"""Tables of one column, whose files are written out field by field, all data ids packed in 32 bits."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from genuine_columns import MemoryFiles
from tabvault.model.objects import (
    Column,
    ColumnPartitionStorage,
    ColumnStatistics,
    ColumnStorage,
    DataType,
    DictionaryDataType,
    DictionaryStorage,
    DictionaryType,
    Partition,
    PartitionMode,
    PartitionStorage,
    Table,
)

STRINGS = DictionaryStorage(
    id=1,
    type=DictionaryType.HASH,
    data_type=DictionaryDataType.STRING,
    base_id=2,
    magnitude=0.0,
    last_id=2,
    is_nullable=True,
    is_operating_on_32=False,
    file=None,
)


def numbers(*values: float, form: str = "<i4") -> bytes:
    """A dictionary file of longs or reals."""
    element = np.dtype(form)
    entry, local = {4: (8, 6), 8: (16, 3)}[element.itemsize]
    head = struct.pack("<iiIIIq", element.kind == "f", -1, entry, 64, local, -1)
    return head + struct.pack("<QI", len(values), element.itemsize) + np.array(values, element).tobytes()


def strings(*texts: str) -> bytes:
    """A dictionary file of one uncompressed page."""
    store = b"".join(text.encode("utf-16-le") + b"\0\0" for text in texts)
    head = struct.pack("<iiIIIq", 2, 0, 8, 64, 6, -1)
    head += struct.pack("<qBqq", len(texts), 1, max(map(len, texts)), 1)
    page = struct.pack("<QBQQB", 0, "" in texts, 0, len(texts), 0) + bytes.fromhex("ddccbbaa")
    page += struct.pack("<QQQ", 0, len(store) // 2, len(store)) + store + bytes.fromhex("cdabcdab")
    offsets = np.cumsum([0, *(len(text) + 1 for text in texts)])
    return head + page + struct.pack("<QI", len(texts), 8) + b"".join(struct.pack("<II", o, 0) for o in offsets[:-1])


def segment(ids: list[int]) -> tuple[bytes, bytes]:
    """A segment's part of an ``.idf`` and of an ``.idfmeta`` file, all ids bit-packed in 32 bits."""
    known = [data_id for data_id in ids if data_id != 2]
    low, high, base = min(known, default=2), max(known, default=2), 2 if 2 in ids else min(known, default=2)
    words = np.zeros(2 * (len(ids) // 2 + 1), "<u4")
    words[: len(ids)] = np.array(ids, np.int64) - base
    primary = struct.pack("<II", 0xFFFFFFFF, len(ids)) if ids else b""
    body = struct.pack("<Q", 16) + primary.ljust(128, b"\0") + struct.pack("<Q", len(words) // 2) + words.tobytes()
    meta = b"<1:CS\0" + struct.pack("<QQII", len(ids), 1, 0xABA5A, 0xABA36 + 32)
    meta += struct.pack("<QQQBi", 1, 32, 4 if ids else 2, 0, base)
    meta += b"<1:SS\0" + struct.pack("<QIIIqQBQQ", 0, low, high, 2, -1, len(ids), 2 in ids, 0, 1) + b"SS:1>\0"
    meta += b"\1<1:CS\0" + struct.pack("<QQB", len(ids), 0, 0) + b"CS:1>\0CS:1>\0"
    return body, meta


def built(
    data_type: DataType,
    dictionary: DictionaryStorage,
    *partitions: list[list[int]],
    dictionary_file: bytes | None = None,
) -> tuple[MemoryFiles, Table, Column]:
    """A table of one column, whose partitions are lists of segments, which are lists of data ids."""
    bodies = {} if dictionary_file is None else {"x.dictionary": dictionary_file}
    parts, stored = [], []
    for index, segments in enumerate(partitions):
        pieces = [segment(ids) for ids in segments]
        bodies[f"{index}.idf"] = b"".join(body for body, _ in pieces)
        bodies[f"{index}.idfmeta"] = (
            b"<1:CP\0" + struct.pack("<Q", len(pieces)) + b"".join(meta for _, meta in pieces) + b"CP:1>\0"
        )
        rows = sum(map(len, segments))
        storage = PartitionStorage(100 + index, index, rows, len(segments), rows)
        parts.append(Partition(200 + index, f"p{index}", 4, PartitionMode.IMPORT, 1, None, storage))
        stored.append(
            ColumnPartitionStorage(300 + index, 100 + index, len(segments), f"{index}.idf", f"{index}.idfmeta")
        )
    ids = [data_id for segments in partitions for one in segments for data_id in one]
    known = [data_id for data_id in ids if data_id != 2]
    statistics = ColumnStatistics(len(set(ids)), min(known, default=2), max(known, default=2), len(ids), 2 in ids)
    if dictionary_file is not None:
        dictionary = replace(dictionary, file="x.dictionary")
    column_storage = ColumnStorage(2, "C (2)", statistics, dictionary, tuple(stored))
    column = Column(2, "C", 1, 1, data_type, None, None, None, False, True, column_storage)
    table = Table(1, "T", None, False, False, 0, (column,), tuple(parts), (), (), 1)
    return MemoryFiles(bodies), table, column


def longs(*, last_id: int = 2, narrow: bool = True) -> DictionaryStorage:
    return replace(STRINGS, data_type=DictionaryDataType.LONG, last_id=last_id, is_operating_on_32=narrow)


def reals(*, last_id: int = 2) -> DictionaryStorage:
    return replace(STRINGS, data_type=DictionaryDataType.REAL, last_id=last_id)


def computed(base_id: int, magnitude: float, data_type: int = DictionaryDataType.LONG) -> DictionaryStorage:
    return replace(STRINGS, type=DictionaryType.VALUE, data_type=data_type, base_id=base_id, magnitude=magnitude)


def altered(column: Column, **changes: object) -> Column:
    """The column with other facts of its storage."""
    return replace(column, storage=replace(column.storage, **changes))
