"""A genuine backup: import, look, back up compressed and encrypted, verify, drop, restore, compare every value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import Console, compare

if TYPE_CHECKING:
    from pathlib import Path


def demonstrate(file: Path, folder: Path) -> int:
    """Every step in turn."""
    console = Console(folder, {str(file): file.name})
    tabvault = console.tabvault
    tabvault("import", file, "demo")
    tabvault("databases")
    tabvault("query", "demo", "SELECT ID, Name FROM $SYSTEM.TMSCHEMA_TABLES ORDER BY Name")
    before = console.exported("demo", folder / "before")
    tabvault("backup", "demo", "nightly/demo.abf", "--encrypt", "--password-file", console.password_file)
    tabvault("storage", "list")
    tabvault("verify", "storage:nightly/demo.abf", "--password-file", console.password_file)
    tabvault("drop", "demo", "--yes")
    tabvault("restore", "nightly/demo.abf", "--password-file", console.password_file)
    return compare(before, console.exported("demo", folder / "after"))
