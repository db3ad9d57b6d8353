"""The backup storage of a data folder: kept open, changed whole, and never telling a secret."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import gc
import itertools
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import (
    FormatError,
    InvalidNameError,
    JobConflictError,
    ObjectExistsError,
    ObjectNotFoundError,
    RequestError,
    StorageAccessError,
    StorageAccountInUseError,
    StorageError,
    StorageNotConfiguredError,
    TabvaultError,
)
from tabvault.jobs.backup_storage import BackupStorage
from tabvault.jobs.vault import Vault
from tabvault.storage import durable
from tabvault.storage.account_credentials import AccountKey, AzureCli, ConnectionString, ContainerUrl
from tabvault.storage.accounts import AccountFacts
from tabvault.storage.local import LocalAccount
from tabvault.storage.settings import BackupStorageSettings, load_settings, save_settings
from tabvault.testing.faults import CallCounter, FaultyModule
from tabvault.testing.store_contract import names, put, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.azure.azurite import Container

pytest_plugins = ["storage.azure.azurite"]

NOWHERE = "https://contoso.blob.core.windows.net"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BackupStorage]:
    made = BackupStorage(tmp_path / "data")
    yield made
    made.close()
    gc.collect()


def folder_settings(path: Path, container: str = "nightly") -> BackupStorageSettings:
    return BackupStorageSettings(enabled=True, account=str(path), container=container)


def sas_url(container: Container, permission: str = "rwdl") -> str:
    return f"{container.account_url()}/{container.name}?{container.sas(permission)}"


def by_key(container: Container) -> AccountKey:
    return AccountKey(container.account_url(), container.key, "testaccount")


def connections() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


# --- the container, kept open


def test_the_container_is_opened_once(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: storage.store, range(50)))
    assert len(set(map(id, opened))) == 1
    storage.close()
    storage.close()
    put(storage.store, "x.abf", b"1")


def test_a_change_of_the_settings_opens_another_whoever_made_it(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    first = storage.store
    put(first, "first.abf", b"1")
    other_process = BackupStorage(tmp_path / "data")
    other_process.configure(folder_settings(tmp_path / "b"))
    second = storage.store
    assert second is not first
    assert names(second) == []
    put(first, "begun before.abf", b"2")  # a job that began with the first one ends with it
    assert (tmp_path / "a/nightly/begun before.abf").exists()


def test_the_first_upload_of_all_opens_the_container_that_it_made(storage: BackupStorage, tmp_path: Path) -> None:
    first = storage.store
    assert storage.store is first
    put(first, "x.abf", b"1")
    assert names(storage.store) == ["x.abf"]
    shutil.rmtree(tmp_path / "data/storage")
    with pytest.raises(StorageError, match="container backups is not in"):
        names(storage.store)


def test_a_store_is_kept_while_its_account_stays_and_closed_with_the_vault(
    container: Container, tmp_path: Path
) -> None:
    before = connections()
    with Vault(tmp_path / "data") as vault:
        vault.storage.add_account("contoso", by_key(container))
        vault.storage.configure(BackupStorageSettings(enabled=True, account="Contoso", container=container.name))
        first = vault.store
        put(first, "x.abf", b"1")
        vault.storage.add_account("other", AzureCli(NOWHERE))
        assert vault.store is first
        vault.storage.add_account("contoso", by_key(container), replace=True)
        renewed = vault.store
        assert renewed is not first
        assert read(renewed, "x.abf") == read(first, "x.abf") == b"1"
        assert connections() > before
    # A connection whose answer was just read is closed when its objects are collected, which may take a second round.
    for _ in range(5):
        gc.collect()
    assert connections() <= before


# --- settings


def test_a_folder_is_made_tried_and_set(storage: BackupStorage, tmp_path: Path) -> None:
    probe = storage.configure(folder_settings(tmp_path / "a"))
    assert probe is not None
    assert probe.ok
    assert storage.settings == load_settings(tmp_path / "data") == folder_settings(tmp_path / "a")
    assert names(storage.store) == []
    checked = storage.check()
    assert (checked.account, checked.container, checked.ok) == (str(tmp_path / "a"), "nightly", True)


def test_settings_by_which_nothing_can_be_kept_are_saved_untried(storage: BackupStorage) -> None:
    for settings in (
        BackupStorageSettings(enabled=False, account="/nowhere/at/all", container="nightly"),
        BackupStorageSettings(enabled=True, account=None, container="nightly"),
    ):
        assert storage.configure(settings) is None
        assert storage.settings == settings
        for call in (lambda: storage.store, storage.check):
            with pytest.raises(StorageNotConfiguredError):
                call()
    assert not Path("/nowhere").exists()


def test_an_account_that_nobody_registered_is_not_set(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    with pytest.raises(StorageNotConfiguredError, match="there is no storage account 'contoso'"):
        storage.configure(BackupStorageSettings(enabled=True, account="contoso", container="nightly"), force=True)
    assert storage.settings == folder_settings(tmp_path / "a")


@pytest.mark.parametrize("account", ["", ".", "databases", "storage/../server", "server"])
def test_backups_and_containers_do_not_go_where_the_databases_lie(
    storage: BackupStorage, tmp_path: Path, account: str
) -> None:
    (tmp_path / "data/databases").mkdir(parents=True)
    (tmp_path / "data/server").mkdir()
    with pytest.raises(InvalidNameError):
        storage.configure(BackupStorageSettings(enabled=True, account=account, container="nightly"), force=True)
    with pytest.raises(InvalidNameError):
        storage.create_container(account, "nightly")
    assert not list(tmp_path.rglob("nightly"))


def test_no_link_leads_backups_to_where_the_databases_lie(storage: BackupStorage, tmp_path: Path) -> None:
    (tmp_path / "data/server").mkdir(parents=True)
    (tmp_path / "account").mkdir()
    (tmp_path / "account/backups").symlink_to(tmp_path / "data/server")
    (tmp_path / "account/nightly").symlink_to(tmp_path / "account")
    with pytest.raises(InvalidNameError, match="where the databases lie"):
        storage.configure(folder_settings(tmp_path / "account", "backups"), force=True)
    assert list((tmp_path / "data/server").iterdir()) == []
    storage.configure(folder_settings(tmp_path / "account", "nightly"))


def test_a_folder_is_on_the_disk_of_the_data_folder_or_not(storage: BackupStorage, tmp_path: Path) -> None:
    assert storage.shares_disk, "the embedded account, before it is made"
    storage.configure(folder_settings(tmp_path / "a"))
    assert storage.shares_disk
    save_settings(tmp_path / "data", folder_settings(Path("/proc/not-made-yet")))
    assert not storage.shares_disk
    storage.add_account("contoso", AzureCli(NOWHERE))
    save_settings(tmp_path / "data", BackupStorageSettings(True, "contoso", "nightly"))
    assert not storage.shares_disk


def test_who_waits_long_for_another_change_is_told(
    storage: BackupStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabvault.jobs.backup_storage._TURN_S", 0.01)
    with (
        storage._changing(),
        ThreadPoolExecutor(1) as other,
        pytest.raises(JobConflictError, match="the backup storage is being configured"),
    ):
        other.submit(storage.configure, folder_settings(tmp_path / "a")).result()
    storage.configure(folder_settings(tmp_path / "a"))


def test_the_data_folder_is_no_container_of_the_folder_above_it(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    with pytest.raises(InvalidNameError, match="where the databases lie"):
        storage.configure(folder_settings(tmp_path, "data"))
    with pytest.raises(InvalidNameError, match="cannot be the name of a container"):
        storage.configure(folder_settings(tmp_path, "../data"))
    storage.configure(folder_settings(tmp_path, "beside"))


def test_a_folder_that_has_only_accounts_becomes_a_data_folder(storage: BackupStorage, tmp_path: Path) -> None:
    storage.add_account("contoso", AzureCli(NOWHERE))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["server"]
    with Vault(tmp_path / "data") as vault:
        assert vault.own_folder
        assert vault.databases() == []
        assert [facts.name for facts in vault.storage.accounts()] == ["storage", "contoso"]


def test_storage_is_switched_off_and_on_again(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    storage.disable()
    assert storage.settings == BackupStorageSettings(enabled=False, account=str(tmp_path / "a"), container="nightly")
    with pytest.raises(StorageNotConfiguredError):
        _ = storage.store
    probe = storage.configure(dataclasses.replace(storage.settings, enabled=True))
    assert probe is not None
    assert probe.ok
    assert storage.settings == folder_settings(tmp_path / "a")


def test_a_container_that_went_away_is_a_finding_and_keeps_storage_off(storage: BackupStorage, tmp_path: Path) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    probe = storage.check()
    assert not probe.is_usable
    assert any(finding.severity == "FAILED" for finding in probe.findings)


def test_damaged_settings_can_be_replaced_by_new_ones(storage: BackupStorage, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/settings.json").write_text("{")
    with pytest.raises(FormatError):
        _ = storage.store
    storage.configure(folder_settings(tmp_path / "a"))
    put(storage.store, "x.abf", b"1")


# --- containers


def test_containers_of_folders_are_listed_and_made(storage: BackupStorage, tmp_path: Path) -> None:
    assert storage.containers("storage") == []
    assert not (tmp_path / "data").exists()
    made = storage.create_container("storage", "backups")
    assert storage.containers("storage") == storage.containers(str(tmp_path / "data/storage")) == [made]
    with pytest.raises(ObjectExistsError):
        storage.create_container("storage", "backups")
    other = storage.create_container(str(tmp_path / "a"), "weekly")
    assert storage.containers(str(tmp_path / "a"), "w") == [other]
    assert storage.containers(str(tmp_path / "a"), "x") == []
    with pytest.raises(StorageError):
        storage.containers(str(tmp_path / "not there"))
    with pytest.raises(StorageNotConfiguredError):
        storage.containers("contoso")


def test_containers_of_an_azure_account_are_listed_and_made(storage: BackupStorage, container: Container) -> None:
    storage.add_account("contoso", by_key(container))
    assert [info.name for info in storage.containers("contoso", container.name)] == [container.name]
    made = storage.create_container("CONTOSO", f"{container.name}-2")
    assert storage.containers("contoso", f"{container.name}-") == [made]
    with pytest.raises(ObjectExistsError):
        storage.create_container("contoso", container.name)
    storage.add_account("one", ContainerUrl(sas_url(container)))
    assert [info.name for info in storage.containers("one")] == [container.name]
    with pytest.raises(StorageAccessError, match=f"opens container {container.name} alone"):
        storage.create_container("one", "another")


# --- accounts


def test_accounts_are_shown_by_their_facts(storage: BackupStorage, tmp_path: Path) -> None:
    url = f"{NOWHERE}/backups?sp=rl&se=2030-01-01T00:00:00Z&sig=hunter2"
    added = storage.add_account("Contoso", ContainerUrl(url))
    expires = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    assert added == AccountFacts("Contoso", "azure", NOWHERE, "sas", "backups", "rl", expires)
    embedded = AccountFacts("storage", "folder", str(tmp_path / "data/storage"))
    cli = storage.add_account("a", AzureCli(NOWHERE))
    assert storage.accounts() == [embedded, cli, added]
    assert storage.account("contoso") == added
    assert storage.account("/srv") == AccountFacts("/srv", "folder", "/srv")
    with pytest.raises(ObjectExistsError):
        storage.add_account("contoso", AzureCli(NOWHERE))
    with pytest.raises(RequestError):
        storage.add_account("storage", AzureCli(NOWHERE))
    storage.remove_account("CONTOSO")
    storage.remove_account("a")
    assert storage.accounts() == [embedded]
    with pytest.raises(ObjectNotFoundError, match="there is no storage account 'contoso'"):
        storage.remove_account("contoso")


def test_an_account_that_the_settings_name_is_not_removed(storage: BackupStorage, container: Container) -> None:
    storage.add_account("contoso", by_key(container))
    storage.configure(BackupStorageSettings(enabled=True, account="contoso", container=container.name))
    for change in (lambda: None, storage.disable):
        change()
        with pytest.raises(StorageAccountInUseError, match="backups go to the storage account Contoso"):
            storage.remove_account("Contoso")
    storage.configure(BackupStorageSettings(enabled=False, account=None, container=None))
    storage.remove_account("Contoso")


# --- the URL of a container with a SAS


def test_a_container_url_is_registered_and_set_at_once(storage: BackupStorage, container: Container) -> None:
    probe = storage.set_container_url(sas_url(container))
    assert probe is not None
    assert probe.ok
    assert storage.settings == BackupStorageSettings(enabled=True, account="testaccount", container=container.name)
    put(storage.store, "x.abf", b"1")
    with container.plain() as client:
        assert client.download_blob("x.abf").readall() == b"1"
    assert storage.account("testaccount").permissions == "rwdl"


def test_a_new_sas_of_the_same_container_renews_the_account(storage: BackupStorage, container: Container) -> None:
    storage.set_container_url(sas_url(container))
    first = storage.store
    storage.set_container_url(sas_url(container, "rwl"))
    (account,) = storage.accounts()[1:]
    assert account.permissions == "rwl"
    assert storage.store is not first
    put(storage.store, "x.abf", b"1")
    with pytest.raises(StorageAccessError, match="lacks the permission d"):
        storage.store.remove("x.abf")


def test_another_container_or_another_way_in_is_another_account(storage: BackupStorage, container: Container) -> None:
    storage.add_account("testaccount", by_key(container))
    second = storage.create_container("testaccount", f"{container.name}-2").name
    third = storage.create_container("testaccount", f"{container.name}-3").name
    storage.set_container_url(sas_url(container))
    for name in (second, third, second):
        storage.set_container_url(sas_url(dataclasses.replace(container, name=name)))
        assert storage.settings.container == name
        put(storage.store, "x.abf", name.encode(), replace=True)
    accounts = {facts.container: facts.name for facts in storage.accounts()[1:]}
    assert set(accounts) == {None, container.name, second, third}
    assert accounts[None] == "testaccount"


@pytest.mark.parametrize("fault", ["reads only", "no such container", "wrong signature", "no URL"])
def test_a_container_url_that_cannot_be_used_changes_nothing(
    storage: BackupStorage, container: Container, tmp_path: Path, fault: str
) -> None:
    storage.configure(folder_settings(tmp_path / "a"))
    gone = dataclasses.replace(container, name="no-such-container")
    url = {
        "reads only": sas_url(container, "rl"),
        "no such container": sas_url(gone),
        "wrong signature": sas_url(container)[:-6] + "AAA%3D",
        "no URL": f"hunter2?{container.sas('rwdl')}",
    }[fault]
    with pytest.raises(StorageError) as caught:
        storage.set_container_url(url)
    assert url.partition("sig=")[2] not in f"{caught.value!r} {caught.value.hint}"
    assert storage.settings == folder_settings(tmp_path / "a")
    assert len(storage.accounts()) == 1
    put(storage.store, "x.abf", b"1")


def test_a_server_that_only_restores_is_configured_by_force(storage: BackupStorage, container: Container) -> None:
    """The migration page gives the new server a SAS for reading and listing alone."""
    with container.plain() as client:
        client.upload_blob("x.abf", b"1")
    probe = storage.set_container_url(sas_url(container, "rl"), force=True)
    assert probe is not None
    assert not probe.is_usable
    assert read(storage.store, "x.abf") == b"1"


# --- what a crash leaves


def test_when_everything_fails_from_some_moment_on_the_settings_are_whole_and_can_be_used(
    container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account and settings are two files; the crash comes before each system call that writes either."""
    old = folder_settings(tmp_path / "a")
    LocalAccount(tmp_path / "a").container("nightly", create=True)
    new = BackupStorageSettings(enabled=True, account="testaccount", container=container.name)
    url, seen = sas_url(container), []
    for fail_at in itertools.count(1):
        data = tmp_path / str(fail_at)
        data.mkdir()
        save_settings(data, old)
        storage = BackupStorage(data)
        counter = CallCounter(fail_at=fail_at, error=OSError(5, "gone"), lasting=True)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", FaultyModule(os, counter))
            try:
                storage.set_container_url(url)
            except StorageError:
                assert counter.has_failed
        storage.close()
        restarted = BackupStorage(data)
        seen.append(restarted.settings)
        assert restarted.settings in (old, new)
        assert names(restarted.store) == []
        assert {facts.name for facts in restarted.accounts()} <= {"storage", "testaccount"}
        restarted.close()
        if not counter.has_failed:
            break
    assert seen[0] == old
    assert seen[-1] == new
    assert len(seen) > 12, "both files were written"
    gc.collect()


