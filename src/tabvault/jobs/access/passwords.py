"""
Passwords of server users: what is kept of them, and how one is checked.

Kept is a key made by scrypt (RFC 7914) with a random salt, and the parameters beside it, so that new passwords may cost
more than old ones. 32 MiB of memory three times over is what OWASP asks for where 128 MiB at once is too much: a fifth
of a second here, and as much for each guess of a thief. A password counts as its NFC form in UTF-8, so that it does
not matter how a keyboard composes an accent.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tabvault.errors import RequestError
from tabvault.storage.server_state.accounts import PasswordRecord

if TYPE_CHECKING:
    from tabvault.storage.server_state.accounts import UserRecord

N: Final = 1 << 15
R: Final = 8
P: Final = 3
SALT_BYTE_COUNT: Final = 16
KEY_BYTE_COUNT: Final = 32

PASSWORD_LENGTH_MAX: Final = 1024
"""Characters; a header carries no more, and nobody types as many."""

_NOBODY: Final = PasswordRecord(salt=secrets.token_bytes(SALT_BYTE_COUNT), key=bytes(KEY_BYTE_COUNT), n=N, r=R, p=P)
"""Checked for names that nobody has: the answer takes as long as for one that somebody has."""


def check_password(password: str) -> None:
    """
    Refuse what cannot be a password.

    Raises:
        RequestError: it is empty, too long, or holds control characters or half characters.
    """
    if not 1 <= len(password) <= PASSWORD_LENGTH_MAX:
        raise RequestError(
            f"the password has {len(password)} characters, not 1 to {PASSWORD_LENGTH_MAX}", path="password"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise RequestError("the password holds a control character", path="password")


def hash_password(password: str) -> PasswordRecord:
    """
    What to keep of *password*.

    Raises:
        RequestError: see :func:`check_password`.
    """
    check_password(password)
    salt = secrets.token_bytes(SALT_BYTE_COUNT)
    return PasswordRecord(salt=salt, key=_scrypt(password, salt, KEY_BYTE_COUNT, n=N, r=R, p=P), n=N, r=R, p=P)


def verify_password(user: UserRecord | None, password: str) -> bool:
    """
    Whether *password* is that of *user*; None stands for a name nobody has, and takes its time too.

    One call holds 128 * n * r bytes, so the caller lets few run at once.
    """
    if not 1 <= len(password) <= PASSWORD_LENGTH_MAX:
        return False
    record = _NOBODY if user is None else user.password
    key = _scrypt(password, record.salt, len(record.key), n=record.n, r=record.r, p=record.p)
    return hmac.compare_digest(key, record.key) and user is not None


def password_octets(password: str) -> bytes:
    """The bytes that a password stands for; half characters, which no password has, become others."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _scrypt(password: str, salt: bytes, byte_count: int, *, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=byte_count, n=n, r=r, p=p).derive(password_octets(password))
