"""
Where the rows of an M expression come from: the function at the bottom of its steps, and the navigation from it.

Navigation is ``{[Schema = "dbo", Item = "Sales"]}[Data]``, or level by level
``{[Name = "db"]}[Data]{[Name = "s"]}[Data]``.
What a database function gives is a list of its tables, so that without navigation there are no rows.

Source: the pages of these functions in the M reference; genuine models for Excel, CSV, PostgreSQL and SQL Server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from tabvault.model.power_query import syntax
from tabvault.model.power_query.enter_data import literal_table
from tabvault.model.power_query.environment import NotConstantError, described, refused
from tabvault.model.power_query.file_sources import csv_file, excel_headers, file_path
from tabvault.model.power_query.recipe import (
    DatabaseServer,
    DatabaseTable,
    ExcelTable,
    NativeQuery,
    ParquetFile,
    Source,
)

if TYPE_CHECKING:
    from tabvault.model.power_query.environment import Located

Call: TypeAlias = "tuple[str, tuple[Located, ...]]"

_DATABASES: Final = ("PostgreSQL.Database", "Sql.Database", "Sql.Databases", "Odbc.DataSource", "Odbc.Query")

_IGNORED_OPTIONS: Final = frozenset(
    [
        "CreateNavigationProperties",
        "CommandTimeout",
        "ConnectionTimeout",
        "HierarchicalNavigation",
        "MaxDegreeOfParallelism",
        "MultiSubnetFailover",
        "EnableCrossDatabaseFolding",
        "SqlCompatibleWindowsAuth",
    ]
)
"""Options that change no row; the navigation says itself whether it is hierarchical."""

_CREDENTIALS: Final = frozenset({"pwd", "password", "uid", "user", "userid", "username"})


def is_source(call: Call) -> bool:
    """Whether the function gives rows without taking a table."""
    return call[0] in (
        *_DATABASES, "Csv.Document", "Parquet.Document", "Excel.Workbook", "Value.NativeQuery", "#table",
        "Table.FromRows",
    )  # fmt: skip


def recognise_source(here: Located) -> Source:
    """
    The source at the bottom of the steps.

    Args:
        here: settled; a call of a function that takes no table, or a navigation.

    Raises:
        ExpressionNotSupportedError: a source that is not read here; it says which.
    """
    bottom, path = _navigation(here)
    call = bottom.call()
    if call is None:
        raise refused(here.name, f"{described(bottom)} where a data source is expected")
    function, arguments = call
    if function == "Excel.Workbook":
        return _excel(arguments, path, here.name)
    if function in _DATABASES:
        return _database(call, path, here.name)
    if path:
        raise refused(here.name, f"navigation in what {function} gives")
    if function in ("#table", "Table.FromRows"):
        return literal_table(call, here.name)
    if function == "Csv.Document":
        return csv_file(arguments, here.name)
    if function == "Parquet.Document":
        if len(arguments) != 1:
            raise refused(here.name, "Parquet.Document with options")
        return ParquetFile(file_path(arguments[0], here.name))
    if function == "Value.NativeQuery":
        return _native_query(arguments, here.name)
    raise refused(here.name, function)


def _navigation(here: Located) -> tuple[Located, tuple[dict[str, str], ...]]:
    """What is navigated in, and the fields of each selector, outermost first."""
    path: list[dict[str, str]] = []
    while isinstance(here.expression, syntax.FieldAccess) and here.expression.target is not None:
        step = here.name
        row = here.at(here.expression.target).settled()
        if here.expression.name != "Data" or here.expression.is_optional:
            raise refused(step, f"field [{here.expression.name}]")
        if not isinstance(row.expression, syntax.ItemAccess) or row.expression.is_optional:
            raise refused(step, f"field [Data] of {described(row)}")
        path.append(_selector(row.at(row.expression.selector), step))
        here = row.at(row.expression.target).settled()
        if len(path) > 4:
            raise refused(step, "more than four levels of navigation")
    return here, tuple(reversed(path))


def _selector(argument: Located, step: str) -> dict[str, str]:
    try:
        fields = argument.constant()
    except NotConstantError as problem:
        raise refused(step, f"navigation by {problem.what}") from None
    if not isinstance(fields, dict):
        raise refused(step, "navigation by a position instead of a name")
    names = {name: value for name, value in fields.items() if isinstance(value, str)}
    unknown = [name for name in fields if name not in ("Schema", "Item", "Name", "Kind") or name not in names]
    if unknown:
        raise refused(step, f"navigation by the field {unknown[0]}")
    return names


def _text(argument: Located, what: str, step: str) -> str:
    try:
        value = argument.constant()
    except NotConstantError as problem:
        raise refused(step, f"{what} from {problem.what}") from None
    if not isinstance(value, str):
        raise refused(step, f"{what} that is no text")
    return value


def _excel(arguments: tuple[Located, ...], path: tuple[dict[str, str], ...], step: str) -> ExcelTable:
    if not 1 <= len(arguments) <= 3:
        raise refused(step, f"Excel.Workbook with {len(arguments)} arguments")
    has_headers = excel_headers(arguments[1:], step)
    if len(path) != 1 or "Schema" in path[0] or ("Item" in path[0]) == ("Name" in path[0]):
        raise refused(step, "Excel.Workbook without the name of a sheet or table")
    kind = path[0].get("Kind")
    if kind not in (None, "Sheet", "Table", "DefinedName"):
        raise refused(step, f"an item of kind {kind}")
    item = path[0].get("Item") or path[0].get("Name", "")
    known = cast("Literal['Sheet', 'Table', 'DefinedName'] | None", kind)
    return ExcelTable(file_path(arguments[0], step), item, known, has_headers)


def _options(argument: Located | None, function: str, step: str) -> str | None:
    """The native query among the options of a database function, if there is one."""
    if argument is None:
        return None
    settled = argument.settled()
    if isinstance(settled.expression, syntax.NullLiteral):
        return None
    if not isinstance(settled.expression, syntax.RecordExpression):
        raise refused(step, f"options of {function} given by {described(settled)}")
    query = None
    for name, value in settled.expression.fields:
        if name == "Query" and function not in ("Sql.Databases", "Odbc.DataSource", "Odbc.Query"):
            query = _text(settled.at(value), "a query", step)
        elif name not in _IGNORED_OPTIONS:
            raise refused(step, f"{function} with the option {name}")
    return query


def _server(call: Call, step: str) -> tuple[DatabaseServer, str | None]:
    """The database, and the native query that stands in the call itself."""
    function, arguments = call
    own_count = 1 if function in ("Sql.Databases", "Odbc.DataSource") else 2
    if not own_count <= len(arguments) <= own_count + 1:
        raise refused(step, f"{function} with {len(arguments)} arguments")
    query = _options(arguments[own_count] if len(arguments) > own_count else None, function, step)
    if function in ("Odbc.DataSource", "Odbc.Query"):
        server = DatabaseServer("odbc", connection_string=_connection_string(arguments[0], step))
        return server, _text(arguments[1], "a query", step) if function == "Odbc.Query" else None
    name = _text(arguments[0], "a server", step)
    database = _text(arguments[1], "a database", step) if own_count == 2 else ""
    return DatabaseServer("postgresql" if function[0] == "P" else "sql_server", name, database), query


def _connection_string(argument: Located, step: str) -> str:
    """Of ODBC: a text, or a record whose fields become ``name=value`` with braces where a value needs them."""
    try:
        value = argument.constant()
    except NotConstantError as problem:
        raise refused(step, f"a connection string from {problem.what}") from None
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict) and all(isinstance(one, str | int) for one in value.values()):
        text = ";".join(f"{name}={_braced(str(one))}" for name, one in value.items())
    else:
        raise refused(step, "a connection string that is neither text nor record")
    for part in text.split(";"):
        if part.partition("=")[0].strip().lower().replace(" ", "") in _CREDENTIALS:
            raise refused(step, "a connection string that names a user or a password; bind these on the server")
    return text


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}" if set(value) & set(";{}=") else value


def _database(call: Call, path: tuple[dict[str, str], ...], step: str) -> Source:
    server, query = _server(call, step)
    if query is not None:
        if path:
            raise refused(step, f"navigation in what the query of {call[0]} gives")
        return NativeQuery(server, query)
    names = _names(path, step)
    if call[0] == "Sql.Databases" and names:
        server = DatabaseServer(server.kind, server.server, names[0])
        names = names[1:]
    if not names:
        raise refused(step, f"{call[0]} without the name of a table")
    return DatabaseTable(server, names)


def _names(path: tuple[dict[str, str], ...], step: str) -> tuple[str, ...]:
    """Catalog, schema and table, as far as they are named: each selector names one, or a schema and a table."""
    names: list[str] = []
    for level, fields in enumerate(path):
        kind = fields.get("Kind")
        if kind not in (None, "Table", "View", "Schema", "Database"):
            raise refused(step, f"an item of kind {kind}")
        if level == len(path) - 1 and kind in ("Schema", "Database"):
            raise refused(step, f"navigation to an item of kind {kind} instead of a table")
        last = fields.get("Item", fields.get("Name"))
        if "Schema" in fields and (last is not None or level < len(path) - 1):
            names.append(fields["Schema"])
        elif "Schema" in fields:
            raise refused(step, "navigation to a schema instead of a table")
        if last is not None:
            names.append(last)
    return tuple(names)


def _native_query(arguments: tuple[Located, ...], step: str) -> Source:
    """``Value.NativeQuery(database, "select …", parameters, options)``."""
    if not 2 <= len(arguments) <= 4:
        raise refused(step, f"Value.NativeQuery with {len(arguments)} arguments")
    if len(arguments) > 2 and not isinstance(arguments[2].settled().expression, syntax.NullLiteral):
        raise refused(step, "Value.NativeQuery with parameters")
    if len(arguments) > 3:
        options = arguments[3].settled().expression
        given = [name for name, _ in options.fields] if isinstance(options, syntax.RecordExpression) else ["?"]
        if any(name not in ("EnableFolding", "PreserveTypes") for name in given):
            raise refused(step, f"Value.NativeQuery with the option {given[0]}")
    bottom, path = _navigation(arguments[0].settled())
    call = bottom.call()
    if call is None or call[0] not in _DATABASES or call[0] == "Odbc.Query":
        raise refused(step, f"Value.NativeQuery of {described(bottom)}")
    server, query = _server(call, step)
    names = _names(path, step)
    if call[0] == "Sql.Databases" and len(names) == 1:
        server, names = DatabaseServer(server.kind, server.server, names[0]), ()
    if names or query is not None or (call[0] == "Sql.Databases" and not server.database):
        raise refused(step, "Value.NativeQuery of what is not a database")
    return NativeQuery(server, _text(arguments[1], "a query", step))
