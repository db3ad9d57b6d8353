"""
The client library, set up as this package needs it.

Its own repetitions are switched off (:mod:`~tabvault.storage.remote.patience` has the only ones). So are redirects:
the service makes none, and one could lead to whatever this machine reaches, without TLS too. The libraries below it
are kept from logging a signature: ``urllib3`` writes every address with its query at level DEBUG.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from azure.storage.blob import BlobServiceClient, ContainerClient

from tabvault.storage.remote.redaction import Redaction

if TYPE_CHECKING:
    from tabvault.storage.azure.access import AccountAccess, ContainerAccess

_ADDRESS_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
_OPTIONS: Final[dict[str, Any]] = {"retry_total": 0, "permit_redirects": False}
_REDACTION = Redaction(re.compile(r"(?i)\bsig=[^&\s'\"]+"), "sig=REDACTED")


def container_client(access: ContainerAccess) -> ContainerClient:
    """A client for one container; it may be used from several threads."""
    _REDACTION.put_before(_ADDRESS_LOGGERS)
    return ContainerClient(access.account_url, access.container, credential=access.credential, **_OPTIONS)


def service_client(access: AccountAccess) -> BlobServiceClient:
    """A client for the account itself; it may be used from several threads."""
    _REDACTION.put_before(_ADDRESS_LOGGERS)
    return BlobServiceClient(access.account_url, credential=access.credential, **_OPTIONS)
