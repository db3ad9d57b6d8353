"""The columns of a table of an XML model: their bytes as they are, and their values where something is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tabvault.errors import FormatError
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import dictionary, idf, idfmeta
from tabvault.model.container_files import ContainedFile
from tabvault.model.objects import DictionaryType
from tabvault.model.processed import ProcessedDictionary, ProcessedSegments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tabvault.formats.abf.container import Container
    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.xml_models.storage import StoredColumn, StoredDictionary, StoredTable

_LAST_ID_OF_NONE = 2
"""``LastId`` without a dictionary."""


class TableValues:
    """
    Args:
        container: of the XML model.
        stored: the table.
    """

    def __init__(self, container: Container, stored: StoredTable) -> None:
        self._container = container
        self.stored = stored
        self._columns = {column.name: column for column in stored.columns}
        self._data_ids: dict[str, NDArray[np.uint32]] = {}

    @property
    def row_count(self) -> int:
        """Rows of the table."""
        return self.stored.row_count

    def column(self, column_id: str) -> StoredColumn:
        """A column by the id of its attribute."""
        return self._columns[column_id]

    def data_ids(self, column_id: str) -> NDArray[np.uint32]:
        """
        The data ids of a column, in the order of all rows.

        Raises:
            FormatError: a file is damaged, or contradicts the metadata.
        """
        if column_id not in self._data_ids:
            found = [np.zeros(0, np.uint32)]
            for part in self.column(column_id).segments:
                found += idf.decode(self._container.read(self._there(part.file)), part.segments, file=part.file)
            self._data_ids[column_id] = np.concatenate(found)
        return self._data_ids[column_id]

    def entries(self, column_id: str) -> Entries | None:
        """
        The entries of a column's dictionary; None with value encoding.

        Raises:
            FormatError: the file is damaged, or contradicts the metadata.
        """
        stored = self.dictionary(column_id)
        if stored.type == DictionaryType.VALUE:
            return None
        if stored.file is None:
            return np.zeros(0, np.int64)
        found = dictionary.parse(self._container.read(self._there(stored.file)), file=stored.file)
        if len(found) != stored.last_id - idfmeta.NULL_DATA_ID:
            raise FormatError(f"{len(found)} entries, and LastId is {stored.last_id}", file=stored.file)
        return found

    def dictionary(self, column_id: str) -> StoredDictionary:
        """
        What the metadata say of a column's dictionary.

        Raises:
            FormatError: nothing.
        """
        found = self.column(column_id).dictionary
        if found is None:
            raise FormatError(
                f"column {column_id!r} has neither a dictionary nor a value encoding", file=self.stored.file
            )
        return found

    def processed_dictionary(self, column_id: str) -> ProcessedDictionary:
        """
        The dictionary with its file as it is.

        Raises:
            FormatError: there is none, or its file is not there.
        """
        stored = self.dictionary(column_id)
        has_entries = stored.type == DictionaryType.HASH and stored.last_id > idfmeta.NULL_DATA_ID
        if has_entries and stored.file is None:
            raise FormatError(f"column {column_id!r} has LastId {stored.last_id} and no file", file=self.stored.file)
        return ProcessedDictionary(
            type=stored.type,
            data_type=stored.data_type,
            base_id=stored.base_id,
            magnitude=stored.magnitude,
            last_id=stored.last_id if stored.type == DictionaryType.HASH else _LAST_ID_OF_NONE,
            is_unique=stored.is_unique,
            is_operating_on_32=stored.is_operating_on_32,
            dictionary_flags=stored.flags,
            body=ContainedFile(self._container, self._there(stored.file)) if has_entries and stored.file else None,
        )

    def processed_segments(self, file: str, segments: Sequence[SegmentMeta]) -> ProcessedSegments:
        """
        Segments with their file as it is, and the ``.idfmeta`` file that says what the XML says of them.

        Raises:
            FormatError: the fields contradict each other, or the file is not there.
        """
        meta = idfmeta.build(segments, with_data_offsets=False)
        idfmeta.parse(meta, file=self.stored.file)  # which checks the relations between the fields
        return ProcessedSegments(len(segments), ContainedFile(self._container, self._there(file)), MemorySource(meta))

    def _there(self, file: str) -> str:
        if file not in self._container.files:
            raise FormatError(f"the file {file.rpartition(chr(92))[2]!r} is not there", file=self.stored.file)
        return file
