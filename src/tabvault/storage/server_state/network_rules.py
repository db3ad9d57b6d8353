"""
The network rules of the server's own storage account: ``<data>/server/storage-network.json``.

::

    {"format_version": 1, "public_network_access": "Enabled", "default_action": "Deny",
     "ip_rules": ["192.0.2.0/24", "198.51.100.7"]}

The words are those of an Azure storage account (``publicNetworkAccess``, ``networkAcls``). A rule is one address or a
CIDR range, IPv4 or IPv6, and lets in. Unlike there ranges of private networks may stand, and single addresses as
``/32``: this account lives in such networks. Without the file everybody is let in.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tabvault.errors import RequestError
from tabvault.storage.server_state.firewall_rules import parse_address
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.server_state.firewall_rules import Address
    from tabvault.storage.server_state.state_file import StateValue

NETWORK_RULES_FILE: Final = "storage-network.json"
IP_RULE_COUNT_MAX: Final = 400
"""As in Azure; every request is compared with each."""

Access = Literal["Enabled", "Disabled"]
DefaultAction = Literal["Allow", "Deny"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """
    Everything in the file.

    Attributes:
        public_network_access: ``Disabled`` lets nobody in, whatever the rest says.
        default_action: what happens to an address that no rule holds.
        ip_rules: who is let in all the same, ordered, none twice.

    Raises:
        RequestError: there are too many rules.
    """

    public_network_access: Access = "Enabled"
    default_action: DefaultAction = "Allow"
    ip_rules: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        if len(self.ip_rules) > IP_RULE_COUNT_MAX:
            raise RequestError(f"{len(self.ip_rules)} IP rules, and {IP_RULE_COUNT_MAX} are allowed", path="ip_rules")
        ordered = sorted(set(self.ip_rules), key=lambda network: (network.version, int(network[0]), network.prefixlen))
        object.__setattr__(self, "ip_rules", tuple(ordered))

    @property
    def words(self) -> str:
        """What the portal of Azure calls it."""
        if self.public_network_access == "Disabled":
            return "Disabled"
        if self.default_action == "Allow":
            return "Enabled from all networks"
        return "Enabled from selected virtual networks and IP addresses"

    def let_in(self, address: Address) -> bool:
        """Whether *address* may come."""
        if self.public_network_access == "Disabled":
            return False
        return self.default_action == "Allow" or any(address in network for network in self.ip_rules)

    def allowing(self, network: Network) -> NetworkRules:
        """These rules and one more."""
        return replace(self, ip_rules=(*self.ip_rules, network))

    def without(self, network: Network) -> NetworkRules:
        """
        These rules without that one.

        Raises:
            RequestError: it is none of them.
        """
        if network not in self.ip_rules:
            raise RequestError(f"there is no IP rule {network_text(network)}", path="ip_rules")
        return replace(self, ip_rules=tuple(rule for rule in self.ip_rules if rule != network))


def parse_network(text: str, *, path: str | None = None) -> Network:
    """
    One address, or a range in CIDR notation.

    Raises:
        RequestError: it is neither, or bits behind the prefix are set.
    """
    address, slash, prefix = text.strip().partition("/")
    first = parse_address(address, path=path)
    if not slash:
        return ipaddress.ip_network(first)
    try:
        return ipaddress.ip_network(f"{first}/{prefix}")
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(f"{first}/{prefix}", strict=False)
    except ValueError:
        raise RequestError(f"{text!r:.100} is not a range in CIDR notation", path=path) from None
    raise RequestError(f"{text!r:.100} has bits set behind its prefix", path=path, hint=f"is {meant} meant?")


def network_text(network: Network) -> str:
    """As :func:`parse_network` reads it; a single address without a prefix."""
    return str(network[0]) if network.num_addresses == 1 else str(network)


def load_network_rules(data_folder: Path) -> NetworkRules:
    """
    The rules of the server on *data_folder*; those that let everybody in, if nothing was ever saved.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, NETWORK_RULES_FILE, "public_network_access", "default_action", "ip_rules")
    if members is None:
        return NetworkRules()
    access, action = members["public_network_access"], members["default_action"]
    if access.text() not in ("Enabled", "Disabled"):
        raise access.error("neither Enabled nor Disabled")
    if action.text() not in ("Allow", "Deny"):
        raise action.error("neither Allow nor Deny")
    try:
        return NetworkRules(
            "Disabled" if access.text() == "Disabled" else "Enabled",
            "Deny" if action.text() == "Deny" else "Allow",
            tuple(_network(item) for item in members["ip_rules"].items()),
        )
    except RequestError as error:
        raise members["ip_rules"].error(str(error)) from None


def save_network_rules(data_folder: Path, rules: NetworkRules) -> None:
    """
    Make *rules* those of the server on *data_folder*, durably and in one step.

    Raises:
        StorageError: the file cannot be written.
    """
    content = {
        "public_network_access": rules.public_network_access,
        "default_action": rules.default_action,
        "ip_rules": [network_text(network) for network in rules.ip_rules],
    }
    write_state(data_folder, NETWORK_RULES_FILE, content)


def _network(value: StateValue) -> Network:
    return parse_network(value.text())
