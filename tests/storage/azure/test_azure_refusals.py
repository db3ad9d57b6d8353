"""Why the service says no, in the user's words, and never with a secret in them."""

from __future__ import annotations

import datetime
import logging
import re
import traceback
from urllib.parse import parse_qs, unquote

import pytest
from azure.core.exceptions import AzureError
from azure.identity import ClientSecretCredential, CredentialUnavailableError

from storage.fault_proxy import PASS, Fault, FaultProxy
from tabvault.errors import (
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.azure.access import (
    access_by_key,
    access_by_sas_url,
    account_by_connection_string,
    account_by_identity,
)
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.remote.patience import Patience
from tabvault.testing.store_contract import names, put, read

pytest_plugins = ["storage.azure.azurite"]

KEY = "c2VjcmV0IGtleSBvZiBhbiBhY2NvdW50"
SAS = "sv=2024-11-04&sr=c&sp=rl&se=2030-01-01T00:00:00Z&sig=SECRETsecret%2BSECRET%3D"


def calls(store):
    """Every verb, as thunks."""
    return [
        lambda: list(store.list()),
        lambda: store.info("x.abf"),
        lambda: store.open("x.abf"),
        lambda: read(store, "x.abf"),
        lambda: store.remove("x.abf"),
        lambda: put(store, "x.abf", b"1", replace=True),
        lambda: put(store, "new.abf", b"1"),
        lambda: store.create("y.abf", replace=True, upload_key="k"),
    ]


# --- what an administrator gives


def test_a_container_sas_url_is_taken_apart():
    access = access_by_sas_url(f"https://acc.blob.core.windows.net/backups?{SAS}\n")
    assert (access.account_url, access.container) == ("https://acc.blob.core.windows.net", "backups")
    assert access.sas.permissions == "rl"
    assert access.sas.expires == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    assert not access.is_by_identity


def test_a_connection_string_is_taken_apart():
    access = account_by_connection_string(
        f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY}==;EndpointSuffix=core.windows.net"
    )
    assert access.account_url == "https://acc.blob.core.windows.net"
    assert access.credential == {"account_name": "acc", "account_key": f"{KEY}=="}
    access = account_by_connection_string(
        f"BlobEndpoint=https://acc.blob.core.chinacloudapi.cn/;SharedAccessSignature={SAS}"
    )
    assert access.account_url == "https://acc.blob.core.chinacloudapi.cn"
    assert access.sas.permissions == "rl"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "backups",
        f"http://acc.blob.core.windows.net/backups?{SAS}",
        f"https://user:SECRET@acc.blob.core.windows.net/backups?{SAS}",
        "https://acc.blob.core.windows.net/backups",
        "https://acc.blob.core.windows.net/backups?sp=rl&SECRET",
        f"https://acc.blob.core.windows.net/?{SAS}",
        f"https://acc.blob.core.windows.net/Back_ups?{SAS}",
        f"https://acc:port/backups?{SAS}",
        f"https://[::1/backups?{SAS}",
        f"ftp://acc/backups?{SAS}",
    ],
)
def test_what_is_no_container_sas_url_is_refused_and_not_repeated(url):
    with pytest.raises((StorageError, InvalidNameError)) as caught:
        access_by_sas_url(url)
    assert "SECRET" not in shown(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SECRET",
        f"AccountKey={KEY}",
        "AccountName=acc",
        f"AccountName=a/b;AccountKey={KEY}",
        "AccountName=acc;AccountKey=?SECRET",
    ],
)
def test_what_is_no_connection_string_is_refused_and_not_repeated(text):
    with pytest.raises(StorageError) as caught:
        account_by_connection_string(text)
    assert KEY not in shown(caught.value)
    assert "SECRET" not in shown(caught.value)


def test_no_representation_shows_a_secret():
    for access in (
        access_by_sas_url(f"https://acc.blob.core.windows.net/backups?{SAS}"),
        access_by_key("https://acc.blob.core.windows.net", "backups", account="acc", key=KEY),
    ):
        with AzureBlobStore(access) as store:
            for text in (repr(access), str(access), access.place, repr(store), str(store)):
                assert "SECRET" not in text
                assert KEY not in text


