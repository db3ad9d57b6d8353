"""Files whose keys are derived from a seed: the derivation by hand, and what a peer says of the file."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tabvault.formats import age

SEED = bytes(range(32))
PASSWORD = "correct horse"
PLAINTEXT = b"abc" * 50_000


def file_of(seed: bytes, password: str = PASSWORD, plaintext: bytes = PLAINTEXT) -> bytes:
    encryptor = age.Encryptor(password, deferred_byte_count=5, seed=seed, work_factor=4)
    middle = encryptor.update(plaintext[5:])
    finished = encryptor.finish(plaintext[:5])
    return finished.head + middle + finished.tail


def hkdf_16(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 for up to one hash."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(key, info + b"\1", "sha256")[:16]


def test_the_keys_are_derived_as_documented():
    lines = file_of(SEED).split(b"\n", 4)
    salt = hkdf_16(SEED, salt=b"", info=b"tabvault age scrypt salt")
    assert lines[1] == b"-> scrypt " + base64.b64encode(salt).rstrip(b"=") + b" 4"
    wrap_key = hashlib.scrypt(PASSWORD.encode(), salt=b"age-encryption.org/v1/scrypt" + salt, n=16, r=8, p=1, dklen=32)
    file_key = ChaCha20Poly1305(wrap_key).decrypt(bytes(12), base64.b64decode(lines[2] + b"="), None)
    assert file_key == hkdf_16(SEED, salt=wrap_key, info=b"tabvault age file key")
    assert lines[4][:16] == hkdf_16(SEED, salt=b"", info=b"tabvault age payload nonce")


def test_the_same_seed_makes_the_same_file_which_a_peer_reads():
    data = file_of(SEED)
    assert file_of(SEED) == data
    assert pyrage.passphrase.decrypt(data, PASSWORD) == PLAINTEXT


def test_another_seed_or_password_shares_no_key():
    files = [file_of(seed, password) for seed in (SEED, SEED[::-1]) for password in ("a", "b")]
    chunks = [data[-1000:] for data in files]
    assert len(set(chunks)) == 4
    # Two streams of one key, one on the other, would give the plaintexts on each other: zeros.
    for one in chunks:
        for other in chunks:
            if one is not other:
                assert sum(a == b for a, b in zip(one, other, strict=True)) < 50


def test_without_a_seed_no_two_files_are_alike():
    heads = {
        age.Encryptor(PASSWORD, deferred_byte_count=0, work_factor=4).finish(b"").head.split(b"\n")[1] for _ in range(3)
    }
    assert len(heads) == 3
