"""Who is not let in over HTTP: wrong tokens, keys and passwords; and who has guessed too often."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from conftest import sample_path
from faces.server.xmla import xmla_wire as wire
from tabvault.faces.server.authentication import FAILURE_LINE_COUNT_MAX, FAILURE_LINE_INTERVAL_S, FailureLines
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.identity_providers import IdentityProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.served_process import Served

ISSUER = "https://login.example.org/t"
AUDIENCE = "api://tabvault"
OWN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def number(value: int, byte_count: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(byte_count, "big")).rstrip(b"=").decode()


def key_set() -> str:
    numbers = OWN.public_key().public_numbers()
    key = {"kty": "RSA", "kid": "k", "use": "sig", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
    return json.dumps({"keys": [key]})


def token(*, signed_by: object = OWN, headers: dict[str, str] | None = None, **claims: object) -> str:
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "s",
        "oid": "1",
        "tid": "t",
        "preferred_username": "tess@example.org",
        "iat": now - 10,
        "nbf": now - 10,
        "exp": now + 600,
        **claims,
    }
    given = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(given, signed_by, algorithm="RS256", headers={"kid": "k", **(headers or {})})


def unsigned() -> str:
    parts = token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"k"}').rstrip(b"=").decode()
    return f"{head}.{parts[1]}."


def public_pem() -> bytes:
    return OWN.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def signed_with_the_public_key() -> str:
    """HS256, whose secret is the public key: the confusion of algorithms."""
    import hashlib
    import hmac

    payload = token().split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"k"}').rstrip(b"=").decode()
    mac = hmac.new(public_pem(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("credentials") / "data"
    with Vault(data) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
    access = ServerAccess(data)
    access.set_identity_providers(
        (IdentityProvider(ISSUER, (AUDIENCE,), "t", jwks=key_set(), administrators=("tess@example.org",)),)
    )
    accounts = access.accounts
    accounts.create_user("root", "a root's password", is_server_administrator=True)
    accounts.create_user("bob", "a bob's password")
    _, keys["admin"] = accounts.create_api_key("root", "admin", ["admin"], databases=None, expires=None)
    _, keys["read"] = accounts.create_api_key("root", "read", ["read"], databases=["shop"], expires=None)
    _, keys["other"] = accounts.create_api_key("root", "other", ["admin"], databases=["other"], expires=None)
    _, keys["bob"] = accounts.create_api_key("bob", "bob", ["admin"], databases=None, expires=None)
    revoked, keys["revoked"] = accounts.create_api_key("root", "revoked", ["admin"], databases=None, expires=None)
    accounts.revoke_api_key(revoked.id)
    with wire.serving(data) as made:
        yield made


QUERY = wire.statement("EVALUATE 'ABC'", catalog="shop")


def ask(served: Served, body: bytes = QUERY, **headers: str) -> wire.Answer:
    given = {"Content-Type": "text/xml", **{name.replace("_", "-"): value for name, value in headers.items()}}
    with wire.Client(served.url, given) as client:
        return client.post(body)


def test_a_good_token_and_a_good_key_are_let_in(served: Served, keys: dict[str, str]) -> None:
    assert ask(served, Authorization=f"Bearer {token()}").row_count == 6
    assert ask(served, Authorization=f"Bearer {keys['admin']}").row_count == 6
    assert ask(served, X_API_Key=keys["read"]).row_count == 6


BAD_TOKENS = {
    "another audience": lambda: token(aud="api://another"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://login.example.org/u"),
    "no issuer": lambda: token(iss=None),
    "another tenant": lambda: token(tid="u"),
    "expired": lambda: token(exp=int(time.time()) - 3600),
    "without an end": lambda: token(exp=None),
    "not yet": lambda: token(nbf=int(time.time()) + 3600),
    "signed by another": lambda: token(signed_by=OTHER),
    "an unknown key": lambda: token(headers={"kid": "x"}, signed_by=OTHER),
    "no signature": unsigned,
    "the public key as a secret": signed_with_the_public_key,
    "a changed payload": lambda: token()[:-400] + "A" + token()[-399:],
    "a key in the token": lambda: token(signed_by=OTHER, headers={"jku": "http://127.0.0.1:1/keys"}),
    "no token": lambda: "x.y.z",
    "a long one": lambda: "a" * 40_000,
}


@pytest.mark.parametrize("what", BAD_TOKENS)
def test_a_token_that_does_not_hold_is_refused(served: Served, what: str) -> None:
    answer = ask(served, Authorization=f"Bearer {BAD_TOKENS[what]()}")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.row_count == 0


def test_a_key_that_does_not_hold_is_refused(served: Served, keys: dict[str, str]) -> None:
    good = keys["admin"]
    for bad in (keys["revoked"], good[:-1], good[:-1] + ("a" if good[-1] != "a" else "b"), "tvk_", good.upper()):
        assert ask(served, Authorization=f"Bearer {bad}").status == 401
        assert ask(served, X_API_Key=bad).status == 401


def test_a_key_is_good_for_what_it_was_made_for(served: Served, keys: dict[str, str]) -> None:
    backup = wire.statement('{"backup": {"database": "shop", "file": "by a key.abf"}}')
    refused = {name: ask(served, backup, X_API_Key=keys[name]).fault for name in ("read", "other", "bob")}
    assert "not good for this" in str(refused["read"])
    for name in ("other", "bob"):
        assert "does not have access to the" in str(refused[name])
        assert "shop" not in str(
            ask(served, wire.statement("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS"), X_API_Key=keys[name]).body
        )
    assert ask(served, backup, X_API_Key=keys["admin"]).fault is None


def test_the_session_of_a_user_is_not_that_of_his_key(served: Served, keys: dict[str, str]) -> None:
    """With the session of an administrator a key for reading would hear of everybody's commands in a trace."""
    session_id = ask(served, wire.begin_session(), X_API_Key=keys["admin"]).session_id
    sessions = wire.statement("SELECT [SESSION_ID] FROM $SYSTEM.DISCOVER_SESSIONS")
    assert session_id in ask(served, sessions, X_API_Key=keys["admin"]).body.decode()
    assert session_id not in ask(served, sessions, X_API_Key=keys["read"]).body.decode()
    subscribe = wire.in_session(session_id, wire.engine("Subscribe", "<SubscriptionId>s</SubscriptionId>"))
    for stolen in (subscribe, wire.in_session(session_id, "<Statement/>", name="EndSession")):
        assert "cannot be found" in str(ask(served, stolen, X_API_Key=keys["read"]).fault)
        assert "cannot be found" in str(ask(served, stolen, X_API_Key=keys["bob"]).fault)
    cancel = wire.execute(wire.engine("Cancel", f"<SessionID>{session_id}</SessionID>"))
    assert "no such session" in str(ask(served, cancel, X_API_Key=keys["read"]).fault)
    assert ask(served, cancel, X_API_Key=keys["admin"]).fault is None


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic YWxpY2U=", "Digest a", "Bearer", "x" * 30_000, "\xff"])
def test_a_credential_that_is_none_is_refused(served: Served, value: str) -> None:
    assert ask(served, Authorization=value).status == 401


