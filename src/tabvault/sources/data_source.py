"""
A model's data source, read: from its connection string and provider, or from its connection details.

What is written there decides about files and servers that this machine reaches, so that nothing is guessed. A key that
could change what is read, and is not known here, is refused by its name; no value of it is told.

A provider data source is of the kind that its provider says:

================================================================  ======================================================
provider                                                          kind
================================================================  ======================================================
Npgsql, PostgreSQL…, PGNP…; without one: ``Host=``, ``Port=``     PostgreSQL
SQLite, System.Data.SQLite, Microsoft.Data.Sqlite                 SQLite
DuckDB, DuckDB.NET.Data                                           DuckDB
MSDASQL, System.Data.Odbc; without one: ``Driver=``, ``DSN=``     ODBC
SQL Server's (SQLNCLI…, MSOLEDBSQL…, SQLOLEDB, …SqlClient)        ODBC, with Microsoft's driver
================================================================  ======================================================

A structured data source is of the kind that its protocol says: ``postgresql``, ``tds``, ``odbc``, ``file``, and of our
own ``sqlite`` and ``duckdb`` (address ``path``).

Sources: the connection string reference of Npgsql; "OLE DB Provider for ODBC"; the data source object of TMSL and the
values of ``DataSourceProtocol`` of the tabular object model; structured data sources as Power BI writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tabvault.errors import SourceError
from tabvault.model.secrets import MASK
from tabvault.sources.connection_string import connection_pairs
from tabvault.sources.definition import CONNECT_TIMEOUT_S, Credential, SourceDefinition, SourceKind

_POSTGRESQL_PORT: Final = 5432
_SQL_SERVER_DRIVER: Final = "ODBC Driver 18 for SQL Server"

_PROVIDERS: Final = (
    (re.compile(r"npgsql|postgres|pgnp|psqlodbc", re.IGNORECASE), SourceKind.POSTGRESQL),
    (re.compile(r"sqlite", re.IGNORECASE), SourceKind.SQLITE),
    (re.compile(r"duckdb", re.IGNORECASE), SourceKind.DUCKDB),
    (re.compile(r"msdasql|odbc", re.IGNORECASE), SourceKind.ODBC),
)
_SQL_SERVER: Final = re.compile(r"sqlncli|msoledbsql|sqloledb|sqlclient", re.IGNORECASE)

_MEANINGS: Final = {
    **dict.fromkeys(("host", "server", "data source", "datasource", "address", "addr", "network address"), "server"),
    **dict.fromkeys(("port",), "port"),
    **dict.fromkeys(("database", "initial catalog", "db"), "database"),
    **dict.fromkeys(("username", "user id", "user name", "uid", "user", "userid"), "user"),
    **dict.fromkeys(("password", "pwd", "psw"), "password"),
    **dict.fromkeys(("ssl mode", "sslmode"), "tls"),
    **dict.fromkeys(("timeout", "connect timeout", "connection timeout"), "timeout"),
    **dict.fromkeys(("filename", "path"), "path"),
}

_WITHOUT_EFFECT: Final = frozenset(
    {
        "provider",
        "persist security info",
        "persistsecurityinfo",
        "application name",
        "pooling",
        "minimum pool size",
        "maximum pool size",
        "min pool size",
        "max pool size",
        "connection idle lifetime",
        "connection lifetime",
        "connection pruning interval",
        "command timeout",
        "commandtimeout",
        "internal command timeout",
        "cancellation timeout",
        "keepalive",
        "tcp keepalive",
        "enlist",
        "no reset on close",
        "include error detail",
        "locale identifier",
        "general timeout",
        "prompt",
        "mode",
        "version",
        "read only",
        "readonly",
        "multipleactiveresultsets",
        "multi subnet failover",
        "multisubnetfailover",
        "packet size",
        "workstation id",
        "auto translate",
        "use procedure for prepare",
    }
)
"""Keys that change nothing of which rows are read, or only how fast."""

_TLS_MODES: Final = {
    "disable": "disable",
    "allow": "allow",
    "prefer": "prefer",
    "require": "require",
    "verifyca": "verify-ca",
    "verifyfull": "verify-full",
}


def parse_definition(
    *,
    connection_string: str | None = None,
    provider: str | None = None,
    connection_details: str | Mapping[str, Any] | None = None,
    credential: str | Mapping[str, Any] | None = None,
) -> tuple[SourceDefinition, Credential | None]:
    """
    What a data source of a model describes.

    Args:
        connection_string: of a provider data source.
        provider: that the data source names beside it.
        connection_details: of a structured data source, an object or its JSON; goes before a connection string.
        credential: of a structured data source, likewise.

    Returns:
        The definition, and the credential where a password stands in what was given. A masked one is none.

    Raises:
        SourceError: it is not understood wholly.
    """
    if connection_details:
        details = _object(connection_details, "connectionDetails")
        address = _object(details.get("address") or {}, "address")
        given = _object(credential or {}, "credential")
        user, password = _text(given, "username"), _text(given, "password")
        definition, own = definition_of(str(details.get("protocol", "")), address, user=user, is_encrypted=_flag(given))
        return definition, _credential(user, password) or own
    if not connection_string:
        raise SourceError("the data source has neither a connection string nor connection details")
    return _of_connection_string(connection_string, provider or "")


def definition_of(
    protocol: str, address: Mapping[str, Any], *, user: str | None = None, is_encrypted: bool = False
) -> tuple[SourceDefinition, Credential | None]:
    """
    What a protocol and an address describe, as structured data sources and functions of M give them.

    Args:
        protocol: ``postgresql``, ``tds``, ``odbc``, ``file``, ``sqlite`` or ``duckdb``.
        address: ``server`` (with a port after a colon or a comma) and ``database``; or ``path``; or for ODBC
            ``options``, pairs or a connection string.
        user: whom it names.
        is_encrypted: whether the connection has to be.

    Returns:
        The definition, and the credential where an ODBC connection string holds a password.

    Raises:
        SourceError: another protocol, or an address that does not fit it.
    """
    lowered = {str(key).lower(): value for key, value in address.items()}
    match protocol.lower():
        case "postgresql":
            _only(lowered, {"server", "database", "schema", "object"}, protocol)
            server, port = _server_and_port(_required(lowered, "server", protocol))
            tls_mode = "require" if is_encrypted else "prefer"
            return (
                SourceDefinition(
                    kind=SourceKind.POSTGRESQL,
                    server=server,
                    port=port or _POSTGRESQL_PORT,
                    database=_required(lowered, "database", protocol),
                    user=user,
                    tls_mode=tls_mode,
                ),
                None,
            )
        case "tds":
            _only(lowered, {"server", "database", "schema", "object"}, protocol)
            pairs = {
                "Driver": _SQL_SERVER_DRIVER,
                "Server": _required(lowered, "server", protocol),
                "Database": _required(lowered, "database", protocol),
            }
            return _odbc(pairs, user)
        case "odbc":
            options = lowered.get("options", lowered.get("connectionstring"))
            if isinstance(options, Mapping):
                return _odbc({str(key): str(value) for key, value in options.items()}, user)
            if not isinstance(options, str):
                raise SourceError("an address of protocol odbc has no options")
            return _odbc(connection_pairs(options), user)
        case "file" | "sqlite" | "duckdb" as kind:
            _only(lowered, {"path"}, protocol)
            return SourceDefinition(kind=SourceKind(kind), path=_required(lowered, "path", protocol)), None
    raise SourceError(
        f"data sources of protocol {protocol!r} are not read here",
        hint="protocols are postgresql, tds, odbc, file, sqlite and duckdb",
    )


def _of_connection_string(text: str, provider: str) -> tuple[SourceDefinition, Credential | None]:
    pairs = connection_pairs(text)
    lowered = {key.lower(): value for key, value in pairs.items()}
    named = provider or lowered.get("provider", "")
    kind = _kind(named, lowered)
    if kind is SourceKind.ODBC:
        if _SQL_SERVER.search(named):
            return _sql_server(lowered)
        return _odbc(_odbc_pairs(pairs), None)
    meanings = _meanings(lowered)
    credential = _credential(meanings.get("user"), meanings.get("password"))
    timeout_s = _whole(meanings.get("timeout"), "timeout") or CONNECT_TIMEOUT_S
    if kind in {SourceKind.SQLITE, SourceKind.DUCKDB}:
        path = meanings.get("path") or meanings.get("server")
        if not path:
            raise SourceError("the connection string names no file (Data Source)")
        return SourceDefinition(kind=kind, path=path), None
    server, port = _server_and_port(meanings.get("server", ""))
    database = meanings.get("database")
    if not server or not database:
        raise SourceError("the connection string names no server and database")
    return (
        SourceDefinition(
            kind=SourceKind.POSTGRESQL,
            server=server,
            port=_whole(meanings.get("port"), "port") or port or _POSTGRESQL_PORT,
            database=database,
            user=meanings.get("user"),
            tls_mode=_tls_mode(meanings.get("tls", "prefer")),
            connect_timeout_s=timeout_s,
        ),
        credential,
    )


def _kind(provider: str, lowered: Mapping[str, str]) -> SourceKind:
    if _SQL_SERVER.search(provider):
        return SourceKind.ODBC
    for pattern, kind in _PROVIDERS:
        if pattern.search(provider):
            return kind
    if not provider and {"driver", "dsn"} & lowered.keys():
        return SourceKind.ODBC
    if not provider and {"host", "port"} & lowered.keys():
        return SourceKind.POSTGRESQL
    raise SourceError(
        f"data sources of provider {provider!r} are not read here"
        if provider
        else "the data source does not say by which provider it is read",
        hint="providers are Npgsql, SQLite, DuckDB, MSDASQL (ODBC) and those of SQL Server",
    )


def _meanings(lowered: Mapping[str, str]) -> dict[str, str]:
    """What the known keys say. Two keys of one meaning are refused: which one counts differs by provider."""
    said: dict[str, str] = {}
    for key, value in lowered.items():
        meaning = _MEANINGS.get(key)
        if meaning is not None:
            if meaning in said:
                raise SourceError(f"the connection string says twice what its {meaning} is, again with {key!r}")
            said[meaning] = value
        elif key in {"integrated security", "trusted_connection"}:
            if value.lower() in {"true", "yes", "sspi"}:
                raise SourceError(f"{key} is not possible here", hint="bind a user and a password to the data source")
        elif key not in _WITHOUT_EFFECT:
            raise SourceError(f"the connection string has the key {key!r}, which is not known here")
    return said


def _odbc_pairs(pairs: Mapping[str, str]) -> dict[str, str]:
    """The ODBC connection string in one of OLE DB: that of ``Extended Properties``, and keys that mean the same."""
    renamed = {"data source": "DSN", "initial catalog": "Database", "user id": "UID", "password": "PWD"}
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        if key.lower() == "extended properties":
            kept.update(connection_pairs(value))
        elif key.lower() not in {"provider", "persist security info"}:
            kept[renamed.get(key.lower(), key)] = value
    return kept


def _sql_server(lowered: Mapping[str, str]) -> tuple[SourceDefinition, Credential | None]:
    encryption = {key: value for key, value in lowered.items() if key in {"encrypt", "trustservercertificate"}}
    said = _meanings({key: value for key, value in lowered.items() if key not in encryption})
    if not said.get("server") or not said.get("database"):
        raise SourceError("the connection string names no server and database")
    pairs = {"Driver": _SQL_SERVER_DRIVER, "Server": said["server"], "Database": said["database"], **encryption}
    definition, _none = _odbc(pairs, said.get("user"))
    return definition, _credential(said.get("user"), said.get("password"))


def _odbc(pairs: Mapping[str, str], user: str | None) -> tuple[SourceDefinition, Credential | None]:
    kept: list[tuple[str, str]] = []
    password = None
    for key, value in pairs.items():
        if key.lower() in {"uid", "user", "username"}:
            user = value
        elif key.lower() in {"pwd", "password"}:
            password = value
        else:
            kept.append((key, value))
    if not {"driver", "dsn"} & {key.lower() for key, _value in kept}:
        raise SourceError("the ODBC connection string names neither a driver nor a DSN")
    return SourceDefinition(kind=SourceKind.ODBC, user=user, attributes=tuple(kept)), _credential(user, password)


def _credential(user: str | None, password: str | None) -> Credential | None:
    return Credential(user, password) if password and password != MASK else None


def _server_and_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``host,port``, ``[::1]:port`` or the folder of a Unix socket."""
    text = text.removeprefix("tcp:").strip()
    if text.startswith("/"):
        return text, None
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>\w[\w.-]*))(?:[:,](?P<port>\d{1,5}))?", text)
    if found is None:
        raise SourceError(f"server {text!r} is neither a host nor host:port")
    return found["six"] or found["host"], _whole(found["port"], "port")


