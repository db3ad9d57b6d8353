"""A bucket with object lock: what it keeps is not removed, and said so."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from storage.s3.bucket import REGION, Bucket
from tabvault.errors import StorageError
from tabvault.testing.store_contract import names, put, read

pytest_plugins = ["storage.s3.service"]


@pytest.fixture
def locked(s3_port, s3, tmp_path):
    """Makes buckets with a default retention of 3 days in that mode, or with none."""
    made: list[Bucket] = []

    def make(mode: str | None) -> Bucket:
        bucket = Bucket(s3_port, f"test-{secrets.token_hex(8)}", s3, tmp_path / "notes")
        made.append(bucket)
        s3.create_bucket(
            Bucket=bucket.name,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=True,
        )
        if mode is not None:
            rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Days": 3}}}
            s3.put_object_lock_configuration(Bucket=bucket.name, ObjectLockConfiguration=rule)
        return bucket

    yield make
    for bucket in made:
        for store in bucket.stores:
            store.close()


def versions(bucket: Bucket) -> list[bool]:
    """Whether each version of x.abf is the newest, the newest first."""
    answer = bucket.client.list_object_versions(Bucket=bucket.name, Prefix="x.abf")
    return [version["IsLatest"] for version in answer["Versions"]]


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_what_is_retained_is_not_removed_and_the_error_says_until_when(locked, mode):
    bucket = locked(mode)
    store = bucket.store()
    put(store, "x.abf", b"1")
    day = datetime.now(UTC) + timedelta(days=3)
    with pytest.raises(StorageError, match=rf"object lock keeps x\.abf until {day:%Y-%m}-\d\d .* UTC \({mode}\)"):
        store.remove("x.abf")
    assert read(store, "x.abf") == b"1"
    # The service itself would only hide it, and keep the version.
    version = bucket.client.head_object(Bucket=bucket.name, Key="x.abf")["VersionId"]
    with pytest.raises(bucket.client.exceptions.ClientError, match="AccessDenied"):
        bucket.client.delete_object(Bucket=bucket.name, Key="x.abf", VersionId=version)


def test_after_that_time_it_is_removed(locked):
    bucket = locked("COMPLIANCE")
    put(bucket.store(), "x.abf", b"1")
    later = bucket.store(now=lambda: datetime.now(UTC) + timedelta(days=3, minutes=1))
    later.remove("x.abf")
    assert names(later) == []


def test_replacing_keeps_the_old_version(locked):
    bucket = locked("COMPLIANCE")
    store = bucket.store()
    put(store, "x.abf", b"old")
    put(store, "x.abf", b"new", replace=True)
    assert read(store, "x.abf") == b"new"
    assert versions(bucket) == [True, False]


def test_a_legal_hold_is_named(locked):
    bucket = locked(None)
    store = bucket.store()
    put(store, "x.abf", b"1")
    bucket.client.put_object_legal_hold(Bucket=bucket.name, Key="x.abf", LegalHold={"Status": "ON"})
    with pytest.raises(StorageError, match=r"a legal hold keeps x\.abf"):
        store.remove("x.abf")
    bucket.client.put_object_legal_hold(Bucket=bucket.name, Key="x.abf", LegalHold={"Status": "OFF"})
    store.remove("x.abf")
    assert names(store) == []
