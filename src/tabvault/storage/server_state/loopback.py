"""Whether an address is this machine itself: where no network is, nobody listens on it."""

from __future__ import annotations

from tabvault.errors import RequestError
from tabvault.storage.server_state.firewall_rules import parse_address


def is_loopback_address(address: str) -> bool:
    """Whether *address* is an IP address of the loopback interface. A name is none, whatever it stands for."""
    try:
        return parse_address(address).is_loopback
    except RequestError:
        return False


def is_loopback(host: str) -> bool:
    """Whether *host*, as a URL names it, is this machine itself."""
    return host == "localhost" or is_loopback_address(host)
