"""Storage accounts of Azure: their containers, and every way of getting in, on the emulator."""

from __future__ import annotations

import contextlib
import datetime
import functools
import gc
import logging
import secrets
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ResourceTypes,
    generate_account_sas,
)

from storage.fault_proxy import Fault as NetworkFault
from storage.fault_proxy import FaultProxy, first_times
from tabvault.errors import (
    InvalidNameError,
    ObjectExistsError,
    StorageAccessError,
    StoreUnavailableError,
    TabvaultError,
)
from tabvault.storage.account_credentials import (
    AccountKey,
    AzureCli,
    ConnectionString,
    ContainerUrl,
    ManagedIdentity,
    ServicePrincipal,
)
from tabvault.storage.accounts import open_account
from tabvault.storage.azure.access import account_by_key
from tabvault.storage.azure.account import AzureAccount
from tabvault.storage.remote.patience import Patience
from tabvault.storage.server_state.storage_accounts import add_account
from tabvault.testing.store_contract import names, put, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.azure.azurite import Container
    from tabvault.storage.account_credentials import AccountCredential

pytest_plugins = ["storage.azure.azurite", "storage.azure.identities"]

ACCOUNT = "testaccount"
HURRIED = Patience(attempt_count_max=3, deadline_s=5.0, first_pause_s=0.01, pause_max_s=0.05, quiet_max_s=2.0)


@pytest.fixture
def account(container: Container) -> Iterator[AzureAccount]:
    """By key; *container* is one of its containers."""
    with opened(account_by_key(container.account_url(), account=ACCOUNT, key=container.key)) as found:
        yield found


@contextlib.contextmanager
def opened(access, **options) -> Iterator[AzureAccount]:
    found = AzureAccount(access, **options)
    try:
        yield found
    finally:
        found.close()
        gc.collect()


@contextlib.contextmanager
def registered(data: Path, credential: AccountCredential) -> Iterator[AzureAccount]:
    """An account as a server has it: registered, and opened by its name."""
    add_account(data, *credential.record("contoso"), replace_old=True)
    found = open_account(data, "contoso")
    assert isinstance(found, AzureAccount)
    try:
        yield found
    finally:
        found.close()
        found.close()
        gc.collect()


def account_sas(container: Container, permission: str) -> str:
    return generate_account_sas(
        ACCOUNT,
        container.key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions.from_string(permission),
        datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )


def use(account: AzureAccount, container: str) -> None:
    """Write, read, list and remove through a container of the account."""
    store = account.container(container)
    try:
        put(store, "sales/monday.abf", b"1")
        assert read(store, "sales/monday.abf") == b"1"
        assert names(store) == ["sales/monday.abf"]
        store.remove("sales/monday.abf")
    finally:
        store.close()


# --- containers