def test_an_identity_is_passed_through_and_only_over_tls():
    credential = ClientSecretCredential("00000000-0000-0000-0000-000000000000", "app", "SECRET")
    access = account_by_identity("https://acc.blob.core.windows.net/", credential).to_container("backups")
    assert access.credential is credential
    assert access.is_by_identity
    AzureBlobStore(access).close()
    with pytest.raises(StorageError, match="https"):
        account_by_identity("http://127.0.0.1:10000/acc", credential)


def test_an_identity_without_token_is_named():
    class NoIdentity:
        def get_token(self, *scopes, **options):  # noqa: ARG002 - the interface of azure-core
            raise CredentialUnavailableError("SECRET")

    with AzureBlobStore(account_by_identity("https://127.0.0.1:1", NoIdentity()).to_container("backups")) as store:
        with pytest.raises(StorageError, match="NoIdentity gives no token") as caught:
            store.info("x.abf")
        assert "SECRET" not in shown(caught.value)


# --- what the service refuses


def test_a_sas_that_lacks_letters_is_named_with_them(container):
    put(container.store(), "x.abf", b"1")
    reading = container.store_by_sas(container.sas("rl"))
    assert names(reading) == ["x.abf"]
    assert read(reading, "x.abf") == b"1"
    with pytest.raises(StorageError, match=r"Put Block of y\.abf: the SAS lacks the permission w \(write\), it has rl"):
        put(reading, "y.abf", b"1")
    with pytest.raises(StorageError, match=r"Delete Blob of x\.abf: the SAS lacks the permission d \(delete\)"):
        reading.remove("x.abf")
    writing = container.store_by_sas(container.sas("w"))
    with pytest.raises(StorageError, match=r"List Blobs of container .* lacks the permission l \(list\)"):
        list(writing.list())
    with pytest.raises(StorageError, match=r"lacks the permission r \(read\)"):
        writing.open("x.abf")


def test_a_sas_that_may_only_write_still_writes_and_does_not_overwrite(container):
    writing = container.store_by_sas(container.sas("w"))
    put(writing, "x.abf", b"old")
    with pytest.raises(ObjectExistsError):
        put(writing, "x.abf", b"new")
    assert read(container.store(), "x.abf") == b"old"
    put(writing, "x.abf", b"new", replace=True)
    with writing.create("x.abf", replace=True, upload_key="k") as upload:
        upload.write(b"newer")
        upload.finish()
    assert read(container.store(), "x.abf") == b"newer"


def test_an_expired_and_a_future_sas_are_named(container):
    expired = container.store_by_sas(container.sas("rl", valid=datetime.timedelta(hours=-1)))
    with pytest.raises(StorageError, match="the SAS expired at"):
        list(expired.list())
    begins = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    future = container.store_by_sas(container.sas("rl", valid=datetime.timedelta(hours=2), start=begins))
    with pytest.raises(StorageError, match="the SAS begins at"):
        list(future.list())


def test_a_wrong_signature_and_a_wrong_key_are_named(container):
    sas = container.sas("rl")
    forged = container.store_by_sas(re.sub("sig=.", "sig=_", sas))
    other = AzureBlobStore(
        access_by_key(container.account_url(), container.name, account="testaccount", key=KEY), patience=Patience(2)
    )
    for store in (forged, other):
        with pytest.raises(StorageError, match="does not recognise the signature"):
            store.info("x.abf")
    other.close()


def test_a_sas_for_https_only_is_named(container):
    store = container.store_by_sas(container.sas("rl", protocol="https"))
    with pytest.raises(StorageError, match="the SAS is for https only"):
        list(store.list())


