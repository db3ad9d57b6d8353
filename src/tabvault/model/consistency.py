"""
Do the metadata of a database agree with themselves and with its files?

Analysis Services asks this of every tabular database that it restores, before it commits. The conditions here are ours:
as strict as genuine files of schema versions 17 to 122 allow, of which none breaks one. Only the metadata and the small
``.idfmeta`` files are read, so it takes a fraction of a second; decoding values is another check's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tabvault.errors import FormatError, ModelError
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load_storage import storage_file_names
from tabvault.model.objects import PartitionMode
from tabvault.model.references import id_violations, owner_violations, pair_violations, reference_violations
from tabvault.model.segment_agreement import segment_violations, statistics_violations
from tabvault.model.storage_agreement import (
    dictionary_violations,
    place_violations,
    position_violations,
    segment_map_violations,
    shared_violations,
    table_violations,
)
from tabvault.model.system_table_agreement import level_violations, owned_violations, whole_violations
from tabvault.model.system_tables import hierarchy_violations, relationship_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.file_set import FileSet
    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model

Severity: TypeAlias = Literal["OK", "WARNING", "FAILED"]

FINDINGS_MAX: Final = 20
"""Findings about one condition: a database without a folder would repeat itself a thousand times."""

_ROWLESS: Final = (".db.xml", ".CryptKey.bin")
"""Ends of the names of the two files beside the metadata that no ``StorageFile`` row names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition and how it was found. Only ``FAILED`` stops a restore."""

    severity: Severity
    subject: str
    message: str


def check_consistency(metadata: Metadata, model: Model, files: FileSet) -> list[Finding]:
    """
    Check every condition: one ``OK`` for each that holds, one or more ``FAILED`` or ``WARNING`` for each other.

    It is a ``WARNING`` where no value is found by what is wrong: statistics, names, and structures that an engine
    derives from the values and may have left old in a model that was not recalculated. The rules for those were read
    off models that were, and a restore must not fail on a state that an engine backs up.

    Args:
        metadata: the metadata of the database.
        model: what they loaded as.
        files: the files of the database, metadata included.

    Raises:
        TabvaultError: the files cannot be reached. What is damaged is a finding, not an error.
    """
    conditions: tuple[tuple[str, str, Severity, Iterator[str]], ...] = (
        ("metadata pages", "every page is in place", "FAILED", _page_violations(metadata)),
        ("ids", "unique over all tables, none above the counter", "FAILED", id_violations(metadata)),
        ("references", "each leads to a row of its table", "FAILED", reference_violations(metadata)),
        ("columns", "those of a row are of its table", "FAILED", table_violations(metadata)),
        ("storage objects", "each and its owner name each other", "FAILED", pair_violations(metadata)),
        ("storage files", "each is named by its owner alone", "FAILED", _owner_violations(metadata)),
        ("storage folders", "each file lies in that of its owner", "WARNING", place_violations(metadata)),
        ("storage positions", "each column has its own", "WARNING", position_violations(metadata)),
        ("files", f"{len(files.names())} files, as the metadata say", "FAILED", _file_violations(metadata, files)),
        ("partitions", "all columns of a table lie in the same ones", "FAILED", _partition_violations(model)),
        ("segments", "rows are as the metadata say", "FAILED", segment_violations(model, files)),
        ("segment maps", "records fill their segments", "WARNING", segment_map_violations(model)),
        ("dictionaries", "each has a file if it has entries", "WARNING", dictionary_violations(metadata)),
        ("statistics", "as the segments say", "WARNING", statistics_violations(model, files)),
        ("system tables", "each is whole, and named once", "WARNING", _system_table_violations(metadata, model)),
        ("hierarchies", "each fits its column", "WARNING", hierarchy_violations(metadata, model)),
        ("levels", "each starts where its hierarchy says", "WARNING", level_violations(metadata, model)),
        ("relationships", "each index fits its column", "WARNING", relationship_violations(metadata, model)),
        ("DirectQuery", "no DirectQuery partition holds rows", "FAILED", direct_query_violations(model)),
        ("names", "tables and columns have their own", "WARNING", _name_violations(model)),
    )
    return [
        finding
        for subject, holds, severity, violations in conditions
        for finding in _findings(subject, holds, violations, severity=severity)
    ]


def _findings(subject: str, holds: str, violations: Iterator[str], *, severity: Severity) -> list[Finding]:
    """The findings of one condition. Damage that stops the check itself is its last violation, and a failure."""
    findings: list[Finding] = []
    try:
        findings.extend(Finding(severity, subject, message) for message in islice(violations, FINDINGS_MAX))
    except (FormatError, ModelError) as error:
        findings.append(Finding("FAILED", subject, str(error)))
    return findings or [Finding("OK", subject, holds)]


def _page_violations(metadata: Metadata) -> Iterator[str]:
    metadata.check_pages()
    yield from ()


def _owner_violations(metadata: Metadata) -> Iterator[str]:
    """Files that their owner does not name, or another row too."""
    yield from owner_violations(metadata)
    yield from shared_violations(metadata)


def _system_table_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """System tables that are not whole, or not one row's."""
    yield from owned_violations(metadata, model)
    yield from whole_violations(metadata, model)


def _file_violations(metadata: Metadata, files: FileSet) -> Iterator[str]:
    """Every ``StorageFile`` row has its file, and every file its row, bar the two that are not the model's."""
    present = set(files.names())
    named = {METADATA_FILE, *storage_file_names(metadata).values()}
    for name in sorted(named - present):
        yield f"file {name!r} is in the metadata and not among the files"
    for name in sorted(present - named):
        if "\\" in name or not name.endswith(_ROWLESS):
            yield f"file {name!r} is among the files and not in the metadata"


def _partition_violations(model: Model) -> Iterator[str]:
    """Partitions follow each other in an order, and each column has a part in every one."""
    for table in (*model.tables, *model.system_tables):
        storages = [partition.storage for partition in table.partitions if partition.storage]
        positions = [storage.storage_position for storage in storages]
        if len(set(positions)) != len(positions):
            yield f"table {table.name!r}: two partitions have one storage position, of {positions}"
        expected = [storage.id for storage in storages]
        for column in table.columns:
            if column.storage is None:
                continue
            parts = [part.partition_storage_id for part in column.storage.partitions]
            if parts != expected:
                yield f"column {table.name}[{column.name}] lies in partition storages {parts}, its table in {expected}"


def direct_query_violations(model: Model) -> Iterator[str]:
    """DirectQuery partitions that hold rows: a backup has their metadata only, but for the rows of a sample."""
    for table in model.tables:
        for partition in table.partitions:
            row_count = partition.storage.record_count if partition.storage else 0
            if partition.mode == PartitionMode.DIRECT_QUERY and row_count and not partition.is_sample:
                yield f"partition {partition.name!r} of table {table.name!r} holds {row_count} rows"


def _name_violations(model: Model) -> Iterator[str]:
    """Names are how queries address objects. The engine compares them as the collation of the model does."""
    collation = (model.collation or "").upper()
    exact = "_CS" in collation or "_BIN" in collation
    tables = (*model.tables, *model.system_tables)
    of_columns = ((f"of table {table.name!r}", [column.name for column in table.columns]) for table in tables)
    for where, names in chain((("of the model", [table.name for table in tables]),), of_columns):
        seen: set[str] = set()
        for name in names:
            compared = name if exact else name.lower()
            if compared in seen:
                yield f"{'table' if where == 'of the model' else 'column'} name {name!r} {where} is there twice"
            seen.add(compared)
