"""The backup storage settings of a data folder."""

from __future__ import annotations

import itertools
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.configured_store import open_store, own_store
from tabvault.errors import (
    FormatError,
    InvalidNameError,
    ObjectNotFoundError,
    StorageError,
    StorageNotConfiguredError,
    StoreUnavailableError,
    TabvaultError,
)
from tabvault.storage import durable
from tabvault.storage.account_credentials import AccessKey
from tabvault.storage.accounts import open_account
from tabvault.storage.durable import make_directory_durably, write_file_durably
from tabvault.storage.local import LocalAccount
from tabvault.storage.server_state.storage_accounts import RegisteredAccount, add_account
from tabvault.storage.settings import BackupStorageSettings, load_settings, save_settings
from tabvault.testing.faults import CallCounter, FaultyModule
from tabvault.testing.store_contract import put, read

CONFIGURED = BackupStorageSettings(enabled=True, account="/srv/backups", container="nightly")


def test_a_fresh_data_folder_has_storage_of_its_own(tmp_path):
    found = load_settings(tmp_path)
    assert found == BackupStorageSettings(enabled=True, account=str(tmp_path / "storage"), container="backups")
    put(open_store(found, tmp_path), "x.abf", b"1")
    assert (tmp_path / "storage/backups/x.abf").read_bytes() == b"1"
    assert load_settings(tmp_path) == found


