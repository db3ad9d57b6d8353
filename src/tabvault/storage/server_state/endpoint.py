"""
Where the server on a data folder can be reached by the owner of the folder: ``<data>/server/endpoint.json``.

::

    {"format_version": 1, "url": "http://127.0.0.1:8282", "pid": 4711, "started": "2026-01-31T18:05:00+00:00",
     "local_token": "…", "certificate": null}

==============  =====================================================================================================
key             value
==============  =====================================================================================================
url             an address on the loopback interface
pid             process id of the server
started         when it began to take requests
local_token     random, of this run of the server; whoever brings it over the loopback interface is an administrator
certificate     PEM of the server's certificate, the only one to be believed at that address; null without TLS
==============  =====================================================================================================

It is written when requests are taken and removed at the end. What a killed server leaves names a process that does not
live any more, or, once the system has given its number to another, a data folder that nobody owns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.storage.data_folder.layout import LOCK
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.state_file import FOLDER, moment_text, read_state, write_state

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

ENDPOINT_FILE: Final = "endpoint.json"

_PID_MAX: Final = 1 << 31
_LOOPBACK_HOSTS: Final = frozenset(["127.0.0.1", "::1"])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running server; the table of this module says what the fields mean."""

    url: str
    pid: int
    started: datetime.datetime
    local_token: str = field(repr=False)
    certificate: str | None


def save_endpoint(data_folder: Path, endpoint: Endpoint) -> None:
    """
    Say where the server on *data_folder*, which the caller owns, can be reached.

    Raises:
        StorageError: it cannot be written.
    """
    content = {
        "url": endpoint.url,
        "pid": endpoint.pid,
        "started": moment_text(endpoint.started),
        "local_token": endpoint.local_token,
        "certificate": endpoint.certificate,
    }
    write_state(data_folder, ENDPOINT_FILE, content)


def remove_endpoint(data_folder: Path) -> None:
    """
    Say that there is no server any more. Twice is allowed.

    Raises:
        StorageError: the file cannot be removed.
    """
    path = data_folder / FOLDER / ENDPOINT_FILE
    with storage_errors(f"file {path}"):
        path.unlink(missing_ok=True)


def live_endpoint(data_folder: Path) -> Endpoint | None:
    """
    The running server on *data_folder*; None if there is none, or it is another user's.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    path = data_folder / FOLDER / ENDPOINT_FILE
    try:
        # The token is sent to whatever address the file names: it must be one of our own.
        if path.stat().st_uid != os.geteuid():
            return None
    except OSError:
        return None
    members = read_state(data_folder, ENDPOINT_FILE, "url", "pid", "started", "local_token", "certificate")
    if members is None:
        return None
    endpoint = Endpoint(
        url=members["url"].text(),
        pid=members["pid"].integer(1, _PID_MAX),
        started=members["started"].moment(),
        local_token=members["local_token"].text(),
        certificate=members["certificate"].text_or_none(),
    )
    if not _is_local_url(endpoint.url):
        raise members["url"].error(f"{endpoint.url!r:.80}, not an address of the loopback interface")
    return endpoint if _is_alive(endpoint.pid) and _is_owned(data_folder) else None


def _is_local_url(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in {"http", "https"} and parts.hostname in _LOOPBACK_HOSTS and parts.port is not None
    except ValueError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process, and so not the server that wrote our file
        return False
    return True


def _is_owned(data_folder: Path) -> bool:
    """Whether a process owns the folder. The lock is held no longer than it takes to see that nobody does."""
    try:
        descriptor = os.open(data_folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
