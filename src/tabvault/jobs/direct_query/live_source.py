"""
A live table's partition as something that can be asked: its source, its query, and what the query's columns are.

The query of a partition stands in a question as it was written, between parentheses; everything around it is made by
sqlglot, so that no name and no value is ever part of a text that was put together. A source whose SQL is not known here
(ODBC), and M steps that the source cannot do, leave one question: the whole partition.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tabvault.errors import SourceError
from tabvault.jobs.direct_query.live_partition import live_partition, source_name
from tabvault.jobs.processing.partition_query import partition_query, partition_source
from tabvault.sources.definition import SourceKind
from tabvault.sources.folding_columns import Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.jobs.direct_query.source_questions import SourceQuestions
    from tabvault.jobs.processing.partition_query import PartitionQuery, PartitionSource
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.model.objects import Column, Model, Table
    from tabvault.sources.source import LocalQuery, Source, SourceColumn

_DIALECTS: Final = {
    SourceKind.POSTGRESQL: Dialect.POSTGRESQL,
    SourceKind.DUCKDB: Dialect.DUCKDB,
    SourceKind.SQLITE: Dialect.SQLITE,
}
"""Whose SQL is spoken. A file is asked by M alone."""


class LiveSource:
    """
    Where the rows of a live table are. Nothing is asked before it has to be.

    Args:
        model: of the database.
        table: the live table; columns that the caller may not see are not there.
        access: what the sources may be asked with; None where none may.
        questions: of the query.
    """

    def __init__(self, model: Model, table: Table, access: SourceAccess | None, questions: SourceQuestions) -> None:
        self.table = table
        self._model = model
        self._access = access
        self._questions = questions

    @property
    def source(self) -> Source:
        """The source, with who asks it."""
        return self._query.source

    @property
    def local(self) -> LocalQuery | None:
        """What of the partition's M is done here."""
        return self._query.local

    @cached_property
    def _place(self) -> PartitionSource:
        with self._questions.asked(self.table.name):
            return partition_source(self._model, self.table, live_partition(self.table))

    @property
    def place(self) -> tuple[object, ...]:
        """Where the rows are and who asks: tables of one place can be asked in one question."""
        return self._place.name, self._place.definition, self._place.own

    @cached_property
    def dialect(self) -> Dialect | None:
        """In which SQL the partition's query may stand within another; None if it may not."""
        if self.local is not None or not self._query.query:
            return None
        return _DIALECTS.get(self.source.definition.kind)

    def given(self, column: Column) -> SourceColumn | None:
        """What the partition's query calls *column*; None unless there is exactly one that it can be."""
        name = source_name(column)
        found = [one for one in self._columns if one.name == name]
        found = found or [one for one in self._columns if one.name.casefold() == name.casefold()]
        names = [one.name for one in self._columns]
        return found[0] if len(found) == 1 and names.count(found[0].name) == 1 else None

    def relation(self) -> Relation:
        """The partition's rows as what a question selects from."""
        return Relation(f"q_{secrets.token_hex(8)}", self._query.query.rstrip(" \t\r\n;"))

    def rows_query(self, columns: Sequence[Column], condition: exp.Expr | None, *, row_count_max: int) -> str:
        """
        The question for *columns* of the rows that meet *condition*; the partition's own query if no other is known.

        Args:
            columns: of the table.
            condition: over the columns of the partition's query.
            row_count_max: rows that are of use.
        """
        given = [self.given(column) for column in columns]
        names = [one.name for one in given if one is not None]
        if self.dialect is None or len(names) < len(given):
            return self._query.query
        relation = self.relation()
        selected = [exp.column(name, quoted=True) for name in dict.fromkeys(names)]
        select = exp.select(*selected).from_(relation.item("q"))
        if condition is not None:
            select = select.where(condition)
        return text_of(select.limit(row_count_max), [relation], self.dialect)

    @cached_property
    def _query(self) -> PartitionQuery:
        with self._questions.asked(self.table.name):
            if self._access is None:
                raise SourceError(
                    "its rows are in its source, and no source may be asked from here",
                    hint="restore the backup into a server or a data folder, and ask there",
                )
            return partition_query(self._place, self._access, columns=self._questions.columns)

    @cached_property
    def _columns(self) -> tuple[SourceColumn, ...]:
        with self._questions.asked(self.table.name):
            return self._questions.columns(self.source, self._query.query)


@dataclass(frozen=True, slots=True)
class Relation:
    """
    The query of a partition within a question.

    Attributes:
        mark: stands for it while the question is made; nobody can know it before.
        query: as the model says it.
    """

    mark: str
    query: str

    def item(self, alias: str) -> exp.Table:
        """It as an item of FROM."""
        table = exp.to_table(self.mark)
        table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
        return table


def text_of(question: exp.Expr, relations: Sequence[Relation], dialect: Dialect) -> str:
    """The text of a question."""
    text = question.sql(dialect=dialect.value)
    for relation in relations:
        text = text.replace(relation.mark, f"(\n{relation.query}\n)")
    return text
