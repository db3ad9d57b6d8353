"""The cache of decoded columns: once for all, bounded, never of another version."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from recorded_tables import D, ask, sales

from tabvault.engine.column_cache import CachedTable, ColumnCache
from tabvault.errors import ChecksumError


def column(byte_count: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([0] * (byte_count // 8), pa.int64())])


def never() -> pa.ChunkedArray:
    pytest.fail("decoded again")


def test_a_kept_column_is_not_decoded_again():
    cache = ColumnCache(byte_count_max=1000)
    first = cache.get("a", lambda: column(800))
    assert cache.get("a", never) is first
    assert cache.byte_count == 800


def test_the_columns_least_recently_asked_for_go_first():
    cache = ColumnCache(byte_count_max=1000)
    for key in "ab":
        cache.get(key, lambda: column(400))
    cache.get("a", never)
    cache.get("c", lambda: column(400))
    cache.get("a", never)
    cache.get("c", never)
    assert cache.byte_count == 800
    assert len(cache.get("b", lambda: column(8))) == 1, "b had gone, and is decoded anew"


def test_a_column_larger_than_the_cache_is_handed_out_and_not_kept():
    cache = ColumnCache(byte_count_max=100)
    assert len(cache.get("a", lambda: column(800))) == 100
    assert cache.byte_count == 0


def test_a_dictionary_counts_among_the_bytes():
    cache = ColumnCache(byte_count_max=1 << 20)
    words = pa.chunked_array([pa.array(["x" * 1000, "y" * 1000]).dictionary_encode()])
    cache.get("a", lambda: words)
    assert cache.byte_count > 2000


def fails() -> pa.ChunkedArray:
    raise ChecksumError("CRC is 1, not 2")


def test_a_failure_is_not_kept():
    cache = ColumnCache(byte_count_max=1000)
    with pytest.raises(ChecksumError):
        cache.get("a", fails)
    assert len(cache.get("a", lambda: column(8))) == 1


def test_a_column_that_many_threads_want_is_decoded_once():
    cache = ColumnCache(byte_count_max=1 << 20)
    everyone_waits = threading.Event()
    decoded = []

    def decode():
        decoded.append(1)
        everyone_waits.wait(10)
        return column(80)

    answers: list[pa.ChunkedArray] = []
    threads = [threading.Thread(target=lambda: answers.append(cache.get("a", decode))) for _ in range(8)]
    for thread in threads:
        thread.start()
    everyone_waits.set()
    for thread in threads:
        thread.join(10)
    assert len(decoded) == 1
    assert len(answers) == 8
    assert all(answer is answers[0] for answer in answers)


def test_those_who_wait_for_a_failing_column_see_its_error():
    cache = ColumnCache(byte_count_max=1000)
    decoding, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def fails_late():
        decoding.set()
        go_on.wait(10)
        return fails()

    def want():
        try:
            cache.get("a", fails_late)
        except ChecksumError as error:
            seen.append(error.message)

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert decoding.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert seen == ["CRC is 1, not 2"] * 4


def cached(data: pa.Table, cache: ColumnCache, key: object, decoded: list[str]) -> CachedTable:
    def decode(name):
        decoded.append(name)
        return data[name]

    return CachedTable(lambda: data.schema, decode, cache=cache, key=key)


def test_a_second_query_decodes_only_what_the_first_did_not():
    cache, decoded = ColumnCache(byte_count_max=1 << 20), []
    table = cached(sales().table, cache, ("db", 1, "Sales"), decoded)
    assert ask("SELECT sum(Units) FROM Sales WHERE Region = 'North'", {"Sales": table}) == [(3,)]
    assert sorted(decoded) == ["Region", "Units"]
    assert ask("SELECT Units, Price FROM Sales WHERE Region = 'East'", {"Sales": table}) == [(-7, D(0))]
    assert sorted(decoded) == ["Price", "Region", "Units"]


def test_a_self_join_decodes_each_column_once():
    cache, decoded = ColumnCache(byte_count_max=1 << 20), []
    table = cached(sales().table, cache, 1, decoded)
    ask("SELECT count(*) FROM Sales a JOIN Sales b USING (Region) JOIN Sales c USING (Region)", {"Sales": table})
    assert decoded == ["Region"]


def test_a_new_version_does_not_see_the_columns_of_the_old_one():
    cache, decoded = ColumnCache(byte_count_max=1 << 20), []
    old = cached(pa.table({"a": [1]}), cache, ("db", 1), decoded)
    new = cached(pa.table({"a": [2]}), cache, ("db", 2), decoded)
    assert ask("SELECT a FROM t", {"t": old}) == [(1,)]
    assert ask("SELECT a FROM t", {"t": new}) == [(2,)]


def test_many_queries_at_once_share_the_cache_and_are_right():
    cache, decoded = ColumnCache(byte_count_max=1 << 20), []
    table = cached(sales().table, cache, 1, decoded)
    wrong: list[object] = []

    def run():
        answer = ask("SELECT sum(Units) FROM Sales WHERE Region = 'North'", {"Sales": table})
        if answer != [(3,)]:
            wrong.append(answer)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert sorted(decoded) == ["Region", "Units"]
