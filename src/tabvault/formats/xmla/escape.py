"""
Text as XML carries it, in content and in attributes.

XML 1.0 has no way to write U+0000 to U+001F (but tab, line feed and carriage return), U+FFFE, U+FFFF or a lone
surrogate, not even as a character reference: the .NET clients refuse the whole answer over one ([XML] 2.2, tried with
ADOMD.NET). Values of a rowset are therefore refused (:mod:`.rowset_text`); in the text of a message, where the rest
still helps, such a character becomes U+FFFD.
"""

from __future__ import annotations

import re

FORBIDDEN = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")
"""Characters that XML 1.0 has no way to write."""

_ATTRIBUTE_REFERENCES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
)


def attribute(text: str) -> str:
    """*text* between double quotes; white space as references, because a reader would turn it into blanks."""
    return f'"{FORBIDDEN.sub(chr(0xFFFD), text).translate(_ATTRIBUTE_REFERENCES)}"'


def content(text: str) -> str:
    """*text* between tags; a carriage return as a reference, because a reader would turn it into a line feed."""
    plain = FORBIDDEN.sub(chr(0xFFFD), text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
