"""
Passwords of data sources that come with a model: bound on this server, and masked in its metadata.

What a database holds goes into every backup of it. So a password that a script or a client brings with a data source is
taken out and kept with the server (:mod:`tabvault.storage.server_state.source_credentials`), for the address it came
with; the metadata keep a mask in its place. Left as they are: data sources of restored backups, which come back bit for
bit, and such as no source of ours understands, whose password would be lost otherwise.

Invariant: a password is bound before the metadata without it are committed; when the commit fails, what was bound
before is bound again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabvault.errors import SourceError
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.model.edit import MetadataEdit
from tabvault.model.metadata import Metadata
from tabvault.model.secrets import masked
from tabvault.sources.data_source import parse_definition
from tabvault.storage.server_state.source_credentials import load_credentials, save_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tabvault.model.sqlite_file import Value
    from tabvault.sources.definition import SourceDefinition

_CELLS = ("Name", "ConnectionString", "Provider", "ConnectionDetails", "Credential")
_SECRET_CELLS = ("ConnectionString", "Credential")


@dataclass(frozen=True, slots=True)
class TakenSecret:
    """A password that a data source brought, and what it is for."""

    data_source: str
    definition: SourceDefinition
    user: str | None
    password: str = field(repr=False)


def take_secrets(content: bytes, *, before: bytes | None) -> tuple[bytes, tuple[TakenSecret, ...]]:
    """
    Metadata with masks in the place of the passwords that new and changed data sources brought.

    Args:
        content: ``metadata.sqlitedb`` as it is to be.
        before: as it was; None for a new database.

    Returns:
        *content* itself where there is none, and what was taken.
    """
    old = {} if before is None else _data_sources(before)
    taken: list[TakenSecret] = []
    with Metadata.from_bytes(content) as metadata:
        edit = MetadataEdit(metadata)
        for row_id, row in _rows(metadata).items():
            secret = None if row == old.get(row_id) else _secret(row)
            if secret is not None:
                taken.append(secret)
                cells = {name: masked("DataSource", name, str(row[name])) for name in _SECRET_CELLS if row[name]}
                edit.update("DataSource", row_id, cells)
    return (edit.content(content), tuple(taken)) if taken else (content, ())


@contextmanager
def bound_secrets(data: Path, database_id: str, taken: Sequence[TakenSecret]) -> Iterator[None]:
    """
    Bind what was taken, around the commit of the metadata without it.

    Raises:
        StorageError: it cannot be kept.
    """
    if not taken:
        yield
        return
    before = load_credentials(data)
    access = SourceAccess(data, database_id)
    try:
        for secret in taken:
            access.bind(secret.data_source, secret.definition, user=secret.user, password=secret.password)
        yield
    except BaseException:
        save_credentials(data, before)
        raise


def _secret(row: dict[str, Value]) -> TakenSecret | None:
    """The password that a data source holds in clear; None where there is none, or nobody understands the rest."""
    cells = {name: value if isinstance(value, str) else None for name, value in row.items()}
    try:
        definition, own = parse_definition(
            connection_string=cells["ConnectionString"],
            provider=cells["Provider"],
            connection_details=cells["ConnectionDetails"],
            credential=cells["Credential"],
        )
    except SourceError:
        return None
    if own is None or not own.password or cells["Name"] is None:
        return None
    return TakenSecret(cells["Name"], definition, own.user or definition.user, own.password)


def _data_sources(content: bytes) -> dict[int, dict[str, Value]]:
    with Metadata.from_bytes(content) as metadata:
        return _rows(metadata)


def _rows(metadata: Metadata) -> dict[int, dict[str, Value]]:
    rows = {}
    for row in metadata.rows("DataSource", ("ID", *_CELLS)):
        row_id = row.pop("ID")
        if isinstance(row_id, int):
            rows[row_id] = dict(row)
    return rows
