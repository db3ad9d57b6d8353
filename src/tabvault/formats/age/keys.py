"""
The keys of an age file, from the password down.

::

    wrap key     scrypt(N = 2^work factor, r = 8, p = 1, salt = "age-encryption.org/v1/scrypt" || salt)
    file key     16 random bytes; the header carries it under ChaCha20-Poly1305 with the wrap key and a zero nonce
    header MAC   HMAC-SHA-256 with the key HKDF-SHA-256(file key, salt = empty, info = "header")
    payload key  HKDF-SHA-256(file key, salt = payload nonce, info = "payload")

A zero nonce is safe for the wrap key alone: its salt is drawn anew for each file, so that it encrypts one message.

What is random can be derived from a *seed* of 32 secret bytes instead, for who has to make one file several times over:

::

    salt           HKDF-SHA-256(seed, salt = empty, info = "tabvault age scrypt salt")
    payload nonce  HKDF-SHA-256(seed, salt = empty, info = "tabvault age payload nonce")
    file key       HKDF-SHA-256(seed, salt = wrap key, info = "tabvault age file key")

The wrap key goes into the file key, so that the seed alone opens nothing, and another password gives another file key;
the password cannot be had from the seed, of which it is no part.

Whoever has the wrap key forgets the password at once, so that a traceback with variables in it does not show it.

Source: age-encryption.org/v1, "The scrypt recipient type", "Header MAC", "Payload".
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tabvault.errors import ChecksumError, LimitError, PasswordError, PasswordRequiredError, PasswordWrongError

WORK_FACTOR = 17
"""
What we write: 128 MiB and a third of a second. The age tool writes 18, whose 256 MiB are all the memory a backup or
restore may take here; 17 with r = 8 is what the OWASP Password Storage Cheat Sheet advises.
"""

WORK_FACTOR_MAX = 20
"""What we read: 1 GiB. A hostile file could otherwise ask for any amount of memory and time."""

SALT_BYTE_COUNT = 16
FILE_KEY_BYTE_COUNT = 16
WRAPPED_FILE_KEY_BYTE_COUNT = FILE_KEY_BYTE_COUNT + 16  # with the tag
MAC_BYTE_COUNT = 32

_KEY_BYTE_COUNT = 32
_SALT_LABEL = b"age-encryption.org/v1/scrypt"
_SCRYPT_BLOCK_SIZE = 8
_WRAP_NONCE = bytes(12)


def wrap_key(password: str, *, salt: bytes, work_factor: int) -> bytes:
    """
    The key that wraps the file key: one scrypt, the expensive step.

    Args:
        password: what the user typed.
        salt: 16 bytes.
        work_factor: log2 of scrypt's N, ``1..WORK_FACTOR_MAX``.

    Raises:
        PasswordRequiredError: *password* is empty.
        PasswordError: *password* is not Unicode text.
        LimitError: this machine has not the memory that the work factor asks for.
    """
    secret = _utf8(password)
    del password
    kdf = Scrypt(salt=_SALT_LABEL + salt, length=_KEY_BYTE_COUNT, n=1 << work_factor, r=_SCRYPT_BLOCK_SIZE, p=1)
    try:
        return kdf.derive(secret)
    except MemoryError:
        del secret
        byte_count = 128 * _SCRYPT_BLOCK_SIZE << work_factor
        raise LimitError(
            f"work factor {work_factor} needs {byte_count} bytes of memory, which this machine does not give",
            hint="free memory or use a machine with more",
        ) from None


def wrap_file_key(file_key: bytes, key: bytes) -> bytes:
    """*file_key* under the wrap key *key*: 32 bytes for the stanza's body."""
    return ChaCha20Poly1305(key).encrypt(_WRAP_NONCE, file_key, None)


def unwrap_file_key(wrapped_file_key: bytes, key: bytes) -> bytes:
    """
    The file key out of the stanza's body.

    Raises:
        PasswordWrongError: the wrap key *key* does not open it.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(_WRAP_NONCE, wrapped_file_key, None)
    except InvalidTag:
        raise PasswordWrongError(
            "the password does not open the file", hint="a damaged scrypt stanza in the file's header looks the same"
        ) from None


def seeded_salt(seed: bytes) -> bytes:
    """The scrypt salt of the file that is made from *seed*."""
    return _derived(seed, SALT_BYTE_COUNT, salt=None, label=b"scrypt salt")


def seeded_nonce(seed: bytes, byte_count: int) -> bytes:
    """The payload nonce of the file that is made from *seed*."""
    return _derived(seed, byte_count, salt=None, label=b"payload nonce")


def seeded_file_key(seed: bytes, wrap_key: bytes) -> bytes:
    """The file key of the file that is made from *seed* and a password."""
    return _derived(seed, FILE_KEY_BYTE_COUNT, salt=wrap_key, label=b"file key")


def header_mac(file_key: bytes, authenticated: bytes) -> bytes:
    """The MAC over the part *authenticated* of a header."""
    return _header_hmac(file_key, authenticated).finalize()


def check_header_mac(mac: bytes, *, file_key: bytes, authenticated: bytes) -> None:
    """
    Compare the MAC that stands in a header.

    Raises:
        ChecksumError: it belongs to other bytes.
    """
    try:
        _header_hmac(file_key, authenticated).verify(mac)
    except InvalidSignature:
        raise ChecksumError(
            f"header MAC does not match the {len(authenticated)} bytes before it", offset=len(authenticated) + 1
        ) from None


def payload_key(file_key: bytes, *, nonce: bytes) -> bytes:
    """The key of the payload's chunks; *nonce* are the 16 bytes before the first one."""
    return HKDF(SHA256(), _KEY_BYTE_COUNT, salt=nonce, info=b"payload").derive(file_key)


def _derived(seed: bytes, byte_count: int, *, salt: bytes | None, label: bytes) -> bytes:
    return HKDF(SHA256(), byte_count, salt=salt, info=b"tabvault age " + label).derive(seed)


def _header_hmac(file_key: bytes, authenticated: bytes) -> HMAC:
    hmac = HMAC(HKDF(SHA256(), _KEY_BYTE_COUNT, salt=None, info=b"header").derive(file_key), SHA256())
    hmac.update(authenticated)
    return hmac


def _utf8(password: str) -> bytes:
    if not password:
        raise PasswordRequiredError("the password is empty", hint="type a password of at least one character")
    try:
        return password.encode()
    except UnicodeEncodeError:
        pass  # raised below: outside of this clause the error does not carry the codec's, which quotes the password
    raise PasswordError("the password is not Unicode text: it has a lone surrogate, which UTF-8 cannot write")
