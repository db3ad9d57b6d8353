"""
The users of a server and their API keys.

An API key is ``tvk_<id>_<secret>``: the id finds it, the secret is 256 random bits. Of the secret only its SHA-256 is
kept; nothing slower is needed, for unlike a password it cannot be guessed, and a key comes with every request. A key
belongs to a user and dies with him. Secret and password are shown once, by whoever asked for them.

Every change is on the disk before it counts. Threads may share a book; two processes may not, and the lock of the data
folder sees to that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import hmac
import re
import secrets
import threading
import unicodedata
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError, StorageError
from tabvault.jobs.access.passwords import hash_password
from tabvault.jobs.access.principal import Scope
from tabvault.storage.server_state.accounts import Accounts, ApiKeyRecord, UserRecord, load_accounts, save_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

USER_NAME_LENGTH_MAX: Final = 256
KEY_NAME_LENGTH_MAX: Final = 128
USER_COUNT_MAX: Final = 10_000
KEY_COUNT_MAX: Final = 10_000
"""Keeps the file below what :mod:`tabvault.storage.server_state.state_file` reads."""

_KEY = re.compile(r"tvk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_SECRET_BYTE_COUNT: Final = 32
_ID_BYTE_COUNT: Final = 8


def utc_now() -> datetime.datetime:
    """The time of day."""
    return datetime.datetime.now(datetime.UTC)


class AccountBook:
    """
    Users and API keys of the server on *data_folder*.

    Args:
        data_folder: root of the data folder, which the caller owns.
        now: the time of day, with its offset.

    Raises:
        FormatError: the file of accounts is damaged.
        StorageError: it cannot be read.
    """

    def __init__(self, data_folder: Path, *, now: Callable[[], datetime.datetime] = utc_now) -> None:
        self._data_folder = data_folder
        self._now = now
        self._lock = threading.RLock()
        self._accounts = Accounts()
        self._users: dict[str, UserRecord] = {}
        self._keys: dict[str, ApiKeyRecord] = {}
        self._take(load_accounts(data_folder))

    # -- users ----------------------------------------------------------------------------------------------------

    @property
    def users(self) -> tuple[UserRecord, ...]:
        """All users, in the order they were created."""
        return self._accounts.users

    @property
    def has_administrator(self) -> bool:
        """Whether there is a server administrator."""
        return any(user.is_server_administrator for user in self._accounts.users)

    def user(self, name: str) -> UserRecord | None:
        """The user of that name, case aside."""
        return self._users.get(_folded(name))

    def create_user(self, name: str, password: str, *, is_server_administrator: bool = False) -> UserRecord:
        """
        Register a user.

        Raises:
            RequestError: the name is taken or cannot be one, or the password cannot be one.
            StorageError: it could not be written; nothing has changed.
        """
        name = _user_name(name)
        password_record = hash_password(password)
        with self._lock:
            if self.user(name) is not None:
                raise RequestError(f"user {name!r} exists", path="name")
            if len(self._users) >= USER_COUNT_MAX:
                raise RequestError(f"there are {USER_COUNT_MAX} users, and no more are allowed")
            user = UserRecord(name, is_server_administrator, self._now(), password_record)
            self._save(users=(*self._accounts.users, user))
        return user

    def create_administrator(self, name: str | None = None, password: str | None = None) -> tuple[str, str]:
        """
        Make sure of a server administrator.

        Args:
            name: of the user; one that exists gets the password and becomes an administrator. None takes a name that
                nobody has, ``admin`` if possible.
            password: None makes one up, of 144 random bits.

        Returns:
            Name and password, to be shown once: the password is kept nowhere.

        Raises:
            RequestError: name or password cannot be one.
            StorageError: it could not be written; nothing has changed.
        """
        chosen = secrets.token_urlsafe(18) if password is None else password
        with self._lock:
            if name is None:
                free = ("admin", *(f"admin{number}" for number in range(2, len(self._users) + 3)))
                name = next(candidate for candidate in free if self.user(candidate) is None)
            user = self.user(name)
            if user is None:
                user = self.create_user(name, chosen, is_server_administrator=True)
            else:
                self._replace(user, is_server_administrator=True, password=hash_password(chosen))
        return user.name, chosen

    def set_password(self, name: str, password: str) -> None:
        """
        Give a user another password. His API keys stay.

        Raises:
            RequestError: there is no such user, or the password cannot be one.
            StorageError: it could not be written; the old one holds.
        """
        record = hash_password(password)
        with self._lock:
            self._replace(self._known(name), password=record)

    def set_server_administrator(self, name: str, *, is_server_administrator: bool) -> None:
        """
        Make a user a server administrator, or no longer.

        Raises:
            RequestError: there is no such user, or he is the last administrator.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            user = self._known(name)
            if not is_server_administrator:
                self._refuse_last_administrator(user)
            self._replace(user, is_server_administrator=is_server_administrator)

    def remove_user(self, name: str) -> None:
        """
        Remove a user and his API keys.

        Raises:
            RequestError: there is no such user, or he is the last administrator.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            user = self._known(name)
            self._refuse_last_administrator(user)
            self._save(
                users=tuple(other for other in self._accounts.users if other is not user),
                api_keys=tuple(key for key in self._accounts.api_keys if _folded(key.owner) != _folded(user.name)),
            )

    # -- API keys -------------------------------------------------------------------------------------------------

    def api_keys(self, owner: str | None = None) -> tuple[ApiKeyRecord, ...]:
        """The API keys of *owner*, or of everybody, in the order they were created; expired ones too."""
        keys = self._accounts.api_keys
        return keys if owner is None else tuple(key for key in keys if _folded(key.owner) == _folded(owner))

    def create_api_key(
        self,
        owner: str,
        name: str,
        scopes: Collection[str],
        *,
        databases: Collection[str] | None = None,
        expires: datetime.datetime | None = None,
    ) -> tuple[ApiKeyRecord, str]:
        """
        Make an API key that acts for *owner*.

        Args:
            owner: name of the user.
            name: what he calls it; he has no other key of that name.
            scopes: of :class:`~tabvault.jobs.access.principal.Scope`, at least one.
            databases: names of the databases it is good for; None for all.
            expires: from when on it is refused, with its offset; None for never.

        Returns:
            The record, and the key itself, to be shown once.

        Raises:
            RequestError: one of these cannot be.
            StorageError: it could not be written; there is no such key.
        """
        _check_key_name(name)
        unknown = sorted(set(scopes) - set(Scope))
        if unknown or not scopes:
            raise RequestError(f"scopes {unknown!r:.200} are not of {[str(scope) for scope in Scope]}", path="scopes")
        if databases is not None and not (databases and all(databases)):
            raise RequestError("the list of databases is empty, or a name in it is", path="databases")
        if expires is not None and (expires.tzinfo is None or expires <= self._now()):
            raise RequestError(f"{expires.isoformat()} is past, or has no offset from UTC", path="expires")
        secret = secrets.token_urlsafe(_SECRET_BYTE_COUNT)
        with self._lock:
            user = self._known(owner)
            if any(key.name == name for key in self.api_keys(user.name)):
                raise RequestError(f"user {user.name!r} has an API key {name!r}", path="name")
            if len(self._keys) >= KEY_COUNT_MAX:
                raise RequestError(f"there are {KEY_COUNT_MAX} API keys, and no more are allowed")
            key = ApiKeyRecord(
                id=secrets.token_hex(_ID_BYTE_COUNT),
                name=name,
                owner=user.name,
                secret_sha256=_sha256(secret),
                scopes=frozenset(str(scope) for scope in scopes),
                databases=None if databases is None else frozenset(databases),
                created=self._now(),
                expires=expires,
            )
            self._save(api_keys=(*self._accounts.api_keys, key))
        return key, f"tvk_{key.id}_{secret}"

    def revoke_api_key(self, key_id: str) -> ApiKeyRecord:
        """
        Remove an API key, and return what it was.

        Raises:
            RequestError: there is none of that id.
            StorageError: it could not be written; the key still holds.
        """
        with self._lock:
            key = self._keys.get(key_id)
            if key is None:
                raise RequestError(f"there is no API key {key_id!r:.100}", path="id")
            self._save(api_keys=tuple(other for other in self._accounts.api_keys if other is not key))
        return key

    def find_api_key(self, text: str) -> tuple[ApiKeyRecord, UserRecord] | None:
        """
        The key that *text* is, with its owner; None when it is none of ours, or has expired.

        Its day of last use is noted, and written at most once a day; a disk that is full keeps nobody out.
        """
        match = _KEY.fullmatch(text)
        key = None if match is None else self._keys.get(match[1])
        if match is None or key is None or not hmac.compare_digest(_sha256(match[2]), key.secret_sha256):
            return None
        now = self._now()
        owner = self.user(key.owner)
        if owner is None or (key.expires is not None and key.expires <= now):
            return None
        if key.last_used != now.date():
            with contextlib.suppress(StorageError):
                self._note_use(key.id, now.date())
        return key, owner

    # -- changes --------------------------------------------------------------------------------------------------

    def _note_use(self, key_id: str, day: datetime.date) -> None:
        with self._lock:
            keys = self._accounts.api_keys
            self._save(
                api_keys=tuple(dataclasses.replace(key, last_used=day) if key.id == key_id else key for key in keys)
            )

    def _known(self, name: str) -> UserRecord:
        user = self.user(name)
        if user is None:
            raise RequestError(f"there is no user {name!r:.300}", path="name")
        return user

    def _refuse_last_administrator(self, user: UserRecord) -> None:
        if user.is_server_administrator and sum(other.is_server_administrator for other in self._accounts.users) == 1:
            raise RequestError(f"user {user.name!r} is the last server administrator", hint="make another one first")

    def _replace(self, user: UserRecord, **changes: object) -> None:
        changed = dataclasses.replace(user, **changes)  # type: ignore[arg-type]  # names of fields, from just above
        self._save(users=tuple(changed if other is user else other for other in self._accounts.users))

    def _save(
        self, *, users: tuple[UserRecord, ...] | None = None, api_keys: tuple[ApiKeyRecord, ...] | None = None
    ) -> None:
        accounts = Accounts(
            self._accounts.users if users is None else users,
            self._accounts.api_keys if api_keys is None else api_keys,
        )
        save_accounts(self._data_folder, accounts)
        self._take(accounts)

    def _take(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._users = {_folded(user.name): user for user in accounts.users}
        self._keys = {key.id: key for key in accounts.api_keys}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _user_name(name: str) -> str:
    """A name that Basic authentication can carry: a colon would end it. Hence none looks like ``app:…`` either."""
    name = unicodedata.normalize("NFC", name)
    printable = all(character.isprintable() for character in name)
    if not 1 <= len(name) <= USER_NAME_LENGTH_MAX or ":" in name or not printable or name != name.strip():
        raise RequestError(
            f"{name!r:.300} cannot be a user name: it has 1 to {USER_NAME_LENGTH_MAX} printable characters, "
            "no colon, and no space at its ends",
            path="name",
        )
    return name


def _check_key_name(name: str) -> None:
    if not 1 <= len(name) <= KEY_NAME_LENGTH_MAX or not name.isprintable():
        raise RequestError(
            f"{name!r:.300} cannot name an API key: it has 1 to {KEY_NAME_LENGTH_MAX} printable characters",
            path="name",
        )


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
