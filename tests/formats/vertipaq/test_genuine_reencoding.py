"""
Every column file of every genuine sample, decoded and written again: the bytes have to be the engine's.

What the encoder is told comes from the model, not from the file it is compared with: the ids and values as decoded, the
encoding of the column, the rows of a relationship's one side. Three things no other place says, and are taken from the
file: Mask, which of the two rules its BookmarkBits follow, and whether the builds of its time wrote statistics (in
relationship indexes and hash indexes) and segment data offsets.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conftest import CONTAINER_SAMPLES, XML_SAMPLES, sample_path
from genuine_columns import Database, database
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import bit_widths, dictionary, hash_index, hybrid_writer, idf, idfmeta, no_split
from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.objects import DictionaryType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.encoded_segment import EncodedSegment
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.objects import Column, Table

LEFTOVERS = "equal but for what the engine's memory held in unused slots behind the entries"
"""The one known difference. Ours are zeros; [MS-XLDM] 2.3.1.1 asks for zeros; no reader looks there."""

SYSTEM_COLUMN_MIN = {
    "POS_TO_ID": 0,
    "ID_TO_POS": 0,
    "INDEX": -1,
    "MULTI_LEVEL_ID": 0,
    "PARENT_POS": -1,
    "FIRST_CHILD_POS": -1,
    "CHILD_COUNT": -1,
}


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Counter[str]], None]:
    """Prints a line of counts past the capture, so that every run shows what it compared."""

    def line(kind: str, counts: Counter[str]) -> None:
        with capsys.disabled():
            print(f"\n{kind}: {counts.total()} files, " + ", ".join(f"{n} {how}" for how, n in counts.items()))  # noqa: T201

    return line


@cache
def workbook_bodies(sample: str) -> dict[str, bytes]:
    with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        return {name: bytes(files.read(name)) for name in files.names()}


def all_bodies(ending: str) -> Iterator[tuple[str, bytes]]:
    """The files of a kind in all samples, Power Pivot workbooks too."""
    bodies = [(sample, database(sample).files.bodies) for sample in CONTAINER_SAMPLES]
    bodies += [(sample, workbook_bodies(sample)) for sample in XML_SAMPLES]
    for sample, files in bodies:
        yield from ((f"{sample}: {name}", body) for name, body in files.items() if name.endswith(ending))


def stored(columns: Callable[[Database], Iterator[tuple[Table, Column]]]) -> Iterator[tuple[Database, Table, Column]]:
    for sample in CONTAINER_SAMPLES:
        for table, column in columns(database(sample)):
            yield database(sample), table, column


def user_columns(found: Database) -> Iterator[tuple[Table, Column]]:
    return ((table, column) for table in found.model.tables for column in table.columns if column.storage)


def system_columns(found: Database) -> Iterator[tuple[Table, Column]]:
    return ((table, column) for table in found.model.system_tables for column in table.columns if column.storage)


def parts(found: Database, column: Column) -> Iterator[tuple[bytes, bytes, str]]:
    assert column.storage is not None
    for part in column.storage.partitions:
        if part.idf_file is not None and part.idfmeta_file is not None:
            yield found.files.read(part.idf_file), found.files.read(part.idfmeta_file), part.idf_file


def compared(
    encoded: Sequence[EncodedSegment], genuine: bytes, genuine_meta: bytes, segments: Sequence[SegmentMeta]
) -> str:
    """How our two files compare with the engine's; they have to be equal but for :data:`LEFTOVERS`."""
    has_places = any(segment.data_offsets for segment in segments)
    meta = idfmeta.build([segment.meta for segment in encoded], with_data_offsets=has_places)
    assert meta == genuine_meta
    words = b"".join(segment.words for segment in encoded)
    if words == genuine:
        return "equal"
    assert words == without_leftovers(genuine, segments)
    return LEFTOVERS


def without_leftovers(genuine: bytes, segments: Sequence[SegmentMeta]) -> bytes:
    """The file with zeros in the slots behind the entries of each segment."""
    cleaned, offset = bytearray(genuine), 0
    for segment in segments:
        used = segment.storage_used_size // 2 - 1 if not segment.is_xm123 else 1
        for _ in range(2):
            word_count = int.from_bytes(genuine[offset : offset + 8], "little")
            offset += 8
            end = offset + 8 * word_count
            if used is not None:
                cleaned[offset + 8 * used : end] = bytes(8 * (word_count - used))
            offset, used = end, None
    assert offset == len(genuine)
    return bytes(cleaned)


def reencoded(data_ids: NDArray[np.uint32], segment: SegmentMeta, *, is_value_encoded: bool) -> EncodedSegment:
    if segment.is_xm123:
        return hybrid_writer.encode_row_number(segment.records)
    entry_count = segment.storage_used_size // 2 - 1
    (rule, *_) = (
        rule
        for rule in BookmarkRule
        if rule.bits(records=segment.records, entry_count=entry_count) == segment.bookmark_bits
    )
    return hybrid_writer.encode(data_ids, mask=segment.mask, bookmark=rule, is_value_encoded=is_value_encoded)


