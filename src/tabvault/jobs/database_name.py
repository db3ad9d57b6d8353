r"""
Which names a database may have.

Analysis Services forbids ``. , ; ' ` : / \ * | ? " & % $ ! + - = ( ) [ ] { } < >`` in the ids of multidimensional
objects, lets tabular databases have nearly all of them, and Power BI names its own by GUIDs and by the titles of
reports. No folder or file of ours is named after a database, so only what harms is refused:

1. an empty name, or one over 512 characters (the longest object name of Analysis Services);
2. a blank at either end, which nobody sees and everybody leaves out;
3. control characters, line separators, lone surrogates and the two noncharacters that XML cannot hold;
4. ``.`` and ``..``, which a path in a URL cannot hold;
5. what begins with ``storage:``, in whatever case: that denotes a backup.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from tabvault.errors import InvalidNameError

NAME_CHAR_COUNT_MAX: Final = 512
"""Longest object name, from the capacity limits of Analysis Services."""

STORAGE_PREFIX: Final = "storage:"
"""A file named so lies in the container of the storage account, any other on the local disk."""

_UNSHOWN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_database_name(name: str) -> str:
    """
    A name a database can have.

    Raises:
        InvalidNameError: it cannot; the module says why.
    """
    problem = id_problem(name)
    if problem is None and name in (".", ".."):
        problem = "stands for a folder"
    if problem is None and name.casefold().startswith(STORAGE_PREFIX):
        problem = f"begins with {STORAGE_PREFIX}, which denotes a file of the backup storage"
    if problem is not None:
        raise InvalidNameError(f"database name {name[:80]!r} {problem}", hint="give the database another name")
    return name


def id_problem(text: str) -> str | None:
    """Why *text* cannot be the id of a database, by (1) to (3); None if it can."""
    if not text.strip():
        return "is empty"
    if len(text) > NAME_CHAR_COUNT_MAX:
        return f"has {len(text)} characters, over {NAME_CHAR_COUNT_MAX}"
    if text != text.strip():
        return "begins or ends with a blank"
    unshown = next((c for c in text if unicodedata.category(c) in _UNSHOWN_CATEGORIES or c in "\ufffe\uffff"), None)
    return None if unshown is None else f"contains the character U+{ord(unshown):04X}"
