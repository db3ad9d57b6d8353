"""
The URL of a storage account.

Keys and signatures are only sent over TLS. ``http`` is taken for the loopback interface alone, where an emulator lives.
What is wrong with a URL is said without repeating it: it may carry the secret.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tabvault.errors import StorageError
from tabvault.storage.server_state.loopback import is_loopback

_HINT = "https://ACCOUNT.blob.core.windows.net, with /CONTAINER?… behind it if a container SAS is given"

_HOST: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*", re.ASCII
)
"""
A name that DNS can hold, or an IPv6 address without its brackets.

No ``%``: behind it anything may follow what looks like an address.
"""


def split_url(url: str) -> SplitResult:
    """
    A URL of a storage, in parts.

    Raises:
        StorageError: it is none, or without TLS.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or not _HOST.fullmatch(host) or parts.username is not None or parts.fragment:
        raise StorageError("that is no URL of a storage account", hint=_HINT)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise StorageError("the URL does not begin with https", hint="a key or a SAS is only sent over TLS")
    return parts


def check_account_url(url: str) -> str:
    """
    The one spelling of the URL of an account: without a slash at its end.

    Raises:
        StorageError: it is none, without TLS, or has a query.
    """
    parts = split_url(url.strip())
    if parts.query:
        raise StorageError("the URL of the account has a query", hint="give the SAS as a container SAS URL")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
