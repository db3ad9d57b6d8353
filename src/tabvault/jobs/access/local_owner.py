"""
The owner of the data folder at his own machine.

Whoever can read the data folder has everything that the server could keep from him. So a random token that stands in a
file of the folder, readable for its owner alone (:mod:`tabvault.storage.server_state.endpoint`), makes him an
administrator of the server, without a password: ``Authorization: Bearer tvl_…``. It counts on the loopback interface
only, and for one run of the server.
"""

from __future__ import annotations

import hmac
import os
import pwd
import secrets
from typing import TYPE_CHECKING, Final

from tabvault.jobs.access.principal import Principal
from tabvault.storage.server_state.loopback import is_loopback_address

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_TOKEN_PREFIX: Final = "tvl_"  # noqa: S105 - what a token begins with, not a token
_SECRET_BYTE_COUNT: Final = 32


class LocalOwner:
    """
    The token of one run of the server, and whose it is.

    Attributes:
        token: to be written where only the owner of the data folder can read it.
        owner: a server administrator.
    """

    def __init__(self) -> None:
        self.token = f"{LOCAL_TOKEN_PREFIX}{secrets.token_urlsafe(_SECRET_BYTE_COUNT)}"
        # No user of the server has such a name: a colon cannot stand in one.
        name = f"local:{_own_name()}"
        self.owner = Principal(name, "user", frozenset(), administers_server=True, authentication="local")

    def principal(self, headers: Mapping[str, str], address: str) -> Principal | None:
        """Who brings the token from *address*; None where there is none, it is wrong, or comes from elsewhere."""
        credentials = [value for name, value in headers.items() if name.lower() in ("authorization", "x-api-key")]
        if len(credentials) != 1 or not is_loopback_address(address):
            return None
        scheme, _, credential = credentials[0].strip().partition(" ")
        is_token = hmac.compare_digest(credential.strip().encode(), self.token.encode())
        return self.owner if scheme.lower() == "bearer" and is_token else None


def _own_name() -> str:
    user_id = os.geteuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:  # a container may run under a number that nobody has
        return str(user_id)
