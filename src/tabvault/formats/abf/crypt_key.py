"""
``<n>.CryptKey.bin``: the key under which a model's stored secrets are encrypted, itself not encrypted.

====== ===== =====================================================================================================
offset bytes field
====== ===== =====================================================================================================
0      16    GUID ``98bc215d2d8de64ea8e5d038aac94441``
16     32    eight u32: version 4, header 0x30, key blob 0x50, trailer 0x10 bytes, provider 1, algorithm 7, FFFFFFFF, 0
48     12    SIMPLEBLOB header: ``01 02 00 00``, CALG_3DES ``03 66 00 00``, CALG_RSA_KEYX ``00 a4 00 00``
60     64    PKCS#1 type 2 block, byte-reversed: ``00 02``, 37 random non-zero bytes, ``00``, 24-byte 3DES key
124    4     zeros
128    16    the GUID again
====== ===== =====================================================================================================

Tabvault carries this file bit for bit and never decrypts a secret with it; the check is for ``verify``. A new database
gets one with a key of its own (:func:`build`). Source:
[MS-XLDM] 2.1.2.4 (which gives the header 44 bytes; genuine files have 48) and genuine files.
"""

from __future__ import annotations

from typing import Final

from tabvault.errors import FormatError
from tabvault.formats.cursor import Cursor

BYTE_COUNT: Final = 144
_GUID: Final = bytes.fromhex("98bc215d2d8de64ea8e5d038aac94441")
_HEADER: Final = bytes.fromhex("04000000 30000000 50000000 10000000 01000000 07000000 ffffffff 00000000")
_BLOB_HEADER: Final = bytes.fromhex("01020000 03660000 00a40000")
_KEY_BYTE_COUNT: Final = 24
_PADDING_BYTE_COUNT: Final = 37


def check(data: bytes | memoryview, *, file: str) -> None:
    """
    Check the whole structure.

    Raises:
        FormatError: a field is not what every genuine key file has.
    """
    if len(data) != BYTE_COUNT:
        raise FormatError(f"key file has {len(data)} bytes, not {BYTE_COUNT}", file=file)
    cursor = Cursor(data, file=file)
    cursor.expect(_GUID, "leading GUID")
    cursor.expect(_HEADER, "key file header")
    cursor.expect(_BLOB_HEADER, "SIMPLEBLOB header")
    start = cursor.offset
    block = bytes(cursor.take(64, "key block"))[::-1]
    padding = block[2 : 2 + _PADDING_BYTE_COUNT]
    if block[:2] != b"\0\x02" or 0 in padding or block[2 + _PADDING_BYTE_COUNT] != 0:
        raise FormatError("key block is not PKCS#1 type 2", file=file, offset=start)
    cursor.expect(bytes(4), "key block end")
    cursor.expect(_GUID, "trailing GUID")


def build(key: bytes, padding: bytes) -> bytes:
    """
    A key file.

    Args:
        key: 24 random bytes.
        padding: 37 random bytes, none of them zero.
    """
    if len(key) != _KEY_BYTE_COUNT or len(padding) != _PADDING_BYTE_COUNT or 0 in padding:
        raise ValueError(f"key of {len(key)} bytes and padding of {len(padding)}, or a zero in the padding")
    block = b"\0\x02" + padding + b"\0" + key
    return _GUID + _HEADER + _BLOB_HEADER + block[::-1] + bytes(4) + _GUID
