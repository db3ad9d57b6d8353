"""
How much queries may have of data sources: ``<data>/server/source-limits.json``.

::

    {"format_version": 1, "direct_query_row_count_max": 1000000}

=============================  =======================================================================================
key                            value
=============================  =======================================================================================
direct_query_row_count_max     rows that a source may give for one question of a query, 1 to :data:`ROW_COUNT_LIMIT`
=============================  =======================================================================================

What a query cannot leave to the source of a table in DirectQuery mode is done in the memory of the server, and the
source is shared by others. The default is the limit of Analysis Services and Power BI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, RequestError
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

LIMITS_FILE: Final = "source-limits.json"

ROW_COUNT_DEFAULT: Final = 1_000_000
ROW_COUNT_LIMIT: Final = 1_000_000_000
"""Far more than a server could hold: whoever wants no bound sets this one."""

SET_HINT: Final = "tabvault datasource row-limit N sets the limit anew"
"""The way out where the file is damaged: nothing of it is needed to write it."""

_KEY: Final = "direct_query_row_count_max"


def load_row_count_max(data_folder: Path) -> int:
    """
    Rows that a source may give for one question; the default if nothing was set.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    try:
        members = read_state(data_folder, LIMITS_FILE, _KEY)
        return ROW_COUNT_DEFAULT if members is None else members[_KEY].integer(1, ROW_COUNT_LIMIT)
    except FormatError as error:
        error.hint = SET_HINT
        raise


def save_row_count_max(data_folder: Path, row_count_max: int) -> None:
    """
    Set it, durably and in one step.

    Raises:
        RequestError: it is out of bounds.
        StorageError: it cannot be written.
    """
    if not 1 <= row_count_max <= ROW_COUNT_LIMIT:
        raise RequestError(f"{row_count_max} is not from 1 to {ROW_COUNT_LIMIT}", path=_KEY)
    write_state(data_folder, LIMITS_FILE, {_KEY: row_count_max})
