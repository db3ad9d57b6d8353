"""What may be asked about who may come in, and who did what; as :mod:`.models`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from tabvault.faces.server.rest.models import Body, Count, DatabaseName, Parameters, Password, Text
from tabvault.jobs.access.accounts import KEY_NAME_LENGTH_MAX, USER_NAME_LENGTH_MAX
from tabvault.jobs.access.principal import Scope
from tabvault.storage.server_state.firewall_rules import RULE_COUNT_MAX
from tabvault.storage.server_state.identity_providers import PROVIDER_COUNT_MAX


class AuditParameters(Parameters):
    """Which lines of the audit log."""

    since: AwareDatetime | None = Field(None, description="None before this time.")
    until: AwareDatetime | None = Field(None, description="None at or after this time.")
    limit: Count = Field(100, ge=1, le=10_000, description="So many at most, the latest.")


class NotedLine(Body):
    """A line of the audit log that was noted elsewhere."""

    sequence: int = Field(ge=1, lt=1 << 63)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the line without its line feed.")


class AuditCheckRequest(Body):
    """How to check the audit log."""

    noted: NotedLine | None = Field(None, description="A line that has to be there as it was.")


class UserRequest(Body):
    """A new user."""

    name: str = Field(min_length=1, max_length=USER_NAME_LENGTH_MAX, pattern=r"^[^:\s]([^:]*[^:\s])?$")
    password: Password
    is_server_administrator: bool = False


class UserChangeRequest(Body):
    """What is changed of a user."""

    is_server_administrator: bool


class PasswordRequest(Body):
    """Another password of a user."""

    password: Password


class UsersKeysParameters(Parameters):
    """Which API keys."""

    owner: str | None = Field(None, max_length=USER_NAME_LENGTH_MAX, description="Only those of this user.")


class KeyRequest(Body):
    """A new API key."""

    owner: str = Field(min_length=1, max_length=USER_NAME_LENGTH_MAX, description="The user for whom it acts.")
    name: str = Field(min_length=1, max_length=KEY_NAME_LENGTH_MAX)
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=len(Scope))
    databases: Annotated[tuple[DatabaseName, ...], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="The databases that it is good for; all if null."
    )
    expires: AwareDatetime | None = Field(None, description="From when on it is refused; never if null.")


class RuleRequest(Body):
    """A range of addresses, both ends included."""

    start: str = Field(max_length=64, description="IPv4 or IPv6.")
    end: str = Field(max_length=64, description="Of the same kind.")


class NamedRuleRequest(RuleRequest):
    """A firewall rule."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")


class FirewallRequest(Body):
    """The whole firewall."""

    enabled: bool
    rules: tuple[NamedRuleRequest, ...] = Field((), max_length=RULE_COUNT_MAX)


class ProviderRequest(Body):
    """An issuer of tokens (OpenID Connect)."""

    issuer: Text
    audiences: tuple[Text, ...] = Field(min_length=1, max_length=100)
    tenant: Text | None = None
    jwks_uri: Text | None = None
    jwks: dict[str, Any] | None = Field(None, description="Its keys (RFC 7517), where it cannot be asked for them.")
    administrators: tuple[Text, ...] = Field((), max_length=1000)


class ProvidersRequest(Body):
    """All identity providers."""

    providers: tuple[ProviderRequest, ...] = Field(max_length=PROVIDER_COUNT_MAX)
