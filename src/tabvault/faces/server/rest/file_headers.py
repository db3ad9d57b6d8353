"""
What the headers of a request say about a file of the backup storage.

======================  ===========================================================================================
``If-None-Match: *``    no file is to be replaced
``If-Match``            only the file with this ETag is to be replaced or removed; ``*`` is any
``Repr-Digest``         ``sha-256=:…:`` (RFC 9530), of the whole file
``Content-Encoding``    a file is kept as it comes, so it may not be coded (RFC 9110, 8.4)
``Content-Range``       a part of a file, which PUT does not take (RFC 9110, 14.5)
======================  ===========================================================================================
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from tabvault.errors import RequestError
from tabvault.faces.server.rest.problems import HttpError

if TYPE_CHECKING:
    from starlette.requests import Request

_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:$|,)")


def quoted_etag(etag: str) -> str:
    """An ETag as it stands in headers."""
    return f'"{quote(etag)}"'


def conditions(request: Request, *, overwrite: bool = True) -> tuple[bool, str | None]:
    """
    Whether a file may be replaced, and the ETag of the one that must be.

    Args:
        request: the request.
        overwrite: whether it may where no header says anything.

    Raises:
        RequestError: a condition that is none, or not understood.
    """
    if_none_match, if_match = request.headers.get("if-none-match"), matched(request)
    if if_none_match not in (None, "*"):
        raise RequestError("only * is understood here: replace no file", path="If-None-Match")
    if if_none_match is not None and if_match is not None:
        raise RequestError("it excludes If-None-Match", path="If-Match")
    if if_none_match is not None:
        return False, None
    return overwrite or if_match is not None, if_match


def matched(request: Request) -> str | None:
    """
    The ETag that the file must have; ``*`` for any.

    Raises:
        RequestError: it is none.
    """
    if_match = request.headers.get("if-match")
    if if_match is None or if_match == "*":
        return if_match
    if len(if_match) < 2 or not (if_match.startswith('"') and if_match.endswith('"')):
        raise RequestError("one ETag in double quotes is understood, or *", path="If-Match")
    return unquote(if_match[1:-1])


def digest(request: Request) -> bytes | None:
    """
    The SHA-256 of the whole, where the client tells it; other algorithms are not looked at.

    Raises:
        RequestError: it cannot be one.
    """
    text = request.headers.get("repr-digest")
    if text is None or "sha-256=" not in text:
        return None
    found = _DIGEST.search(text)
    if found is None:
        raise RequestError("its sha-256 is not 32 bytes in Base64 between colons", path="Repr-Digest")
    return base64.b64decode(found.group(1))


def check_not_coded(request: Request) -> None:
    """
    Refuse a body that is not the bytes of the file themselves.

    Raises:
        HttpError: 415.
    """
    coding = request.headers.get("content-encoding", "identity").strip()
    if coding.lower() not in ("", "identity"):
        raise HttpError(
            415,
            f"the content encoding is {coding[:40]!r}, and a file is kept as it comes",
            hint="send the bytes of the file, without Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )


def check_whole(request: Request) -> None:
    """
    Refuse a part of a file.

    Raises:
        RequestError: it says that it is one.
    """
    if "content-range" in request.headers:
        raise RequestError(
            "PUT takes a whole file, and no part of one",
            path="Content-Range",
            hint="POST /api/storage/{container}/{path} begins an upload in parts",
        )
