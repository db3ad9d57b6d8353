"""A probe of a bucket: what does not work is named, with the clocks and what lies unfinished."""

from __future__ import annotations

import datetime
from email.utils import format_datetime

import pytest

from storage.fault_proxy import PASS, Fault, FaultProxy
from storage.s3.bucket import REGION
from tabvault.jobs.storage_probe import PROBE_NAME, Probe, probe
from tabvault.storage.accounts import AccountFacts
from tabvault.storage.remote.asking import clock_skew_s
from tabvault.storage.s3.multipart import ABANDONED_AFTER
from tabvault.testing.store_contract import names

pytest_plugins = ["storage.s3.service"]

PART = 100
EVERYTHING = ("list", "write", "read", "remove")


def probed(store) -> Probe:
    account = AccountFacts("acc", "s3", store._access.url)
    return probe(store, account=account, container="bucket", now=datetime.datetime.now(datetime.UTC))


def bad(found: Probe) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.severity, one.code, one.steps) for one in found.findings if one.severity != "OK"]


def test_a_bucket_that_works_has_nothing_to_be_told_and_keeps_nothing(bucket):
    found = probed(bucket.store())
    assert bad(found) == []
    assert found.is_writable
    assert found.is_removable
    assert abs(found.clock_skew_s) < 120
    assert names(bucket.store()) == []


def answer(status: int, code: str) -> Fault:
    return Fault(status=status, body=f"<Error><Code>{code}</Code></Error>")


REFUSALS = {
    "InvalidAccessKeyId": (403, "signature"),
    "RequestTimeTooSkewed": (403, "signature"),
    "ExpiredToken": (400, "expired"),
    "AllAccessDisabled": (403, "denied"),
}


@pytest.mark.parametrize(("code", "status", "reason"), [(code, *meaning) for code, meaning in REFUSALS.items()])
def test_what_holds_for_every_call_is_asked_for_once_and_named(bucket, code, status, reason):
    with FaultProxy(bucket.port) as proxy:
        proxy.plan = lambda _: answer(status, code)
        assert bad(probed(bucket.store(proxy.port))) == [("FAILED", reason, EVERYTHING)]
        assert len(proxy.requests) == 1


def test_a_permission_that_lacks_is_named(bucket):
    with FaultProxy(bucket.port) as proxy:
        proxy.plan = lambda request: answer(403, "AccessDenied") if request.method == "PUT" else PASS
        found = probed(bucket.store(proxy.port))
    [finding] = [one for one in found.findings if one.severity != "OK"]
    assert (finding.code, finding.severity, finding.steps) == ("read_only", "WARNING", ("write",))
    assert "s3:PutObject" in finding.hint


def test_a_service_that_is_not_there_is_told(bucket):
    with FaultProxy(bucket.port) as proxy:
        port = proxy.port
    assert bad(probed(bucket.store(port))) == [("FAILED", "unreachable", EVERYTHING)]


def test_the_time_of_a_service_is_compared_with_ours():
    hour = datetime.timedelta(hours=1)
    ahead = clock_skew_s(format_datetime(datetime.datetime.now(datetime.UTC) - hour, usegmt=True), None)
    assert 3500 < ahead < 3700
    assert clock_skew_s("nonsense", 7.0) == 7.0
    assert clock_skew_s(None, None) is None


def test_the_clock_is_seen_also_when_everything_is_refused(bucket):
    bucket.client.delete_bucket(Bucket=bucket.name)
    found = probed(bucket.store())
    assert bad(found) == [("FAILED", "container_missing", EVERYTHING)]
    assert abs(found.clock_skew_s) < 120
    bucket.client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION})


def test_unfinished_uploads_are_listed_with_what_was_sent(bucket):
    store = bucket.store(part_byte_count=PART)
    for name, key in [("b.abf", "1"), ("a.abf", "2")]:
        with store.create(name, replace=False, upload_key=key) as upload:
            upload.write(bytes(3 * PART))
            upload._in_flight.results()
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="c.abf")
    found = probed(store)
    # The first part is sent last.
    assert [(one.name, one.byte_count, one.block_count, one.is_ours) for one in found.unfinished] == [
        ("a.abf", 2 * PART, 2, True),
        ("b.abf", 2 * PART, 2, True),
        ("c.abf", 0, 0, False),
    ]
    assert [one.is_ours for one in probed(bucket.store(notes_folder=None)).unfinished] == [None] * 3
    assert all(one.begun is not None and one.begun + ABANDONED_AFTER > found.time for one in found.unfinished)
    assert PROBE_NAME not in str(found.unfinished)
