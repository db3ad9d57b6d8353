"""
The header of an age file: text lines that carry the wrapped file key, and a MAC over them.

::

    age-encryption.org/v1                      version line
    -> scrypt <salt> <work factor>             recipient stanza: 16 bytes, and log2 of scrypt's N
    <wrapped file key>                         its body: 32 bytes
    --- <MAC>                                  32 bytes, over everything from the first byte to the third dash

Lines end with LF. Bytes are written in base64 without padding, and in one way only: unused trailing bits are zero. The
work factor is decimal digits without a leading zero. A scrypt stanza is the only stanza of its file: whoever can open a
file with the password may rely on its having been made with the password.

Source: age-encryption.org/v1, "Header" and "The scrypt recipient type".
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import FormatError, LimitError, TruncatedError, UnsupportedFeatureError
from tabvault.formats.age.keys import MAC_BYTE_COUNT, SALT_BYTE_COUNT, WORK_FACTOR_MAX, WRAPPED_FILE_KEY_BYTE_COUNT

if TYPE_CHECKING:
    from tabvault.formats.byte_source import ByteSource

MAGIC = b"age-encryption.org/v1\n"
"""The version line: the first bytes of every binary age v1 file."""

HEADER_BYTE_COUNT_MAX = 4096
"""
What is read in search of the header's end. A passphrase header has 150 bytes at most; the rest is room for the long
stanzas of other recipient types (post-quantum ones take 1 600 bytes), so that they are named and not called too long.
"""

_STANZA = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)")
_WORK_FACTOR = re.compile(rb"[1-9][0-9]*")
_SHOWN_BYTE_COUNT = 60  # of a damaged line in an error message


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """
    The parsed header. Nothing in it is secret, and nothing is to be trusted before its MAC was checked.

    Attributes:
        salt: 16 bytes for scrypt.
        work_factor: log2 of scrypt's N, ``1..WORK_FACTOR_MAX``.
        wrapped_file_key: 32 bytes, the file key encrypted under the wrap key.
        authenticated: the bytes under the MAC, up to the three dashes.
        mac: 32 bytes.
        byte_count: length of the whole header; the payload begins there.
    """

    salt: bytes
    work_factor: int
    wrapped_file_key: bytes
    authenticated: bytes
    mac: bytes
    byte_count: int


def is_age(head: bytes | memoryview) -> bool:
    """Whether a file that begins with *head* (at least ``len(MAGIC)`` bytes of it) is a binary age v1 file."""
    return bytes(head[: len(MAGIC)]) == MAGIC


def authenticated_part(*, salt: bytes, work_factor: int, wrapped_file_key: bytes) -> bytes:
    """The header up to its three dashes: what the MAC is computed over."""
    return b"%b-> scrypt %b %d\n%b\n---" % (MAGIC, _base64(salt), work_factor, _base64(wrapped_file_key))


def with_mac(authenticated: bytes, mac: bytes) -> bytes:
    """The whole header: *authenticated* closed with its MAC."""
    return b"%b %b\n" % (authenticated, _base64(mac))


def read_header(source: ByteSource) -> Header:
    """
    Parse the header at the start of *source*. No key is needed, and nothing expensive is done.

    Raises:
        TruncatedError: the source ends inside the header.
        LimitError: the header or the work factor is over its limit.
        UnsupportedFeatureError: the file is encrypted for another type of recipient than a passphrase.
        FormatError: a line is not what the format demands.
    """
    data = bytes(source.read_at(0, min(source.byte_count, HEADER_BYTE_COUNT_MAX)))
    lines = _Lines(data, is_whole=len(data) == source.byte_count)
    version = lines.take("version line")
    if version + b"\n" != MAGIC:
        raise FormatError(f"version line is {_shown(version)}, not {_shown(MAGIC[:-1])}", offset=0)
    salt, work_factor = _scrypt_arguments(lines.take("recipient stanza"), offset=lines.start)
    wrapped_file_key = _decoded(
        lines.take("stanza body"), byte_count=WRAPPED_FILE_KEY_BYTE_COUNT, what="wrapped file key", offset=lines.start
    )
    final = lines.take("MAC line")
    if final.startswith(b"-> "):
        raise FormatError("a second recipient stanza stands beside the scrypt stanza", offset=lines.start)
    if not final.startswith(b"--- "):
        raise FormatError(f"MAC line begins {_shown(final[:4])}, not '--- '", offset=lines.start)
    return Header(
        salt=salt,
        work_factor=work_factor,
        wrapped_file_key=wrapped_file_key,
        authenticated=data[: lines.start + 3],
        mac=_decoded(final[4:], byte_count=MAC_BYTE_COUNT, what="header MAC", offset=lines.start + 4),
        byte_count=lines.end,
    )


class _Lines:
    """Takes LF-ended lines off *data*; ``start`` and ``end`` are the offsets of the line taken last."""

    def __init__(self, data: bytes, *, is_whole: bool) -> None:
        self._data = data
        self._is_whole = is_whole
        self.start = 0
        self.end = 0

    def take(self, what: str) -> bytes:
        """The next line without its LF."""
        self.start = self.end
        line_feed = self._data.find(b"\n", self.start)
        if line_feed >= 0:
            self.end = line_feed + 1
            return self._data[self.start : line_feed]
        if self._is_whole:
            raise TruncatedError(f"{what} does not end: the file has {len(self._data)} bytes", offset=self.start)
        raise LimitError(f"header is over {HEADER_BYTE_COUNT_MAX} bytes long: {what} does not end", offset=self.start)


def _scrypt_arguments(line: bytes, *, offset: int) -> tuple[bytes, int]:
    """Salt and work factor of the stanza's first line."""
    stanza = _STANZA.fullmatch(line)
    if stanza is None:
        raise FormatError(f"recipient stanza is {_shown(line)}, not '-> ' and words one space apart", offset=offset)
    arguments = stanza[1].split(b" ")
    recipient_type = arguments[0]
    if recipient_type != b"scrypt":
        raise UnsupportedFeatureError(
            f"recipient type is {_shown(recipient_type)}, not 'scrypt'",
            offset=offset,
            hint="the file is encrypted for a key, not with a password: decrypt it with the age tool first",
        )
    if len(arguments) != 3:
        raise FormatError(
            f"scrypt stanza has {len(arguments)} arguments, not 3 (type, salt, work factor)", offset=offset
        )
    _, salt, work_factor = arguments
    return (
        _decoded(salt, byte_count=SALT_BYTE_COUNT, what="scrypt salt", offset=offset),
        _decoded_work_factor(work_factor, offset=offset),
    )


