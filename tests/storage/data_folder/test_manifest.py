"""``manifest.json`` is written for people and read strictly."""

from __future__ import annotations

import datetime
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.storage.data_folder.manifest import Manifest, ManifestFile, emit, parse

BY_HAND = r"""{
"format": "tabvault database version",
"format_version": 1,
"name": "Größen",
"id": "sizes",
"compatibility_level": 1550,
"read_write_mode": "readOnly",
"created": "2024-02-29T12:00:00+00:00",
"committed": "2024-02-29T12:00:01.500000+01:00",
"container": {"fields": {"ObjectName": "Größen"}},
"files": [
{"name": "T (1).tbl\\0.idf", "path": "T (1).tbl/0.idf", "byte_count": 9, "crc32": 4236843288, "last_write_time": 133536384000000000, "group_class": 100069},
{"name": "metadata.sqlitedb", "path": "metadata.sqlitedb", "byte_count": 0, "crc32": 0, "last_write_time": 0, "group_class": 100069}]
}
"""  # noqa: E501 - one line per file is the point

MANIFEST = Manifest(
    name="Größen",
    id="sizes",
    compatibility_level=1550,
    read_write_mode="readOnly",
    created=datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
    committed=datetime.datetime(2024, 2, 29, 12, 0, 1, 500_000, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    container={"fields": {"ObjectName": "Größen"}},
    files=(
        ManifestFile("T (1).tbl\\0.idf", "T (1).tbl/0.idf", 9, 0xFC891918, 133_536_384_000_000_000, 100_069),
        ManifestFile("metadata.sqlitedb", "metadata.sqlitedb", 0, 0, 0, 100_069),
    ),
)


def test_a_manifest_is_what_its_text_says():
    assert parse(BY_HAND.encode()) == MANIFEST
    assert emit(MANIFEST).decode() == BY_HAND


def changed(**changes):
    root = json.loads(BY_HAND)
    for path, value in changes.items():
        target = root["files"][0] if path.startswith("file_") else root
        key = path.removeprefix("file_")
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return json.dumps(root).encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "zip"}, "format is 'zip' 1"),
        ({"format_version": 2}, "version' 2, not"),
        ({"name": ...}, "missing or unknown in manifest: 'name'"),
        ({"more": 1}, "missing or unknown in manifest: 'more'"),
        ({"name": ""}, "name is not a text of 1 to"),
        ({"name": "\ud800"}, "surrogates not allowed"),
        ({"id": "x" * 1025}, "id is not a text"),
        ({"compatibility_level": True}, "compatibility_level is not a whole number"),
        ({"compatibility_level": 1500.0}, "compatibility_level is not a whole number"),
        ({"read_write_mode": "write"}, "read_write_mode is 'write'"),
        ({"read_write_mode": []}, "read_write_mode is"),
        ({"created": "2024-02-29T12:00:00"}, "has no offset"),
        ({"created": "yesterday"}, "Invalid isoformat"),
        ({"created": 5}, "a time is not a text"),
        ({"container": []}, "container is not an object"),
        ({"files": {}}, "files is not a list"),
        ({"files": [1]}, "a file is not an object"),
        ({"file_crc32": ...}, "missing or unknown in file: 'crc32'"),
        ({"file_owner": 1}, "missing or unknown in file: 'owner'"),
        ({"file_byte_count": -1}, "byte_count is not a whole number"),
        ({"file_byte_count": 1 << 63}, "byte_count is not a whole number"),
        ({"file_crc32": 1 << 32}, "crc32 is not a whole number"),
        ({"file_group_class": "1"}, "group_class is not a whole number"),
        ({"file_name": 5}, "is not a text"),
        ({"file_name": ""}, "empty name"),
        ({"file_name": "metadata.sqlitedb"}, "a logical name stands twice"),
        ({"file_path": "metadata.sqlitedb"}, "a path stands twice"),
        ({"file_path": "../../etc/passwd"}, "does not stay in the folder"),
        ({"file_path": "/etc/passwd"}, "does not stay in the folder"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parse(changed(**changes))


def test_a_model_of_hundreds_of_thousands_of_files_has_a_manifest():
    files = tuple(ManifestFile(str(i), str(i), 0, 0, 0, 100_069) for i in range(250_000))
    manifest = Manifest("n", "i", 1500, "readWrite", MANIFEST.created, MANIFEST.committed, {}, files)
    assert len(parse(emit(manifest)).files) == 250_000


@pytest.mark.parametrize("data", [b"", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{", b"1" * 5000])
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        parse(data)


def test_every_shortened_manifest_is_refused():
    data = BY_HAND.encode()
    for byte_count in range(len(data) - 2):
        with pytest.raises(ValueError, match=r".+"):
            parse(data[:byte_count])


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_flipped_bit_gives_a_manifest_or_a_value_error(data):
    damaged = bytearray(BY_HAND.encode())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        parsed = parse(bytes(damaged))
    except ValueError:
        return
    assert parse(emit(parsed)) == parsed


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
)


@settings(deadline=None, max_examples=100)
@given(
    TEXTS,
    TEXTS,
    st.integers(0, 1_000_000),
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.dictionaries(TEXTS, JSON),
    st.lists(st.tuples(TEXTS, st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)), unique_by=lambda file: file[0]),
)
def test_what_is_written_is_read(name, database_id, level, when, container, files):
    manifest = Manifest(
        name=name,
        id=database_id,
        compatibility_level=level,
        read_write_mode="readWrite",
        created=when,
        committed=when,
        container=container,
        files=tuple(ManifestFile(file, f"f{i}", size, crc, -1, 7) for i, (file, size, crc) in enumerate(files)),
    )
    assert parse(emit(manifest)) == manifest


def test_thousands_of_files_are_read_quickly():
    files = tuple(
        ManifestFile(f"Table ({i}).tbl\\1.prt\\0.{i}.idf", f"Table ({i}).tbl/1.prt/0.{i}.idf", i, i, i, 100_069)
        for i in range(10_000)
    )
    data = emit(Manifest("n", "i", 1500, "readWrite", MANIFEST.created, MANIFEST.committed, {}, files))
    begun = time.process_time()
    assert len(parse(data).files) == 10_000
    assert time.process_time() - begun < 2
