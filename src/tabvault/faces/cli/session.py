"""What every command begins with: the vault it works on, and the progress it shows meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from tabvault.errors import DatabaseNotFoundError, ObjectNotFoundError, TabvaultError
from tabvault.faces.cli.progress_bar import ProgressBar
from tabvault.jobs.database_name import STORAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tabvault.jobs.progress import Progress
    from tabvault.jobs.vault import Vault


@contextlib.contextmanager
def open_vault(data: Path | None, *, file: str | None = None) -> Iterator[Vault]:
    """
    The vault in *data*; nothing is locked or made yet.

    Args:
        data: the data folder.
        file: what the command line names to be read. If it is not found, the hint says where such files are.
    """
    from tabvault.jobs.vault import Vault  # noqa: PLC0415 - it loads pyarrow and numpy, and --help needs neither

    with Vault(data) as vault:
        try:
            yield vault
        except (ObjectNotFoundError, DatabaseNotFoundError) as error:
            if file is not None:
                error.hint = _where_it_is(vault, file) or error.hint
            raise


def _where_it_is(vault: Vault, file: str) -> str | None:
    if file.startswith(STORAGE_PREFIX):
        return "tabvault storage list shows what is there"
    try:
        return f"did you mean {STORAGE_PREFIX}{vault.store.info(file).name}?"
    except TabvaultError:
        return None


def shown_progress(*, as_json: bool) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """The progress bar as a callback for a job; None where nobody would see it."""
    if as_json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return contextlib.nullcontext()
    return ProgressBar()
