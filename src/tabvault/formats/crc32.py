"""
The checksum of a container with ``<ErrorCode>true</ErrorCode>``.

Every stored file of such a container is followed by four bytes, little-endian: the checksum of exactly the stored bytes
before them (compressed, where the file is compressed). The four bytes are counted in the ``Size`` of the virtual
directory; the header page and the virtual directory itself have none.

The checksum is CRC-32/BZIP2: polynomial 0x04C11DB7, bits not reflected, begun with all ones, final complement.

Source: [MS-XLDM] gives the table and the loop, and leaves out the final complement, which was read off genuine files.
"""

from __future__ import annotations

from fastcrc import crc32 as fastcrc_crc32

CRC_BYTE_COUNT = 4
"""Stored length of one checksum, in bytes."""


def crc32(data: bytes | memoryview, previous: int = 0) -> int:
    """
    Checksum of *data*, or of everything before *data* and *data*.

    Args:
        data: the bytes, any contiguous buffer.
        previous: the checksum of the bytes before *data*; 0 is the checksum of no bytes.

    Returns:
        0..2**32-1.
    """
    return int(fastcrc_crc32.bzip2(data, previous))


def stored(crc: int) -> bytes:
    """The checksum as it stands in a container: :data:`CRC_BYTE_COUNT` bytes, little-endian."""
    return crc.to_bytes(CRC_BYTE_COUNT, "little")
