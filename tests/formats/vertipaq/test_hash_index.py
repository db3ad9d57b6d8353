"""Hash indexes, by hand from the layout and against the sort positions of genuine hierarchies."""

from __future__ import annotations

import struct
from collections import defaultdict

import numpy as np
import pytest
from damage import every_prefix_is_refused, flipped_bits_are_found_or_read

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.errors import FormatError, LimitError
from tabvault.formats.vertipaq import hash_index, idf, idfmeta

HEAD = bytes.fromhex("ffffffff 08000000 40000000 06000000")


def index_of(positions: dict[int, int], *, bits: int = 4, newer: bool = False) -> bytes:
    """The layout in plain Python: bins by the upper bits of the hash, six entries in each, the rest behind them."""
    bins: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for data_id, position in sorted(positions.items()):
        bins[(data_id * 0x12B9B6A5 & 0xFFFFFFFF) >> (32 - bits)].append((data_id, position))
    counts = [len(bins[number]) for number in range(1 << bits)]
    length = 0 if newer else max(10, *counts)
    numbers = (
        len(positions),
        1 << bits,
        sum(map(bool, counts)),
        sum(min(6, n) for n in counts),
        6,
        max(counts),
        length,
    )
    data = HEAD + struct.pack("<QqqB", 1 << bits, len(positions), (1 << bits) - 1, 1)
    data += bytes(56) if newer else struct.pack("<7Q", *numbers)
    data += struct.pack("<I", 8) + b"".join(struct.pack("<Q", counts.count(k)) for k in range(1, length + 1))
    overflow = []
    for number in range(1 << bits):
        entries = bins[number]
        flat = [half for one in entries[:6] for half in one]
        data += struct.pack("<QI12II", 0, len(entries), *flat, *[0] * (12 - len(flat)), 0)
        overflow += entries[6:]
    return data + struct.pack("<Q", len(overflow)) + b"".join(struct.pack("<II", *one) for one in overflow)


SMALL = index_of({3: 0})
CROWDED = index_of({data_id: position for position, data_id in enumerate(range(2, 74))})


def parsed(data: bytes) -> list[tuple[int, int]]:
    found = hash_index.parse(data, file="x.hidx")
    return list(zip(found.data_ids.tolist(), found.positions.tolist(), strict=True))


def test_one_year_of_a_real_server_is_written_as_here() -> None:
    """``H$…$Year (20)`` of a Power BI file of 2022."""
    names = [name for name in database("Hugoberry__ABF.bin").files.names() if name.endswith("$Year (20).hidx")]
    assert [database("Hugoberry__ABF.bin").files.read(name) for name in names] == [SMALL]
    assert len(SMALL) == 1213
    assert parsed(SMALL) == [(3, 0)]


def test_entries_over_six_in_a_bin_come_from_behind() -> None:
    same_bin = [data_id for data_id in range(3, 2000) if (data_id * 0x12B9B6A5 & 0xFFFFFFFF) >> 28 == 9][:20]
    data = index_of({data_id: position for position, data_id in enumerate(same_bin)})
    assert struct.unpack("<Q", data[-8 * 14 - 8 :][:8]) == (14,)
    assert parsed(data) == [(data_id, position) for position, data_id in enumerate(same_bin)]
    swapped = data[:-16] + data[-8:] + data[-16:-8]
    with pytest.raises(FormatError, match="data ids do not ascend inside a bin"):
        parsed(swapped)


def test_newer_builds_leave_the_statistics_out() -> None:
    assert parsed(index_of({7: 0, 9: 1}, newer=True)) == [(7, 0), (9, 1)]


@pytest.mark.parametrize(("records", "bits"), [(0, 4), (72, 4), (73, 5), (144, 5), (145, 6)])
def test_bins_double_when_they_would_hold_over_four_and_a_half(records: int, bits: int) -> None:
    positions = {data_id: data_id - 3 for data_id in range(3, 3 + records)}
    assert len(parsed(index_of(positions, bits=bits))) == records
    with pytest.raises(FormatError, match=f"{records} records demand {1 << bits} bins"):
        parsed(index_of(positions, bits=bits + 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (index_of({3: 0, 4: 0}), "positions are not the ranks of the data ids"),
        (index_of({3: 1, 4: 0}), "positions are not the ranks of the data ids"),
        (CROWDED[:4] + b"\x10" + CROWDED[5:], "head of the hash index"),
        (CROWDED[:40] + b"\0" + CROWDED[41:], "statistics flag"),
        (CROWDED[:41] + b"\x49" + CROWDED[42:], "statistics say"),
        (CROWDED[:32] + b"\x1f" + CROWDED[33:], "cBins is 16 and mask 31"),
        (CROWDED + b"\0\1", "follow the end of the overflow entries"),
    ],
)
def test_a_relation_that_does_not_hold_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parsed(data)


