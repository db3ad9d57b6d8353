"""The files of a container in ranges, beside the same files whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from tabvault.errors import ChecksumError, TruncatedError
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource
from tabvault.model.container_files import ContainerFiles

if TYPE_CHECKING:
    from tabvault.formats.byte_source import ByteSource

COMPRESSED = "Hugoberry__DataModel.abf"
PLAIN = "Hugoberry__DataModel_uncompressed.abf"


def container(sample: str) -> Container:
    return Container.open(MemorySource(sample_path(sample).read_bytes()))


def in_order(source: ByteSource, byte_count: int) -> bytes:
    """The whole source in ranges of *byte_count* bytes, the last one shorter."""
    starts = range(0, source.byte_count, byte_count)
    return b"".join(source.read_at(start, min(byte_count, source.byte_count - start)) for start in starts)


@pytest.mark.parametrize("sample", [COMPRESSED, PLAIN])
@pytest.mark.parametrize("byte_count", [1000, 1 << 19, 1 << 30])
def test_the_ranges_of_a_file_are_the_file(sample: str, byte_count: int) -> None:
    files = ContainerFiles(container(sample))
    assert files.names()
    for name in files.names():
        assert in_order(files.open(name), byte_count) == files.read(name), name


@pytest.mark.parametrize("sample", [COMPRESSED, PLAIN])
def test_a_range_may_begin_anywhere(sample: str) -> None:
    files = ContainerFiles(container(sample))
    whole = files.read("metadata.sqlitedb")
    source = files.open("metadata.sqlitedb")
    assert source.byte_count == len(whole) > 200_000
    for start, end in ((150_000, 150_100), (150_100, 150_100), (7, 100_000), (100_001, 100_002), (0, len(whole))):
        assert source.read_at(start, end - start) == whole[start:end]
    for start, byte_count in ((len(whole), 1), (-1, 1), (0, -1)):
        with pytest.raises(TruncatedError):
            source.read_at(start, byte_count)


def test_damage_is_found_before_the_last_range_is_given() -> None:
    found = container(PLAIN)
    file = found.files["metadata.sqlitedb"]
    assert found.header.error_code
    data = bytearray(sample_path(PLAIN).read_bytes())
    data[file.entry.offset + file.entry.byte_count // 2] ^= 1
    files = ContainerFiles(Container.open(MemorySource(data)))
    source = files.open(file.name)
    assert source.read_at(0, 100) == found.read(file.name)[:100]
    with pytest.raises(ChecksumError) as refusal:
        in_order(source, 4096)
    assert refusal.value.file == file.name
