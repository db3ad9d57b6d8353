"""
A database is old or new, never between: whichever call to the operating system fails, and wherever the process dies.

Every change is repeated with its n-th call failing, for every n until none fails, in four ways: the call fails before
or after it had its effect, and the process goes on (an error of the disk) or no call works from then on (it died).
"""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tabvault.errors import TabvaultError
from tabvault.storage.data_folder.folder import DataFolder

pytest_plugins = ["storage.data_folder.folder_in_memory"]

CALLS = (
    "open",
    "pread",
    "pwrite",
    "fsync",
    "ftruncate",
    "rename",
    "link",
    "mkdir",
    "unlink",
    "rmdir",
    "scandir",
    "stat",
    "lstat",
    "fstat",
)
UNKNOWN = "unknown"
WHEN = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
OLD = {"metadata.sqlitedb": b"old metadata", "T.tbl\\1.prt\\0.idf": b"shared", "gone": b"g"}
NEW = {"T.tbl\\1.prt\\0.idf": b"shared", "metadata.sqlitedb": b"new", "U.tbl\\0.idf": b"added" * 100}


class Died(BaseException):
    """The process is dead: nothing it would do afterwards happens."""


@dataclass
class Fault:
    """Makes the *n*-th call fail. ``after``: when it has had its effect. ``dies``: and every later one."""

    n: int
    after: bool
    dies: bool
    count: int = 0
    happened: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self, monkeypatch):
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, call):
        def wrapped(*args, **options):
            with self.lock:
                self.count += 1
                is_the_one = self.count == self.n
                is_dead = self.dies and self.happened
                self.happened = self.happened or is_the_one
            if is_dead:
                raise Died
            if not is_the_one:
                return call(*args, **options)
            if self.after:
                result = call(*args, **options)
                if call.__name__ == "open":
                    os.close(result)
                elif call.__name__ == "scandir":
                    result.close()
            raise Died if self.dies else OSError(errno.EIO, os.strerror(errno.EIO))

        return wrapped


def write(folder, files, *, name="Sales", replaces=None):
    with folder.stage() as staged:
        for file, body in files.items():
            staged.add(file, [body], byte_count=len(body), last_write_time=0, group_class=100_069)
        return commit(staged, name=name, replaces=replaces)


def commit(staged, *, name="Sales", replaces=None):
    return staged.commit(
        name=name,
        database_id=name,
        compatibility_level=1550,
        read_write_mode="readWrite",
        container={},
        replaces=replaces,
    )


def create(folder):
    write(folder, NEW)


def replace(folder):
    with folder.read("Sales") as old, folder.stage() as staged:
        staged.link(old, "T.tbl\\1.prt\\0.idf")
        staged.link(old, "metadata.sqlitedb")
        path = staged.path("metadata.sqlitedb")
        with path.open("wb") as file:
            file.write(NEW["metadata.sqlitedb"])
        staged.seal("metadata.sqlitedb")
        body = NEW["U.tbl\\0.idf"]
        staged.add("U.tbl\\0.idf", [body], byte_count=len(body), last_write_time=0, group_class=100_069)
        commit(staged, replaces=folder.find("Sales"))


def drop(folder):
    folder.drop(folder.find("Sales"))


def record(folder):
    folder.record_backup(folder.find("Sales"), WHEN)


def nothing(_folder):
    """Only opening, with the garbage of earlier crashes."""


def state_of(folder):
    """What a user sees: the database's files, every CRC checked, and the time of its last backup; or None."""
    databases = folder.databases()
    assert [info.damage for info in databases] == [None] * len(databases)
    assert [info.name for info in databases if info.name != "Sales"] == ["Bystander"]
    state = None
    for info in databases:
        with folder.read(info.name) as reader:
            files = {}
            for name in reader.names():
                reader.check(name)
                files[name] = reader.read(name)
        if info.name == "Sales":
            state = (files, info.last_backup)
        else:
            assert files == {"b": b"bystander"}
    return state


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """A data folder without the database, one with it, one with it and with garbage."""
    root = tmp_path_factory.mktemp("templates")
    with DataFolder.open(root / "without") as folder:
        write(folder, {"b": b"bystander"}, name="Bystander")
    shutil.copytree(root / "without", root / "with")
    with DataFolder.open(root / "with") as folder:
        key = write(folder, OLD).key
    shutil.copytree(root / "with", root / "garbage")
    databases = root / "garbage" / "databases"
    versions = databases / key / "versions"
    (versions / "00000002").mkdir()
    (versions / "00000002" / "manifest.json").touch()
    (databases / key / ".CURRENT-0.tmp").touch()
    (databases / "dropped" / "versions").mkdir(parents=True)
    for name in ("DROPPED", "CURRENT"):
        shutil.copy(databases / key / "CURRENT", databases / "dropped" / name)
    for name in ("staging", "trash"):
        (root / "garbage" / name / "crashed").mkdir()
    return root


