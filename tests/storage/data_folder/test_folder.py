"""Which databases there are, who reads and who changes them."""

from __future__ import annotations

import datetime
import json
import shutil
import threading

import pytest

from tabvault.errors import (
    DatabaseError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    DataFolderDamagedError,
)
from tabvault.storage.data_folder.folder import DataFolder


@pytest.fixture
def folder(tmp_path):
    with DataFolder.open(tmp_path / "data") as folder:
        yield folder


def put(folder, name="Sales", body=b"1", *, database_id=None, replaces=None, files=1):
    with folder.stage() as staged:
        for index in range(files):
            staged.add(f"file {index}", [body], byte_count=len(body), last_write_time=0, group_class=100_069)
        return staged.commit(
            name=name,
            database_id=database_id or f"{name}-id",
            compatibility_level=1550,
            read_write_mode="readOnly",
            container={},
            replaces=replaces,
        )


def body_of(folder, name="Sales"):
    with folder.read(name) as reader:
        reader.check("file 0")
        return reader.read("file 0")


def versions(folder, info):
    return sorted(path.name for path in (folder.path / "databases" / info.key / "versions").iterdir())


def test_databases_are_listed_and_found_by_name_or_id_whatever_the_case(folder):
    before = datetime.datetime.now(datetime.UTC)
    sales = put(folder, "Sales", b"12345")
    other = put(folder, "adventure", database_id="SALES")
    assert folder.databases() == [other, sales]
    assert folder.find("SALES") == sales
    assert folder.find("sales-ID") == sales
    assert folder.find("Adventure") == other
    assert (sales.name, sales.id, sales.compatibility_level, sales.read_write_mode) == (
        "Sales",
        "Sales-id",
        1550,
        "readOnly",
    )
    assert (sales.byte_count, sales.file_count, sales.version, sales.state) == (5, 1, 1, "ready")
    assert before <= sales.committed <= datetime.datetime.now(datetime.UTC)


def test_a_name_that_is_not_there_tells_which_are(folder):
    with pytest.raises(DatabaseNotFoundError) as caught:
        folder.read("Sale")
    assert caught.value.hint == "there are no databases yet"
    for index in range(22):
        put(folder, f"Sales {index:02d}")
    with pytest.raises(DatabaseNotFoundError, match="'Sale'") as caught:
        folder.read("Sale")
    assert "'Sales 00', 'Sales 01'" in caught.value.hint
    assert caught.value.hint.endswith("'Sales 19' and 2 more")


def test_everything_is_there_after_opening_again(folder):
    put(folder, "Sales", b"old")
    info = put(folder, "Sales", b"new", replaces=folder.find("Sales"))
    folder.record_backup(info, datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC))
    expected = folder.databases()
    assert expected[0].last_backup == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    folder.close()
    with DataFolder.open(folder.path, create=False) as again:
        assert again.databases() == expected
        assert body_of(again) == b"new"


def test_a_new_version_keeps_the_time_of_the_last_backup(folder):
    when = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    folder.record_backup(put(folder), when)
    assert put(folder, replaces=folder.find("Sales")).last_backup == when
    with pytest.raises(ValueError, match="offset"):
        folder.record_backup(folder.find("Sales"), when.replace(tzinfo=None))


@pytest.mark.parametrize("content", [b"", b"yesterday", b"2024-02-29T12:00:00", b"\xff", b"9" * 5000])
def test_a_damaged_time_of_the_last_backup_counts_as_none(folder, content):
    info = put(folder)
    folder.record_backup(info, datetime.datetime.now(datetime.UTC))
    folder.close()
    (folder.path / "databases" / info.key / "LAST_BACKUP").write_bytes(content)
    with DataFolder.open(folder.path) as again:
        assert again.find("Sales").last_backup is None
        assert again.find("Sales").state == "ready"


def test_a_name_or_id_is_used_once(folder):
    put(folder, "Sales")
    other = put(folder, "Other")
    with pytest.raises(DatabaseExistsError, match="database 'Sales' exists"):
        put(folder, "SALES", database_id="x")
    with pytest.raises(DatabaseExistsError, match="'Sales' has the id 'Sales-id'"):
        put(folder, "x", database_id="sales-ID")
    with pytest.raises(DatabaseExistsError):
        put(folder, "Sales", database_id="x", replaces=other)
    renamed = put(folder, "Third", database_id="x", replaces=other)
    assert renamed.key == other.key
    assert [info.name for info in folder.databases()] == ["Sales", "Third"]
    assert not list(folder.spool_folder.iterdir())


def test_what_changed_meanwhile_is_not_replaced(folder):
    first = put(folder, body=b"first")
    put(folder, body=b"second", replaces=first)
    with pytest.raises(DatabaseError, match="was changed meanwhile"):
        put(folder, body=b"third", replaces=first)
    second = folder.find("Sales")
    folder.record_backup(second, datetime.datetime.now(datetime.UTC))
    assert body_of(folder) == b"second"
    folder.drop(second)
    with pytest.raises(DatabaseError, match="was dropped meanwhile"):
        put(folder, body=b"third", replaces=second)
    assert folder.databases() == []
    for late in (lambda: folder.drop(second), lambda: folder.record_backup(second, second.committed)):
        with pytest.raises(DatabaseNotFoundError, match="was dropped meanwhile"):
            late()


