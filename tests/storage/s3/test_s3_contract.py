"""The store in a bucket: the contract, and what belongs to S3 alone."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from storage.fault_proxy import PASS, Fault, FaultProxy
from storage.s3.bucket import REGION
from tabvault.errors import InvalidNameError, ObjectChangedError, StorageError, StoreUnavailableError
from tabvault.storage.s3.multipart import ABANDONED_AFTER
from tabvault.storage.s3.parts import PART_BYTE_COUNT, PART_COUNT_MAX, describe_part, digest_of_key, part_byte_count
from tabvault.storage.s3.upload_notes import UploadNotes
from tabvault.testing.store_contract import StoreContract, names, put, read

if TYPE_CHECKING:
    from tabvault.storage.s3.store import S3BucketStore

pytest_plugins = ["storage.s3.service"]

PART = 32 << 10


@pytest.fixture
def store(bucket) -> S3BucketStore:
    return bucket.store(part_byte_count=PART)


class TestS3BucketStore(StoreContract):
    keeps_replaced_objects = False
    replaces_what_it_saw = True

    @pytest.fixture(autouse=True)
    def _plain(self, bucket):
        self.bucket = bucket

    def put_directly(self, store: S3BucketStore, name: str, data: bytes) -> None:  # noqa: ARG002
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=name, Body=data)

    def read_directly(self, store: S3BucketStore, name: str) -> bytes | None:  # noqa: ARG002
        return self.bucket.read(name)


@pytest.mark.parametrize("when", ["before the parts", "after the parts"])
@pytest.mark.parametrize("part_count", [1, 3])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_replacement_is_refused_when_somebody_else_published_first(store, bucket, when, part_count, is_there):
    if is_there:
        put(store, "x.abf", b"old")
    with store.create("x.abf", replace=True) as upload:
        if when == "before the parts":
            put(store, "x.abf", b"theirs", replace=True)
        upload.write(bytes(part_count * PART))
        if when == "after the parts":
            put(store, "x.abf", b"theirs", replace=True)
        with pytest.raises(ObjectChangedError, match="PutObject" if part_count == 1 else "CompleteMultipartUpload"):
            upload.finish()
    assert read(store, "x.abf") == b"theirs"
    assert bucket.uploads() == []


def test_a_replacement_is_refused_when_somebody_else_removed_the_old_one(store):
    put(store, "x.abf", b"old")
    with store.create("x.abf", replace=True) as upload:
        store.remove("x.abf")
        with pytest.raises(ObjectChangedError):
            upload.finish()
    assert names(store) == []


def test_the_plain_client_sees_what_we_wrote(bucket, store):
    body = bytes(range(256)) * 300
    facts = {"database": "K\xe4se 100 %", "compatibility_level": "1550"}
    with store.create("sales/head.abf", replace=False, head_byte_count=10, facts=facts) as upload:
        upload.write(body)
        upload.finish(b"0123456789")
    answer = bucket.client.get_object(Bucket=bucket.name, Key="sales/head.abf")
    assert answer["Body"].read() == b"0123456789" + body
    assert answer["Metadata"]["database"] == "K%C3%A4se%20100%20%25"
    assert answer["Metadata"]["compatibility-level"] == "1550"
    assert answer["ETag"].endswith('-3"')
    assert bucket.uploads() == []


def test_facts_that_do_not_fit_are_left_out(bucket, store):
    facts = {"database": "shop", "note": "x" * 3000}
    with store.create("x.abf", replace=False, facts=facts) as upload:
        upload.finish()
    metadata = bucket.client.head_object(Bucket=bucket.name, Key="x.abf")["Metadata"]
    assert set(metadata) == {"database", "tabvault-upload"}


@pytest.mark.parametrize(("byte_count", "call"), [(PART - 8, "PUT"), (PART - 7, "POST uploadId")])
def test_only_what_does_not_fit_into_one_part_is_sent_in_parts(bucket, byte_count, call):
    with FaultProxy(bucket.port) as proxy:
        store = bucket.store(proxy.port, part_byte_count=PART)
        with store.create("x.abf", replace=False, head_byte_count=8) as upload:
            upload.write(bytes(byte_count))
            info = upload.finish(b"the head")
        assert len(proxy.calls(call)) == 1
        assert len(proxy.calls("PUT")) + len(proxy.calls("POST uploadId")) == 1
    assert info.byte_count == byte_count + 8


def test_a_head_longer_than_a_part_is_possible(store):
    with store.create("x.abf", replace=False, head_byte_count=2 * PART) as upload:
        upload.write(bytes(PART))
        upload.finish(b"h" * (2 * PART))
    assert read(store, "x.abf") == b"h" * (2 * PART) + bytes(PART)


def test_a_listing_is_whole_over_many_pages(bucket, store, monkeypatch):
    expected = [f"{number:02d}.abf" for number in range(15)]
    for name in reversed(expected):
        bucket.client.put_object(Bucket=bucket.name, Key=name, Body=b"1")
    # Pages of 1,000 are the service's; a page here holds 4.
    client = store._caller._client
    list_objects = client.list_objects_v2
    monkeypatch.setattr(client, "list_objects_v2", lambda **options: list_objects(MaxKeys=4, **options))
    assert names(store) == expected


def test_what_is_no_object_is_not_listed(bucket, store):
    for name in (".hidden", "a//b", "folder/", "CON", "x.abf"):
        bucket.client.put_object(Bucket=bucket.name, Key=name, Body=b"1")
    assert names(store) == ["x.abf"]


def test_an_upload_without_a_key_leaves_nothing_and_one_with_a_key_can_be_listed(bucket, store):
    for name, key in [("b.abf", "1"), ("a.abf", "1"), ("a.abf", "2"), ("c.abf", None)]:
        with store.create(name, replace=False, upload_key=key) as upload:
            upload.write(bytes(3 * PART))
    assert list(store.unfinished()) == ["a.abf", "b.abf"]
    assert list(store.unfinished("b")) == ["b.abf"]
    assert sorted(bucket.uploads()) == ["a.abf", "a.abf", "b.abf"]
    assert names(store) == []


def test_an_upload_that_lost_leaves_nothing_with_a_key_too(bucket, store):
    with store.create("x.abf", replace=False, upload_key="1") as upload:
        upload.write(bytes(3 * PART))
        put(store, "x.abf", b"theirs")
        with pytest.raises(StorageError, match="exists already"):
            upload.finish()
    assert bucket.uploads() == []


def test_every_part_that_was_sent_is_listed_when_the_upload_is_completed(bucket, store):
    """Ceph refuses the list otherwise; and so does the service of these tests."""
    seen = []

    def completed(params, **_):
        listed = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", params["body"])]
        seen.append((bucket.parts(), listed))

    store._caller._client.meta.events.register("before-call.s3.CompleteMultipartUpload", completed)
    for key in (None, "1"):
        with store.create(f"{key}.abf", replace=False, upload_key=key) as upload:
            upload.write(bytes(3 * PART + 1))
            upload.finish()
    with store.create("again.abf", replace=False, upload_key="1") as upload:
        upload.write(bytes(3 * PART))
    with store.create("again.abf", replace=False, upload_key="1") as upload:
        upload.write(bytes(5 * PART))
        upload.finish()
    assert [listed for _, listed in seen] == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert all(sent == [listed] for sent, listed in seen)


def begin(store, name, **options) -> None:
    with store.create(name, replace=False, upload_key="1", **options) as upload:
        upload.write(bytes(3 * PART))
        upload._in_flight.results()


def test_what_has_no_note_of_ours_is_never_ended(bucket, store, tmp_path):
    """Another program's, one of another server, and what is noted of another bucket."""
    for name in ("a.abf", "b.abf"):
        begun = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=name)
        place = {"Bucket": bucket.name, "Key": name, "UploadId": begun["UploadId"]}
        bucket.client.upload_part(**place, PartNumber=1, Body=b"1")
    elsewhere = UploadNotes(bucket.notes, service=bucket.access().url, bucket="elsewhere")
    elsewhere.add("b.abf", begun["UploadId"], key_digest=None, begun=datetime.now(UTC)).release()
    begin(bucket.store(part_byte_count=PART, notes_folder=tmp_path / "another server"), "c.abf")
    begin(store, "ours.abf")
    later = datetime.now(UTC) + 2 * ABANDONED_AFTER
    put(bucket.store(part_byte_count=PART, now=lambda: later), "next.abf", bytes(3 * PART))
    put(bucket.store(part_byte_count=PART, now=lambda: later, notes_folder=None), "last.abf", bytes(3 * PART))
    assert sorted(bucket.uploads()) == ["a.abf", "b.abf", "c.abf"]
    assert [path.read_bytes().count(b"elsewhere") for path in bucket.noted()] == [1]


