"""Who comes with a request: headers written by hand, and attackers who try."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from tabvault.errors import NotAuthenticatedError, TooManyAttemptsError
from tabvault.jobs.access.principal import Scope
from tabvault.jobs.access.server_access import ServerAccess

HOME, ELSEWHERE = "203.0.113.1", "198.51.100.1"


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(tmp_path, clock):
    access = ServerAccess(tmp_path, clock=clock)
    access.accounts.create_user("Aladdin", "open sesame")
    return access


def basic(name, password, encoding="utf-8"):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()}


def refused(access, headers, address=HOME):
    with pytest.raises((NotAuthenticatedError, TooManyAttemptsError)) as caught:
        access.authenticate(headers, address)
    return type(caught.value)


def test_the_example_of_rfc_7617_logs_in(access):
    principal = access.authenticate({"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, HOME)
    assert (principal.name, principal.kind, principal.label) == ("Aladdin", "user", "Aladdin")
    assert principal.identities == {"aladdin"}
    assert not principal.is_server_administrator
    assert principal.limit is None


def test_a_password_may_hold_colons_and_letters_of_any_alphabet(access):
    access.accounts.create_user("DOMAIN\\Zoë", "pä:ss:wörd")
    for encoding in ("utf-8", "latin-1"):
        assert access.authenticate(basic("domain\\zoë", "pä:ss:wörd", encoding), HOME).name == "DOMAIN\\Zoë"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!!"},
        {"Authorization": "Basic QWxhZGRpbg=="},
        {"Authorization": "Basic " + "QUFB" * 4000},
        {"Authorization": "Basic \u00e9"},
        {"Authorization": "Digest username=Aladdin"},
        {"Authorization": "Negotiate TlRMTVNTUAAB"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Bearer tvk_0123456789abcdef_" + "A" * 43},
        {"X-API-Key": "Aladdin"},
        {"X-API-Key": ""},
        {**basic("Aladdin", "open sesame"), "X-API-Key": "tvk_"},
        basic("Aladdin", "Open sesame"),
        basic("Aladdin", ""),
        basic("", "open sesame"),
        basic("Nobody", "open sesame"),
        basic("Aladdin", "x" * 2000),
    ],
)
def test_a_credential_that_does_not_hold_is_refused(access, headers):
    assert refused(access, headers) is NotAuthenticatedError


def test_a_name_that_nobody_has_is_told_what_a_wrong_password_is_told(access):
    answers = []
    for name in ("Aladdin", "Nobody"):
        with pytest.raises(NotAuthenticatedError) as caught:
            access.authenticate(basic(name, "wrong"), HOME)
        answers.append((caught.value.message, caught.value.hint))
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("slow_scrypt")
def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(access):
    def fastest(name):
        times = []
        for _ in range(3):
            start = time.process_time()
            refused(access, basic(name, "wrong"))
            times.append(time.process_time() - start)
        return min(times)

    assert fastest("Nobody") > fastest("Aladdin") / 2


@pytest.mark.usefixtures("slow_scrypt")
def test_a_second_request_costs_no_scrypt(access):
    access.authenticate(basic("Aladdin", "open sesame"), HOME)
    start = time.process_time()
    for _ in range(500):
        access.authenticate(basic("aladdin", "open sesame"), HOME)
    assert (time.process_time() - start) / 500 < 0.002


def test_a_changed_password_and_a_removed_user_are_refused_at_once(access):
    access.authenticate(basic("Aladdin", "open sesame"), HOME)
    access.accounts.set_password("aladdin", "other")
    assert refused(access, basic("Aladdin", "open sesame")) is NotAuthenticatedError
    access.authenticate(basic("Aladdin", "other"), HOME)
    access.accounts.create_administrator("root", "pw")
    access.accounts.remove_user("aladdin")
    assert refused(access, basic("Aladdin", "other")) is NotAuthenticatedError


def test_a_user_who_becomes_administrator_is_one_at_his_next_request(access):
    assert not access.authenticate(basic("Aladdin", "open sesame"), HOME).is_server_administrator
    access.accounts.set_server_administrator("Aladdin", is_server_administrator=True)
    assert access.authenticate(basic("Aladdin", "open sesame"), HOME).is_server_administrator


def test_guessing_waits_and_locks_out_neither_the_user_at_home_nor_for_ever(access, clock):
    access.authenticate(basic("Aladdin", "open sesame"), HOME)
    for _ in range(6):
        assert refused(access, basic("Aladdin", "guess"), ELSEWHERE) is NotAuthenticatedError
    # The attacker waits, even with the right password, and so does anybody at a new place.
    assert refused(access, basic("Aladdin", "open sesame"), ELSEWHERE) is TooManyAttemptsError
    assert refused(access, basic("ALADDIN", "open sesame"), "192.0.2.77") is TooManyAttemptsError
    # The user at home does not.
    assert access.authenticate(basic("Aladdin", "open sesame"), HOME).name == "Aladdin"
    clock.now_s += 1.01
    assert access.authenticate(basic("Aladdin", "open sesame"), ELSEWHERE).name == "Aladdin"


def test_names_that_nobody_has_are_throttled_like_others(access):
    for _ in range(6):
        refused(access, basic("Nobody", "guess"))
    assert refused(access, basic("nobody", "guess")) is TooManyAttemptsError


def test_a_remembered_password_gives_no_way_around_the_throttle(access):
    access.authenticate(basic("Aladdin", "open sesame"), HOME)
    for number in range(21):
        access._authenticator._throttle.failed(HOME, f"user{number}")
    # From an address that guessed too often even the right one is not looked at: else it would answer guesses.
    assert refused(access, basic("Aladdin", "open sesame"), HOME) is TooManyAttemptsError


@pytest.mark.usefixtures("slow_scrypt")
def test_guesses_at_the_same_time_are_counted_like_guesses_in_turn(access):
    kinds = []

    def guess(number):
        kinds.append(refused(access, basic("Aladdin", f"guess {number}"), f"192.0.2.{number}"))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind.__name__ for kind in kinds) == ["NotAuthenticatedError"] * 6 + ["TooManyAttemptsError"] * 6


@pytest.mark.usefixtures("slow_scrypt")
def test_sessions_of_one_user_that_begin_together_all_come_in(access):
    names = []

    def log_in():
        names.append(access.authenticate(basic("Aladdin", "open sesame"), HOME).name)

    threads = [threading.Thread(target=log_in) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["Aladdin"] * 16


@pytest.mark.parametrize("header", ["x-api-key", "X-API-Key", "Authorization"])
def test_an_api_key_acts_for_its_owner_within_its_limit(access, header):
    _, text = access.accounts.create_api_key("aladdin", "nightly", ["backup"], databases=["Sales"])
    principal = access.authenticate({header: f"Bearer {text}" if header == "Authorization" else text}, HOME)
    assert (principal.name, principal.kind, principal.label) == (
        "Aladdin",
        "api_key",
        "Aladdin (API key nightly)",
    )
    assert principal.allows(Scope.BACKUP, "SALES")
    assert not principal.allows(Scope.BACKUP, "Other")
    assert not principal.allows(Scope.RESTORE, "Sales")


def test_an_api_key_of_an_administrator_is_one_only_with_the_scope_and_all_databases(access):
    access.accounts.create_administrator("root", "pw")
    found = []
    for name, scopes, databases in (
        ("a", ["admin"], None),
        ("b", ["read", "backup", "restore"], None),
        ("c", ["admin"], ["Sales"]),
    ):
        _, text = access.accounts.create_api_key("root", name, scopes, databases=databases)
        found.append(access.authenticate({"X-API-Key": text}, HOME).is_server_administrator)
    assert found == [True, False, False]


def test_wrong_api_keys_make_their_address_wait_and_a_good_key_never_waits(access):
    _, text = access.accounts.create_api_key("Aladdin", "k", ["read"])
    kinds = [refused(access, {"X-API-Key": text[:-1] + "!"}) for _ in range(22)]
    assert kinds == [NotAuthenticatedError] * 21 + [TooManyAttemptsError]
    assert access.authenticate({"X-API-Key": text}, HOME).name == "Aladdin"


def test_no_error_holds_a_password(access):
    for headers in (basic("Aladdin", "hunter2-hunter2"), {"X-API-Key": "tvk_hunter2-hunter2"}):
        with pytest.raises(NotAuthenticatedError) as caught:
            access.authenticate(headers, HOME)
        assert "hunter2" not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"
