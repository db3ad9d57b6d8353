"""
What an administrator gives for a storage account, as the portal shows it to him, and the record that is made of it.

Every form is checked here, before anything is kept, without repeating what may be a secret; a URL may be one with a SAS
that was pasted where it does not belong.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tabvault.errors import RequestError, StorageError
from tabvault.storage.account_url import check_account_url, split_url
from tabvault.storage.azure.access import access_by_sas_url, account_by_connection_string, account_by_key
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.server_state.storage_accounts import RESERVED_NAME, RegisteredAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.storage.azure.access import AccountAccess


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """Of an Azure storage account, with a key or with a SAS in it."""

    text: str = field(repr=False)

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        The account as it is registered under *name*, and its secret.

        Raises:
            StorageError: it is no connection string.
            RequestError: *name* cannot be used.
        """
        return _shared_access(name, account_by_connection_string(self.text), None)


@dataclass(frozen=True, slots=True)
class ContainerUrl:
    """The URL of one container with its SAS."""

    url: str = field(repr=False)

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: it is no such URL.
            InvalidNameError: its last part cannot be a container's name.
            RequestError: *name* cannot be used.
        """
        access = access_by_sas_url(self.url)
        return _shared_access(name, access, access.container)

    @property
    def place(self) -> tuple[str, str]:
        """The URL of the account, and the container; errors as :meth:`record`."""
        access = access_by_sas_url(self.url)
        return access.account_url, access.container

    def names(self) -> Iterator[str]:
        """
        What the account may be called, best first, without end: after the account in the URL, then the container too.

        Raises:
            StorageError, InvalidNameError: as :meth:`record`.
        """
        account_url, container = self.place
        account = re.sub(r"[^A-Za-z0-9]+", "-", _account_name(account_url)[:24]).strip("-") or "azure"
        if account.casefold() != RESERVED_NAME:
            yield account
        longer = f"{account}-{container[:32].strip('-')}"
        yield longer
        yield from (f"{longer}-{number}" for number in itertools.count(2))


@dataclass(frozen=True, slots=True)
class AccountKey:
    """
    One of the two keys of an Azure storage account.

    *account* is its name, where the URL neither begins nor ends with it.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)
    account: str | None = None

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: the URL or the key cannot be one.
            RequestError: *name* or the account's name cannot be used.
        """
        account = self.account or _account_name(self.url)
        return _shared_access(name, account_by_key(self.url, account=account, key=self.key.strip()), None)


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """The identity that Azure gives the machine; *client_id* names it where there are several."""

    url: str = field(repr=False)
    client_id: str | None = None

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: the URL cannot be one.
            RequestError: *name* or the client id cannot be used.
        """
        return RegisteredAccount(name, _token_url(self.url), "managed", login=self.client_id), None


@dataclass(frozen=True, slots=True)
class AzureCli:
    """Who is logged in with the Azure CLI on this machine."""

    url: str = field(repr=False)

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: the URL cannot be one.
            RequestError: *name* cannot be used.
        """
        return RegisteredAccount(name, _token_url(self.url), "cli"), None


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """An application registered in a directory."""

    url: str = field(repr=False)
    tenant: str
    client_id: str
    secret: str = field(repr=False)

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: the URL cannot be one.
            RequestError: *name*, the tenant or the client id cannot be used.
        """
        url = _token_url(self.url)
        if not re.fullmatch(r"[0-9A-Za-z.-]+", self.tenant):
            raise RequestError(
                f"{self.tenant!r:.80} cannot be a tenant", path="tenant", hint="its id, or a name like contoso.com"
            )
        record = RegisteredAccount(name, url, "service-principal", login=self.client_id, tenant=self.tenant)
        return record, self.secret


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of a storage that speaks S3; *url* is its endpoint, None that of Amazon in the region."""

    url: str | None = field(repr=False)
    region: str
    access_key_id: str
    secret: str = field(repr=False)

    def record(self, name: str) -> tuple[RegisteredAccount, str | None]:
        """
        As :meth:`ConnectionString.record`.

        Raises:
            StorageError: the URL, the region or the key cannot be one.
            RequestError: *name* cannot be used.
        """
        access = access_by_key(
            f"https://s3.{self.region}.amazonaws.com" if self.url is None else self.url,
            region=self.region,
            access_key_id=self.access_key_id,
            secret=self.secret,
        )
        record = RegisteredAccount(name, access.url, "access-key", login=self.access_key_id, region=self.region)
        return record, self.secret


AccountCredential: TypeAlias = (
    ConnectionString | ContainerUrl | AccountKey | ManagedIdentity | AzureCli | ServicePrincipal | AccessKey
)


def _account_name(url: str) -> str:
    """The name in the URL of an account: the first part of the host; an emulator has it in the path."""
    parts = split_url(url.strip())
    return parts.path.rstrip("/").rpartition("/")[2] or (parts.hostname or "").partition(".")[0]


def _shared_access(name: str, access: AccountAccess, container: str | None) -> tuple[RegisteredAccount, str | None]:
    """The record of an account by a key or a SAS."""
    if access.sas is None:
        login = access.credential["account_name"]
        return RegisteredAccount(name, access.account_url, "key", login=login), access.credential["account_key"]
    facts = access.sas
    record = RegisteredAccount(
        name,
        access.account_url,
        "sas",
        container=container,
        permissions=facts.permissions or None,
        expires=facts.expires,
    )
    return record, access.credential


def _token_url(url: str) -> str:
    """The URL of an account to which tokens are sent: over TLS also on this machine."""
    checked = check_account_url(url)
    if not checked.startswith("https:"):
        raise StorageError("the URL does not begin with https", hint="a token is only sent over TLS")
    return checked
