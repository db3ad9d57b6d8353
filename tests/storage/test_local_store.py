"""The store in a folder: the contract, and what only a file system can do to it."""

from __future__ import annotations

import errno
import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import missing, program
from tabvault.errors import (
    DiskFullError,
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreUnavailableError,
    TruncatedError,
)
from tabvault.storage import durable, local, local_folder, local_object, local_upload
from tabvault.storage.contract import ContainerInfo
from tabvault.storage.file_source import FileSource
from tabvault.storage.local import LocalAccount, LocalStore
from tabvault.testing.faults import CallCounter, FaultyModule
from tabvault.testing.store_contract import StoreContract, names, put, read

UPLOADS = ".tabvault-uploads"
PIECE = b"0123456789abcdef" * 4096


def leftovers(store: LocalStore) -> list[str]:
    uploads = store._path / UPLOADS
    return sorted(path.name for path in uploads.iterdir()) if uploads.exists() else []


def reopen(store: LocalStore) -> LocalStore:
    return LocalAccount(store._path.parent).container(store._path.name, create=False)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalAccount(tmp_path / "account").container("backups", create=True)


class TestLocalStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, store: LocalStore):
        before = open_descriptors()
        yield
        assert leftovers(store) == []
        assert open_descriptors() == before

    def put_directly(self, store: LocalStore, name: str, data: bytes) -> None:
        path = store._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read_directly(self, store: LocalStore, name: str) -> bytes | None:
        path = store._path / name
        return path.read_bytes() if path.is_file() else None


# --- account and container


def test_containers_are_the_folders_with_a_container_name(tmp_path):
    account = LocalAccount(tmp_path)
    assert list(account.containers()) == []
    account.container("nightly", create=True)
    made = account.create_container("backups")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "a-file").write_bytes(b"")
    (tmp_path / "linked").symlink_to(tmp_path / "nowhere")
    os.utime(tmp_path / "nightly", (0, 86400))
    assert list(account.containers()) == [
        made,
        ContainerInfo("nightly", datetime(1970, 1, 2, tzinfo=UTC)),
    ]
    assert list(account.containers("b")) == [made]
    assert list(account.containers("nightly2")) == []
    account.close()
    put(account.container("backups"), "x.abf", b"1")


def test_a_container_is_made_once(tmp_path):
    account = LocalAccount(tmp_path / "new" / "account")
    made = account.create_container("backups")
    assert abs(made.last_modified - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(ObjectExistsError, match="there is a container backups"):
        account.create_container("backups")
    for name in ("Backups", "..", "ab", ""):
        with pytest.raises(InvalidNameError):
            account.create_container(name)
    (tmp_path / "new/account/taken").write_bytes(b"")
    with pytest.raises(ObjectExistsError):
        account.create_container("taken")
    assert [info.name for info in account.containers()] == ["backups"]


def test_of_several_who_make_a_container_one_has_made_it(tmp_path):
    account = LocalAccount(tmp_path / "account")
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(account.create_container, "backups") for _ in range(8)]
    errors = [one.exception() for one in tries]
    assert errors.count(None) == 1
    assert {type(error) for error in errors} == {type(None), ObjectExistsError}


def test_when_any_system_call_fails_a_container_is_there_or_not(tmp_path, monkeypatch):
    for fail_at in itertools.count(1):
        account = LocalAccount(tmp_path / str(fail_at) / "account")
        counter = CallCounter(fail_at=fail_at, error=OSError(errno.EIO, "the disk"))
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", FaultyModule(os, counter))
            patch.setattr(local, "os", FaultyModule(os, counter))
            try:
                account.create_container("backups")
            except StorageError as error:
                assert "backups" in str(error)  # noqa: PT017 - either outcome is right
        if not counter.has_failed:
            break
        # Whatever is there can be used.
        account.container("backups", create=True)
    assert fail_at > 5


def test_a_folder_keeps_no_facts_and_takes_nothing_over(store):
    with store.create("x.abf", replace=False, upload_key="k", facts={"database": "shop"}) as upload:
        upload.write(b"1")
    with store.create("x.abf", replace=False, upload_key="k", facts={"database": "shop"}) as upload:
        upload.write(b"2")
        upload.finish()
    assert read(store, "x.abf") == b"2"
    assert store.remote_place is None
    store.close()
    store.close()
    assert names(store) == ["x.abf"]


