"""A container in Desktop's profile, byte by byte."""

from __future__ import annotations

import pytest

from tabvault.formats.abf.desktop_writer import StoredBody, desktop_container

NOW = 134_242_820_827_399_136
UUID = "E9B1D0E5-195F-11F0-8B7F-94C8206FEE8E"


def entry(path: str, byte_count: int, offset: int) -> str:
    return (
        f"<BackupFile><Path>{path}</Path><Size>{byte_count}</Size><m_cbOffsetHeader>{offset}</m_cbOffsetHeader>"
        f"<Delete>false</Delete><CreatedTimestamp>{NOW}</CreatedTimestamp><Access>{NOW}</Access>"
        f"<LastWriteTime>{NOW}</LastWriteTime></BackupFile>"
    )


@pytest.mark.parametrize("byte_count", [0, 1, 4096 - 28 - 3, 5000])
def test_the_container_is_what_desktop_would_write(byte_count: int) -> None:
    partitions = b"\xff\xfe" + "<Partitions/>".encode("utf-16-le")
    body = bytes(range(1, 251)) * 20
    stored = [
        StoredBody("PARTITIONS", 28, [partitions, b""]),
        StoredBody("0123456789ABCDEF0123", byte_count, [body[: byte_count // 2], body[byte_count // 2 : byte_count]]),
        StoredBody("LOG", 3, [b"log"]),
    ]
    log_offset = 4096 + 28 + byte_count
    directory_offset = -(-(log_offset + 3) // 4096) * 4096
    directory = (
        "<VirtualDirectory>"
        + entry("PARTITIONS", 28, 4096)
        + entry("0123456789ABCDEF0123", byte_count, 4124)
        + entry("LOG", 3, log_offset)
        + "</VirtualDirectory>"
    ).encode()
    page = (
        "\ufeffSTREAM_STORAGE_SIGNATURE_)!@#$%^&*(<BackupLog><BackupRestoreSyncVersion>140</BackupRestoreSyncVersion>"
        "<Fault>false</Fault><faultcode>0</faultcode><ErrorCode>false</ErrorCode>"
        "<EncryptionFlag>false</EncryptionFlag><EncryptionKey>0</EncryptionKey>"
        f"<ApplyCompression>false</ApplyCompression><m_cbOffsetHeader>{directory_offset}</m_cbOffsetHeader>"
        f"<DataSize>{len(directory)}</DataSize><Files>3</Files><ObjectID>{UUID}</ObjectID>"
        "<m_cbOffsetData>4096</m_cbOffsetData></BackupLog>"
    ).encode("utf-16-le")
    expected = page.ljust(4096, b"\0") + partitions + body[:byte_count] + b"log"
    expected = expected.ljust(directory_offset, b"\0") + directory
    expected += bytes(-len(expected) % 4096)
    assert b"".join(desktop_container(stored, object_id=UUID, now=NOW)) == expected


def test_a_body_of_another_length_than_announced_is_our_mistake() -> None:
    stored = [StoredBody("LOG", 3, [b"lo"])]
    with pytest.raises(AssertionError, match="LOG has 2 bytes, 3 announced"):
        list(desktop_container(stored, object_id=UUID, now=NOW))


def test_a_body_is_read_when_its_turn_comes() -> None:
    read = []

    def body():
        read.append("body")
        yield b"x"

    container = desktop_container([StoredBody("A", 1, body()), StoredBody("LOG", 1, [b"y"])], object_id=UUID, now=NOW)
    assert len(next(container)) == 4096
    assert read == []
    assert bytes(next(container)) == b"x"
