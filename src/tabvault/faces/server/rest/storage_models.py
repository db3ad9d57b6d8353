"""What a request about the backup storage may hold; as :mod:`.models`. Every secret is a ``SecretStr``."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, SecretStr

from tabvault.faces.server.rest.models import Body, Parameters, Text
from tabvault.storage.account_credentials import (
    AccessKey,
    AccountKey,
    AzureCli,
    ConnectionString,
    ContainerUrl,
    ManagedIdentity,
    ServicePrincipal,
)
from tabvault.storage.server_state.network_rules import IP_RULE_COUNT_MAX

SECRET_LENGTH_MAX: Final = 16_384
"""The longest are URLs with a SAS that names a person, some hundred characters."""

_Secret = Annotated[SecretStr, Field(min_length=1, max_length=SECRET_LENGTH_MAX)]
_AccountUrl = Annotated[
    Text, Field(description="`https://ACCOUNT.blob.core.windows.net`; http is for this machine alone.")
]
_ContainerName = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])+$", min_length=3, max_length=63)]


class StorageRequest(Body):
    """Where backups go."""

    enabled: bool
    account: Text | None = Field(
        description="Name of a registered account; `storage`, the embedded one; or absolute path of a folder."
    )
    container: _ContainerName | None = Field(description="Container in it. That of a folder is made.")
    force: bool = Field(False, description="Save it also where no backup can be written.")


class ConnectionStringRequest(Body):
    """Of an Azure storage account, with a key or a SAS in it."""

    type: Literal["connection_string"]
    text: _Secret

    @property
    def value(self) -> ConnectionString:
        """What was given."""
        return ConnectionString(self.text.get_secret_value())


class ContainerUrlRequest(Body):
    """The URL of one container with its SAS."""

    type: Literal["container_url"]
    url: _Secret

    @property
    def value(self) -> ContainerUrl:
        """What was given."""
        return ContainerUrl(self.url.get_secret_value())


class AccountKeyRequest(Body):
    """One of the two keys of an Azure storage account."""

    type: Literal["account_key"]
    url: _AccountUrl
    key: _Secret
    account: Text | None = Field(None, description="Its name, where the URL does not begin or end with it.")

    @property
    def value(self) -> AccountKey:
        """What was given."""
        return AccountKey(self.url, self.key.get_secret_value(), self.account)


class ManagedIdentityRequest(Body):
    """The identity that Azure gives the server's machine."""

    type: Literal["managed_identity"]
    url: _AccountUrl
    client_id: Text | None = Field(None, description="Which one, where there are several.")

    @property
    def value(self) -> ManagedIdentity:
        """What was given."""
        return ManagedIdentity(self.url, self.client_id)


class AzureCliRequest(Body):
    """Who is logged in with the Azure CLI on the server's machine, as the user that the server runs as."""

    type: Literal["azure_cli"]
    url: _AccountUrl

    @property
    def value(self) -> AzureCli:
        """What was given."""
        return AzureCli(self.url)


class ServicePrincipalRequest(Body):
    """An application registered in a directory."""

    type: Literal["service_principal"]
    url: _AccountUrl
    tenant: Text = Field(description="Id or domain of the directory.")
    client_id: Text
    secret: _Secret

    @property
    def value(self) -> ServicePrincipal:
        """What was given."""
        return ServicePrincipal(self.url, self.tenant, self.client_id, self.secret.get_secret_value())


class AccessKeyRequest(Body):
    """An access key of a storage that speaks S3."""

    type: Literal["access_key"]
    url: Text | None = Field(None, description="Endpoint; that of Amazon in the region if null.")
    region: Text
    access_key_id: Text
    secret: _Secret

    @property
    def value(self) -> AccessKey:
        """What was given."""
        return AccessKey(self.url, self.region, self.access_key_id, self.secret.get_secret_value())


CredentialRequest: TypeAlias = Annotated[
    ConnectionStringRequest
    | ContainerUrlRequest
    | AccountKeyRequest
    | ManagedIdentityRequest
    | AzureCliRequest
    | ServicePrincipalRequest
    | AccessKeyRequest,
    Field(discriminator="type"),
]


class StorageAccountRequest(Body):
    """A storage account, and by what right it is used."""

    name: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$", description="Not `storage`.")
    credential: CredentialRequest
    overwrite: bool = Field(False, description="Give the account of that name this credential.")


class ContainersParameters(Parameters):
    """Which containers."""

    prefix: str = Field("", max_length=63, description="What their names begin with.")


class ContainerRequest(Body):
    """A new container."""

    name: _ContainerName


class NetworkRequest(Body):
    """From where files may be put and got."""

    public_network_access: Literal["Enabled", "Disabled"] = Field(
        "Enabled", description="Disabled lets nobody in but the machine itself."
    )
    default_action: Literal["Allow", "Deny"] = Field(description="What happens to an address without a rule.")
    ip_rules: tuple[Text, ...] = Field(
        (), max_length=IP_RULE_COUNT_MAX, description="Addresses and CIDR ranges that are let in."
    )
