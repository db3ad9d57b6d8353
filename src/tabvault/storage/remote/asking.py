"""What the probes of all services over a network have in common."""

from __future__ import annotations

import socket
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from tabvault.storage.remote.patience import Patience

PATIENCE: Final = Patience(attempt_count_max=3, deadline_s=20.0, first_pause_s=0.3, pause_max_s=2.0, quiet_max_s=10.0)
"""Somebody waits for the answer, and a service that is down for half a minute is worth telling."""

SIZED_COUNT_MAX: Final = 50
"""Of so many unfinished uploads the pieces are asked for: each costs a call."""

_PORTS: Final = {"https": 443, "http": 80}


def outbound_address(url: str) -> str | None:
    """
    The address of this machine that its packets to the service at *url* carry; None behind a proxy.

    Nothing is sent: connecting a datagram socket only asks the routing table.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return None
    try:
        found = socket.getaddrinfo(host, parts.port or _PORTS[parts.scheme], type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as asking:
            asking.connect(address)
            return str(asking.getsockname()[0])
    except OSError:
        return None


def clock_skew_s(date: str | None, known_s: float | None) -> float | None:
    """
    How far this machine's clock is ahead of the service's.

    Args:
        date: the header ``Date`` of an answer that came just now.
        known_s: what was known before; it stands when the header says nothing.
    """
    now = datetime.now(UTC)
    try:
        time = parsedate_to_datetime(str(date))
    except ValueError:  # whoever stands between may say anything
        return known_s
    return (now - (time if time.tzinfo else time.replace(tzinfo=UTC))).total_seconds()