def test_a_relative_data_folder_has_an_absolute_account(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_settings(tmp_path.relative_to(tmp_path))
    assert found.account == str(tmp_path / "storage")
    put(open_store(found, tmp_path.relative_to(tmp_path)), "x.abf", b"1")
    assert (tmp_path / "storage/backups/x.abf").exists()


@pytest.mark.parametrize(
    "saved",
    [
        CONFIGURED,
        BackupStorageSettings(enabled=False, account=None, container=None),
        BackupStorageSettings(enabled=True, account="Sicherung/Köln", container="abc"),
    ],
)
def test_what_was_saved_is_loaded(tmp_path, saved):
    save_settings(tmp_path, saved)
    assert load_settings(tmp_path) == saved


def test_the_file_is_as_documented(tmp_path):
    save_settings(tmp_path, CONFIGURED)
    assert json.loads((tmp_path / "settings.json").read_bytes()) == {
        "backup_storage": {"enabled": True, "account": "/srv/backups", "container": "nightly"}
    }
    text = '{"backup_storage": {"enabled": false, "account": "/mnt", "container": null}}'
    (tmp_path / "settings.json").write_text(text)
    assert load_settings(tmp_path) == BackupStorageSettings(enabled=False, account="/mnt", container=None)


@pytest.mark.parametrize(
    "missing",
    [
        BackupStorageSettings(enabled=False, account="/srv", container="backups"),
        BackupStorageSettings(enabled=True, account=None, container="backups"),
        BackupStorageSettings(enabled=True, account="/srv", container=None),
    ],
)
def test_storage_that_is_off_or_not_set_is_not_configured(tmp_path, missing):
    with pytest.raises(StorageNotConfiguredError, match=r"^backup storage is not configured$") as caught:
        open_store(missing, tmp_path)
    assert "tabvault storage settings" in caught.value.hint


def test_a_configured_container_is_used_where_it_is(tmp_path):
    data_folder, account = tmp_path / "data", tmp_path / "mount"
    LocalAccount(account).container("nightly", create=True)
    data_folder.mkdir()
    for written in (str(account), "../mount"):
        chosen = BackupStorageSettings(enabled=True, account=written, container="nightly")
        put(open_store(chosen, data_folder), "x.abf", b"1", replace=True)
        assert read(open_store(chosen, data_folder), "x.abf") == b"1"
    assert (account / "nightly/x.abf").exists()


def test_the_account_of_the_data_folder_has_a_name(tmp_path):
    put(own_store(tmp_path), "x.abf", b"1")
    by_name = BackupStorageSettings(enabled=True, account="storage", container="backups")
    assert read(open_store(by_name, tmp_path), "x.abf") == b"1"
    save_settings(tmp_path, by_name)
    assert read(own_store(tmp_path), "x.abf") == b"1"
    assert load_settings(tmp_path).account == str(tmp_path / "storage")


def test_a_name_that_nobody_registered_is_not_configured_and_makes_no_folder(tmp_path):
    chosen = BackupStorageSettings(enabled=True, account="contoso", container="backups")
    save_settings(tmp_path, chosen)
    with pytest.raises(StorageNotConfiguredError, match="there is no storage account 'contoso'") as caught:
        own_store(tmp_path)
    assert "accounts list" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_a_folder_in_the_data_folder_is_found_as_before_accounts_had_names(tmp_path):
    """An administrator of an earlier version wrote it into the file; a registered account of that name goes first."""
    (tmp_path / "mount" / "backups").mkdir(parents=True)
    (tmp_path / "settings.json").write_text(
        '{"backup_storage": {"enabled": true, "account": "mount", "container": "backups"}}'
    )
    put(own_store(tmp_path), "x.abf", b"1")
    assert (tmp_path / "mount/backups/x.abf").read_bytes() == b"1"


def test_a_registered_account_is_opened_without_a_call(tmp_path):
    chosen = BackupStorageSettings(enabled=True, account="Contoso", container="backups")
    record = RegisteredAccount("contoso", "https://contoso.blob.core.windows.net", "key", login="contoso")
    add_account(tmp_path, record, "c2VjcmV0")
    store = open_store(chosen, tmp_path)
    try:
        assert repr(store) == "AzureBlobStore(container backups of https://contoso.blob.core.windows.net)"
    finally:
        store.close()


def test_a_registered_account_that_speaks_s3_is_opened_without_a_call(tmp_path):
    add_account(tmp_path, *AccessKey("http://127.0.0.1:1", "eu-1", "AKIA1", "hunter2").record("minio"))
    account = open_account(tmp_path, "minio")
    try:
        assert type(account).__name__ == "S3Account"
        assert "hunter2" not in repr(account)
    finally:
        account.close()


def test_a_configured_container_that_is_missing_is_not_made(tmp_path):
    (tmp_path / "mount").mkdir()
    for account, container in (("mount", "backups"), ("nowhere", "backups"), ("storage", "nightly")):
        chosen = BackupStorageSettings(enabled=True, account=str(tmp_path / account), container=container)
        with pytest.raises(StoreUnavailableError, match=container):
            open_store(chosen, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mount"]
    assert list((tmp_path / "mount").iterdir()) == []


@pytest.mark.parametrize(
    ("account", "container"), [("/srv", "Nightly"), ("", "nightly"), ("a\0b", "nightly"), ("\ud800", "nightly")]
)
def test_settings_that_cannot_work_are_neither_saved_nor_opened(tmp_path, account, container):
    chosen = BackupStorageSettings(enabled=True, account=account, container=container)
    with pytest.raises(InvalidNameError):
        save_settings(tmp_path, chosen)
    with pytest.raises(InvalidNameError):
        open_store(chosen, tmp_path)
    assert list(tmp_path.iterdir()) == []


GOOD = '"enabled": true, "account": "/srv", "container": "abc"'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("[" * 5000, "not JSON"),
        ("null", "NoneType"),
        ("[]", "list"),
        ("{}", "backup_storage"),
        ('{"backup_storage": []}', "list"),
        (f'{{"backup_storage": {{{GOOD}}}, "more": 1}}', "more"),
        (f'{{"backup_storage": {{{GOOD}, "acount": "x"}}}}', "acount"),
        (f'{{"backup_storage": {{{GOOD}, "enabled": false}}}}', "twice"),
        ('{"backup_storage": {"enabled": true, "account": "/srv"}}', "container"),
        (f'{{"backup_storage": {{{GOOD}}}}}'.replace("true", "1"), "enabled is 1"),
        (f'{{"backup_storage": {{{GOOD}}}}}'.replace("true", '"yes"'), "enabled is 'yes'"),
        (f'{{"backup_storage": {{{GOOD}}}}}'.replace('"/srv"', "17"), "account is 17"),
        (f'{{"backup_storage": {{{GOOD}}}}}'.replace('"abc"', "[]"), r"container is \[\]"),
        (f'{{"backup_storage": {{{GOOD}}}}}'.replace('"abc"', "9" * 5000), "not JSON"),
        (" " * 65537, "65537 bytes"),
    ],
    ids=range(18),
)
def test_a_file_that_is_not_ours_is_refused_with_its_path(tmp_path, text, reason):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=reason) as caught:
        load_settings(tmp_path)
    assert caught.value.file == str(path)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "settings.json").write_bytes(b'{"backup_storage": "\xff"}')
    with pytest.raises(FormatError, match="not JSON"):
        load_settings(tmp_path)


