"""Calls of the file system that fail while the data folder makes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tabvault.testing.faults import SYSTEM_CALLS, FaultyModule

if TYPE_CHECKING:
    import pytest

    from tabvault.testing.faults import CallCounter

_CALLS = [name for name in SYSTEM_CALLS if name != "scandir"]  # one that fails after its effect leaks what it opened
_MODULES = ("staged_file", "group_fsync", "database_folder", "folder")


def fail_file_calls(patch: pytest.MonkeyPatch, counter: CallCounter, *modules: str) -> None:
    """Let *counter* say which call fails of those that write databases, and of these *modules* of the data folder."""
    rooms = ("durable", *(f"data_folder.{module}" for module in (*_MODULES, *modules)))
    for room in rooms:
        patch.setattr(f"tabvault.storage.{room}.os", FaultyModule(os, counter, _CALLS))
