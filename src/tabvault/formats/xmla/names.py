"""
Column names as XML names, and back.

A rowset's column name may be any text (``Sales[Amount]``), an element's name may not. What an element's name cannot
have is written ``_xHHHH_`` (``_xHHHHHHHH_`` above the 16-bit characters), in hexadecimal, as [ISO 9075-14] 4.10.3 has
it and .NET's ``XmlConvert.EncodeLocalName`` does. An underscore that would read as the beginning of such an escape is
escaped itself, so the encoding is reversible.

Letters that stay as they are: ASCII and the scripts below. They are letters in the fourth edition of XML 1.0 too, by
which .NET checks names; the fifth edition allows far more, and a client would refuse the whole answer over one of
them. An escape is never wrong: the true name stands in ``sql:field``.
"""

from __future__ import annotations

import re

_LETTERS = (
    "A-Za-z"
    "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131"  # Latin
    "\u03a3-\u03ce"  # Greek
    "\u0410-\u044f"  # Cyrillic
    "\u05d0-\u05ea"  # Hebrew
    "\u0641-\u064a"  # Arabic
    "\u3041-\u3094\u30a1-\u30fa"  # Hiragana, Katakana
    "\u4e00-\u9fa5"  # Han
    "\uac00-\ud7a3"  # Hangul
)
_ESCAPE_LIKE = "_(?=x[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{4})?_)"
_TO_ESCAPE = re.compile(rf"{_ESCAPE_LIKE}|^[0-9.\-]|[^{_LETTERS}0-9_.\-]")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})_")
_CODE_POINT_MAX = 0x10FFFF


def encode_name(name: str) -> str:
    """*name* as an XML name: ``Sales[Amount]`` gives ``Sales_x005B_Amount_x005D_``. An empty name is an empty text."""
    return _TO_ESCAPE.sub(_escape, name)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"_x{code:04X}_" if code <= 0xFFFF else f"_x{code:08X}_"


def decode_name(name: str) -> str:
    """What :func:`encode_name` was given; an escape of what is no character stays as it is."""
    return _ESCAPED.sub(_character, name) if "_x" in name else name


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    is_character = code <= _CODE_POINT_MAX and not 0xD800 <= code <= 0xDFFF
    return chr(code) if is_character else match[0]
