"""
What the error codes of the service mean: words and the way out, by code.

Only codes that mean something else here than their status says stand in the tables. ``RIGHTS`` are those of 401 and
403; what is known of the credential explains more than they do, and is looked at first.

Source: "Status and error codes" and "Blob service error codes" (Azure Storage REST reference).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    InvalidNameError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.probing import Explanation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.storage.probing import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """The error that a code becomes, and what is said of it."""

    error: type[StorageError]
    text: str
    hint: str | None = None
    reason: Reason = "refused"


_LEASED: Final = Meaning(StorageError, "another program holds a lease on it", "wait, or break the lease", "leased")

MEANINGS: Final[Mapping[str, Meaning]] = {
    "BlobNotFound": Meaning(ObjectNotFoundError, "there is no such object"),
    "ResourceNotFound": Meaning(ObjectNotFoundError, "there is no such object"),
    "BlobAlreadyExists": Meaning(
        ObjectExistsError, "it exists already", "choose another name, or ask for overwriting", "exists"
    ),
    "ContainerNotFound": Meaning(
        StoreUnavailableError,
        "the container is not there",
        "create it (tabvault storage containers create ACCOUNT/CONTAINER), or choose another in the storage settings",
        "container_missing",
    ),
    "ContainerBeingDeleted": Meaning(
        StoreUnavailableError,
        "the container is being deleted",
        "choose another in the storage settings",
        "container_missing",
    ),
    "ContainerDisabled": Meaning(
        StoreUnavailableError,
        "the container was disabled by its administrator",
        "choose another in the storage settings",
        "container_missing",
    ),
    "AccountIsDisabled": Meaning(
        StoreUnavailableError,
        "the storage account is disabled",
        "enable it in the Azure portal, or choose another in the storage settings",
        "account_disabled",
    ),
    "ContainerAlreadyExists": Meaning(
        ObjectExistsError, "there is a container of that name", "choose another name", "exists"
    ),
    "InvalidResourceName": Meaning(InvalidNameError, "the service does not take that name"),
    "BlobArchived": Meaning(
        StorageError, "it lies in the archive tier, which cannot be read", "rehydrate it to the hot or cool tier first"
    ),
    "BlobBeingRehydrated": Meaning(StorageError, "it is on its way out of the archive tier", "try again in hours"),
    "BlobImmutableDueToPolicy": Meaning(
        StorageError,
        "an immutability policy or a legal hold protects it",
        "wait until the policy ends",
        "immutable",
    ),
    "LeaseAlreadyPresent": _LEASED,
    "LeaseIdMissing": _LEASED,
    "LeaseIdMismatchWithBlobOperation": _LEASED,
    "SnapshotsPresent": Meaning(StorageError, "it has snapshots", "delete them first, in the Azure portal"),
    "ConditionNotMet": Meaning(ObjectChangedError, "somebody replaced it meanwhile", "begin again"),
    "InvalidBlockList": Meaning(
        ObjectChangedError,
        "blocks that were staged are gone",
        "another upload of this name was published meanwhile, or a week has passed; begin again",
    ),
    "InvalidBlobOrBlock": Meaning(
        StorageError,
        "another program left blocks of another kind under this name",
        "use another name; the service forgets such blocks after a week",
    ),
    "BlockCountExceedsLimit": Meaning(
        StorageError, "too many abandoned blocks lie under this name", "use another name; they expire after a week"
    ),
    "InvalidBlobType": Meaning(StorageError, "it is no block blob", "choose another name"),
}

RIGHTS: Final[Mapping[str, Explanation]] = {
    "AuthenticationFailed": Explanation(
        "signature",
        "the service does not recognise the signature",
        "the key was renewed, the SAS was revoked or cut, or this machine's clock is wrong",
    ),
    "KeyBasedAuthenticationNotPermitted": Explanation(
        "key_access_disabled",
        "access by account key or by a SAS signed with it is switched off for the storage account",
        "allow storage account key access, or use an identity or a user delegation SAS",
    ),
    "AuthorizationFailure": Explanation(
        "network_rules",
        "the network rules of the storage account do not let this server in",
        "add its outbound address under Networking, Selected networks; rules do not hold for traffic from the same or "
        "the paired region",
    ),
    "AuthorizationSourceIPMismatch": Explanation(
        "source_address",
        "the SAS is not for this server's address",
        "make one without sip=, or with the address from which the service sees this server",
    ),
    "AuthorizationProtocolMismatch": Explanation("https_only", "the SAS is for https only", "use the https address"),
    "AuthorizationResourceTypeMismatch": Explanation(
        "wrong_kind_of_sas", "the SAS is not for a container and its blobs", "make a container SAS"
    ),
    "AuthorizationServiceMismatch": Explanation(
        "wrong_kind_of_sas", "the SAS is not for the blob service", "make a container SAS"
    ),
    "UnauthorizedBlobOverwrite": Explanation(
        "exists", "the SAS allows new objects only, and this one exists", "make one with the letter w (write)"
    ),
    "InsufficientAccountPermissions": Explanation(
        "denied",
        "the storage account is read-only, or closed to this request",
        "look at the state of the account in the Azure portal",
    ),
}
