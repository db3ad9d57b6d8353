"""The file of accounts: what is written by hand is read, what is written is private, what is damaged is refused."""

from __future__ import annotations

import datetime
import json
import stat

import pytest

from tabvault.errors import FormatError, StorageError
from tabvault.storage.server_state.accounts import (
    Accounts,
    ApiKeyRecord,
    PasswordRecord,
    UserRecord,
    load_accounts,
    save_accounts,
)

BY_HAND = """{"format_version": 1,
 "users": [{"name": "Zo\\u00eb", "is_server_administrator": true, "created": "2025-03-01T10:00:00+01:00",
   "password": {"salt": "000102030405060708090a0b0c0d0e0f", "key": "ffffffffffffffffffffffffffffffff",
                "n": 32768, "r": 8, "p": 3}}],
 "api_keys": [{"id": "0123456789abcdef", "name": "nightly", "owner": "zo\\u00eb",
   "secret_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
   "scopes": ["backup", "read"], "databases": ["Sales"], "created": "2025-03-01T09:00:00+00:00",
   "expires": null, "last_used": "2025-03-02"}]}
"""
MORNING = datetime.datetime(2025, 3, 1, 9, tzinfo=datetime.UTC)
RECORDS = Accounts(
    (UserRecord("Zoë", True, MORNING, PasswordRecord(bytes(range(16)), b"\xff" * 16, 32768, 8, 3)),),
    (
        ApiKeyRecord(
            id="0123456789abcdef",
            name="nightly",
            owner="zoë",
            secret_sha256=bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            scopes=frozenset({"read", "backup"}),
            databases=frozenset({"Sales"}),
            created=MORNING,
            last_used=datetime.date(2025, 3, 2),
        ),
    ),
)


def written(tmp_path, text):
    (tmp_path / "server").mkdir(exist_ok=True)
    (tmp_path / "server" / "accounts.json").write_text(text)
    return tmp_path


def changed(change):
    document = json.loads(BY_HAND)
    change(document)
    return json.dumps(document)


def test_a_file_written_by_hand_is_read(tmp_path):
    assert load_accounts(written(tmp_path, BY_HAND)) == RECORDS


def test_what_was_saved_is_loaded(tmp_path):
    save_accounts(tmp_path, RECORDS)
    assert load_accounts(tmp_path) == RECORDS


def test_a_data_folder_without_the_file_has_no_accounts(tmp_path):
    assert load_accounts(tmp_path) == Accounts()


def test_only_the_owner_may_read_the_file(tmp_path):
    (tmp_path / "server").mkdir(0o755)
    save_accounts(tmp_path, RECORDS)
    assert stat.S_IMODE((tmp_path / "server" / "accounts.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "server").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "server").iterdir()] == ["accounts.json"]


def test_every_prefix_of_the_file_is_refused(tmp_path):
    text = BY_HAND.rstrip()
    for length in range(len(text)):
        with pytest.raises(FormatError):
            load_accounts(written(tmp_path, text[:length]))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d.update(format_version=2), "format_version is 2"),
        (lambda d: d.update(more=1), "'more'"),
        (lambda d: d["users"].append(dict(d["users"][0], name="ZOË")), "users is holding 'zoë' twice"),
        (lambda d: d["users"][0].pop("created"), r"users\[0\] is"),
        (lambda d: d["users"][0].update(name=7), r"users\[0\].name is 7"),
        (lambda d: d["users"][0].update(is_server_administrator=1), "is 1, not true or false"),
        (lambda d: d["users"][0].update(created="2025-03-01T09:00:00"), "with an offset"),
        (lambda d: d["users"][0]["password"].update(n=3), "not a power of two"),
        (lambda d: d["users"][0]["password"].update(n=1 << 40), "not a whole number from"),
        (lambda d: d["users"][0]["password"].update(n=1 << 20, r=32), "scrypt would take 4294967296 bytes"),
        (lambda d: d["users"][0]["password"].update(p=True), "is True, not a whole number"),
        (lambda d: d["users"][0]["password"].update(salt="0g"), "not hexadecimal"),
        (lambda d: d["users"][0]["password"].update(key="00"), "1 bytes, not from 16 to 64"),
        (lambda d: d["api_keys"][0].update(scopes="backup"), "not an array"),
        (lambda d: d["api_keys"][0].update(last_used="yesterday"), "not a date"),
        (lambda d: d["api_keys"].append(d["api_keys"][0]), "twice"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(tmp_path, change, place):
    with pytest.raises(FormatError, match=place) as caught:
        load_accounts(written(tmp_path, changed(change)))
    assert caught.value.file == str(tmp_path / "server" / "accounts.json")
    assert caught.value.hint


def test_a_key_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(FormatError, match="stands twice"):
        load_accounts(written(tmp_path, '{"format_version": 1, "users": [], "users": [], "api_keys": []}'))


def test_a_file_that_is_too_large_or_nested_too_deeply_is_refused(tmp_path):
    for text in (" " * ((16 << 20) + 1), "[" * 100_000):
        with pytest.raises(FormatError):
            load_accounts(written(tmp_path, text))


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "server").write_text("in the way")
    with pytest.raises(StorageError):
        save_accounts(tmp_path, RECORDS)


def test_no_password_stands_in_the_text_of_a_record():
    assert "ffff" not in repr(RECORDS.users[0]).lower()
    assert "xff" not in repr(RECORDS.users[0])
