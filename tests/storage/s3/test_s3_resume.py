"""Uploads to a bucket that were interrupted and begun again: what was sent is used, and nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys

import pytest

from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy, LastingFault, killing
from storage.s3.bucket import SECRET
from tabvault.errors import ObjectChangedError, ObjectNotFoundError, StorageError
from tabvault.storage.remote.patience import Patience
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule
from tabvault.testing.store_contract import names, read

pytest_plugins = ["storage.s3.service"]

PART = 8 << 10
PART_COUNT = 24
HEAD = b"the head"
BODY = random.Random(11).randbytes(PART_COUNT * PART - 5 - len(HEAD))
KEY = "backup of shop, version 7"

CHILD = """
import os, random
from pathlib import Path
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.s3.store import S3BucketStore

notes = Path(os.environ["NOTES"])
access = access_by_key(os.environ["URL"], region="eu-central-1", access_key_id="K", secret=os.environ["SECRET"])
body = random.Random(11).randbytes(24 * (8 << 10) - 5 - 8)
with (
    S3BucketStore(access.of_bucket(os.environ["BUCKET"]), notes_folder=notes, part_byte_count=8 << 10) as store,
    store.create("x.abf", replace=False, head_byte_count=8, upload_key="backup of shop, version 7") as upload,
):
    for offset in range(0, len(body), 10_000):
        upload.write(body[offset : offset + 10_000])
    upload.finish(b"the head")
