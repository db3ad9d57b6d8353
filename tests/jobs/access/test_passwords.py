"""Passwords: scrypt against the vectors of its RFC, and what is remembered of a right one."""

from __future__ import annotations

import datetime

import pytest

from tabvault.errors import RequestError
from tabvault.jobs.access.passwords import check_password, hash_password, verify_password
from tabvault.jobs.access.verified_passwords import ENTRY_COUNT_MAX, REMEMBERED_S, VerifiedPasswords
from tabvault.storage.server_state.accounts import PasswordRecord, UserRecord

RFC_7914_1024 = (
    "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
    "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
)
RFC_7914_16384 = (
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


def user(record, name="alice"):
    return UserRecord(name, False, datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC), record)


def cheap(key=b"k" * 32, salt=b"s" * 16):
    return user(PasswordRecord(salt, key, 2, 1, 1))


@pytest.mark.parametrize(
    ("password", "salt", "n", "p", "key"),
    [
        ("password", b"NaCl", 1024, 16, RFC_7914_1024),
        ("pleaseletmein", b"SodiumChloride", 16384, 1, RFC_7914_16384),
    ],
)
def test_the_vectors_of_rfc_7914_are_right_passwords(password, salt, n, p, key):
    record = PasswordRecord(salt, bytes.fromhex(key), n, 8, p)
    assert verify_password(user(record), password)
    assert not verify_password(user(record), password + "!")
    assert not verify_password(None, password)


def test_two_users_of_one_password_have_different_keys():
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first.salt != second.salt
    assert first.key != second.key
    assert verify_password(user(first), "correct horse")
    assert not verify_password(user(first), "Correct horse")


def test_a_composed_accent_is_that_of_another_keyboard():
    record = hash_password("caf\u00e9")
    assert verify_password(user(record), "cafe\u0301")
    assert not verify_password(user(record), "cafe")


@pytest.mark.parametrize("password", ["", "x" * 1025, "with\nbreak", "with\0nul", "half\ud800"])
def test_what_cannot_be_a_password_is_refused(password):
    with pytest.raises(RequestError) as caught:
        check_password(password)
    assert caught.value.path == "password"
    assert password not in caught.value.message or not password


def test_a_right_password_is_remembered_for_its_user_and_address_only():
    verified = VerifiedPasswords()
    alice = cheap()
    verified.remember(alice, "secret", "10.0.0.1")
    assert verified.holds(alice, "secret", "10.0.0.1")
    assert not verified.holds(alice, "Secret", "10.0.0.1")
    assert not verified.holds(alice, "secret", "10.0.0.2")
    assert not verified.holds(cheap(key=b"n" * 32), "secret", "10.0.0.1"), "the password has changed"
    assert not verified.holds(cheap(salt=b"n" * 16), "secret", "10.0.0.1"), "another user of that key"


def test_the_parts_of_what_is_remembered_do_not_run_into_each_other():
    verified = VerifiedPasswords()
    verified.remember(cheap(), "1secret", "10.0.0.")
    assert not verified.holds(cheap(), "secret", "10.0.0.1")


def test_a_password_is_forgotten_some_minutes_after_its_last_use():
    now = [0.0]
    verified = VerifiedPasswords(lambda: now[0])
    verified.remember(cheap(), "secret", "a")
    for _ in range(5):
        now[0] += REMEMBERED_S - 1
        assert verified.holds(cheap(), "secret", "a")
    now[0] += REMEMBERED_S
    assert not verified.holds(cheap(), "secret", "a")


def test_the_memory_of_passwords_is_bounded_and_keeps_those_in_use():
    verified = VerifiedPasswords(lambda: 0.0)
    verified.remember(cheap(), "in use", "a")
    verified.remember(cheap(), "idle", "a")
    for number in range(ENTRY_COUNT_MAX - 1):
        assert verified.holds(cheap(), "in use", "a")
        verified.remember(cheap(), f"other {number}", "a")
    assert verified.holds(cheap(), "in use", "a")
    assert not verified.holds(cheap(), "idle", "a")
    assert len(verified._until) == ENTRY_COUNT_MAX
