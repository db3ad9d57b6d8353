"""The container's reader: by hand, against every genuine file, and against damage."""

from __future__ import annotations

import dataclasses
import random
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import by_hand
import pytest

from conftest import XML_SAMPLES, sample_path
from tabvault.errors import ChecksumError, FormatError, LimitError, ServerEncryptedError, TabvaultError
from tabvault.formats import xpress8, xpress9
from tabvault.formats.abf import backup_log, db_xml, header, virtual_directory
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from pathlib import Path


def opened(data: bytes) -> Container:
    return Container.open(MemorySource(data))


def plain(path: Path) -> bytes:
    """The container of a sample without what is wrapped around it."""
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as package:
            member = next(n for n in ("DataModel", "xl/model/item.data") if n in package.namelist())
            data = package.read(member)
    return data if data.startswith(b"\xff\xfe") else b"".join(xpress9.unwrap(MemorySource(data)))


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize("utf8_directory", [True, False])
def test_a_container_written_out_by_hand_is_read(*, crc: bool, utf8_directory: bool) -> None:
    data = by_hand.container(by_hand.FILES, crc=crc, utf8_directory=utf8_directory)
    container = opened(data)
    assert list(container.files) == [
        "shop.3.db.xml",
        "3.CryptKey.bin",
        "Sales (10).tbl\\11.prt\\0.Sales (10).Amount (12).0.idf",
        "metadata.sqlitedb",
    ]
    for (_, _, raw), name in zip(by_hand.FILES, container.files, strict=True):
        assert b"".join(container.body(name)) == container.read(name) == raw
    assert container.log.object_name == "shop"
    assert [group.class_ for group in container.log.groups] == [100002, 100069]
    assert container.part("PARTITIONS") == b"\xff\xfe" + by_hand.utf16("<Partitions/>")
    assert container.part("ADDITIONAL_LOG") is None
    assert b"".join(container.reemit()) == data


def test_every_genuine_container_is_re_emitted_byte_for_byte(sample: Path) -> None:
    data = plain(sample)
    assert b"".join(opened(data).reemit()) == data


@pytest.mark.parametrize("name", XML_SAMPLES)
def test_power_pivot_containers_are_re_emitted_byte_for_byte(name: str) -> None:
    data = plain(sample_path(name))
    assert b"".join(opened(data).reemit()) == data


def test_every_genuine_log_is_re_emitted_byte_for_byte(sample: Path) -> None:
    data = plain(sample)
    entry = opened(data).entries[-1]
    head = header.parse(data[:4096])
    log = data[entry.offset : entry.offset + entry.byte_count - (4 if head.error_code else 0)]
    assert backup_log.emit(backup_log.parse(log)) == log


def test_every_genuine_body_has_the_length_its_log_gives(sample: Path) -> None:
    container = opened(plain(sample))
    for name, file in container.files.items():
        assert sum(len(piece) for piece in container.body(name)) == file.byte_count
    definition = db_xml.parse(b"".join(container.body(next(iter(container.files)))), file="db.xml")
    assert (definition.name, definition.id) == (container.log.object_name, container.log.object_id)
    assert definition.storage_engine == db_xml.TABULAR_METADATA
    assert 1200 <= definition.compatibility_level <= 1601


def test_a_definition_keeps_every_other_byte_when_it_is_edited(sample: Path) -> None:
    container = opened(plain(sample))
    name = next(iter(container.files))
    before = b"".join(container.body(name))
    old = db_xml.parse(before, file=name)
    after = db_xml.edit(before, file=name, name="A & B <é>", id="A _ B", object_id="X", unique_id="Y")
    new = db_xml.parse(after, file=name)
    assert (new.name, new.id, new.object_id) == ("A & B <é>", "A _ B", "X")
    assert new.unique_id == (None if old.unique_id is None else "Y")
    assert (
        db_xml.edit(
            after,
            file=name,
            name=old.name,
            id=old.id,
            object_id=old.object_id,
            **({} if old.unique_id is None else {"unique_id": old.unique_id}),
        )
        == before
    )


