"""
An error of ours as an XMLA error: its number, and its words.

Clients show the words and never look at the number; it is here for those who search for it. Numbers of Analysis
Services are used where it publishes one for the same thing; the others are ours, in the same range, and stay as they
are.

==============  =====================================  ============================================
number          error                                  whose number
==============  =====================================  ============================================
``0xC1000000``  any other                              ours
``0xC1010000``  FormatError, ModelError                ours
``0xC1020000``  PasswordError                          ours
``0xC1030000``  StorageError                           ours
``0xC1060000``  DatabaseError                          ours
``0xC1070000``  JobError                               ours
``0xC1080000``  SourceError                            ours
``0xC1090000``  ProcessingError                        ours
``0xC10A0004``  RequestError                           Analysis Services: a request that does not parse
``0xC10C000A``  SessionNotFoundError                   Analysis Services: the session cannot be found
``0xC10C0024``  UnknownRowsetError                     ours
``0xC10E0002``  AccessError                            Analysis Services: no access, or no such database
``0xC10F0014``  CommandNotSupportedError               ours
``0xC1210003``  QueryError                             Analysis Services: an error in a query
==============  =====================================  ============================================
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from tabvault import errors
from tabvault.formats.xmla.response import Message

if TYPE_CHECKING:
    from types import TracebackType

SOURCE: Final = "Tabvault"

CODES: Final[dict[type[errors.TabvaultError], int]] = {
    errors.TabvaultError: 0xC1000000,
    errors.FormatError: 0xC1010000,
    errors.ModelError: 0xC1010000,
    errors.PasswordError: 0xC1020000,
    errors.StorageError: 0xC1030000,
    errors.DatabaseError: 0xC1060000,
    errors.JobError: 0xC1070000,
    errors.SourceError: 0xC1080000,
    errors.ProcessingError: 0xC1090000,
    errors.RequestError: 0xC10A0004,
    errors.SessionNotFoundError: 0xC10C000A,
    errors.UnknownRowsetError: 0xC10C0024,
    errors.AccessError: 0xC10E0002,
    errors.CommandNotSupportedError: 0xC10F0014,
    errors.QueryError: 0xC1210003,
}
"""By class; a class that is not here has the number of the nearest above it."""

_WARNING_CODE: Final = 0x41000000

_WORD: Final = re.compile("[a-z]+ ")

_log = logging.getLogger(__name__)


def message_of(error: Exception) -> Message:
    """
    The message of an error.

    A mistake of ours becomes a message without its words: they may quote a value, and a value may be a password.
    """
    if not isinstance(error, errors.TabvaultError):
        _log.error("internal error (%s)", type(error).__name__, exc_info=_without_values(error))
        return Message(
            CODES[errors.TabvaultError], f"internal error ({type(error).__name__}), please report it", SOURCE
        )
    text = str(error)
    if isinstance(error, errors.RequestError) and error.path is not None:
        text = f"{error.path}: {text}"
    text = _capitalised(text) + ("" if text.endswith(".") else ".")
    if error.hint:
        text += f" Hint: {error.hint}."
    line = column = None
    if isinstance(error, errors.QueryError | errors.RequestError):
        line, column = error.line, error.column
    return Message(code_of(type(error)), text, SOURCE, line=line, column=column)


def code_of(kind: type[errors.TabvaultError]) -> int:
    """The number of errors of that class."""
    return next(CODES[above] for above in kind.__mro__ if above in CODES)


def warning(text: str) -> Message:
    """A warning of a command that was done all the same."""
    return Message(_WARNING_CODE, _capitalised(text), SOURCE, is_warning=True)


def _capitalised(text: str) -> str:
    """With a capital, as a sentence; but for a name at its begin: ``sales.abf`` is another file than ``Sales.abf``."""
    return text[:1].upper() + text[1:] if _WORD.match(text) else text


def _without_values(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    """For the log: where it happened, and nothing of what it said."""
    return Exception, Exception(type(error).__name__), error.__traceback__
