"""As whom a command comes to a server: with a password, with an API key, or, if none is given, as nobody."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from tabvault.errors import NotAuthenticatedError, PasswordError
from tabvault.faces.cli import passwords

if TYPE_CHECKING:
    from tabvault.faces.cli.target import Server


def authorization(server: Server) -> str | None:
    """
    The value of the header that says who asks: the password of ``--user``, else the API key of ``--api-key-file``, else
    that of the environment, else None.

    Raises:
        PasswordError: a file cannot be used.
        NotAuthenticatedError: a password is needed, no file is named and there is no terminal to ask on.
    """
    if server.user is not None:
        password = _password(server.user, server.login_password_file)
        return f"Basic {base64.b64encode(f'{server.user}:{password}'.encode()).decode('ascii')}"
    key = os.environ.get(server.api_key_variable)
    if server.api_key_file is not None:
        key = passwords.read_password(server.api_key_file)
    if not key:
        return None
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise PasswordError("the API key is not one: it looks like tvk_…")
    return f"Bearer {key}"


def _password(user: str, file: str | None) -> str:
    if file is not None:
        return passwords.read_password(file)
    password = passwords.asked_for(f"Password of {user}: ")
    if password is None:
        raise NotAuthenticatedError(
            "a password is needed to log in, and there is no terminal to ask on", hint="give --login-password-file"
        )
    return password
