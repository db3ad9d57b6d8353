"""
Age files put together from the words of age-encryption.org/v1, with nothing of the code under test.

The key derivations are the standard library's (HKDF written out from RFC 5869), so that a mistake in ours cannot hide
in a mistake of the same kind here. Every part can be built alone: a hostile header is given the MAC that belongs to it,
and what refuses it is the check that a test is about.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PASSWORD = "correct horse"
SALT = bytes(range(16))
FILE_KEY = bytes(range(100, 116))
NONCE = bytes(range(200, 216))
WORK_FACTOR = 2


def base64_text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def hkdf(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block of output: an empty salt is a block of zeros."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def wrapped_file_key(file_key: bytes = FILE_KEY, *, password: str = PASSWORD, work_factor: int = WORK_FACTOR) -> bytes:
    label = b"age-encryption.org/v1/scrypt"
    key = hashlib.scrypt(password.encode(), salt=label + SALT, n=2**work_factor, r=8, p=1, dklen=32)
    return ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)


def stanza(
    *, arguments: bytes = base64_text(SALT) + b" %d" % WORK_FACTOR, body: bytes = base64_text(wrapped_file_key())
) -> bytes:
    return b"-> scrypt " + arguments + b"\n" + body + b"\n"


def header(stanzas: bytes | None = None) -> bytes:
    authenticated = b"age-encryption.org/v1\n" + (stanza() if stanzas is None else stanzas) + b"---"
    mac = hmac.digest(hkdf(FILE_KEY, salt=b"", info=b"header"), authenticated, "sha256")
    return authenticated + b" " + base64_text(mac) + b"\n"


def sealed_chunk(plaintext: bytes, *, index: int, final: bool) -> bytes:
    key = hkdf(FILE_KEY, salt=NONCE, info=b"payload")
    nonce = index.to_bytes(11, "big") + (b"\x01" if final else b"\x00")
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)


def sealed_chunks(plaintext: bytes) -> list[bytes]:
    parts = [plaintext[start : start + 65536] for start in range(0, len(plaintext), 65536)] or [b""]
    return [sealed_chunk(part, index=index, final=index == len(parts) - 1) for index, part in enumerate(parts)]


def age_file(plaintext: bytes) -> bytes:
    return header() + NONCE + b"".join(sealed_chunks(plaintext))
