"""Writing a version that nobody sees, and reading it back."""

from __future__ import annotations

import errno
import os

import pytest

from tabvault.errors import ChecksumError, DiskFullError, FormatError, LimitError, StorageError, TruncatedError
from tabvault.formats.byte_source import pieces
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.data_folder.manifest import MANIFEST_BYTE_COUNT_MAX
from tabvault.storage.file_source import FileSource


@pytest.fixture
def folder(tmp_path):
    with DataFolder.open(tmp_path / "data") as folder:
        yield folder


def add(staged, name, *bodies, byte_count=None):
    staged.add(
        name,
        bodies,
        byte_count=sum(map(len, bodies)) if byte_count is None else byte_count,
        last_write_time=133_536_384_000_000_000,
        group_class=100_069,
    )


def commit(staged, name="Sales", replaces=None, container=None):
    return staged.commit(
        name=name,
        database_id=f"{name}-id",
        compatibility_level=1550,
        read_write_mode="readWrite",
        container=container or {},
        replaces=replaces,
    )


def staging_is_empty(folder):
    return not list(folder.spool_folder.iterdir())


def test_a_committed_version_gives_back_what_was_added(folder):
    with folder.stage() as staged:
        add(staged, "T.tbl\\1.prt\\0.idf", b"1234", memoryview(b"56789"))
        add(staged, "empty")
        info = commit(staged, container={"fields": {"ObjectName": "Sales"}})
    assert (info.byte_count, info.file_count, info.version) == (9, 2, 1)
    assert staging_is_empty(folder)
    with folder.read("Sales") as reader:
        assert list(reader.names()) == ["T.tbl\\1.prt\\0.idf", "empty"]
        assert reader.read("T.tbl\\1.prt\\0.idf") == b"123456789"
        assert reader.byte_count("T.tbl\\1.prt\\0.idf") == 9
        # The check value of CRC-32/BZIP2.
        assert reader.entry("T.tbl\\1.prt\\0.idf").crc32 == 0xFC891918
        assert reader.entry("empty").crc32 == 0
        assert reader.open("T.tbl\\1.prt\\0.idf").read_at(3, 4) == b"4567"
        assert b"".join(pieces(reader.open("empty"))) == b""
        assert reader.path("T.tbl\\1.prt\\0.idf").parts[-4:] == ("files", "T.tbl", "1.prt", "0.idf")
        assert reader.manifest.container == {"fields": {"ObjectName": "Sales"}}
        for name in reader.names():
            reader.check(name)


def test_what_is_staged_can_be_read_before_the_commit(folder):
    with folder.stage() as staged:
        add(staged, "a", b"123")
        assert staged.read("a") == b"123"
        assert list(staged.names()) == ["a"]
        with pytest.raises(FormatError, match="no such file in the database - at b"):
            staged.read("b")


@pytest.mark.parametrize(("byte_count", "message"), [(5, "more than the 5 bytes"), (7, "has 6 bytes, not the 7")])
def test_another_length_than_promised_is_refused(folder, byte_count, message):
    with folder.stage() as staged:
        with pytest.raises(FormatError, match=message):
            add(staged, "a", b"123", b"456", byte_count=byte_count)
        assert not [path for path in folder.spool_folder.rglob("*") if path.is_file()]


def test_an_endless_file_stops_at_its_length(folder):
    def endless():
        while True:
            yield bytes(1000)

    with folder.stage() as staged, pytest.raises(FormatError, match="more than the 5000 bytes"):
        staged.add("a", endless(), byte_count=5000, last_write_time=0, group_class=0)


def test_a_file_cannot_be_there_twice(folder):
    with folder.stage() as staged:
        add(staged, "a", b"1")
        with pytest.raises(FormatError, match="there twice - at a"):
            add(staged, "a", b"1")


def test_a_number_out_of_range_is_refused_when_it_is_added(folder):
    with folder.stage() as staged, pytest.raises(FormatError, match="last_write_time"):
        staged.add("a", [], byte_count=0, last_write_time=1 << 63, group_class=0)


