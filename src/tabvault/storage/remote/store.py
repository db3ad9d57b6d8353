"""What the stores of all services over a network have in common: a place, and connections to be closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class RemoteStore(ABC):
    """
    The part of an :class:`~tabvault.storage.contract.ObjectStore` that is the same for all services.

    Attributes:
        remote_place: which container this is; see the contract.
    """

    def __init__(self, place: str) -> None:
        self.remote_place = place

    @abstractmethod
    def close(self) -> None:
        """Close the connections; what was opened or begun is of no use afterwards."""

    def free_byte_count(self) -> int | None:
        """Unlimited, or not told: the protocols have no such question; see the contract."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.remote_place})"
