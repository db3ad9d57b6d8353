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

import typer

from tabvault.errors import FormatError, JobCancelledError, QueryError, StorageError, TabvaultError
from tabvault.faces.cli import output
from tabvault.faces.cli.text import printable

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
    """An error of our tree, or a mistake of ours; returns the exit status."""
    _show(error_document(error), str(error) if isinstance(error, TabvaultError) else None, as_json=as_json)
    return error.exit_status if isinstance(error, TabvaultError) else 1


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


def report_cancelled(*, as_json: bool) -> int:
    """Ctrl-C."""
    if as_json:
        output.show_json({"error": {"code": JobCancelledError.code, "message": "cancelled", "hint": None}})
    else:
        output.say("\ncancelled\n")
    return INTERRUPTED_STATUS


def error_document(error: Exception) -> ErrorDocument:
    """An error as the value of ``error`` in a JSON document."""
    if not isinstance(error, TabvaultError):
        return _bug_document(error)
    document: ErrorDocument = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, FormatError):
        document |= {"file": error.file, "offset": error.offset}
    elif isinstance(error, QueryError):
        document |= {"line": error.line, "column": error.column}
    elif isinstance(error, StorageError):
        document |= {"retryable": error.retryable}
    return document


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


def _show(document: ErrorDocument, text: str | None = None, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"error": document})
        return
    label = output.coloured("error", "red", sys.stderr)
    output.complain(f"{label}[{document['code']}]", text or str(document["message"]))
    if document["hint"]:
        output.complain("hint", str(document["hint"]))


def abandon_output() -> None:
    """Give up what is still buffered for standard output, so that leaving the program does not fail on it again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
