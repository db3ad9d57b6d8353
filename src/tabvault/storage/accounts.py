"""
Which storage account a text in the settings denotes.

===========================================  ==================================================================
text                                         account
===========================================  ==================================================================
``storage``                                  the embedded one: the folder of that name in the data folder
with a slash in it                           a folder; relative to the data folder, unless absolute
anything else                                a registered account (:mod:`.server_state.storage_accounts`); if there
                                             is none, a folder of that name in the data folder
===========================================  ==================================================================

The last line is for settings that were written by hand before accounts had names. What denotes neither is not
configured: a folder is never made for a name that was misspelt.

Client libraries and cryptography are heavy; each is imported when an account that needs it is asked for.
"""
# ruff: noqa: PLC0415 - see the last paragraph

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tabvault.errors import InvalidNameError, StorageError, StorageNotConfiguredError
from tabvault.storage.local import LocalAccount
from tabvault.storage.server_state.state_file import FOLDER as SERVER_STATE

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from tabvault.storage.azure.access import AccountAccess
    from tabvault.storage.contract import StorageAccount
    from tabvault.storage.server_state.storage_accounts import CredentialKind, RegisteredAccount

EMBEDDED_ACCOUNT: Final = "storage"

_MULTIPART_NOTES: Final = "multipart"
"""The folder of the server state with the notes of :mod:`tabvault.storage.s3.upload_notes`."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """
    What may be shown of a storage account.

    Attributes:
        name: as settings call it: ``storage``, a registered name, or the path of a folder.
        kind: what it is.
        url: where it is; the path of a folder.
        credential: by what right it is used; None for a folder.
        container: the only one that the credential opens, if it is not for the whole account.
        permissions: letters of the SAS; None where it is none, or a stored policy has them.
        expires: end of the SAS; None as before.
    """

    name: str
    kind: Literal["folder", "azure", "s3"]
    url: str
    credential: CredentialKind | None = None
    container: str | None = None
    permissions: str | None = None
    expires: datetime.datetime | None = None


def open_account(data_folder: Path, name: str) -> StorageAccount:
    """
    The storage account that *name* denotes; nothing is asked of it yet.

    Raises:
        StorageNotConfiguredError: it denotes none.
        InvalidNameError: it cannot denote one.
        FormatError: the registered accounts, or the secret of this one, are damaged.
        StorageError: they cannot be read.
    """
    return open_place(data_folder, account_place(data_folder, name))


def open_place(data_folder: Path, place: RegisteredAccount | str) -> StorageAccount:
    """What :func:`account_place` gave, open; errors as :func:`open_account`."""
    if isinstance(place, str):
        return LocalAccount(data_folder / place)
    from tabvault.storage.server_state.storage_accounts import secret_of

    secret = None if place.sealed is None else secret_of(data_folder, place)
    return open_registered(place, secret, notes_folder=data_folder / SERVER_STATE / _MULTIPART_NOTES)


def open_registered(
    account: RegisteredAccount, secret: str | None, *, notes_folder: Path | None = None
) -> StorageAccount:
    """
    The account of a record and its secret, open; the record may not be kept yet.

    Args:
        account: the record.
        secret: what it is used with.
        notes_folder: where uploads are noted that a service keeps until somebody ends them (S3); None notes none.

    Raises:
        StorageError: the secret cannot be one.
    """
    if account.kind == "s3":
        from tabvault.storage.s3.account import S3Account

        assert account.region is not None, "the record was checked"
        assert account.login is not None, "the record was checked"
        return S3Account(
            account.url,
            region=account.region,
            access_key_id=account.login,
            secret=secret or "",
            notes_folder=notes_folder,
        )
    from tabvault.storage.azure.account import AzureAccount

    return AzureAccount(_azure_access(account, secret or ""), only_container=account.container)


def account_place(data_folder: Path, name: str) -> RegisteredAccount | str:
    """The registered account that *name* denotes, or the path of the folder; errors as :func:`open_account`."""
    check_account(name)
    if name == EMBEDDED_ACCOUNT or "/" in name:
        return name
    from tabvault.storage.server_state.storage_accounts import find_account

    account = find_account(data_folder, name)
    if account is not None:
        return account
    if (data_folder / name).is_dir():
        return name
    raise StorageNotConfiguredError(
        f"there is no storage account {name!r:.80}",
        hint="tabvault storage accounts list shows those that are registered; a folder is written with its whole path",
    )


def account_facts(data_folder: Path, name: str) -> AccountFacts:
    """What may be shown of the account that *name* denotes; errors as :func:`open_account`."""
    return facts_of(data_folder, account_place(data_folder, name))


def facts_of(data_folder: Path, place: RegisteredAccount | str) -> AccountFacts:
    """What may be shown of what :func:`account_place` gave."""
    if isinstance(place, str):
        return AccountFacts(place, "folder", str(data_folder.absolute() / place))
    return AccountFacts(
        place.name,
        place.kind,
        place.url,
        place.credential,
        place.container,
        place.permissions,
        place.expires,
    )


def list_accounts(data_folder: Path) -> list[AccountFacts]:
    """
    The embedded account, then those that are registered, ordered by name.

    Raises:
        FormatError: the registered accounts are damaged.
        StorageError: they cannot be read.
    """
    from tabvault.storage.server_state.storage_accounts import load_accounts

    places: list[RegisteredAccount | str] = [EMBEDDED_ACCOUNT, *load_accounts(data_folder)]
    return [facts_of(data_folder, place) for place in places]


def check_account(name: str) -> None:
    """
    Refuse a text that can neither be a name nor a path.

    Raises:
        InvalidNameError: that is so.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidNameError(f"the account {name!r} is not valid Unicode") from None
    if not name or "\0" in name:
        raise InvalidNameError(f"the account {name!r} is not the path of a folder")


def _azure_access(account: RegisteredAccount, secret: str) -> AccountAccess:
    from tabvault.storage.azure.access import account_by_identity, account_by_key, account_by_sas

    login = account.login or ""
    if account.credential == "sas":
        return account_by_sas(account.url, secret)
    if account.credential == "key":
        return account_by_key(account.url, account=login, key=secret)
    from azure import identity

    try:
        if account.credential == "managed":
            return account_by_identity(account.url, identity.ManagedIdentityCredential(client_id=account.login))
        if account.credential == "cli":
            return account_by_identity(account.url, identity.AzureCliCredential())
        return account_by_identity(account.url, identity.ClientSecretCredential(account.tenant or "", login, secret))
    except ValueError:  # what it says may quote a part of the credential
        raise StorageError(
            f"the credential of storage account {account.name} cannot be used",
            hint="register the account again: tabvault storage accounts add",
        ) from None
