"""Network and service go wrong between client and service: an object is whole or absent, and errors name the call."""

from __future__ import annotations

import random

import pytest

from storage.fault_proxy import FAULTS, IMPATIENT, PASS, QUICK_FAULTS, Fault, FaultProxy, LastingFault, first_times
from tabvault.errors import ObjectExistsError, ObjectNotFoundError, StorageError, StoreUnavailableError
from tabvault.storage.remote.patience import Patience
from tabvault.testing.store_contract import names, put

pytest_plugins = ["storage.s3.service"]

PART = 16 << 10
HEAD = b"the head"
BODY = random.Random(7).randbytes(3 * PART + 100)
LASTING = {"cut": Fault(cuts_request=True), "429": Fault(status=429)}
CALLS = {
    "HEAD": "HeadObject",
    "POST uploads": "CreateMultipartUpload",
    "PUT partNumber": "UploadPart",
    "POST uploadId": "CompleteMultipartUpload",
}


@pytest.fixture
def proxy(bucket):
    with FaultProxy(bucket.port) as running:
        yield running


@pytest.fixture
def store(bucket, proxy):
    return bucket.store(proxy.port, part_byte_count=PART, patience=IMPATIENT)


def upload(store, name="x.abf", *, replace=False):
    with store.create(name, replace=replace, head_byte_count=len(HEAD)) as begun:
        begun.write(BODY)
        return begun.finish(HEAD)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", QUICK_FAULTS.values(), ids=QUICK_FAULTS)
def test_a_fault_that_passes_costs_no_object(store, proxy, bucket, call, fault):
    proxy.plan = first_times(1, fault, call)
    info = upload(store)
    assert bucket.store().info("x.abf") == info
    assert bucket.read("x.abf") == HEAD + BODY
    assert len(proxy.calls("PUT partNumber")) == 4 + (call == "PUT partNumber")


@pytest.mark.parametrize("fault", ["silent", "429 with a wish"])
def test_a_service_that_is_slow_is_waited_for(store, proxy, bucket, fault):
    proxy.plan = first_times(1, FAULTS[fault], "PUT partNumber")
    upload(store)
    assert bucket.read("x.abf") == HEAD + BODY


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_that_lasts_leaves_no_object_and_names_the_call(store, proxy, bucket, call, fault):
    proxy.plan = first_times(-1, fault, call)
    with pytest.raises(StoreUnavailableError, match=rf"^{CALLS[call]} of x\.abf: .*, after 4 attempts$"):
        upload(store)
    assert names(bucket.store()) == []
    # Four parts may be on their way at once, each with its own attempts.
    assert len(proxy.calls(call)) <= 4 * IMPATIENT.attempt_count_max
    assert bucket.uploads() == []


def test_when_any_request_goes_wrong_for_good_the_object_is_old_or_new(proxy, bucket):
    put(bucket.store(), "x.abf", b"old")
    for faulty in range(1, 40):
        fault = Fault(cuts_request=True) if faulty % 2 else Fault(cuts_answer=True)
        proxy.plan = plan = LastingFault(fault, begins_at=faulty)
        broken = bucket.store(proxy.port, part_byte_count=PART, patience=Patience(2, 5.0, 0.001, 0.001, 2.0))
        try:
            upload(broken, replace=True)
        except StorageError:
            assert bucket.read("x.abf") in {b"old", HEAD + BODY}
            continue
        if plan.has_begun:
            # Only the question how it came out went wrong.
            continue
        assert bucket.read("x.abf") == HEAD + BODY
        assert faulty > 7
        return
    pytest.fail("the upload never got through")


@pytest.mark.parametrize(("call", "body"), [("PUT partNumber", BODY), ("PUT", BODY[:100])])
def test_what_arrives_damaged_is_refused_by_the_service_and_sent_again(store, proxy, bucket, call, body):
    proxy.plan = first_times(1, Fault(damages_body=True), call)
    put(store, "x.abf", body)
    assert sorted({request.status for request in proxy.calls(call)}) == [200, 400]
    assert bucket.read("x.abf") == body


