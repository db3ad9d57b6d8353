"""
What a copy is compared by: compatibility level, rows of each table, members of each role.

Of a backup that is what its metadata say; of a database its rows are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.faces.cli.session import CommandVault
    from tabvault.jobs.inspect import Inspection
    from tabvault.jobs.landing import Security

_COUNTED_TABLE_COUNT: Final = 50
"""Tables whose rows one question counts: a question costs a server more than counting the rows of a small table."""

_SHOWN_COUNT: Final = 5
"""So many differences are told; the first ones are enough to look for the reason."""


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """
    What is compared.

    Attributes:
        compatibility_level: of the model.
        rows: number of rows by table; None for a table whose rows are not in the database (DirectQuery).
        roles: number of members by role.
    """

    compatibility_level: int
    rows: Mapping[str, int | None]
    roles: Mapping[str, int]

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(count or 0 for count in self.rows.values())


def facts_of_backup(inspection: Inspection) -> CopyFacts:
    """What a backup says of itself."""
    return CopyFacts(
        inspection.compatibility_level,
        {table.name: table.row_count if table.mode == "import" else None for table in inspection.tables},
        {role.name: len(role.members) for role in inspection.roles},
    )


def facts_of_database(vault: CommandVault, database: str, like: CopyFacts | None = None) -> CopyFacts:
    """
    What a database of *vault* has. Its rows are read.

    Args:
        vault: where it is.
        database: its name.
        like: the tables whose rows count there; all that say they are imported by default.

    Raises:
        TabvaultError: it cannot be read.
    """
    document = vault.script(database)
    model = document.get("model", {})
    rows: dict[str, int | None] = {table["name"]: None for table in model.get("tables", ())}
    counted = [
        table["name"]
        for table in model.get("tables", ())
        if (_is_imported(table, model) if like is None else like.rows.get(table["name"]) is not None)
    ]
    for begin in range(0, len(counted), _COUNTED_TABLE_COUNT):
        rows |= _row_counts(vault, database, counted[begin : begin + _COUNTED_TABLE_COUNT])
    roles = {role["name"]: len(role.get("members", ())) for role in model.get("roles", ())}
    return CopyFacts(int(document["compatibilityLevel"]), rows, roles)


def differences(backed_up: CopyFacts, copied: CopyFacts, *, security: Security) -> Iterator[str]:
    """
    Each thing in which *copied* is not what was *backed_up*, in words.

    Roles are compared as far as *security* takes them over: with their numbers of members, without, or not at all.
    """
    if backed_up.compatibility_level != copied.compatibility_level:
        yield f"compatibility level {copied.compatibility_level}, not {backed_up.compatibility_level}"
    for name in sorted(backed_up.rows.keys() | copied.rows.keys()):
        if name not in copied.rows:
            yield f"no table {name!r:.100}"
        elif name not in backed_up.rows:
            yield f"a table {name!r:.100} that was not backed up"
        elif backed_up.rows[name] != copied.rows[name]:
            yield f"{copied.rows[name]} rows of table {name!r:.100}, not {backed_up.rows[name]}"
    if security == "ignoreSecurity":
        return
    for name in sorted(backed_up.roles.keys() | copied.roles.keys()):
        if name not in copied.roles:
            yield f"no role {name!r:.100}"
        elif name not in backed_up.roles:
            yield f"a role {name!r:.100} that was not backed up"
        elif security == "copyAll" and backed_up.roles[name] != copied.roles[name]:
            yield f"{copied.roles[name]} members of role {name!r:.100}, not {backed_up.roles[name]}"


def told(found: list[str]) -> str:
    """The first of several differences, and how many more there are."""
    more = len(found) - _SHOWN_COUNT
    return "; ".join(found[:_SHOWN_COUNT]) + (f"; and {more} more" if more > 0 else "")


def _is_imported(table: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    modes = {partition.get("mode", model.get("defaultMode", "import")) for partition in table.get("partitions", ())}
    return modes <= {"import", "default"} if model.get("defaultMode", "import") == "import" else modes == {"import"}


def _row_counts(vault: CommandVault, database: str, tables: Sequence[str]) -> dict[str, int]:
    quoted = (table.replace('"', '""') for table in tables)
    counts = (f'SELECT {index} AS i, count(*) AS n FROM "{table}"' for index, table in enumerate(quoted))
    with vault.query(database, " UNION ALL ".join(counts), password=None, timeout_s=None) as answer:
        rows = [row for batch in answer.batches for row in batch.to_pylist()]
    return {tables[row["i"]]: row["n"] for row in rows}
