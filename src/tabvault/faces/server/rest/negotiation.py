"""Which form of an answer the client wants: the Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.faces.server.rest.problems import HttpError

if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen_media_type(accept: str | None, offered: Sequence[str]) -> str:
    """
    The offered media type that the client likes best; of those it likes as much, the first offered.

    Raises:
        HttpError: 406, it takes none of them.
    """
    ranges = [_parsed(item) for item in (accept or "").split(",") if item.strip()] or [("*/*", 1.0)]
    liking = {media_type: _quality(media_type, ranges) for media_type in offered}
    best = max(offered, key=liking.__getitem__)
    if liking[best] <= 0:
        raise HttpError(406, f"the client accepts {(accept or '')[:200]!r}", hint=f"accept {', '.join(offered)}")
    return best


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the most specific range that holds *media_type* says."""
    main = media_type.partition("/")[0]
    for wanted in (media_type, f"{main}/*", "*/*"):
        found = [quality for name, quality in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0


def _parsed(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return name, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return name, 0.0