CODES = [
    (403, "AuthorizationFailure", StorageAccessError, "network rules .* Selected networks"),
    (403, "KeyBasedAuthenticationNotPermitted", StorageAccessError, "switched off .* identity"),
    (403, "AuthenticationFailed", StorageAccessError, "signature .* clock"),
    (403, "AuthorizationSourceIPMismatch", StorageAccessError, "not for this server's address"),
    (403, "SomethingNew", StorageAccessError, "403 SomethingNew"),
    (403, "AccountIsDisabled", StoreUnavailableError, "disabled"),
    (409, "ContainerBeingDeleted", StoreUnavailableError, "being deleted"),
    (409, "BlobArchived", StorageError, "archive tier, .* rehydrate"),
    (409, "BlobImmutableDueToPolicy", StorageError, "immutability"),
    (412, "LeaseIdMissing", StorageError, "lease"),
    (404, "", ObjectNotFoundError, ""),
    (400, "sig=SECRET", StorageError, r"\(400\)"),
    (302, "", StorageError, ""),
]


@pytest.mark.parametrize(("status", "code", "error", "words"), CODES, ids=[code or str(s) for s, code, _, _ in CODES])
def test_a_code_of_the_service_says_what_to_do(container, status, code, error, words):
    put(container.store(), "x.abf", b"1")
    with FaultProxy(container.port) as proxy:
        store = container.store(proxy.port)
        with store.open("x.abf") as stored:
            proxy.plan = lambda _: Fault(status=status, code=code)
            with pytest.raises(StorageError) as caught:
                stored.read_at(0, 1)
            assert type(caught.value) is error
            assert re.search(words, f"{caught.value} {caught.value.hint}")
            assert "SECRET" not in shown(caught.value)
            # None of these passes by itself: it is asked once.
            assert len(proxy.calls("GET")) == 1
            proxy.plan = lambda _: PASS
            assert stored.read_at(0, 1) == b"1"


# --- secrets


def test_no_error_log_or_representation_holds_the_signature_or_the_key(container, caplog):
    caplog.set_level(logging.DEBUG)
    sas = container.sas("rl")
    signature = parse_qs(sas)["sig"][0]
    secrets = {signature, unquote(signature), re.search("sig=([^&]+)", sas)[1], container.key}
    texts = []
    with FaultProxy(container.port) as proxy:
        url = f"{container.account_url(proxy.port)}/{container.name}"
        accesses = [
            access_by_sas_url(f"{url}?{sas}"),
            access_by_sas_url(f"{url}?{sas}".replace("sp=rl", "sp=rwdl")),
            container.access(proxy.port),
        ]
        faults = [
            PASS,
            Fault(cuts_request=True),
            Fault(cuts_answer=True),
            Fault(status=403),
            Fault(status=503),
            Fault(body_byte_count=3),
        ]
        for access in accesses:
            with AzureBlobStore(access, patience=Patience(2, 5.0, 0.001, 0.001, 1.0)) as store:
                texts += [repr(store), repr(access)]
                for fault in faults:
                    proxy.plan = lambda _, fault=fault: fault
                    for call in calls(store):
                        try:
                            call()
                        except StorageError as error:
                            texts.append(shown(error))
    gone = access_by_sas_url(f"{url}?{sas}")
    with AzureBlobStore(gone, patience=Patience(2, 5.0, 0.001, 0.001, 1.0)) as store:
        for call in calls(store):
            with pytest.raises(StoreUnavailableError) as caught:
                call()
            texts.append(shown(caught.value))
    assert len(texts) > 100
    log = caplog.text + "".join(str(record.args) for record in caplog.records)
    assert "sig=REDACTED" in log
    for secret in secrets:
        assert all(secret not in text for text in texts)
        assert secret not in log


def shown(error: BaseException) -> str:
    """All that anybody could print of an error: its texts, its attributes, and the same of everything chained to it."""
    text = ""
    waiting = [error]
    seen = set()
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        # Their attributes lead to the request, and that to the signature.
        assert not isinstance(link, AzureError)
        text += f"{link} {link!r} {link.args} {vars(link)} {''.join(traceback.format_exception(link))}"
        waiting += [link.__cause__, link.__context__]
    return text