"""


@pytest.fixture
def proxy(bucket):
    with FaultProxy(bucket.port) as running:
        yield running


def upload(store, *, key=KEY, body=BODY, stops_after=None, **options) -> None:
    """The whole upload, or one that is left when as many parts were sent."""
    with store.create("x.abf", replace=True, head_byte_count=len(HEAD), upload_key=key, **options) as begun:
        if stops_after is not None:
            # The first part is kept back, and the last one until more comes.
            begun.write(body[: (stops_after + 1) * PART + 1 - len(HEAD)])
            begun._in_flight.results()
            return
        begun.write(body)
        begun.finish(HEAD)


def sent(proxy: FaultProxy) -> list[str]:
    """Number of each part that arrived."""
    arrived = [request for request in proxy.calls("PUT partNumber") if request.status == 200]
    return [re.search(r"partNumber=(\d+)", request.target)[1] for request in arrived]


def test_a_process_killed_at_random_points_sends_no_part_twice(bucket, proxy):
    chance = random.Random(20_261_123)
    environment = {
        **os.environ,
        "URL": f"http://127.0.0.1:{proxy.port}",
        "BUCKET": bucket.name,
        "SECRET": SECRET,
        "NOTES": str(bucket.notes),
    }
    # The third request begins the upload: who dies before the answer comes has no note of it.
    for kill_at in (3, chance.randrange(5, 14), chance.randrange(10, 20), None):
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment)
        proxy.plan = killing(child, at=kill_at)
        assert child.wait(timeout=60) == (0 if kill_at is None else -signal.SIGKILL)
        proxy.wait_until_quiet()
        if kill_at is not None:
            assert names(bucket.store()) == []
            with pytest.raises(ObjectNotFoundError):
                bucket.store().open("x.abf")
        if kill_at == 3:
            assert bucket.parts() == [[]]
            assert bucket.noted() == []
    assert read(bucket.store(), "x.abf") == HEAD + BODY
    assert sorted(map(int, sent(proxy))) == list(range(1, PART_COUNT + 1))
    # Nobody's, and without parts.
    assert bucket.parts() == [[]]
    assert bucket.noted() == []


def test_only_what_is_missing_is_sent(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=15)
    assert len(sent(proxy)) == 15
    upload(store)
    assert len(sent(proxy)) == PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY


def test_of_another_content_only_the_parts_that_are_alike_are_used(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=10)
    changed = bytearray(BODY)
    changed[7 * PART + 3] ^= 1
    upload(store, body=bytes(changed[: 12 * PART]))
    # The changed one, the two behind those that were sent (the last is not full), and the first.
    assert len(sent(proxy)) == 10 + 4
    assert read(bucket.store(), "x.abf") == HEAD + bytes(changed[: 12 * PART])
    assert bucket.uploads() == []


def test_where_an_earlier_try_sent_more_parts_a_strict_service_has_it_begun_anew(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=15)
    with pytest.raises(ObjectChangedError, match="InvalidPart") as caught:
        upload(store, body=BODY[: 12 * PART])
    assert "begin again" in caught.value.hint
    assert bucket.uploads() == bucket.noted() == []
    upload(store, body=BODY[: 12 * PART])
    assert read(bucket.store(), "x.abf") == HEAD + BODY[: 12 * PART]


def test_alike_parts_at_another_place_are_not_confused(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    first, *parts = [random.Random(number).randbytes(PART) for number in range(3)]
    first = first[: PART - len(HEAD)]
    upload(store, body=first + b"".join(parts) + b"1", stops_after=2)
    upload(store, body=first + b"".join(reversed(parts)))
    assert read(bucket.store(), "x.abf") == HEAD + first + parts[1] + parts[0]
    assert len(sent(proxy)) == 2 + 3


@pytest.mark.parametrize(
    "again", [{"key": None}, {"key": "another"}, {"facts": {"job": "2"}}], ids=["no key", "another key", "other facts"]
)
def test_with_another_key_or_none_or_other_facts_everything_is_sent(bucket, proxy, again):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=15)
    upload(store, **again)
    assert len(sent(proxy)) == 15 + PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY
    assert bucket.uploads() == ["x.abf"]


def test_without_a_key_nobody_is_asked_what_was_sent(bucket, proxy):
    upload(bucket.store(proxy.port, part_byte_count=PART), key=None)
    assert proxy.calls("GET uploads") == proxy.calls("GET uploadId") == []


def test_two_tries_at_once_have_an_upload_each_and_the_one_that_came_furthest_is_continued(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    with store.create("x.abf", replace=True, head_byte_count=len(HEAD), upload_key=KEY) as first:
        first.write(BODY[: 4 * PART])
        first._in_flight.results()
        upload(store, stops_after=9)
        assert len(sent(proxy)) == 3 + 9
        assert len(bucket.noted()) == 2
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert bucket.parts() == [[2, 3, 4]]
    assert len(bucket.noted()) == 1
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT + PART_COUNT - 3
    assert bucket.uploads() == bucket.noted() == []


def test_an_upload_that_somebody_ended_is_begun_anew(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=3)
    [begun] = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key="x.abf", UploadId=begun["UploadId"])
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert bucket.noted() == []


def test_who_may_not_list_parts_sends_everything(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=3)
    proxy.plan = lambda request: Fault(status=403) if request.call == "GET uploadId" else PASS
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY
    assert len(bucket.noted()) == len(bucket.uploads()) == 1


def test_where_tags_are_no_md5_nothing_is_taken_over(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=3)
    entry = "<Part><PartNumber>{}</PartNumber><ETag>&quot;7f&quot;</ETag><Size>8192</Size>"
    entry += "<LastModified>2026-11-23T08:00:00.000Z</LastModified></Part>"
    parts = "".join(entry.format(number) for number in (2, 3, 4))
    listing = Fault(status=200, body=f"<ListPartsResult><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>")
    proxy.plan = lambda request: listing if request.call == "GET uploadId" else PASS
    upload(store)
    assert len(proxy.calls("GET uploadId")) == 1
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY
    assert bucket.uploads() == bucket.noted() == []


@pytest.mark.parametrize("folder", [None, "a file"])
def test_without_a_place_for_notes_nothing_is_left_and_nothing_resumed(bucket, proxy, tmp_path, folder):
    (tmp_path / "a file").write_bytes(b"")
    store = bucket.store(proxy.port, part_byte_count=PART, notes_folder=folder and tmp_path / folder)
    upload(store, stops_after=3)
    assert bucket.uploads() == []
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY


def test_whichever_request_is_the_last_to_be_answered_what_is_left_with_parts_is_noted(bucket, proxy):
    """And the next try comes to its end, after which only an upload without parts may be left."""
    hasty = Patience(1, 5.0, 0.001, 0.001, 2.0)
    for faulty in range(1, 30):
        proxy.plan = plan = LastingFault(Fault(cuts_request=faulty % 2 == 1, cuts_answer=True), begins_at=faulty)
        store = bucket.store(proxy.port, part_byte_count=PART, patience=hasty)
        with contextlib.suppress(StorageError):
            upload(store, body=BODY[: 3 * PART])
        if not plan.has_begun:
            break
        assert len(bucket.noted()) >= sum(map(bool, bucket.parts()))
        proxy.plan = lambda _: PASS
        upload(bucket.store(proxy.port, part_byte_count=PART), body=BODY[: 3 * PART])
        assert bucket.read("x.abf") == HEAD + BODY[: 3 * PART]
        assert not any(bucket.parts())
        assert bucket.noted() == []
    assert faulty > 6


@pytest.mark.parametrize("fail_at", [1, 12, 20])
def test_a_disk_that_is_gone_fails_no_upload_and_leaves_nothing_without_a_note(bucket, monkeypatch, fail_at):
    store = bucket.store(part_byte_count=PART)
    counter = CallCounter(fail_at=fail_at, lasting=True, error=OSError(28, "No space left on device"))
    with monkeypatch.context() as patch:
        for module in ("s3.upload_notes", "durable"):
            patch.setattr(f"tabvault.storage.{module}.os", FaultyModule(os, counter, SYSTEM_CALLS))
        upload(store, stops_after=2, body=BODY[: 4 * PART])
        # In the middle the note could be neither made durable nor taken back.
        assert (len(bucket.uploads()), len(bucket.noted())) == {1: (0, 0), 12: (0, 1), 20: (1, 1)}[fail_at]
        upload(store, body=BODY[: 3 * PART])
    assert counter.has_failed
    assert bucket.read("x.abf") == HEAD + BODY[: 3 * PART]
    assert len(bucket.noted()) >= len(bucket.uploads())


def test_a_network_that_goes_away_in_the_middle_costs_only_the_rest(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART, patience=IMPATIENT)
    proxy.plan = lambda _: Fault(cuts_request=True) if len(proxy.calls("PUT partNumber")) > 14 else PASS
    with pytest.raises(StorageError, match="UploadPart"):
        upload(store)
    proxy.plan = lambda _: PASS
    proxy.wait_until_quiet()
    upload(store)
    assert sorted(map(int, sent(proxy))) == list(range(1, PART_COUNT + 1))
    assert read(bucket.store(), "x.abf") == HEAD + BODY


def test_an_upload_that_was_ended_in_the_middle_is_named(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART, patience=IMPATIENT)
    with store.create("x.abf", replace=False, upload_key=KEY) as begun:
        begun.write(BODY[: 4 * PART])
        begun._in_flight.results()
        [upload] = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key="x.abf", UploadId=upload["UploadId"])
        gone = Fault(status=404, body="<Error><Code>NoSuchUpload</Code></Error>")
        proxy.plan = lambda request: gone if "uploadId" in request.target else PASS
        with pytest.raises(StorageError, match="parts that were sent are gone"):
            begun.finish()
    assert names(bucket.store()) == []
