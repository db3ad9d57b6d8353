"""What a verification says: one condition after the other, each found OK, a WARNING, or FAILED."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tabvault.errors import FormatError, ModelError

if TYPE_CHECKING:
    from tabvault.errors import TabvaultError

Severity = Literal["OK", "WARNING", "FAILED"]

DAMAGE: Final = (FormatError, ModelError)
"""What can be wrong with what is verified. Any other error is of the caller, the disk or the storage: it is raised."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, for one line."""

    severity: Severity
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Every condition in the order checked; *ok* is whether none FAILED."""

    conditions: tuple[Condition, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the backup or the database can be trusted."""
        return all(condition.severity != "FAILED" for condition in self.conditions)


def holds(subject: str, message: str) -> Condition:
    """A condition that holds."""
    return Condition("OK", subject, message)


def fails(subject: str, error: TabvaultError) -> Condition:
    """A condition that *error* says does not hold."""
    return Condition("FAILED", subject, str(error))
