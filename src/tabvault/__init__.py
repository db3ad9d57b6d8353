"""Tabvault: back up, verify, read and restore Analysis Services tabular databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabvault.faces.python import Database
    from tabvault.faces.python import open_database as open  # noqa: A004 - `tabvault.open` is the name users expect
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.vault import Vault

__all__ = ["open", "Database", "Vault", "Progress", "__version__"]

__version__ = "0.1.0"

_WHERE = {
    "open": ("tabvault.faces.python", "open_database"),
    "Database": ("tabvault.faces.python", "Database"),
    "Vault": ("tabvault.jobs.vault", "Vault"),
    "Progress": ("tabvault.jobs.progress", "Progress"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: ``tabvault --help`` needs neither Arrow nor DuckDB."""
    if name not in _WHERE:
        raise AttributeError(f"module 'tabvault' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see above

    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)
