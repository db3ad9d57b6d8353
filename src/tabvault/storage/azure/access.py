"""
Which container, and by what right.

Four ways lead to the same value: a container SAS URL, an account key, a connection string (which carries one of the
two), or a credential object of ``azure-identity``. The secret is in one field, which neither ``repr`` nor any message
shows; what may be shown of a SAS (letters, times) is parsed here, because the service does not say which of them was
the reason when it refuses.

A secret is only sent over TLS. ``http`` is taken for the loopback interface alone, where an emulator lives.

Sources: "Create a service SAS" (fields ``sp``, ``st``, ``se``, ``sig``), "Configure Azure Storage connection strings".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from tabvault.errors import StorageError
from tabvault.storage.names import check_container_name

_WHERE = "copy it again from the storage account in the Azure portal"


@dataclass(frozen=True, slots=True)
class SasFacts:
    """What a shared access signature says of itself: letters, and times in UTC (None: a stored policy has them)."""

    permissions: str | None
    begins: datetime | None
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class ContainerAccess:
    """
    One container of one storage account.

    Attributes:
        account_url: without container, query and slash at its end.
        container: its name.
        credential: what the client library takes; never shown.
        sas: facts of the SAS, where the credential is one.
    """

    account_url: str
    container: str
    credential: Any = field(repr=False)
    sas: SasFacts | None = None

    @property
    def place(self) -> str:
        """The container as a person calls it; without any secret."""
        return f"container {self.container} of {self.account_url}"

    @property
    def is_by_identity(self) -> bool:
        """Whether roles, not a key or a signature, decide what is allowed."""
        return hasattr(self.credential, "get_token")


def access_by_sas_url(url: str) -> ContainerAccess:
    """
    Access by the URL of a container with its SAS, as the portal and Storage Explorer give it.

    Raises:
        StorageError: it is no such URL; the message does not repeat it.
        InvalidNameError: its last part cannot be a container's name.
    """
    parts = _checked_url(url.strip())
    folder, _, container = parts.path.rstrip("/").rpartition("/")
    return _by_sas(f"{parts.scheme}://{parts.netloc}{folder}", container, parts.query)


def access_by_key(account_url: str, container: str, *, account: str, key: str) -> ContainerAccess:
    """
    Access by one of the two keys of an account.

    Raises:
        StorageError: the URL or the key cannot be one.
        InvalidNameError: *container* cannot be a container's name.
    """
    try:
        is_key = bool(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise StorageError("the account key is not in Base64", hint=_WHERE)
    credential = {"account_name": account, "account_key": key}
    return ContainerAccess(_account_url(account_url), check_container_name(container), credential)


def access_by_connection_string(text: str, container: str) -> ContainerAccess:
    """
    Access by a connection string, with a key or with a SAS in it.

    Raises:
        StorageError: it is none; the message does not repeat it.
        InvalidNameError: *container* cannot be a container's name.
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
        return _by_sas(_account_url(url), container, fields["sharedaccesssignature"].lstrip("?"))
    if not account or "accountkey" not in fields:
        raise StorageError("the connection string has neither a key nor a shared access signature", hint=_WHERE)
    return access_by_key(url, container, account=account, key=fields["accountkey"])


def access_by_identity(account_url: str, container: str, credential: object) -> ContainerAccess:
    """
    Access by a credential object of ``azure-identity`` (managed identity, service principal, Azure CLI).

    Raises:
        StorageError: the URL cannot be an account's.
        InvalidNameError: *container* cannot be a container's name.
    """
    url = _account_url(account_url)
    if not url.startswith("https:"):
        raise StorageError("the URL does not begin with https", hint="a token is only sent over TLS")
    return ContainerAccess(url, check_container_name(container), credential)


def _by_sas(account_url: str, container: str, sas: str) -> ContainerAccess:
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
    )
    return ContainerAccess(account_url, check_container_name(container), sas, facts)


def _account_url(url: str) -> str:
    parts = _checked_url(url.strip())
    if parts.query:
        raise StorageError("the URL of the account has a query", hint="give the SAS as a container SAS URL")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _checked_url(url: str) -> SplitResult:
    """*url* in parts. What is wrong with it is said without repeating it: it may carry the secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username is not None or parts.fragment:
        raise StorageError("that is no URL of Azure Storage", hint="https://ACCOUNT.blob.core.windows.net/CONTAINER?…")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise StorageError("the URL does not begin with https", hint="a key or a SAS is only sent over TLS")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _time(text: str) -> datetime | None:
    """A time of a SAS (a date, or a date and a time of day, in UTC), or None: the service judges it, not we."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