def test_what_was_left_for_a_week_is_ended_by_the_next_writer(bucket, store):
    begin(store, "left.abf")
    now = datetime.now(UTC)
    for days, left in [(timedelta(days=-1), ["left.abf"]), (timedelta(hours=1), [])]:
        clock = now + ABANDONED_AFTER + days
        later = bucket.store(part_byte_count=PART, now=lambda clock=clock: clock)
        put(later, f"{days}.abf".replace(":", "-"), bytes(3 * PART))
        assert bucket.uploads() == left
        assert len(bucket.noted()) == len(left)


def test_what_is_at_work_or_had_a_part_this_week_is_not_ended(bucket, store):
    now = datetime.now(UTC)
    early = bucket.store(part_byte_count=PART, now=lambda: now - 2 * ABANDONED_AFTER)
    begin(early, "resumed.abf")
    put(store, "next.abf", bytes(3 * PART))
    assert bucket.uploads() == ["resumed.abf"]
    late = bucket.store(part_byte_count=PART, now=lambda: now + 2 * ABANDONED_AFTER)
    with store.create("work.abf", replace=False) as upload:
        upload.write(bytes(3 * PART))
        put(late, "last.abf", bytes(3 * PART))
        assert bucket.uploads() == ["work.abf"]
        upload.finish()
    assert bucket.noted() == []


