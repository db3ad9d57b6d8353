"""
What a probe wants to know of a store besides the contract: why a call was refused, and what the service behind it says.

A store over a network gives a second self for that (:meth:`Probeable.probing`): the same container, asked with little
patience, because somebody waits for the answer. A folder gives none; its errors explain themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

from tabvault.errors import (
    DiskFullError,
    ObjectExistsError,
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.contract import ObjectStore

if TYPE_CHECKING:
    from datetime import datetime

Reason = Literal[
    "permission",
    "expired",
    "not_yet_valid",
    "signature",
    "key_access_disabled",
    "network_rules",
    "source_address",
    "https_only",
    "wrong_kind_of_sas",
    "no_token",
    "denied",
    "container_missing",
    "account_disabled",
    "certificate",
    "unreachable",
    "unavailable",
    "disk_full",
    "exists",
    "immutable",
    "leased",
    "refused",
]
"""Why a call failed, for programs."""

_OF_ONE_CALL: Final = frozenset({"permission", "unavailable", "disk_full", "exists", "immutable", "leased", "refused"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why a call failed.

    Attributes:
        reason: for programs.
        text: for people, without the call and the object.
        hint: the way out.
    """

    reason: Reason
    text: str
    hint: str | None

    @property
    def is_general(self) -> bool:
        """Whether every other call would fail likewise."""
        return self.reason not in _OF_ONE_CALL


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """
    What was staged under a name and never published.

    Attributes:
        name: that name.
        byte_count: what was staged; None where the service was not asked.
        block_count: in so many blocks.
        begun: when; None where the service does not tell.
        is_ours: whether it was begun from this data folder; None where that cannot be told.
    """

    name: str
    byte_count: int | None
    block_count: int | None
    begun: datetime | None
    is_ours: bool | None = None


class ProbedStore(ObjectStore, Protocol):
    """A container that is being probed. It is closed by whoever asked for it."""

    @property
    def clock_skew_s(self) -> float | None:
        """How far this machine's clock is ahead of the service's; None before the service has answered anything."""
        ...

    def explain(self, error: StorageError) -> Explanation:
        """Why the call failed that raised *error*."""
        ...

    def outbound_address(self) -> str | None:
        """From which address of this machine the service is asked; None where that cannot be told."""
        ...

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """
        Uploads that were begun and not published, by name; those that are at work now as well.

        Raises:
            StorageError: the service failed.
        """
        ...


@runtime_checkable
class Probeable(Protocol):
    """A store that can be probed in more detail than by the contract."""

    def probing(self) -> ProbedStore:
        """The same container, for a probe."""
        ...


_REASONS: Final[dict[type[StorageError], Reason]] = {
    StorageAccessError: "permission",
    DiskFullError: "disk_full",
    ObjectExistsError: "exists",
    StoreUnavailableError: "unavailable",
}


def explanation_of(error: StorageError) -> Explanation:
    """What *error* says of itself, for a store that knows no more."""
    return Explanation(_REASONS.get(type(error), "refused"), error.message, error.hint)