def test_a_reader_keeps_its_version_through_commits_and_a_drop(folder):
    first = put(folder, body=b"version 1", files=3)
    with folder.read("Sales") as early, folder.read("Sales") as twin:
        for number in (2, 3, 4):
            put(folder, body=b"version %d" % number, replaces=folder.find("Sales"))
            assert early.read("file 0") == b"version 1"
        assert versions(folder, first) == ["00000001", "00000004"]
        with folder.read("Sales") as late:
            folder.drop(folder.find("Sales"))
            assert folder.databases() == []
            again = put(folder, body=b"another")
            assert late.read("file 0") == b"version 4"
            twin.close()
            for name in early.names():
                early.check(name)
                assert early.open(name).read_at(0, 9) == b"version 1"
                assert early.path(name).read_bytes() == b"version 1"
        assert early.read("file 2") == b"version 1"
    assert not (folder.path / "databases" / first.key).exists()
    assert not list((folder.path / "trash").iterdir())
    assert body_of(folder) == b"another"
    assert again.key != first.key


def test_an_old_version_goes_with_its_last_reader(folder):
    info = put(folder, body=b"1")
    reader, other = folder.read("Sales"), folder.read("Sales")
    put(folder, body=b"2", replaces=info)
    reader.close()
    reader.close()
    assert versions(folder, info) == ["00000001", "00000002"]
    other.close()
    assert versions(folder, info) == ["00000002"]


def test_of_two_commits_of_one_name_exactly_one_wins(folder):
    for replaces in (None, put(folder, "Other")):
        barrier = threading.Barrier(4)
        won, lost = [], []

        def run(number, replaces=replaces, barrier=barrier, won=won, lost=lost):
            barrier.wait()
            try:
                put(folder, "Sales", b"%d" % number, replaces=replaces)
            except DatabaseError as error:
                lost.append(error)
            else:
                won.append(b"%d" % number)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert len(lost) == 3
        assert body_of(folder) == won[0]
        folder.drop(folder.find("Sales"))


def test_readers_and_writers_do_not_disturb_each_other(folder):
    put(folder, body=b"%08d" % 0, files=4)
    stop = threading.Event()
    problems, reads = [], []

    def read():
        while not stop.is_set():
            try:
                with folder.read("sales") as reader:
                    for name in reader.names():
                        reader.check(name)
                    assert len({reader.read(name) for name in reader.names()}) == 1
                reads.append(1)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                problems.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 12):
        put(folder, body=b"%08d" % number, files=4, replaces=folder.find("Sales"))
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(reads) > 3
    assert versions(folder, folder.find("Sales")) == ["00000012"]


def test_a_reader_does_not_wait_for_a_commit_that_waits_for_the_disk(folder, monkeypatch):
    info = put(folder, body=b"old")
    from tabvault.storage.data_folder import database_folder

    arrived, go_on = threading.Event(), threading.Event()
    fsync_directory = database_folder.fsync_directory

    def slow(path):
        arrived.set()
        assert go_on.wait(30)
        fsync_directory(path)

    monkeypatch.setattr(database_folder, "fsync_directory", slow)
    writer = threading.Thread(target=put, args=(folder, "Sales", b"new"), kwargs={"replaces": info})
    writer.start()
    assert arrived.wait(30)
    assert body_of(folder) == b"old"
    assert folder.databases() == [info]
    go_on.set()
    writer.join()
    assert body_of(folder) == b"new"


# --- damage


def damage_current_name(path):
    (path / "CURRENT").write_text("../../../../etc " + "0" * 64 + "\n")


def damage_current_version(path):
    current = path / "CURRENT"
    current.write_text(current.read_text().replace("00000001 ", "00000002 "))


def damage_manifest_text(path):
    manifest = path / "versions" / "00000001" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"readOnly"', '"readWrite"'))


def cut_manifest(path):
    manifest = path / "versions" / "00000001" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-5])


def manifest_is_a_folder(path):
    manifest = path / "versions" / "00000001" / "manifest.json"
    manifest.unlink()
    manifest.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "CURRENT").unlink(),
        lambda path: (path / "CURRENT").write_bytes(b""),
        damage_current_name,
        damage_current_version,
        damage_manifest_text,
        cut_manifest,
        manifest_is_a_folder,
        lambda path: shutil.rmtree(path / "versions"),
    ],
)
def test_a_damaged_database_is_listed_and_the_others_serve(folder, damage):
    info = put(folder, "Sales")
    put(folder, "Other", b"fine")
    folder.close()
    path = folder.path / "databases" / info.key
    damage(path)
    files = sorted(path.rglob("*"))
    with DataFolder.open(folder.path) as again:
        assert body_of(again, "Other") == b"fine"
        broken = again.find(info.key)
        assert broken.state == "damaged"
        assert str(path) in broken.damage
        assert broken in again.databases()
        with pytest.raises(DataFolderDamagedError, match=str(path)):
            again.read(info.key)
        with pytest.raises(DataFolderDamagedError, match=str(path)):
            put(again, "New", replaces=broken)
        assert sorted(path.rglob("*")) == files, "what may still be saved is not removed"
        again.drop(broken)
        assert [one.name for one in again.databases()] == ["Other"]
        assert not path.exists()


