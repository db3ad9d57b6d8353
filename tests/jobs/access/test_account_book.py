"""Users and API keys: what is created holds after a restart, what is removed does not."""

from __future__ import annotations

import datetime
import hashlib
import json

import pytest

from tabvault.errors import RequestError, StorageError
from tabvault.jobs.access.accounts import AccountBook
from tabvault.jobs.access.passwords import verify_password

NOON = datetime.datetime(2025, 3, 1, 12, tzinfo=datetime.UTC)


class Now:
    def __init__(self):
        self.value = NOON

    def __call__(self):
        return self.value


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def book(tmp_path, now):
    return AccountBook(tmp_path, now=now)


def stored(tmp_path):
    return (tmp_path / "server" / "accounts.json").read_text()


def test_an_administrator_is_made_with_a_password_that_is_nowhere_on_the_disk(tmp_path, book):
    assert not book.has_administrator
    name, password = book.create_administrator()
    assert (name, len(password)) == ("admin", 24)
    assert password not in stored(tmp_path)
    again = AccountBook(tmp_path)
    assert again.has_administrator
    assert verify_password(again.user("ADMIN"), password)


def test_a_made_up_name_is_one_that_nobody_has(book):
    book.create_user("Admin", "pw")
    assert book.create_administrator(password="one")[0] == "admin2"
    assert not book.user("admin").is_server_administrator


def test_a_named_user_becomes_the_administrator_with_that_password(tmp_path, book):
    book.create_user("alice", "old")
    assert book.create_administrator("ALICE", "secret") == ("alice", "secret")
    alice = AccountBook(tmp_path).user("alice")
    assert alice.is_server_administrator
    assert verify_password(alice, "secret")
    assert not verify_password(alice, "old")
    assert len(book.users) == 1


def test_names_differ_by_more_than_case_and_composition(book):
    book.create_user("Zoë@contoso.com", "pw")
    for name in ("zoë@contoso.com", "ZOE\u0308@CONTOSO.COM"):
        with pytest.raises(RequestError, match="exists"):
            book.create_user(name, "pw")


@pytest.mark.parametrize("name", ["", " alice", "alice ", "a:b", "app:1@t", "a\nb", "a\0b", "x" * 257, "a\u202eb"])
def test_what_cannot_be_a_user_name_is_refused(tmp_path, book, name):
    with pytest.raises(RequestError) as caught:
        book.create_user(name, "pw")
    assert caught.value.path == "name"
    assert not (tmp_path / "server").exists()


def test_the_last_administrator_stays(book):
    book.create_administrator("alice", "pw")
    with pytest.raises(RequestError, match="last server administrator"):
        book.remove_user("alice")
    with pytest.raises(RequestError, match="last server administrator"):
        book.set_server_administrator("alice", is_server_administrator=False)
    book.create_user("bob", "pw")
    book.set_server_administrator("bob", is_server_administrator=True)
    book.remove_user("Alice")
    assert [user.name for user in book.users] == ["bob"]


def test_an_unknown_user_cannot_be_changed(book):
    for change in (
        lambda: book.remove_user("ghost"),
        lambda: book.set_password("ghost", "pw"),
        lambda: book.set_server_administrator("ghost", is_server_administrator=True),
        lambda: book.create_api_key("ghost", "k", ["read"]),
    ):
        with pytest.raises(RequestError, match="no user 'ghost'"):
            change()


