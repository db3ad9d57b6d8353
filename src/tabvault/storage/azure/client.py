"""
The client library, set up as this package needs it.

Its own repetitions are switched off (:mod:`~tabvault.storage.remote.patience` has the only ones). For those of a body
that broke off there is no switch, so the error of that is none that the library repeats for. Redirects are off as well:
the service makes none, and one could lead to whatever this machine reaches, without TLS too. The libraries below it
are kept from logging a signature (``urllib3`` writes every address with its query at level DEBUG), and the library
itself from writing to the standard error what it raises anyway.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, ContainerClient
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager, ProxyManager

from tabvault.storage.remote.redaction import Redaction
from tabvault.storage.remote.wire import WatchedPool, WatchedTlsPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.storage.azure.access import AccountAccess, ContainerAccess

_ADDRESS_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
_LIBRARY_LOGGER: Final = logging.getLogger("azure")
_NOWHERE: Final = logging.NullHandler()
_OPTIONS: Final[dict[str, Any]] = {"retry_total": 0, "permit_redirects": False}
_PIECE_BYTE_COUNT: Final = 256 << 10
_REDACTION = Redaction(re.compile(r"(?i)\bsig=[^&\s'\"]+"), "sig=REDACTED")


class BodyLostError(AzureError):
    """The body of an answer broke off. Not ``ServiceResponseError``: see above."""


class _Response(requests.Response):
    def iter_content(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from super().iter_content(*arguments, **options)
        except requests.RequestException:
            raise BodyLostError("the body of an answer broke off") from None


class _Adapter(HTTPAdapter):
    """Makes connections that can be cut off; repeats nothing by itself."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        response.__class__ = _Response  # the library makes it, and fills it
        return response

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        if type(manager) is ProxyManager:  # one for SOCKS has connections of its own
            _watch(manager)
        return manager


class WatchedTransport(RequestsTransport):  # type: ignore[misc]  # the library has it without types
    """What sends requests for the client library, with connections that can be cut off."""

    def __init__(self) -> None:
        # As large as the library's own has them: each piece is a turn of a loop.
        super().__init__(connection_data_block_size=_PIECE_BYTE_COUNT)
        self.open()  # the library does it at the first use, which may be that of several threads at once

    def _init_session(self, session: requests.Session) -> None:
        super()._init_session(session)
        adapter = _Adapter()
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)


def _watch(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": WatchedPool, "https": WatchedTlsPool}


def _quiet() -> None:
    _REDACTION.put_before(_ADDRESS_LOGGERS)
    _LIBRARY_LOGGER.addHandler(_NOWHERE)


def container_client(access: ContainerAccess) -> ContainerClient:
    """A client for one container; it may be used from several threads."""
    _quiet()
    return ContainerClient(
        access.account_url, access.container, credential=access.credential, transport=WatchedTransport(), **_OPTIONS
    )


def service_client(access: AccountAccess) -> BlobServiceClient:
    """A client for the account itself; it may be used from several threads."""
    _quiet()
    return BlobServiceClient(access.account_url, credential=access.credential, transport=WatchedTransport(), **_OPTIONS)
