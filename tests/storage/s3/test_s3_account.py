"""A service that speaks S3 as a storage account: its buckets, and how it is reached."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from storage.fault_proxy import IMPATIENT, Fault, FaultProxy
from storage.s3.bucket import ACCESS_KEY_ID, REGION, SECRET
from tabvault.errors import InvalidNameError, ObjectExistsError, StorageAccessError, StorageError, StoreUnavailableError
from tabvault.storage.account_credentials import AccessKey
from tabvault.storage.accounts import open_account
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.s3.account import S3Account
from tabvault.storage.s3.parts import PART_BYTE_COUNT
from tabvault.storage.server_state.storage_accounts import add_account
from tabvault.testing.store_contract import names, put

pytest_plugins = ["storage.s3.service"]


def account_at(port: int, *, region: str = REGION) -> S3Account:
    url = f"http://127.0.0.1:{port}/"
    return S3Account(url, region=region, access_key_id=ACCESS_KEY_ID, secret=SECRET, patience=IMPATIENT)


@pytest.fixture
def account(s3_port):
    opened = account_at(s3_port)
    yield opened
    opened.close()


def test_buckets_are_made_listed_and_opened(account, s3):
    stem = f"t{secrets.token_hex(6)}"
    made = [account.create_container(f"{stem}-{name}") for name in ("b", "a")]
    assert abs(made[0].last_modified - datetime.now(UTC)) < timedelta(minutes=5)
    # No container of ours has a dot.
    s3.create_bucket(Bucket=f"{stem}.c", CreateBucketConfiguration={"LocationConstraint": REGION})
    listed = list(account.containers(f"{stem}"))
    assert [info.name for info in listed] == [f"{stem}-a", f"{stem}-b"]
    assert all(info.last_modified.tzinfo is UTC for info in listed)
    assert [info.name for info in account.containers(f"{stem}-b")] == [f"{stem}-b"]
    store = account.container(f"{stem}-a")
    put(store, "x.abf", b"1")
    assert names(store) == ["x.abf"]
    assert store.remote_place.startswith(f"bucket {stem}-a of http://127.0.0.1:")
    store.close()


@pytest.mark.parametrize("region", [REGION, "us-east-1"])
def test_a_bucket_is_not_made_twice(s3_port, region):
    account = account_at(s3_port, region=region)
    name = f"t{secrets.token_hex(6)}"
    account.create_container(name)
    with pytest.raises(ObjectExistsError, match=name):
        account.create_container(name)
    account.close()
    account.close()


@pytest.mark.parametrize("name", ["A", "a.b", "..", "a/b", ""])
def test_a_bad_name_is_refused(account, name):
    with pytest.raises(InvalidNameError):
        account.create_container(name)
    with pytest.raises(InvalidNameError):
        account.container(name)


def test_a_key_that_may_not_list_buckets_says_so(s3_port):
    with FaultProxy(s3_port) as proxy:
        proxy.plan = lambda _: Fault(status=403, body="<Error><Code>AccessDenied</Code></Error>")
        account = account_at(proxy.port)
        with pytest.raises(StorageAccessError, match="ListBuckets") as caught:
            account.containers()
        assert "give the name of the bucket" in caught.value.hint
        with pytest.raises(StorageAccessError, match="CreateBucket"):
            account.create_container("abc")
        account.close()


def test_what_is_no_s3_is_named(s3_port):
    with FaultProxy(s3_port) as proxy:
        proxy.plan = lambda _: Fault(status=200, body="<html>It works!</html>")
        account = account_at(proxy.port)
        with pytest.raises(StoreUnavailableError, match="did not answer, or only in part"):
            account.containers()
        with pytest.raises(StoreUnavailableError, match="did not answer, or only in part"):
            account.container("abc").info("x.abf")
        account.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://bucket",
        "http://s3.example.org",
        f"https://user:{SECRET}@s3.example.org",
        f"https://s3.example.org/?secret={SECRET}",
        f"https://s3.example.org/bucket/{SECRET}",
        "https://s3.example.org:port",
    ],
)
def test_a_url_that_cannot_be_a_services_is_refused_and_not_repeated(url):
    with pytest.raises(StorageError) as caught:
        access_by_key(url, region=REGION, access_key_id="K", secret=SECRET)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "wrong",
    [{"region": ""}, {"region": "EU West"}, {"access_key_id": "a b"}, {"secret": ""}, {"secret": f"{SECRET}\n"}],
)
def test_a_key_or_region_that_cannot_be_one_is_refused_and_not_repeated(wrong):
    given = {"region": REGION, "access_key_id": "K", "secret": SECRET} | wrong
    with pytest.raises(StorageError) as caught:
        access_by_key("https://s3.example.org", **given)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "is_before"),
    [
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://s3.example.org", False),
        ("https://amazonaws.com.example.org", False),
        ("https://127.0.0.1:9000", False),
    ],
)
def test_the_bucket_stands_before_the_host_at_amazon_only(url, is_before):
    access = access_by_key(url, region=REGION, access_key_id="K", secret=SECRET)
    assert access.has_bucket_in_host_name is is_before


def test_the_users_own_settings_of_the_aws_command_line_have_no_say(account, tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[default]\nregion = nowhere\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    store = account.container(account.create_container(f"t{secrets.token_hex(6)}").name)
    put(store, "x.abf", b"1")
    assert names(store) == ["x.abf"]
    store.close()


def test_uploads_to_a_registered_account_are_noted_in_the_data_folder_and_known_there(bucket, tmp_path):
    key = AccessKey(f"http://127.0.0.1:{bucket.port}", REGION, ACCESS_KEY_ID, SECRET)
    add_account(tmp_path, *key.record("minio"))
    body = bytes(PART_BYTE_COUNT + 1)
    for expected in (1, 0):
        account = open_account(tmp_path, "minio")
        with account.container(bucket.name) as store:
            with store.create("x.abf", replace=False, upload_key="1") as upload:
                upload.write(body)
                if not expected:
                    upload.finish()
                elif upload._multipart is None:  # only what is behind the first part is sent before the end
                    upload.write(body)
            ours = [one.is_ours for one in store.probing().unfinished_uploads()]
        account.close()
        assert ours == [True] * expected
        assert len(list((tmp_path / "server/multipart").iterdir())) == expected
    assert bucket.uploads() == []
