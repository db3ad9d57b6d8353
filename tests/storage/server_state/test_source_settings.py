"""Credentials of data sources and folders of source files: kept, sealed, bound to one address."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, RequestError, TabvaultError
from tabvault.storage.server_state.sealing import KEY_FILE, seal, unseal
from tabvault.storage.server_state.source_credentials import (
    CREDENTIALS_FILE,
    bind_credential,
    find_credential,
    load_credentials,
    login_of,
    unbind_credential,
)
from tabvault.storage.server_state.source_folders import allow_folder, disallow_folder, load_source_folders
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.testing.faults import When

PASSWORD = "hunter2"
ADDRESS = "postgresql:db.example:5432;dwh"


def bind(data: Path, *, database: str = "sales", source: str = "Warehouse", password: str | None = PASSWORD) -> None:
    bind_credential(data, database_id=database, data_source=source, address=ADDRESS, user="reader", password=password)


def test_a_bound_credential_comes_back_whole(tmp_path: Path) -> None:
    bind(tmp_path)
    bound = find_credential(tmp_path, database_id="SALES", data_source="warehouse")
    assert bound is not None
    assert (bound.address, bound.user) == (ADDRESS, "reader")
    assert login_of(tmp_path, bound).password == "hunter2"


def test_the_password_stands_in_no_file_and_in_no_text_of_the_values(tmp_path: Path) -> None:
    bind(tmp_path)
    for file in (tmp_path / "server").iterdir():
        assert b"hunter2" not in file.read_bytes()
    (bound,) = load_credentials(tmp_path)
    assert "hunter2" not in f"{bound!r} {login_of(tmp_path, bound)!r}"
    assert bound.sealed is not None
    assert bound.sealed.hex() not in repr(bound)


def test_only_the_owner_may_read_key_and_credentials(tmp_path: Path) -> None:
    bind(tmp_path)
    for name in (KEY_FILE, CREDENTIALS_FILE):
        assert stat.S_IMODE((tmp_path / "server" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "server").stat().st_mode) == 0o700


def test_a_sealed_secret_is_aes_256_gcm_as_the_module_says(tmp_path: Path) -> None:
    sealed = seal(tmp_path, "hunter2", about="a source")
    key = (tmp_path / "server" / KEY_FILE).read_bytes()
    assert len(key) == 32
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"a source") == b"hunter2"


@given(secret=st.text(max_size=50), about=st.text(st.characters(codec="utf-8"), max_size=20))
@settings(deadline=None, max_examples=15)
def test_every_secret_comes_back(tmp_path_factory: pytest.TempPathFactory, secret: str, about: str) -> None:
    data = tmp_path_factory.mktemp("data")
    assert unseal(data, seal(data, secret, about=about), about=about) == secret


def test_a_secret_that_was_moved_to_another_data_source_does_not_open(tmp_path: Path) -> None:
    bind(tmp_path)
    file = tmp_path / "server" / CREDENTIALS_FILE
    document = json.loads(file.read_text())
    document["credentials"][0]["address"] = "postgresql:evil.example:5432;dwh"
    file.write_text(json.dumps(document))
    (bound,) = load_credentials(tmp_path)
    with pytest.raises(FormatError, match="cannot be opened"):
        login_of(tmp_path, bound)


@pytest.mark.parametrize("position", [0, 11, 12, -1])
def test_a_changed_byte_of_a_sealed_secret_is_noticed(tmp_path: Path, position: int) -> None:
    sealed = bytearray(seal(tmp_path, "hunter2", about="a source"))
    sealed[position] ^= 1
    with pytest.raises(FormatError, match="cannot be opened"):
        unseal(tmp_path, bytes(sealed), about="a source")


def test_without_the_key_a_secret_is_lost_and_says_so(tmp_path: Path) -> None:
    bind(tmp_path)
    (tmp_path / "server" / KEY_FILE).unlink()
    (bound,) = load_credentials(tmp_path)
    with pytest.raises(FormatError, match="cannot be opened") as caught:
        login_of(tmp_path, bound)
    assert caught.value.hint == "set it anew"


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    seal(tmp_path, "hunter2", about="a source")
    (tmp_path / "server" / KEY_FILE).write_bytes(b"short")
    with pytest.raises(FormatError, match="the key has 5 bytes, not 32"):
        seal(tmp_path, "hunter3", about="a source")


def test_a_new_credential_takes_the_place_of_the_old_one_and_of_no_other(tmp_path: Path) -> None:
    bind(tmp_path)
    bind(tmp_path, source="Other", password="second")
    bind(tmp_path, source="WAREHOUSE", password="third")
    found = {bound.data_source: login_of(tmp_path, bound).password for bound in load_credentials(tmp_path)}
    assert found == {"Other": "second", "WAREHOUSE": "third"}


def test_credentials_are_forgotten_one_by_one_or_with_their_database(tmp_path: Path) -> None:
    for database, source in (("sales", "a"), ("sales", "b"), ("hr", "a")):
        bind(tmp_path, database=database, source=source)
    assert unbind_credential(tmp_path, database_id="sales", data_source="B")
    assert not unbind_credential(tmp_path, database_id="sales", data_source="b")
    assert [bound.key for bound in load_credentials(tmp_path)] == [("sales", "a"), ("hr", "a")]
    assert unbind_credential(tmp_path, database_id="Sales")
    assert [bound.key for bound in load_credentials(tmp_path)] == [("hr", "a")]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failing_write_leaves_the_old_credential_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    bind(tmp_path)
    for fail_at in range(1, 1000):
        counter = CallCounter(fail_at=fail_at, when=when, error=OSError("the fault of the test"))
        with monkeypatch.context() as patch:
            patch.setattr("tabvault.storage.durable.os", FaultyModule(os, counter, SYSTEM_CALLS))
            with contextlib.suppress(TabvaultError):
                bind(tmp_path, password="second")
        (bound,) = load_credentials(tmp_path)
        assert login_of(tmp_path, bound).password in ("hunter2", "second")
        if not counter.has_failed:
            break
    assert fail_at > 3
    assert login_of(tmp_path, bound).password == "second"


def test_a_folder_is_kept_without_its_links(tmp_path: Path) -> None:
    data, exports = tmp_path / "data", tmp_path / "exports"
    data.mkdir()
    exports.mkdir()
    (tmp_path / "link").symlink_to(exports)
    assert load_source_folders(data) == ()
    assert allow_folder(data, tmp_path / "link") == exports.resolve()
    assert allow_folder(data, exports) == exports.resolve()
    assert load_source_folders(data) == (exports.resolve(),)


def test_a_folder_that_is_gone_can_be_disallowed(tmp_path: Path) -> None:
    data, exports = tmp_path / "data", tmp_path / "exports"
    data.mkdir()
    exports.mkdir()
    allow_folder(data, exports)
    exports.rmdir()
    assert disallow_folder(data, exports)
    assert not disallow_folder(data, exports)
    assert load_source_folders(data) == ()


@pytest.mark.parametrize("inside", [".", "..", "databases"])
def test_the_data_folder_itself_is_not_allowed(tmp_path: Path, inside: str) -> None:
    data = tmp_path / "data"
    (data / "databases").mkdir(parents=True)
    with pytest.raises(RequestError, match="holds the data folder or lies in it"):
        allow_folder(data, data / inside)
    assert load_source_folders(data) == ()


def test_what_is_no_folder_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "missing"):
        with pytest.raises(RequestError, match="is not a folder"):
            allow_folder(tmp_path / "data", tmp_path / name)


def test_a_relative_folder_in_the_file_is_damage(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "source-folders.json").write_text('{"format_version": 1, "folders": ["exports"]}')
    with pytest.raises(FormatError, match="not an absolute path"):
        load_source_folders(tmp_path)
