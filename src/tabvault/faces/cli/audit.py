"""``tabvault audit …``: who did what to the server, and whether that is still what was written."""

import dataclasses
import datetime
import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.errors import AuditChainError
from tabvault.faces.cli import failure, output
from tabvault.faces.cli.options import Json, moment
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import local_time

if TYPE_CHECKING:
    from tabvault.storage.server_state.audit_chain import AuditCheck, AuditFault, NotedLine
    from tabvault.storage.server_state.audit_line import AuditLine

_COLUMNS: Final = (
    Column("sequence"),
    Column("time"),
    Column("phase"),
    Column("who", narrow="fold"),
    Column("address", narrow="leave out"),
    Column("interface", narrow="leave out"),
    Column("operation", narrow="fold"),
    Column("object", narrow="fold"),
    Column("result"),
    Column("code", narrow="fold"),
    Column("job", narrow="leave out"),
)

_LINE_COUNT_MAX: Final = 10_000
"""As over REST."""

_NOTE: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")

_KEEP_IT: Final = "keep the folder server/audit of the data folder as it is, and compare it with a copy of it"


@on_target
def list_(
    target: Target,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, max=_LINE_COUNT_MAX, help="So many lines at most, the latest.")
    ] = 100,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="None before this time: 2026-11-22, or with hours.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="None at or after this time.")] = None,
    as_json: Json = False,
) -> None:
    """List lines of the audit log, the latest one last."""
    since_time, until_time = moment(since), moment(until)
    from tabvault.faces.cli.audit_source import audit_lines  # noqa: PLC0415 - --help needs no storage

    lines = audit_lines(target, since=since_time, until=until_time, limit=last)[::-1]
    if as_json:
        output.show_json({"lines": lines})
    else:
        output.show_table(_COLUMNS, map(_row, lines))


@on_target
def verify(
    target: Target,
    noted: Annotated[
        str | None,
        typer.Option(
            "--noted",
            metavar="NOTE",
            help="Compare with the note of an earlier check, too: SEQUENCE:DIGEST of what was the last line then.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Read the whole audit log, and check that its lines are those that were written.

    Shows how much there is, and a note to keep elsewhere. Exit status 1 if the chain is broken.
    """
    line = _noted(noted)
    from tabvault.faces.cli.audit_source import check_audit  # noqa: PLC0415 - as above

    check = check_audit(target, line)
    error = None if check.ok else _error(check)
    if as_json:
        output.show_json(_document(check, error))
        if error is not None:
            raise typer.Exit(error.exit_status)
        return
    _show(check)
    if error is not None:
        output.flush()  # on a terminal the facts stand before the error
        raise error


def _noted(text: str | None) -> "NotedLine | None":
    if text is None:
        return None
    match = _NOTE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter("--noted takes what audit verify shows as note: a number, a colon and 64 digits")
    from tabvault.storage.server_state.audit_chain import NotedLine  # noqa: PLC0415 - as above

    return NotedLine(int(match[1]), match[2])


def _note(check: "AuditCheck") -> str | None:
    return f"{check.last_sequence}:{check.head}" if check.ok and check.line_count else None


def _error(check: "AuditCheck") -> AuditChainError:
    first, *others = check.faults
    error = AuditChainError(f"the chain of the audit log is broken: {_words(first)}", hint=_KEEP_IT)
    for fault in others:
        error.add_note(f"and {_words(fault)}")
    if (left_out := check.fault_count - len(check.faults)) > 0:
        error.add_note(f"and {left_out:,} more")
    return error


def _words(fault: "AuditFault") -> str:
    return f"{fault} ({fault.meaning})"


def _document(check: "AuditCheck", error: AuditChainError | None) -> dict[str, object]:
    facts = {field.name: getattr(check, field.name) for field in dataclasses.fields(check)}
    document = {"ok": check.ok, **facts, "note": _note(check)}
    return document if error is None else document | {"error": failure.error_document(error)}


def _show(check: "AuditCheck") -> None:
    output.show_facts(
        {
            "files": (check.file_count, f"{check.file_count:,}"),
            "lines": (check.line_count, f"{check.line_count:,}"),
            "first": (check.first_time, _place(check.first_time, check.first_sequence)),
            "last": (check.last_time, _place(check.last_time, check.last_sequence)),
            "whole": (check.ok, "yes" if check.ok else "NO"),
            "note": (_note(check), _note(check) or "-"),
        }
    )
    if check.first_sequence > 1:
        output.warn(f"the log begins with sequence {check.first_sequence}: older files are not here")


def _place(time: datetime.datetime | None, sequence: int) -> str:
    return "-" if time is None else f"{local_time(time)}, sequence {sequence}"


def _row(line: "AuditLine") -> tuple[output.Cell, ...]:
    return (
        str(line.sequence),
        line.time,
        line.phase,
        line.who,
        line.address,
        line.interface,
        line.operation,
        line.object,
        line.result,
        line.code,
        line.job,
    )