@pytest.mark.parametrize("dies", [False, True], ids=["goes-on", "dies"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("template", "change", "old", "new"),
    [
        ("without", create, None, (NEW, None)),
        ("with", replace, (OLD, None), (NEW, None)),
        ("with", drop, (OLD, None), None),
        ("with", record, (OLD, None), (OLD, WHEN)),
        ("garbage", nothing, (OLD, None), (OLD, None)),
    ],
    ids=["create", "replace", "drop", "record_backup", "open"],
)
def test_whichever_call_fails_the_database_is_old_or_new(
    scratch, monkeypatch, templates, template, change, old, new, after, dies
):
    # No power is lost here: fsync is counted and can fail, and is not waited for.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    reached = set()
    for n in range(1, 1000):
        path = scratch / str(n)
        shutil.copytree(templates / template, path)
        fault = Fault(n, after=after, dies=dies)
        failed, served = run_with(fault, path, change)
        with DataFolder.open(path) as folder:
            state = state_of(folder)
        assert state in (old, new)
        assert served in (state, UNKNOWN), "a process that goes on shows the same as after opening again"
        if not failed:
            assert state == new
        reached.add("new" if state == new else "old")
        assert_no_garbage(path)
        if not fault.happened:
            break
    else:
        pytest.fail("there is no end of calls")
    assert n > 5
    assert "new" in reached
    if old != new:
        assert "old" in reached


def run_with(fault, path, change):
    """Make the change with the fault installed. Whether it failed, and what the process serves after it."""
    folder = None
    failed = False
    with pytest.MonkeyPatch.context() as monkeypatch:
        if change is nothing:
            fault.install(monkeypatch)
        try:
            folder = DataFolder.open(path)
            fault.install(monkeypatch)
            change(folder)
        except (TabvaultError, Died):
            failed = True
    if folder is None:
        return failed, UNKNOWN
    with folder:
        return failed, UNKNOWN if fault.dies or is_unreadable(folder) else state_of(folder)


def is_unreadable(folder):
    """Opening met the failing disk: it lists the database as damaged, and removes nothing."""
    damages = [info.damage for info in folder.databases() if info.damage]
    return bool(damages) and all("input/output error" in damage for damage in damages)


def assert_no_garbage(path):
    assert not list((path / "staging").iterdir())
    assert not list((path / "trash").iterdir())
    for database in (path / "databases").iterdir():
        assert not (database / "DROPPED").exists()
        assert len(list((database / "versions").iterdir())) == 1
        assert not list(database.glob(".*"))


# --- power failure: what was not made durable before a step may be lost after it


@dataclass
class Trace:
    """Which files and folders hold changes that no ``fsync`` has made durable, and what was so at each rename."""

    dirty: set[Path] = field(default_factory=set)
    renames: list[tuple[Path, Path, frozenset[Path]]] = field(default_factory=list)
    paths: dict[int, Path] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self, monkeypatch):
        real = {name: getattr(os, name) for name in ("open", "pwrite", "fsync", "rename", "link", "mkdir")}

        def traced_open(path, flags, *args, **options):
            descriptor = real["open"](path, flags, *args, **options)
            with self.lock:
                self.paths[descriptor] = Path(path)
                if flags & os.O_CREAT:
                    self.dirty |= {Path(path), Path(path).parent}
            return descriptor

        def traced_pwrite(descriptor, *args):
            with self.lock:
                self.dirty.add(self.paths[descriptor])
            return real["pwrite"](descriptor, *args)

        def traced_fsync(descriptor):
            real["fsync"](descriptor)
            with self.lock:
                self.dirty.discard(self.paths[descriptor])

        def traced_rename(old, new):
            old, new = Path(old), Path(new)
            self.renames.append((old, new, frozenset(self.dirty)))
            real["rename"](old, new)
            self.dirty = {new / path.relative_to(old) if path.is_relative_to(old) else path for path in self.dirty}
            self.dirty |= {old.parent, new.parent}

        def traced_link(old, new, **options):
            real["link"](old, new, **options)
            self.dirty.add(Path(new).parent)

        def traced_mkdir(path, *args, **options):
            real["mkdir"](path, *args, **options)
            self.dirty |= {Path(path), Path(path).parent}

        for call in (traced_open, traced_pwrite, traced_fsync, traced_rename, traced_link, traced_mkdir):
            monkeypatch.setattr(os, call.__name__.removeprefix("traced_"), call)


def traced(path, change):
    trace = Trace()
    with DataFolder.open(path) as folder, pytest.MonkeyPatch.context() as monkeypatch:
        trace.install(monkeypatch)
        change(folder)
    return trace


def test_a_new_database_is_durable_before_its_one_step_and_the_step_before_the_return(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "without", path)
    trace = traced(path, create)
    [(staged, dirty)] = [(old, dirty) for old, new, dirty in trace.renames if new.parent == path / "databases"]
    assert not [one for one in dirty if one.is_relative_to(staged)]
    assert path / "databases" not in trace.dirty


def test_a_new_version_is_durable_before_its_one_step_and_the_step_before_the_return(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "with", path)
    trace = traced(path, replace)
    [(current, dirty)] = [(new, dirty) for _, new, dirty in trace.renames if new.name == "CURRENT"]
    assert {one for one in dirty if one.is_relative_to(path / "databases")} == {current.parent}, (
        "its own temporary file"
    )
    assert current.parent not in trace.dirty
    # And the version was whole before it came in.
    [(staged, dirty)] = [(old, dirty) for old, new, dirty in trace.renames if new.parent.name == "versions"]
    assert not [one for one in dirty if one.is_relative_to(staged)]


def test_a_drop_is_durable_before_the_return(tmp_path, templates):
    path = tmp_path / "data"
    shutil.copytree(templates / "with", path)
    trace = traced(path, drop)
    [dropped] = [new for _, new, _ in trace.renames if new.name == "DROPPED"]
    assert dropped.parent not in trace.dirty