def test_what_always_arrives_damaged_makes_no_object(store, proxy, bucket):
    proxy.plan = first_times(-1, Fault(damages_body=True), "PUT partNumber")
    with pytest.raises(StorageError, match=r"^UploadPart of x\.abf: .*400 BadDigest"):
        upload(store)
    assert names(bucket.store()) == []


@pytest.mark.parametrize(("call", "body"), [("POST uploadId", BODY), ("PUT", BODY[:100])])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("key", [None, "1"])
def test_when_every_answer_to_the_publication_is_lost_it_is_looked_for(store, proxy, bucket, call, body, replace, key):
    if replace:
        put(bucket.store(), "x.abf", b"old")
    proxy.plan = lambda request: Fault(cuts_answer=True) if request.call == call else PASS
    with store.create("x.abf", replace=replace, upload_key=key) as begun:
        begun.write(body)
        info = begun.finish()
    assert bucket.store().info("x.abf") == info
    assert bucket.read("x.abf") == body
    assert len(proxy.calls(call)) > 1


def test_a_success_that_turns_out_to_be_a_failure_is_asked_for_again(store, proxy, bucket):
    # CompleteMultipartUpload answers before it has done its work, and may put an error into the body.
    late = Fault(status=200, body="<Error><Code>InternalError</Code></Error>")
    proxy.plan = first_times(1, late, "POST uploadId")
    upload(store)
    assert len(proxy.calls("POST uploadId")) == 2
    assert bucket.read("x.abf") == HEAD + BODY


@pytest.mark.parametrize(("call", "body"), [("POST uploadId", BODY), ("PUT", BODY[:100])])
def test_a_lost_answer_is_not_taken_for_ones_own_when_another_was_first(store, proxy, bucket, call, body):
    def plan(request):
        if request.call == call and len(proxy.calls(call)) == 1:
            put(bucket.store(), "x.abf", b"theirs")
            return Fault(cuts_request=True)
        return PASS

    proxy.plan = plan
    with pytest.raises(ObjectExistsError):
        put(store, "x.abf", body)
    assert bucket.read("x.abf") == b"theirs"


def test_what_was_published_is_not_unpublished_by_a_question_that_fails(store, proxy, bucket):
    def plan(request):
        is_last = request.call == "HEAD" and proxy.calls("POST uploadId")
        return Fault(status=503) if is_last else PASS

    proxy.plan = plan
    info = upload(store)
    proxy.plan = lambda _: PASS
    assert info.etag == store.info("x.abf").etag
    assert info.byte_count == len(HEAD + BODY)


def test_no_more_than_four_parts_are_on_their_way(store, proxy):
    proxy.plan = lambda request: Fault(delay_s=0.05) if request.call == "PUT partNumber" else PASS
    with store.create("x.abf", replace=False) as begun:
        begun.write(bytes(8 * PART))
        begun.finish()
    assert proxy.open_count_max == 4


def test_removing_with_a_lost_answer_is_removing(store, proxy, bucket):
    put(bucket.store(), "x.abf", b"1")
    proxy.plan = first_times(1, Fault(cuts_answer=True), "DELETE")
    store.remove("x.abf")
    assert len(proxy.calls("DELETE")) == 2
    with pytest.raises(ObjectNotFoundError):
        store.remove("x.abf")


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(body_byte_count=50), Fault(body_byte_count=50, is_consistent=True), Fault(status=200)],
    ids=["503", "truncated", "short", "empty"],
)
def test_a_listing_is_whole_or_an_error(store, proxy, bucket, fault):
    for number in range(3):
        put(bucket.store(), f"{number}.abf", b"1")
    proxy.plan = first_times(1, fault, "GET list-type")
    assert names(store) == ["0.abf", "1.abf", "2.abf"]
    proxy.plan = first_times(-1, fault, "GET list-type")
    with pytest.raises(StoreUnavailableError, match=r"^ListObjectsV2 of bucket"):
        list(store.list())


def test_a_server_that_is_gone_is_named(bucket, proxy):
    with FaultProxy(bucket.port) as gone:
        port = gone.port
    store = bucket.store(port, patience=IMPATIENT)
    with pytest.raises(StoreUnavailableError, match=rf"127\.0\.0\.1:{port} cannot be reached, after 4 attempts"):
        store.info("x.abf")
