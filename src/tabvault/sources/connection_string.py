"""
Connection strings: ``key=value`` pairs that OLE DB, ADO.NET and ODBC write alike.

=================  ====================================================================================================
part               rule
=================  ====================================================================================================
pair               ``key=value``, ended by ``;`` or the end of the text; empty pairs are passed over
key                blanks around it do not count, nor does the case of its letters; ``==`` stands for an equals sign
value              bare, up to the next ``;``; or in ``"…"`` or ``'…'`` with the quote doubled inside; or in ``{…}``
                   (ODBC) with ``}`` doubled inside; blanks around it do not count
a key twice        refused: OLE DB would take the last one, ODBC the first
=================  ====================================================================================================

Sources: the connection string syntax of OLE DB ("Data Link API reference") and of ``SQLDriverConnect``.
"""

from __future__ import annotations

import re
from typing import Final

from tabvault.errors import SourceError

_CHARACTER_COUNT_MAX: Final = 1 << 16
_KEY: Final = re.compile(r"[^\W\d_][\w .=-]{0,63}")
_PAIR: Final = re.compile(
    r"""\s*+(?P<key>(?:[^=;]|==)*+)
        (?:=(?!=)\s*+
           (?P<value>"(?:[^"]|"")*+" | '(?:[^']|'')*+' | \{(?:[^}]|\}\})*+\} | [^;"'{][^;]*+ | ))?
        \s*+(?:;|$)""",
    re.VERBOSE,
)
"""Never goes back over what it took: a hostile text takes no longer than its length."""


def connection_pairs(text: str) -> dict[str, str]:
    """
    The pairs of *text*: keys as they are written, in their order, values without their quotes.

    Raises:
        SourceError: it is no list of pairs, or has a key twice. Nothing of its values is in the message.
    """
    if len(text) > _CHARACTER_COUNT_MAX:
        raise SourceError(f"a connection string of {len(text)} characters is longer than {_CHARACTER_COUNT_MAX}")
    pairs: dict[str, str] = {}
    seen: set[str] = set()
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            raise _unreadable(place)
        key = pair["key"].strip()
        if pair["value"] is not None and _KEY.fullmatch(key):
            key = key.replace("==", "=")
            if key.lower() in seen:
                raise SourceError(f"the connection string has the key {key!r} twice")
            seen.add(key.lower())
            pairs[key] = _meaning(pair["value"].strip())
        elif pair["value"] is not None or key:
            raise _unreadable(place)
        place = pair.end()
    return pairs


def odbc_text(pairs: dict[str, str]) -> str:
    """
    *pairs* as an ODBC connection string.

    Raises:
        SourceError: a key that no connection string could have.
    """
    for key in pairs:
        if not _KEY.fullmatch(key) or "=" in key:
            raise SourceError(f"{key!r} is no key of an ODBC connection string")
    return "".join(f"{key}={_braced(value)};" for key, value in pairs.items())


def _unreadable(place: int) -> SourceError:
    return SourceError(
        f"the connection string is no list of key=value pairs from character {place + 1} on",
        hint="one that an engine of Microsoft encrypted cannot be read: write the connection string anew",
    )


def _meaning(value: str) -> str:
    quote, end = value[:1], {'"': '"', "'": "'", "{": "}"}.get(value[:1])
    if end is None or len(value) < 2:
        return value
    inner = value[1:-1]
    return inner.replace(end * 2, end) if quote != "{" else inner.replace("}}", "}")


def _braced(value: str) -> str:
    if re.fullmatch(r"[\w.:@/\\,+-]*", value):
        return value
    doubled = value.replace("}", "}}")
    return "{" + doubled + "}"
