"""Uploads to a bucket that were interrupted and begun again: what was sent is used, and nothing else."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from storage.s3.bucket import SECRET
from tabvault.errors import ObjectNotFoundError, StorageError
from tabvault.testing.store_contract import names, read

pytest_plugins = ["storage.s3.service"]

PART = 8 << 10
PART_COUNT = 24
HEAD = b"the head"
BODY = random.Random(11).randbytes(PART_COUNT * PART - 5 - len(HEAD))
KEY = "backup of shop, version 7"

CHILD = """
import os, random
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.s3.store import S3BucketStore

access = access_by_key(os.environ["URL"], region="eu-central-1", access_key_id="K", secret=os.environ["SECRET"])
body = random.Random(11).randbytes(24 * (8 << 10) - 5 - 8)
with (
    S3BucketStore(access.of_bucket(os.environ["BUCKET"]), part_byte_count=8 << 10) as store,
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
    """Number and upload of each part that arrived, without marks."""
    numbers = [re.search(r"partNumber=(\d+)", request.target)[1] for request in _arrived(proxy)]
    return [number for number in numbers if number != "10000"]


def _arrived(proxy: FaultProxy):
    return [request for request in proxy.calls("PUT partNumber") if request.status == 200]


def test_a_process_killed_at_random_points_sends_no_part_twice(bucket, proxy):
    chance = random.Random(20_261_123)
    environment = {
        **os.environ,
        "URL": f"http://127.0.0.1:{proxy.port}",
        "BUCKET": bucket.name,
        "SECRET": SECRET,
    }
    # Six requests come before the second part: to look, to tidy, to look for an earlier try, a new one, and its mark.
    for kill_at in (chance.randrange(7, 14), chance.randrange(10, 20), None):
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment)
        left = [kill_at]

        def plan(_, left=left, child=child):
            if left[0] is not None:
                left[0] -= 1
                if left[0] == 0:
                    child.send_signal(signal.SIGKILL)
            return PASS

        proxy.plan = plan
        assert child.wait(timeout=60) == (0 if kill_at is None else -signal.SIGKILL)
        _wait_until_quiet(proxy)
        if kill_at is not None:
            assert names(bucket.store()) == []
            with pytest.raises(ObjectNotFoundError):
                bucket.store().open("x.abf")
            assert bucket.uploads() == ["x.abf"]
    assert read(bucket.store(), "x.abf") == HEAD + BODY
    assert sorted(map(int, sent(proxy))) == list(range(1, PART_COUNT + 1))
    assert bucket.uploads() == []


def test_only_what_is_missing_is_sent(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=15)
    assert len(sent(proxy)) == 15
    upload(store)
    assert len(sent(proxy)) == PART_COUNT
    assert read(bucket.store(), "x.abf") == HEAD + BODY


def test_of_another_content_only_the_parts_that_are_alike_are_used(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=15)
    changed = bytearray(BODY)
    changed[7 * PART + 3] ^= 1
    upload(store, body=bytes(changed[: 12 * PART]))
    # The changed one, the last one (not full), and the first.
    assert len(sent(proxy)) == 15 + 3
    assert read(bucket.store(), "x.abf") == HEAD + bytes(changed[: 12 * PART])
    assert bucket.uploads() == []


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
    # The one request is for what was abandoned.
    assert len(proxy.calls("GET uploads")) == 1
    assert proxy.calls("GET uploadId") == []


def test_of_several_tries_the_one_that_came_furthest_is_continued(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART)
    upload(store, stops_after=3)
    target = re.search(r"uploadId=([^&]+)", proxy.calls("PUT partNumber")[0].target)[1]
    # Another try of the same key, of a server that saw nothing of the first.
    proxy.plan = lambda request: Fault(status=403) if request.call == "GET uploads" else PASS
    upload(store, stops_after=9)
    assert len(sent(proxy)) == 3 + 9
    proxy.plan = lambda _: PASS
    upload(store)
    assert len(sent(proxy)) == 3 + PART_COUNT
    assert [upload["UploadId"] for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]] == [
        target
    ]


def test_a_network_that_goes_away_in_the_middle_costs_only_the_rest(bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=PART, patience=IMPATIENT)
    proxy.plan = lambda _: Fault(cuts_request=True) if len(proxy.calls("PUT partNumber")) > 14 else PASS
    with pytest.raises(StorageError, match="UploadPart"):
        upload(store)
    proxy.plan = lambda _: PASS
    _wait_until_quiet(proxy)
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


def _wait_until_quiet(proxy: FaultProxy) -> None:
    """Until what is on its way through the proxy has arrived or is lost."""
    quiet = threading.Event()
    ends = time.monotonic() + 10
    while proxy.open_count and time.monotonic() < ends:
        quiet.wait(0.01)
    assert proxy.open_count == 0
