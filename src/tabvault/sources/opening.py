"""From a definition and a credential to a source: which driver, and whether it may."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tabvault.errors import SourceCredentialError, SourceError
from tabvault.sources.allowed_folders import allowed_file
from tabvault.sources.definition import SourceKind
from tabvault.sources.file_formats import CsvFormat, ExcelFormat
from tabvault.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tabvault.sources.definition import Credential, SourceDefinition
    from tabvault.sources.file_formats import FileFormat
    from tabvault.sources.reading import Reading
    from tabvault.sources.source import Request


def open_source(
    definition: SourceDefinition, credential: Credential | None, *, allowed_folders: Iterable[str | Path]
) -> Source:
    """
    The source that *definition* describes. Nothing is connected yet; a file is looked for.

    Args:
        definition: where it is.
        credential: who asks; None for nobody. Its user goes before the one that the definition names.
        allowed_folders: folders under which files may be read.

    Raises:
        SourceAccessError: a file, or a library, that no administrator allowed.
        SourceCredentialError: it needs a credential and got none.
        SourceError: the file is not there, or it is not known how to read it.
    """
    # Each driver is loaded when it is wanted: together they take a second.
    match definition.kind:
        case SourceKind.POSTGRESQL:
            from tabvault.sources.postgresql import PostgreSqlReading  # noqa: PLC0415 - as above

            return Source(
                definition, partial(PostgreSqlReading, definition, _bound(definition, credential)), probe="SELECT 1"
            )
        case SourceKind.ODBC:
            from tabvault.sources.odbc import OdbcReading, check_attributes  # noqa: PLC0415 - as above

            check_attributes(definition, allowed_folders)
            bound = _bound(definition, credential) if definition.needs_credential else credential
            return Source(definition, partial(OdbcReading, definition, bound), probe="SELECT 1")
        case SourceKind.SQLITE:
            from tabvault.sources.sqlite import SqliteReading  # noqa: PLC0415 - as above

            path = _file(definition, allowed_folders)
            probe = "SELECT count(*) FROM sqlite_master"
            return Source(definition, partial(SqliteReading, path), probe=probe)
        case SourceKind.DUCKDB:
            from tabvault.sources.duckdb_file import DuckDbFileReading  # noqa: PLC0415 - as above

            path = _file(definition, allowed_folders)
            return Source(definition, partial(DuckDbFileReading, path), probe="SELECT 1")
        case SourceKind.FILE:
            return _file_source(definition, allowed_folders)
        case SourceKind.LITERAL:
            raise AssertionError("its rows are here: see literal_source")


def _file_source(definition: SourceDefinition, allowed_folders: Iterable[str | Path]) -> Source:
    file_format = definition.file_format
    if file_format is None:
        raise SourceError(f"{definition} has no format: a query alone cannot read it")
    path = _file(definition, allowed_folders)

    def read(request: Request) -> Reading:
        if request.query:
            raise SourceError(
                f"{definition} takes no query", hint="an M expression can choose rows and columns of a file"
            )
        return _file_reading(path, file_format, batch_row_count=request.batch_row_count)

    return Source(definition, read, probe="")


def _file_reading(path: Path, file_format: FileFormat, *, batch_row_count: int) -> Reading:
    if isinstance(file_format, CsvFormat):
        from tabvault.sources.csv_file import CsvReading  # noqa: PLC0415 - as above

        return CsvReading(path, file_format)
    if isinstance(file_format, ExcelFormat):
        from tabvault.sources.excel_file import ExcelReading  # noqa: PLC0415 - as above

        return ExcelReading(path, file_format, batch_row_count=batch_row_count)
    from tabvault.sources.parquet_file import ParquetReading  # noqa: PLC0415 - as above

    return ParquetReading(path, batch_row_count=batch_row_count)


def _file(definition: SourceDefinition, allowed_folders: Iterable[str | Path]) -> Path:
    assert definition.path is not None
    return allowed_file(definition.path, allowed_folders)


def _bound(definition: SourceDefinition, credential: Credential | None) -> Credential:
    """The credential, with the definition's user where it names none."""
    if credential is None or not credential.password:
        raise SourceCredentialError(
            f"{definition} needs a user and a password, and none are bound to it",
            hint="bind them with `tabvault datasource set-credential`",
        )
    if credential.user is None and definition.user is None:
        raise SourceCredentialError(
            f"{definition} needs a user, and neither the data source nor the credential names one",
            hint="bind one with `tabvault datasource set-credential`",
        )
    return credential.with_user(definition.user)
