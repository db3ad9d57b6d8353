"""
Which storage account or container, and by what right.

Four ways lead to the same value: a SAS (in the URL of a container, or by itself), an account key, a connection string
(which carries one of the two), or a credential object of ``azure-identity``. The secret is in one field, which neither
``repr`` nor any message shows; what may be shown of a SAS (letters, times) is parsed here, because the service does not
say which of them was the reason when it refuses.

Sources: "Create a service SAS" (fields ``sp``, ``st``, ``se``, ``sig``), "Configure Azure Storage connection strings".
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from tabvault.errors import StorageError
from tabvault.storage.account_url import check_account_url, split_url
from tabvault.storage.names import check_container_name

_WHERE = "copy it again from the storage account in the Azure portal"


@dataclass(frozen=True, slots=True)
class SasFacts:
    """
    What a shared access signature says of itself: letters, and times in UTC (None: a stored policy has them).

    *is_delegated*: it is signed for an identity, whose roles bound what the letters allow.
    """

    permissions: str | None
    begins: datetime | None
    expires: datetime | None
    is_delegated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAccess:
    """
    A storage account.

    Attributes:
        account_url: without container, query and slash at its end.
        credential: what the client library takes; never shown.
        sas: facts of the SAS, where the credential is one.
    """

    account_url: str
    credential: Any = field(repr=False)
    sas: SasFacts | None = None

    @property
    def place(self) -> str:
        """What it is, as a person calls it; without any secret."""
        return f"storage account {self.account_url}"

    @property
    def is_by_identity(self) -> bool:
        """Whether roles, not a key or a signature, decide what is allowed."""
        return hasattr(self.credential, "get_token")

    def to_container(self, name: str) -> ContainerAccess:
        """
        A container of it, by the same right.

        Raises:
            InvalidNameError: *name* cannot be a container's name.
        """
        return ContainerAccess(
            account_url=self.account_url,
            credential=self.credential,
            sas=self.sas,
            container=check_container_name(name),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerAccess(AccountAccess):
    """
    One container of a storage account.

    Attributes:
        container: its name.
    """

    container: str

    @property
    def place(self) -> str:
        """What it is, as a person calls it; without any secret."""
        return f"container {self.container} of {self.account_url}"


def access_by_sas_url(url: str) -> ContainerAccess:
    """
    Access by the URL of a container with its SAS, as the portal and Storage Explorer give it.

    Raises:
        StorageError: it is no such URL; the message does not repeat it.
        InvalidNameError: its last part cannot be a container's name.
    """
    parts = split_url(url.strip())
    folder, _, container = parts.path.rstrip("/").rpartition("/")
    return account_by_sas(f"{parts.scheme}://{parts.netloc}{folder}", parts.query).to_container(container)


def access_by_key(account_url: str, container: str, *, account: str, key: str) -> ContainerAccess:
    """
    Access to a container by one of the two keys of its account; errors as :func:`account_by_key`, and

    Raises:
        InvalidNameError: *container* cannot be a container's name.
    """
    return account_by_key(account_url, account=account, key=key).to_container(container)


def account_by_sas(account_url: str, sas: str) -> AccountAccess:
    """
    Access by a shared access signature: of an account, or of a container of it.

    Raises:
        StorageError: the URL cannot be an account's, or there is no signature; the message does not repeat it.
    """
    try:
        fields = parse_qs(sas, strict_parsing=True)
    except ValueError:
        fields = {}
    if "sig" not in fields:
        raise StorageError("there is no shared access signature in what was given", hint=_WHERE)
    facts = SasFacts(
        permissions=fields["sp"][0] if "sp" in fields else None,
        begins=_time(fields["st"][0]) if "st" in fields else None,
        expires=_time(fields["se"][0]) if "se" in fields else None,
        is_delegated="skoid" in fields,
    )
    return AccountAccess(account_url=check_account_url(account_url), credential=sas, sas=facts)


def account_by_key(account_url: str, *, account: str, key: str) -> AccountAccess:
    """
    Access by one of the two keys of an account.

    Raises:
        StorageError: the URL or the key cannot be one.
    """
    try:
        is_key = bool(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise StorageError("the account key is not in Base64", hint=_WHERE)
    credential = {"account_name": account, "account_key": key}
    return AccountAccess(account_url=check_account_url(account_url), credential=credential)


def account_by_connection_string(text: str) -> AccountAccess:
    """
    Access by a connection string, with a key or with a SAS in it.

    Raises:
        StorageError: it is none; the message does not repeat it.
    """
    fields: dict[str, str] = {}
    for entry in text.strip().split(";"):
        name, _, value = entry.partition("=")
        fields[name.strip().lower()] = value.strip()
    account = fields.get("accountname", "")
    url = fields.get("blobendpoint")
    if url is None:
        if not re.fullmatch(r"[a-z0-9]{3,24}", account):
            raise StorageError("the connection string names neither an account nor a blob endpoint", hint=_WHERE)
        scheme = fields.get("defaultendpointsprotocol", "https")
        url = f"{scheme}://{account}.blob.{fields.get('endpointsuffix', 'core.windows.net')}"
    if "sharedaccesssignature" in fields:
        return account_by_sas(url, fields["sharedaccesssignature"].lstrip("?"))
    if not account or "accountkey" not in fields:
        raise StorageError("the connection string has neither a key nor a shared access signature", hint=_WHERE)
    return account_by_key(url, account=account, key=fields["accountkey"])


def account_by_identity(account_url: str, credential: object) -> AccountAccess:
    """
    Access by a credential object of ``azure-identity`` (managed identity, service principal, Azure CLI).

    Raises:
        StorageError: the URL cannot be an account's.
    """
    url = check_account_url(account_url)
    if not url.startswith("https:"):
        raise StorageError("the URL does not begin with https", hint="a token is only sent over TLS")
    return AccountAccess(account_url=url, credential=credential)


def _time(text: str) -> datetime | None:
    """A time of a SAS (a date, or a date and a time of day, in UTC), or None: the service judges it, not we."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # also one that lies before the year 1, or behind 9999
        return None
