"""``tabvault storage check``: whether backups can be written, read and removed, and what will become a trouble."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import printable

if TYPE_CHECKING:
    from tabvault.faces.cli.output import Colour
    from tabvault.jobs.storage_probe import Probe
    from tabvault.jobs.verification import Severity

_COLOURS: "Final[dict[Severity, Colour]]" = {"OK": "green", "WARNING": "yellow", "FAILED": "red"}


@on_target
def check(target: Target, as_json: Json = False) -> None:
    """
    Write, read, list and remove a small file in the backup storage, and say what does not work.

    One line per condition: OK, WARNING or FAILED, with the way out; unfinished uploads are listed. Exit status 1 if any
    FAILED.
    """
    with open_vault(target) as vault:
        probe = vault.check_storage()
    if as_json:
        output.show_json(document(probe))
    else:
        _show(probe)
    if not probe.ok:
        raise typer.Exit(1)


def document(probe: "Probe") -> dict[str, object]:
    """What a probe found, for ``--json``."""
    return {
        "account": probe.account,
        "container": probe.container,
        "time": probe.time,
        "ok": probe.ok,
        "is_listable": probe.is_listable,
        "is_writable": probe.is_writable,
        "is_readable": probe.is_readable,
        "is_removable": probe.is_removable,
        "permissions": probe.permissions,
        "expires": probe.expires,
        "clock_skew_s": probe.clock_skew_s,
        "findings": probe.findings,
        "unfinished": probe.unfinished,
    }


def show_findings(probe: "Probe") -> None:
    """What a probe found, a line for each condition."""
    for finding in probe.findings:
        status = output.coloured(f"{finding.severity:<7}", _COLOURS[finding.severity], sys.stdout)
        output.write(f"{status}  {printable(finding.message)}\n")
        if finding.hint is not None:
            output.write(f"{'':<7}  hint: {printable(finding.hint)}\n")


def _show(probe: "Probe") -> None:
    show_findings(probe)
    counts = Counter(finding.severity for finding in probe.findings)
    summary = ", ".join(f"{counts[severity]} {severity}" for severity in _COLOURS if counts[severity])
    output.show_line(f"container {probe.container} of storage account {probe.account} {_state(probe)}: {summary}")


def _state(probe: "Probe") -> str:
    if probe.is_writable and probe.ok:
        return "works"
    return "can only be read" if probe.ok else "does NOT work"
