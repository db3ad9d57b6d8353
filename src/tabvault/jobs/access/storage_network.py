"""
From where the files of the backup storage may be put and got: the network rules of the server's own account.

They guard the routes that stand in for a storage account's own, and are looked at before anybody is asked who he is.
The rest of the server is the business of its firewall. The loopback interface is always let in, and with it the owner
of the data folder at his machine: whoever can log in there can mend a rule that locked the administrator out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tabvault.errors import RequestError, StorageNetworkError
from tabvault.storage.server_state.firewall_rules import parse_address
from tabvault.storage.server_state.network_rules import load_network_rules, save_network_rules

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.server_state.network_rules import NetworkRules


class StorageNetwork:
    """
    The network rules of the server on *data_folder*. Threads may share it.

    Raises:
        FormatError: their file is damaged.
        StorageError: it cannot be read.
    """

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder
        self._lock = threading.Lock()
        self._rules = load_network_rules(data_folder)

    @property
    def rules(self) -> NetworkRules:
        """As they are now."""
        return self._rules

    def check(self, address: str) -> None:
        """
        Refuse a client whose address is not let in.

        Args:
            address: of the client, IPv4 or IPv6.

        Raises:
            StorageNetworkError: as a storage account of Azure answers ``AuthorizationFailure``.
        """
        rules = self._rules
        try:
            parsed = parse_address(address)
        except RequestError:  # no address at all: no rule holds it
            is_let_in = (rules.public_network_access, rules.default_action) == ("Enabled", "Allow")
        else:
            is_let_in = parsed.is_loopback or rules.let_in(parsed)
        if not is_let_in:
            raise StorageNetworkError(
                "this request is not authorized to perform this operation: public network access of the storage is "
                f"{rules.words!r}, and the client has the address {address}",
                hint=f"a server administrator can let it in: tabvault storage network allow {address}",
            )

    def replace(self, rules: NetworkRules) -> None:
        """
        Make *rules* those of the server, at once.

        Raises:
            StorageError: they could not be written; the old ones hold.
        """
        with self._lock:
            save_network_rules(self._data_folder, rules)
            self._rules = rules