def test_a_service_that_does_not_end_an_upload_is_asked_another_time(bucket, store):
    begin(store, "left.abf")
    clock = datetime.now(UTC) + 2 * ABANDONED_AFTER
    with FaultProxy(bucket.port) as proxy:
        begin(bucket.store(proxy.port, part_byte_count=PART), "other.abf")
        for call, left in [("DELETE uploadId", 1), ("GET uploadId", 1), (None, 0)]:
            proxy.plan = lambda request, call=call: Fault(status=403) if request.call == call else PASS
            later = bucket.store(proxy.port, part_byte_count=PART, now=lambda: clock)
            put(later, f"{call}.abf", bytes(3 * PART))
            assert bucket.uploads() == ["left.abf"] + ["other.abf"] * left
            assert len(bucket.noted()) == 1 + left


def test_an_upload_that_could_not_be_ended_stays_noted_until_it_is(bucket):
    with FaultProxy(bucket.port) as proxy:
        proxy.plan = lambda request: Fault(status=403) if request.call == "DELETE uploadId" else PASS
        with bucket.store(proxy.port, part_byte_count=PART).create("x.abf", replace=False) as upload:
            upload.write(bytes(3 * PART))
        assert len(bucket.uploads()) == len(bucket.noted()) == 1
        proxy.plan = lambda _: PASS
        clock = datetime.now(UTC) + 2 * ABANDONED_AFTER
        put(bucket.store(proxy.port, part_byte_count=PART, now=lambda: clock), "next.abf", bytes(3 * PART))
    assert bucket.uploads() == bucket.noted() == []


def test_a_missing_bucket_is_unavailable_and_not_asked_twice(bucket):
    bucket.client.delete_bucket(Bucket=bucket.name)
    store = bucket.store()
    for call in (
        lambda: list(store.list()),
        lambda: store.info("x.abf"),
        lambda: store.open("x.abf"),
        lambda: store.remove("x.abf"),
        lambda: put(store, "x.abf", b"1"),
        store.unfinished,
    ):
        with pytest.raises(StoreUnavailableError, match="the bucket is not there") as caught:
            call()
        assert "attempts" not in str(caught.value)
    bucket.client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION})
    put(store, "x.abf", b"1")


def test_a_name_longer_than_s3_takes_is_refused(store):
    name = "/".join(["\xfc" * 127] * 5)
    for verb in (store.info, store.open, store.remove, lambda name: store.create(name, replace=True)):
        with pytest.raises(InvalidNameError, match="1274 bytes"):
            verb(name)


def test_names_of_facts_are_identifiers(store):
    with pytest.raises(ValueError, match="metadata"):
        store.create("x.abf", replace=False, facts={"a-b": "1"})


def test_ten_thousand_parts_are_enough_for_484_gib():
    sizes = [part_byte_count(number, PART_BYTE_COUNT) for number in range(1, PART_COUNT_MAX + 1)]
    assert sizes[0] == 8 << 20
    assert max(sizes) == 128 << 20
    assert sizes == sorted(sizes)
    assert 484 << 30 < sum(sizes) < 485 << 30
    with pytest.raises(StorageError, match="10000 parts"):
        part_byte_count(PART_COUNT_MAX + 1, PART_BYTE_COUNT)


def test_a_part_is_known_by_the_tag_that_the_service_gives_it(bucket):
    # MD5 of "abc": RFC 1321, appendix A.5.
    assert describe_part(b"abc", 3).etag == "900150983cd24fb0d6963f7d28e17f72"
    upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key="x")["UploadId"]
    answer = bucket.client.upload_part(Bucket=bucket.name, Key="x", UploadId=upload, PartNumber=3, Body=b"abc")
    assert answer["ETag"] == '"900150983cd24fb0d6963f7d28e17f72"'


def test_the_digest_of_a_key_says_key_and_facts():
    digests = {digest_of_key("1", {}), digest_of_key("2", {}), digest_of_key("1", {"a": "1"})}
    assert len(digests | {digest_of_key("1", {"a": "2"})}) == 4
    assert digest_of_key("1", {"a": "1", "b": "2"}) == digest_of_key("1", {"b": "2", "a": "1"})
    # What an earlier version published or left is known by the same.
    assert digest_of_key("1", {"a": "2"}) == hashlib.sha256(b'["1", [["a", "2"]]]').hexdigest()