def test_who_guesses_waits_and_is_told_how_long(served: Served) -> None:
    """And the audit log does not grow by what is not even looked at: an attacker would fill the disk with it."""
    audit = next((served.data / "server" / "audit").glob("*.jsonl"))
    answers = [ask(served, Authorization=wire.basic(("bob", f"guess {number}"))) for number in range(9)]
    statuses = [answer.status for answer in answers]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 301
    # A right password is no better than a wrong one now; that of another user is.
    assert ask(served, Authorization=wire.basic(("bob", "a bob's password"))).status == 429
    assert ask(served, Authorization=wire.basic(wire.ALICE)).row_count == 6
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    failed = [line for line in lines if line["operation"] == "login" and line["who"] == "bob"]
    assert len(failed) == statuses.count(401)
    assert all(line["result"] == "failure" and line["address"] == "127.0.0.1" for line in failed)
    assert "guess" not in audit.read_text()


def test_the_log_of_failed_log_ins_has_an_end(served: Served) -> None:
    """Whoever may send requests may fail as often as he likes: not each of a flood becomes a line."""
    audit = next((served.data / "server" / "audit").glob("*.jsonl"))
    before = len(audit.read_text().splitlines())
    with wire.Client(served.url, {"Content-Type": "text/xml", "Authorization": "Bearer a.b.c"}) as client:
        for _ in range(150):
            assert client.post(b"").status == 401
    assert 1 <= len(audit.read_text().splitlines()) - before <= 110


def test_the_lines_that_were_left_out_are_counted_in_the_next_one() -> None:
    now_s = 0.0
    lines = FailureLines(lambda: now_s)
    assert [lines.take() for _ in range(FAILURE_LINE_COUNT_MAX)] == [0] * FAILURE_LINE_COUNT_MAX
    assert [lines.take() for _ in range(7)] == [None] * 7
    now_s += FAILURE_LINE_INTERVAL_S
    assert [lines.take(), lines.take()] == [7, None]
    now_s += 1e9
    assert [lines.take() for _ in range(FAILURE_LINE_COUNT_MAX + 1)] == [1, *[0] * (FAILURE_LINE_COUNT_MAX - 1), None]
