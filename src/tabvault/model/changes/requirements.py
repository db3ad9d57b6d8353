"""What changes to metadata take for granted of the file that comes in, and promise of the one that comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import ConsistencyError, ModelError
from tabvault.model.changes.schema_versions import tables_of
from tabvault.model.load import load_model
from tabvault.model.references import id_violations, owner_violations, pair_violations, reference_violations

if TYPE_CHECKING:
    from tabvault.model.metadata import Metadata

_OLDEST: Final = 19
_LATER_THAN_17: Final = frozenset({"DisplayFolder", "SecurityFilteringBehavior"})
"""Columns of schema version 19 that 17, the oldest one there is, does not have."""


def require_consistent(metadata: Metadata) -> None:
    """
    Ask whether the rows load as a model, have ids of their own, lead to each other, and name each other.

    Raises:
        FormatError: the file is damaged.
        ModelError: it is no model, or has not the columns that every schema version has.
        ConsistencyError: a row leads nowhere, or is named by no or another owner.
    """
    for table, columns in tables_of(_OLDEST).items():
        missing = columns.keys() - set(metadata.column_names(table)) - _LATER_THAN_17
        if missing:
            raise ModelError(f"metadata have no column {table}.{min(missing)}")
    load_model(metadata)
    for violations in (id_violations, reference_violations, pair_violations, owner_violations):
        for violation in violations(metadata):
            raise ConsistencyError(f"metadata contradict themselves: {violation}")
