"""What a refresh is asked to do: in words of TMSL, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PARALLELISM_DEFAULT: Final = 4
"""Partitions that are read at a time: sources answer slower than this machine encodes."""

PARALLELISM_MAX: Final = 64


class RefreshKind(StrEnum):
    """``refresh.type`` of TMSL."""

    FULL = "full"
    DATA_ONLY = "dataOnly"
    CALCULATE = "calculate"
    AUTOMATIC = "automatic"
    CLEAR_VALUES = "clearValues"
    ADD = "add"
    DEFRAGMENT = "defragment"


@dataclass(frozen=True, slots=True)
class RefreshTarget:
    """A table, or one of its partitions, by name."""

    table: str
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """
    A refresh.

    Attributes:
        kind: what is to be done.
        targets: to which tables and partitions; none is the whole database.
        keep_calculated: calculated columns and tables that depend on what is loaded keep the values they have, and are
            said to be out of date; else a refresh that would have to compute them is refused.
        parallelism: partitions that are read at a time.
    """

    kind: RefreshKind
    targets: tuple[RefreshTarget, ...] = ()
    keep_calculated: bool = False
    parallelism: int = PARALLELISM_DEFAULT
