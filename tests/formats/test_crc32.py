from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.formats import crc32


def bit_by_bit(data: bytes) -> int:
    """CRC-32/BZIP2 as a shift register: the definition, with no table and no library."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            carry = register >> 31 ^ byte >> bit & 1
            register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if carry else 0)
    return register ^ 0xFFFFFFFF


def test_the_check_value_of_the_catalogue_comes_out():
    assert crc32.crc32(b"123456789") == 0xFC891918


def test_no_bytes_have_the_checksum_zero():
    assert crc32.crc32(b"") == 0


def test_the_partitions_file_of_genuine_containers_has_their_checksum():
    partitions = b"\xff\xfe" + "<Partitions/>".encode("utf-16-le")
    assert crc32.stored(crc32.crc32(partitions)) == bytes.fromhex("bf4fef2d")


def test_a_stored_key_file_of_a_genuine_container_has_its_checksum():
    stored_file = bytes.fromhex(
        "9000900098bc215d2d8de64ea8e5d038aac94441040000003000000050000000100000000100000007000000ffffffff00000000"
        "010200000366000000a4000025c42304a7b3d06be6c785343eba02152acb04758a3e9b1a00d29e3d5d7ca7e0ff10696bbf775b8e"
        "29656103237f7bd3a10703c075f69ad54cfec5fdde3302000000000098bc215d2d8de64ea8e5d038aac94441"
    )
    assert crc32.stored(crc32.crc32(stored_file)) == bytes.fromhex("fa50d120")


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_it_is_the_shift_register_of_the_definition(data):
    assert crc32.crc32(data) == bit_by_bit(data)


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(deadline=None)
def test_it_can_be_continued_piece_by_piece(first, second):
    assert crc32.crc32(memoryview(second), crc32.crc32(first)) == crc32.crc32(first + second)


def test_a_stored_checksum_is_four_bytes_with_the_lowest_first():
    assert crc32.stored(0x01020304) == b"\x04\x03\x02\x01"
    assert len(crc32.stored(0)) == crc32.CRC_BYTE_COUNT
