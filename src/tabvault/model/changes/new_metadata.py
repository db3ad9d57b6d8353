"""
The ``metadata.sqlitedb`` of a new database: a model without tables.

Read off genuine files: pages of 1024 bytes up to schema version 52 and of 4096 since; UTF-8; rollback journal; no index
but that of ``DBPROPERTIES``; one row in ``Model``, whose id is 1; every text that is not set is NULL and every number 0
but for those below. ``DBPROPERTIES`` holds the id counter, the schema version and the times of the last changes:

====================================  ======  =========================================================
property                              since   value here
====================================  ======  =========================================================
MAXID                                 19      1, the model's
SCHEMAVERSION, LASTSCHEMAVERSION      19      the schema version
DATABASEBLOCKINGSTATE                 123     0
RESTOREABFSOURCE                      123     0
LASTCUBEDATACHANGE                    19      the time of creation
LASTCUBESCHEMACHANGE                  19      the time of creation
DATASOURCEVERSION                     73      2, as in every genuine file
LASTCOMMITTED                         19      the time of creation
LASTMETADATACHANGEFORSYNCCOMMITTED    73      the time of creation
LASTPBIPUBLICXMLACOMMITTEDTIME        73      0
====================================  ======  =========================================================
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from tabvault.model import filetime
from tabvault.model.changes.schema_versions import schema_version_of, tables_of
from tabvault.model.sqlite_file import quoted

if TYPE_CHECKING:
    import datetime

    from tabvault.model.sqlite_file import Value

MODEL_ID: Final = 1
"""``Model.ID`` in every file."""

_MODEL: Final[dict[str, Value]] = {
    "Name": "Model",
    "DataSourceDefaultMaxConnections": 10,
    "DisableAutoExists": -1,
    "MaxParallelismPerRefresh": -1,
}
"""The cells of ``Model`` that are neither NULL nor 0 in a model where nobody set them."""


def new_metadata(
    compatibility_level: int, *, now: datetime.datetime, culture: str = "en-US", collation: str | None = None
) -> bytes:
    """
    The content of a new ``metadata.sqlitedb``. No other file goes with it.

    Args:
        compatibility_level: decides the schema, see :mod:`tabvault.model.changes.schema_versions`.
        now: the time of creation, with its zone.
        culture: ``Model.Culture``, a language tag.
        collation: ``Model.Collation``; None leaves it to the server.

    Raises:
        CompatibilityError: no schema is known for the level.
    """
    version = schema_version_of(compatibility_level)
    tables = tables_of(version)
    time = filetime.of(now)
    model: dict[str, Value] = {
        column: 0 if sql_type != "TEXT" else None for column, sql_type in tables["Model"].items()
    }
    model.update({column: value for column, value in _MODEL.items() if column in model})
    model.update(Culture=culture, Collation=collation, ModifiedTime=time, StructureModifiedTime=time)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {1024 if version <= 52 else 4096}")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE [DBPROPERTIES] ([NAME] STRING, [VALUE] INTEGER, PRIMARY KEY ([NAME] ASC))")
        for table, columns in tables.items():
            connection.execute(_create_table(table, columns))
        connection.executemany('INSERT INTO "DBPROPERTIES" VALUES (?, ?)', _properties(version, time).items())
        names = ", ".join(quoted(column) for column in ("ID", *model))
        places = ", ".join("?" * (1 + len(model)))
        connection.execute(f'INSERT INTO "Model" ({names}) VALUES ({places})', (MODEL_ID, *model.values()))
        connection.execute("COMMIT")
        return connection.serialize()


def _create_table(table: str, columns: dict[str, str]) -> str:
    """The statement in the form of genuine files."""
    cells = " ,  ".join(f"[{column}] {sql_type}" for column, sql_type in {"ID": "INTEGER", **columns}.items())
    return f'CREATE TABLE [{table}]( {cells} ,  PRIMARY KEY("ID" ASC) )'


def _properties(version: int, time: int) -> dict[str, int]:
    """``DBPROPERTIES`` in the order of genuine files."""
    properties = {"MAXID": MODEL_ID, "SCHEMAVERSION": version, "LASTSCHEMAVERSION": version}
    if version >= 123:
        properties |= {"DATABASEBLOCKINGSTATE": 0, "RESTOREABFSOURCE": 0}
    properties |= {"LASTCUBEDATACHANGE": time, "LASTCUBESCHEMACHANGE": time}
    if version >= 73:
        properties["DATASOURCEVERSION"] = 2
    properties["LASTCOMMITTED"] = time
    if version >= 73:
        properties |= {"LASTMETADATACHANGEFORSYNCCOMMITTED": time, "LASTPBIPUBLICXMLACOMMITTEDTIME": 0}
    return properties
