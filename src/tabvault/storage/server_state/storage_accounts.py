"""
Storage accounts that were registered for backups: ``<data>/server/storage-accounts.json``.

::

    {"format_version": 1, "accounts": [
       {"name": "contoso", "url": "https://contoso.blob.core.windows.net", "credential": "sas",
        "container": "backups", "login": null, "tenant": null, "region": null,
        "permissions": "rwdl", "expires": "2027-01-31T00:00:00+00:00",
        "secret": "<hexadecimal digits of the sealed SAS>"}]}

=====================  ==========================================  ======================  ===================
``credential``         ``secret``                                  ``login``               besides
=====================  ==========================================  ======================  ===================
``sas``                query of the shared access signature        -                       see below
``key``                key of the storage account                  name of the account
``managed``            -                                           client id, or null
``cli``                -                                           -
``service-principal``  secret of the application                   client id               ``tenant``
``access-key``         secret access key (S3)                      access key id           ``region``
=====================  ==========================================  ======================  ===================

``container`` is the only one that a SAS opens, if it is that of a container; ``permissions`` and ``expires`` are what
it says of itself. All that does not belong to the credential is null. Secrets are sealed (:mod:`.sealing`), bound to
everything that says where they are sent and for whom: a record that was edited opens no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from tabvault.errors import ObjectExistsError, RequestError, StorageError
from tabvault.storage.account_url import check_account_url
from tabvault.storage.names import check_container_name
from tabvault.storage.server_state.sealing import SEALED_OVERHEAD_BYTE_COUNT, seal, unseal
from tabvault.storage.server_state.state_file import moment_text, read_state, write_state

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

ACCOUNTS_FILE: Final = "storage-accounts.json"
ACCOUNT_COUNT_MAX: Final = 1000
RESERVED_NAME: Final = "storage"
"""The account that every data folder has of its own."""

CredentialKind = Literal["sas", "key", "managed", "cli", "service-principal", "access-key"]

_SECRET_BYTE_COUNT_MAX: Final = 64 << 10
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")

_SEALED: Final = frozenset({"sas", "key", "service-principal", "access-key"})
_REQUIRED: Final[dict[str, frozenset[str]]] = {
    "sas": frozenset(),
    "key": frozenset({"login"}),
    "managed": frozenset(),
    "cli": frozenset(),
    "service-principal": frozenset({"login", "tenant"}),
    "access-key": frozenset({"login", "region"}),
}
_ALLOWED: Final[dict[str, frozenset[str]]] = {
    **_REQUIRED,
    "sas": frozenset({"container", "permissions", "expires"}),
    "managed": frozenset({"login"}),
}


@dataclass(frozen=True, slots=True)
class RegisteredAccount:
    """
    A storage account and by what right it is used; the table of the module says which members belong together.

    Raises:
        RequestError: they do not, the name or a text cannot be used.
        StorageError: the URL is none of a storage account.
        InvalidNameError: the container's name cannot be one.
    """

    name: str
    url: str
    credential: CredentialKind
    container: str | None = None
    login: str | None = None
    tenant: str | None = None
    region: str | None = None
    permissions: str | None = None
    expires: datetime.datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None or self.name.casefold() == RESERVED_NAME:
            raise RequestError(
                f"{self.name!r:.80} cannot be the name of a storage account",
                path="name",
                hint=f"1 to 64 letters, digits, dots, hyphens and underscores; {RESERVED_NAME} is the embedded one",
            )
        if self.url != check_account_url(self.url):
            raise RequestError("the URL of the storage account ends with a slash or begins with a space", path="url")
        if self.container is not None:
            check_container_name(self.container)
        given = {name for name in _MEMBERS if getattr(self, name) is not None}
        if not _REQUIRED[self.credential] <= given <= _ALLOWED[self.credential]:
            raise RequestError(f"a storage account by {self.credential} cannot have just {sorted(given)}", path="name")
        for name in given - {"expires"}:
            text = getattr(self, name)
            if not text or not text.isprintable() or len(text) > 1024:
                raise RequestError(f"the {name} of the storage account is empty, too long or not printable", path=name)

    @property
    def kind(self) -> Literal["azure", "s3"]:
        """Which service it speaks to."""
        return "s3" if self.credential == "access-key" else "azure"

    @property
    def key(self) -> str:
        """What there is one account for."""
        return self.name.casefold()


_MEMBERS: Final = ("container", "login", "tenant", "region", "permissions", "expires")


def load_accounts(data_folder: Path) -> tuple[RegisteredAccount, ...]:
    """
    All that are registered, ordered by name.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, ACCOUNTS_FILE, "accounts")
    if members is None:
        return ()
    accounts = sorted((_account(item) for item in members["accounts"].items()), key=lambda account: account.key)
    if len({account.key for account in accounts}) != len(accounts):
        raise members["accounts"].error("not usable: two have one name")
    return tuple(accounts)


