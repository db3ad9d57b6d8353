"""What the service answers is told in the user's terms, by the right error, and without the secret."""

from __future__ import annotations

import logging

import pytest

from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from storage.s3.bucket import ACCESS_KEY_ID, SECRET
from tabvault.errors import (
    DiskFullError,
    InvalidNameError,
    ObjectChangedError,
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.remote.patience import Patience
from tabvault.testing.store_contract import names, put, read

pytest_plugins = ["storage.s3.service"]

CODES = [
    (403, "AccessDenied", StorageAccessError, "the service denies it", "s3:PutObject"),
    (403, "InvalidAccessKeyId", StorageAccessError, "does not know the access key id", "check the key"),
    (403, "SignatureDoesNotMatch", StorageAccessError, "does not recognise the signature", "secret access key"),
    (403, "RequestTimeTooSkewed", StorageAccessError, "this machine's clock is wrong", "set the clock"),
    (400, "ExpiredToken", StorageAccessError, "the key has expired", "make a new one"),
    (400, "AuthorizationHeaderMalformed", StorageAccessError, "in another region", "set the region"),
    (404, "NoSuchBucket", StoreUnavailableError, "the bucket is not there", "create it"),
    (409, "ConditionalRequestConflict", ObjectChangedError, "somebody replaced it meanwhile", "begin again"),
    (400, "KeyTooLongError", InvalidNameError, "does not take so long a name", None),
    (507, "XMinioStorageFull", DiskFullError, "there is no room", "quota"),
    (403, "QuotaExceeded", DiskFullError, "there is no room", "quota"),
    (501, "NotImplemented", StorageError, "the service cannot do that", "conditional writes"),
    (400, "Nonsense", StorageError, "the service refused", None),
    (302, "", StorageError, "the service is elsewhere", "region"),
    (503, "SlowDown", StoreUnavailableError, "could not do it", "try again"),
    (400, "RequestTimeout", StoreUnavailableError, "could not do it", "try again"),
    (503, "no/code", StoreUnavailableError, r"could not do it \(503\)", "try again"),
]
IDS = [f"{code[0]} {code[1]}" for code in CODES]


@pytest.fixture
def proxy(bucket):
    with FaultProxy(bucket.port) as running:
        yield running


@pytest.fixture
def store(bucket, proxy):
    return bucket.store(proxy.port, patience=IMPATIENT)


def answer(status: int, code: str) -> Fault:
    return Fault(status=status, body=f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>")


@pytest.mark.parametrize(("status", "code", "error", "text", "hint"), CODES, ids=IDS)
def test_a_code_is_told_in_the_users_terms(store, proxy, status, code, error, text, hint):
    proxy.plan = lambda request: answer(status, code) if request.call == "PUT" else PASS
    with pytest.raises(StorageError, match=rf"^PutObject of x\.abf: .*{text}") as caught:
        put(store, "x.abf", b"1")
    assert type(caught.value) is error
    assert str(status) in str(caught.value)
    assert hint is None or hint in caught.value.hint
    assert caught.value.__cause__ is None
    assert SECRET not in str(caught.value)
    # The client library asks once more by itself where a redirection does not say where to.
    is_asked_again = error is StoreUnavailableError and status != 404
    assert len(proxy.calls("PUT")) == (4 if is_asked_again else 1 + (status == 302))


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(
    "body",
    ["", "<", "\0", "<html/>", "<Error><Code><a>x</a></Code></Error>", "<Error><Code>A</Code><Code>B</Code></Error>"],
)
def test_whatever_is_answered_the_error_is_one_of_ours(bucket, proxy, status, body):
    proxy.plan = lambda _: Fault(status=status, body=body)
    store = bucket.store(proxy.port, patience=Patience(1))
    for verb in (lambda: list(store.list()), lambda: store.info("x.abf"), store.unfinished):
        with pytest.raises(StorageError):
            verb()
    proxy.plan = lambda request: Fault(status=status, body=body) if request.method in {"PUT", "POST", "GET"} else PASS
    for byte_count in (1, 199):
        with bucket.store(proxy.port, patience=Patience(1), part_byte_count=100).create("x", replace=True) as upload:
            upload.write(bytes(byte_count))
            with pytest.raises(StorageError):
                upload.finish()
    assert bucket.read("x") is None


def test_who_may_write_but_not_look_writes(store, proxy, bucket):
    def plan(request):
        is_look = request.call in {"HEAD", "GET", "GET uploads", "GET list-type"}
        return answer(403, "AccessDenied") if is_look else PASS

    proxy.plan = plan
    with store.create("x.abf", replace=False, upload_key="1") as upload:
        upload.write(b"1")
        assert upload.finish().byte_count == 1
    put(store, "x.abf", b"2", replace=True)
    with pytest.raises(StorageError, match="exists already"):
        put(store, "x.abf", b"3")
    for verb in (store.info, store.open, store.remove):
        with pytest.raises(StorageAccessError, match=r"GetObject of x\.abf: the service denies it \(403 A"):
            verb("x.abf")
    assert bucket.read("x.abf") == b"2"


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId"])
def test_a_look_that_is_refused_says_why(store, proxy, code):
    # The answer to a HEAD has no room for the reason.
    proxy.plan = lambda _: answer(403, code)
    with pytest.raises(StorageAccessError, match=f"403 {code}"):
        store.info("x.abf")


def test_a_bucket_that_may_not_be_looked_at_counts_as_there(store, proxy):
    proxy.plan = lambda request: Fault(status=403) if request.target.count("/") == 1 else PASS
    put(store, "x.abf", b"1")
    assert read(store, "x.abf") == b"1"
    with pytest.raises(StorageAccessError, match="the service denies it"):
        names(store)


def test_neither_errors_nor_logs_nor_representations_hold_the_secret(bucket, proxy, caplog):
    caplog.set_level(logging.DEBUG)
    store = bucket.store(proxy.port, patience=IMPATIENT)
    put(store, "x.abf", b"1")
    signatures = [request.head.partition("Signature=")[2].split("\r\n")[0] for request in proxy.requests]
    assert all(len(signature) == 64 for signature in signatures)
    shown = [
        repr(store),
        repr(bucket.access()),
        store.remote_place,
        *(record.getMessage() for record in caplog.records),
    ]
    assert len(shown) > 10
    for text in shown:
        assert SECRET not in text
        assert not any(signature in text for signature in signatures)
    assert ACCESS_KEY_ID in repr(bucket.access())
