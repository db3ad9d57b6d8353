"""A database made of a model in a file: its tables are there, and no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import DatabaseExistsError, DatabaseNotFoundError, DatabaseReadOnlyError
from tabvault.jobs.creation import create_database
from tabvault.jobs.database_name import check_database_name
from tabvault.jobs.model_files import named_places

if TYPE_CHECKING:
    from tabvault.model.tmsl.tree import DatabaseDefinition
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder


@dataclass(frozen=True, slots=True)
class CreationResult:
    """What was made. *warnings* say what a person has to do before it can be refreshed."""

    database: str
    id: str
    compatibility_level: int
    file: str
    table_count: int
    measure_count: int
    replaced: bool
    warnings: tuple[str, ...] = ()


def create_from_definition(
    folder: DataFolder, definition: DatabaseDefinition, *, file: str, overwrite: bool = False
) -> CreationResult:
    """
    Make a database of a definition.

    Args:
        folder: the data folder.
        definition: as :func:`tabvault.jobs.model_files.definition_of` gives it.
        file: where it is from, for the result and for errors.
        overwrite: take the place of the database of that name, if there is one. Where the definition has masks for
            secrets, those of this database are meant.

    Raises:
        InvalidNameError: no database can have that name.
        RequestError: such a model cannot be made, or a mask in it means nothing.
        CompatibilityError: no schema is known for the level.
        DatabaseExistsError: the name is taken, and overwriting was not asked for.
        DatabaseReadOnlyError: what would be replaced is read-only.
        StorageError: it cannot be written.
    """
    name, level = definition.name, definition.compatibility_level
    assert level is not None, "the definition has a level"
    check_database_name(name)
    replaces = _existing(folder, name, overwrite=overwrite)
    with named_places(file):
        info = create_database(
            folder,
            name,
            id=None if replaces is None else replaces.id,
            compatibility_level=level,
            model=definition.model,
            replaces=replaces,
        )
    return CreationResult(
        database=info.name,
        id=info.id,
        compatibility_level=info.compatibility_level,
        file=file,
        table_count=count_of(definition, "Table"),
        measure_count=count_of(definition, "Measure"),
        replaced=replaces is not None,
    )


def count_of(definition: DatabaseDefinition, type_name: str) -> int:
    """How many objects of a type the model has."""
    return 0 if definition.model is None else sum(part.type.name == type_name for part in definition.model.walk())


def name_taken(name: str) -> DatabaseExistsError:
    """The error that a database has that name."""
    return DatabaseExistsError(
        f"database {name!r} exists and overwriting was not asked for",
        hint="allow overwriting, or choose another name",
    )


def _existing(folder: DataFolder, name: str, *, overwrite: bool) -> DatabaseInfo | None:
    """The database of that name, which may be replaced."""
    try:
        existing = folder.find(name)
    except DatabaseNotFoundError:
        return None
    if existing.name.casefold() != name.casefold():  # find() also takes ids
        return None
    if not overwrite:
        raise name_taken(existing.name)
    if existing.read_write_mode != "readWrite":
        raise DatabaseReadOnlyError(
            f"database {existing.name!r} is {existing.read_write_mode}", hint="drop it, or choose another name"
        )
    return existing
