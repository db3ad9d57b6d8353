"""Signatures are kept out of the logs: client libraries write whole requests at level DEBUG."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable


class Redaction(logging.Filter):
    """
    Takes something out of every record that goes through it.

    Args:
        secret: what is taken out.
        instead: what is put there, as ``re.sub`` takes it.
    """

    def __init__(self, secret: re.Pattern[str], instead: str) -> None:
        super().__init__()
        self._secret = secret
        self._instead = instead

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        text = record.getMessage()
        if self._secret.search(text):
            record.msg, record.args = self._secret.sub(self._instead, text), ()
        return True

    def put_before(self, loggers: Iterable[str]) -> None:
        """Have the records of *loggers* go through it; twice is allowed."""
        for name in loggers:
            logging.getLogger(name).addFilter(self)  # the same filter is not added twice
