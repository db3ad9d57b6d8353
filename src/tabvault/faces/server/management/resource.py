"""
The server as a document: ``Microsoft.AnalysisServices/servers``.

It has one name for all subscriptions and resource groups, which are whatever the caller says: they are free texts that
come back in the ``id``, and nothing depends on them.

=====================================  ============================================================================
property                               value
=====================================  ============================================================================
provisioningState                      ``Succeeded``; ``Updating``, ``Pausing`` or ``Resuming`` while that is done
state                                  the same, but ``Paused`` when the server is paused and nothing is done
serverFullName                         what clients connect to: the URL of ``/xmla``
asAdministrators                       the names of all server administrators
backupBlobContainerUri                 the container's URL without signature; not there, if backups are disabled or go
                                       elsewhere than to Azure Storage
ipV4FirewallSettings                   not there, if the firewall is off; its rules for IPv6 are not shown
querypoolConnectionMode, managedMode,  as they were set
serverMonitorMode
=====================================  ============================================================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tabvault.storage.server_state.server_resource import SKUS

if TYPE_CHECKING:
    from tabvault.jobs.operations.management import ManagedServer
    from tabvault.storage.server_state.server_resource import Sku

PROVIDER: Final = "Microsoft.AnalysisServices"
RESOURCE_TYPE: Final = f"{PROVIDER}/servers"
DEFAULT_GROUP: Final = "tabvault"
"""The resource group of the server where the caller named none: in the list of a whole subscription."""

SERVER_NAME: Final = re.compile(r"[a-z][a-z0-9]{2,62}")


def resource_name(server: str) -> str:
    """
    What the server of that name is called here: client libraries take only small letters and digits.

    What is neither is left out, as are digits at the begin; ``tabvault``, if less than three characters are left.
    """
    kept = re.sub(r"[^a-z0-9]", "", server.lower()).lstrip("0123456789")[:63]
    return kept if SERVER_NAME.fullmatch(kept) else "tabvault"


def resource_document(
    server: ManagedServer, *, name: str, subscription: str, group: str, address: str, doing: str | None
) -> dict[str, Any]:
    """
    The document of the server.

    Args:
        server: as it is.
        name: of :func:`resource_name`.
        subscription: as the caller named it.
        group: likewise.
        address: scheme, host and port at which the caller reached us.
        doing: the state while something is done; None if nothing is.
    """
    resource = server.resource
    properties: dict[str, Any] = {
        "provisioningState": doing or "Succeeded",
        "state": doing or ("Paused" if resource.is_paused else "Succeeded"),
        "serverFullName": f"{address}/xmla",
        "asAdministrators": {"members": list(server.administrators)},
        "querypoolConnectionMode": resource.querypool_connection_mode,
        "managedMode": resource.managed_mode,
        "serverMonitorMode": resource.server_monitor_mode,
        "sku": _sku(resource.sku),
    }
    if server.container_url is not None:
        properties["backupBlobContainerUri"] = server.container_url
    if server.firewall.enabled:
        properties["ipV4FirewallSettings"] = {
            "firewallRules": [
                {"firewallRuleName": rule.name, "rangeStart": str(rule.start), "rangeEnd": str(rule.end)}
                for rule in server.firewall.rules
                if rule.start.version == 4
            ],
            "enablePowerBIService": resource.enable_power_bi_service,
        }
    return {
        "id": f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{RESOURCE_TYPE}/{name}",
        "name": name,
        "type": RESOURCE_TYPE,
        "location": resource.location,
        "sku": _sku(resource.sku),
        "tags": dict(resource.tags),
        "properties": properties,
    }


def new_skus() -> dict[str, Any]:
    """Every size that a new server could have."""
    return {"value": [{"name": name, "tier": tier} for name, tier in SKUS.items()]}


def existing_skus() -> dict[str, Any]:
    """Every size that this server could be given."""
    skus = ({"name": name, "tier": tier, "capacity": 1} for name, tier in SKUS.items())
    return {"value": [{"resourceType": RESOURCE_TYPE, "sku": sku} for sku in skus]}


def _sku(sku: Sku) -> dict[str, Any]:
    return {"name": sku.name, "tier": sku.tier, "capacity": sku.capacity}
