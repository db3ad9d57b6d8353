"""The container that a data folder has of its own: made by the first upload, and never again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from storage.configured_store import own_store
from tabvault.errors import InvalidNameError, ObjectNotFoundError, StoreUnavailableError
from tabvault.storage.settings import BackupStorageSettings, load_settings, save_settings
from tabvault.testing.store_contract import put, read

if TYPE_CHECKING:
    from pathlib import Path


def test_looking_makes_nothing(tmp_path: Path) -> None:
    store = own_store(tmp_path)
    assert list(store.list()) == []
    assert store.free_byte_count() is None
    for verb in (store.open, store.info, store.remove):
        with pytest.raises(ObjectNotFoundError, match=r"no object x\.abf: nothing was ever put into container backups"):
            verb("/x.abf")
        with pytest.raises(InvalidNameError):
            verb("../x.abf")
    with pytest.raises(InvalidNameError):
        store.create("../x.abf", replace=False)
    assert list(tmp_path.iterdir()) == []


def test_the_first_upload_makes_the_container_and_remembers_it(tmp_path: Path) -> None:
    before = load_settings(tmp_path)
    store = own_store(tmp_path)
    with store.create("x.abf", replace=False, head_byte_count=1, upload_key="k", facts={"a": "b"}) as upload:
        upload.finish(b"1")
    store.close()
    assert store.remote_place is None
    assert read(store, "x.abf") == b"1", "also through the store that was there before"
    assert [info.name for info in store.list()] == ["x.abf"]
    assert isinstance(store.free_byte_count(), int)
    assert (tmp_path / "settings.json").exists()
    assert load_settings(tmp_path) == before


@pytest.mark.parametrize("gone", ["storage", "storage/backups"])
def test_a_container_that_vanished_is_an_error_and_is_not_made_anew(tmp_path: Path, gone: str) -> None:
    put(own_store(tmp_path), "x.abf", b"1")
    late = own_store(tmp_path)
    shutil.rmtree(tmp_path / gone)
    for act in (
        lambda: own_store(tmp_path),
        late.list,
        lambda: late.create("y.abf", replace=False),
        lambda: late.open("x.abf"),
    ):
        with pytest.raises(StoreUnavailableError, match="container backups is not in storage account") as caught:
            act()
        assert caught.value.hint.endswith(f"tabvault storage containers create {tmp_path / 'storage' / 'backups'}")
    assert not (tmp_path / "storage/backups").exists()


def test_a_container_from_before_anything_was_remembered_is_used_and_remembered(tmp_path: Path) -> None:
    (tmp_path / "storage/backups").mkdir(parents=True)
    (tmp_path / "storage/backups/old.abf").write_bytes(b"0")
    assert [info.name for info in own_store(tmp_path).list()] == ["old.abf"]
    own_store(tmp_path).remove("old.abf")
    assert not (tmp_path / "settings.json").exists()
    put(own_store(tmp_path), "x.abf", b"1")
    assert (tmp_path / "settings.json").exists()


def test_settings_made_meanwhile_are_not_written_over(tmp_path: Path) -> None:
    early = own_store(tmp_path)
    chosen = BackupStorageSettings(enabled=False, account=None, container=None)
    save_settings(tmp_path, chosen)
    put(early, "x.abf", b"1")
    assert load_settings(tmp_path) == chosen


def test_a_data_folder_with_its_own_storage_may_be_moved(tmp_path: Path) -> None:
    put(own_store(tmp_path / "data"), "x.abf", b"1")
    save_settings(tmp_path / "data", load_settings(tmp_path / "data"))
    (tmp_path / "data").rename(tmp_path / "moved")
    assert load_settings(tmp_path / "moved").account == str(tmp_path / "moved/storage")
    assert read(own_store(tmp_path / "moved"), "x.abf") == b"1"