def test_an_id_in_another_bin_is_refused() -> None:
    first, second = (SMALL.index(struct.pack("<II", 3, 0)), SMALL.index(struct.pack("<II", 3, 0)) + 64)
    moved = bytearray(SMALL)
    moved[first - 12 : first + 52], moved[second - 12 : second + 52] = (
        SMALL[second - 12 : second + 52],
        SMALL[first - 12 : first + 52],
    )
    with pytest.raises(FormatError, match="a data id is not in the bin of its hash"):
        parsed(bytes(moved))


def test_more_bins_than_the_file_holds_are_refused_before_anything_is_made_of_them() -> None:
    with pytest.raises(LimitError, match=f"{1 << 50} bins do not fit"):
        parsed(HEAD + struct.pack("<Qqq", 1 << 50, 1, (1 << 50) - 1) + SMALL[40:])


def test_every_prefix_is_refused_and_flipped_bits_are_found_or_read() -> None:
    every_prefix_is_refused(parsed, CROWDED, step=5)
    assert flipped_bits_are_found_or_read(parsed, CROWDED, count=1000) > 800


@pytest.mark.slow
@pytest.mark.parametrize("sample", CONTAINER_SAMPLES)
def test_genuine_positions_are_those_of_the_hierarchy(sample: str) -> None:
    """
    ``POS_TO_ID[position]`` is the data id, for every ``.hidx`` file; and where a column has a dictionary instead,
    ``ID_TO_POS`` is the inverse.
    """
    genuine = database(sample)
    stems = {name.rsplit("\\", 1)[-1].split(".", 1)[1].removesuffix(".hidx"): name for name in hidx_names(sample)}
    for table in genuine.model.system_tables:
        if not table.name.startswith("H$"):
            continue
        columns = {column.name: column.storage for column in table.columns}
        pos_to_id = system_values(sample, columns["POS_TO_ID"])
        if "ID_TO_POS" in columns:
            id_to_pos = system_values(sample, columns["ID_TO_POS"])
            ids = pos_to_id[pos_to_id > 0]
            assert np.array_equal(id_to_pos[ids], np.arange(len(ids))), table.name
            assert id_to_pos[1] == len(ids)
            assert not pos_to_id[len(ids) :].any()
        else:
            idf_file = columns["POS_TO_ID"].partitions[0].idf_file
            stem = idf_file.split("\\")[-1].split(".", 1)[1].rsplit(".POS_TO_ID", 1)[0]
            index = hash_index.parse(genuine.files.read(stems.pop(stem)), file=None)
            assert np.array_equal(pos_to_id[: len(index.data_ids)], index.data_ids)
    assert not stems


def hidx_names(sample: str) -> list[str]:
    return [name for name in database(sample).files.names() if name.endswith(".hidx")]


def system_values(sample: str, storage) -> np.ndarray:
    (part,) = storage.partitions
    files = database(sample).files
    segments = idfmeta.parse(files.read(part.idfmeta_file), file=None)
    return np.concatenate(list(idf.decode_system(files.read(part.idf_file), segments, file=None)))


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("count", [0, 1, 71, 72, 73, 5000])
def test_an_index_is_written_as_the_layout_says(count: int, newer: bool) -> None:
    data_ids = np.arange(2, 2 + count, dtype=np.uint32)
    bits = 4
    while count > 4.5 * (1 << bits):
        bits += 1
    written = hash_index.build(data_ids, data_ids - 2, with_statistics=not newer)
    assert written == index_of({data_id + 2: data_id for data_id in range(count)}, bits=bits, newer=newer)


def test_the_order_in_which_ids_are_given_is_the_same() -> None:
    data_ids = np.random.default_rng(1).choice(np.arange(3, 100_000, dtype=np.uint32), 3000, replace=False)
    positions = np.argsort(np.argsort(data_ids)).astype(np.uint32)
    written = hash_index.build(data_ids, positions, with_statistics=True)
    assert parsed(written) == sorted(zip(data_ids.tolist(), positions.tolist(), strict=True))
    order = np.argsort(data_ids)
    assert hash_index.build(data_ids[order], positions[order], with_statistics=True) == written


def test_a_crowded_bin_overflows_when_written() -> None:
    same_bin = [data_id for data_id in range(3, 2000) if (data_id * 0x12B9B6A5 & 0xFFFFFFFF) >> 28 == 9][:20]
    data_ids = np.array(same_bin, np.uint32)
    written = hash_index.build(data_ids, np.arange(20, dtype=np.uint32), with_statistics=True)
    assert written == index_of({data_id: position for position, data_id in enumerate(same_bin)})