def _decoded_work_factor(text: bytes, *, offset: int) -> int:
    if _WORK_FACTOR.fullmatch(text) is None:
        raise FormatError(f"work factor is {_shown(text)}, not decimal digits without a leading zero", offset=offset)
    if len(text) > 2 or int(text) > WORK_FACTOR_MAX:
        raise LimitError(
            f"work factor is {_shown(text)}, over the limit of {WORK_FACTOR_MAX}",
            offset=offset,
            hint="each step doubles the memory and time of opening the file; "
            "where they can be spared, decrypt it with the age tool first",
        )
    return int(text)


def _decoded(text: bytes, *, byte_count: int, what: str, offset: int) -> bytes:
    """The bytes behind canonical base64 without padding, exactly *byte_count* of them."""
    try:
        value = b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        value = b""
    # The decoder steps over foreign characters and stray bits; what does not come back as it was is not canonical.
    if not value or _base64(value) != text:
        raise FormatError(f"{what} is {_shown(text)}, not canonical base64 without padding", offset=offset)
    if len(value) != byte_count:
        raise FormatError(f"{what} has {len(value)} bytes, not {byte_count}", offset=offset)
    return value


def _base64(value: bytes) -> bytes:
    return b64encode(value).rstrip(b"=")


def _shown(line: bytes) -> str:
    """Bytes of the file as they may stand in a message: short, and nothing a terminal would obey."""
    return ascii(line[:_SHOWN_BYTE_COUNT].decode("latin-1"))
