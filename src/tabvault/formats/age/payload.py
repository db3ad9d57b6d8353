"""
The payload of an age file: a nonce, then chunks that are encrypted each on its own.

::

    offset in payload     bytes         part
    0                     16            payload nonce, salt of the payload key
    16 + i * 65 552       1..65 536     ciphertext of chunk i (65 536 but for the final chunk)
      + its length        16            Poly1305 tag

Chunk *i* is encrypted with ChaCha20-Poly1305 under the payload key; its nonce is ``i`` as 11 bytes big-endian, then 01
for the final chunk, 00 for the others. So a chunk in another place, a chunk missing or doubled, and an end that is not
the end all fail the tag. The final chunk holds at least one byte, unless the whole plaintext is empty: then it is the
only chunk. That makes the length of the plaintext a matter of arithmetic on the length of the file.

Source: age-encryption.org/v1, "Payload".
"""

from __future__ import annotations

from dataclasses import dataclass

from tabvault.errors import FormatError, TruncatedError

PAYLOAD_NONCE_BYTE_COUNT = 16
CHUNK_BYTE_COUNT = 1 << 16
TAG_BYTE_COUNT = 16
SEALED_CHUNK_BYTE_COUNT = CHUNK_BYTE_COUNT + TAG_BYTE_COUNT


def chunk_nonce(chunk_index: int, *, is_final: bool) -> bytes:
    """The 12 bytes of nonce of one chunk."""
    return (chunk_index << 8 | is_final).to_bytes(12, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadLayout:
    """
    Where the chunks lie in an age file.

    Attributes:
        offset: of the first chunk in the file, behind the payload nonce.
        chunk_count: at least 1.
        plaintext_byte_count: of all chunks together.
    """

    offset: int
    chunk_count: int
    plaintext_byte_count: int

    @classmethod
    def of_file(cls, *, file_byte_count: int, header_byte_count: int) -> PayloadLayout:
        """
        The layout that follows from the two lengths.

        Raises:
            TruncatedError: the file is too short for what it begins.
            FormatError: the final chunk is empty and not the only one.
        """
        offset = header_byte_count + PAYLOAD_NONCE_BYTE_COUNT
        sealed_byte_count = file_byte_count - offset
        if sealed_byte_count < TAG_BYTE_COUNT:
            raise TruncatedError(
                f"payload needs at least {PAYLOAD_NONCE_BYTE_COUNT + TAG_BYTE_COUNT} bytes"
                f" and {file_byte_count - header_byte_count} remain",
                offset=header_byte_count,
            )
        chunk_count = -(-sealed_byte_count // SEALED_CHUNK_BYTE_COUNT)
        final_offset = (chunk_count - 1) * SEALED_CHUNK_BYTE_COUNT
        final_byte_count = sealed_byte_count - final_offset
        if final_byte_count < TAG_BYTE_COUNT:
            raise TruncatedError(
                f"final chunk has {final_byte_count} bytes, and its tag alone needs {TAG_BYTE_COUNT}",
                offset=offset + final_offset,
            )
        if final_byte_count == TAG_BYTE_COUNT and chunk_count > 1:
            raise FormatError("final chunk is empty, and it is not the only chunk", offset=offset + final_offset)
        return cls(
            offset=offset,
            chunk_count=chunk_count,
            plaintext_byte_count=sealed_byte_count - chunk_count * TAG_BYTE_COUNT,
        )

    def is_final(self, chunk_index: int) -> bool:
        """Whether the chunk is the last of the payload."""
        return chunk_index == self.chunk_count - 1

    def sealed_offset(self, chunk_index: int) -> int:
        """Where the chunk begins in the file; for ``chunk_count``, where the file ends."""
        end = self.plaintext_byte_count + self.chunk_count * TAG_BYTE_COUNT
        return self.offset + min(chunk_index * SEALED_CHUNK_BYTE_COUNT, end)