def test_an_error_of_the_source_passes_through(folder):
    def broken():
        yield b"1"
        raise PermissionError(errno.EACCES, "the source")

    with folder.stage() as staged, pytest.raises(PermissionError, match="the source"):
        staged.add("a", broken(), byte_count=2, last_write_time=0, group_class=0)


def test_what_was_not_committed_is_gone(folder):
    with folder.stage() as staged:
        add(staged, "a\\b\\c", b"1")
        assert not staging_is_empty(folder)
    assert staging_is_empty(folder)
    assert folder.databases() == []


def test_an_unchanged_file_is_shared_and_an_edited_one_is_not(folder):
    with folder.stage() as staged:
        add(staged, "data", b"data")
        add(staged, "metadata.sqlitedb", b"old metadata")
        old_info = commit(staged)
    with folder.read("Sales") as old:
        with folder.stage() as staged:
            staged.link(old, "data")
            staged.link(old, "metadata.sqlitedb")
            assert staged.read("metadata.sqlitedb") == b"old metadata"
            with staged.path("metadata.sqlitedb").open("r+b") as file:
                file.write(b"NEW METADATA, longer")
            staged.seal("metadata.sqlitedb")
            assert staged.read("metadata.sqlitedb") == b"NEW METADATA, longer"
            info = commit(staged, replaces=old_info)
        with folder.read("Sales") as new:
            assert new.path("data").samefile(old.path("data"))
            assert new.read("metadata.sqlitedb") == b"NEW METADATA, longer"
            assert old.read("metadata.sqlitedb") == b"old metadata"
            for name in new.names():
                new.check(name)
                old.check(name)
            assert new.entry("metadata.sqlitedb").last_write_time == 133_536_384_000_000_000
    assert (info.version, info.created, info.key) == (2, old_info.created, old_info.key)
    assert info.committed > old_info.committed


def test_an_edit_that_nobody_sealed_is_sealed_by_the_commit(folder):
    with folder.stage() as staged:
        add(staged, "a", b"123")
        staged.path("a").write_bytes(b"4")
        commit(staged)
    with folder.read("Sales") as reader:
        reader.check("a")
        assert reader.read("a") == b"4"


def test_where_hard_links_do_not_work_files_are_copied(folder, monkeypatch):
    with folder.stage() as staged:
        add(staged, "data", b"data" * 1000)
        old_info = commit(staged)

    def no_links(*_args, **_options):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    with folder.read("Sales") as old, folder.stage() as staged:
        staged.link(old, "data")
        assert not staged.path("data").samefile(old.path("data"))
        commit(staged, replaces=old_info)
    with folder.read("Sales") as new:
        new.check("data")
        assert new.read("data") == b"data" * 1000


@pytest.mark.parametrize("links", [True, False])
def test_damage_is_not_carried_into_the_next_version(folder, monkeypatch, links):
    with folder.stage() as staged:
        add(staged, "data", b"data")
        commit(staged)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_args, **_options: (_ for _ in ()).throw(OSError(errno.EXDEV, "")))
    with folder.read("Sales") as old, folder.stage() as staged:
        old.path("data").write_bytes(b"dat")
        with pytest.raises(FormatError, match=r"has 3 bytes, it was committed with 4"):
            staged.link(old, "data")
        old.path("data").unlink()
        with pytest.raises(FormatError, match="is missing"):
            staged.link(old, "data")


def test_a_full_disk_has_its_name(folder, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with folder.stage() as staged:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFullError, match="no space left on device"):
            add(staged, "a", b"1")


def test_room_is_asked_for_before_anything_is_written(folder):
    folder.check_free_space(1)
    with pytest.raises(DiskFullError, match="bytes are needed") as caught:
        folder.check_free_space(1 << 62)
    assert caught.value.hint == "free space there, or choose a data folder on another disk"


