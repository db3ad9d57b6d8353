"""``tabvault inspect``: what a backup holds, without decoding a column."""

from typing import TYPE_CHECKING, Final

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import AnyFile, Json, PasswordFile
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size

if TYPE_CHECKING:
    from tabvault.faces.cli.output import Cell
    from tabvault.jobs.inspect import Inspection

_TABLE_COLUMNS: Final = (
    Column("table", narrow="fold"),
    Column("mode"),
    Column("hidden"),
    Column("rows", "count"),
    Column("columns", "count"),
    Column("partitions", "count"),
    Column("measures", "count"),
    Column("size", "bytes"),
)
_ROLE_COLUMNS: Final = (Column("role", narrow="fold"), Column("permission"), Column("members", narrow="fold"))


@on_target
def inspect(target: Target, file: AnyFile, password_file: PasswordFile = None, as_json: Json = False) -> None:
    """Show what is in a backup or .pbix: database, tables, roles."""
    with open_vault(target, file=file) as vault:

        def attempt(password: str | None) -> "Inspection":
            with shown_progress(as_json=as_json) as progress:
                return vault.inspect(file, password=password, progress=progress)

        inspection = passwords.with_password(password_file, file, attempt)
    if as_json:
        output.show_json(inspection)
        return
    output.show_facts(_facts(inspection))
    output.write("\n")
    output.show_table(
        _TABLE_COLUMNS,
        (
            (t.name, t.mode, t.is_hidden, t.row_count, t.column_count, t.partition_count, t.measure_count, t.byte_count)
            for t in inspection.tables
        ),
    )
    if inspection.roles:
        output.write("\n")
        output.show_table(
            _ROLE_COLUMNS, ((role.name, role.permission, ", ".join(role.members)) for role in inspection.roles)
        )


def _facts(inspection: "Inspection") -> "dict[str, tuple[Cell, str]]":
    def as_it_is(value: "str | int | None") -> "tuple[Cell, str]":
        return value, "-" if value is None else str(value)

    def count(value: int) -> "tuple[Cell, str]":
        return value, f"{value:,}"

    def size(value: int) -> "tuple[Cell, str]":
        return value, byte_size(value)

    def flag(value: bool) -> "tuple[Cell, str]":
        return value, "yes" if value else "no"

    sources = ", ".join(inspection.data_sources)
    return {
        "database": as_it_is(inspection.database),
        "id": as_it_is(inspection.id),
        "compatibility level": as_it_is(inspection.compatibility_level),
        "schema version": as_it_is(inspection.schema_version),
        "mode": as_it_is(inspection.mode),
        "culture": as_it_is(inspection.culture),
        "collation": as_it_is(inspection.collation),
        "encrypted": flag(inspection.encrypted),
        "compressed": flag(inspection.compressed),
        "checksums": flag(inspection.has_checksums),
        "envelope": as_it_is(inspection.envelope),
        "package member": as_it_is(inspection.package_member),
        "directory encoding": as_it_is(inspection.directory_encoding),
        "file size": size(inspection.file_byte_count),
        "size of the files in it": size(inspection.raw_byte_count),
        "files": count(inspection.file_count),
        "rows": count(inspection.row_count),
        "relationships": count(inspection.relationship_count),
        "measures": count(inspection.measure_count),
        "data sources": as_it_is(sources or None),
    }
