"""A container written out from the layout, by code that shares nothing with the product's writer."""

from __future__ import annotations

import struct


def crc32_bzip2(data: bytes) -> bytes:
    """Bit by bit, from the polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


ROOT = "\\\\?\\C:\\Data"
PERSIST = ROOT + "\\shop.3.db"


def log_text(files: list[tuple[str, str, bytes]], *, compression: bool = False) -> str:
    """*files*: (full path, storage key, raw body); the first two belong to the database, the rest to the model."""

    def entry(file: tuple[str, str, bytes]) -> str:
        path, key, raw = file
        return (
            f"<BackupFile><Path>{path}</Path><StoragePath>{key}</StoragePath>"
            f"<LastWriteTime>131345206574335008</LastWriteTime><Size>{len(raw)}</Size></BackupFile>"
        )

    def group(class_: int, members: list[tuple[str, str, bytes]]) -> str:
        return (
            f"<FileGroup><Class>{class_}</Class><ID>shop</ID><Name>shop</Name><ObjectVersion>3</ObjectVersion>"
            f"<PersistLocation>3</PersistLocation><PersistLocationPath>{PERSIST}</PersistLocationPath>"
            f"<StorageLocationPath/><ObjectID>267CD7FB-A869-4632-BFD6-3FE5508683EA</ObjectID>"
            f"<FileList>{''.join(map(entry, members))}</FileList></FileGroup>"
        )

    return (
        f"<BackupLog><BackupRestoreSyncVersion>13.53</BackupRestoreSyncVersion><ServerRoot>{ROOT}</ServerRoot>"
        f"<CompressionFlag>{'true' if compression else 'false'}</CompressionFlag><ObjectName>shop</ObjectName>"
        "<ObjectId>shop</ObjectId><Write>ReadWrite</Write><IsTabular>true</IsTabular><Collations/>"
        f"<Languages><Language>1033</Language></Languages>"
        f"<FileGroups>{group(100002, files[:2])}{group(100069, files[2:])}</FileGroups></BackupLog>"
    )


def container(
    files: list[tuple[str, str, bytes]],
    *,
    crc: bool = True,
    utf8_directory: bool = False,
    header_changes: dict[str, str] | None = None,
    log: str | None = None,
    directory_changes: tuple[str, str] = ("", ""),
) -> bytes:
    """
    Page 0, PARTITIONS, the files, LOG, directory.

    *header_changes* replace the text of header elements; *directory_changes* is a (from, to) replacement in its text.
    """
    stored = [("PARTITIONS", b"\xff\xfe" + utf16("<Partitions/>"))]
    stored += [(key, raw) for _, key, raw in files]
    stored.append(("LOG", b"\xff\xfe" + utf16(log_text(files) if log is None else log)))
    data = bytearray()
    directory = "<VirtualDirectory>"
    for path, body in stored:
        with_crc = body + crc32_bzip2(body) if crc else body
        directory += (
            f"<BackupFile><Path>{path}</Path><Size>{len(with_crc)}</Size>"
            f"<m_cbOffsetHeader>{4096 + len(data)}</m_cbOffsetHeader><Delete>false</Delete>"
            "<CreatedTimestamp>1</CreatedTimestamp><Access>2</Access><LastWriteTime>3</LastWriteTime></BackupFile>"
        )
        data += with_crc
    directory += "</VirtualDirectory>"
    if directory_changes[0]:
        assert directory_changes[0] in directory
        directory = directory.replace(directory_changes[0], directory_changes[1], 1)
    data += bytes(-len(data) % 4096)
    directory_bytes = directory.encode("utf-8") if utf8_directory else utf16(directory)
    elements = {
        "BackupRestoreSyncVersion": "140",
        "Fault": "false",
        "faultcode": "43981",
        "ErrorCode": "true" if crc else "false",
        "EncryptionFlag": "false",
        "EncryptionKey": "6",
        "ApplyCompression": "false",
        "m_cbOffsetHeader": str(4096 + len(data)),
        "DataSize": str(len(directory_bytes)),
        "Files": str(len(stored)),
        "ObjectID": "12EA0F65-3F77-11E7-9751-001E8C7DA6CC",
        "m_cbOffsetData": "4096",
    } | (header_changes or {})
    xml = "<BackupLog>" + "".join(f"<{name}>{text}</{name}>" for name, text in elements.items()) + "</BackupLog>"
    signature = b"\xff\xfe" + utf16("STREAM_STORAGE_SIGNATURE_)!@#$%^&*(")
    page = (signature + utf16(xml)).ljust(4096, b"\0")
    return page + bytes(data) + directory_bytes + bytes(-len(directory_bytes) % 4096)


FILES = [
    (ROOT + "\\shop.3.db.xml", "4639CA6F7BCB4EF3B8F1", b"<Load/>"),
    (PERSIST + "\\3.CryptKey.bin", "306FE6E7136C4E138982", bytes(144)),
    (
        PERSIST + "\\Sales (10).tbl\\11.prt\\0.Sales (10).Amount (12).0.idf",
        "DA74CC251AF48EB88820",
        bytes(range(256)) * 40,
    ),
    (PERSIST + "\\metadata.sqlitedb", "92A9369771C640029F5E", b"SQLite format 3\0"),
]