def test_a_missing_container_is_not_made_unasked(tmp_path):
    account = LocalAccount(tmp_path / "account")
    with pytest.raises(StoreUnavailableError, match="backups"):
        account.container("backups", create=False)
    with pytest.raises(StoreUnavailableError, match="account"):
        account.containers()
    assert not (tmp_path / "account").exists()


def test_a_file_in_the_place_of_a_container_is_refused(tmp_path):
    (tmp_path / "backups").write_bytes(b"")
    for create in (True, False):
        with pytest.raises(StorageError, match="backups"):
            LocalAccount(tmp_path).container("backups", create=create)


def test_a_container_that_goes_away_is_unavailable_not_empty(store):
    put(store, "x.abf", b"1")
    store._path.rename(store._path.with_name("elsewhere"))
    for call in (
        lambda: list(store.list()),
        lambda: store.info("x.abf"),
        lambda: store.open("x.abf"),
        lambda: store.remove("x.abf"),
        lambda: store.create("y.abf", replace=False),
        store.free_byte_count,
    ):
        with pytest.raises(StoreUnavailableError):
            call()


def test_a_relative_account_does_not_move_with_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = LocalAccount(Path("account")).container("backups", create=True)
    monkeypatch.chdir("/")
    put(store, "x.abf", b"1")
    assert (tmp_path / "account/backups/x.abf").read_bytes() == b"1"


def test_the_free_space_is_that_of_the_file_system(store):
    status = os.statvfs(store._path)
    assert abs(store.free_byte_count() - status.f_bavail * status.f_frsize) < 1 << 30


# --- what is an object


def test_hidden_files_links_and_devices_are_no_objects(store):
    put(store, "x.abf", b"1")
    (store._path / ".hidden").write_bytes(b"")
    (store._path / ".folder").mkdir()
    (store._path / ".folder/y.abf").write_bytes(b"")
    (store._path / "link.abf").symlink_to("x.abf")
    os.mkfifo(store._path / "pipe.abf")
    (store._path / "trailing.").write_bytes(b"")
    (store._path / "me\N{COMBINING DIAERESIS}.abf").write_bytes(b"")
    os.close(os.open(os.fsencode(store._path) + b"/\xff.abf", os.O_CREAT))
    assert names(store) == ["x.abf"]
    for name in ("link.abf", "pipe.abf"):
        for verb in (store.info, store.open, store.remove):
            with pytest.raises(ObjectNotFoundError, match="not an object"):
                verb(name)
        for replace in (True, False):
            with pytest.raises(InvalidNameError, match="cannot be an object"):
                store.create(name, replace=replace)
    assert (store._path / "link.abf").is_symlink()


def test_a_folder_is_not_replaced_by_an_object(store):
    put(store, "a/x.abf", b"1")
    for replace in (True, False):
        with pytest.raises(InvalidNameError, match="a folder"):
            store.create("a", replace=replace)


@pytest.mark.parametrize(("replace", "error"), [(True, InvalidNameError), (False, ObjectExistsError)])
def test_a_folder_that_appears_meanwhile_is_not_replaced(store, replace, error):
    with store.create("a", replace=replace) as upload:
        upload.write(b"1")
        (store._path / "a").mkdir()
        with pytest.raises(error):
            upload.finish()
    assert (store._path / "a").is_dir()
    assert leftovers(store) == []


def test_a_name_through_an_object_is_refused(store):
    put(store, "x", b"1")
    with pytest.raises(InvalidNameError, match="not a directory"):
        store.create("x/y", replace=False)
    with pytest.raises(InvalidNameError, match="not a directory"):
        store.info("x/y")
    with store.create("z/y", replace=False) as upload:
        (store._path / "z").write_bytes(b"")
        with pytest.raises(InvalidNameError, match="not a directory"):
            upload.finish()


