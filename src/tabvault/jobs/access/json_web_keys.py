"""
The keys of an issuer of tokens (RFC 7517): where they come from, and how long they are believed.

A key says by its type which algorithm its tokens have: RSA of 2048 bits or more RS256, elliptic P-256 ES256. What a
token says of its algorithm is never asked. Keys of other kinds, for other uses, or without ``kid`` are passed over.

Keys are fetched when first needed, again after an hour, and when a token names one that is not there, but not more
often than every half minute: tokens with made-up key ids cost the issuer nothing. An issuer that cannot be reached
leaves us with the keys we have for a day.

Fetching goes to ``https`` (``http`` on loopback only), follows no redirection, and is bounded in time and bytes.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tabvault.errors import NotAuthenticatedError, RequestError
from tabvault.storage.server_state.identity_providers import check_address
from tabvault.storage.server_state.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.storage.server_state.identity_providers import IdentityProvider

FRESH_S: Final = 3600.0
KEPT_S: Final = 86_400.0
FETCH_INTERVAL_S: Final = 30.0

FETCH_TIMEOUT_S: Final = 5.0
FETCH_BYTE_COUNT_MAX: Final = 1 << 18
"""The largest issuers have some dozen keys of 2 to 5 KB."""

KEY_COUNT_MAX: Final = 200
RSA_BIT_COUNT_MIN: Final = 2048
RSA_BIT_COUNT_MAX: Final = 8192
"""The time to check a signature grows with the square of it."""

_DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the one algorithm it is used with."""

    key: RSAPublicKey | EllipticCurvePublicKey
    algorithm: str


class JsonWebKeys:
    """
    The keys of *provider*. Threads may share it.

    Args:
        provider: whose keys.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, provider: IdentityProvider, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_s = float("-inf")
        self._tried_s = float("-inf")
        if provider.jwks is not None:
            self._keys = parse_jwks(provider.jwks.encode("utf-8", "surrogatepass"))
            self._fetched_s = float("inf")

    def key(self, key_id: str) -> SigningKey:
        """
        The key of that id.

        Raises:
            NotAuthenticatedError: the issuer has none, or it cannot be asked.
        """
        now_s = self._clock()
        known = self._keys.get(key_id) if now_s - self._fetched_s < KEPT_S else None
        if known is not None and now_s - self._fetched_s < FRESH_S:
            return known
        # Whoever has a key that still serves does not wait for another's fetch.
        if self._lock.acquire(blocking=known is None):
            try:
                if self._clock() - max(self._tried_s, self._fetched_s) >= FETCH_INTERVAL_S:
                    self._fetch()
                known = self._keys.get(key_id) or known
            except NotAuthenticatedError:
                if known is None:
                    raise
            finally:
                self._lock.release()
        if known is None:
            raise NotAuthenticatedError(f"the issuer {self._provider.issuer} has no key {key_id!r:.100}")
        return known

    def _fetch(self) -> None:
        self._tried_s = self._clock()
        try:
            address = self._provider.jwks_uri or self._discover()
            self._keys = parse_jwks(_read(address))
        except urllib.error.HTTPError as error:
            error.close()
            raise NotAuthenticatedError(
                f"the keys of the issuer {self._provider.issuer} cannot be had: it answers {error.code}"
            ) from None
        except (OSError, http.client.HTTPException, ValueError, RequestError) as error:
            raise NotAuthenticatedError(
                f"the keys of the issuer {self._provider.issuer} cannot be had: {error}"
            ) from error
        self._fetched_s = self._clock()

    def _discover(self) -> str:
        document = _object(_read(self._provider.issuer.rstrip("/") + _DISCOVERY))
        address = document.get("jwks_uri")
        if document.get("issuer") != self._provider.issuer or not isinstance(address, str):
            raise ValueError(f"its configuration is that of {document.get('issuer')!r:.200}, or names no keys")
        check_address(address)
        return address


def parse_jwks(data: bytes) -> Mapping[str, SigningKey]:
    """
    The usable keys of a JWK set, by ``kid``.

    Raises:
        RequestError: it is no JWK set, or two of its keys have one ``kid``.
    """
    try:
        members = _object(data).get("keys")
    except ValueError as error:
        raise RequestError(f"the key set cannot be read: {error}", path="jwks") from None
    if not isinstance(members, list) or len(members) > KEY_COUNT_MAX:
        raise RequestError(f"the key set has no array of at most {KEY_COUNT_MAX} keys", path="jwks")
    keys: dict[str, SigningKey] = {}
    for member in members:
        key = _signing_key(member)
        if key is not None:
            if member["kid"] in keys:
                raise RequestError(f"the key set has two keys {member['kid']!r:.100}", path="jwks")
            keys[member["kid"]] = key
    return keys


def _signing_key(member: object) -> SigningKey | None:
    if not isinstance(member, dict) or not isinstance(member.get("kid"), str) or member.get("use", "sig") != "sig":
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(member.get("kty")))
    if algorithm is None or member.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(member, algorithm=algorithm).key
    # The library lets what a malformed number causes pass through.
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and RSA_BIT_COUNT_MIN <= key.key_size <= RSA_BIT_COUNT_MAX:
        return SigningKey(key, algorithm)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return SigningKey(key, algorithm)
    return None


def _object(data: bytes) -> dict[str, object]:
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what was read is wrong, not what was passed
    return document


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """The address was chosen by the administrator or the issuer; another one was not."""

    def redirect_request(self, *_: object) -> None:
        return None


def _read(address: str) -> bytes:
    check_address(address)
    handlers: list[urllib.request.BaseHandler] = [_NoRedirection()]
    if is_loopback(urllib.parse.urlsplit(address).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    deadline_s = time.monotonic() + 2 * FETCH_TIMEOUT_S
    data = bytearray()
    with opener.open(address, timeout=FETCH_TIMEOUT_S) as response:
        # The timeout is that of one read; a peer that sends a byte now and then is ended by the deadline.
        while piece := response.read1(65536):
            data += piece
            if len(data) > FETCH_BYTE_COUNT_MAX:
                raise ValueError(f"more than {FETCH_BYTE_COUNT_MAX} bytes")
            if time.monotonic() > deadline_s:
                raise TimeoutError("it takes too long")
    return bytes(data)
