"""
The tests that every object store has to pass: the promises of :mod:`tabvault.storage.contract`, one by one.

A store's own test file derives from :class:`StoreContract`, gives the fixture ``store`` (an empty container) and
the two methods that get at the objects behind the back of the code under test::

    class TestLocalStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path): ...
        def put_directly(self, store, name, data): ...
        def read_directly(self, store, name): ...
"""
# ruff: noqa: D102 - these are tests: their names are the sentences

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import (
    InvalidNameError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    TruncatedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.contract import ObjectInfo, ObjectStore, Upload

BODY = bytes(range(256)) * 300
HEAD = b"head page" * 100
BAD_NAMES = ("", "/", "..", "a/../b", "a//b", ".hidden", "a/", "C:\\x", "\\\\server\\share", "a\0b", "CON", "x" * 2000)
NAMES = (
    "a b/c d.abf",
    "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller & Co/100 %+#~=@.abf",
    "\N{GRINNING FACE}/\N{CJK UNIFIED IDEOGRAPH-65E5}\N{CJK UNIFIED IDEOGRAPH-672C}.abf",
    "no extension",
    "/".join(["x" * 63] * 15 + ["y" * 64]),
)
"""Spaces, what a URL quotes, letters beyond ASCII and beyond 16 bits, folders; the last has 1,024 characters."""

THREAD_COUNT = 8


def put(store: ObjectStore, name: str, data: bytes, *, replace: bool = False) -> ObjectInfo:
    """Publish *data* in one go."""
    with store.create(name, replace=replace) as upload:
        upload.write(data)
        return upload.finish()


def read(store: ObjectStore, name: str) -> bytes:
    """The whole of an object."""
    with store.open(name) as stored:
        return bytes(stored.read_at(0, stored.byte_count))


def names(store: ObjectStore, prefix: str = "") -> list[str]:
    """The names in the listing."""
    return [info.name for info in store.list(prefix)]


class StoreContract(ABC):
    """What holds for every store; see the module."""

    keeps_replaced_objects = True
    """Whether an opened object stays readable when it is replaced or removed, rather than raising."""

    replaces_what_it_saw = False
    """Whether an upload that is to replace is refused when somebody else published under the name since it began."""

    holds_what_gives_way = False
    """Whether an object cannot be removed while an upload that is to replace it is on its way."""

    @abstractmethod
    def put_directly(self, store: ObjectStore, name: str, data: bytes) -> None:
        """Put an object into the container without the store, over what is there."""

    @abstractmethod
    def read_directly(self, store: ObjectStore, name: str) -> bytes | None:
        """The bytes of an object, got without the store; ``None`` if there is none."""

    # --- creating

    def test_what_was_written_is_there_after_finish(self, store: ObjectStore) -> None:
        with store.create("sales/monday.abf", replace=False) as upload:
            buffer = bytearray(b"abc")
            upload.write(BODY)
            upload.write(memoryview(buffer))
            buffer[:] = b"its"  # the writer's own again
            upload.write(b"")
            info = upload.finish()
        assert self.read_directly(store, "sales/monday.abf") == BODY + b"abc"
        assert info.name == "sales/monday.abf"
        assert info.byte_count == len(BODY) + 3
        assert store.info("sales/monday.abf") == info

    def test_the_head_comes_last_and_lies_first(self, store: ObjectStore) -> None:
        with store.create("x.abf", replace=False, head_byte_count=len(HEAD)) as upload:
            upload.write(BODY)
            upload.finish(HEAD)
        assert self.read_directly(store, "x.abf") == HEAD + BODY

    def test_a_head_may_be_all_there_is(self, store: ObjectStore) -> None:
        with store.create("whole", replace=False, head_byte_count=len(HEAD)) as upload:
            upload.finish(HEAD)
        with store.create("short", replace=False, head_byte_count=len(HEAD)) as upload:
            upload.finish(HEAD[:5])
        assert self.read_directly(store, "whole") == HEAD
        assert self.read_directly(store, "short") == HEAD[:5]

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        info = put(store, "empty", b"")
        assert info.byte_count == 0
        assert read(store, "empty") == b""
        assert names(store) == ["empty"]

    @pytest.mark.parametrize("head", [b"", HEAD[:-1], HEAD + b"x"])
    def test_a_head_of_the_wrong_length_is_a_mistake_and_publishes_nothing(
        self, store: ObjectStore, head: bytes
    ) -> None:
        upload = store.create("x.abf", replace=False, head_byte_count=len(HEAD))
        with upload:
            upload.write(BODY)
            with pytest.raises(ValueError, match="head"):
                upload.finish(head)
        assert self.read_directly(store, "x.abf") is None

    def test_nothing_is_visible_before_finish(self, store: ObjectStore) -> None:
        with store.create("x.abf", replace=False, head_byte_count=4) as upload:
            upload.write(BODY)
            assert names(store) == []
            assert self.read_directly(store, "x.abf") is None
            with pytest.raises(ObjectNotFoundError):
                store.info("x.abf")
            with pytest.raises(ObjectNotFoundError):
                store.open("x.abf")
            with pytest.raises(ObjectNotFoundError):
                store.remove("x.abf")
            upload.finish(b"head")
        assert names(store) == ["x.abf"]

    def test_an_aborted_upload_leaves_nothing(self, store: ObjectStore) -> None:
        upload = store.create("x.abf", replace=False)
        upload.write(BODY)
        upload.abort()
        upload.abort()
        assert names(store) == []
        assert self.read_directly(store, "x.abf") is None
        with pytest.raises(ValueError, match="ended"):
            upload.write(BODY)
        with pytest.raises(ValueError, match="ended"):
            upload.finish()

    def test_an_upload_left_by_an_exception_leaves_nothing(self, store: ObjectStore) -> None:
        def stop(upload: Upload) -> None:
            with upload:
                upload.write(BODY)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            stop(store.create("x.abf", replace=False))
        assert names(store) == []

    def test_aborting_after_finish_changes_nothing(self, store: ObjectStore) -> None:
        with store.create("x.abf", replace=False) as upload:
            upload.write(BODY)
            upload.finish()
            upload.abort()
        assert self.read_directly(store, "x.abf") == BODY

    def test_an_upload_that_nobody_ends_is_never_seen(self, store: ObjectStore) -> None:
        torn = store.create("x.abf", replace=False)
        with torn:
            torn.write(BODY)
            put(store, "x.abf", b"whole")
            assert read(store, "x.abf") == b"whole"
            assert [info.byte_count for info in store.list()] == [5]
        assert self.read_directly(store, "x.abf") == b"whole"

    @pytest.mark.parametrize("again", [BODY, BODY[::-1], BODY[:50_000], BODY + b"more"])
    def test_what_is_begun_again_with_its_key_holds_what_was_written_last(
        self, store: ObjectStore, again: bytes
    ) -> None:
        with store.create("x.abf", replace=False, head_byte_count=len(HEAD), upload_key="try 1") as upload:
            upload.write(BODY)
        assert names(store) == []
        with store.create(
            "x.abf",
            replace=False,
            head_byte_count=len(HEAD),
            upload_key="try 1",
            facts={"database": "M\xfcnchen \u65e5"},
        ) as upload:
            upload.write(again)
            info = upload.finish(HEAD)
        assert self.read_directly(store, "x.abf") == HEAD + again
        assert store.info("x.abf") == info

    def test_facts_do_not_hurt(self, store: ObjectStore) -> None:
        with store.create("x.abf", replace=False, facts={"database": "M\xfcnchen \u65e5\n", "level": "1550"}) as upload:
            upload.write(BODY)
            upload.finish()
        assert self.read_directly(store, "x.abf") == BODY

    # --- an object of that name exists

    def test_an_existing_object_is_refused_early(self, store: ObjectStore) -> None:
        self.put_directly(store, "x.abf", b"old")
        with pytest.raises(ObjectExistsError):
            store.create("x.abf", replace=False)
        assert self.read_directly(store, "x.abf") == b"old"

    def test_finish_refuses_what_appeared_meanwhile(self, store: ObjectStore) -> None:
        with store.create("x.abf", replace=False) as upload:
            upload.write(BODY)
            self.put_directly(store, "x.abf", b"theirs")
            with pytest.raises(ObjectExistsError):
                upload.finish()
        assert self.read_directly(store, "x.abf") == b"theirs"

    def test_a_replaced_object_stays_until_the_new_one_is_whole(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        with store.create("x.abf", replace=True, head_byte_count=len(HEAD)) as upload:
            upload.write(BODY)
            assert read(store, "x.abf") == b"old"
            assert store.info("x.abf") == old
            new = upload.finish(HEAD)
        assert self.read_directly(store, "x.abf") == HEAD + BODY
        assert new.etag != old.etag
        assert names(store) == ["x.abf"]

    def test_an_aborted_replacement_leaves_the_old_object(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        with store.create("x.abf", replace=True) as upload:
            upload.write(BODY)
        assert store.info("x.abf") == old
        assert self.read_directly(store, "x.abf") == b"old"

    def test_replacing_what_is_not_there_creates_it(self, store: ObjectStore) -> None:
        put(store, "x.abf", BODY, replace=True)
        assert self.read_directly(store, "x.abf") == BODY

    def test_contents_of_equal_length_have_different_tags(self, store: ObjectStore) -> None:
        tags = [put(store, "x.abf", bytes([value]) * 100, replace=True).etag for value in range(20)]
        assert all(before != after for before, after in pairwise(tags))

    def test_of_many_creators_exactly_one_gets_through(self, store: ObjectStore) -> None:
        barrier = threading.Barrier(THREAD_COUNT, timeout=60)
        winners: list[int] = []
        losers: list[int] = []

        def create(number: int) -> None:
            with store.create("x.abf", replace=False) as upload:
                upload.write(bytes([number]) * 10_000)
                barrier.wait()
                try:
                    upload.finish()
                    winners.append(number)
                except ObjectExistsError:
                    losers.append(number)

        _run_in_threads(create)
        assert (len(winners), len(losers)) == (1, THREAD_COUNT - 1)
        assert self.read_directly(store, "x.abf") == bytes(winners) * 10_000
        assert names(store) == ["x.abf"]

    def test_of_many_replacements_the_object_is_always_one(self, store: ObjectStore) -> None:
        put(store, "x.abf", bytes([THREAD_COUNT]) * 10_000)
        mixed: list[bytes] = []

        published: list[int] = []

        def replace(number: int) -> None:
            try:
                put(store, "x.abf", bytes([number]) * 10_000, replace=True)
                published.append(number)
            except StorageError:
                if not self.replaces_what_it_saw:
                    raise
            try:
                data = read(store, "x.abf")
            except StorageError:
                if self.keeps_replaced_objects:
                    raise
            else:
                if data != data[:1] * 10_000:
                    mixed.append(data)

        _run_in_threads(replace)
        assert mixed == []
        assert len(published) == THREAD_COUNT or (self.replaces_what_it_saw and published)
        assert read(store, "x.abf")[0] in published
        assert names(store) == ["x.abf"]

    # --- only a certain object gives way

    def test_the_object_with_the_tag_that_was_meant_gives_way(self, store: ObjectStore) -> None:
        for if_match in (put(store, "x.abf", b"old").etag, "*"):
            with store.create("x.abf", replace=True, if_match=if_match) as upload:
                upload.write(BODY)
                info = upload.finish()
            assert store.info("x.abf") == info
        assert self.read_directly(store, "x.abf") == BODY

    @pytest.mark.parametrize("if_match", ["0x0", "*"])
    def test_what_cannot_be_the_object_that_was_meant_is_refused_early(self, store: ObjectStore, if_match: str) -> None:
        with pytest.raises(ObjectChangedError):
            store.create("sales/x.abf", replace=True, if_match=if_match)
        put(store, "x.abf", b"old")
        with pytest.raises(ObjectChangedError):
            store.create("x.abf", replace=True, if_match="0x0")
        assert names(store) == ["x.abf"]
        assert self.read_directly(store, "x.abf") == b"old"

    def test_finish_refuses_when_another_object_has_come_to_the_name(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        with store.create("x.abf", replace=True, if_match=old.etag) as upload:
            upload.write(BODY)
            put(store, "x.abf", b"theirs", replace=True)
            with pytest.raises(ObjectChangedError):
                upload.finish()
        assert self.read_directly(store, "x.abf") == b"theirs"

    def test_finish_refuses_when_the_object_that_was_meant_is_gone(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        with store.create("x.abf", replace=True, if_match=old.etag) as upload:
            upload.write(BODY)
            if self.holds_what_gives_way:
                with pytest.raises(StorageError):
                    store.remove("x.abf")
                upload.finish()
                return
            store.remove("x.abf")
            with pytest.raises(ObjectChangedError):
                upload.finish()
        assert names(store) == []

    def test_of_many_who_mean_the_same_object_exactly_one_gets_through(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        barrier = threading.Barrier(THREAD_COUNT, timeout=60)
        winners: list[int] = []
        losers: list[int] = []

        def replace(number: int) -> None:
            with store.create("x.abf", replace=True, if_match=old.etag) as upload:
                upload.write(bytes([number]) * 10_000)
                barrier.wait()
                try:
                    upload.finish()
                    winners.append(number)
                except ObjectChangedError:
                    losers.append(number)

        _run_in_threads(replace)
        assert (len(winners), len(losers)) == (1, THREAD_COUNT - 1)
        assert self.read_directly(store, "x.abf") == bytes(winners) * 10_000

    def test_only_the_object_that_was_meant_is_removed(self, store: ObjectStore) -> None:
        old = put(store, "x.abf", b"old")
        new = put(store, "x.abf", b"new", replace=True)
        with pytest.raises(ObjectChangedError):
            store.remove("x.abf", if_match=old.etag)
        assert self.read_directly(store, "x.abf") == b"new"
        store.remove("x.abf", if_match=new.etag)
        with pytest.raises(ObjectNotFoundError):
            store.remove("x.abf", if_match="*")
        assert names(store) == []

    # --- reading

    def test_any_range_can_be_read(self, store: ObjectStore) -> None:
        self.put_directly(store, "x.abf", BODY)
        with store.open("x.abf") as stored:
            assert stored.byte_count == len(BODY)
            assert stored.info == store.info("x.abf")
            for offset, byte_count in [(0, 0), (0, 1), (255, 2), (len(BODY), 0), (len(BODY) - 1, 1), (1, 70_000)]:
                assert bytes(stored.read_at(offset, byte_count)) == BODY[offset : offset + byte_count]
            assert b"".join(stored.whole()) == BODY

    @pytest.mark.parametrize(
        ("offset", "byte_count"), [(0, len(BODY) + 1), (len(BODY), 1), (-1, 1), (0, -1), (1 << 70, 1), (0, 1 << 70)]
    )
    def test_a_range_outside_is_refused(self, store: ObjectStore, offset: int, byte_count: int) -> None:
        self.put_directly(store, "x.abf", BODY)
        with store.open("x.abf") as stored, pytest.raises(TruncatedError):
            stored.read_at(offset, byte_count)

    def test_one_object_can_be_read_by_many_threads(self, store: ObjectStore) -> None:
        self.put_directly(store, "x.abf", BODY)
        wrong: list[int] = []
        with store.open("x.abf") as stored:

            def read_pieces(number: int) -> None:
                wrong.extend(
                    offset
                    for offset in range(number, len(BODY) - 100, 4001)
                    if bytes(stored.read_at(offset, 100)) != BODY[offset : offset + 100]
                )

            _run_in_threads(read_pieces)
        assert wrong == []

    def test_an_open_object_never_becomes_its_replacement(self, store: ObjectStore) -> None:
        put(store, "x.abf", b"old" * 1000)
        with store.open("x.abf") as stored:
            put(store, "x.abf", b"new" * 1000, replace=True)
            self._check_still_old(stored.read_at)
            store.remove("x.abf")
            self._check_still_old(stored.read_at)
            assert stored.byte_count == 3000

    def _check_still_old(self, read_at: Callable[[int, int], bytes | memoryview]) -> None:
        if self.keeps_replaced_objects:
            assert bytes(read_at(0, 6)) == b"oldold"
        else:
            with pytest.raises(StorageError):
                read_at(0, 6)

    def test_a_closed_object_is_not_read(self, store: ObjectStore) -> None:
        self.put_directly(store, "x.abf", BODY)
        stored = store.open("x.abf")
        stored.close()
        stored.close()
        with pytest.raises(ValueError, match="closed"):
            stored.read_at(0, 1)

    # --- listing and looking

    def test_the_listing_is_ordered_by_whole_names(self, store: ObjectStore) -> None:
        # "-" sorts before "/" and "0" after it; folder by folder would give another order.
        unordered = ["b", "a/z", "a0", "a-b", "a/b/c", "a.abf", "Z", "ä/ü.abf", "\N{GRINNING FACE}"]
        for name in unordered:
            self.put_directly(store, name, name.encode())
        assert names(store) == ["Z", "a-b", "a.abf", "a/b/c", "a/z", "a0", "b", "ä/ü.abf", "\N{GRINNING FACE}"]
        assert [info.byte_count for info in store.list("ä")] == [len("ä/ü.abf".encode())]

    def test_a_listing_during_writes_has_all_that_stays(self, store: ObjectStore) -> None:
        staying = {f"{number:02d}.abf": 10 + number for number in range(0, 30, 3)}
        for name, byte_count in staying.items():
            self.put_directly(store, name, bytes(byte_count))
        has_ended = threading.Event()
        wrong: list[list[ObjectInfo]] = []

        def list_or_write(number: int) -> None:
            if number == 0:
                try:
                    for changing in range(1, 30, 3):
                        put(store, f"{changing:02d}.abf", bytes(1000))
                        if changing % 2:
                            store.remove(f"{changing:02d}.abf")
                finally:
                    has_ended.set()
                return
            while not has_ended.is_set():
                infos = list(store.list())
                listed = [info.name for info in infos]
                there = {info.name: info.byte_count for info in infos}
                is_right = listed == sorted(set(listed)) and staying.items() <= there.items()
                if not (is_right and all(there[name] == staying.get(name, 1000) for name in there)):
                    wrong.append(infos)

        _run_in_threads(list_or_write, 2)
        assert wrong == []
        assert len(names(store)) == len(staying) + 5

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_is_kept_as_it_is(self, store: ObjectStore, name: str) -> None:
        put(store, name, BODY)
        assert names(store) == [name]
        assert names(store, name) == [name]
        assert read(store, name) == BODY
        assert self.read_directly(store, name) == BODY
        store.remove(name)
        assert names(store) == []

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a/b/c", "a/z", "ab", "b"]),
            ("a", ["a/b/c", "a/z", "ab"]),
            ("a/", ["a/b/c", "a/z"]),
            ("a/b", ["a/b/c"]),
            ("a/b/c", ["a/b/c"]),
            ("a/b/c/", []),
            ("z", []),
        ],
    )
    def test_the_listing_begins_with_the_prefix(self, store: ObjectStore, prefix: str, expected: list[str]) -> None:
        for name in ("a/b/c", "a/z", "ab", "b"):
            self.put_directly(store, name, b"")
        assert names(store, prefix) == expected

    def test_the_listing_says_what_info_says(self, store: ObjectStore) -> None:
        self.put_directly(store, "a", b"1")
        put(store, "b/c", b"22")
        assert list(store.list()) == [store.info("a"), store.info("b/c")]

    def test_the_time_of_an_object_is_now_in_utc(self, store: ObjectStore) -> None:
        last_modified = put(store, "x.abf", b"1").last_modified
        assert last_modified.tzinfo is UTC
        assert abs(datetime.now(UTC) - last_modified) < timedelta(minutes=5)

    def test_what_is_not_there_is_not_found(self, store: ObjectStore) -> None:
        self.put_directly(store, "folder/x.abf", b"")
        for name in ("x.abf", "folder", "no/x.abf", "folder/x"):
            for verb in (store.info, store.open, store.remove):
                with pytest.raises(ObjectNotFoundError):
                    verb(name)

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_every_verb_refuses_a_bad_name(self, store: ObjectStore, name: str) -> None:
        for verb in (store.info, store.open, store.remove):
            with pytest.raises(InvalidNameError):
                verb(name)
        with pytest.raises(InvalidNameError):
            store.create(name, replace=True)
        assert names(store) == []

    def test_a_name_typed_another_way_is_the_same_name(self, store: ObjectStore) -> None:
        put(store, "\\sales\\mu\N{COMBINING DIAERESIS}ller.abf", BODY)
        assert names(store) == ["sales/m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.abf"]
        assert store.info("/sales/müller.abf").byte_count == len(BODY)
        with pytest.raises(ObjectExistsError):
            store.create("sales/müller.abf", replace=False)

    # --- removing

    def test_a_removed_object_is_gone_and_its_name_is_free(self, store: ObjectStore) -> None:
        put(store, "a/x.abf", b"old")
        store.remove("a/x.abf")
        assert self.read_directly(store, "a/x.abf") is None
        assert names(store) == []
        with pytest.raises(ObjectNotFoundError):
            store.remove("a/x.abf")
        put(store, "a/x.abf", b"new")
        assert self.read_directly(store, "a/x.abf") == b"new"

    def test_the_free_space_is_a_count_or_not_known(self, store: ObjectStore) -> None:
        free_byte_count = store.free_byte_count()
        assert free_byte_count is None or free_byte_count > 0


def _run_in_threads(work: Callable[[int], None], count: int = THREAD_COUNT) -> None:
    """Call *work* with 0, 1, … in *count* threads; an exception in one of them is raised here."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - handed to the test, which raises it
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