def find_account(data_folder: Path, name: str) -> RegisteredAccount | None:
    """The account of that name, if there is one; errors as :func:`load_accounts`."""
    return next((account for account in load_accounts(data_folder) if account.key == name.casefold()), None)


def add_account(
    data_folder: Path, account: RegisteredAccount, secret: str | None, *, replace_old: bool = False
) -> RegisteredAccount:
    """
    Register an account, durably and in one step.

    Args:
        data_folder: root of the data folder.
        account: without its secret.
        secret: None where its credential has none.
        replace_old: whether it takes the place of one of its name.

    Returns:
        The account with its secret, sealed.

    Raises:
        ObjectExistsError: there is one of that name.
        RequestError: the secret is missing, superfluous or too long; too many accounts.
        FormatError: the file, or the key for secrets, is damaged.
        StorageError: the file cannot be written.
    """
    if (secret is not None) != (account.credential in _SEALED):
        raise RequestError(f"an account by {account.credential} has {'no' if secret else 'a'} secret", path="secret")
    others = [other for other in load_accounts(data_folder) if other.key != account.key]
    if find_account(data_folder, account.name) is not None and not replace_old:
        raise ObjectExistsError(
            f"there is a storage account {account.name}", hint="choose another name, or ask for overwriting"
        )
    if len(others) >= ACCOUNT_COUNT_MAX:
        raise RequestError(f"{ACCOUNT_COUNT_MAX} storage accounts are registered, and no more can be", path="name")
    if secret is not None:
        if not 0 < len(secret.encode("utf-8", "surrogatepass")) <= _SECRET_BYTE_COUNT_MAX:
            raise RequestError(f"the secret is empty or longer than {_SECRET_BYTE_COUNT_MAX} bytes", path="secret")
        account = replace(account, sealed=seal(data_folder, secret, about=_about(account)))
    _save(data_folder, [*others, account])
    return account


def remove_account(data_folder: Path, name: str) -> bool:
    """
    Forget an account and its secret. Says whether there was one.

    Raises:
        FormatError: the file is damaged.
        StorageError: it cannot be written.
    """
    before = load_accounts(data_folder)
    kept = [account for account in before if account.key != name.casefold()]
    if len(kept) == len(before):
        return False
    _save(data_folder, kept)
    return True


def secret_of(data_folder: Path, account: RegisteredAccount) -> str:
    """
    The secret of an account whose credential has one.

    Raises:
        FormatError: it cannot be opened.
        StorageError: the key cannot be read.
    """
    assert account.sealed is not None, "this credential has no secret"
    return unseal(data_folder, account.sealed, about=_about(account))


def _about(account: RegisteredAccount) -> str:
    """
    What a secret is bound to.

    The name comes first, since an error shows this text; the others are what decides where the secret is sent.
    """
    bound = [account.url, account.credential, account.container, account.login, account.tenant, account.region]
    return f"storage account {account.name!r} at " + " ".join("-" if part is None else repr(part) for part in bound)


def _save(data_folder: Path, accounts: Sequence[RegisteredAccount]) -> None:
    content = [
        {
            "name": account.name,
            "url": account.url,
            "credential": account.credential,
            "container": account.container,
            "login": account.login,
            "tenant": account.tenant,
            "region": account.region,
            "permissions": account.permissions,
            "expires": moment_text(account.expires),
            "secret": None if account.sealed is None else account.sealed.hex(),
        }
        for account in accounts
    ]
    write_state(data_folder, ACCOUNTS_FILE, {"accounts": content})


def _account(value: StateValue) -> RegisteredAccount:
    members = value.members("name", "url", "credential", *_MEMBERS, "secret")
    credential, secret = members["credential"].text(), members["secret"]
    if credential not in get_args(CredentialKind):
        raise members["credential"].error(f"{credential!r:.80}, not one of {list(get_args(CredentialKind))}")
    if (secret.value is not None) != (credential in _SEALED):
        raise secret.error(f"{'missing' if secret.value is None else 'there'}, and the credential is {credential}")
    sealed = None
    if secret.value is not None:
        sealed = secret.octets(SEALED_OVERHEAD_BYTE_COUNT + 1, _SECRET_BYTE_COUNT_MAX + SEALED_OVERHEAD_BYTE_COUNT)
    try:
        return RegisteredAccount(
            name=members["name"].text(),
            url=members["url"].text(),
            credential=cast("CredentialKind", credential),
            container=members["container"].text_or_none(),
            login=members["login"].text_or_none(),
            tenant=members["tenant"].text_or_none(),
            region=members["region"].text_or_none(),
            permissions=members["permissions"].text_or_none(),
            expires=members["expires"].moment_or_none(),
            sealed=sealed,
        )
    except (RequestError, StorageError) as error:
        raise value.error(f"not usable: {error.message}") from None
