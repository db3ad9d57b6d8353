"""
The client library, set up as this package needs it.

Its own repetitions are switched off (:mod:`~tabvault.storage.azure.patience` has the only ones), and the libraries
below it are kept from logging a signature: ``urllib3`` writes every address with its query at level DEBUG.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from azure.storage.blob import ContainerClient

if TYPE_CHECKING:
    from tabvault.storage.azure.access import ContainerAccess

_SIGNATURE = re.compile(r"(?i)\bsig=[^&\s'\"]+")
_ADDRESS_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")


class _SignatureFilter(logging.Filter):
    """Takes the signature out of every address in a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        text = record.getMessage()
        if _SIGNATURE.search(text):
            record.msg, record.args = _SIGNATURE.sub("sig=REDACTED", text), ()
        return True


_FILTER = _SignatureFilter()


def container_client(access: ContainerAccess) -> ContainerClient:
    """A client for one container; it may be used from several threads."""
    for name in _ADDRESS_LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # the same filter is not added twice
    return ContainerClient(access.account_url, access.container, credential=access.credential, retry_total=0)
