"""Bearer tokens, signed here with real keys, against a real key server on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import contextmanager

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tabvault.errors import NotAuthenticatedError, RequestError
from tabvault.jobs.access.json_web_keys import FETCH_BYTE_COUNT_MAX, parse_jwks
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.access.tokens import TOKEN_LENGTH_MAX, TokenVerifier
from tabvault.storage.server_state.identity_providers import IdentityProvider
from token_issuer import Answer, issuing

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - too short on purpose
EC = ec.generate_private_key(ec.SECP256R1())
EC_384 = ec.generate_private_key(ec.SECP384R1())

AUDIENCE = "api://tabvault"
TOMORROW = int(time.time()) + 86_400  # still to come, however long after the collection a test runs


def number(value, byte_count):
    return base64.urlsafe_b64encode(value.to_bytes(byte_count, "big")).rstrip(b"=").decode()


def jwk(private, kid, **more):
    """A JWK as RFC 7518, section 6, writes it."""
    numbers = private.public_key().public_numbers()
    if isinstance(private, rsa.RSAPrivateKey):
        return {
            "kty": "RSA",
            "kid": kid,
            "n": number(numbers.n, private.key_size // 8),
            "e": number(numbers.e, 3),
            **more,
        }
    byte_count = (private.curve.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[private.curve.key_size]
    return {
        "kty": "EC",
        "kid": kid,
        "crv": curve,
        "x": number(numbers.x, byte_count),
        "y": number(numbers.y, byte_count),
        **more,
    }


class Issuer:
    """An issuer: what it answers by path, and what it was asked."""

    def __init__(self):
        self.address = ""
        self.answers = {}
        self.asked = []
        self.status = 200
        self.publish(jwk(RSA, "rsa"), jwk(EC, "ec", use="sig", alg="ES256"))

    def describe(self):
        """Say where the keys are."""
        about = {"issuer": self.address, "jwks_uri": f"{self.address}/keys"}
        self.answers["/.well-known/openid-configuration"] = json.dumps(about).encode()

    def publish(self, *keys):
        self.answers["/keys"] = json.dumps({"keys": list(keys)}).encode()

    def answer(self, asked):
        self.asked.append(asked.path)
        body = self.answers.get(asked.path)
        headers = {"Location": f"{self.address}/elsewhere"} if self.status == 302 else {}
        return Answer(body or b"", 404 if body is None else self.status, headers)


@contextmanager
def publishing():
    issuer = Issuer()
    with issuing(issuer.answer) as issuer.address:
        issuer.describe()
        yield issuer


@pytest.fixture
def issuer():
    with publishing() as issuer:
        yield issuer


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def provider(issuer, **more):
    return IdentityProvider(**{"issuer": issuer.address, "audiences": ("other", AUDIENCE), **more})


def claims(issuer, **more):
    now = int(time.time())
    basic = {"iss": issuer.address, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600, "sub": "s"}
    basic |= {"preferred_username": "Alice@contoso.com", "tid": "t-1"}
    return {key: value for key, value in {**basic, **more}.items() if value is not None}


def token(issuer, key=RSA, algorithm="RS256", kid="rsa", headers=None, **more):
    return jwt.encode(claims(issuer, **more), key, algorithm, {"kid": kid, **(headers or {})})


def refused(verifier, text):
    with pytest.raises(NotAuthenticatedError) as caught:
        verifier.verify(text)
    return caught.value.message


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# -- who it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_a_token_of_the_issuer_is_believed(issuer, key, algorithm, kid):
    principal = TokenVerifier([provider(issuer)]).verify(token(issuer, key, algorithm, kid))
    assert (principal.name, principal.kind) == ("Alice@contoso.com", "user")
    assert principal.identities == {"alice@contoso.com"}
    assert not principal.is_server_administrator
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_the_claims_of_a_user_and_of_his_groups_become_names(issuer):
    verifier = TokenVerifier([provider(issuer, administrators=("OBJ:g-2@T-1",))])
    principal = verifier.verify(token(issuer, upn="Bob@contoso.com", groups=["G-1", "g-2", 7, "a b", "x@y"]))
    assert principal.name == "Bob@contoso.com"
    assert principal.identities == {"bob@contoso.com", "obj:g-1@t-1", "obj:g-2@t-1"}
    assert principal.is_server_administrator


APPLICATION = {"preferred_username": None, "oid": "o", "sub": "o"}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"upn": "u@d", "email": "e@d"}, "u@d"),
        ({"email": "e@d", "email_verified": True}, "Alice@contoso.com"),
        ({"preferred_username": None, "email": "e@d", "email_verified": True}, "e@d"),
        ({"upn": "app:1@t", "preferred_username": "u@d"}, "u@d"),
        ({**APPLICATION, "appid": "A-1"}, "app:A-1@t-1"),
        ({**APPLICATION, "azp": "A-1"}, "app:A-1@t-1"),
        ({"preferred_username": None, "idtyp": "app", "azp": "A-1", "scp": "x"}, "app:A-1@t-1"),
        ({"appid": "A-1", "scp": "x"}, "Alice@contoso.com"),
    ],
)
def test_the_name_is_that_of_the_claim_that_comes_first(issuer, more, name):
    assert TokenVerifier([provider(issuer)]).verify(token(issuer, **more)).name == name


@pytest.mark.parametrize(
    "more",
    [
        {"preferred_username": None},
        {"preferred_username": None, "email": "e@d"},
        {"preferred_username": None, "email": "e@d", "email_verified": "true"},
        {"preferred_username": "alice"},
        {"preferred_username": "obj:g@t"},
        {"preferred_username": "DOMAIN\\alice@x"},
        {"preferred_username": "a@b@c"},
        {"preferred_username": "alice@contoso.com\n"},
        {"preferred_username": ["alice@contoso.com"]},
        # A user whose token lacks his name: never the program that he uses.
        {"preferred_username": None, "azp": "A-1", "scp": "user_impersonation", "oid": "o", "sub": "p"},
        {"preferred_username": None, "azp": "A-1", "oid": "o", "sub": "p"},
        {"preferred_username": None, "azp": "A-1", "scp": "user_impersonation", "oid": "o", "sub": "o"},
        {"preferred_username": None, "azp": "A-1", "idtyp": "user", "oid": "o", "sub": "o"},
        {**APPLICATION, "appid": "A-1", "tid": None},
        {**APPLICATION, "appid": "A@evil"},
    ],
)
def test_a_token_that_names_nobody_is_refused(issuer, more):
    assert "names neither" in refused(TokenVerifier([provider(issuer)]), token(issuer, **more))


def test_a_token_of_another_tenant_is_refused(issuer):
    verifier = TokenVerifier([provider(issuer, tenant="T-1")])
    assert verifier.verify(token(issuer, groups=["g"])).identities == {"alice@contoso.com", "obj:g@t-1"}
    assert verifier.verify(token(issuer, tid=None, groups=["g"])).identities == {"alice@contoso.com", "obj:g@t-1"}
    assert "tenant" in refused(verifier, token(issuer, tid="t-2"))


# -- what is not believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"aud": "api://another"},
        {"aud": None},
        {"aud": []},
        {"aud": {"a": 1}},
        {"iss": None},
        {"iss": "https://login.example"},
        {"iss": 7},
        {"exp": None},
        {"exp": 1},
        {"exp": int(time.time()) - 90},
        {"exp": "tomorrow"},
        {"exp": [1]},
        {"nbf": TOMORROW},
        {"nbf": {"a": 1}},
        {"iat": TOMORROW, "nbf": None},
        {"iat": None, "nbf": None},
    ],
)
def test_a_signed_token_with_claims_that_do_not_fit_is_refused(issuer, more):
    verifier = TokenVerifier([provider(issuer)])
    assert verifier.verify(by_hand(claims(issuer))).name == "Alice@contoso.com"
    made = {**claims(issuer), **more}
    refused(verifier, by_hand({key: value for key, value in made.items() if value is not None}))


def by_hand(payload):
    """A token written from RFC 7515, section 3.1, for what a library would not write."""
    signed = f"{part({'alg': 'RS256', 'kid': 'rsa'})}.{part(payload)}"
    return f"{signed}.{part(sign(signed))}"


def sign(text):
    return jwt.get_algorithm_by_name("RS256").sign(text.encode(), RSA)


def test_numbers_beyond_all_bounds_and_endless_nesting_do_no_harm(issuer):
    verifier = TokenVerifier([provider(issuer)])
    for payload in (
        b'{"iss": "%s", "aud": "api://tabvault", "exp": 1e999, "nbf": 1}' % issuer.address.encode(),
        b'{"iss": "%s", "aud": "api://tabvault", "exp": NaN, "nbf": 1}' % issuer.address.encode(),
        b'{"iss": ' + b"[" * 9000,
        b"[]",
        b"null",
        b"\xff\xfe",
    ):
        refused(verifier, by_hand(payload))


def test_one_minute_between_clocks_is_allowed(issuer):
    now = int(time.time())
    for more in ({"exp": now - 30}, {"nbf": now + 30}):
        assert TokenVerifier([provider(issuer)]).verify(token(issuer, **more)).name == "Alice@contoso.com"


def test_a_token_without_signature_or_with_one_of_another_kind_is_refused(issuer):
    verifier = TokenVerifier([provider(issuer)])
    good = token(issuer)
    _, payload, signature = good.split(".")
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for head in ({"alg": "none", "kid": "rsa"}, {"alg": "None", "kid": "rsa"}, {"kid": "rsa"}):
        refused(verifier, f"{part(head)}.{payload}.")
        refused(verifier, f"{part(head)}.{payload}.{signature}")
    # The public key as if it were a shared secret.
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{payload}"
    refused(verifier, f"{signed}.{part(hmac.digest(public, signed.encode(), hashlib.sha256))}")
    # An algorithm of the right family that was not agreed on, and the key of the other family.
    refused(verifier, token(issuer, RSA, "RS512"))
    refused(verifier, token(issuer, RSA, "PS256"))
    refused(verifier, token(issuer, EC, "ES256", "rsa"))
    refused(verifier, token(issuer, RSA, "RS256", "ec"))
    assert verifier.verify(good).name == "Alice@contoso.com"


def test_a_token_that_is_changed_or_cut_or_of_another_key_is_refused(issuer):
    verifier = TokenVerifier([provider(issuer)])
    good = token(issuer)
    head, payload, signature = good.split(".")
    refused(verifier, token(issuer, RSA_OTHER))
    refused(verifier, f"{head}.{part(claims(issuer, preferred_username='root@contoso.com'))}.{signature}")
    for text in ("", ".", "..", "...", good[:-10], f"{head}.{payload}", f"{good}.x", "é.é.é", good.replace(".", " ")):
        refused(verifier, text)
    for length in range(0, len(good), 7):
        refused(verifier, good[:length])


def test_a_key_in_the_token_itself_is_not_used(issuer):
    verifier = TokenVerifier([provider(issuer)])
    own = jwk(RSA_OTHER, "own")
    refused(verifier, token(issuer, RSA_OTHER, kid="own", headers={"jwk": own}))
    refused(verifier, token(issuer, RSA_OTHER, kid="own", headers={"jku": f"{issuer.address}/evil"}))
    assert "/evil" not in issuer.asked


def test_a_critical_header_that_is_not_understood_is_refused(issuer):
    refused(TokenVerifier([provider(issuer)]), token(issuer, headers={"crit": ["x"], "x": 1}))


def test_a_huge_token_is_refused_unread(issuer):
    text = token(issuer, groups=["g" * 100] * 200)
    assert len(text) > TOKEN_LENGTH_MAX
    assert "characters" in refused(TokenVerifier([provider(issuer)]), text)
    assert issuer.asked == []


def test_a_token_without_key_id_is_refused(issuer):
    text = jwt.encode(claims(issuer), RSA, "RS256")
    assert "kid" in refused(TokenVerifier([provider(issuer)]), text)


def test_a_token_of_one_issuer_is_not_believed_with_the_key_of_another(issuer):
    with publishing() as second:
        second.publish(jwk(RSA_OTHER, "rsa"))
        verifier = TokenVerifier([provider(issuer), provider(second)])
        assert verifier.verify(token(second, RSA_OTHER)).name == "Alice@contoso.com"
        refused(verifier, token(issuer, RSA_OTHER))
        refused(verifier, token(second, RSA))


# -- keys ---------------------------------------------------------------------------------------------------------


def test_keys_are_fetched_once_and_again_for_a_new_one(issuer):
    clock = Clock()
    verifier = TokenVerifier([provider(issuer, jwks_uri=f"{issuer.address}/keys")], clock)
    for _ in range(3):
        verifier.verify(token(issuer))
    assert issuer.asked == ["/keys"]
    issuer.publish(jwk(RSA_OTHER, "next"))
    rotated = token(issuer, RSA_OTHER, kid="next")
    assert "has no key" in refused(verifier, rotated)
    clock.now_s += 30
    assert verifier.verify(rotated).name == "Alice@contoso.com"
    assert issuer.asked == ["/keys"] * 2
    assert "has no key" in refused(verifier, token(issuer)), "a key that was withdrawn"


def test_made_up_key_ids_cost_the_issuer_a_request_each_half_minute(issuer):
    clock = Clock()
    verifier = TokenVerifier([provider(issuer, jwks_uri=f"{issuer.address}/keys")], clock)
    for second in range(100):
        clock.now_s = float(second)
        refused(verifier, token(issuer, kid=f"made up {second}"))
    assert len(issuer.asked) == 4


def test_keys_are_fetched_anew_after_an_hour_and_kept_for_a_day_if_that_fails(issuer):
    clock = Clock()
    verifier = TokenVerifier([provider(issuer, jwks_uri=f"{issuer.address}/keys")], clock)
    verifier.verify(token(issuer))
    clock.now_s = 3600.0
    verifier.verify(token(issuer))
    assert len(issuer.asked) == 2
    issuer.status = 500
    clock.now_s += 3600.0
    verifier.verify(token(issuer))
    verifier.verify(token(issuer))
    assert len(issuer.asked) == 3
    clock.now_s = 3600.0 + 86_400.0
    assert "answers 500" in refused(verifier, token(issuer))


def test_an_issuer_that_cannot_be_asked_or_answers_nonsense_is_not_believed(issuer):
    good = issuer.answers["/keys"]
    text = token(issuer)
    for body in (
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b"[" * 100_000,
        b"\xff",
        b'{"keys": []}',
        good + b" " * FETCH_BYTE_COUNT_MAX,
    ):
        issuer.answers["/keys"] = body
        refused(TokenVerifier([provider(issuer)]), text)
    issuer.answers["/keys"] = good
    for configuration in (
        {"issuer": "https://login.example", "jwks_uri": f"{issuer.address}/keys"},
        {"issuer": issuer.address, "jwks_uri": "http://login.example/keys"},
        {"issuer": issuer.address, "jwks_uri": "file:///etc/passwd"},
        {"issuer": issuer.address},
    ):
        issuer.answers["/.well-known/openid-configuration"] = json.dumps(configuration).encode()
        refused(TokenVerifier([provider(issuer)]), text)


def test_a_redirection_is_not_followed(issuer):
    issuer.status = 302
    issuer.answers["/elsewhere"] = issuer.answers["/keys"]
    verifier = TokenVerifier([provider(issuer, jwks_uri=f"{issuer.address}/keys")])
    assert "answers 302" in refused(verifier, token(issuer))
    assert issuer.asked == ["/keys"]


def test_an_issuer_that_is_gone_is_named_in_the_error(issuer):
    with publishing() as gone:
        pass
    message = refused(TokenVerifier([provider(gone)]), token(gone))
    assert gone.address in message


def test_keys_that_are_given_are_used_and_nobody_is_asked(issuer):
    given = json.dumps({"keys": [jwk(RSA, "rsa")]})
    verifier = TokenVerifier([provider(issuer, jwks=given)])
    assert verifier.verify(token(issuer)).name == "Alice@contoso.com"
    refused(verifier, token(issuer, kid="other"))
    assert issuer.asked == []


def test_only_keys_for_the_two_algorithms_are_taken():
    secret = {"kty": "oct", "kid": "secret", "k": part(b"s" * 32)}
    keys = [
        jwk(RSA, "rsa"),
        jwk(EC, "ec"),
        jwk(RSA_SHORT, "short"),
        jwk(EC_384, "p384"),
        jwk(RSA, "encryption", use="enc"),
        jwk(RSA, "pss", alg="PS256"),
        jwk(RSA, 7),
        {"kty": "RSA", "kid": "no numbers"},
        {"kty": "RSA", "kid": "bad", "n": 7, "e": []},
        {"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": part(b"\1" * 32), "y": part(b"\1" * 32)},
        secret,
        "text",
        None,
    ]
    taken = parse_jwks(json.dumps({"keys": keys}).encode())
    assert {kid: key.algorithm for kid, key in taken.items()} == {"rsa": "RS256", "ec": "ES256"}


def test_two_keys_of_one_id_are_refused():
    with pytest.raises(RequestError, match="two keys"):
        parse_jwks(json.dumps({"keys": [jwk(RSA, "a"), jwk(EC, "a")]}).encode())


def test_the_server_believes_the_providers_that_are_set_and_forgets_the_others(issuer, tmp_path):
    access = ServerAccess(tmp_path)
    headers = {"Authorization": f"Bearer {token(issuer)}"}
    with pytest.raises(NotAuthenticatedError, match="not configured"):
        access.authenticate(headers, "203.0.113.1")
    access.set_identity_providers((provider(issuer),))
    assert access.authenticate(headers, "203.0.113.1").name == "Alice@contoso.com"
    assert ServerAccess(tmp_path).authenticate(headers, "203.0.113.1").name == "Alice@contoso.com"
    with pytest.raises(RequestError):
        access.set_identity_providers((provider(issuer, jwks="[]"),))
    access.set_identity_providers(())
    with pytest.raises(NotAuthenticatedError, match="not configured"):
        access.authenticate(headers, "203.0.113.1")
