"""Databases out of service: the way out, the way back, and what people put into their folders."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_faults import UNKNOWN, Died, Fault, traced

from storage.data_folder.hostile_manifest import change_manifest
from tabvault.errors import (
    ChecksumError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    FormatError,
    InvalidNameError,
    LimitError,
    StoreUnavailableError,
    TabvaultError,
    TruncatedError,
)
from tabvault.storage.data_folder import detached_folder
from tabvault.storage.data_folder.folder import DataFolder

pytest_plugins = ["storage.data_folder.folder_in_memory"]

WHEN = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
FILES = {"T.tbl\\1.prt\\0.idf": b"values" * 50, "db.xml": b"<x/>", "metadata.sqlitedb": b"m"}
KILL_COUNT = 20


@pytest.fixture
def folder(tmp_path):
    with DataFolder.open(tmp_path / "data") as folder:
        yield folder


def put(folder, name="Sales", files=FILES, *, database_id=None, replaces=None):
    with folder.stage() as staged:
        for file, body in files.items():
            staged.add(file, [body], byte_count=len(body), last_write_time=7, group_class=100_069)
        return staged.commit(
            name=name,
            database_id=database_id or f"{name}-id",
            compatibility_level=1550,
            read_write_mode="readWrite",
            container={"of": name},
            replaces=replaces,
        )


def attach(folder, name="Sales", *, mode=None):
    with folder.open_detached(name) as detached:
        detached.check_contents()
        with folder.stage_detached(detached) as staged:
            for entry in detached.manifest.files:
                detached.bring(staged, entry, counted=lambda pieces: pieces)
            detached.make_durable()
            return staged.commit(
                name=detached.manifest.name,
                database_id=detached.manifest.id,
                compatibility_level=detached.manifest.compatibility_level,
                read_write_mode=mode or detached.manifest.read_write_mode,
                container=detached.manifest.container,
                replaces=detached.info,
            )


def detach(folder, name="Sales"):
    return folder.detach(folder.find(name))


def bodies(folder, name="Sales"):
    with folder.read(name) as reader:
        for file in reader.names():
            reader.check(file)
        return {file: reader.read(file) for file in reader.names()}


def tree(folder):
    """Every file of the folder, and every link as where it leads."""
    return {
        path.relative_to(folder).as_posix(): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


# --- there and back


def test_a_detached_database_is_a_folder_that_says_all_of_itself(folder):
    info = put(folder)
    folder.record_backup(info, WHEN, file="sales.abf")
    old = folder.find("Sales")
    detached = detach(folder)
    assert folder.databases() == []
    assert not list((folder.path / "databases").iterdir())
    place = folder.path / "detached/Sales"
    data = (place / "versions/00000001/manifest.json").read_bytes()
    manifest = json.loads(data)
    assert tree(place) == {
        "CURRENT": f"00000001 {hashlib.sha256(data).hexdigest()}\n".encode(),
        "LAST_BACKUP": b"2024-02-29T12:00:00+00:00\nsales.abf\n",
        "versions/00000001/manifest.json": data,
        "versions/00000001/files/T.tbl/1.prt/0.idf": FILES["T.tbl\\1.prt\\0.idf"],
        "versions/00000001/files/db.xml": FILES["db.xml"],
        "versions/00000001/files/metadata.sqlitedb": FILES["metadata.sqlitedb"],
    }
    assert (manifest["name"], manifest["id"], manifest["container"]) == ("Sales", "Sales-id", {"of": "Sales"})
    assert datetime.datetime.fromisoformat(manifest["created"]) == old.created
    assert folder.detached() == [detached]
    assert (detached.key, detached.name, detached.id, detached.damage) == ("Sales", "Sales", "Sales-id", None)
    assert (detached.byte_count, detached.file_count, detached.last_backup) == (old.byte_count, 3, WHEN)


def test_an_attached_database_is_the_one_that_was_detached(folder):
    folder.record_backup(put(folder), WHEN, file="sales.abf")
    old = folder.find("Sales")
    detach(folder)
    info = attach(folder)
    assert bodies(folder) == FILES
    assert (info.name, info.id, info.created) == (old.name, old.id, old.created)
    assert (info.last_backup, info.last_backup_file) == (WHEN, "sales.abf")
    assert info.read_write_mode == "readWrite"
    assert folder.detached() == []
    for name in ("detached", "moving", "trash", "staging"):
        assert not list((folder.path / name).iterdir())
    folder.close()
    with DataFolder.open(folder.path) as again:
        assert again.databases() == [info]
        assert bodies(again) == FILES
        with again.read("Sales") as reader:
            assert [entry.last_write_time for entry in reader.manifest.files] == [7, 7, 7]


@pytest.mark.parametrize("mode", ["readOnly", "readOnlyExclusive", "readWrite"])
def test_the_mode_is_the_one_that_was_asked_for_and_stays(folder, mode):
    put(folder)
    detach(folder)
    assert attach(folder, mode=mode).read_write_mode == mode
    detach(folder)
    assert folder.detached()[0].read_write_mode == mode
    assert attach(folder).read_write_mode == mode


def test_files_are_not_copied_either_way(folder):
    info = put(folder)
    inode = next((folder.path / "databases" / info.key).rglob("0.idf")).stat().st_ino
    detach(folder)
    [path] = (folder.path / "detached").rglob("0.idf")
    assert (path.stat().st_ino, path.stat().st_nlink) == (inode, 1)
    info = attach(folder)
    [path] = (folder.path / "databases" / info.key).rglob("0.idf")
    assert (path.stat().st_ino, path.stat().st_nlink) == (inode, 1)


def test_who_reads_goes_on_reading_while_the_database_goes_and_comes_back(folder):
    put(folder)
    with folder.read("Sales") as reader:
        detach(folder)
        with pytest.raises(DatabaseNotFoundError):
            folder.read("Sales")
        assert {name: reader.read(name) for name in reader.names()} == FILES
        attach(folder, mode="readOnly")
        assert {name: reader.read(name) for name in reader.names()} == FILES
        detach(folder)
        folder.drop(attach(folder))
        assert {name: reader.read(name) for name in reader.names()} == FILES
    assert not list((folder.path / "databases").iterdir())
    assert folder.detached() == []


def test_a_change_that_was_begun_before_is_refused_after(folder):
    info = put(folder)
    detach(folder)
    with pytest.raises(DatabaseError, match="meanwhile"):
        put(folder, replaces=info)
    with pytest.raises(DatabaseNotFoundError, match="meanwhile"):
        folder.detach(info)
    attach(folder)
    with pytest.raises(DatabaseError, match="meanwhile"):
        put(folder, replaces=info)
    assert bodies(folder) == FILES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sales", "Sales"),
        ("Umsätze 2024 (neu)", "Umsätze 2024 (neu)"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("CON", "%43ON"),
        ('50% "x":*?<>|', "50%25 %22x%22%3A%2A%3F%3C%3E%7C"),
        ("tail.", "tail%2E"),
    ],
)
def test_the_folder_has_the_name_of_the_database_made_safe(folder, name, expected):
    put(folder, name, database_id="id")
    assert detach(folder, name).key == expected
    assert [path.name for path in (folder.path / "detached").iterdir()] == [expected]
    assert attach(folder, expected).name == name


def test_the_longest_name_has_a_folder_and_a_second_one(folder):
    name = "ü" * 512
    for _ in range(2):
        put(folder, name, database_id="id")
        detach(folder, name)
    keys = [info.key for info in folder.detached()]
    assert all(len(key.encode()) <= 255 for key in keys)
    assert len({key[:100] for key in keys}) == 1
    assert attach(folder, keys[1]).name == name


def test_a_folder_that_is_there_is_never_written_over(folder):
    place = folder.path / "detached"
    (place / "SALES").mkdir(parents=True)
    (place / "sales (2)").write_bytes(b"a file of somebody")
    for expected in ("Sales (3)", "Sales (4)"):
        put(folder)
        assert detach(folder).key == expected
    assert not list((place / "SALES").iterdir())
    assert (place / "sales (2)").read_bytes() == b"a file of somebody"


def test_a_name_or_an_id_in_use_keeps_a_database_out_and_loses_nothing(folder):
    put(folder)
    detach(folder)
    before = tree(folder.path / "detached")
    for name, database_id in (("SALES", "other"), ("Other", "sales-ID")):
        info = put(folder, name, database_id=database_id)
        with pytest.raises(DatabaseExistsError):
            attach(folder)
        folder.drop(info)
    assert tree(folder.path / "detached") == before
    assert not list((folder.path / "moving").iterdir())
    attach(folder)


def test_a_folder_that_was_replaced_while_it_was_attached_is_left_alone(folder):
    put(folder)
    detach(folder)
    place = folder.path / "detached/Sales"
    with folder.open_detached("Sales") as detached, folder.stage_detached(detached) as staged:
        for entry in detached.manifest.files:
            detached.bring(staged, entry, counted=lambda pieces: pieces)
        place.rename(folder.path / "detached/elsewhere")
        place.mkdir()
        (place / "new").write_bytes(b"of somebody")
        with pytest.raises(DatabaseError, match="replaced meanwhile"):
            staged.commit(
                name="Sales",
                database_id="Sales-id",
                compatibility_level=1550,
                read_write_mode="readOnly",
                container={},
                replaces=detached.info,
            )
    assert (place / "new").read_bytes() == b"of somebody"
    assert folder.databases() == []
    attach(folder, "elsewhere")
    assert bodies(folder) == FILES


def test_who_may_only_read_the_data_folder_sees_what_is_detached_and_changes_nothing(folder):
    put(folder)
    detach(folder)
    put(folder, "Other")
    key = folder.find("Other").key
    folder.close()
    # As a crash left it: one on its way, whose database is gone, and one whose database is there.
    shutil.copytree(folder.path / "detached/Sales", folder.path / "moving/0" / "On its way")
    shutil.copytree(folder.path / "detached/Sales", folder.path / "moving" / key / "Garbage")
    before = tree(folder.path)
    with DataFolder._loaded(folder.path, folder._owner_lock, is_read_only=True) as reading:
        assert [info.key for info in reading.detached()] == ["On its way", "Sales"]
        with pytest.raises(StoreUnavailableError):
            detach(reading, "Other")
        with pytest.raises(StoreUnavailableError):
            attach(reading)
    assert tree(folder.path) == before
    with DataFolder.open(folder.path) as owner:
        assert [info.key for info in owner.detached()] == ["On its way", "Sales"]
        assert not list((folder.path / "moving").iterdir())
        assert bodies(owner, "Other") == FILES


def test_a_copy_is_kept_as_long_as_its_database_is_damaged(folder):
    put(folder)
    detach(folder)
    info = put(folder, "Other")
    shutil.copytree(folder.path / "detached/Sales", folder.path / "moving" / info.key / "Copy")
    (folder.path / "databases" / info.key / "CURRENT").write_bytes(b"damage")
    folder.close()
    with DataFolder.open(folder.path) as again:
        assert (folder.path / "moving" / info.key / "Copy").is_dir()
        again.drop(again.find(info.key))
    with DataFolder.open(folder.path) as again:
        assert [info.key for info in again.detached()] == ["Copy", "Sales"]


# --- which folder


@pytest.mark.parametrize(
    "form", ["Sales", "sales", "detached/Sales", "detached\\Sales", "{root}/Sales", "{root}/Sales/", "Sales\\"]
)
def test_a_folder_is_named_as_detach_told_it_or_by_its_path(folder, form):
    put(folder)
    detach(folder)
    assert attach(folder, form.format(root=folder.path / "detached")).name == "Sales"


def test_case_matters_where_two_folders_differ_in_nothing_else(folder):
    for name in ("Sales", "Other"):
        put(folder, name)
        detach(folder, name)
    try:
        (folder.path / "detached/Other").rename(folder.path / "detached/sales")
    except OSError:
        pytest.skip("this file system ignores case")
    assert attach(folder, "sales").name == "Other"
    assert attach(folder, "Sales").name == "Sales"


@pytest.mark.parametrize(
    "form",
    [
        "",
        "/",
        ".",
        "..",
        "../databases",
        "detached/..",
        "..\\databases\\x",
        "/etc",
        "{root}",
        "{root}/../databases/x",
        "a/b",
        ".hidden",
        "detached/a/b",
        "C:\\data\\Sales",
        "\\\\server\\share",
    ],
)
def test_a_name_that_leads_elsewhere_is_none(folder, form):
    put(folder)
    detach(folder)
    put(folder, "Other")
    with pytest.raises((InvalidNameError, DatabaseNotFoundError)):
        folder.open_detached(form.format(root=folder.path / "detached"))


def test_a_folder_that_is_not_there_tells_which_are(folder):
    with pytest.raises(DatabaseNotFoundError) as caught:
        folder.open_detached("Sales")
    assert caught.value.hint == "there are no detached databases"
    put(folder)
    detach(folder)
    with pytest.raises(DatabaseNotFoundError, match="'S\\\\x00\\\\udc80'") as caught:
        folder.open_detached("S\0\udc80")
    assert caught.value.hint == "there are 'Sales'"


# --- what people put there


def test_a_folder_of_the_databases_copied_by_hand_is_attached_with_its_garbage_left_behind(folder):
    info = put(folder, files={"old": b"old"})
    with folder.read("Sales"):
        info = put(folder, replaces=info)
        source = folder.path / "databases" / info.key
        shutil.copytree(source, folder.path / "detached/by hand")
    (folder.path / "detached/by hand/.CURRENT-0.tmp").touch()
    (folder.path / "detached/by hand/DROPPED").touch()
    folder.drop(info)
    assert folder.detached()[0].version == 2
    attach(folder, "by hand")
    assert bodies(folder) == FILES
    assert folder.find("Sales").version == 1
    assert len(list((folder.path / "databases" / folder.find("Sales").key / "versions").iterdir())) == 1


def link_folder(place, outside):
    place.rename(outside / "it")
    place.symlink_to(outside / "it")


def link_inside(path):
    def change(place, outside):
        (place / path).rename(outside / "it")
        (place / path).symlink_to(outside / "it")

    return change


def replace_by_pipe(path):
    def change(place, _outside):
        (place / path).unlink()
        os.mkfifo(place / path)

    return change


def add(path, *, folder=False):
    def change(place, _outside):
        if folder:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(b"of somebody")

    return change


def write(path, data):
    return lambda place, _outside: (place / path).write_bytes(data)


def remove(path):
    return lambda place, _outside: (place / path).unlink()


FILE = "versions/00000001/files/T.tbl/1.prt/0.idf"
MANIFEST = "versions/00000001/manifest.json"


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (link_folder, DatabaseNotFoundError, "no detached database"),
        (link_inside("CURRENT"), FormatError, "symbolic link"),
        (link_inside("LAST_BACKUP"), FormatError, "symbolic link"),
        (link_inside("versions"), FormatError, "symbolic link"),
        (link_inside("versions/00000001"), FormatError, "symbolic link"),
        (link_inside(MANIFEST), FormatError, "symbolic link"),
        (link_inside("versions/00000001/files"), FormatError, "symbolic link"),
        (link_inside("versions/00000001/files/T.tbl"), FormatError, "symbolic link"),
        (link_inside(FILE), FormatError, "symbolic link"),
        (replace_by_pipe("CURRENT"), FormatError, "not a regular file"),
        (replace_by_pipe(MANIFEST), FormatError, "not a regular file"),
        (replace_by_pipe(FILE), FormatError, "not a regular file"),
        (add("notes.txt"), FormatError, "no part of it"),
        (add("versions/notes.txt"), FormatError, "no part of it"),
        (add("versions/00000001/files/T.tbl/1.prt/1.idf"), FormatError, "no part of it"),
        (add("\udc80"), FormatError, "no part of it"),
        (add("versions/00000001/files/empty", folder=True), FormatError, "no part of it"),
        (add("DROPPED", folder=True), FormatError, "no part of it"),
        (remove("CURRENT"), FormatError, "missing"),
        (remove(MANIFEST), FormatError, "missing"),
        (remove(FILE), FormatError, "missing"),
        (write("CURRENT", b""), FormatError, "not a version and a digest"),
        (write("CURRENT", b"9" * 10_000), LimitError, "10000 bytes are over"),
        (write("CURRENT", b"999999999999 " + b"0" * 64 + b"\n"), FormatError, "missing"),
        (write(MANIFEST, b"{}"), FormatError, "has SHA-256"),
        (write(FILE, b"values" * 49), TruncatedError, "294 bytes, it was detached with 300"),
        (write(FILE, b"values" * 51), FormatError, "306 bytes, it was detached with 300"),
        (write(FILE, b"valuez" * 50), ChecksumError, "CRC"),
    ],
)
def test_a_hostile_folder_is_refused_by_name_and_nothing_in_it_or_behind_it_changes(
    folder, tmp_path, change, kind, message
):
    folder.record_backup(put(folder), WHEN)
    detach(folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    change(folder.path / "detached/Sales", outside)
    before = (tree_of_names(folder.path / "detached"), tree(outside))
    with pytest.raises(kind, match=message) as caught:
        attach(folder)
    assert "of somebody" not in str(caught.value)
    assert folder.databases() == []
    assert (tree_of_names(folder.path / "detached"), tree(outside)) == before
    assert not list((folder.path / "staging").iterdir())
    folder.detached()  # lists whatever is there


def tree_of_names(folder):
    return sorted((path.relative_to(folder).as_posix(), path.lstat().st_size) for path in folder.rglob("*"))


def change_files(**values):
    return lambda manifest: manifest["files"][0].update(values)


@pytest.mark.parametrize(
    "change",
    [
        change_files(path="../../../../../../etc/passwd"),
        change_files(path="/etc/passwd"),
        change_files(path="a/../../b"),
        change_files(path="db.xml"),
        change_files(byte_count=-1),
        change_files(byte_count=1 << 62),
        change_files(byte_count=1 << 63),
        change_files(crc32=1 << 32),
        change_files(name=""),
        change_files(name="db.xml"),
        lambda manifest: manifest.update(name="\ud800"),
        lambda manifest: manifest.update(files={}),
        lambda manifest: manifest.update(read_write_mode=[]),
        lambda manifest: manifest.update(extra=1),
        lambda manifest: manifest.pop("id"),
    ],
)
def test_a_hostile_manifest_is_refused(folder, change):
    put(folder)
    detach(folder)
    change_manifest(folder.path / "detached/Sales", change)
    with pytest.raises(FormatError):
        attach(folder)
    assert folder.databases() == []


def test_a_manifest_of_very_many_values_is_over_a_limit(folder, monkeypatch):
    put(folder)
    detach(folder)
    monkeypatch.setattr(detached_folder, "MANIFEST_VALUE_COUNT_MAX", 100)
    attach(folder)
    detach(folder)
    change_manifest(folder.path / "detached/Sales", lambda manifest: manifest["container"].update(x=[[]] * 50))
    with pytest.raises(LimitError, match="values are over 100"):
        attach(folder)


def test_every_prefix_and_every_flipped_byte_of_the_small_files_is_refused_or_harmless(folder):
    folder.record_backup(put(folder), WHEN)
    detach(folder)
    place = folder.path / "detached/Sales"
    generator = random.Random(5)
    for name in ("CURRENT", MANIFEST, "LAST_BACKUP"):
        data = (place / name).read_bytes()
        damaged = [data[:length] for length in range(0, len(data), 7)]
        damaged += [
            data[:at] + bytes([data[at] ^ 1 << generator.randrange(8)]) + data[at + 1 :] for at in range(len(data))[:60]
        ]
        for one in damaged:
            (place / name).write_bytes(one)
            if name == "LAST_BACKUP":
                folder.open_detached("Sales").close()
            else:
                with pytest.raises(FormatError):
                    folder.open_detached("Sales")
                assert folder.detached()[0].damage
        (place / name).write_bytes(data)
    attach(folder)
    assert bodies(folder) == FILES


def test_a_file_that_has_another_name_is_copied_and_the_other_name_cannot_change_it(folder, tmp_path):
    put(folder)
    detach(folder)
    other = tmp_path / "other name"
    other.hardlink_to(folder.path / "detached/Sales" / FILE)
    with folder.open_detached("Sales") as detached:
        assert detached.copy_byte_count() == 300
    attach(folder)
    other.write_bytes(b"changed by somebody")
    assert bodies(folder) == FILES


def test_a_file_of_somebody_else_is_copied(folder, monkeypatch):
    put(folder)
    detach(folder)
    inode = (folder.path / "detached/Sales" / FILE).stat().st_ino
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    info = attach(folder)
    [path] = (folder.path / "databases" / info.key).rglob("0.idf")
    assert path.stat().st_ino != inode
    assert bodies(folder) == FILES


@pytest.mark.parametrize("path", ["versions", "versions/00000001/files", "versions/00000001/files/T.tbl", FILE])
def test_a_link_that_appears_after_the_check_is_not_followed(folder, tmp_path, path):
    put(folder)
    detach(folder)
    place = folder.path / "detached/Sales"
    with folder.open_detached("Sales") as detached:
        detached.check_contents()
        link_inside(path)(place, tmp_path)
        with folder.stage_detached(detached) as staged, pytest.raises(FormatError, match="symbolic link"):
            detached.bring(staged, detached.manifest.files[0], counted=lambda pieces: pieces)


@pytest.mark.parametrize("path", ["CURRENT", "LAST_BACKUP", MANIFEST])
def test_nothing_is_told_of_a_file_that_a_link_leads_to(folder, tmp_path, path):
    folder.record_backup(put(folder), WHEN, file="sales.abf")
    detach(folder)
    secret = tmp_path / "secret"
    secret.write_bytes(b"2020-01-01T00:00:00+00:00\ns3cret" if path == "LAST_BACKUP" else b"s3cret")
    place = folder.path / "detached/Sales" / path
    place.unlink()
    place.symlink_to(secret)
    [info] = folder.detached()
    assert "s3cret" not in repr(info)
    with pytest.raises(FormatError, match="symbolic link") as caught:
        attach(folder)
    assert "s3cret" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_a_folder_whose_name_is_not_utf_8_is_shown_in_characters_that_exist(folder):
    put(folder)
    detach(folder)
    place = folder.path / "detached"
    (place / "Sales").rename(os.fsdecode(bytes(place) + b"/\xffSales"))
    [info] = folder.detached()
    assert (info.key, info.state) == ("\\xffSales", "damaged")
    assert f"{info}".encode()
    assert "not UTF-8" in info.damage


def test_what_is_no_folder_is_not_listed(folder, tmp_path):
    put(folder)
    detach(folder)
    place = folder.path / "detached"
    (place / "file").touch()
    (place / ".hidden").mkdir()
    (place / "link").symlink_to(place / "Sales")
    (place / "empty").mkdir()
    assert [(info.key, info.state) for info in folder.detached()] == [("Sales", "ready"), ("empty", "damaged")]
    for name in ("file", "link"):
        with pytest.raises(DatabaseNotFoundError):
            folder.open_detached(name)


# --- faults


def state_of(folder):
    """Where the database is, whole in every case, and its bystander beside it."""
    names = [info.name for info in folder.databases()]
    assert [info.damage for info in folder.databases()] == [None] * len(names)
    assert "Bystander" in names
    detached = folder.detached()
    assert [info.damage for info in detached] == [None] * len(detached)
    if "Sales" in names:
        assert detached == []
        assert bodies(folder) == FILES
        assert folder.find("Sales").last_backup == WHEN
        return "attached", folder.find("Sales").read_write_mode
    [info] = detached
    assert (info.key, info.name, info.last_backup) == ("Sales", "Sales", WHEN)
    with folder.open_detached("Sales") as opened, folder.stage() as staged:
        opened.check_contents()
        for entry in opened.manifest.files:
            opened.bring(staged, entry, counted=lambda pieces: pieces)
        assert {name: staged.read(name) for name in staged.names()} == FILES
    return "detached", info.read_write_mode


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    root = tmp_path_factory.mktemp("templates")
    with DataFolder.open(root / "attached") as folder:
        put(folder, "Bystander", {"b": b"bystander"})
        folder.record_backup(put(folder), WHEN)
    shutil.copytree(root / "attached", root / "detached")
    with DataFolder.open(root / "detached") as folder:
        detach(folder)
    return root


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("change", "is_read", "dies"),
    [
        ("detach", False, False),
        ("detach", False, True),
        ("detach", True, False),
        ("attach", False, False),
        ("attach", False, True),
    ],
    ids=["detach", "detach-dies", "detach-read", "attach", "attach-dies"],
)
def test_whichever_call_fails_the_database_is_attached_or_detached(
    scratch, monkeypatch, templates, change, is_read, after, dies
):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    old, new = ("attached", "readWrite"), ("detached", "readWrite")
    if change == "attach":
        old, new = new, ("attached", "readOnly")
    reached = []
    for n in range(1, 1000):
        path = scratch / str(n)
        shutil.copytree(templates / old[0], path)
        fault = Fault(n, after=after, dies=dies)
        failed, served = run_with(fault, path, change, is_read=is_read)
        with DataFolder.open(path) as folder:
            state = state_of(folder)
            assert state in (old, new)
            assert served in (state, UNKNOWN)
            if not failed:
                assert state == new
            for name in ("moving", "staging", "trash"):
                assert not (path / name).exists() or not list((path / name).iterdir())
            assert len(list((path / "databases").iterdir())) == len(folder.databases())
        reached.append(state)
        shutil.rmtree(path)
        if not fault.happened:
            break
    assert reached[0] == old
    assert reached[-1] == new
    assert len(reached) > 30


def run_with(fault, path, change, *, is_read):
    failed = False
    with DataFolder.open(path) as folder:
        reader = folder.read("Sales") if is_read else None
        with pytest.MonkeyPatch.context() as monkeypatch:
            fault.install(monkeypatch)
            try:
                detach(folder) if change == "detach" else attach(folder, mode="readOnly")
            except (TabvaultError, Died):
                failed = True
        if reader is not None:
            assert {name: reader.read(name) for name in reader.names()} == FILES
            if not fault.dies:
                reader.close()
        return failed, UNKNOWN if fault.dies else state_of(folder)


def test_the_detached_copy_is_durable_before_the_database_is_dropped_and_the_way_before_the_return(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "attached", path)
    trace = traced(path, detach)
    [dirty] = [dirty for _, new, dirty in trace.renames if new.name == "DROPPED"]
    [copy] = [new for _, new, _ in trace.renames if new.is_relative_to(path / "moving")]
    assert copy.name == "Sales"
    assert not [one for one in dirty if one.is_relative_to(path / "moving") or one == path]
    assert path / "detached" not in trace.dirty
    assert path / "databases" not in trace.dirty


def test_the_new_database_is_durable_before_the_detached_copy_is_garbage(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "detached", path)
    trace = traced(path, attach)
    [(staged, dirty)] = [(old, dirty) for old, new, dirty in trace.renames if new.parent == path / "databases"]
    assert not [one for one in dirty if one.is_relative_to(staged)]
    assert not [one for one in dirty if one.is_relative_to(path / "moving")]
    [dirty] = [dirty for _, new, dirty in trace.renames if new.is_relative_to(path / "trash")]
    assert path / "databases" not in dirty


def test_shared_files_are_made_durable_whoever_wrote_them(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "detached", path)
    synced = set()
    fsync = os.fsync
    with DataFolder.open(path) as folder, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            os, "fsync", lambda descriptor: (synced.add(os.fstat(descriptor).st_ino), fsync(descriptor))
        )
        info = attach(folder)
    files = [one for one in (path / "databases" / info.key / "versions").rglob("*") if one.is_file()]
    assert len(files) == 4
    assert {one.stat().st_ino for one in files} <= synced


PROGRAM = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_detached import DataFolder, attach, detach

def child(path):
    with DataFolder.open(path) as folder:
        os.write(1, b"%d\\n" % os.getpid())
        while True:
            if folder.detached():
                attach(folder, mode="readOnly")
            with folder.read("Sales"):
                detach(folder)
            attach(folder, mode="readWrite")
            detach(folder)

for _ in sys.stdin:
    if os.fork() == 0:
        try:
            child(Path(sys.argv[1]))
        finally:
            os._exit(1)
    os.wait()
    os.write(1, b"ended\\n")
"""


def test_a_process_killed_at_random_moments_leaves_the_database_attached_or_detached(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "attached", path)
    moments = random.Random(42)
    seen = []
    way = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path, *way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as parent:
        for _ in range(KILL_COUNT):
            parent.stdin.write("go\n")
            child = int(parent.stdout.readline())
            time.sleep(moments.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "ended\n"
            with DataFolder.open(path) as folder:
                seen.append(state_of(folder)[0])
        parent.stdin.close()
    assert set(seen) == {"attached", "detached"}
