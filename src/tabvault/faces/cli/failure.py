"""
How a command fails: one shape of message and one exit status for each kind of failure. Nothing else makes either.

======  =======================================================================
status  meaning
======  =======================================================================
0       done
1       a named error, ``error[code]: message`` and where there is a way out
        ``hint: …``; or ``verify`` found damage
2       wrong usage: ``error[usage]``
130     Ctrl-C: ``cancelled``
141     nobody reads standard output any more; quiet, as other programs
======  =======================================================================

With ``--json`` the same is an object on standard output::

    {"error": {"code": "format_checksum", "message": "…", "hint": null, "file": "metadata.sqlitedb", "offset": 496}}
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Final

import typer

from tabvault.errors import FormatError, JobCancelledError, QueryError, StorageError, TabvaultError
from tabvault.faces.cli import output
from tabvault.faces.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAYS_OUT: Final[dict[str, str]] = {
    "data_folder_locked": "wait for that process, or name another folder with --data",
    "database_exists": "add --overwrite, or choose another name",
    "model_inconsistent": "tabvault verify lists every finding",
    "password_required": "name a file with the password: --password-file",
    "storage_exists": "add --overwrite, or choose another name",
}
"""
By code: how an option or a command takes the way out that the hint of an error names in words of no face. A hint that
names an option or a command by itself stays.
"""

ErrorDocument = dict[str, str | int | bool | None]

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
BROKEN_PIPE_STATUS = 141


class UsageError(typer.TyperException):
    """
    Options that do not go together, or one that is missing here.

    Args:
        message: which and why.
        hint: what to type instead.
    """

    exit_code = USAGE_STATUS

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def report(error: Exception, *, as_json: bool) -> int:
    """
    An error of our tree, or a mistake of ours; returns the exit status.

    The notes of the first, lines that only a person needs, stand between message and hint.
    """
    document = error_document(error)
    if not isinstance(error, TabvaultError):
        _show(document, as_json=as_json)
        return 1
    _show(document, str(error), getattr(error, "__notes__", ()), as_json=as_json)
    return error.exit_status


def report_usage(error: typer.TyperException, *, as_json: bool) -> int:
    """An argument that is wrong."""
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tabvault"
    message = error.format_message().rstrip(".")
    _show(
        {
            "code": "usage",
            "message": message[:1].lower() + message[1:],
            "hint": getattr(error, "hint", None) or f"{command} --help shows what it takes",
        },
        as_json=as_json,
    )
    return USAGE_STATUS


def report_cancelled(interrupt: KeyboardInterrupt, *, as_json: bool) -> int:
    """Ctrl-C. The notes of *interrupt* say what was left behind."""
    message = "; ".join(("cancelled", *getattr(interrupt, "__notes__", ())))
    if as_json:
        output.show_json({"error": {"code": JobCancelledError.code, "message": message, "hint": None}})
        return INTERRUPTED_STATUS
    if sys.stderr.isatty():
        output.say("\n")  # behind the ^C that the terminal shows
    output.say(f"{printable(message)}\n")
    return INTERRUPTED_STATUS


def error_document(error: Exception) -> ErrorDocument:
    """An error as the value of ``error`` in a JSON document."""
    if not isinstance(error, TabvaultError):
        return _bug_document(error)
    document: ErrorDocument = {"code": error.code, "message": error.message, "hint": _hint(error)}
    if isinstance(error, FormatError):
        document |= {"file": error.file, "offset": error.offset}
    elif isinstance(error, QueryError):
        document |= {"line": error.line, "column": error.column}
    elif isinstance(error, StorageError):
        document |= {"retryable": error.retryable}
    return document


def _hint(error: TabvaultError) -> str | None:
    """An error without a way out (overwriting was asked for, and something else has the name) gets none here either."""
    if error.hint is None or "--" in error.hint or "tabvault " in error.hint:
        return error.hint
    return _WAYS_OUT.get(error.code, error.hint)


def _bug_document(error: Exception) -> ErrorDocument:
    """
    A mistake of ours.

    Its text is not shown, not even for debugging: it may quote a value, and a value may be a password. The frames of a
    traceback quote nothing but our own source.
    """
    hint = "TABVAULT_DEBUG=1 shows where it happened"
    if os.environ.get("TABVAULT_DEBUG") == "1":
        frames = "".join(traceback.format_tb(error.__traceback__))
        output.say("".join(f"{printable(line)}\n" for line in frames.splitlines()))
        hint = "the lines on standard error say where it happened"
    return {"code": "internal", "message": f"internal error ({type(error).__name__}), please report it", "hint": hint}


def _show(document: ErrorDocument, text: str | None = None, notes: Iterable[str] = (), *, as_json: bool) -> None:
    if as_json:
        output.show_json({"error": document})
        return
    label = output.coloured("error", "red", sys.stderr)
    output.complain(f"{label}[{document['code']}]", text or str(document["message"]))
    for note in notes:
        output.say(f"{printable(note)}\n")
    if document["hint"]:
        output.complain("hint", str(document["hint"]))