def test_a_manifest_that_could_not_be_read_is_not_committed(folder):
    with folder.stage() as staged, pytest.raises(ValueError, match="does not survive JSON"):
        commit(staged, container={"tuple": (1, 2)})
    assert folder.databases() == []


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"name": "x" * 2000}, "name is not a text of 1 to 1024 characters"),
        ({"name": "\ud800"}, "surrogates not allowed"),
        ({"database_id": ""}, "id is not a text"),
        ({"compatibility_level": 1 << 40}, "compatibility_level is not a whole number"),
        ({"read_write_mode": "write"}, "read_write_mode is 'write'"),
        ({"container": {"fields": {"ServerRoot": "\udfff"}}}, "surrogates not allowed"),
    ],
)
def test_what_a_backup_says_of_a_database_is_refused_by_name(folder, about, message):
    good = {
        "name": "Sales",
        "database_id": "Sales-id",
        "compatibility_level": 1550,
        "read_write_mode": "readWrite",
        "container": {},
    }
    with folder.stage() as staged, pytest.raises(FormatError, match=message):
        staged.commit(**(good | about), replaces=None)
    assert folder.databases() == []


def test_a_manifest_that_would_be_too_long_is_over_a_limit(folder):
    with folder.stage() as staged, pytest.raises(LimitError, match="manifest of 2684"):
        commit(staged, container={"additional_log": "A" * MANIFEST_BYTE_COUNT_MAX})
    assert folder.databases() == []


@pytest.fixture
def damaged(folder):
    """A reader, and the path of its one file ``a`` of ten bytes."""
    with folder.stage() as staged:
        add(staged, "a", b"0123456789")
        commit(staged)
    with folder.read("Sales") as reader:
        yield reader, reader.path("a")


def test_a_file_of_another_length_is_refused_by_every_way_of_reading(damaged):
    reader, path = damaged
    for body, kind in ((b"012345678", TruncatedError), (b"0123456789A", FormatError)):
        path.write_bytes(body)
        for read in (reader.read, reader.check, lambda name: reader.open(name).read_at(0, 1)):
            with pytest.raises(kind, match=f"has {len(body)} bytes, it was committed with 10 - at a"):
                read("a")


def test_a_flipped_bit_is_found_by_the_check(damaged):
    reader, path = damaged
    for bit in range(80):
        body = bytearray(b"0123456789")
        body[bit // 8] ^= 1 << bit % 8
        path.write_bytes(body)
        with pytest.raises(ChecksumError, match="has CRC 0x"):
            reader.check("a")


def test_a_missing_file_and_a_folder_in_its_place_have_names(damaged):
    reader, path = damaged
    path.unlink()
    with pytest.raises(FormatError, match="missing in the data folder - at a"):
        reader.read("a")
    path.mkdir()
    with pytest.raises(StorageError):
        reader.read("a")


def test_a_range_outside_the_file_is_refused(damaged):
    reader, _ = damaged
    with pytest.raises(TruncatedError):
        reader.open("a").read_at(5, 6)


@pytest.mark.parametrize(
    "name", ["..\\..\\..\\escape", "/etc/escape", "a\\..\\b", "nul", "x" * 5000, "\\", ".", "値" * 300]
)
def test_a_hostile_name_stays_in_the_folder(folder, name):
    before = {path for path in folder.path.parent.rglob("*") if "staging" not in path.parts}
    with folder.stage() as staged:
        add(staged, name, b"1")
        assert {path for path in folder.path.parent.rglob("*") if "staging" not in path.parts} == before
        commit(staged)
    with folder.read("Sales") as reader:
        assert list(reader.names()) == [name]
        assert reader.read(name) == b"1"
        assert reader.path(name).resolve().is_relative_to(folder.path.resolve() / "databases")


ABOUT = {"last_write_time": 7, "group_class": 100069}


@pytest.mark.parametrize("pieces_of_body", [[b"abcdefgh"], [b"abc", b"", b"defgh"], [b"a", b"b", b"c", b"d", b"efgh"]])
def test_the_same_bytes_are_shared_with_the_version_before(folder, pieces_of_body):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        staged.add_or_share(reader, "a", pieces_of_body, byte_count=8, **ABOUT)
        assert staged.reading_path("a").samefile(reader.path("a"))
        assert staged.entry("a").last_write_time == 7
        assert staged.path("a").read_bytes() == b"abcdefgh"
        assert not staged.reading_path("a").samefile(reader.path("a"))


@pytest.mark.parametrize(
    "body", [[b"Xbcdefgh"], [b"abcd", b"efgX"], [b"abc", b"Xef", b"gh"], [b"abcdefgh", b"i"], [b"abcd"], []]
)
def test_other_bytes_are_written_whole_wherever_they_begin_to_differ(folder, body):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    whole = b"".join(body)
    with folder.read("Sales") as reader, folder.stage() as staged:
        if len(whole) != 8:
            with pytest.raises(FormatError):
                staged.add_or_share(reader, "a", body, byte_count=8, **ABOUT)
        staged.add_or_share(reader, "b" if len(whole) != 8 else "a", body, byte_count=len(whole), **ABOUT)
        name = "b" if len(whole) != 8 else "a"
        assert staged.read(name) == whole
        assert not staged.reading_path(name).samefile(reader.path("a"))
        assert reader.read("a") == b"abcdefgh"


def test_a_file_that_its_disk_damaged_is_not_shared(folder):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        reader.path("a").write_bytes(b"abcdefgX")
        staged.add_or_share(reader, "a", [b"abcdefgh"], byte_count=8, **ABOUT)
        assert staged.read("a") == b"abcdefgh"


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(b"abc")


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [lose, cut, replace_by_a_folder])
def test_a_damaged_file_of_the_version_before_is_replaced(folder, damage):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        add(staged, "empty", b"")
        old_info = commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        damage(reader.path("a"))
        damage(reader.path("empty"))
        staged.add_or_share(reader, "a", [b"abcd", b"efgh"], byte_count=8, **ABOUT)
        staged.add_or_share(reader, "empty", [], byte_count=0, **ABOUT)
        commit(staged, replaces=old_info)
    with folder.read("Sales") as reader:
        reader.check("a")
        reader.check("empty")
        assert reader.read("a") == b"abcdefgh"


