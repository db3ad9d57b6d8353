"""Directory, log, header and whole containers: what is written is read, for any names, sizes and bodies."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError
from tabvault.formats.abf import backup_log, db_xml, header, virtual_directory
from tabvault.formats.abf.backup_log import BackupLog, FileGroup, LogFile
from tabvault.formats.abf.container import Container
from tabvault.formats.abf.header import Header
from tabvault.formats.abf.virtual_directory import DirectoryEncoding, DirectoryEntry
from tabvault.formats.abf.writer import EMPTY_PARTITIONS, ContainerWriter
from tabvault.formats.byte_source import MemorySource

# What XML 1.0 can carry.
XML_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    max_size=40,
)
U64 = st.integers(0, (1 << 64) - 1)
I32 = st.integers(-(1 << 31), (1 << 31) - 1)

ENTRIES = st.lists(
    st.builds(
        DirectoryEntry,
        path=XML_TEXT,
        byte_count=U64,
        offset=U64,
        delete=st.booleans(),
        created=U64,
        accessed=U64,
        last_write_time=U64,
    ),
    max_size=8,
    unique_by=lambda entry: entry.path,
)
LOG_FILES = st.builds(LogFile, path=XML_TEXT, storage_path=XML_TEXT, last_write_time=U64, byte_count=U64)
GROUPS = st.builds(
    FileGroup,
    class_=st.integers(0, 1 << 31),
    id=XML_TEXT,
    name=XML_TEXT,
    object_version=I32,
    persist_location=I32,
    persist_location_path=XML_TEXT,
    storage_location_path=XML_TEXT,
    object_id=XML_TEXT,
    files=st.lists(LOG_FILES, max_size=4).map(tuple),
)
LOGS = st.builds(
    BackupLog,
    fields=st.fixed_dictionaries({"ServerRoot": XML_TEXT, "ObjectName": XML_TEXT, "ObjectId": XML_TEXT}),
    collations=st.lists(XML_TEXT, max_size=3).map(tuple),
    languages=st.lists(XML_TEXT, max_size=3).map(tuple),
    groups=st.lists(GROUPS, max_size=3).map(tuple),
)


@settings(deadline=None, max_examples=150)
@given(ENTRIES, st.sampled_from(DirectoryEncoding))
def test_any_directory_comes_back(entries: list[DirectoryEntry], encoding: DirectoryEncoding) -> None:
    data = virtual_directory.emit(entries, encoding)
    assert virtual_directory.parse(data) == (encoding, tuple(entries))


@settings(deadline=None, max_examples=150)
@given(LOGS)
def test_any_log_comes_back(log: BackupLog) -> None:
    assert backup_log.parse(backup_log.emit(log)) == log


@settings(deadline=None, max_examples=100)
@given(
    st.builds(
        Header,
        sync_version=st.sampled_from(["140", "150"]),
        fault=st.booleans(),
        fault_code=st.sampled_from(["0", "43981"]),
        error_code=st.booleans(),
        encryption_flag=st.just(value=False),
        encryption_key=st.sampled_from(["0", "6"]),
        apply_compression=st.booleans(),
        directory_offset=st.integers(1, 1 << 50).map(lambda page: page * 4096),
        directory_byte_count=U64,
        file_count=U64,
        object_id=st.uuids().map(lambda value: str(value).upper()),
        data_offset=st.just(4096),
    )
)
def test_any_header_comes_back(given_header: Header) -> None:
    page = header.emit(given_header)
    assert len(page) == 4096
    assert header.parse(page) == given_header


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text("abcdefgh\\ ()$äß漢😀&<>'\"", min_size=1, max_size=30), st.binary(max_size=9000), min_size=1, max_size=6
    ),
    st.booleans(),
)
def test_any_files_come_back_from_a_container(bodies: dict[str, bytes], compress: bool) -> None:
    root = "\\\\?\\C:\\Data"
    stored = bytearray()
    writer = ContainerWriter(stored.extend, compress=compress, object_id="X", now=5)
    writer.add_part("PARTITIONS", EMPTY_PARTITIONS)
    for index, body in enumerate(bodies.values()):
        writer.add_file(f"{index:020X}", [body[:7], body[7:]])
    files = tuple(
        LogFile(f"{root}\\db\\{name}", f"{index:020X}", 9, len(body))
        for index, (name, body) in enumerate(bodies.items())
    )
    group = FileGroup(backup_log.DATABASE_CLASS, "i", "n", 0, 0, f"{root}\\db", "", "o", files)
    log = BackupLog({"ObjectName": "n", "ObjectId": "i"}, (), (), (group,))
    page = writer.finish(backup_log.emit(log))
    data = page + bytes(stored)
    container = Container.open(MemorySource(data))
    assert {name: bytes(container.read(name)) for name in container.files} == bodies
    assert list(container.files) == list(bodies)
    assert container.log == log
    assert b"".join(container.reemit()) == data
    assert dataclasses.asdict(container.header)["apply_compression"] is compress


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_part_of_a_container_or_a_format_error(data: bytes) -> None:
    for parse in (header.parse, virtual_directory.parse, backup_log.parse):
        try:
            parse(data)
        except FormatError:
            continue
        raise AssertionError("no random bytes are a part of a container")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_any_text_is_a_definition_or_a_format_error(text: str) -> None:
    try:
        db_xml.parse(text.encode("utf-8", "replace"), file="db.xml")
    except FormatError:
        return
    raise AssertionError("no random text is a definition")
