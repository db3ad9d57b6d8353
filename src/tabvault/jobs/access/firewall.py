"""
Who may connect at all: the firewall of a server.

Off, it lets everybody in. On, it lets in the addresses of its rules, and without rules nobody, as in Azure Analysis
Services. The loopback interface is always let in, which that service does not have: whoever can log in to the machine
can mend a rule that locked the administrator out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tabvault.errors import AddressBlockedError, RequestError
from tabvault.storage.server_state.firewall_rules import (
    FirewallRule,
    FirewallSettings,
    load_firewall,
    parse_address,
    save_firewall,
)

if TYPE_CHECKING:
    from pathlib import Path


class Firewall:
    """
    The firewall of the server on *data_folder*. Threads may share it.

    Raises:
        FormatError: its file is damaged.
        StorageError: it cannot be read.
    """

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder
        self._lock = threading.Lock()
        self._settings = load_firewall(data_folder)

    @property
    def settings(self) -> FirewallSettings:
        """As it is now."""
        return self._settings

    def check(self, address: str, *, server: str) -> None:
        """
        Refuse a client whose address is not let in.

        Args:
            address: of the client, IPv4 or IPv6.
            server: what the client calls this server.

        Raises:
            AddressBlockedError: the text is that of Analysis Services, which clients and their users know, but for the
                place of the settings.
        """
        if not lets_in(self._settings, address):
            raise AddressBlockedError(
                f"Cannot connect to server '{server}'. Client with IP Address '{address}' is not allowed to access "
                "the server. To enable access, use the Firewall settings of the server.",
                hint="a server administrator can add a firewall rule for the address",
            )

    def replace(self, settings: FirewallSettings) -> None:
        """
        Make *settings* those of the server, at once.

        Raises:
            StorageError: they could not be written; the old ones hold.
        """
        with self._lock:
            self._put(settings)

    def put_rule(self, rule: FirewallRule) -> None:
        """
        Add *rule*, or put it in the place of the one of its name.

        Raises:
            RequestError: there are too many rules.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            self._put(FirewallSettings(self._settings.enabled, (*self._without(rule.name), rule)))

    def remove_rule(self, name: str) -> None:
        """
        Remove the rule of that name.

        Raises:
            RequestError: there is none.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            rules = self._without(name)
            if len(rules) == len(self._settings.rules):
                raise RequestError(f"there is no firewall rule {name!r:.200}", path="name")
            self._put(FirewallSettings(self._settings.enabled, rules))

    def _without(self, name: str) -> tuple[FirewallRule, ...]:
        return tuple(rule for rule in self._settings.rules if rule.name.lower() != name.lower())

    def _put(self, settings: FirewallSettings) -> None:
        save_firewall(self._data_folder, settings)
        self._settings = settings


def lets_in(settings: FirewallSettings, address: str) -> bool:
    """Whether a firewall of these *settings* lets a client in."""
    if not settings.enabled:
        return True
    try:
        parsed = parse_address(address)
    except RequestError:  # no address at all: no rule holds it
        return False
    return parsed.is_loopback or any(rule.holds(parsed) for rule in settings.rules)