# --- secrets


def test_a_secret_is_in_no_file_and_in_no_text(storage: BackupStorage, container: Container, tmp_path: Path) -> None:
    sas = container.sas("rwdl")
    signature = sas.partition("sig=")[2].partition("&")[0]
    text = f"AccountName=testaccount;AccountKey={container.key};BlobEndpoint={container.account_url()}"
    shown = [repr(storage.add_account("contoso", ConnectionString(text)))]
    shown.append(repr(storage.set_container_url(f"{container.account_url()}/{container.name}?{sas}")))
    put(storage.store, "x.abf", b"1")
    shown += [repr(storage.store), repr(storage.accounts()), repr(storage.settings), repr(storage)]
    for call in (
        lambda: storage.store.info("not there.abf"),
        lambda: storage.create_container("testaccount", "another"),
        lambda: storage.remove_account("testaccount"),
        lambda: storage.add_account("a/b", ConnectionString(text)),
        lambda: storage.set_container_url(f"{container.account_url()}/{container.name}/more!?{sas}"),
    ):
        with pytest.raises(TabvaultError) as caught:
            call()
        shown.append(f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}")
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {"storage-accounts.json", "secret.key", "settings.json"} <= {path.name for path in files}
    kept = b"".join(path.read_bytes() for path in files)
    for secret in (container.key, signature, sas):
        assert not [one for one in shown if secret in one]
        for encoded in (secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()):
            assert encoded not in kept
    assert json.loads((tmp_path / "data/settings.json").read_bytes())["backup_storage"]["account"] == "testaccount"
