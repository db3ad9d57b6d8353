"""
The users of a server and their API keys: ``<data>/server/accounts.json``.

::

    {"format_version": 1,
     "users": [{"name": "alice", "is_server_administrator": true, "created": "2025-03-01T09:00:00+00:00",
                "password": {"salt": HEX, "key": HEX, "n": 32768, "r": 8, "p": 3}}],
     "api_keys": [{"id": "k3x…", "name": "nightly", "owner": "alice", "secret_sha256": HEX, "scopes": ["backup"],
                   "databases": null, "created": …, "expires": null, "last_used": null}]}

No password and no secret stands in it: of a password the scrypt key (RFC 7914) with the parameters it was made with,
so that those may grow; of an API key the SHA-256. ``databases`` null means all of them. What the records mean is in
:mod:`tabvault.jobs.access`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.storage.server_state.state_file import moment_text, read_state, write_state

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

ACCOUNTS_FILE: Final = "accounts.json"

_N_MAX: Final = 1 << 20
_R_MAX: Final = 32
_P_MAX: Final = 64
_MEMORY_BYTE_COUNT_MAX: Final = 256 << 20
"""What scrypt may take for one password: 128 * n * r bytes. A file that asks for more is damaged."""


@dataclass(frozen=True, slots=True, repr=False)
class PasswordRecord:
    """
    What is kept of a password.

    Attributes:
        salt: 16 bytes or more.
        key: what scrypt made of password and salt.
        n: cost of memory and time, a power of two.
        r: block size.
        p: how often.
    """

    salt: bytes
    key: bytes
    n: int
    r: int
    p: int


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user of this server. Names differ by more than case."""

    name: str
    is_server_administrator: bool
    created: datetime.datetime
    password: PasswordRecord


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """
    A key that lets a program act for its owner.

    Attributes:
        id: the part of the key that finds it again; not secret.
        name: what the owner calls it.
        owner: name of the user it acts for.
        secret_sha256: SHA-256 of the secret part.
        scopes: what it is good for.
        databases: names of the databases it is good for; None for all.
        created: when it was made.
        expires: from when on it is refused; None for never.
        last_used: day of its last use; None for not yet.
    """

    id: str
    name: str
    owner: str
    secret_sha256: bytes
    scopes: frozenset[str]
    databases: frozenset[str] | None
    created: datetime.datetime
    expires: datetime.datetime | None = None
    last_used: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything in the file."""

    users: tuple[UserRecord, ...] = ()
    api_keys: tuple[ApiKeyRecord, ...] = ()


def load_accounts(data_folder: Path) -> Accounts:
    """
    The users and keys of the server on *data_folder*; none, if nothing was ever saved.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, ACCOUNTS_FILE, "users", "api_keys")
    if members is None:
        return Accounts()
    users = tuple(_user(item) for item in members["users"].items())
    _refuse_twice(members["users"], (user.name.casefold() for user in users))
    keys = tuple(_api_key(item) for item in members["api_keys"].items())
    _refuse_twice(members["api_keys"], (key.id for key in keys))
    return Accounts(users, keys)


def save_accounts(data_folder: Path, accounts: Accounts) -> None:
    """
    Make *accounts* those of the server on *data_folder*, durably and in one step.

    Raises:
        StorageError: the file cannot be written.
    """
    content = {
        "users": [
            {
                "name": user.name,
                "is_server_administrator": user.is_server_administrator,
                "created": moment_text(user.created),
                "password": {
                    "salt": user.password.salt.hex(),
                    "key": user.password.key.hex(),
                    "n": user.password.n,
                    "r": user.password.r,
                    "p": user.password.p,
                },
            }
            for user in accounts.users
        ],
        "api_keys": [
            {
                "id": key.id,
                "name": key.name,
                "owner": key.owner,
                "secret_sha256": key.secret_sha256.hex(),
                "scopes": sorted(key.scopes),
                "databases": None if key.databases is None else sorted(key.databases),
                "created": moment_text(key.created),
                "expires": moment_text(key.expires),
                "last_used": None if key.last_used is None else key.last_used.isoformat(),
            }
            for key in accounts.api_keys
        ],
    }
    write_state(data_folder, ACCOUNTS_FILE, content)


def _user(value: StateValue) -> UserRecord:
    members = value.members("name", "is_server_administrator", "created", "password")
    return UserRecord(
        name=members["name"].text(),
        is_server_administrator=members["is_server_administrator"].flag(),
        created=members["created"].moment(),
        password=_password(members["password"]),
    )


def _password(value: StateValue) -> PasswordRecord:
    members = value.members("salt", "key", "n", "r", "p")
    n = members["n"].integer(2, _N_MAX)
    r = members["r"].integer(1, _R_MAX)
    if n & (n - 1):
        raise members["n"].error(f"{n}, not a power of two")
    if 128 * n * r > _MEMORY_BYTE_COUNT_MAX:
        raise members["n"].error(f"{n} with r {r}: scrypt would take {128 * n * r} bytes")
    return PasswordRecord(
        salt=members["salt"].octets(8, 64),
        key=members["key"].octets(16, 64),
        n=n,
        r=r,
        p=members["p"].integer(1, _P_MAX),
    )


def _api_key(value: StateValue) -> ApiKeyRecord:
    members = value.members(
        "id", "name", "owner", "secret_sha256", "scopes", "databases", "created", "expires", "last_used"
    )
    databases = members["databases"].items_or_none()
    return ApiKeyRecord(
        id=members["id"].text(),
        name=members["name"].text(),
        owner=members["owner"].text(),
        secret_sha256=members["secret_sha256"].octets(32, 32),
        scopes=frozenset(item.text() for item in members["scopes"].items()),
        databases=None if databases is None else frozenset(item.text() for item in databases),
        created=members["created"].moment(),
        expires=members["expires"].moment_or_none(),
        last_used=members["last_used"].day_or_none(),
    )


def _refuse_twice(value: StateValue, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise value.error(f"holding {name!r:.80} twice")
        seen.add(name)