def test_a_flipped_bit_in_any_stored_file_is_a_checksum_error_that_names_it() -> None:
    data = bytearray(by_hand.container(by_hand.FILES))
    entries = opened(bytes(data)).entries
    names = list(opened(bytes(data)).files)
    for entry, name in zip(entries[1:-1], names, strict=True):
        damaged = bytearray(data)
        damaged[entry.offset + entry.byte_count // 2] ^= 0x10
        with pytest.raises(ChecksumError) as caught:
            list(opened(bytes(damaged)).body(name))
        assert caught.value.file == name
        with pytest.raises(ChecksumError) as caught:
            opened(bytes(damaged)).read(name)
        assert caught.value.file == name


def test_a_backup_encrypted_by_a_server_is_named_as_such() -> None:
    data = by_hand.container(by_hand.FILES, header_changes={"EncryptionFlag": "true"})
    with pytest.raises(ServerEncryptedError, match="Microsoft") as caught:
        opened(data)
    assert caught.value.hint


def with_gaps(*, between: bytes = b"", before_directory: bytes = b"") -> bytes:
    """A container with other bytes behind PARTITIONS, its first stored file, and in front of the directory."""
    data = by_hand.container(by_hand.FILES)
    head = header.parse(data[:4096])
    entries = opened(data).entries
    end = entries[0].offset + entries[0].byte_count
    shift = len(between)
    _, *rest = entries
    directory = virtual_directory.emit(
        [entries[0], *(dataclasses.replace(entry, offset=entry.offset + shift) for entry in rest)],
        virtual_directory.DirectoryEncoding.UTF_16,
    )
    body = data[4096:end] + between + data[end : head.directory_offset] + before_directory
    head = dataclasses.replace(head, directory_offset=4096 + len(body), directory_byte_count=len(directory))
    return header.emit(head) + body + directory + bytes(-len(directory) % 4096)


def test_gaps_between_stored_files_are_legal_and_re_emitted_as_zeros() -> None:
    zeros, other = with_gaps(between=bytes(4096)), with_gaps(between=b"?" * 4096)
    assert opened(other).read("3.CryptKey.bin") == bytes(144)
    assert b"".join(opened(zeros).reemit()) == zeros
    assert b"".join(opened(other).reemit()) == zeros


def test_a_stored_file_behind_the_log_is_re_emitted_as_it_is() -> None:
    data = by_hand.container(by_hand.FILES)
    *others, log = opened(data).entries
    head = header.parse(data[:4096])
    moved = [*others[:-1], dataclasses.replace(others[-1], offset=head.directory_offset), log]
    directory = virtual_directory.emit(moved, virtual_directory.DirectoryEncoding.UTF_16)
    last = data[others[-1].offset : others[-1].offset + others[-1].byte_count]
    head = dataclasses.replace(head, directory_offset=head.directory_offset + 4096, directory_byte_count=len(directory))
    body = bytearray(data[4096 : head.directory_offset - 4096])
    body[others[-1].offset - 4096 : log.offset - 4096] = bytes(others[-1].byte_count)
    data = header.emit(head) + body + last.ljust(4096, b"\0") + directory + bytes(-len(directory) % 4096)
    assert opened(data).read("metadata.sqlitedb") == b"SQLite format 3\0"
    assert b"".join(opened(data).reemit()) == data


class SparseSource:
    """A container whose directory stands 300 GiB behind its files, as a file of a few blocks can have it."""

    GAP = 300 << 30

    def __init__(self, data: bytes) -> None:
        head = header.parse(data[:4096])
        self._end = head.directory_offset
        self._data = header.emit(dataclasses.replace(head, directory_offset=self._end + self.GAP)) + data[4096:]
        self.byte_count = len(data) + self.GAP

    def read_at(self, offset: int, byte_count: int) -> bytes:
        start = offset - self.GAP if offset >= self._end + self.GAP else offset
        return self._data[start : start + byte_count]


def test_a_directory_far_behind_the_stored_files_is_refused() -> None:
    with pytest.raises(FormatError, match="more than a page before the directory at 3221"):
        Container.open(SparseSource(by_hand.container(by_hand.FILES)))
    with pytest.raises(FormatError, match="more than a page before"):
        opened(with_gaps(before_directory=bytes(4096)))


def test_a_gap_of_gigabytes_is_re_emitted_in_bounded_pieces() -> None:
    container = opened(with_gaps(between=bytes(3 << 20)))
    assert max(len(piece) for piece in container.reemit()) <= 1 << 20


def test_a_compressed_body_is_read_into_one_buffer_of_its_length() -> None:
    raw = bytes(range(256)) * 4096 * 8
    stored = b"".join(xpress8.compress([raw]))
    files = [*by_hand.FILES[:2], (by_hand.PERSIST + "\\a.idf", "DA74CC251AF48EB88820", stored)]
    files[:2] = [(path, key, b"".join(xpress8.compress([body]))) for path, key, body in by_hand.FILES[:2]]
    log = by_hand.log_text([*by_hand.FILES[:2], (files[2][0], files[2][1], raw)], compression=True)
    container = opened(by_hand.container(files, log=log, header_changes={"ApplyCompression": "true"}))
    tracemalloc.start()
    body = container.read("a.idf")
    _, peak_byte_count = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body == raw
    # The body, and the pieces on the way of about a mebibyte each; twice the body would be 16 MiB.
    assert peak_byte_count < len(raw) + (4 << 20)


def test_a_definition_with_prefixed_elements_is_not_edited() -> None:
    def level(text: str) -> str:
        return f'<l:{text} xmlns:l="http://schemas.microsoft.com/analysisservices/2010/engine/200">1500</l:{text}>'

    definition = (
        '<x:Load xmlns:x="http://schemas.microsoft.com/analysisservices/2003/engine"><x:ObjectDefinition><x:Database>'
        "<x:Name>a</x:Name><x:ID>a</x:ID><x:ObjectVersion>1</x:ObjectVersion><x:ObjectID>b</x:ObjectID>"
        f"<x:PersistLocation>1</x:PersistLocation>{level('CompatibilityLevel')}"
        "</x:Database></x:ObjectDefinition></x:Load>"
    ).encode()
    assert db_xml.parse(definition, file="db.xml").name == "a"
    with pytest.raises(FormatError, match="Database is not where engines write it"):
        db_xml.edit(definition, file="db.xml", name="b")


LIES = {
    "a count of files that the directory does not have": {"header_changes": {"Files": "7"}},
    "a directory that is not page-aligned": {"header_changes": {"m_cbOffsetHeader": "4097"}},
    "a directory behind the end": {"header_changes": {"m_cbOffsetHeader": str(1 << 40)}},
    "a directory of 2^60 bytes": {"header_changes": {"DataSize": str(1 << 60)}},
    "a negative number": {"header_changes": {"DataSize": "-5"}},
    "a number with letters": {"header_changes": {"Files": "0x6"}},
    "digits that are not ASCII": {"header_changes": {"Files": "\u0666"}},
    "a flag that is neither true nor false": {"header_changes": {"ErrorCode": "yes"}},
    "an entry that overlaps another": {
        "directory_changes": ("<m_cbOffsetHeader>4128<", "<m_cbOffsetHeader>4100<"),
    },
    "an entry over page 0": {"directory_changes": ("<m_cbOffsetHeader>4096<", "<m_cbOffsetHeader>0<")},
    "an entry behind the directory": {"directory_changes": ("<Size>14", "<Size>99999914")},
    "a path that stands twice": {"directory_changes": ("306FE6E7136C4E138982", "4639CA6F7BCB4EF3B8F1")},
    "a path that the log does not know": {"directory_changes": ("306FE6E7136C4E138982", "FFFFFFFFFFFFFFFFFFFF")},
    "a last entry that is not the log": {"directory_changes": ("<Path>LOG<", "<Path>LOB<")},
    "an unknown element": {"directory_changes": ("<Delete>", "<Delete2/><Delete>")},
    "an entity": {"directory_changes": ("<VirtualDirectory>", '<!DOCTYPE a [<!ENTITY b "c">]><VirtualDirectory>')},
    "a log of another kind": {"log": "<Backup/>"},
    "a log that is not XML": {"log": "<BackupLog>"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_container_that_contradicts_itself_is_refused(lie: str) -> None:
    with pytest.raises(FormatError):
        opened(by_hand.container(by_hand.FILES, **LIES[lie]))


def test_a_size_in_the_log_that_cannot_come_from_the_stored_bytes_is_over_a_limit() -> None:
    log = by_hand.log_text(by_hand.FILES).replace("<Size>144<", f"<Size>{1 << 40}<")
    with pytest.raises(FormatError, match="144"):
        opened(by_hand.container(by_hand.FILES, log=log))
    with pytest.raises(LimitError):
        opened(by_hand.container(by_hand.FILES, log=log, header_changes={"ApplyCompression": "true"}))


def test_every_prefix_of_a_container_is_refused() -> None:
    data = by_hand.container(by_hand.FILES)
    for length in [*range(200), *range(200, len(data), 97), len(data) - 1]:
        prefix = data[:length]
        if data[length:].strip(b"\0"):
            with pytest.raises(FormatError):
                opened(prefix)


def test_flipped_bits_give_an_error_of_ours_or_a_container() -> None:
    data = by_hand.container(by_hand.FILES, crc=False)
    generator = random.Random(7)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        try:
            container = opened(bytes(damaged))
            for name in container.files:
                list(container.body(name))
        except TabvaultError:
            pass


def test_the_directory_times_and_encodings_survive() -> None:
    data = by_hand.container(by_hand.FILES, utf8_directory=True)
    container = opened(data)
    assert container.encoding is virtual_directory.DirectoryEncoding.UTF_8
    assert (container.entries[0].created, container.entries[0].accessed, container.entries[0].last_write_time) == (
        1,
        2,
        3,
    )
