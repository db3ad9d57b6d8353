"""A source that can be asked: a definition, a credential, and the driver that goes with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tabvault.sources.reading import BATCH_ROW_COUNT, Reading, SourceRows
from tabvault.sources.source_type import model_type, native_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from tabvault.model.objects import DataType
    from tabvault.sources.definition import SourceDefinition

Parameter: TypeAlias = "str | int | float | bool | None"
"""A value for a placeholder of a query."""


@dataclass(frozen=True)
class LocalQuery:
    """
    What is done here with the rows of a source.

    Attributes:
        text: a SELECT of DuckDB over one relation, ``source``.
        unchanged: columns of its result that are columns of ``source``, and their names there: they keep what is
            known of their type (:mod:`tabvault.sources.source_type`), which DuckDB does not hand through.
    """

    text: str
    unchanged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """
    One query.

    Attributes:
        query: in the source's own language; empty for a file.
        parameters: values of its placeholders, in their order.
        batch_row_count: rows that a driver should give at a time.
    """

    query: str
    parameters: Sequence[Parameter] = ()
    batch_row_count: int = BATCH_ROW_COUNT


@dataclass(frozen=True)
class SourceColumn:
    """
    A column of what a query gives.

    Attributes:
        name: as the source names it.
        type: Arrow type (:mod:`tabvault.sources.source_type`).
        native_type: the source's name of its type.
        data_type: of a model's column made from it; None when no column of a model takes such values.
    """

    name: str
    type: pa.DataType
    native_type: str
    data_type: DataType | None


def source_columns(schema: pa.Schema) -> tuple[SourceColumn, ...]:
    """The columns of what a source gives."""
    return tuple(SourceColumn(one.name, one.type, native_type(one), model_type(one)) for one in schema)


class _Description(Reading):
    """What another reading says of its columns."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def open(self) -> pa.Schema:
        return self._reading.describe()

    def batches(self) -> Iterator[pa.RecordBatch]:
        return iter(())

    def cancel(self) -> None:
        self._reading.cancel()

    def close(self) -> None:
        self._reading.close()


class Source:
    """
    A place that rows come from. Every reading has a connection of its own, so several may go on at a time.

    Attributes:
        definition: where it is.
    """

    def __init__(self, definition: SourceDefinition, read: Callable[[Request], Reading], *, probe: str) -> None:
        self.definition = definition
        self._read = read
        self._probe = probe

    def read(
        self,
        query: str,
        *,
        parameters: Sequence[Parameter] = (),
        local: LocalQuery | None = None,
        batch_row_count: int = BATCH_ROW_COUNT,
    ) -> SourceRows:
        """
        The rows of *query*, which begins when the result is entered as a context manager.

        Args:
            query: one statement that reads, in the source's own language; "" for the rows of a file.
            parameters: values of its placeholders: ``$1`` for PostgreSQL, ``?`` for SQLite, DuckDB and ODBC.
            local: what is done with these rows before anybody sees them.
            batch_row_count: rows of a batch at most.
        """
        reading = self._read(Request(query, tuple(parameters), batch_row_count))
        if local is not None:
            from tabvault.sources.local_query import LocalReading  # noqa: PLC0415 - DuckDB takes its time to load

            reading = LocalReading(
                reading,
                local.text,
                unchanged=local.unchanged,
                batch_row_count=batch_row_count,
                place=f"rows of {self.definition}",
            )
        return SourceRows(reading, batch_row_count=batch_row_count)

    def columns(self, query: str) -> tuple[SourceColumn, ...]:
        """
        What the columns of *query* are, without its rows.

        Raises:
            SourceError: what the source has against it.
        """
        with self.description(query) as described:
            return source_columns(described.schema)

    def description(self, query: str) -> SourceRows:
        """The columns of *query* alone: no rows come. It can be cancelled, for a source may be silent here too."""
        return SourceRows(_Description(self._read(Request(query))), batch_row_count=BATCH_ROW_COUNT)

    def test(self) -> None:
        """
        Connect, and ask for nothing.

        Raises:
            SourceError: it cannot be reached, or refuses the credential.
        """
        self.columns(self._probe)