def _whole(text: str | None, what: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,5}", text) or int(text) > 65535:
        raise SourceError(f"{what} {text!r} is no whole number up to 65535")
    return int(text)


def _tls_mode(text: str) -> str:
    mode = _TLS_MODES.get(text.lower().replace("-", "").replace("_", "").replace(" ", ""))
    if mode is None:
        raise SourceError(f"SSL mode {text!r} is none of {', '.join(_TLS_MODES)}")
    return mode


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise SourceError(f"{what} of the data source is no JSON") from None
    if not isinstance(value, Mapping):
        raise SourceError(f"{what} of the data source is no JSON object")
    return value


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = next((value for key, value in given.items() if key.lower() == name), None)
    if value is not None and not isinstance(value, str):
        raise SourceError(f"{name} of the credential is no text")
    return value


def _flag(given: Mapping[str, Any]) -> bool:
    return any(key.lower() == "encryptconnection" and value is True for key, value in given.items())


def _required(address: Mapping[str, Any], key: str, protocol: str) -> str:
    value = address.get(key)
    if not isinstance(value, str) or not value:
        raise SourceError(f"an address of protocol {protocol} has no {key}")
    return value


def _only(address: Mapping[str, Any], keys: set[str], protocol: str) -> None:
    unknown = sorted(key for key, value in address.items() if key not in keys and value is not None)
    if unknown:
        raise SourceError(f"an address of protocol {protocol} has {unknown[0]!r}, which is not known here")
