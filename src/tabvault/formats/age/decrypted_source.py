"""
The plaintext of an age file, readable at any offset.

Invariants:

(1) No byte is given out before the MAC of the header, the tag of the *final* chunk (at its place, with the final flag)
    and the tag of the byte's own chunk were checked. The final chunk is opened first, so that a file cut short or added
    to is refused at the door.
(2) One scrypt is computed for a file, after every check that needs no key.
(3) All attributes but ``_recent`` are set once. ``_recent`` is an immutable tuple; a reader takes one reference to it,
    and a writer puts another tuple in its place: each one step of the interpreter, with or without its global lock. Of
    two threads that write at once one loses its entry. Its chunk will be decrypted again, and holds the same then, for
    the file does not change.

Source: age-encryption.org/v1, "Payload": who relies on where the file ends has to check the final chunk first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tabvault.errors import ChecksumError
from tabvault.formats.age import keys
from tabvault.formats.age.header import read_header
from tabvault.formats.age.payload import (
    CHUNK_BYTE_COUNT,
    PAYLOAD_NONCE_BYTE_COUNT,
    SEALED_CHUNK_BYTE_COUNT,
    PayloadLayout,
    chunk_nonce,
)
from tabvault.formats.byte_source import check_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.byte_source import ByteSource

RECENT_CHUNK_COUNT = 8
"""Plaintext chunks kept (512 KiB): one for each of some threads that read small records in sequence."""


class DecryptedSource:
    """
    A :class:`~tabvault.formats.byte_source.ByteSource` over the plaintext of an age file.

    Args:
        source: the whole file, from its version line to its last byte.
        password: it is not kept.

    Raises:
        PasswordRequiredError: the password is empty.
        PasswordWrongError: the password does not open the file.
        PasswordError: the password is not Unicode text.
        LimitError: header or work factor over the limit, or no memory for it.
        UnsupportedFeatureError: the file is encrypted for another type of recipient than a passphrase.
        TruncatedError: the file ends inside the header or inside a tag.
        ChecksumError: the header's MAC does not match, or the file does not end with its final chunk.
        FormatError: the header is not what the format demands.
    """

    def __init__(self, source: ByteSource, password: str) -> None:
        header = read_header(source)
        layout = PayloadLayout.of_file(file_byte_count=source.byte_count, header_byte_count=header.byte_count)
        nonce = bytes(source.read_at(header.byte_count, PAYLOAD_NONCE_BYTE_COUNT))
        wrap_key = keys.wrap_key(password, salt=header.salt, work_factor=header.work_factor)
        del password  # from here on errors are raised through this frame, and tracebacks may show its variables
        file_key = keys.unwrap_file_key(header.wrapped_file_key, wrap_key)
        keys.check_header_mac(header.mac, file_key=file_key, authenticated=header.authenticated)
        self._source = source
        self._layout = layout
        self._cipher = ChaCha20Poly1305(keys.payload_key(file_key, nonce=nonce))
        self._recent: tuple[tuple[int, bytes], ...] = ()
        next(self._chunks(layout.chunk_count - 1, layout.chunk_count))

    @property
    def byte_count(self) -> int:
        """Length of the plaintext, in bytes."""
        return self._layout.plaintext_byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """
        Exactly *byte_count* bytes of plaintext from *offset*; the ciphertext of a run is read in one go.

        Raises:
            TruncatedError: the range is not wholly inside the plaintext.
            ChecksumError: the tag of a chunk does not match; ``offset`` is where the chunk begins in the age file.
        """
        check_range(offset, byte_count, self.byte_count)
        if not byte_count:
            return b""
        first, skipped_byte_count = divmod(offset, CHUNK_BYTE_COUNT)
        end = (offset + byte_count - 1) // CHUNK_BYTE_COUNT + 1
        if end - first == 1:
            return memoryview(next(self._chunks(first, end)))[skipped_byte_count : skipped_byte_count + byte_count]
        plaintext = memoryview(bytearray(byte_count))
        filled_byte_count = 0
        for chunk in self._chunks(first, end):
            part = memoryview(chunk)[skipped_byte_count : skipped_byte_count + byte_count - filled_byte_count]
            plaintext[filled_byte_count : filled_byte_count + len(part)] = part
            filled_byte_count += len(part)
            skipped_byte_count = 0
        return plaintext.toreadonly()

    def _chunks(self, first: int, end: int) -> Iterator[bytes]:
        """The plaintext of the chunks ``first..end - 1`` in order; the last of them is remembered."""
        # A run often begins in the chunk in which the one before it ended: the first is worth a look, the rest is not.
        for chunk_index, plaintext in self._recent:
            if chunk_index == first:
                yield plaintext
                first += 1
                break
        if first == end:
            return
        start = self._layout.sealed_offset(first)
        run = memoryview(self._source.read_at(start, self._layout.sealed_offset(end) - start))
        for chunk_index in range(first, end):
            place = (chunk_index - first) * SEALED_CHUNK_BYTE_COUNT
            plaintext = self._open(run[place : place + SEALED_CHUNK_BYTE_COUNT], chunk_index)
            if chunk_index == end - 1:
                self._recent = ((chunk_index, plaintext), *self._recent[: RECENT_CHUNK_COUNT - 1])
            yield plaintext

    def _open(self, sealed: memoryview, chunk_index: int) -> bytes:
        nonce = chunk_nonce(chunk_index, is_final=self._layout.is_final(chunk_index))
        try:
            return self._cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise ChecksumError(
                f"tag of chunk {chunk_index} of {self._layout.chunk_count} does not match",
                offset=self._layout.sealed_offset(chunk_index),
                hint="the encrypted file was changed, cut short or added to",
            ) from None
