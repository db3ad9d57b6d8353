"""``tabvault verify``: everything in a backup or a database read and checked."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import FileOrDatabase, Json, PasswordFile
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import duration, printable, quantity

if TYPE_CHECKING:
    from tabvault.faces.cli.output import Colour
    from tabvault.jobs.verify import Severity, Verification

_PACKAGE_ENDINGS: Final = (".pbix", ".xlsx")

_COLOURS: "Final[dict[Severity, Colour]]" = {"OK": "green", "WARNING": "yellow", "FAILED": "red"}


@on_target
def verify(
    target: Target, file_or_database: FileOrDatabase, password_file: PasswordFile = None, as_json: Json = False
) -> None:
    """
    Read and check everything in a backup or a database; of a .pbix, its model.

    One line per condition: OK, WARNING or FAILED. Exit status 1 if any FAILED.
    """
    with open_vault(target, file=file_or_database) as vault:

        def attempt(password: str | None) -> "Verification":
            with shown_progress(as_json=as_json) as progress:
                return vault.verify(file_or_database, password=password, progress=progress)

        verification = passwords.with_password(password_file, file_or_database, attempt)
    if as_json:
        output.show_json(
            {"ok": verification.ok, "conditions": verification.conditions, "seconds": verification.seconds}
        )
    else:
        _show(file_or_database, verification)
    if not verification.ok:
        raise typer.Exit(1)


def _show(name: str, verification: "Verification") -> None:
    # Nothing else in a package is looked at: neither the report nor its queries.
    what = f"the model in {name}" if name.lower().endswith(_PACKAGE_ENDINGS) else name
    for condition in verification.conditions:
        status = output.coloured(f"{condition.severity:<7}", _COLOURS[condition.severity], sys.stdout)
        output.write(f"{status}  {printable(condition.subject)}: {printable(condition.message)}\n")
    counts = Counter(condition.severity for condition in verification.conditions)
    summary = ", ".join(f"{counts[severity]} {severity}" for severity in _COLOURS if counts[severity])
    output.show_line(
        f"{what} is {'good' if verification.ok else 'DAMAGED'}: "
        f"{quantity(len(verification.conditions), 'condition')}, {summary}, {duration(verification.seconds)}"
    )
