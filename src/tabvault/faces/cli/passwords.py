"""
Passwords: from a file, from standard input, or asked for on a terminal; never from an argument, where ``ps`` shows it.

No function here puts a password, or any part of one, into an error, and none lets an exception out that carries the
bytes it could not decode.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from tabvault.errors import PasswordError, PasswordRequiredError
from tabvault.faces.cli.output import say, warn
from tabvault.faces.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

STANDARD_INPUT: Final = "-"
_LINE_BYTE_COUNT_MAX: Final = 4096
"""Longer than any password; what has no line end before is not a password file."""

_ATTEMPT_COUNT: Final = 3


def new_password(password_file: str | None) -> str:
    """
    The password to encrypt with: from the file, or asked for twice.

    Raises:
        PasswordRequiredError: no file is named and there is no terminal to ask on.
        PasswordError: the file cannot be used, or what was typed differed each time.
    """
    if password_file is not None:
        return read_password(password_file)
    if not _can_ask():
        raise PasswordRequiredError(
            "a password is needed and there is no terminal to ask on", hint="give the password in a file"
        )
    say("Keep this password: without it the backup cannot be read by anybody.\n")
    return _asked_twice(if_empty="An empty password encrypts nothing.")


def new_login_password(password_file: str | None, user: str) -> str:
    """
    The password that a user shall log in with: from the file, or asked for twice; errors as :func:`new_password`.

    Args:
        password_file: file with the password, ``-`` for standard input, or None.
        user: whose, as the question names him.
    """
    if password_file is not None:
        return read_password(password_file)
    if not _can_ask():
        raise PasswordRequiredError(
            "a password is needed and there is no terminal to ask on", hint="give the password in a file"
        )
    say(f"The password of {printable(user)}: 12 characters or more are hard to guess.\n")
    return _asked_twice(if_empty="An empty password keeps nobody out.")


def _asked_twice(*, if_empty: str) -> str:
    for _ in range(_ATTEMPT_COUNT):
        password = _ask("New password: ")
        if not password:
            say(f"{if_empty}\n")
        elif password == _ask("Repeat it: "):
            return password
        else:
            say("They differ.\n")
    raise PasswordError(f"no password after {_ATTEMPT_COUNT} attempts")


def with_password(password_file: str | None, file: str, action: Callable[[str | None], Result]) -> Result:
    """
    Do *action* with the password it needs: the file's, none, or, where that does not do, one asked for.

    Args:
        password_file: file with the password, ``-`` for standard input, or None.
        file: the backup, as the question names it.
        action: takes the password, or None; it is called again only after ``PasswordRequiredError``.

    Raises:
        PasswordRequiredError: needed, no file is named and there is no terminal to ask on.
        PasswordError: the file cannot be used.
    """
    if password_file is not None:
        return action(read_password(password_file))
    try:
        return action(None)
    except PasswordRequiredError:
        if not _can_ask():
            raise
    return action(_ask(f"Password of {printable(file)}: "))


def existing_password(password_file: str | None, of: str) -> str:
    """
    A password that something else knows already: from the file, or asked for once.

    Args:
        password_file: file with the password, ``-`` for standard input, or None.
        of: whose, as the question names it.

    Raises:
        PasswordRequiredError: no file is named and there is no terminal to ask on.
        PasswordError: the file cannot be used, or nothing was typed.
    """
    if password_file is not None:
        return read_password(password_file)
    if not _can_ask():
        raise PasswordRequiredError(
            "a password is needed and there is no terminal to ask on", hint="give the password in a file"
        )
    return _checked(_ask(f"Password of {printable(of)}: "), "the password", "password")


def asked_for(question: str) -> str | None:
    """
    What is typed at *question*; None where there is no terminal to ask on.

    Raises:
        PasswordError: it is no text, or nothing was typed.
    """
    return _ask(printable(question)) if _can_ask() else None


def read_password(password_file: str) -> str:
    """
    The first line of a file, without its line end; of standard input for ``-`` (asked for, if that is a terminal).

    Raises:
        PasswordError: the file cannot be read, its first line is empty or too long, or it is not UTF-8.
    """
    return read_secret(password_file, "password")


def read_secret(secret_file: str, secret: str) -> str:
    """
    As :func:`read_password`, for what is no password.

    Args:
        secret_file: file with the secret, or ``-``.
        secret: what it is, as a message names it.
    """
    if secret_file == STANDARD_INPUT:
        if _can_ask():
            return _checked(_ask(f"{secret[:1].upper()}{secret[1:]}: "), f"the {secret}", secret)
        return _first_line(sys.stdin.buffer, "standard input", secret)
    what = f"{secret} file {secret_file}"
    try:
        with open(secret_file, "rb") as file:  # noqa: PTH123 - a Path would make a name of "" the current folder
            _warn_if_others_can_read(file, what)
            return _first_line(file, what, secret)
    except (OSError, ValueError) as error:
        reason = (error.strerror or "unknown error").lower() if isinstance(error, OSError) else "not a file name"
        raise PasswordError(f"{what}: {reason}") from None


def _first_line(file: BinaryIO, what: str, secret: str) -> str:
    line = file.readline(_LINE_BYTE_COUNT_MAX + 1)
    if len(line) > _LINE_BYTE_COUNT_MAX:
        raise PasswordError(f"{what}: its first line is longer than {_LINE_BYTE_COUNT_MAX} bytes")
    try:
        # Editors of Windows put a byte order mark in front, which nobody could type as part of a password.
        password = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        password = "\0"  # noqa: S105 - refused below, outside of the exception that holds the bytes
    return _checked(password.removesuffix("\n").removesuffix("\r"), what, secret)


def _checked(password: str, what: str, secret: str) -> str:
    if not password:
        raise PasswordError(f"{what}: the first line is empty", hint=f"the {secret} is the first line of the file")
    if "\0" in password or any(0xD800 <= ord(character) < 0xE000 for character in password):
        raise PasswordError(f"{what}: the {secret} is not UTF-8 text", hint="save the file as UTF-8")
    return password


def _warn_if_others_can_read(file: BinaryIO, what: str) -> None:
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        warn(f"{what} can be read by every user of this machine; chmod 600 closes it")


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _ask(question: str) -> str:
    try:
        password = getpass.getpass(question)
    except EOFError:
        raise PasswordRequiredError("the question for the password was not answered") from None
    if password and any(0xD800 <= ord(character) < 0xE000 for character in password):
        raise PasswordError("what was typed is not text in the encoding of the terminal")
    return password
