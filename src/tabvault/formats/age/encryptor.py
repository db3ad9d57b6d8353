"""
Streaming encryption whose first plaintext bytes are known last.

A backup begins with a page that tells where its directory lies, which is known only when all else was written. So the
first chunk waits in memory, as plaintext, while the chunks behind it are encrypted and handed out; at the end it is
encrypted and goes to the front of the file, where its place was left free.

Invariants:

(1) Each nonce of the payload key is used once: two messages that share key and nonce would give away the plaintext of
    both and the means to forge more. So chunk 0 is encrypted in :meth:`Encryptor.finish` alone, which runs once, never
    early and again with its true beginning; and the counter of the others moves on before each encryption.
(2) The payload key is fresh: file key, scrypt salt and payload nonce are drawn for each :class:`Encryptor`. Only with a
    *seed* they are those of every other one with that seed and password; its user answers for (1) across all of them,
    by giving each the same plaintext, as far as it gives any.
(3) A chunk is encrypted only when it is known whether bytes follow it: the final flag stands on the final chunk and on
    no other, and the final chunk is not empty, unless the whole plaintext is.

Source: age-encryption.org/v1, "Payload"; that the beginning comes last is ours, and does not show in the file.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tabvault.formats.age import keys
from tabvault.formats.age.header import authenticated_part, with_mac
from tabvault.formats.age.payload import (
    CHUNK_BYTE_COUNT,
    PAYLOAD_NONCE_BYTE_COUNT,
    SEALED_CHUNK_BYTE_COUNT,
    chunk_nonce,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Finished(NamedTuple):
    """
    The last bytes of an encryption.

    Attributes:
        tail: to be appended after everything :meth:`Encryptor.update` returned.
        head: the first bytes of the file: header, payload nonce, chunk 0.
    """

    tail: bytes
    head: bytes


class Encryptor:
    """
    Encrypts one file. The file is ``head``, then all that :meth:`update` returned, then ``tail``.

    Leave :attr:`head_byte_count` bytes free, append what :meth:`update` returns and the tail, then write the head into
    the free place. A plaintext that fits the first chunk is in the head alone, which may be shorter than its place.
    When a method raised, the file cannot be completed: throw it away with the encryptor.

    Args:
        password: of at least one character. It is not kept.
        deferred_byte_count: how many plaintext bytes come last, in :meth:`finish`; less than a chunk (64 KiB).
        random_bytes: where salt, file key and payload nonce (16 bytes each) come from, asked in this order.
        seed: 32 secret bytes from which they are derived instead, the file key with the password: for who makes one
            file several times over, byte for byte. Never for two plaintexts; see (2).
        work_factor: log2 of scrypt's N.

    Raises:
        PasswordError: the password is empty or not Unicode text.
        LimitError: this machine has not the memory that the work factor asks for.
    """

    def __init__(
        self,
        password: str,
        *,
        deferred_byte_count: int,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        seed: bytes | None = None,
        work_factor: int = keys.WORK_FACTOR,
    ) -> None:
        if not 0 <= deferred_byte_count < CHUNK_BYTE_COUNT:
            raise ValueError(f"deferred_byte_count is {deferred_byte_count}, not 0..{CHUNK_BYTE_COUNT - 1}")
        if not 1 <= work_factor <= keys.WORK_FACTOR_MAX:
            raise ValueError(f"work_factor is {work_factor}, not 1..{keys.WORK_FACTOR_MAX}")
        if seed is None:
            salt = random_bytes(keys.SALT_BYTE_COUNT)
            file_key = random_bytes(keys.FILE_KEY_BYTE_COUNT)
            nonce = random_bytes(PAYLOAD_NONCE_BYTE_COUNT)
        else:
            salt = keys.seeded_salt(seed)
            nonce = keys.seeded_nonce(seed, PAYLOAD_NONCE_BYTE_COUNT)
        wrap_key = keys.wrap_key(password, salt=salt, work_factor=work_factor)
        del password  # a traceback may show the variables of this frame
        if seed is not None:
            file_key = keys.seeded_file_key(seed, wrap_key)
        authenticated = authenticated_part(
            salt=salt, work_factor=work_factor, wrapped_file_key=keys.wrap_file_key(file_key, wrap_key)
        )
        self._before_chunks = with_mac(authenticated, keys.header_mac(file_key, authenticated)) + nonce
        self._cipher = ChaCha20Poly1305(keys.payload_key(file_key, nonce=nonce))
        self._deferred_byte_count = deferred_byte_count
        self._first = bytearray()  # plaintext of chunk 0 behind the deferred bytes
        self._waiting = bytearray()  # plaintext of the chunk after the last one encrypted: at most a whole chunk
        self._next_chunk_index = 1
        self._is_finished = False

    @property
    def head_byte_count(self) -> int:
        """Length of the head when the plaintext is as long as a chunk or longer."""
        return len(self._before_chunks) + SEALED_CHUNK_BYTE_COUNT

    def update(self, data: bytes | bytearray | memoryview) -> bytes:
        """
        Take the plaintext that follows, in runs of any length.

        Args:
            data: contiguous bytes; not kept. The larger the run, the less is copied: a mebibyte is good.

        Returns:
            Ciphertext of the chunks that are known not to be the final one; often empty.
        """
        if self._is_finished:
            raise ValueError("update after finish")
        view = memoryview(data).cast("B")
        start = min(len(view), CHUNK_BYTE_COUNT - self._deferred_byte_count - len(self._first))
        self._first += view[:start]
        sealed = []
        if self._waiting:
            missing_byte_count = CHUNK_BYTE_COUNT - len(self._waiting)
            self._waiting += view[start : start + missing_byte_count]
            start += missing_byte_count
            if start < len(view):
                sealed.append(self._seal_next(self._waiting, is_final=False))
                self._waiting.clear()
        while len(view) - start > CHUNK_BYTE_COUNT:
            sealed.append(self._seal_next(view[start : start + CHUNK_BYTE_COUNT], is_final=False))
            start += CHUNK_BYTE_COUNT
        self._waiting += view[start:]
        return b"".join(sealed)

    def finish(self, deferred: bytes | bytearray | memoryview) -> Finished:
        """
        Take the deferred bytes and close the file. Can be called once.

        Args:
            deferred: the first ``deferred_byte_count`` bytes of the plaintext.
        """
        if self._is_finished:
            raise ValueError("finish after finish")
        if len(deferred) != self._deferred_byte_count:
            raise ValueError(f"{len(deferred)} deferred bytes came, not {self._deferred_byte_count}")
        self._is_finished = True
        tail = self._seal_next(self._waiting, is_final=True) if self._waiting else b""
        first_nonce = chunk_nonce(0, is_final=not self._waiting)
        first = self._cipher.encrypt(first_nonce, bytes(deferred) + self._first, None)
        return Finished(tail=tail, head=self._before_chunks + first)

    def _seal_next(self, plaintext: bytearray | memoryview, *, is_final: bool) -> bytes:
        nonce = chunk_nonce(self._next_chunk_index, is_final=is_final)
        self._next_chunk_index += 1
        return self._cipher.encrypt(nonce, plaintext, None)
