"""The order in which genuine files have the strings of a column: dictionary and POS_TO_ID of its hierarchy."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from conftest import sample_path
from genuine_columns import Database, database
from tabvault.engine.column_files import parts
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import dictionary, idf
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.objects import DictionaryDataType, DictionaryType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tabvault.model.objects import Column, Table

BLANK = 2
FIRST_ENTRY = 3


@dataclass(frozen=True)
class StringHierarchy:
    """
    *strings* are the entries of the dictionary in their order there, *order* the indexes of those in the hierarchy.

    *is_sorted_by_another*: the column has a SortByColumn, whose order its hierarchy follows.
    """

    place: str
    locale: int
    strings: pa.Array
    order: NDArray[np.int64]
    is_sorted_by_another: bool

    @property
    def in_order(self) -> list[str]:
        return self.strings.take(pa.array(self.order)).to_pylist()

    @property
    def used(self) -> pa.Array:
        """The strings of the hierarchy in the order of the dictionary."""
        return self.strings.take(pa.array(np.sort(self.order)))


@cache
def string_hierarchies(sample: str) -> list[StringHierarchy]:
    found = database(sample)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(found.files.read(METADATA_FILE))
        facts = {
            column_id: (system_table_id, member_count, bool(sort_by))
            for column_id, system_table_id, member_count, sort_by in connection.execute(
                "SELECT c.ID, s.SystemTableID, s.DistinctDataCount, coalesce(c.SortByColumnID, 0) FROM [Column] c "
                "JOIN AttributeHierarchy h ON h.ColumnID = c.ID "
                "JOIN AttributeHierarchyStorage s ON s.ID = h.AttributeHierarchyStorageID "
                "WHERE s.MaterializationType = 0"
            )
        }
        locales = dict(connection.execute("SELECT ID, Locale FROM ColumnStorage"))
    hierarchies = []
    for table, column, strings in _string_columns(found):
        if column.id in facts:
            system_table_id, member_count, is_sorted_by_another = facts[column.id]
            ids = _positions(found, system_table_id)[:member_count]
            hierarchies.append(
                StringHierarchy(
                    f"{sample}: {table.name}[{column.name}]",
                    locales[column.storage.id],
                    strings,
                    ids[ids != BLANK] - FIRST_ENTRY,
                    is_sorted_by_another,
                )
            )
    return hierarchies


def _string_columns(found: Database) -> Iterator[tuple[Table, Column, pa.Array]]:
    for table in found.model.tables:
        for column in table.columns:
            stored = column.storage.dictionary if column.storage else None
            if (
                stored is not None
                and stored.type == DictionaryType.HASH
                and stored.data_type == DictionaryDataType.STRING
                and stored.file is not None
            ):
                yield table, column, dictionary.parse(found.files.read(stored.file), file=stored.file)


def _positions(found: Database, system_table_id: int) -> NDArray[np.int64]:
    table = next(table for table in found.model.system_tables if table.id == system_table_id)
    column = next(column for column in table.columns if column.name.startswith("POS_TO_ID"))
    [part] = parts(found.files, table, column, column.storage)
    return np.concatenate(list(idf.decode_system(found.files.open(part.idf_file), part.segments, file=None)))


ENGLISH_UNITED_STATES = 1033
"""The language of all workbooks among the samples, by their db.xml."""


@cache
def workbook_hierarchies(sample: str) -> list[StringHierarchy]:
    """
    Those of a Power Pivot workbook, found by the names of the files: ``….H$Table$Column.POS_TO_ID.0.idf``.

    Its system columns are of 32 bits: a word count, words of two values, and the next segment likewise.
    """
    with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        bodies = {name.rsplit("\\")[-1]: bytes(files.read(name)) for name in files.names()}
    sorted_by_another = {
        (name.rsplit(".", 3)[0], match[1])
        for name, body in bodies.items()
        if name.endswith(".dim.xml")
        for attribute in re.findall(r"<Attribute>.*?</Attribute>", body.decode("utf-8-sig"), re.DOTALL)
        if "<OrderByAttributeID>" in attribute
        for match in [re.search(r"<ID>(.*?)</ID>", attribute)]
    }
    hierarchies = []
    for name, body in bodies.items():
        match = re.fullmatch(r"\d+\.H\$(.*)\$(.*)\.POS_TO_ID\.0\.idf", name)
        ending = f".{match[1]}.{match[2]}.dictionary" if match else None
        found = next((other for other in bodies if ending and other.endswith(ending)), None)
        strings = dictionary.parse(bodies[found], file=found) if found else None
        if isinstance(strings, pa.Array) and len(strings):
            ids = np.frombuffer(body, "<u4", count=2 * int.from_bytes(body[:8], "little"), offset=8).astype(np.int64)
            order = ids[(ids >= FIRST_ENTRY) & (ids < FIRST_ENTRY + len(strings))] - FIRST_ENTRY
            place = f"{sample}: {match[1]}[{match[2]}]"
            hierarchies.append(
                StringHierarchy(place, ENGLISH_UNITED_STATES, strings, order, match.groups() in sorted_by_another)
            )
    return hierarchies
