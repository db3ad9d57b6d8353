"""Who asks for an operation, from where and through what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tabvault.jobs.access.principal import Principal

Interface = Literal["xmla", "rest", "cli"]


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks.

    Attributes:
        principal: the user, application or API key.
        address: IP address of the client.
        interface: through what he asks.
    """

    principal: Principal
    address: str
    interface: Interface
