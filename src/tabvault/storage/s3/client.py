"""
The client library, set up as this package needs it.

``botocore`` is the half of Amazon's SDK that knows the calls of the service; the transfer half above it (``boto3``)
chooses parts and threads by itself and cannot go on with an upload, and other libraries (``obstore``) do not show the
ids of uploads and parts at all.

It is set up so that nothing of the machine has a say: neither the user's files of the AWS command line nor their
profile. Its own repetitions are switched off (:mod:`~tabvault.storage.remote.patience` has the only ones). Checksums
that only newer services know are left out: each body carries its MD5, which all of them check.

The library logs whole requests at level DEBUG; signatures are taken out of that.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config

from tabvault.storage.remote.redaction import Redaction
from tabvault.storage.remote.wire import CONNECT_MAX_S, WatchedConnection, WatchedPool

if TYPE_CHECKING:
    from tabvault.storage.s3.access import S3Access

_CONNECTION_COUNT_MAX: Final = 32
"""Kept open per client; four parts of each of some uploads, and readers."""

_REQUEST_LOGGERS = ("botocore.auth", "botocore.endpoint")
_REDACTION = Redaction(re.compile(r"(?i)(signature[=:]\s*)[0-9a-f]{64}"), r"\1REDACTED")
_LOCK = threading.Lock()


class _Connection(WatchedConnection, AWSHTTPConnection):  # type: ignore[misc]  # the library has no types
    pass


class _TlsConnection(WatchedConnection, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(WatchedPool, AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _TlsPool(WatchedPool, AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _TlsConnection


@functools.cache
def _session() -> botocore.session.Session:
    """One for all clients: it keeps the descriptions of the service, which are large."""
    _REDACTION.put_before(_REQUEST_LOGGERS)
    return botocore.session.Session(
        session_vars={
            "profile": (None, [], None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )


def s3_client(access: S3Access, *, quiet_max_s: float) -> Any:
    """
    A client for the service of *access*; it may be used from several threads.

    Args:
        access: the service and the key.
        quiet_max_s: how long the service may be silent. The library has this per client, not per call.
    """
    # The library says that creating clients is not safe in several threads at once.
    with _LOCK:
        client = _session().create_client(
            "s3",
            region_name=access.region,
            endpoint_url=access.url,
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=access.secret,
            config=Config(
                signature_version="s3v4",
                connect_timeout=min(quiet_max_s, CONNECT_MAX_S),
                read_timeout=quiet_max_s,
                max_pool_connections=_CONNECTION_COUNT_MAX,
                retries={"total_max_attempts": 1, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "virtual" if access.has_bucket_in_host_name else "path"},
            ),
        )
    # The library has no way in for connections that can be cut off; the managers of all proxies share this table.
    client._endpoint.http_session._pool_classes_by_scheme.update(http=_Pool, https=_TlsPool)  # noqa: SLF001
    return client
