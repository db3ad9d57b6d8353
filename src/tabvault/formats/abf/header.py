"""
Page 0 of a backup: the signature and the header.

====== ======= ==================================================================================
offset bytes   field
====== ======= ==================================================================================
0      2       ``FF FE``
2      70      ``STREAM_STORAGE_SIGNATURE_)!@#$%^&*(`` in UTF-16LE
72     n       header XML in UTF-16LE, no byte order mark
72+n   4024-n  zeros
====== ======= ==================================================================================

The header is a ``BackupLog`` element with twelve children. ``m_cbOffsetHeader`` and ``DataSize`` say where the virtual
directory lies, ``Files`` how many entries it has, ``ErrorCode`` whether every stored file is followed by its CRC,
``ApplyCompression`` whether bodies are Xpress8 chunks. Source: [MS-XLDM] 2.1.1.3 for the elements; order and absence of
white space read off genuine files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tabvault.errors import FormatError, ServerEncryptedError
from tabvault.formats import safe_xml

PAGE_BYTE_COUNT: Final = 4096
"""Everything that is aligned in a backup is aligned to this."""

SIGNATURE: Final = b"\xff\xfe" + "STREAM_STORAGE_SIGNATURE_)!@#$%^&*(".encode("utf-16-le")

_FILE: Final = "header page"

_ELEMENTS: Final = (
    "BackupRestoreSyncVersion",
    "Fault",
    "faultcode",
    "ErrorCode",
    "EncryptionFlag",
    "EncryptionKey",
    "ApplyCompression",
    "m_cbOffsetHeader",
    "DataSize",
    "Files",
    "ObjectID",
    "m_cbOffsetData",
)


@dataclass(frozen=True, slots=True)
class Header:
    """
    The header's twelve values, in the order in which they stand.

    ``sync_version`` 140 (Excel: 150), ``fault_code`` 43981 or 0, ``encryption_key`` 6 or 0: seen in genuine files and
    ignored by readers. ``directory_offset`` is in bytes from the start of the backup, ``directory_byte_count`` counts
    neither CRC nor padding.
    """

    sync_version: str
    fault: bool
    fault_code: str
    error_code: bool
    encryption_flag: bool
    encryption_key: str
    apply_compression: bool
    directory_offset: int
    directory_byte_count: int
    file_count: int
    object_id: str
    data_offset: int


def parse(page: bytes | memoryview) -> Header:
    """
    Read page 0.

    Args:
        page: the first 4096 bytes of a backup.

    Raises:
        FormatError: no signature, another set of elements, or a value that is not of its kind.
        ServerEncryptedError: the backup is password-protected by a Microsoft server.
    """
    page = bytes(page)
    if not page.startswith(SIGNATURE):
        raise FormatError("the stream storage signature is missing", file=_FILE, offset=0)
    if len(page) != PAGE_BYTE_COUNT:
        raise FormatError(f"header page has {len(page)} bytes, not {PAGE_BYTE_COUNT}", file=_FILE)
    # A second byte order mark after the signature is written by other tools; no engine writes it and readers accept it.
    start = len(SIGNATURE) + (2 if page.startswith(safe_xml.BOM_UTF16, len(SIGNATURE)) else 0)
    text = safe_xml.text_of(page[start:], file=_FILE)
    xml, _padding, rest = text.partition("\0")
    if rest.strip("\0"):
        raise FormatError("something other than zeros follows the header", file=_FILE)
    root = safe_xml.parse(xml, file=_FILE)
    values = {name: safe_xml.leaf_text(child, file=_FILE) for name, child in safe_xml.children(root, file=_FILE)}
    if root.tag != "BackupLog" or tuple(values) != _ELEMENTS or len(root) != len(_ELEMENTS):
        raise FormatError(f"header elements are {root.tag}: {', '.join(values)}", file=_FILE)

    def number(name: str) -> int:
        return safe_xml.integer(values[name], what=name, file=_FILE)

    def flag(name: str) -> bool:
        return safe_xml.boolean(values[name], what=name, file=_FILE)

    header = Header(
        sync_version=values["BackupRestoreSyncVersion"],
        fault=flag("Fault"),
        fault_code=values["faultcode"],
        error_code=flag("ErrorCode"),
        encryption_flag=flag("EncryptionFlag"),
        encryption_key=values["EncryptionKey"],
        apply_compression=flag("ApplyCompression"),
        directory_offset=number("m_cbOffsetHeader"),
        directory_byte_count=number("DataSize"),
        file_count=number("Files"),
        object_id=values["ObjectID"],
        data_offset=number("m_cbOffsetData"),
    )
    if header.encryption_flag:
        raise ServerEncryptedError(
            "the backup is encrypted with a password by a Microsoft server, and that cipher is not public",
            file=_FILE,
            hint="restore it there and back it up again without a password; then encrypt with tabvault",
        )
    if header.data_offset != PAGE_BYTE_COUNT or header.directory_offset % PAGE_BYTE_COUNT:
        raise FormatError(
            f"data offset {header.data_offset} and directory offset {header.directory_offset} are not page-aligned",
            file=_FILE,
        )
    return header


def emit(header: Header) -> bytes:
    """Page 0 of *header*: 4096 bytes."""

    def flag(value: bool) -> str:  # noqa: FBT001 - a formatter of one value
        return "true" if value else "false"

    texts: tuple[str | int, ...] = (
        header.sync_version,
        flag(header.fault),
        header.fault_code,
        flag(header.error_code),
        flag(header.encryption_flag),
        header.encryption_key,
        flag(header.apply_compression),
        header.directory_offset,
        header.directory_byte_count,
        header.file_count,
        header.object_id,
        header.data_offset,
    )
    xml = "".join(safe_xml.leaf(name, value) for name, value in zip(_ELEMENTS, texts, strict=True))
    page = SIGNATURE + f"<BackupLog>{xml}</BackupLog>".encode("utf-16-le")
    assert len(page) <= PAGE_BYTE_COUNT, "the header outgrew its page"
    return page.ljust(PAGE_BYTE_COUNT, b"\0")