def test_every_beginning_of_the_file_is_refused(tmp_path):
    save_settings(tmp_path, CONFIGURED)
    data = (tmp_path / "settings.json").read_bytes()
    for byte_count in range(len(data) - 2):
        (tmp_path / "settings.json").write_bytes(data[:byte_count])
        with pytest.raises(FormatError):
            load_settings(tmp_path)


@settings(deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=60)
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(
        lambda value: json.dumps({"backup_storage": value}).encode()
    )
)
def test_any_bytes_are_settings_or_a_named_error(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "any_settings"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_bytes(data)
    try:
        assert isinstance(load_settings(folder), BackupStorageSettings)
    except TabvaultError as error:
        assert str(folder) in str(error)  # noqa: PT017 - either outcome is right


def test_a_settings_file_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(StorageError, match="not a regular file"):
        load_settings(tmp_path)
    with pytest.raises(StorageError, match=r"settings\.json"):
        save_settings(tmp_path, CONFIGURED)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_a_missing_data_folder_is_named_when_saving(tmp_path):
    with pytest.raises(ObjectNotFoundError, match="nowhere"):
        save_settings(tmp_path / "nowhere", CONFIGURED)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lasting", [False, True])
def test_when_any_system_call_fails_the_settings_are_old_or_new(tmp_path, monkeypatch, when, lasting):
    old = BackupStorageSettings(enabled=False, account=None, container=None)
    for fail_at in itertools.count(1):
        save_settings(tmp_path, old)
        counter = CallCounter(fail_at=fail_at, when=when, error=OSError(28, "full"), lasting=lasting)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", FaultyModule(os, counter))
            try:
                save_settings(tmp_path, CONFIGURED)
                was_saved = True
            except StorageError:
                was_saved = False
        assert load_settings(tmp_path) in ([CONFIGURED] if was_saved else [old, CONFIGURED])
        if not lasting:
            # The temporary file is removed, unless that was what failed, or it was made and nobody was told.
            assert len(list(tmp_path.iterdir())) <= 1 + ("unlink" in counter.calls[fail_at - 1 :] or fail_at == 1)
        for leftover in tmp_path.glob(".*.tmp"):
            leftover.unlink()
        if not counter.has_failed:
            break
    assert was_saved
    assert fail_at > 4


def test_a_file_is_durable_before_it_gets_its_name(tmp_path, monkeypatch):
    counter = CallCounter()
    monkeypatch.setattr(durable, "os", FaultyModule(os, counter))
    write_file_durably(tmp_path / "x", b"1")
    assert counter.calls == ["open", "pwrite", "fsync", "rename", "open", "fsync"]


def test_folders_are_made_durable_from_the_top(tmp_path, monkeypatch):
    counter = CallCounter()
    monkeypatch.setattr(durable, "os", FaultyModule(os, counter))
    make_directory_durably(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    assert counter.calls == ["mkdir", "open", "fsync"] * 2
    make_directory_durably(tmp_path / "a/b")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_directory_durably(tmp_path / "file")
