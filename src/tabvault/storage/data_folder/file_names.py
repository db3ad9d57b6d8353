r"""
From the logical name of a file to the path it is stored under.

A logical name is a path with backslashes that some engine wrote into its backup log, such as
``Currency (10).tbl\167.prt\0.Currency (10).Name (12).0.idf``. Files are stored under that path, so that a person finds
them with a file manager in ten years. But names are hostile input, and may be good on one file system only. So:

1. Backslashes part folders. Unsafe characters of a component become ``%XX`` per byte of their UTF-8: those that some
   system gives a meaning (``% ~ / : * ? " < > |``); everything that does not print (control, formatting, unassigned
   characters); a dot or blank at the beginning or the end; the first letter of a device name of Windows (``CON``,
   ``LPT1.txt``). An empty component becomes ``%``.
2. A component over 255 bytes (the limit of nearly every file system) keeps its beginning and its extension around
   ``~`` and a digest.
3. What still cannot be stored there goes to the folder ``~``, as the last component with ``~`` and the digest of the
   whole name: a path that is too long or too deep, one that differs from another only in case or in Unicode form, and
   one that needs a folder where a file is.

``~`` is escaped everywhere else, so nothing a backup says can meet a name of ours. The mapping cannot be turned
round, and need not be: the manifest says which file lies where.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from tabvault.errors import FormatError, LimitError

LOGICAL_NAME_CHARACTER_COUNT_MAX: Final = 32_767
"""Longest path of Windows, where these names come from."""

COMPONENT_BYTE_COUNT_MAX: Final = 255
"""``NAME_MAX`` of ext4, XFS, Btrfs, ZFS, tmpfs; APFS and NTFS count characters and allow as many."""

PATH_BYTE_COUNT_MAX: Final = 1024
"""Leaves three quarters of Linux' ``PATH_MAX`` (4096) to the data folder's own path."""

DEPTH_MAX: Final = 16
"""Genuine names have at most 3 components; each folder costs the file system a block."""

DISPLACED_FOLDER: Final = "~"

_EXTENSION_BYTE_COUNT_MAX: Final = 24
_DIGEST_DIGIT_COUNT: Final = 32
_STORED_COMPONENT: Final = r"""(?![. ])[^\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]+(?<![. ])"""
_STORED_PATH: Final = re.compile(f"{_STORED_COMPONENT}(/{_STORED_COMPONENT}){{0,{DEPTH_MAX - 1}}}")
_UNSAFE: Final = frozenset('%~/:*?"<>|')
_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)


class StoredPaths:
    """
    The stored paths of one version: no two meet, not even on a file system that ignores case.

    A path is relative to the version's ``files`` folder, with ``/`` between components.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = {_folded(DISPLACED_FOLDER)}

    def assign(self, name: str) -> str:
        """
        The path for the logical name *name*, which must not have been given before.

        Raises:
            LimitError: the name is longer than a path of Windows can be.
            FormatError: it is empty, or not Unicode text.
        """
        check_logical_name(name)
        path = "/".join(_stored_component(component) for component in name.split("\\"))
        if not self._take(path):
            path = _displaced(name)
            if not self._take(path):
                raise ValueError(f"{name!r} was assigned before")
        return path

    def _take(self, path: str) -> bool:
        if len(path.encode()) > PATH_BYTE_COUNT_MAX or path.count("/") >= DEPTH_MAX:
            return False
        key = _folded(path)
        ends = [index for index, character in enumerate(key) if character == "/"]
        parents = [key[:end] for end in ends]
        if key in self._files or key in self._folders or not self._files.isdisjoint(parents):
            return False
        self._files.add(key)
        self._folders.update(parents)
        return True


def check_logical_name(name: str) -> None:
    """
    Raise unless *name* can be a logical name.

    Raises:
        LimitError: longer than a path of Windows can be.
        FormatError: empty, or not Unicode text (a lone surrogate).
    """
    if len(name) > LOGICAL_NAME_CHARACTER_COUNT_MAX:
        raise LimitError(
            f"file name of {len(name)} characters is over {LOGICAL_NAME_CHARACTER_COUNT_MAX}", file=f"{name[:80]}…"
        )
    if not name:
        raise FormatError("a file has an empty name")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"file name {name[:80]!a} holds a lone surrogate at character {error.start}") from None


def is_stored_path(path: str) -> bool:
    """Whether *path* is one that may be opened below a ``files`` folder: relative, never upwards, nothing hidden."""
    return (
        _STORED_PATH.fullmatch(path) is not None
        and len(path.encode()) <= PATH_BYTE_COUNT_MAX
        and all(len(component.encode()) <= COMPONENT_BYTE_COUNT_MAX for component in path.split("/"))
    )


def _stored_component(component: str) -> str:
    safe = "".join(
        _escaped(character) if character in _UNSAFE or not character.isprintable() else character
        for character in component
    )
    if safe == "" or _DEVICE.fullmatch(safe) or safe[0] in ". ":
        safe = f"%{ord(safe[0]):02X}{safe[1:]}" if safe else "%"
    if safe[-1] in ". ":
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    if len(safe.encode()) > COMPONENT_BYTE_COUNT_MAX:
        return _shortened(safe, digest_of=component)
    return safe


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _displaced(name: str) -> str:
    component = _stored_component(name.rpartition("\\")[2])
    return f"{DISPLACED_FOLDER}/{_shortened(component, digest_of=name)}"


def _shortened(safe: str, *, digest_of: str) -> str:
    """At most 255 bytes: the beginning of *safe*, ``~``, a digest, and the extension of *safe* where it is short."""
    stem, dot, extension = safe.rpartition(".")
    if not dot or not stem or len(extension.encode()) > _EXTENSION_BYTE_COUNT_MAX or "~" in extension:
        stem, extension = safe, ""
    end = (
        f"~{hashlib.sha256(digest_of.encode()).hexdigest()[:_DIGEST_DIGIT_COUNT]}{'.' if extension else ''}{extension}"
    )
    # A cut inside the bytes of a character drops the character.
    head = stem.encode()[: COMPONENT_BYTE_COUNT_MAX - len(end.encode())].decode(errors="ignore")
    return head + end


def _folded(path: str) -> str:
    """Equal for all paths that some file system may hold for one: more than any of them does, which does no harm."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
