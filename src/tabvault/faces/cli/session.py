"""What every command begins with: the vault it works on, and the progress it shows meanwhile."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tabvault.jobs.progress import Progress
    from tabvault.jobs.vault import Vault


def open_vault(data: Path | None) -> Vault:
    """The vault in *data*; nothing is locked or made yet."""
    from tabvault.jobs.vault import Vault  # noqa: PLC0415 - it loads pyarrow and numpy, and --help needs neither

    return Vault(data)


def shown_progress(*, as_json: bool) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """The progress bar as a callback for a job; None where nobody would see it."""
    if as_json or not sys.stderr.isatty():
        return contextlib.nullcontext()
    from tabvault.faces.cli.progress_bar import ProgressBar  # noqa: PLC0415 - rich, for a terminal only

    return ProgressBar()
