"""
Secrets of data sources: masked where they are shown, kept where the masked text comes back.

=====================  ================================================================================================
a cell of              is masked
=====================  ================================================================================================
a password             whole
a connection string    the values of keys that name a secret, also inside of ``Extended Properties`` and in the query
                       of a URL; whole where it is no list of ``key=value``, as what an engine encrypted is not
a JSON text            the values of names that name a secret, at any depth; whole where it is not JSON
=====================  ================================================================================================

A server of Microsoft does likewise: it hands out a connection string without its password. Clients write back what they
read. So a text that is the stored one masked means the stored one, and in a changed text each mask means the secret
that is stored under the same key. In an object that is there a mask that means nothing is refused: stored as a password
it would replace the real one, and nobody would notice before the next refresh. In a new object it says that there is
none.

Source: the grammar of OLE DB connection strings (``key=value;``, quotes, ``==`` for an equals sign in a key). Encrypted
ones were read off genuine files: base 64 in lines, 288 characters and more.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from tabvault.errors import RequestError

MASK: Final = "********"

_SECRET_KEY: Final = re.compile(
    r"passw|pwd|secret|token|credential|signature|passphrase|authoriz|bearer"
    r"|(account|access|api|private|shared|storage)[ _]?key|key$|^sig$",
    re.IGNORECASE,
)
"""Keys whose value is a secret, in connection strings and in JSON. ``KeyColumn`` is none."""

_NOT_SECRET_KEY: Final = re.compile(r"persist security info", re.IGNORECASE)
_NESTED_KEY: Final = re.compile(r"extended properties", re.IGNORECASE)
_URL_SECRET: Final = re.compile(
    r"(?<=[?&])(?P<key>sig|code|token|key|password|pwd|secret)=(?P<value>[^&\s]+)", re.IGNORECASE
)
_URL_USER: Final = re.compile(r"(?<=://)(?P<key>[^/:@\s]+):(?P<value>[^/@\s]+)(?=@)")
_KEY: Final = re.compile(r"[^\W\d_][\w .=-]{0,63}")
"""Keys of connection strings, stripped. Base 64 is longer, and has other signs."""

_PAIR: Final = re.compile(
    r"""\s*+(?P<key>(?:[^=;]|==)*+)          # a key
        (?:=(?!=)\s*+
           (?P<value>"(?:[^"]|"")*+" | '(?:[^']|'')*+' | \{(?:[^}]|\}\})*+\} | [^;"'{][^;]*+ | ))?   # quoted or bare
        \s*+(?P<end>;|$)""",
    re.VERBOSE,
)
"""Never goes back over what it took, so a hostile text of any length takes no longer than its length."""

_Path: TypeAlias = tuple[str, ...]
_Visit: TypeAlias = Callable[[_Path, Any], Any]
"""Told where a secret stands, keys in lower case, and its value as it stands there; gives what takes its place."""

_Rewrite: TypeAlias = Callable[[str, _Visit], str | None]
"""Gives a text with its secrets replaced; None where it cannot be taken apart."""


def masked_connection_string(text: str) -> str:
    """*text* with every secret in it replaced."""
    return _masked(text, _connection_string)


def masked(type_name: str, column: str, text: str) -> str:
    """A cell of the metadata as it may be shown: *text* itself where the column holds no secrets. Empty stays empty."""
    rewrite = SECRET_COLUMNS.get((type_name, column))
    return text if rewrite is None or not text else _masked(text, rewrite)


def kept(type_name: str, column: str, given: str, *, stored: str | None, place: str | None = None) -> str:
    """
    What a client means by a cell that it writes.

    Args:
        type_name: type of the object.
        column: of the metadata.
        given: what the client writes; it may hold masks.
        stored: what is stored now; None for a new object.
        place: where the request says so, for errors.

    Returns:
        *stored* where *given* is that, masked; else *given*, the stored secrets in the place of masks. A new object has
        no secret yet: its masks stay, and a credential has to be set for it.

    Raises:
        RequestError: no secret is stored that a mask could mean; the key is in the message.
    """
    rewrite = SECRET_COLUMNS.get((type_name, column))
    if rewrite is None or MASK not in given or stored is None:
        return given
    if stored and (given == stored or _is_mask_of(given, stored, rewrite)):
        return stored
    secrets: dict[_Path, list[Any]] = defaultdict(list)

    def remembered(path: _Path, value: Any) -> str:
        secrets[path].append(value)
        return MASK

    def unmasked(path: _Path, value: Any) -> Any:
        if not _is_mask(value):
            return value
        if not secrets[path]:
            raise _meaningless(type_name, column, path, place)
        return secrets[path].pop(0)

    rewrite(stored or "", remembered)
    text = rewrite(given, unmasked)
    if text is None:
        raise _meaningless(type_name, column, (), place)
    return text


def _meaningless(type_name: str, column: str, path: _Path, place: str | None) -> RequestError:
    """*path* names keys alone, never a value."""
    keys = "".join(f", key {key!r}" for key in path)
    return RequestError(
        f"{type_name}.{column}{keys}: {MASK} stands for a secret, and none is stored that it could mean",
        path=place,
        hint="write the secret itself, or leave the property as it is",
    )


def _masked(text: str, rewrite: _Rewrite) -> str:
    shown = rewrite(text, lambda _path, _value: MASK)
    return MASK if shown is None else shown


def _is_mask_of(given: str, stored: str, rewrite: _Rewrite) -> bool:
    shown = _masked(stored, rewrite)
    if given == shown or rewrite is not _json:
        return given == shown
    try:  # clients write JSON with blanks and lines of their own
        return bool(json.loads(given) == json.loads(shown))
    except (ValueError, RecursionError):
        return False


def _password(text: str, visit: _Visit) -> str | None:
    return str(visit((), text)) if text else text


def _connection_string(text: str, visit: _Visit, above: _Path = ()) -> str | None:
    parts: list[str] = []
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None or not _is_plain(pair, is_nested=bool(above)):
            return None
        parts.append(_pair(pair, text, visit, above))
        place = pair.end()
    return "".join(parts)


def _is_plain(pair: re.Match[str], *, is_nested: bool) -> bool:
    """Whether it is a key and a value, or nothing. In a nested list a format stands alone: ``Excel 12.0;HDR=YES``."""
    key = pair["key"].strip()
    if pair["value"] is None and (not key or not is_nested):
        return not key
    return _KEY.fullmatch(key) is not None


def _pair(pair: re.Match[str], text: str, visit: _Visit, above: _Path) -> str:
    key, value = pair["key"].strip().lower(), pair["value"]
    if not value:
        return pair[0]
    path = (*above, key)
    is_secret = _SECRET_KEY.search(key) is not None and _NOT_SECRET_KEY.search(key) is None
    if is_secret or _is_mask(value):
        shown = str(visit(path, value))
    elif _NESTED_KEY.search(key):
        inner = None if above else _nested(value, visit, path)
        shown = str(visit(path, value)) if inner is None else inner
    else:
        shown = _urls(value, visit, path)
    return text[pair.start() : pair.start("value")] + shown + text[pair.end("value") : pair.end()]


def _nested(value: str, visit: _Visit, path: _Path) -> str | None:
    inner = _connection_string(_unquoted(value), visit, path)
    quote = value[0] if value[0] in "\"'" else ""
    if inner is None or (not quote and inner == value):
        return inner
    if not quote and re.search("[;\"'{]", inner):
        quote = '"'  # a stored secret that needs it came in
    return quote + inner.replace(quote, quote * 2) + quote if quote else inner


def _unquoted(value: str) -> str:
    """The text that a value of a connection string means."""
    if len(value) < 2 or value[0] not in "\"'" or value[-1] != value[0]:
        return value
    return value[1:-1].replace(value[0] * 2, value[0])


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and _unquoted(value).strip() == MASK


def _urls(text: str, visit: _Visit, path: _Path) -> str:
    """*text* with the secrets replaced that a URL in it holds."""

    def replaced(found: re.Match[str]) -> str:
        start, end = found.span("value")
        shown = str(visit((*path, found["key"].lower()), found["value"]))
        return found.string[found.start() : start] + shown + found.string[end : found.end()]

    return _URL_USER.sub(replaced, _URL_SECRET.sub(replaced, text))


def _json(text: str, visit: _Visit) -> str | None:
    try:
        value = json.loads(text, object_pairs_hook=_members)
        rewritten = _json_value(value, visit, ())
        return text if rewritten == value else json.dumps(rewritten)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError: of two members of one name only the second would be looked at."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _json_value(value: Any, visit: _Visit, path: _Path) -> Any:
    if isinstance(value, dict):
        return {
            name: visit((*path, name.lower()), item)
            if _is_secret(name, item)
            else _json_value(item, visit, (*path, name.lower()))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_json_value(item, visit, (*path, str(index))) for index, item in enumerate(value)]
    if isinstance(value, str):
        return visit(path, value) if value == MASK else _urls(value, visit, path)
    return value


def _is_secret(name: str, item: Any) -> bool:
    return bool(_SECRET_KEY.search(name)) and item not in (None, "") and not isinstance(item, dict)


SECRET_COLUMNS: Final[Mapping[tuple[str, str], _Rewrite]] = MappingProxyType(
    {
        ("DataSource", "ConnectionString"): _connection_string,
        ("DataSource", "ConnectionDetails"): _json,
        ("DataSource", "Options"): _json,
        ("DataSource", "Credential"): _json,
        ("DataSource", "Password"): _password,
    }
)
"""Cells that may hold secrets, by type of object and column."""
