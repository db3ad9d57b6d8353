"""
The firewall of a server: ``<data>/server/firewall.json``.

::

    {"format_version": 1, "enabled": true,
     "rules": [{"name": "office", "start": "192.0.2.1", "end": "192.0.2.254"}]}

A rule is a range of addresses of one family, both ends included; its name has at most 128 characters of
``A-Z a-z 0-9 _ -``, as in Azure Analysis Services (ARM ``ipV4FirewallSettings``), and names differ by more than case.
An IPv6 address that only carries an IPv4 one (``::ffff:192.0.2.1``) is that IPv4 address. Without the file the firewall
is off.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

FIREWALL_FILE: Final = "firewall.json"
RULE_COUNT_MAX: Final = 1000
"""Far more than an administrator keeps by hand; every request is compared with each."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """A named range of addresses that are let in, *start* and *end* included."""

    name: str
    start: Address
    end: Address

    @classmethod
    def parse(cls, name: str, start: str, end: str) -> FirewallRule:
        """
        The rule that three texts describe.

        Raises:
            RequestError: the name is not one, a text is no address, or the two are no range.
        """
        if not _NAME.fullmatch(name):
            raise RequestError(
                f"the firewall rule's name {name!r:.200} is not 1 to 128 characters of A-Z, a-z, 0-9, _ and -",
                path="name",
            )
        first, last = parse_address(start, path="start"), parse_address(end, path="end")
        if first.version != last.version:
            raise RequestError(
                f"firewall rule {name}: {first} is an IPv{first.version} address, and {last} is not", path="end"
            )
        if int(first) > int(last):
            raise RequestError(f"firewall rule {name}: {first} comes after {last}", path="start")
        return cls(name, first, last)

    def holds(self, address: Address) -> bool:
        """Whether *address* is in the range."""
        return address.version == self.start.version and int(self.start) <= int(address) <= int(self.end)


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """
    Everything in the file.

    Raises:
        RequestError: two rules have one name, or there are too many.
    """

    enabled: bool = False
    rules: tuple[FirewallRule, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rules) > RULE_COUNT_MAX:
            raise RequestError(f"{len(self.rules)} firewall rules, and {RULE_COUNT_MAX} are allowed", path="rules")
        _refuse_twice(rule.name for rule in self.rules)


def parse_address(text: str, *, path: str | None = None) -> Address:
    """
    An IPv4 or IPv6 address; one that carries an IPv4 address is that address. A zone (``%eth0``) is not part of it.

    Raises:
        RequestError: it is none.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise RequestError(f"{text!r:.100} is not an IPv4 or IPv6 address", path=path) from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def load_firewall(data_folder: Path) -> FirewallSettings:
    """
    The firewall of the server on *data_folder*; switched off, if nothing was ever saved.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, FIREWALL_FILE, "enabled", "rules")
    if members is None:
        return FirewallSettings()
    try:
        return FirewallSettings(members["enabled"].flag(), tuple(_rule(item) for item in members["rules"].items()))
    except RequestError as error:
        raise members["rules"].error(f"not usable: {error.message}") from None


def save_firewall(data_folder: Path, settings: FirewallSettings) -> None:
    """
    Make *settings* those of the server on *data_folder*, durably and in one step.

    Raises:
        StorageError: the file cannot be written.
    """
    rules = [{"name": rule.name, "start": str(rule.start), "end": str(rule.end)} for rule in settings.rules]
    write_state(data_folder, FIREWALL_FILE, {"enabled": settings.enabled, "rules": rules})


def _rule(value: StateValue) -> FirewallRule:
    members = value.members("name", "start", "end")
    return FirewallRule.parse(members["name"].text(), members["start"].text(), members["end"].text())


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise RequestError(f"there are two firewall rules of the name {name}", path="rules")
        seen.add(name.lower())