def test_an_api_key_is_found_again_and_its_secret_is_nowhere_on_the_disk(tmp_path, book, now):
    book.create_user("alice", "pw")
    record, text = book.create_api_key("ALICE", "nightly", ["backup", "read"], databases=["Sales"])
    prefix, key_id, secret = text.split("_", 2)
    assert (prefix, key_id, len(secret)) == ("tvk", record.id, 43)
    assert secret not in stored(tmp_path)
    entry = json.loads(stored(tmp_path))["api_keys"][0]
    assert entry["secret_sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert (entry["owner"], entry["scopes"], entry["databases"]) == ("alice", ["backup", "read"], ["Sales"])
    found = AccountBook(tmp_path, now=now).find_api_key(text)
    assert found is not None
    assert found[0].id == record.id
    assert found[1].name == "alice"


def test_an_api_key_that_differs_in_one_place_is_none(book):
    book.create_user("alice", "pw")
    _, text = book.create_api_key("alice", "k", ["read"])
    for index in range(len(text)):
        other = text[:index] + ("0" if text[index] != "0" else "1") + text[index + 1 :]
        assert book.find_api_key(other) is None, other
    for other in ("", "tvk_", "tvk__", text[:-1], text + "A", text + "\n", " " + text, "tvk_é_é"):
        assert book.find_api_key(other) is None, other
    assert book.find_api_key(text) is not None


def test_an_api_key_expires(book, now):
    book.create_user("alice", "pw")
    expires = NOON + datetime.timedelta(hours=1)
    record, text = book.create_api_key("alice", "k", ["read"], expires=expires)
    now.value = expires - datetime.timedelta(seconds=1)
    assert book.find_api_key(text) is not None
    now.value = expires
    assert book.find_api_key(text) is None
    assert book.api_keys()[0].id == record.id, "the list still shows it"


def test_a_revoked_api_key_and_those_of_a_removed_user_are_none(tmp_path, book):
    book.create_administrator("root", "pw")
    book.create_user("alice", "pw")
    first, first_text = book.create_api_key("alice", "first", ["read"])
    _, second_text = book.create_api_key("alice", "second", ["read"])
    _, third_text = book.create_api_key("root", "first", ["read"])
    assert book.revoke_api_key(first.id).name == "first"
    assert book.find_api_key(first_text) is None
    with pytest.raises(RequestError, match="no API key"):
        book.revoke_api_key(first.id)
    book.remove_user("alice")
    book.create_user("alice", "pw")
    again = AccountBook(tmp_path)
    assert again.find_api_key(second_text) is None
    assert again.find_api_key(third_text) is not None
    assert again.api_keys("ALICE") == ()


def test_the_last_use_of_an_api_key_is_written_once_a_day(tmp_path, book, now):
    book.create_user("alice", "pw")
    _, text = book.create_api_key("alice", "k", ["read"])
    book.find_api_key(text)
    path = tmp_path / "server" / "accounts.json"
    assert json.loads(path.read_text())["api_keys"][0]["last_used"] == "2025-03-01"
    before = path.stat().st_ino
    now.value += datetime.timedelta(hours=11)
    book.find_api_key(text)
    assert path.stat().st_ino == before
    now.value += datetime.timedelta(hours=1)
    book.find_api_key(text)
    assert book.api_keys()[0].last_used == datetime.date(2025, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["write"]}, "scopes"),
        ({"scopes": ["read", "Admin"]}, "scopes"),
        ({"scopes": ["read"], "databases": []}, "databases"),
        ({"scopes": ["read"], "databases": ["", "a"]}, "databases"),
        ({"scopes": ["read"], "expires": NOON}, "expires"),
        ({"scopes": ["read"], "expires": datetime.datetime(2030, 1, 1)}, "expires"),  # noqa: DTZ001
        ({"scopes": ["read"], "name": ""}, "name"),
        ({"scopes": ["read"], "name": "a\nb"}, "name"),
        ({"scopes": ["read"], "name": "x" * 129}, "name"),
        ({"scopes": ["read"], "name": "taken"}, "name"),
    ],
)
def test_an_api_key_that_cannot_be_is_refused(book, arguments, path):
    book.create_user("alice", "pw")
    book.create_api_key("alice", "taken", ["read"])
    with pytest.raises(RequestError) as caught:
        book.create_api_key(**{"owner": "alice", "name": "k", **arguments})
    assert caught.value.path == path
    assert len(book.api_keys()) == 1


def test_a_change_that_could_not_be_written_has_not_happened(tmp_path, book):
    book.create_user("alice", "pw")
    _, text = book.create_api_key("alice", "k", ["read"])
    path = tmp_path / "server" / "accounts.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError):
        book.create_user("bob", "pw")
    with pytest.raises(StorageError):
        book.set_password("alice", "other")
    assert book.user("bob") is None
    assert verify_password(book.user("alice"), "pw")
    assert book.find_api_key(text) is not None, "a disk that is full keeps nobody out"
