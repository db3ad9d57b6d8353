"""Registered storage accounts: kept, sealed, bound to where their secrets go; and what an administrator may give."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, InvalidNameError, ObjectExistsError, RequestError, StorageError, TabvaultError
from tabvault.storage import durable
from tabvault.storage.account_credentials import (
    AccessKey,
    AccountKey,
    AzureCli,
    ConnectionString,
    ContainerUrl,
    ManagedIdentity,
    ServicePrincipal,
)
from tabvault.storage.account_url import check_account_url
from tabvault.storage.accounts import open_registered
from tabvault.storage.server_state.storage_accounts import (
    ACCOUNT_COUNT_MAX,
    ACCOUNTS_FILE,
    RegisteredAccount,
    add_account,
    find_account,
    load_accounts,
    remove_account,
    secret_of,
)
from tabvault.testing.faults import CallCounter, FaultyModule

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.account_credentials import AccountCredential

URL = "https://contoso.blob.core.windows.net"
KEY = "aHVudGVyMmh1bnRlcjI="
SECRET = "hunter2-hunter2"
SAS = "sv=2026-02-06&sr=c&sp=rwdl&se=2027-01-31T00:00:00Z&sig=hunter2hunter2%3D"

GIVEN: dict[str, tuple[AccountCredential, RegisteredAccount, str | None]] = {
    "container URL": (
        ContainerUrl(f" {URL}/backups?{SAS}\n"),
        RegisteredAccount(
            "a",
            URL,
            "sas",
            container="backups",
            permissions="rwdl",
            expires=datetime.datetime(2027, 1, 31, tzinfo=datetime.UTC),
        ),
        SAS,
    ),
    "stored policy": (
        ContainerUrl(f"{URL}/backups?si=policy&sig=hunter2"),
        RegisteredAccount("a", URL, "sas", container="backups"),
        "si=policy&sig=hunter2",
    ),
    "connection string with a key": (
        ConnectionString(f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={KEY}"),
        RegisteredAccount("a", URL, "key", login="contoso"),
        KEY,
    ),
    "connection string with a SAS": (
        ConnectionString(f"BlobEndpoint={URL}/;SharedAccessSignature=?ss=b&srt=sco&sp=rl&sig=hunter2"),
        RegisteredAccount("a", URL, "sas", permissions="rl"),
        "ss=b&srt=sco&sp=rl&sig=hunter2",
    ),
    "key": (AccountKey(URL + "/", KEY + "\n"), RegisteredAccount("a", URL, "key", login="contoso"), KEY),
    "key of a named account": (
        AccountKey("http://127.0.0.1:10000/dev", KEY, "dev"),
        RegisteredAccount("a", "http://127.0.0.1:10000/dev", "key", login="dev"),
        KEY,
    ),
    "managed identity": (ManagedIdentity(URL), RegisteredAccount("a", URL, "managed"), None),
    "managed identity by id": (
        ManagedIdentity(URL, "0000-1111"),
        RegisteredAccount("a", URL, "managed", login="0000-1111"),
        None,
    ),
    "Azure CLI": (AzureCli(URL), RegisteredAccount("a", URL, "cli"), None),
    "service principal": (
        ServicePrincipal(URL, "contoso.com", "0000-1111", SECRET),
        RegisteredAccount("a", URL, "service-principal", login="0000-1111", tenant="contoso.com"),
        SECRET,
    ),
    "S3": (
        AccessKey("https://s3.example/", "eu-1", "AKIA1", SECRET),
        RegisteredAccount("a", "https://s3.example", "access-key", login="AKIA1", region="eu-1"),
        SECRET,
    ),
    "S3 of Amazon": (
        AccessKey(None, "eu-central-1", "AKIA1", SECRET),
        RegisteredAccount(
            "a", "https://s3.eu-central-1.amazonaws.com", "access-key", login="AKIA1", region="eu-central-1"
        ),
        SECRET,
    ),
}


def add(data: Path, name: str = "contoso", *, replace_old: bool = False, secret: str = KEY) -> RegisteredAccount:
    record = RegisteredAccount(name, URL, "key", login="contoso")
    return add_account(data, record, secret, replace_old=replace_old)


@pytest.mark.parametrize("what", GIVEN)
def test_what_is_given_comes_back_whole_and_is_nowhere_in_clear(tmp_path: Path, what: str) -> None:
    credential, expected, secret = GIVEN[what]
    record, found_secret = credential.record("a")
    assert (record, found_secret) == (expected, secret)
    kept = add_account(tmp_path, record, found_secret)
    assert load_accounts(tmp_path) == (kept,)
    assert dataclasses.replace(kept, sealed=None) == expected
    if secret is None:
        assert kept.sealed is None
        return
    assert secret_of(tmp_path, kept) == secret
    assert kept.sealed is not None
    shown = f"{credential!r} {record!r} {kept!r}"
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for part in (secret, "hunter2", KEY, kept.sealed.hex()):
        assert part not in shown
    for part in (secret, "hunter2", KEY):
        for encoding in ("utf-8", "utf-16-le"):
            assert part.encode(encoding) not in everything
        assert part.encode().hex().encode() not in everything


@pytest.mark.parametrize(
    "credential",
    [
        ContainerUrl(f"{URL}/backups"),
        ContainerUrl(f"{URL}/?{SAS}"),
        ContainerUrl(f"http://contoso.example/backups?{SAS}"),
        ContainerUrl(f"ftp:hunter2?{SAS}"),
        ConnectionString("hunter2"),
        ConnectionString("AccountName=contoso;AccountKey=!hunter2"),
        AccountKey(URL, "!hunter2"),
        AccountKey(f"{URL}?{SAS}", KEY),
        AccountKey("https://user:hunter2@contoso.example", KEY),
        ManagedIdentity("http://127.0.0.1:1/contoso"),
        AzureCli("http://127.0.0.1:1/contoso"),
        ServicePrincipal("contoso", "t", "c", SECRET),
        ServicePrincipal(URL, "", "c", SECRET),
        ServicePrincipal(URL, "t", "c\0", SECRET),
        AccessKey("http://s3.example", "eu-1", "AKIA1", SECRET),
        AccessKey("https://s3.example", "", "AKIA1", SECRET),
        # What no client library takes: it would be told at the first use, as a mistake of ours.
        ServicePrincipal(URL, "bad tenant/..", "c", SECRET),
        AccessKey(None, "EU x/../", "AKIA1", SECRET),
        AccessKey(None, "evil.example/", "AKIA1", SECRET),
        AccessKey("https://s3.example/path", "eu-1", "AKIA1", SECRET),
        # Hosts that only look like this machine, or are none.
        ContainerUrl(f"http://127.0.0.1%2eevil.example/backups?{SAS}"),
        ContainerUrl(f"http://127.0.0.1%zone.evil.example/backups?{SAS}"),
        ContainerUrl(f"http://[::1%25lo]/backups?{SAS}"),
        ContainerUrl(f"https://a b.example/backups?{SAS}"),
        ContainerUrl(f"https://h\0x/backups?{SAS}"),
        ContainerUrl(f"https://h..example/backups?{SAS}"),
        ContainerUrl(f"https://{'a' * 64}.example/backups?{SAS}"),
        ContainerUrl(f"https://{'a.' * 127}example/backups?{SAS}"),
        ContainerUrl(f"https://m\xfcller.example/backups?{SAS}"),
    ],
    ids=range(29),
)
def test_what_cannot_be_one_is_refused_without_being_repeated(credential: AccountCredential) -> None:
    with pytest.raises((StorageError, RequestError, InvalidNameError)) as caught:
        credential.record("a")
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint} {credential!r}"


@pytest.mark.parametrize(
    "host",
    ["a" * 63 + ".example", "127.0.0.1:10000", "contoso.blob.core.windows.net.", "s_3.example", "[2001:db8::7]:1"],
)
def test_a_host_that_can_be_one_is_taken(host: str) -> None:
    assert check_account_url(f"https://{host}/") == f"https://{host}"


def test_a_kept_credential_that_the_client_library_refuses_is_an_error_without_its_secret() -> None:
    kept = RegisteredAccount("a", URL, "service-principal", login="c", tenant="bad tenant/..")
    with pytest.raises(StorageError, match="the credential of storage account a cannot be used") as caught:
        open_registered(kept, SECRET)
    assert caught.value.__cause__ is None
    assert SECRET not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "soon"])
def test_an_end_of_a_sas_that_is_in_no_calendar_is_not_known(tmp_path: Path, end: str) -> None:
    record, secret = ContainerUrl(f"{URL}/backups?sp=r&se={end}&sig=hunter2").record("a")
    assert add_account(tmp_path, record, secret, replace_old=False).expires is None
    assert load_accounts(tmp_path)[0].expires is None


@pytest.mark.parametrize("name", ["", "storage", "Storage", "a/b", "..", ".a", "a ", "é", "x" * 65, "a\n"])
def test_a_name_that_settings_would_read_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="cannot be the name"):
        AzureCli(URL).record(name)


def test_the_names_for_a_container_url_begin_with_the_account() -> None:
    def names(url: str) -> list[str]:
        return list(itertools.islice(ContainerUrl(f"{url}?sig=x").names(), 3))

    assert names(f"{URL}/backups") == ["contoso", "contoso-backups", "contoso-backups-2"]
    assert names("http://127.0.0.1:10000/dev1/backups") == ["dev1", "dev1-backups", "dev1-backups-2"]
    assert names("https://storage.blob.example/backups") == [
        "storage-backups",
        "storage-backups-2",
        "storage-backups-3",
    ]
    long = names(f"https://{'x' * 63}.example/{'c' * 63}")
    for name in long:
        RegisteredAccount(name, URL, "cli")
    for host in ("[::1]", "a_b", "xn--4ca.example"):
        for name in names(f"https://{host}/backups"):
            RegisteredAccount(name, URL, "cli")


def test_a_name_is_taken_once_without_regard_to_case(tmp_path: Path) -> None:
    first = add(tmp_path)
    with pytest.raises(ObjectExistsError, match="there is a storage account Contoso"):
        add(tmp_path, "Contoso")
    assert load_accounts(tmp_path) == (first,)
    renewed = add(tmp_path, "Contoso", replace_old=True, secret="bmV3")
    assert load_accounts(tmp_path) == (renewed,)
    assert secret_of(tmp_path, renewed) == "bmV3"
    add(tmp_path, "aaa")
    assert [account.name for account in load_accounts(tmp_path)] == ["aaa", "Contoso"]
    found = find_account(tmp_path, "CONTOSO")
    assert found == renewed
    assert not remove_account(tmp_path, "other")
    assert remove_account(tmp_path, "contoso")
    assert [account.name for account in load_accounts(tmp_path)] == ["aaa"]
    assert find_account(tmp_path, "contoso") is None


def test_a_secret_is_given_where_one_belongs_and_nowhere_else(tmp_path: Path) -> None:
    for record, secret in (
        (RegisteredAccount("a", URL, "cli"), KEY),
        (RegisteredAccount("a", URL, "key", login="contoso"), None),
        (RegisteredAccount("a", URL, "key", login="contoso"), ""),
        (RegisteredAccount("a", URL, "key", login="contoso"), "x" * (65 << 10)),
    ):
        with pytest.raises(RequestError, match="secret"):
            add_account(tmp_path, record, secret)
    assert load_accounts(tmp_path) == ()


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    add(tmp_path)
    for file in (tmp_path / "server").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "server").stat().st_mode) == 0o700


def edited(data: Path, **changes: object) -> None:
    """Change members of the one account in the file, as an editor would."""
    file = data / "server" / ACCOUNTS_FILE
    document = json.loads(file.read_bytes())
    for key, value in changes.items():
        document["accounts"][0][key] = value
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "value"),
    [("url", "https://evil.example"), ("name", "other"), ("login", "other"), ("credential", "service-principal")],
)
def test_a_secret_is_bound_to_where_it_goes_and_for_whom(tmp_path: Path, change: str, value: str) -> None:
    """Somebody who may write the file but not read the key points an account to a server of his own."""
    add(tmp_path)
    edited(tmp_path, **{change: value}, **({"tenant": "t"} if change == "credential" else {}))
    (account,) = load_accounts(tmp_path)
    with pytest.raises(FormatError, match="cannot be opened") as caught:
        secret_of(tmp_path, account)
    assert KEY not in str(caught.value)


def test_a_sas_is_bound_to_its_container_but_its_shown_facts_are_only_shown(tmp_path: Path) -> None:
    record, secret = GIVEN["container URL"][0].record("a")
    add_account(tmp_path, record, secret)
    edited(tmp_path, permissions="r", expires=None)
    (account,) = load_accounts(tmp_path)
    assert secret_of(tmp_path, account) == SAS
    edited(tmp_path, container="other")
    (account,) = load_accounts(tmp_path)
    with pytest.raises(FormatError, match="cannot be opened"):
        secret_of(tmp_path, account)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": 1}, r"accounts\[0\]\.name"),
        ({"name": "storage"}, r"accounts\[0\]"),
        ({"url": "contoso"}, "no URL"),
        ({"url": URL + "/"}, "slash"),
        ({"url": f"{URL}?sig=hunter2"}, "query"),
        ({"credential": "password"}, r"accounts\[0\]\.credential"),
        ({"credential": []}, r"accounts\[0\]\.credential"),
        ({"credential": "cli"}, r"accounts\[0\]\.secret"),
        ({"login": None}, "cannot have just"),
        ({"login": ""}, "login"),
        ({"tenant": "t"}, "cannot have just"),
        ({"container": "backups"}, "cannot have just"),
        ({"permissions": "rl"}, "cannot have just"),
        ({"expires": "tomorrow"}, r"accounts\[0\]\.expires"),
        ({"secret": None}, r"accounts\[0\]\.secret"),
        ({"secret": "00"}, r"accounts\[0\]\.secret"),
        ({"secret": "hunter2"}, r"accounts\[0\]\.secret"),
        ({"more": 1}, "more"),
    ],
    ids=range(18),
)
def test_a_record_that_does_not_fit_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    add(tmp_path)
    edited(tmp_path, **changes)
    with pytest.raises(FormatError, match=place) as caught:
        load_accounts(tmp_path)
    assert caught.value.file == str(tmp_path / "server" / ACCOUNTS_FILE)
    assert "hunter2" not in str(caught.value)


def test_two_of_one_name_and_a_container_that_cannot_be_one_are_refused(tmp_path: Path) -> None:
    record, secret = GIVEN["container URL"][0].record("a")
    add_account(tmp_path, record, secret)
    edited(tmp_path, container="Backups!")
    with pytest.raises(FormatError, match=r"accounts\[0\]"):
        load_accounts(tmp_path)
    edited(tmp_path, container="backups")
    file = tmp_path / "server" / ACCOUNTS_FILE
    document = json.loads(file.read_bytes())
    document["accounts"].append(document["accounts"][0] | {"name": "A"})
    file.write_text(json.dumps(document))
    with pytest.raises(FormatError, match="two have one name"):
        load_accounts(tmp_path)


def test_there_is_an_end_to_accounts(tmp_path: Path) -> None:
    add(tmp_path, "one")
    file = tmp_path / "server" / ACCOUNTS_FILE
    document = json.loads(file.read_bytes())
    account = document["accounts"][0]
    document["accounts"] = [account | {"name": f"a{number}"} for number in range(ACCOUNT_COUNT_MAX)]
    file.write_text(json.dumps(document))
    with pytest.raises(RequestError, match="no more can be"):
        add(tmp_path, "new")
    add(tmp_path, "a7", replace_old=True)


@settings(deadline=None, max_examples=60)
@given(
    value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4),
    key=st.sampled_from(["name", "url", "credential", "container", "login", "expires", "secret"]),
)
def test_any_value_is_an_account_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, value: object, key: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_account"
    if not folder.exists():
        add(folder)
    edited(folder, name="contoso", url=URL, credential="key", container=None, login="contoso", expires=None)
    before = (folder / "server" / ACCOUNTS_FILE).read_bytes()
    edited(folder, **{key: value})
    with contextlib.suppress(TabvaultError):
        for account in load_accounts(folder):
            secret_of(folder, account)
    (folder / "server" / ACCOUNTS_FILE).write_bytes(before)


def test_when_any_system_call_fails_the_accounts_are_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fail_at in itertools.count(1):
        data = tmp_path / str(fail_at)
        old = add(data)
        counter = CallCounter(fail_at=fail_at, when="after", error=OSError(28, "full"))
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", FaultyModule(os, counter))
            with contextlib.suppress(StorageError):
                add(data, replace_old=True, secret="bmV3")
        (found,) = load_accounts(data)
        assert secret_of(data, found) == (KEY if found == old else "bmV3")
        if not counter.has_failed:
            break
    assert found != old
    assert fail_at > 4
