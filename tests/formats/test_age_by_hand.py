"""Our files against the specification: byte for byte, and one that Debian's age wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from age_by_the_book import FILE_KEY, NONCE, PASSWORD, SALT, WORK_FACTOR, age_file

from tabvault.formats.age import MAGIC, DecryptedSource, Encryptor, is_age
from tabvault.formats.age.payload import PayloadLayout, chunk_nonce
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

WRITTEN_BY_AGE = (
    b"age-encryption.org/v1\n"
    b"-> scrypt ndTTAB9BvziGb65JKmxlOA 18\n"
    b"qEAN+F8uBbnC2QWX13ZOKzyLCZeN+keaWjvTPhMKpLY\n"
    b"--- tGZLIqyrPbEah/Gij0nCnpOLEnvBas0arwz1jHPCe68\n"
    b"\x95M\xc8%\x9d\xe9f&P+\xb6\xc7\xfb:q\xf8"  # payload nonce
    b"rC\xcd\xda\xbf\xdcGo\xaf\x9f\xbf\x8b\xf2yC\xee\xea\xfd?\x94\xa2"  # 5 bytes and a tag
)
"""``hello`` under the password ``pw``, from age 1.1.1 of Debian 12."""


def test_a_file_written_by_the_age_program_is_read() -> None:
    source = DecryptedSource(MemorySource(WRITTEN_BY_AGE), "pw")
    assert source.byte_count == 5
    assert bytes(source.read_at(0, 5)) == b"hello"


@pytest.mark.parametrize("byte_count", [0, 1, 4095, 65535, 65536, 65537, 131072, 200000])
def test_a_file_built_from_the_specification_is_read(byte_count: int) -> None:
    plaintext = bytes(index * index % 251 for index in range(byte_count))
    source = DecryptedSource(MemorySource(age_file(plaintext)), PASSWORD)
    assert source.byte_count == byte_count
    assert bytes(source.read_at(0, byte_count)) == plaintext


@pytest.mark.parametrize("byte_count", [10, 11, 4095, 65535, 65536, 65537, 131071, 131072, 131073, 200000])
def test_a_written_file_is_the_specification_s_byte_for_byte(byte_count: int) -> None:
    plaintext = bytes(index * index % 251 for index in range(byte_count))
    drawn = iter([SALT, FILE_KEY, NONCE])
    encryptor = Encryptor(PASSWORD, deferred_byte_count=10, random_bytes=lambda _: next(drawn), work_factor=WORK_FACTOR)
    body = encryptor.update(plaintext[10:])
    tail, head = encryptor.finish(plaintext[:10])
    assert head + body + tail == age_file(plaintext)
    if byte_count >= 65536:
        assert len(head) == encryptor.head_byte_count
    else:
        assert len(head) < encryptor.head_byte_count
    if byte_count <= 65536:
        assert (body, tail) == (b"", b"")


def test_an_empty_plaintext_is_one_empty_final_chunk() -> None:
    drawn = iter([SALT, FILE_KEY, NONCE])
    encryptor = Encryptor(PASSWORD, deferred_byte_count=0, random_bytes=lambda _: next(drawn), work_factor=WORK_FACTOR)
    assert encryptor.update(b"") == b""
    assert encryptor.finish(b"") == (b"", age_file(b""))


def test_chunk_nonces_are_an_eleven_byte_counter_and_a_flag() -> None:
    assert chunk_nonce(0, is_final=False).hex() == "00" * 12
    assert chunk_nonce(0, is_final=True).hex() == "00" * 11 + "01"
    assert chunk_nonce(0x0102030405, is_final=False).hex() == "000000000000" + "0102030405" + "00"


@pytest.mark.parametrize(
    ("file_byte_count", "chunk_count", "plaintext_byte_count"),
    [
        (166 + 16, 1, 0),
        (166 + 17, 1, 1),
        (166 + 65552, 1, 65536),
        (166 + 65552 + 17, 2, 65537),
        (166 + 2 * 65552, 2, 131072),
    ],
)
def test_the_plaintext_s_length_follows_from_the_file_s(
    file_byte_count: int, chunk_count: int, plaintext_byte_count: int
) -> None:
    layout = PayloadLayout.of_file(file_byte_count=file_byte_count, header_byte_count=150)
    assert (layout.offset, layout.chunk_count) == (166, chunk_count)
    assert layout.plaintext_byte_count == plaintext_byte_count
    assert layout.sealed_offset(0) == 166
    assert layout.sealed_offset(chunk_count) == file_byte_count


def test_age_files_are_known_by_their_first_bytes() -> None:
    assert is_age(WRITTEN_BY_AGE)
    assert is_age(memoryview(MAGIC))
    assert not is_age(b"")
    assert not is_age(MAGIC[:-1])
    assert not is_age(b"age-encryption.org/v2\n")
    assert not is_age(b"STREAM_STORAGE_SIGNATURE_)!@#$%^&*(")


def test_the_first_chunk_is_encrypted_once_and_no_nonce_twice() -> None:
    class RecordingCipher:
        def __init__(self, cipher: ChaCha20Poly1305) -> None:
            self.cipher = cipher
            self.nonces: list[bytes] = []

        def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
            self.nonces.append(nonce)
            return self.cipher.encrypt(nonce, data, associated_data)

    encryptor = Encryptor(PASSWORD, deferred_byte_count=4096, work_factor=1)
    cipher = RecordingCipher(encryptor._cipher)
    encryptor._cipher = cipher  # type: ignore[assignment]
    for byte_count in (60000, 1000, 70000, 1, 0, 131072, 65536):
        encryptor.update(bytes(byte_count))
    encryptor.finish(bytes(4096))
    with pytest.raises(ValueError, match="finish after finish"):
        encryptor.finish(bytes(4096))
    with pytest.raises(ValueError, match="update after finish"):
        encryptor.update(b"more")
    chunk_count = -(-(4096 + 327609) // 65536)
    assert sorted(cipher.nonces) == [
        chunk_nonce(index, is_final=index == chunk_count - 1) for index in range(chunk_count)
    ]
    assert cipher.nonces[-1] == chunk_nonce(0, is_final=False)


@pytest.mark.parametrize("deferred", [b"", bytes(4095), bytes(4097)])
def test_the_deferred_bytes_have_their_announced_length(deferred: bytes) -> None:
    encryptor = Encryptor(PASSWORD, deferred_byte_count=4096, work_factor=1)
    with pytest.raises(ValueError, match="deferred bytes came, not 4096"):
        encryptor.finish(deferred)


@pytest.mark.parametrize("deferred_byte_count", [-1, 65536])
def test_the_deferred_bytes_are_less_than_a_chunk(deferred_byte_count: int) -> None:
    with pytest.raises(ValueError, match="deferred_byte_count"):
        Encryptor(PASSWORD, deferred_byte_count=deferred_byte_count, work_factor=1)


@pytest.mark.parametrize("work_factor", [0, 21])
def test_no_work_factor_is_written_that_is_not_read(work_factor: int) -> None:
    with pytest.raises(ValueError, match="work_factor"):
        Encryptor(PASSWORD, deferred_byte_count=0, work_factor=work_factor)


def test_two_encryptors_share_no_key() -> None:
    heads = [Encryptor(PASSWORD, deferred_byte_count=0, work_factor=1).finish(b"").head for _ in range(2)]
    salts, bodies, nonces = zip(
        *((head.split()[3], head.split(b"\n")[2], head[-32:-16]) for head in heads), strict=True
    )
    assert salts[0] != salts[1]
    assert bodies[0] != bodies[1]
    assert nonces[0] != nonces[1]
