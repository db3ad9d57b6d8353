"""Data sources of models: what they describe, and where their secrets go."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import SourceAccessError, SourceCredentialError, SourceError
from tabvault.sources.data_source import definition_of, parse_definition
from tabvault.sources.definition import Credential, SourceDefinition, SourceKind
from tabvault.sources.opening import open_source

POSTGRESQL = SourceDefinition(kind=SourceKind.POSTGRESQL, server="db", port=5432, database="shop", user="u")
CREDENTIAL = Credential("u", "p w")


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        ("Host=db;Database=shop;Username=u;Password=p w", None),
        ("Server=db;Port=5432;Database=shop;User Id=u;Password='p w';Pooling=true;Command Timeout=0", None),
        (
            'Provider=PGNP.1;Data Source=db;Initial Catalog=shop;User ID=u;Password="p w";Persist Security Info=True',
            None,
        ),
        ("Data Source=db:5432;Initial Catalog=shop;UID=u;PWD=p w;Integrated Security=false", "Npgsql"),
    ],
)
def test_connection_strings_of_postgresql_are_understood(text: str, provider: str | None) -> None:
    assert parse_definition(connection_string=text, provider=provider) == (POSTGRESQL, CREDENTIAL)


def test_connection_details_of_postgresql_are_understood() -> None:
    details = {
        "protocol": "postgresql",
        "address": {"server": "db", "database": "shop"},
        "authentication": None,
        "query": None,
    }
    credential = {
        "AuthenticationKind": "UsernamePassword",
        "kind": "PostgreSQL",
        "path": "db;shop",
        "Username": "u",
        "Password": "p w",
    }
    expected = (POSTGRESQL, CREDENTIAL)
    assert parse_definition(connection_details=details, credential=credential) == expected
    assert parse_definition(connection_details=json.dumps(details), credential=json.dumps(credential)) == expected
    encrypted, _same = parse_definition(
        connection_details=details, credential={**credential, "EncryptConnection": True}
    )
    assert encrypted.tls_mode == "require"


@pytest.mark.parametrize("password", ["", "Password=;", "Password=********;"])
def test_no_password_and_a_masked_one_are_none(password: str) -> None:
    definition, credential = parse_definition(connection_string=f"Host=db;Database=shop;Username=u;{password}")
    assert credential is None
    assert definition.needs_credential
    with pytest.raises(SourceCredentialError):
        open_source(definition, credential, allowed_folders=[])


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("db:6432", ("db", 6432)),
        ("db.example.com,6432", ("db.example.com", 6432)),
        ("[::1]:6432", ("::1", 6432)),
        ("[::1]", ("::1", 5432)),
        ("tcp:10.0.0.1", ("10.0.0.1", 5432)),
        ("/var/run/postgresql", ("/var/run/postgresql", 5432)),
    ],
)
def test_servers_are_named_with_their_ports(server: str, expected: tuple[str, int]) -> None:
    definition, _none = definition_of("postgresql", {"server": server, "database": "shop"})
    assert (definition.server, definition.port) == expected


@pytest.mark.parametrize("server", ["", "a,b", "a:b", "a:1:2", "a:99999", "a b", "u@h", "a/b", "host=x"])
def test_a_server_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(SourceError):
        definition_of("postgresql", {"server": server, "database": "shop"})


@pytest.mark.parametrize(
    ("text", "provider", "kind", "path"),
    [
        (
            "Data Source=/data/shop.db;Version=3;Read Only=True",
            "System.Data.SQLite",
            SourceKind.SQLITE,
            "/data/shop.db",
        ),
        ("Data Source=/data/shop.db", "Microsoft.Data.Sqlite", SourceKind.SQLITE, "/data/shop.db"),
        ("DataSource=/data/shop.duckdb", "DuckDB.NET.Data", SourceKind.DUCKDB, "/data/shop.duckdb"),
    ],
)
def test_files_of_databases_are_understood(text: str, provider: str, kind: SourceKind, path: str) -> None:
    definition, credential = parse_definition(connection_string=text, provider=provider)
    assert (definition.kind, definition.path, credential) == (kind, path, None)
    assert not definition.needs_credential


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        ("Driver={PostgreSQL Unicode};Server=db;Database=shop;UID=u;PWD={p w}", None),
        ("DRIVER=PostgreSQL Unicode;Server=db;Database=shop;Uid=u;Pwd=p w", "System.Data.Odbc"),
        (
            'Provider=MSDASQL;Extended Properties="Driver={PostgreSQL Unicode};Server=db;UID=u;PWD=p w;Database=shop"',
            None,
        ),
    ],
)
def test_connection_strings_of_odbc_are_understood(text: str, provider: str | None) -> None:
    definition, credential = parse_definition(connection_string=text, provider=provider)
    assert definition.kind is SourceKind.ODBC
    assert {key.lower(): value for key, value in definition.attributes} == {
        "driver": "PostgreSQL Unicode",
        "server": "db",
        "database": "shop",
    }
    assert (definition.user, credential) == ("u", CREDENTIAL)


def test_a_dsn_is_odbc() -> None:
    definition, _none = parse_definition(connection_string="Provider=MSDASQL;Data Source=shop;User ID=u")
    assert definition.attributes == (("DSN", "shop"),)
    assert str(definition) == "ODBC source 'shop'"


def test_sql_server_is_read_through_microsoft_s_odbc_driver() -> None:
    text = "Provider=SQLNCLI11;Data Source=db,1433;Initial Catalog=shop;User ID=u;Password=p w;Encrypt=true"
    definition, credential = parse_definition(connection_string=text)
    assert dict(definition.attributes) == {
        "Driver": "ODBC Driver 18 for SQL Server",
        "Server": "db,1433",
        "Database": "shop",
        "encrypt": "true",
    }
    assert (definition.user, credential) == ("u", CREDENTIAL)
    same, _none = definition_of("tds", {"server": "db,1433", "database": "shop"}, user="u")
    assert dict(same.attributes)["Server"] == "db,1433"


@pytest.mark.parametrize(
    ("text", "provider", "message"),
    [
        ("Server=db;Database=shop", None, "does not say by which provider"),
        ("Server=db;Database=shop", "OraOLEDB.Oracle", "'OraOLEDB.Oracle' are not read here"),
        ("Host=db;Database=shop;Search Path=x", None, "'search path', which is not known"),
        ("Host=db;Server=other;Database=shop", None, "says twice what its server is"),
        ("Host=db;Database=shop;Integrated Security=SSPI", None, "integrated security is not possible"),
        ("Host=db", None, "no server and database"),
        ("Host=db;Database=shop;Port=5432x", None, "port '5432x'"),
        ("Host=db;Database=shop;SSL Mode=sometimes", None, "SSL mode 'sometimes'"),
        ("UID=u;PWD=secret", "MSDASQL", "neither a driver nor a DSN"),
        ("Version=3", "SQLite", "names no file"),
        ("CAAAAAEAAPgjHT+ZbIF/X1vkIZLsD6RUs9cz0W62", "System.Data.SqlClient", "no list of key=value"),
        ("", None, "neither a connection string nor"),
    ],
)
def test_what_is_not_understood_wholly_is_refused(text: str, provider: str | None, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_definition(connection_string=text, provider=provider)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ({"protocol": "mysql", "address": {"server": "a", "database": "b"}}, "protocol 'mysql'"),
        ({"protocol": "postgresql", "address": {"server": "a"}}, "no database"),
        ({"protocol": "postgresql", "address": {"server": "a", "database": 1}}, "no database"),
        ({"protocol": "postgresql", "address": {"server": "a", "database": "b", "options": "-c x"}}, "'options'"),
        ({"protocol": "file", "address": {}}, "no path"),
        ({"protocol": "odbc", "address": {}}, "no options"),
        ({"address": "x"}, "address of the data source is no JSON"),
    ],
)
def test_connection_details_that_do_not_fit_are_refused(details: object, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_definition(connection_details=details)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "Driver=/tmp/evil.so;Server=db;UID=u;PWD=x",
        "Driver={SQLite3};Database=/etc/shadow",
        "Driver={SQLite3};Database=../../etc/shadow",
        "Driver={MDBTools};DBQ=~/x.mdb",
        "Driver={SQLite3};Database=file:/etc/shadow",
        "Driver={Text};DefaultDir=a/../../etc",
        "FILEDSN=/tmp/x.dsn;Driver=a",
        "Driver=a;SAVEFILE=/tmp/x",
    ],
)
def test_odbc_loads_no_library_and_reads_no_file_that_nobody_allowed(text: str) -> None:
    definition, credential = parse_definition(connection_string=text)
    with pytest.raises(SourceAccessError):
        open_source(definition, credential, allowed_folders=["/srv/data"])


def test_a_library_is_not_loaded_from_an_allowed_folder_either() -> None:
    definition, credential = parse_definition(connection_string="Driver=/srv/data/evil.so;Server=db;UID=u;PWD=x")
    with pytest.raises(SourceAccessError, match="is a path"):
        open_source(definition, credential, allowed_folders=["/srv/data"])


@settings(deadline=None, max_examples=150)
@given(
    password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=12).map(
        lambda text: f"§{text.strip()}§"
    ),
    provider=st.sampled_from(["Npgsql", "MSDASQL", "SQLNCLI11", "nothing"]),
    text=st.sampled_from(
        ["Host=db;Database=shop;Bad Key=1;", "Driver=d;Server=s;", "Server=s;Database=d;", "Host=db;Database=shop;"]
    ),
)
def test_a_password_never_shows(password: str, provider: str, text: str) -> None:
    doubled = password.replace("'", "''")
    shown = ""
    try:
        definition, credential = parse_definition(connection_string=f"{text}Password='{doubled}'", provider=provider)
        shown = f"{definition!r} {definition} {credential!r} {credential}"
        assert credential is not None
        assert credential.password == password
    except SourceError as error:
        shown = f"{error!r} {error} {error.hint}"
    assert shown
    assert password not in shown
