"""
What an answer over HTTP says, or that there was none, whichever service it should have come from.

Whoever stands between (a proxy) may answer with anything, so nothing of an answer is repeated before it has been
looked at.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What a service may answer otherwise in a moment."""

_CODE_CHARACTER_COUNT_MAX: Final = 80
_DIGIT_COUNT_MAX: Final = 5


def code_of(text: str) -> str:
    """*text* as a service's error code; empty when it is none."""
    return text if text.isalnum() and text.isascii() and len(text) <= _CODE_CHARACTER_COUNT_MAX else ""


def retry_after_s(text: str | None) -> float | None:
    """What ``Retry-After`` says, if it is a number of seconds below 100,000."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= _DIGIT_COUNT_MAX
    return float(text) if text is not None and is_number else None


def is_untrusted(error: BaseException) -> bool:
    """Whether *error* of a client library came from a certificate that this machine does not trust."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def untrusted_hint(variable: str) -> str:
    """
    The hint for such a certificate.

    Args:
        variable: of the environment, which the client library looks at. It does not look into the system's store.
    """
    return f"set {variable} to a file (PEM) with the certificate of the authority that signed it, and start again"


def later(url: str) -> str:
    """The hint when the service at *url* could not be asked."""
    return f"check the network and the state of {url}, then try again"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it came from; the libraries below keep that in their arguments and attributes as well."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            kept = [getattr(cause, name, None) for name in ("reason", "inner_exception")]
            waiting += [cause.__cause__, cause.__context__, *cause.args, *kept]