def test_containers_are_made_and_listed_by_prefix_with_the_time_of_their_change(account: AzureAccount) -> None:
    prefix = f"list-{secrets.token_hex(6)}"
    made = [account.create_container(f"{prefix}-{letter}") for letter in "cab"]
    assert list(account.containers(prefix)) == sorted(made, key=lambda info: info.name)
    assert list(account.containers(f"{prefix}-b")) == [made[2]]
    assert list(account.containers(f"{prefix}-d")) == []
    for info in made:
        assert info.last_modified is not None
        assert abs(info.last_modified - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert {info.name for info in made} < {info.name for info in account.containers()}


def test_containers_are_read_page_by_page(account: AzureAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = f"page-{secrets.token_hex(6)}"
    expected = [account.create_container(f"{prefix}-{number}").name for number in range(5)]
    small = functools.partialmethod(BlobServiceClient.list_containers, results_per_page=2)
    monkeypatch.setattr(BlobServiceClient, "list_containers", small)
    assert [info.name for info in account.containers(prefix)] == expected


def test_containers_of_the_service_itself_are_not_listed(account: AzureAccount, container: Container) -> None:
    with (
        ContainerClient(container.account_url(), "$root", credential=container.key) as root,
        contextlib.suppress(Exception),  # it may be there from before
    ):
        root.create_container()
    found = [info.name for info in account.containers()]
    assert "$root" not in found
    assert container.name in found


def test_a_container_is_made_once_and_under_a_name_it_can_have(account: AzureAccount, container: Container) -> None:
    with pytest.raises(
        ObjectExistsError, match=f"Create Container of container {container.name} .*there is a container"
    ):
        account.create_container(container.name)
    for name in ("Backups", "ab", "a--b", "$root", "../x", ""):
        with pytest.raises(InvalidNameError):
            account.create_container(name)
        with pytest.raises(InvalidNameError):
            account.container(name)


def test_a_container_that_is_not_there_is_told_by_its_first_use(account: AzureAccount) -> None:
    store = account.container("no-such-container")
    try:
        with pytest.raises(StoreUnavailableError, match="the container is not there"):
            list(store.list())
    finally:
        store.close()


def test_the_lost_answer_of_a_container_made_is_no_error(container: Container) -> None:
    name = f"lost-{secrets.token_hex(6)}"
    with FaultProxy(container.port) as proxy:
        access = account_by_key(container.account_url(proxy.port), account=ACCOUNT, key=container.key)
        proxy.plan = first_times(1, NetworkFault(cuts_answer=True), "PUT")
        with opened(access, patience=HURRIED) as account:
            assert account.create_container(name).name == name
            assert [request.status for request in proxy.requests] == [201, 409]
            with pytest.raises(ObjectExistsError):
                account.create_container(name)


def test_a_service_that_does_not_answer_is_unavailable_after_some_tries(container: Container) -> None:
    with FaultProxy(container.port) as proxy:
        access = account_by_key(container.account_url(proxy.port), account=ACCOUNT, key=container.key)
        proxy.plan = lambda _: NetworkFault(status=503)
        with opened(access, patience=HURRIED) as account:
            with pytest.raises(StoreUnavailableError, match=r"List Containers of storage account .*after 3 attempts"):
                list(account.containers())
            with pytest.raises(StoreUnavailableError, match="Create Container"):
                account.create_container("abc")
        assert len(proxy.requests) == 6


# --- every way of getting in


def test_a_key_or_a_connection_string_opens_every_container(container: Container, tmp_path: Path) -> None:
    url = container.account_url()
    for credential in (
        AccountKey(url, container.key, ACCOUNT),
        ConnectionString(f"AccountName={ACCOUNT};AccountKey={container.key};BlobEndpoint={url};"),
        ConnectionString(f"BlobEndpoint={url};SharedAccessSignature={account_sas(container, 'rwdlc')}"),
    ):
        with registered(tmp_path, credential) as account:
            assert container.name in [info.name for info in account.containers("test-")]
            other = account.create_container(f"way-{secrets.token_hex(6)}")
            use(account, other.name)
            use(account, container.name)


def test_a_container_sas_opens_that_container_and_says_so_of_others(container: Container, tmp_path: Path) -> None:
    url = f"{container.account_url()}/{container.name}?{container.sas('rwdl')}"
    with registered(tmp_path, ContainerUrl(url)) as account:
        (known,) = account.containers()
        assert (known.name, known.last_modified) == (container.name, None)
        assert list(account.containers(container.name[:6])) == [known]
        assert list(account.containers("x")) == []
        use(account, container.name)
        for call in (account.create_container, account.container):
            with pytest.raises(StorageAccessError, match=f"the SAS opens container {container.name} alone") as caught:
                call("another")
            assert "register the account with its key" in (caught.value.hint or "")
        with pytest.raises(StorageAccessError, match="opens container"):
            account.create_container("another")


@pytest.mark.parametrize("permission", ["rwd", "l"])
def test_a_sas_that_lacks_a_letter_is_told_apart(container: Container, tmp_path: Path, permission: str) -> None:
    text = f"BlobEndpoint={container.account_url()};SharedAccessSignature={account_sas(container, permission)}"
    with registered(tmp_path, ConnectionString(text)) as account:
        call = functools.partial(list, account.containers("x")) if permission == "rwd" else None
        with pytest.raises(StorageAccessError) as caught:
            call() if call else account.create_container("abc")
        assert ("List Containers" if call else "Create Container") in caught.value.message


def test_no_secret_is_in_any_text_or_log(
    container: Container, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong_key = "aHVudGVyMmh1bnRlcjI="
    sas = account_sas(container, "r")
    signature = dict(urllib.parse.parse_qsl(sas))["sig"]
    shown = []
    for credential in (
        AccountKey(container.account_url(), wrong_key, ACCOUNT),
        ConnectionString(f"BlobEndpoint={container.account_url()};SharedAccessSignature={sas}"),
    ):
        with registered(tmp_path, credential) as account:
            shown.append(repr(account))
            for call in (
                lambda account=account: list(account.containers()),
                lambda a=account: a.create_container("abc"),
            ):
                with pytest.raises(StorageAccessError) as caught:
                    call(account)
                error: BaseException | None = caught.value
                while error is not None:
                    shown += [repr(error), str(error), repr(vars(error))]
                    error = error.__cause__ or error.__context__
    shown += [record.getMessage() for record in caplog.records]
    assert any("urllib3" in record.name for record in caplog.records)
    for secret in (wrong_key, signature, urllib.parse.quote(signature, safe=""), container.key):
        assert not [text for text in shown if secret in text]


# --- identities: tokens of a local issuer, over TLS


@pytest.mark.parametrize(
    ("make", "asked"),
    [
        (ManagedIdentity, "managed None header of this machine"),
        (functools.partial(ManagedIdentity, client_id="id-1"), "managed id-1 header of this machine"),
        (AzureCli, None),
        (
            functools.partial(ServicePrincipal, tenant="adfs", client_id="app-1", secret="right secret"),
            "application app-1 https://storage.azure.com/.default",
        ),
    ],
    ids=["managed", "managed by id", "cli", "service principal"],
)
def test_an_identity_opens_the_account(
    secured_azurite: tuple[str, str], issuer: list[str], tmp_path: Path, make, asked: str | None
) -> None:
    url, container = secured_azurite
    with registered(tmp_path / "data", make(url)) as account:
        assert container in [info.name for info in account.containers()]
        use(account, container)
        account.create_container(f"made-{secrets.token_hex(6)}")
    assert issuer == ([] if asked is None else [asked]), "one token does for all calls"


def test_an_identity_that_gets_no_token_is_told_without_its_secret(
    secured_azurite: tuple[str, str], issuer: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = secured_azurite
    monkeypatch.setenv("PATH", str(tmp_path))
    for credential in (ServicePrincipal(url, "adfs", "app-1", "hunter2"), AzureCli(url)):
        with (
            registered(tmp_path / "data", credential) as account,
            pytest.raises(TabvaultError, match="gives no token for Azure Storage") as caught,
        ):
            list(account.containers())
        assert isinstance(caught.value, StorageAccessError)
        assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"
    assert issuer == []
