"""
What a SAS allows that has the letter ``c`` (create) and not ``w`` (write): new objects only.

Put Block and Put Block List want ``w``, also of a name under which nothing is. Put Blob takes ``c`` for a name that is
free, and nothing else does; so an object goes up in one call, and is no longer than that call may be.

Sources: "Create a service SAS", "Permissions for a directory, container, or blob"; "Put Blob", "Remarks" (Azure Storage
REST reference).
"""

from __future__ import annotations

from typing import Final

BYTE_COUNT_MAX: Final = 5000 << 20
"""Of one Put Blob, from service version 2019-12-12 on."""


def is_append_only(permissions: str | None) -> bool:
    """Whether a SAS with these letters allows new objects only; not where a stored policy has the letters (None)."""
    return permissions is not None and "c" in permissions and "w" not in permissions
