"""Verbs of ADOMD.NET: queries, rowsets, commands."""

from __future__ import annotations

from typing import Any

import System
from connections import adomd
from Microsoft.AnalysisServices import AdomdClient

INVARIANT = System.Globalization.CultureInfo.InvariantCulture


def query(text: str, catalog: str, *, user: str = "alice") -> dict[str, list]:
    """The names of the columns, their .NET types, and the rows with values as :func:`_plain` writes them."""
    command = adomd(catalog, user).CreateCommand()
    command.CommandText = text
    reader = command.ExecuteReader()
    try:
        indexes = range(reader.FieldCount)
        names = [reader.GetName(index) for index in indexes]
        types = [reader.GetFieldType(index).Name for index in indexes]
        rows = []
        while reader.Read():
            rows.append([_plain(reader.GetValue(index)) for index in indexes])
    finally:
        reader.Close()
    return {"names": names, "types": types, "rows": rows}


def names(*, user: str = "alice") -> list[str]:
    """The databases that a user sees, as a rowset lists them."""
    return [row[0][1] for row in query("SELECT [CATALOG_NAME] FROM $SYSTEM.DBSCHEMA_CATALOGS", "", user=user)["rows"]]


def count_rows(text: str, catalog: str, *, user: str = "alice") -> int:
    command = adomd(catalog, user).CreateCommand()
    command.CommandText = text
    reader = command.ExecuteReader()
    count = 0
    while reader.Read():
        count += 1
    reader.Close()
    return count


def rowset(name: str, catalog: str, restrictions: dict[str, str] | None = None, *, user: str = "alice") -> dict:
    """A schema rowset through GetSchemaDataSet."""
    given = AdomdClient.AdomdRestrictionCollection()
    for key, value in (restrictions or {}).items():
        given.Add(key, value)
    table = adomd(catalog, user).GetSchemaDataSet(name, given).Tables[0]
    return {
        "names": [column.ColumnName for column in table.Columns],
        "types": [column.DataType.Name for column in table.Columns],
        "rows": [[_plain(value) for value in row.ItemArray] for row in table.Rows],
    }


def run_command(text: str, catalog: str, *, user: str = "alice") -> int:
    command = adomd(catalog, user).CreateCommand()
    command.CommandText = text
    return command.ExecuteNonQuery()


def cubes(catalog: str, *, user: str = "alice") -> dict[str, list[str]]:
    """The measures of each cube, as pickers show them."""
    return {cube.Name: sorted(one.Name for one in cube.Measures) for cube in adomd(catalog, user).Cubes}


def change_database(catalog: str, to: str, *, user: str = "alice") -> str:
    connection = adomd(catalog, user)
    try:
        connection.ChangeDatabase(to)
        return connection.Database
    finally:
        connection.ChangeDatabase(catalog)


def locations_of(error: Any) -> list[list[int]]:
    """Line and column of each error in a query, where ADOMD.NET found them."""
    if not isinstance(error, AdomdClient.AdomdErrorResponseException):
        return []
    return [[one.Location.StartLine, one.Location.StartColumn] for one in error.Errors if one.Location is not None]


def _plain(value: Any) -> Any:
    """
    A value for JSON: ``[type, text]``, or None.

    pythonnet turns strings, numbers and booleans into Python's own; what it leaves is converted here, exactly.
    """
    if value is None or isinstance(value, System.DBNull):
        return None
    if isinstance(value, bool | str | int):
        return [type(value).__name__, value]
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, System.DateTime):
        return ["datetime", value.ToString("yyyy-MM-ddTHH:mm:ss.fffffff", INVARIANT)]
    return [value.GetType().Name, value.ToString()]
