"""
The backup storage probed from time to time while the server runs: whether it works is known before a backup needs it.

One thread; the first probe is made shortly after the start, the next ones about hourly, not at the same minute by all
servers of one storage account. What is found is kept, for the status and the metrics, and what changed is logged: a
trouble once when it comes, not every hour, and its end.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Final

from tabvault.errors import StorageNotConfiguredError, TabvaultError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.jobs.backup_storage import BackupStorage
    from tabvault.jobs.storage_probe import Probe
    from tabvault.storage.settings import BackupStorageSettings

FIRST_PAUSE_S: Final = 10.0
"""A server that starts has other things to do."""

PAUSE_S: Final = 3600.0
_JITTER: Final = 0.1

_END_TIMEOUT_S: Final = 5.0
"""A probe that waits for a network does not hold up the end; it has nothing to lose."""

_log = logging.getLogger(__name__)


class StorageWatch:
    """
    Probes the backup storage of a server from :meth:`start` to :meth:`close`.

    Args:
        storage: the backup storage.
        tidy: called before each probe: removes what uploads into it left. May raise ``TabvaultError``.
        first_pause_s: before the first probe.
        pause_s: between two, about.
    """

    def __init__(
        self,
        storage: BackupStorage,
        *,
        tidy: Callable[[], object] | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._storage = storage
        self._tidy = tidy
        self._first_pause_s = first_pause_s
        self._pause_s = pause_s
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._probe: Probe | None = None
        self._probed_settings: BackupStorageSettings | None = None
        self._problems: frozenset[tuple[str, str]] = frozenset()
        self._thread = threading.Thread(target=self._run, name="storage-watch", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def close(self) -> None:
        """End. Twice is allowed."""
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_END_TIMEOUT_S)

    @property
    def last(self) -> Probe | None:
        """
        What was found last; None if nothing was yet, or the settings have changed since, or are not complete.

        Raises:
            FormatError: the settings are damaged.
            StorageError: they cannot be read.
        """
        settings = self._storage.settings
        with self._lock:
            if self._probe is None or settings == self._probed_settings:
                return self._probe
            self._probe = None
        self.probe_soon()
        return None

    def probe_soon(self) -> None:
        """Probe now and not in an hour: something has changed."""
        self._wake.set()

    def keep(self, probe: Probe | None) -> None:
        """
        Take *probe*, made just now by whoever, for what was found last.

        Raises:
            As :attr:`last`.
        """
        settings = self._storage.settings
        with self._lock:
            self._probe, self._probed_settings = probe, settings
            found = () if probe is None else probe.findings
            bad = [finding for finding in found if finding.severity != "OK"]
            problems = frozenset((finding.severity, finding.message) for finding in bad)
            new, is_over = problems - self._problems, bool(self._problems) and not problems
            self._problems = problems
        for finding in bad:
            if (finding.severity, finding.message) in new:
                level = logging.ERROR if finding.severity == "FAILED" else logging.WARNING
                hint = f" ({finding.hint})" if finding.hint else ""
                _log.log(level, "backup storage: %s%s", finding.message, hint)
        if is_over and probe is not None:
            _log.info("backup storage: it works again")

    def _found(self) -> Probe | None:
        try:
            return self._storage.check()
        except StorageNotConfiguredError:
            return None  # nothing to watch; the settings may change

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while True:
            self._wake.wait(pause_s)
            self._wake.clear()
            if self._ending.is_set():
                return
            try:
                if self._tidy is not None:
                    self._tidy()
            except TabvaultError as error:
                _log.warning("uploads that were left: %s", error)
            try:
                self.keep(self._found())
            except TabvaultError as error:
                with self._lock:
                    self._probe = None
                _log.error("backup storage: %s", error)
            except Exception:  # noqa: BLE001 - the edge of a thread: the next probe may work
                _log.exception("the backup storage cannot be probed")
            pause_s = self._pause_s
            pause_s *= random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - it spreads, it keeps no secret