def test_every_column_of_a_user_table_is_written_as_the_engine_wrote_it(
    report: Callable[[str, Counter[str]], None],
) -> None:
    counts: Counter[str] = Counter()
    for found, _, column in stored(user_columns):
        is_value_encoded = column.storage.dictionary.type == DictionaryType.VALUE
        for genuine, genuine_meta, name in parts(found, column):
            segments = idfmeta.parse(genuine_meta, file=name)
            encoded = [
                reencoded(data_ids, segment, is_value_encoded=is_value_encoded)
                for data_ids, segment in zip(idf.decode(genuine, segments, file=name), segments, strict=True)
            ]
            counts[compared(encoded, genuine, genuine_meta, segments)] += 1
    report(".idf and .idfmeta of user tables, all .idfmeta equal", counts)
    assert counts["equal"] > counts[LEFTOVERS]


def one_side_row_count(found: Database, table: Table) -> int:
    """Of the relationship whose id the name of its R$ table ends with: rows of the table that it is not stored with."""
    relationship_id = int(re.search(r"\((\d+)\)$", table.name)[1])
    (relationship,) = (one for one in found.model.relationships if one.id == relationship_id)
    many_table_id = int(re.match(r"R\$.* \((\d+)\)\$", table.name)[1])
    ids = {relationship.from_table_id, relationship.to_table_id} - {many_table_id}
    (one_table,) = (other for other in found.model.tables if other.id in ids)
    return sum(partition.storage.record_count for partition in one_table.partitions)


def test_every_column_of_a_system_table_is_written_as_the_engine_wrote_it(
    report: Callable[[str, Counter[str]], None],
) -> None:
    counts: Counter[str] = Counter()
    for found, table, column in stored(system_columns):
        is_relationship = column.name == "INDEX"
        row_count = one_side_row_count(found, table) if is_relationship else None
        bit_width = bit_widths.width_of(row_count) if is_relationship else 32
        for genuine, genuine_meta, name in parts(found, column):
            segments = idfmeta.parse(genuine_meta, file=name)
            values = np.concatenate([*idf.decode_system(genuine, segments, file=name), np.empty(0, np.int64)])
            encoded = [
                no_split.encode(
                    values[start:end],
                    min=SYSTEM_COLUMN_MIN[column.name],
                    bit_width=bit_width,
                    one_side_row_count=row_count if segments[0].statistics.row_count else None,
                )
                for start, end in pairwise([0, *np.cumsum([segment.records for segment in segments])])
            ]
            assert compared(encoded, genuine, genuine_meta, segments) == "equal", name
            counts[f"of {column.name} equal"] += 1
    report(".idf and .idfmeta of system tables", counts)
    assert set(counts) == {f"of {name} equal" for name in SYSTEM_COLUMN_MIN}


def test_no_genuine_column_file_was_left_out() -> None:
    compared_files = {
        (id(found), part.idf_file)
        for columns in (user_columns, system_columns)
        for found, _, column in stored(columns)
        for part in column.storage.partitions
    }
    for sample in CONTAINER_SAMPLES:
        names = [name for name in database(sample).files.bodies if name.endswith(".idf")]
        left_out = [name for name in names if (id(database(sample)), name) not in compared_files]
        assert not left_out, f"{sample}: {left_out}"


def test_every_dictionary_is_written_as_the_engine_wrote_it(report: Callable[[str, Counter[str]], None]) -> None:
    counts: Counter[str] = Counter()
    for name, genuine in all_bodies(".dictionary"):
        entries = dictionary.parse(genuine, file=name)
        if isinstance(entries, np.ndarray):
            numbers = entries if entries.dtype == np.float64 else entries.astype(np.int64)
            assert dictionary.build_numbers(numbers) == genuine, name
            counts[f"{entries.dtype} equal"] += 1
        else:
            hash_algorithm = genuine[4]  # told by the collation of the model
            assert b"".join(dictionary.build_strings(entries, hash_algorithm=hash_algorithm)) == genuine, name
            counts["compressed strings equal" if genuine[53] else "strings equal"] += 1
    report(".dictionary", counts)
    assert set(counts) == {"int32 equal", "int64 equal", "float64 equal", "strings equal", "compressed strings equal"}


def test_every_hash_index_is_written_as_the_engine_wrote_it(report: Callable[[str, Counter[str]], None]) -> None:
    counts: Counter[str] = Counter()
    for name, genuine in all_bodies(".hidx"):
        found = hash_index.parse(genuine, file=name)
        with_statistics = genuine[41:97] != bytes(56)
        written = hash_index.build(found.data_ids, found.positions, with_statistics=with_statistics)
        assert written == genuine, name
        counts["equal, with statistics" if with_statistics else "equal, without statistics"] += 1
    report(".hidx", counts)
    assert len(counts) == 2
