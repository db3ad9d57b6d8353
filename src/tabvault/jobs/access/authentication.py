"""
Who comes with this request: Basic, an API key, or a bearer token.

==============================  ==================================================
header                          credential
==============================  ==================================================
``Authorization: Basic …``      name and password of a server user (RFC 7617)
``Authorization: Bearer tvk_…`` API key
``X-API-Key: tvk_…``            API key
``Authorization: Bearer …``     token of a configured issuer (RFC 6750)
==============================  ==================================================

A password is looked at in this order. (1) An address that failed too often waits, whatever it brings. (2) A password
found right from that address a while ago is right, whatever happened to the name meanwhile: guessing from elsewhere
locks nobody out. (3) A name that failed too often waits. (4) scrypt, one at a time: it takes 32 MiB, and so no number
of simultaneous guesses gets past (3). API keys and tokens cannot be guessed, so a good one never waits;
a bad key counts for its address, a bad token does not: programs come with expired ones every day.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from typing import TYPE_CHECKING, Final

from tabvault.errors import NotAuthenticatedError, TooManyAttemptsError
from tabvault.jobs.access.accounts import USER_NAME_LENGTH_MAX
from tabvault.jobs.access.passwords import verify_password
from tabvault.jobs.access.principal import Limit, Principal, Scope
from tabvault.jobs.access.throttle import LoginThrottle
from tabvault.jobs.access.verified_passwords import VerifiedPasswords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.jobs.access.accounts import AccountBook
    from tabvault.jobs.access.tokens import TokenVerifier
    from tabvault.storage.server_state.accounts import ApiKeyRecord, UserRecord

BASIC_LENGTH_MAX: Final = 8192
"""Characters of a Basic credential; name and password in Base64 have fewer."""

SCRYPT_QUEUE_S: Final = 10.0
"""How long a log-in waits for those before it."""

_WRONG: Final = "user name or password is wrong"


class Authenticator:
    """
    Finds out who asks. Threads may share it; a call may take a fifth of a second, or seconds of waiting.

    Args:
        accounts: the server's users and API keys.
        tokens: the issuers whose tokens are believed.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self, accounts: AccountBook, tokens: TokenVerifier, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.accounts = accounts
        self.tokens = tokens
        self._throttle = LoginThrottle(clock)
        self._verified = VerifiedPasswords(clock)
        self._scrypt = threading.Lock()

    def authenticate(self, headers: Mapping[str, str], address: str) -> Principal:
        """
        Who sent *headers* from *address*.

        Args:
            headers: of the request; the case of their names does not matter.
            address: of the client.

        Raises:
            NotAuthenticatedError: there is no credential, or it does not hold.
            TooManyAttemptsError: log-ins of that name, or from that address, failed too often.
        """
        found = [(name.lower(), value.strip()) for name, value in headers.items()]
        credentials = [(name, value) for name, value in found if name in ("authorization", "x-api-key")]
        if not credentials:
            raise NotAuthenticatedError("no credential was given", hint="log in with user name and password")
        if len(credentials) > 1:
            raise NotAuthenticatedError("two credentials were given, and they may be of two people")
        header, value = credentials[0]
        if header == "x-api-key":
            return self._by_api_key(value, address)
        scheme, _, rest = value.partition(" ")
        credential = rest.strip()
        if scheme.lower() == "basic":
            return self._by_basic(credential, address)
        if scheme.lower() == "bearer":
            if credential.startswith("tvk_"):
                return self._by_api_key(credential, address)
            return self.tokens.verify(credential)
        raise NotAuthenticatedError(f"the authentication scheme {scheme!r:.40} is neither Basic nor Bearer")

    def by_password(self, name: str, password: str, address: str) -> Principal:
        """
        Who comes with *name* and *password*.

        Raises:
            NotAuthenticatedError: they do not hold.
            TooManyAttemptsError: log-ins of that name, or from that address, failed too often.
        """
        self._throttle.check_address(address)
        if self._is_remembered(name, password, address):
            return self._principal(name)
        if not self._scrypt.acquire(timeout=SCRYPT_QUEUE_S):
            raise TooManyAttemptsError("too many people log in at once", retry_after_s=SCRYPT_QUEUE_S)
        try:
            # All of it again: while this one waited, others failed, or the same user came in.
            self._throttle.check_address(address)
            if self._is_remembered(name, password, address):
                return self._principal(name)
            self._throttle.check_name(name[:USER_NAME_LENGTH_MAX])
            user = self.accounts.user(name)
            if not verify_password(user, password) or user is None:
                self._throttle.failed(address, name[:USER_NAME_LENGTH_MAX])
                raise NotAuthenticatedError(_WRONG)
            self._throttle.succeeded(name)
            self._verified.remember(user, password, address)
            return _of_user(user)
        finally:
            self._scrypt.release()

    def _is_remembered(self, name: str, password: str, address: str) -> bool:
        user = self.accounts.user(name)
        return user is not None and self._verified.holds(user, password, address)

    def _principal(self, name: str) -> Principal:
        user = self.accounts.user(name)
        if user is None:  # removed this very moment
            raise NotAuthenticatedError(_WRONG)
        return _of_user(user)

    def _by_basic(self, credential: str, address: str) -> Principal:
        if len(credential) > BASIC_LENGTH_MAX:
            raise NotAuthenticatedError(
                f"the Basic credential has {len(credential)} characters, and {BASIC_LENGTH_MAX} are allowed"
            )
        try:
            octets = base64.b64decode(credential.encode("ascii"), validate=True)
        except (ValueError, binascii.Error):
            raise NotAuthenticatedError("the Basic credential is not Base64") from None
        try:
            text = octets.decode()
        except UnicodeDecodeError:
            text = octets.decode("latin-1")  # older clients of Microsoft's send the Windows code page
        name, colon, password = text.partition(":")
        if not colon:
            raise NotAuthenticatedError("the Basic credential has no colon between name and password")
        return self.by_password(name, password, address)

    def _by_api_key(self, text: str, address: str) -> Principal:
        found = self.accounts.find_api_key(text)
        if found is None:
            # From an address that must wait this is no news: it hears what a password would.
            self._throttle.check_address(address)
            self._throttle.failed(address)
            raise NotAuthenticatedError("the API key does not hold")
        return _of_api_key(*found)


def _of_user(user: UserRecord) -> Principal:
    return Principal(user.name, "user", frozenset({user.name.casefold()}), user.is_server_administrator)


def _of_api_key(key: ApiKeyRecord, owner: UserRecord) -> Principal:
    return Principal(
        name=owner.name,
        kind="api_key",
        identities=frozenset({owner.name.casefold()}),
        administers_server=owner.is_server_administrator,
        limit=Limit(
            frozenset(Scope(scope) for scope in key.scopes if scope in set(Scope)),
            None if key.databases is None else frozenset(name.casefold() for name in key.databases),
        ),
        key_name=key.name,
        authentication="api_key",
    )
