"""
What the management interface says of this server and nothing else knows: ``<data>/server/server-resource.json``.

::

    {"format_version": 1, "is_paused": false, "location": "local",
     "sku": {"name": "S1", "tier": "Standard", "capacity": 1},
     "tags": [{"name": "team", "value": "finance"}],
     "querypool_connection_mode": "All", "enable_power_bi_service": false,
     "managed_mode": 1, "server_monitor_mode": 1}

=========================  ========================================================================================
key                        value
=========================  ========================================================================================
is_paused                  whether the server was suspended; it is again when it starts
location                   a free text; with Azure Analysis Services the name of a region
sku                        one of :data:`SKUS`, and how many instances, 1 to 8
tags                       texts by name, names different by more than case
querypool_connection_mode  ``All`` or ``ReadOnly``, the latter not with one instance
enable_power_bi_service    as it was set
managed_mode               0 or 1
server_monitor_mode        0 or 1
=========================  ========================================================================================

Of all these only *is_paused* decides anything here; the others are kept so that programs written for Azure Analysis
Services find again what they set. Their names, values and defaults are those of the REST API of Azure Resource Manager,
``Microsoft.AnalysisServices/servers`` of 2017-08-01; the limits of tags are those of Azure Resource Manager.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

RESOURCE_FILE: Final = "server-resource.json"

SKUS: Final[Mapping[str, str]] = {
    "D1": "Development",
    "B1": "Basic",
    "B2": "Basic",
    "S0": "Standard",
    "S1": "Standard",
    "S2": "Standard",
    "S4": "Standard",
    "S8v2": "Standard",
    "S9v2": "Standard",
}
"""The tier of each size, by its name."""

CAPACITY_MAX: Final = 8
CONNECTION_MODES: Final = frozenset(["All", "ReadOnly"])
LOCATION_LENGTH_MAX: Final = 128
TAG_COUNT_MAX: Final = 50
TAG_NAME_LENGTH_MAX: Final = 512
TAG_VALUE_LENGTH_MAX: Final = 256

_MODE_MAX: Final = 1
_KEYS: Final = {
    "location": "location",
    "sku": "sku",
    "tags": "tags",
    "querypoolConnectionMode": "querypool_connection_mode",
}
"""Where in the file stands what an error names."""


@dataclass(frozen=True, slots=True)
class Sku:
    """
    A size of Azure Analysis Services.

    Raises:
        RequestError: there is none of that name, it belongs to another tier, or so many instances there cannot be.
    """

    name: str = "S1"
    tier: str = "Standard"
    capacity: int = 1

    def __post_init__(self) -> None:
        if self.name not in SKUS:
            raise RequestError(f"{self.name!r:.80} is not one of {', '.join(SKUS)}", path="sku.name")
        if self.tier != SKUS[self.name]:
            raise RequestError(f"{self.name} is of the tier {SKUS[self.name]}, not {self.tier!r:.80}", path="sku.tier")
        if not 1 <= self.capacity <= CAPACITY_MAX:
            raise RequestError(f"{self.capacity} is not from 1 to {CAPACITY_MAX}", path="sku.capacity")


@dataclass(frozen=True, slots=True)
class ServerResource:
    """
    Everything in the file; the table of this module says what the fields mean.

    Raises:
        RequestError: a value cannot be, or two contradict each other.
    """

    is_paused: bool = False
    location: str = "local"
    sku: Sku = Sku()
    tags: tuple[tuple[str, str], ...] = ()
    querypool_connection_mode: str = "All"
    enable_power_bi_service: bool = False
    managed_mode: int = 1
    server_monitor_mode: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.location) <= LOCATION_LENGTH_MAX or not self.location.isprintable():
            raise RequestError(
                f"{self.location!r:.150} is not 1 to {LOCATION_LENGTH_MAX} printable characters", path="location"
            )
        if self.querypool_connection_mode not in CONNECTION_MODES:
            raise RequestError(
                f"{self.querypool_connection_mode!r:.80} is neither All nor ReadOnly", path="querypoolConnectionMode"
            )
        if self.querypool_connection_mode == "ReadOnly" and self.sku.capacity == 1:
            raise RequestError(
                "ReadOnly keeps queries from the only instance there is (the capacity of the SKU is 1)",
                path="querypoolConnectionMode",
            )
        _check_tags(self.tags)


def load_server_resource(data_folder: Path) -> ServerResource:
    """
    What is known of the server on *data_folder*; what holds before anything was set, if nothing was.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    keys = asdict(ServerResource())
    members = read_state(data_folder, RESOURCE_FILE, *keys)
    if members is None:
        return ServerResource()
    try:
        return ServerResource(
            is_paused=members["is_paused"].flag(),
            location=members["location"].text(),
            sku=_sku(members["sku"]),
            tags=tuple(_tag(item) for item in members["tags"].items()),
            querypool_connection_mode=members["querypool_connection_mode"].text(),
            enable_power_bi_service=members["enable_power_bi_service"].flag(),
            managed_mode=members["managed_mode"].integer(0, _MODE_MAX),
            server_monitor_mode=members["server_monitor_mode"].integer(0, _MODE_MAX),
        )
    except RequestError as error:
        named = (error.path or "").partition(".")[0]
        raise members[_KEYS.get(named, named)].error(f"not usable: {error.message}") from None


def save_server_resource(data_folder: Path, resource: ServerResource) -> None:
    """
    Make *resource* that of the server on *data_folder*, durably and in one step.

    Raises:
        StorageError: the file cannot be written.
    """
    tags = [{"name": name, "value": value} for name, value in resource.tags]
    write_state(data_folder, RESOURCE_FILE, {**asdict(resource), "tags": tags})


def _sku(value: StateValue) -> Sku:
    members = value.members("name", "tier", "capacity")
    return Sku(members["name"].text(), members["tier"].text(), members["capacity"].integer(1, CAPACITY_MAX))


def _tag(value: StateValue) -> tuple[str, str]:
    members = value.members("name", "value")
    return members["name"].text(), members["value"].text()


def _check_tags(tags: tuple[tuple[str, str], ...]) -> None:
    if len(tags) > TAG_COUNT_MAX:
        raise RequestError(f"{len(tags)} tags, and {TAG_COUNT_MAX} are allowed", path="tags")
    if len({name.casefold() for name, _ in tags}) != len(tags):
        raise RequestError("two tags have one name, case aside", path="tags")
    for name, value in tags:
        if not 1 <= len(name) <= TAG_NAME_LENGTH_MAX:
            raise RequestError(
                f"the name of a tag has {len(name)} characters, not 1 to {TAG_NAME_LENGTH_MAX}", path="tags"
            )
        if len(value) > TAG_VALUE_LENGTH_MAX:
            raise RequestError(
                f"the value of the tag {name!r:.80} has {len(value)} characters, not at most {TAG_VALUE_LENGTH_MAX}",
                path="tags",
            )
