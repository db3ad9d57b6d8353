"""What a refresh did, for a person and for the records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshedPartition:
    """A partition whose rows are new. *row_count*: all it has now. *seconds*: reading and encoding."""

    table: str
    partition: str
    row_count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FoldedColumn:
    """A column in which spellings that the model's collation holds equal became one value, the first one's spelling."""

    table: str
    column: str
    spelling_count: int


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """
    What was done.

    Attributes:
        database: its name.
        type: of the refresh, in words of TMSL.
        partitions: read anew, in the order of the model.
        tables: whose hierarchies, indexes or dictionaries are new.
        folded: columns in which spellings were folded.
        kept: calculated columns and tables whose values may be out of date.
        byte_count: of the files that are new.
        warnings: for a person to read.
        seconds: all in all.
    """

    database: str
    type: str
    partitions: tuple[RefreshedPartition, ...]
    tables: tuple[str, ...]
    folded: tuple[FoldedColumn, ...]
    kept: tuple[str, ...]
    byte_count: int
    warnings: tuple[str, ...]
    seconds: float

    @property
    def row_count(self) -> int:
        """Rows of the partitions that were read."""
        return sum(partition.row_count for partition in self.partitions)
