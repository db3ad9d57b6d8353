"""
Credentials that are bound to the data sources of databases: ``<data>/server/source-credentials.json``.

::

    {"format_version": 1, "credentials": [
       {"database_id": "sales", "data_source": "Warehouse", "address": "postgresql:db.example:5432;dwh",
        "user": "reader", "secret": "<hexadecimal digits of the sealed password>"}]}

A model says where its rows come from, and a model may come from anywhere: a backup that is restored over a database
could point its data source to another server and have the password sent there. So a credential is bound to the address
it was given for, and is handed out for that one only. Passwords are sealed (:mod:`.sealing`) and never shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.storage.server_state.sealing import SEALED_OVERHEAD_BYTE_COUNT, seal, unseal
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

CREDENTIALS_FILE: Final = "source-credentials.json"
CREDENTIAL_COUNT_MAX: Final = 10_000
_SECRET_BYTE_COUNT_MAX: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class BoundCredential:
    """
    A credential and what it is for. *database_id* and *data_source* are compared without case, *address* exactly.

    *sealed* is the password, sealed; None where only a user name is bound.
    """

    database_id: str
    data_source: str
    address: str
    user: str | None
    sealed: bytes | None = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What there is one credential for."""
        return self.database_id.casefold(), self.data_source.casefold()


@dataclass(frozen=True, slots=True)
class SourceLogin:
    """What a source is told: a user and his password."""

    user: str | None
    password: str | None = field(repr=False)


def load_credentials(data_folder: Path) -> tuple[BoundCredential, ...]:
    """
    All that are bound.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, CREDENTIALS_FILE, "credentials")
    return () if members is None else tuple(_credential(item) for item in members["credentials"].items())


def bind_credential(
    data_folder: Path, *, database_id: str, data_source: str, address: str, user: str | None, password: str | None
) -> None:
    """
    Bind a credential, in the place of one that the data source has.

    Raises:
        RequestError: more than can be kept.
        StorageError: the file cannot be written.
    """
    if password is not None and len(password.encode("utf-8", "surrogatepass")) > _SECRET_BYTE_COUNT_MAX:
        raise RequestError(f"the password is longer than {_SECRET_BYTE_COUNT_MAX} bytes", path="password")
    new = BoundCredential(database_id, data_source, address, user, None)
    if password is not None:
        new = replace(new, sealed=seal(data_folder, password, about=_about(new)))
    others = [bound for bound in load_credentials(data_folder) if bound.key != new.key]
    if len(others) >= CREDENTIAL_COUNT_MAX:
        raise RequestError(f"{CREDENTIAL_COUNT_MAX} credentials are bound, and no more can be")
    save_credentials(data_folder, [*others, new])


def unbind_credential(data_folder: Path, *, database_id: str, data_source: str | None = None) -> bool:
    """
    Forget the credential of a data source, or those of all data sources of a database. Says whether there was one.

    Raises:
        StorageError: the file cannot be written.
    """
    before = load_credentials(data_folder)
    kept = [
        bound
        for bound in before
        if bound.key[0] != database_id.casefold()
        or (data_source is not None and bound.key[1] != data_source.casefold())
    ]
    if len(kept) == len(before):
        return False
    save_credentials(data_folder, kept)
    return True


def find_credential(data_folder: Path, *, database_id: str, data_source: str) -> BoundCredential | None:
    """The credential that is bound to a data source, whatever address it was given for."""
    key = database_id.casefold(), data_source.casefold()
    return next((bound for bound in load_credentials(data_folder) if bound.key == key), None)


def login_of(data_folder: Path, bound: BoundCredential) -> SourceLogin:
    """
    What the source is told.

    Raises:
        FormatError: the password cannot be opened.
    """
    password = None if bound.sealed is None else unseal(data_folder, bound.sealed, about=_about(bound))
    return SourceLogin(bound.user, password)


def _about(bound: BoundCredential) -> str:
    return f"data source {bound.data_source!r} of database {bound.database_id!r} at {bound.address}"


def save_credentials(data_folder: Path, credentials: Sequence[BoundCredential]) -> None:
    """
    Make *credentials* all that are bound.

    Raises:
        StorageError: the file cannot be written.
    """
    write_state(
        data_folder,
        CREDENTIALS_FILE,
        {
            "credentials": [
                {
                    "database_id": bound.database_id,
                    "data_source": bound.data_source,
                    "address": bound.address,
                    "user": bound.user,
                    "secret": None if bound.sealed is None else bound.sealed.hex(),
                }
                for bound in credentials
            ]
        },
    )


def _credential(value: StateValue) -> BoundCredential:
    members = value.members("database_id", "data_source", "address", "user", "secret")
    secret = members["secret"]
    sealed = None
    if secret.value is not None:
        sealed = secret.octets(SEALED_OVERHEAD_BYTE_COUNT, _SECRET_BYTE_COUNT_MAX + SEALED_OVERHEAD_BYTE_COUNT)
    return BoundCredential(
        members["database_id"].text(),
        members["data_source"].text(),
        members["address"].text(),
        members["user"].text_or_none(),
        sealed,
    )
