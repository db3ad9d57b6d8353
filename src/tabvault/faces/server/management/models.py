"""
What a request may hold. Names are those of the REST API; what a client sends back of what it was shown is passed over.

Anything else that is not named here is an error: a typing error in the name of a setting must not look like success.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from tabvault.errors import RequestError
from tabvault.jobs.operations.management import FirewallChange, ServerChange
from tabvault.jobs.operations.server_administrators import ADMINISTRATOR_COUNT_MAX
from tabvault.storage.server_state.firewall_rules import RULE_COUNT_MAX, FirewallRule
from tabvault.storage.server_state.server_resource import SKUS, TAG_COUNT_MAX, Sku

URL_LENGTH_MAX: Final = 4096
_NAME_LENGTH_MAX: Final = 256

Mode = Literal[0, 1]
Name = Annotated[str, Field(max_length=_NAME_LENGTH_MAX)]


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("the name is empty, or has characters that do not show")
    return text


Administrator = Annotated[Name, AfterValidator(_printable)]


class Content(BaseModel):
    """A JSON object in a request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class SkuContent(Content):
    """A size: its tier follows from its name."""

    name: Name
    tier: Name | None = None
    capacity: int | None = None


class AdministratorsContent(Content):
    """Who administers the server."""

    members: list[Administrator] = Field(max_length=ADMINISTRATOR_COUNT_MAX)


class RuleContent(Content):
    """A range of IPv4 addresses that are let in, both ends included."""

    firewall_rule_name: Name = Field(alias="firewallRuleName")
    range_start: Name = Field(alias="rangeStart")
    range_end: Name = Field(alias="rangeEnd")


class FirewallContent(Content):
    """The firewall: on, and for everybody whom no rule names."""

    firewall_rules: list[RuleContent] | None = Field(default=None, alias="firewallRules", max_length=RULE_COUNT_MAX)
    enable_power_bi_service: bool | None = Field(default=None, alias="enablePowerBIService")


class GatewayContent(Content):
    """A gateway, which cannot be had here."""

    gateway_resource_id: Name | None = Field(default=None, alias="gatewayResourceId")
    gateway_object_id: Name | None = Field(default=None, alias="gatewayObjectId")
    dmts_cluster_uri: Name | None = Field(default=None, alias="dmtsClusterUri")


class PropertiesContent(Content):
    """The properties that can be set, and those that are only shown."""

    as_administrators: AdministratorsContent | None = Field(default=None, alias="asAdministrators")
    backup_blob_container_uri: SecretStr | None = Field(
        default=None, alias="backupBlobContainerUri", max_length=URL_LENGTH_MAX
    )
    gateway_details: GatewayContent | None = Field(default=None, alias="gatewayDetails")
    ip_v4_firewall_settings: FirewallContent | None = Field(default=None, alias="ipV4FirewallSettings")
    querypool_connection_mode: Name | None = Field(default=None, alias="querypoolConnectionMode")
    managed_mode: Mode | None = Field(default=None, alias="managedMode")
    server_monitor_mode: Mode | None = Field(default=None, alias="serverMonitorMode")
    sku: SkuContent | None = None
    state: Any = None
    provisioning_state: Any = Field(default=None, alias="provisioningState")
    server_full_name: Any = Field(default=None, alias="serverFullName")


class UpdateContent(Content):
    """The server, as far as it changes (PATCH)."""

    sku: SkuContent | None = None
    tags: dict[str, str] | None = Field(default=None, max_length=TAG_COUNT_MAX)
    properties: PropertiesContent | None = None
    location: str | None = None
    id: Any = None
    name: Any = None
    type: Any = None

    def change(self) -> ServerChange:
        """
        What it asks for. A member that is left out stays as it is, and so does null, but for those two that null ends:
        ``backupBlobContainerUri`` and ``ipV4FirewallSettings``.

        Raises:
            RequestError: a value cannot be.
        """
        properties = self.properties or PropertiesContent.model_validate({})
        if properties.gateway_details is not None and properties.gateway_details.gateway_resource_id is not None:
            raise RequestError(
                "this server has no gateway: it reaches its data sources by itself",
                path="properties.gatewayDetails",
                hint="leave it out",
            )
        members, firewall = properties.as_administrators, properties.ip_v4_firewall_settings
        sku = self.sku or properties.sku
        return ServerChange(
            administrators=None if members is None else tuple(members.members),
            container_url=_container_url(properties),
            firewall=_firewall(properties),
            sku=None if sku is None else _sku(sku),
            tags=None if self.tags is None else tuple(self.tags.items()),
            location=self.location,
            querypool_connection_mode=properties.querypool_connection_mode,
            enable_power_bi_service=None if firewall is None else bool(firewall.enable_power_bi_service),
            managed_mode=properties.managed_mode,
            server_monitor_mode=properties.server_monitor_mode,
        )


class ServerContent(UpdateContent):
    """The server as a whole (PUT). What may be left out of it stays as it is."""

    sku: SkuContent
    location: str


class NameContent(Content):
    """A name that somebody would like to give to a server."""

    name: Name
    type: Name = "Microsoft.AnalysisServices/servers"


def _sku(content: SkuContent) -> Sku:
    tier = content.tier or SKUS.get(content.name, "")
    return Sku(content.name, tier, 1 if content.capacity is None else content.capacity)


def _container_url(properties: PropertiesContent) -> str | None:
    """Empty where null was sent, None where nothing was."""
    if "backup_blob_container_uri" not in properties.model_fields_set:
        return None
    url = properties.backup_blob_container_uri
    return "" if url is None else url.get_secret_value()


def _firewall(properties: PropertiesContent) -> FirewallChange | None:
    if "ip_v4_firewall_settings" not in properties.model_fields_set:
        return None
    content = properties.ip_v4_firewall_settings
    if content is None:
        return FirewallChange(enabled=False, rules=None)
    if content.firewall_rules is None:
        return None  # something else is set there
    return FirewallChange(enabled=True, rules=tuple(_rule(rule) for rule in content.firewall_rules))


def _rule(content: RuleContent) -> FirewallRule:
    rule = FirewallRule.parse(content.firewall_rule_name, content.range_start, content.range_end)
    if rule.start.version != 4:
        raise RequestError(
            f"firewall rule {rule.name}: {rule.start} is not an IPv4 address",
            path="properties.ipV4FirewallSettings.firewallRules",
            hint="rules for IPv6 are set over REST: PUT /api/firewall/rules/NAME",
        )
    return rule