def test_every_flipped_bit_of_a_manifest_is_damage(folder):
    info = put(folder)
    folder.close()
    path = folder.path / "databases" / info.key / "versions" / "00000001" / "manifest.json"
    good = path.read_bytes()
    for bit in range(0, len(good) * 8, 37):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with DataFolder.open(folder.path) as again:
            assert [one.state for one in again.databases()] == ["damaged"]
    path.write_bytes(good)
    with DataFolder.open(folder.path) as again:
        assert again.databases() == [info]


def test_a_manifest_damaged_after_opening_is_noticed_by_the_reader(folder):
    info = put(folder)
    cut_manifest(folder.path / "databases" / info.key)
    with pytest.raises(DataFolderDamagedError, match=r"manifest\.json has SHA-256"):
        folder.read("Sales")
    folder.drop(info)
    assert not (folder.path / "databases" / info.key).exists()


def test_a_copy_of_a_database_folder_is_listed_as_damaged(folder):
    info = put(folder)
    folder.close()
    shutil.copytree(folder.path / "databases" / info.key, folder.path / "databases" / "copy of it")
    with DataFolder.open(folder.path) as again:
        assert [one.state for one in again.databases()].count("damaged") == 1
        broken = next(one for one in again.databases() if one.damage)
        assert "has the name or id of database 'Sales'" in broken.damage
        again.drop(broken)
        assert body_of(again) == b"1"


# --- the folder itself


def test_garbage_of_a_crash_goes_when_the_folder_is_opened(folder):
    info = put(folder, body=b"1")
    info = put(folder, body=b"2", replaces=info)
    dropped = put(folder, "Dropped")
    folder.close()
    path = folder.path / "databases" / info.key
    shutil.copytree(path / "versions" / "00000002", path / "versions" / "00000001")
    shutil.copytree(path / "versions" / "00000002", path / "versions" / "00000003")
    (path / ".CURRENT-0123.tmp").write_bytes(b"")
    (folder.path / "databases" / dropped.key / "DROPPED").touch()
    (folder.path / "staging" / "x" / "versions").mkdir(parents=True)
    (folder.path / "trash" / "y").mkdir()
    with DataFolder.open(folder.path) as again:
        assert again.databases() == [info]
        assert body_of(again) == b"2"
    assert versions(folder, info) == ["00000002"]
    assert sorted(one.name for one in path.iterdir()) == ["CURRENT", "versions"]
    assert [one.name for one in (folder.path / "databases").iterdir()] == [info.key]
    assert not list((folder.path / "staging").iterdir())
    assert not list((folder.path / "trash").iterdir())


def test_a_folder_that_is_not_there_is_made_only_when_asked(tmp_path):
    with pytest.raises(DatabaseNotFoundError, match=f"there is no data folder at {tmp_path / 'a'}"):
        DataFolder.open(tmp_path / "a", create=False)
    with pytest.raises(DatabaseNotFoundError, match="is no data folder"):
        DataFolder.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []
    DataFolder.open(tmp_path / "a" / "b").close()
    DataFolder.open(tmp_path / "a" / "b", create=False).close()


def test_a_folder_of_somebody_else_is_not_taken_over(tmp_path):
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(DatabaseError, match=r"'thesis\.doc' is in it"):
        DataFolder.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_fresh_file_system_is_taken(tmp_path):
    (tmp_path / "lost+found").mkdir()
    DataFolder.open(tmp_path).close()


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (b'{"format": "tabvault data folder", "format_version": 2}', "format version 2, this program reads 1"),
        (b'{"format": "photo album", "format_version": 1}', "not 'tabvault data folder'"),
        (b'{"format": "tabvault data folder", "format_version": "1"}', "not 'tabvault data folder'"),
        (b"", "not 'tabvault data folder'"),
        (b"[]", "not 'tabvault data folder'"),
        (b" " * 5000, "not 'tabvault data folder'"),
    ],
)
def test_a_folder_of_a_newer_version_or_a_damaged_mark_is_refused(folder, mark, message):
    put(folder)
    folder.close()
    (folder.path / "data-folder.json").write_bytes(mark)
    for _ in range(2):
        with pytest.raises(DataFolderDamagedError, match=message) as caught:
            DataFolder.open(folder.path)
        assert caught.value.hint


def test_lost_databases_are_not_taken_for_none(folder):
    put(folder)
    folder.close()
    (folder.path / "databases").rename(folder.path / "elsewhere")
    with pytest.raises(DataFolderDamagedError, match="databases is missing"):
        DataFolder.open(folder.path)


def test_the_mark_is_what_it_says(folder):
    mark = json.loads((folder.path / "data-folder.json").read_text())
    assert mark == {"format": "tabvault data folder", "format_version": 1}
