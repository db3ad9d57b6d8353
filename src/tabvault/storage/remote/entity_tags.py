"""
Entity tags (RFC 9110, 8.8.3): services write them in quotation marks, and take them so in conditions; we keep what is
between.
"""

from __future__ import annotations


def quoted(etag: str) -> str:
    """A tag as a condition takes it."""
    return f'"{etag}"'


def unquoted(etag: str) -> str:
    """A tag of a service, as ``ObjectInfo.etag`` has it."""
    return etag.strip('"')
