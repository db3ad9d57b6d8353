"""The fault wrapper of the jobs' tests: it keeps the contract itself, and it fails where it is told to."""

from __future__ import annotations

import itertools

import pytest

from tabvault.errors import DiskFullError, StorageError, StoreUnavailableError
from tabvault.storage.local import LocalAccount
from tabvault.testing.faults import CallCounter, FaultyStore
from tabvault.testing.store_contract import StoreContract, names, put, read


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def plain_store(tmp_path):
    return LocalAccount(tmp_path).container("backups", create=True)


class TestFaultyStoreWithoutFault(StoreContract):
    @pytest.fixture
    def store(self, plain_store):
        return FaultyStore(plain_store)

    def put_directly(self, store: FaultyStore, name: str, data: bytes) -> None:
        path = store._store._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read_directly(self, store: FaultyStore, name: str) -> bytes | None:
        path = store._store._path / name
        return path.read_bytes() if path.is_file() else None


def exercise(store: FaultyStore) -> None:
    """Every verb once, in this order."""
    assert store.free_byte_count() != 0
    with store.create("x.abf", replace=False, head_byte_count=1) as upload:
        upload.write(b"2")
        upload.finish(b"1")
    assert store.info("x.abf").byte_count == 2
    with store.open("x.abf") as stored:
        assert stored.byte_count == 2
        assert stored.read_at(0, 2) == b"12"
    assert names(store) == ["x.abf"]
    store.remove("x.abf")


VERBS = ["free_byte_count", "create", "write", "finish", "info", "open", "read_at", "list", "remove"]


def test_every_call_is_counted_under_its_verb(plain_store):
    store = FaultyStore(plain_store)
    exercise(store)
    assert store.counter.calls == VERBS
    assert not store.counter.has_failed


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_nth_call_fails_and_no_other(plain_store, folder, when):
    for fail_at in itertools.count(1):
        store = FaultyStore(plain_store, fail_at=fail_at, when=when)
        if fail_at > len(VERBS):
            exercise(store)
            assert not store.counter.has_failed
            break
        with pytest.raises(StoreUnavailableError):
            exercise(store)
        assert store.counter.has_failed
        assert store.counter.calls == VERBS[:fail_at]
        is_there = fail_at > 4 or (fail_at == 4 and when == "after")
        is_removed = fail_at == 9 and when == "after"
        assert (folder / "x.abf").exists() == (is_there and not is_removed)
        assert not list(folder.glob(".tabvault-uploads/*"))
        (folder / "x.abf").unlink(missing_ok=True)
    assert fail_at == len(VERBS) + 1


def test_an_error_can_be_chosen(plain_store):
    store = FaultyStore(plain_store, fail_at=1, error=DiskFullError("full"))
    with pytest.raises(DiskFullError, match="full"):
        put(store, "x.abf", b"1")
    put(store, "x.abf", b"1")


def test_a_lasting_fault_fails_all_that_comes_after(plain_store):
    store = FaultyStore(plain_store, fail_at=4, when="after", lasting=True)
    assert put(store, "x.abf", b"1").byte_count == 1
    for _ in range(3):
        with pytest.raises(StorageError):
            store.remove("x.abf")
    # The first of them failed after its effect, the others before.
    assert names(plain_store) == []
    put(plain_store, "x.abf", b"2")
    with pytest.raises(StorageError):
        store.remove("x.abf")
    assert read(plain_store, "x.abf") == b"2"


def test_a_counter_alone_counts():
    counter = CallCounter(fail_at=2, error=OSError("no"))
    assert counter.run("first", lambda: 1) == 1
    assert not counter.has_failed
    with pytest.raises(OSError, match="no"):
        counter.run("second", lambda: 2)
    assert counter.has_failed
    assert counter.run("third", lambda: 3) == 3