@pytest.fixture
def bad_sector(monkeypatch):
    """Reading fails in the second half of a file, and everywhere once the test says so."""
    read_at = FileSource.read_at
    begins = [4]

    def failing(source, offset, byte_count):
        if source.byte_count == 8 and offset + byte_count > begins[0]:
            raise StorageError("input/output error")
        return read_at(source, offset, byte_count)

    monkeypatch.setattr(FileSource, "read_at", failing)
    return begins


def test_a_file_that_cannot_be_read_to_its_end_is_replaced(folder, bad_sector):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        staged.add_or_share(reader, "a", [b"abcd", b"efgh"], byte_count=8, **ABOUT)
        assert staged.reading_path("a").read_bytes() == b"abcdefgh"
        assert staged.entry("a").crc32 == reader.entry("a").crc32


def test_bytes_that_were_read_once_and_not_again_have_an_error_of_their_own(folder, bad_sector):
    def body():
        yield b"abcd"
        bad_sector[0] = 0
        yield b"efgh"

    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        with pytest.raises(StorageError, match="read once and not again: input/output error") as caught:
            staged.add_or_share(reader, "a", body(), byte_count=8, **ABOUT)
        assert "drop the database" in caught.value.hint
        assert list(staged.names()) == []


def test_bytes_that_change_after_they_agreed_are_not_written_as_good_ones(folder):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:

        def body():
            yield b"abcd"
            reader.path("a").write_bytes(b"abcXefgh")
            yield b"EFGH"

        with pytest.raises(ChecksumError, match="the first 4 bytes of the file to be replaced have CRC"):
            staged.add_or_share(reader, "a", body(), byte_count=8, **ABOUT)


def test_a_shared_file_has_the_checksum_of_its_bytes_and_not_that_of_a_wrong_manifest(folder):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        old_info = commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged:
        reader.path("a").write_bytes(b"abcdefgX")
        staged.add_or_share(reader, "a", [b"abcdefgX"], byte_count=8, **ABOUT)
        commit(staged, replaces=old_info)
    with folder.read("Sales") as reader:
        reader.check("a")


def test_a_number_out_of_range_is_refused_when_a_file_is_shared(folder):
    with folder.stage() as staged:
        add(staged, "a", b"abcdefgh")
        commit(staged)
    with folder.read("Sales") as reader, folder.stage() as staged, pytest.raises(FormatError, match="last_write_time"):
        staged.add_or_share(reader, "a", [b"abcdefgh"], byte_count=8, last_write_time=1 << 63, group_class=100_069)