def test_a_container_is_not_left_through_a_link(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.abf").write_bytes(b"secret")
    (store._path / "way").symlink_to(outside)
    assert names(store) == []
    for verb in (store.info, store.open, store.remove):
        with pytest.raises(InvalidNameError):
            verb("way/secret.abf")
    for replace in (True, False):
        for name in ("way/secret.abf", "way/new.abf", "way/deeper/new.abf"):
            with pytest.raises(InvalidNameError):
                store.create(name, replace=replace)
    assert [path.name for path in outside.iterdir()] == ["secret.abf"]
    assert (outside / "secret.abf").read_bytes() == b"secret"


@pytest.mark.parametrize("replace", [True, False])
def test_a_link_that_appears_during_the_upload_is_not_followed(store, tmp_path, replace):
    outside = tmp_path / "outside"
    outside.mkdir()
    with store.create("way/x.abf", replace=replace) as upload:
        upload.write(b"1")
        (store._path / "way").symlink_to(outside)
        with pytest.raises(InvalidNameError):
            upload.finish()
    assert list(outside.iterdir()) == []


def test_an_uploads_folder_that_is_a_link_is_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"1")
    (store._path / UPLOADS).symlink_to(outside)
    reopen(store)
    with pytest.raises(StorageError):
        store.create("x.abf", replace=False)
    assert [path.name for path in outside.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-86400, datetime(1969, 12, 31, tzinfo=UTC)),
        # File systems keep 64 bits of seconds; the years of datetime end before.
        ((1 << 63) - 1, datetime.max.replace(tzinfo=UTC)),
        (-(1 << 63), datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_file_time_of_any_century_is_a_time(seconds, expected):
    assert local_object.local_time(seconds * 10**9) == expected


def test_a_listing_does_not_search_folders_that_cannot_hold_the_prefix(store, monkeypatch):
    put(store, "a/b/x.abf", b"1")
    put(store, "c/d/e/f/x.abf", b"1")
    counter = CallCounter()
    with counted_calls(monkeypatch, counter):
        assert names(store, "a/b/") == ["a/b/x.abf"]
    #                                      the container, a, a/b
    assert counter.calls.count("listdir") == 3


def test_a_pipe_does_not_make_the_store_wait(store):
    os.mkfifo(store._path / "pipe.abf")

    def too_late(signal_number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(10)
    try:
        with local_folder.Folder.at(store._path) as folder:
            os.close(folder.open_file("pipe.abf", os.O_RDONLY))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_name_as_long_as_allowed_can_be_stored(store):
    name = "/".join(["ä" * 127] * 7)
    put(store, name, b"1")
    assert names(store) == [name]
    deep = "/".join("d" * 254)
    put(store, deep, b"22")
    assert read(store, deep) == b"22"
    assert names(store) == [deep, name]


def test_folders_too_deep_for_a_name_are_not_searched(store):
    folder = os.open(store._path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("x.abf", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    assert names(store) == []


def test_backups_are_not_for_everybody(store):
    before = os.umask(0)
    try:
        put(store, "a/x.abf", b"1")
    finally:
        os.umask(before)
    assert (store._path / "a/x.abf").stat().st_mode & 0o777 == 0o640
    assert (store._path / "a").stat().st_mode & 0o777 == 0o750


# --- durability and crashes


@contextmanager
def counted_calls(monkeypatch, counter: CallCounter):
    """The system calls of the store go through *counter*."""
    with monkeypatch.context() as patch:
        for module in ("durable", "file_source", "local", "local_folder", "local_upload"):
            patch.setattr(f"tabvault.storage.{module}.os", FaultyModule(os, counter))
        patch.setattr(local_upload, "fcntl", FaultyModule(local_upload.fcntl, counter, ("flock",)))
        yield


@pytest.mark.parametrize(("replace", "publish"), [(False, "link"), (True, "rename")])
def test_the_file_is_durable_before_its_name_and_the_name_before_the_answer(store, monkeypatch, replace, publish):
    (store._path / "a").mkdir()
    with store.create("a/x.abf", replace=replace, head_byte_count=1) as upload:
        upload.write(b"1")
        counter = CallCounter()
        with counted_calls(monkeypatch, counter):
            upload.finish(b"h")
    steps = [call for call in counter.calls if call in {"pwrite", "fsync", "mkdir", publish}]
    #        the head, the file;   the folder a in the container; the name, durable in a
    assert steps == ["pwrite", "fsync", "mkdir", "fsync", publish, "fsync"]


def test_a_removal_is_durable_before_the_answer(store, monkeypatch):
    put(store, "a/x.abf", b"1")
    counter = CallCounter()
    with counted_calls(monkeypatch, counter):
        store.remove("a/x.abf")
    assert counter.calls[-2:] == ["unlink", "fsync"]


def upload_object(store: LocalStore, *, replace: bool) -> None:
    with store.create("a/b/x.abf", replace=replace, head_byte_count=4) as upload:
        upload.write(PIECE)
        upload.finish(b"head")


def read_object(store: LocalStore) -> None:
    with store.open("a/b/x.abf") as stored:
        assert bytes(stored.read_at(0, 3)) == b"old"


def list_objects(store: LocalStore) -> None:
    assert names(store) == ["a/b/x.abf"]


OPERATIONS = {
    "create": (lambda store: upload_object(store, replace=False), None, b"head" + PIECE),
    "replace": (lambda store: upload_object(store, replace=True), b"old", b"head" + PIECE),
    "remove": (lambda store: store.remove("a/b/x.abf"), b"old", None),
    "read": (read_object, b"old", b"old"),
    "list": (list_objects, b"old", b"old"),
    "reopen": (reopen, b"old", b"old"),
    "free": (lambda store: store.free_byte_count(), b"old", b"old"),
}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_when_any_system_call_fails_the_object_is_old_or_new(tmp_path, monkeypatch, operation, when, lasting, number):
    act, old, new = OPERATIONS[operation]
    error = OSError(number, os.strerror(number))
    for fail_at in itertools.count(1):
        store = LocalAccount(tmp_path / str(fail_at)).container("backups", create=True)
        path = store._path / "a/b/x.abf"
        if old is not None:
            put(store, "a/b/x.abf", old)
        counter = CallCounter(fail_at=fail_at, when=when, error=error, lasting=lasting)
        raised = None
        with counted_calls(monkeypatch, counter):
            try:
                act(store)
            except StorageError as refusal:
                raised = refusal
        now = path.read_bytes() if path.exists() else None
        assert now in {old, new}
        if raised is None:
            assert now == new
        else:
            assert isinstance(raised, DiskFullError if number == errno.ENOSPC else StoreUnavailableError)
        if when == "before" and not lasting and counter.calls[fail_at - 1 : fail_at] != ["unlink"]:
            # Only a lasting failure, or one of the removal itself, may leave something to the next opening.
            assert leftovers(store) == []
        assert names(reopen(store)) == ([] if now is None else ["a/b/x.abf"])
        assert leftovers(store) == []
        if not counter.has_failed:
            break
    assert raised is None
    assert fail_at > 2


def test_no_descriptor_is_lost_when_a_system_call_fails(store, monkeypatch):
    before = open_descriptors()
    for fail_at in itertools.count(1):
        counter = CallCounter(fail_at=fail_at, error=OSError(errno.EIO, "no"))
        with counted_calls(monkeypatch, counter):
            for act in (
                lambda: upload_object(store, replace=True),
                lambda: list(store.list()),
                lambda: store.open("a/b/x.abf").close(),
                lambda: store.remove("a/b/x.abf"),
                lambda: reopen(store),
            ):
                try:
                    act()
                except StorageError:
                    continue
        assert open_descriptors() == before
        if not counter.has_failed:
            break


def test_a_full_disk_is_named_and_leaves_nothing(store):
    # A limit on the size of files is the nearest to a full disk that a test may make of an ordinary file system.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.create("x.abf", replace=False) as upload:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            upload.write(b"x" * 50_000)
            with pytest.raises(DiskFullError, match=r"x\.abf"):
                upload.write(b"x" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(store) == []
    assert leftovers(store) == []


TINY_DISK = """
import sys
from pathlib import Path
from tabvault.errors import DiskFullError
from tabvault.storage.local import LocalAccount
from tabvault.testing.store_contract import names, put, read
store = LocalAccount(Path(sys.argv[1])).container("backups", create=True)
assert 0 < store.free_byte_count() <= 1 << 20
put(store, "x.abf", b"old")

def overfill():
    with store.create("x.abf", replace=True) as upload:
        for _ in range(40):
            upload.write(bytes(65536))

def find_no_room_for_the_head():
    with store.create("x.abf", replace=True, head_byte_count=300_000) as upload:
        upload.write(bytes(500_000))
        put(store, "other.abf", bytes(400_000))
        upload.finish(bytes(300_000))

for attempt in (overfill, find_no_room_for_the_head):
    try:
        attempt()
    except DiskFullError as error:
        print(error)
    assert read(store, "x.abf") == b"old"
    assert not list(Path(sys.argv[1]).glob("backups/.tabvault-uploads/*"))
print(names(store))
"""


def test_on_a_disk_that_is_full_the_old_object_stays(tmp_path):
    unshare, mount = program("unshare"), program("mount")
    if subprocess.run([unshare, "-Urm", "true"], check=False, capture_output=True).returncode:
        missing("this machine lets no user make a mount namespace")
    # The file system of 1 MiB goes away with the namespace of the process.
    command = f'{mount} -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    run = subprocess.run(
        [unshare, "-Urm", "sh", "-c", command, "sh", str(tmp_path), sys.executable, TINY_DISK],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
    refusal = "upload of x.abf: no space left on device"
    assert run.stdout.splitlines() == [refusal, refusal, "['other.abf', 'x.abf']"]


CHILD = """
import itertools, sys
from pathlib import Path
from tabvault.storage.local import LocalAccount
store = LocalAccount(Path(sys.argv[1])).container("backups", create=True)
piece = bytes(65536)
print("ready", flush=True)
for number in itertools.count():
    with store.create(f"folder{number % 3}/new{number}.abf", replace=False, head_byte_count=4) as upload:
        upload.write(piece)
        upload.write(piece)
        upload.finish(b"head")
    with store.create("same.abf", replace=True, head_byte_count=4) as upload:
        upload.write(number.to_bytes(4) * 16384)
        upload.finish(number.to_bytes(4))
"""


def test_a_killed_process_leaves_whole_objects_and_the_next_opening_cleans(tmp_path):
    random.seed(20)
    account = LocalAccount(tmp_path / "account")
    store = account.container("backups", create=True)
    was_interrupted = 0
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "account")], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(random.uniform(0, 0.03))
            child.kill()
        was_interrupted += bool(leftovers(store))
        account.container("backups", create=False)
        assert leftovers(store) == []
        for info in store.list():
            data = read(store, info.name)
            if info.name == "same.abf":
                assert data == data[:4] * 16385
            else:
                assert data == b"head" + bytes(131072)
            if info.name != "same.abf":
                store.remove(info.name)
    # Else the twenty kills have all missed, and nothing was shown.
    assert was_interrupted > 0


RACER = """
import sys
from pathlib import Path
from tabvault.errors import ObjectExistsError
from tabvault.storage.local import LocalAccount
store = LocalAccount(Path(sys.argv[1])).container("backups", create=False)
uploads = [store.create(f"x{number}.abf", replace=False) for number in range(20)]
for upload in uploads:
    upload.write(sys.argv[2].encode() * 1000)
print("ready", flush=True)
sys.stdin.readline()
for upload in uploads:
    try:
        upload.finish()
        print("won", flush=True)
    except ObjectExistsError:
        print("lost", flush=True)
"""


def test_of_several_processes_exactly_one_creates_an_object(store):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(store._path.parent), letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "abcd"
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    # Opening the container now must not take away what the others are writing.
    reopen(store)
    assert len(leftovers(store)) == 80
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = [racer.communicate()[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    for number, outcome in enumerate(zip(*results, strict=True)):
        assert sorted(outcome) == ["lost", "lost", "lost", "won"]
        assert read(store, f"x{number}.abf") == "abcd"[outcome.index("won")].encode() * 1000
    assert leftovers(store) == []


def test_a_running_upload_survives_the_opening_of_its_container(store):
    with store.create("x.abf", replace=False) as upload:
        upload.write(b"1")
        reopen(store)
        assert len(leftovers(store)) == 1
        upload.finish()
    assert read(store, "x.abf") == b"1"


def test_uploads_and_openings_do_not_disturb_each_other(store):
    failures = []
    is_over = threading.Event()

    def clean() -> None:
        while not is_over.is_set():
            try:
                reopen(store)
            except StorageError as error:
                failures.append(error)

    cleaners = [threading.Thread(target=clean) for _ in range(3)]
    for cleaner in cleaners:
        cleaner.start()
    for number in range(100):
        put(store, f"x{number}.abf", b"1")
    is_over.set()
    for cleaner in cleaners:
        cleaner.join()
    assert failures == []
    assert len(names(store)) == 100


@pytest.mark.parametrize("winner", ["takes the lock", "has gone again"])
def test_a_cleaner_between_creation_and_lock_makes_the_upload_start_again(store, monkeypatch, winner):
    flock = local_upload.fcntl.flock
    locked = []

    class CleanerFirst:
        LOCK_EX = local_upload.fcntl.LOCK_EX
        LOCK_NB = local_upload.fcntl.LOCK_NB

        @staticmethod
        def flock(descriptor: int, flags: int) -> None:
            if not locked:
                (name,) = leftovers(store)
                other = os.open(store._path / UPLOADS / name, os.O_RDWR)
                locked.append(other)
                flock(other, flags)
                (store._path / UPLOADS / name).unlink()
                if winner == "has gone again":
                    os.close(other)
            flock(descriptor, flags)

    monkeypatch.setattr(local_upload, "fcntl", CleanerFirst)
    put(store, "x.abf", b"1")
    assert read(store, "x.abf") == b"1"
    assert len(locked) == 1
    if winner == "takes the lock":
        os.close(locked[0])


def test_a_store_that_may_only_be_read_is_opened(store, monkeypatch):
    put(store, "x.abf", b"1")
    (store._path / UPLOADS / "leftover").write_bytes(b"")

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(local_folder.os, "unlink", refuse)
        assert read(reopen(store), "x.abf") == b"1"
        with pytest.raises(StoreUnavailableError, match="read-only"):
            store.remove("x.abf")


# --- files outside a container


def test_a_file_is_a_byte_source(tmp_path):
    (tmp_path / "x.abf").write_bytes(PIECE)
    with FileSource(tmp_path / "x.abf") as source:
        assert source.byte_count == len(PIECE)
        assert source.read_at(5, 20) == PIECE[5:25]
        with pytest.raises(TruncatedError):
            source.read_at(len(PIECE), 1)
    with pytest.raises(ValueError, match="closed"):
        source.read_at(0, 1)


def test_a_file_that_shrinks_is_noticed(tmp_path):
    path = tmp_path / "x.abf"
    path.write_bytes(PIECE)
    with FileSource(path) as source:
        os.truncate(path, 10)
        assert source.read_at(0, 10) == PIECE[:10]
        with pytest.raises(TruncatedError, match="now ends after 10") as caught:
            source.read_at(5, 10)
    assert caught.value.offset == 10


def test_a_read_that_comes_in_parts_is_put_together(tmp_path, monkeypatch):
    path = tmp_path / "x.abf"
    path.write_bytes(PIECE)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, count, offset: pread(descriptor, min(count, 1000), offset))
    with FileSource(path) as source:
        assert source.read_at(0, len(PIECE)) == PIECE


def test_a_write_that_is_taken_in_parts_is_completed(store, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:1000], offset))
    put(store, "x.abf", PIECE)
    monkeypatch.undo()
    assert read(store, "x.abf") == PIECE


def test_what_is_no_file_is_not_a_source(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StorageError, match="not a regular file"):
            FileSource(path)
    with pytest.raises(ObjectNotFoundError, match="missing"):
        FileSource(tmp_path / "missing")
    with pytest.raises(InvalidNameError):
        FileSource(tmp_path / ("x" * 300))
