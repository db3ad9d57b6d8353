"""
String store: the pages of a string dictionary, and the handles that cut them into strings.

==== =========================== ====================================================================
type field                       note
==== =========================== ====================================================================
i64  count                       strings in all pages
u8   fStoreCompressed            1
i64  longestString               UTF-16 units of the longest string
i64  pageCount                   0 when there is no string
     pages                       see below
u64  count                       again
u32  size of a handle            8
     handles                     u32 offset in the page, u32 page: in the order of the strings
==== =========================== ====================================================================

A page:

==== =========================== ====================================================================
u64  page mask                   0 uncompressed, 1 compressed
u8   containsNulls               1 exactly if the empty string is among its strings
u64  start index                 strings on the pages before
u64  string count
u8   compressed                  as the mask
     begin mark                  DD CC BB AA
     store                       see below
     end mark                    CD AB CD AB
==== =========================== ====================================================================

Uncompressed store: ``u64 remaining, u64 used, u64 allocation`` (the first two in UTF-16 units, the third in bytes,
twice their sum), then the allocation. Its *used* units are the strings, each with a NUL after it; handles count
units.

Compressed store: ``u32 totalBits``, ``u32`` character set type (703121 single, 703122 multiple), ``u64`` length L,
single: ``u8`` high byte, ``u32 uiDecodeBits`` (a hint), 128 bytes code lengths, ``u64`` L again, L bytes
:mod:`~tabvault.formats.vertipaq.huffman` codes. L is what *totalBits* take, made even, and 2 more; handles count
bits; there is no NUL. Single: a symbol is the low byte of a unit whose high byte is the page's; multiple: the symbols
are the bytes of the units.

Source: [MS-XLDM] 2.3.2.1.2 and 2.7.4; the marks' values, the units of handles, the sum that makes the allocation and
    the meaning
of containsNulls were read off genuine files (spare allocation: also github.com/Hugoberry/pbixray/pull/60).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.errors import FormatError, LimitError
from tabvault.formats.vertipaq import huffman, transcode
from tabvault.formats.vertipaq.huffman import CODE_LENGTHS_BYTE_COUNT
from tabvault.formats.vertipaq.record import Record
from tabvault.formats.vertipaq.transcode import Utf16Strings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from tabvault.formats.cursor import Cursor

END_MARK = bytes.fromhex("cdabcdab")

HEAD = Struct("<QBQQ")
PAGE_HEAD = Record("head of the page", "QBQQB", end=bytes.fromhex("ddccbbaa"))
UNCOMPRESSED_HEAD = Struct("<QQQ")
COMPRESSED_HEAD = Struct("<IIQ")
HANDLES_HEAD = Struct("<QI")

SINGLE_CHARACTER_SET = 703121
MULTIPLE_CHARACTER_SETS = 703122

STORE_COMPRESSED = 1
"""fStoreCompressed, also when no page is compressed."""

_PAGE_BYTE_COUNT_MIN = 58
"""An uncompressed page of no string: it bounds the page count by the bytes that remain."""

HANDLE_BYTE_COUNT = 8


class _UncompressedStore(NamedTuple):
    units: NDArray[np.uint16]


class _CompressedStore(NamedTuple):
    total_bits: int
    high_byte: int | None
    code_lengths: memoryview
    stream: memoryview


class _Page(NamedTuple):
    offset: int
    contains_nulls: int
    start_index: int
    string_count: int
    store: _UncompressedStore | _CompressedStore


def parse(cursor: Cursor, on_lone_surrogates: Callable[[int], None]) -> pa.StringArray | pa.LargeStringArray:
    """
    Read the string store that the rest of a string dictionary is.

    Args:
        cursor: at the count; it ends at the end of the file.
        on_lone_surrogates: told how many characters are U+FFFD for a lone surrogate, if any are.

    Returns:
        The strings in the order of their data ids; they may repeat.

    Raises:
        TruncatedError: the file ends too early.
        LimitError: a count is more than the bytes of the file can hold.
        FormatError: a mark or a relation of the format does not hold.
    """
    start = cursor.offset
    count, store_compressed, longest_string, page_count = cursor.unpack(HEAD, "head of the string store")
    if store_compressed != STORE_COMPRESSED:
        raise FormatError(
            f"fStoreCompressed is {store_compressed}, not {STORE_COMPRESSED}", file=cursor.file, offset=start + 8
        )
    if page_count * _PAGE_BYTE_COUNT_MIN > cursor.remaining:
        raise LimitError(
            f"pageCount is {page_count}, too many for the {cursor.remaining} bytes after it",
            file=cursor.file,
            offset=cursor.offset - 8,
        )
    pages = [_page(cursor) for _ in range(page_count)]
    handles = _handles(cursor, pages, count=count)
    cursor.expect_padding("the handles")

    parts = []
    longest = 0
    for page in pages:
        strings = _strings(page, handles[page.start_index : page.start_index + page.string_count], file=cursor.file)
        lengths = strings.starts[1:] - strings.starts[:-1]
        filled_count = np.count_nonzero(lengths)
        if len(lengths) == 0 or page.contains_nulls != (filled_count < len(lengths)):
            raise FormatError(
                f"containsNulls is {page.contains_nulls} on a page of {len(lengths)} strings, "
                f"{len(lengths) - filled_count} empty",
                file=cursor.file,
                offset=page.offset,
            )
        longest = max(longest, int(lengths.max()))
        parts.append(transcode.to_utf8(strings))
    if longest != longest_string and pages:
        raise FormatError(
            f"longestString is {longest_string}, and the longest string has {longest} units",
            file=cursor.file,
            offset=start + 9,
        )
    lone_surrogate_count = sum(part.lone_surrogate_count for part in parts)
    if lone_surrogate_count:
        on_lone_surrogates(lone_surrogate_count)
    return transcode.join(parts)


def _page(cursor: Cursor) -> _Page:
    offset = cursor.offset
    page_mask, contains_nulls, start_index, string_count, compressed = PAGE_HEAD.take(cursor)
    if page_mask != compressed or compressed > 1 or contains_nulls > 1:
        raise FormatError(
            f"page mask is {page_mask}, compressed flag {compressed}, containsNulls {contains_nulls}",
            file=cursor.file,
            offset=offset,
        )
    store = _compressed_store(cursor) if compressed else _uncompressed_store(cursor)
    cursor.expect(END_MARK, "end mark of the string store")
    return _Page(offset, contains_nulls, start_index, string_count, store)


def _uncompressed_store(cursor: Cursor) -> _UncompressedStore:
    offset = cursor.offset
    remaining, used, allocation = cursor.unpack(UNCOMPRESSED_HEAD, "head of the uncompressed strings")
    if allocation != 2 * (used + remaining):
        raise FormatError(
            f"allocation is {allocation} bytes, not 2 * ({used} used + {remaining} remaining units)",
            file=cursor.file,
            offset=offset,
        )
    return _UncompressedStore(np.frombuffer(cursor.take(allocation, "uncompressed strings")[: 2 * used], "<u2"))


def _compressed_store(cursor: Cursor) -> _CompressedStore:
    offset = cursor.offset
    total_bits, character_set, byte_count = cursor.unpack(COMPRESSED_HEAD, "head of the compressed strings")
    if character_set not in {SINGLE_CHARACTER_SET, MULTIPLE_CHARACTER_SETS}:
        raise FormatError(f"character set type {character_set} is not known", file=cursor.file, offset=offset + 4)
    expected = -(-total_bits // 16) * 2 + 2
    if byte_count != expected:
        raise FormatError(
            f"length of the codes is {byte_count} for {total_bits} bits, not {expected}",
            file=cursor.file,
            offset=offset,
        )
    high_byte = cursor.u8("high byte") if character_set == SINGLE_CHARACTER_SET else None
    cursor.u32("uiDecodeBits")
    code_lengths = cursor.take(CODE_LENGTHS_BYTE_COUNT, "code lengths")
    cursor.expect(byte_count.to_bytes(8, "little"), "length of the codes again")
    return _CompressedStore(total_bits, high_byte, code_lengths, cursor.take(byte_count, "codes"))


def _handles(cursor: Cursor, pages: Sequence[_Page], *, count: int) -> NDArray[np.uint32]:
    """The offset of each string in its page. Strings are in the order of the pages, so the page of each is known."""
    offset = cursor.offset
    found = cursor.unpack(HANDLES_HEAD, "head of the handles")
    if found != (count, HANDLE_BYTE_COUNT):
        raise FormatError(
            f"{found[0]} handles of {found[1]} bytes follow, not {count} of {HANDLE_BYTE_COUNT}",
            file=cursor.file,
            offset=offset,
        )
    handles = np.frombuffer(cursor.take(HANDLE_BYTE_COUNT * count, "handles"), "<u4").reshape(-1, 2)
    next_index = 0
    for page_id, page in enumerate(pages):
        end_index = page.start_index + page.string_count
        if page.start_index != next_index or end_index > count:
            raise FormatError(
                f"page {page_id} is for strings {page.start_index} to {end_index}, after {next_index} of {count}",
                file=cursor.file,
                offset=page.offset,
            )
        if np.count_nonzero(handles[next_index:end_index, 1] != page_id):
            raise FormatError(f"handle of a string on page {page_id} is for another", file=cursor.file, offset=offset)
        next_index = end_index
    if next_index != count:
        raise FormatError(f"pages hold {next_index} strings, and count is {count}", file=cursor.file, offset=offset)
    return handles[:, 0]


def _strings(page: _Page, handles: NDArray[np.uint32], *, file: str | None) -> Utf16Strings:
    """The UTF-16 units of the strings of a page, without what ends them."""
    store = page.store
    if isinstance(store, _UncompressedStore):
        return _terminated(store.units, handles, offset=page.offset, file=file)
    bit_offsets = np.append(handles, np.uint32(store.total_bits))
    symbols = huffman.decode(store.stream, store.code_lengths, bit_offsets, offset=page.offset, file=file)
    if store.high_byte == 0:
        return Utf16Strings(symbols.values, symbols.starts)
    if store.high_byte is not None:
        return Utf16Strings(symbols.values | np.uint16(store.high_byte << 8), symbols.starts)
    if np.count_nonzero(symbols.starts & 1):
        raise FormatError("a string ends inside a UTF-16 unit", file=file, offset=page.offset)
    return Utf16Strings(symbols.values.view("<u2"), symbols.starts // 2)


def _terminated(
    units: NDArray[np.uint16], handles: NDArray[np.uint32], *, offset: int, file: str | None
) -> Utf16Strings:
    """Cut the units of an uncompressed page where the handles say, and drop the NUL that has to end each string."""
    ends = np.empty(len(handles) + 1, np.int64)
    ends[:-1] = handles
    ends[-1] = len(units)
    if ends[0] != 0 or np.count_nonzero(ends[1:] <= ends[:-1]):
        raise FormatError(f"handles do not ascend from 0 within {len(units)} used units", file=file, offset=offset)
    terminators = ends[1:] - 1
    if np.count_nonzero(units[terminators]):
        raise FormatError("a string of the page does not end with NUL", file=file, offset=offset)
    is_kept = units != 0
    if np.count_nonzero(is_kept) + len(handles) != len(units):  # a NUL inside a string is a character like others
        is_kept[:] = True
        is_kept[terminators] = False
    ends -= np.arange(len(ends))
    return Utf16Strings(units[is_kept], ends)
