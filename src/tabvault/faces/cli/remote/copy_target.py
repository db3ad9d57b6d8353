"""The server that a database is copied to: what it knows of earlier tries to copy it, and whether it takes anything."""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING, Final

from tabvault.errors import ObjectNotFoundError, ServerPausedError
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.faces.cli.remote.vault import RemoteVault
from tabvault.faces.cli.remote.waiting import result_of
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.jobs.landing import Security
    from tabvault.jobs.listing import DatabaseListing
    from tabvault.jobs.progress import Progress

_RESTORE_COUNT: Final = 20
"""Restores as one database that are looked at, the latest: an earlier try was one of the last."""


class CopyTarget:
    """
    A server as the target of a copy.

    Args:
        connection: to it.

    Attributes:
        vault: its databases and backup storage.
        url: of the server.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.vault = RemoteVault(connection)
        self.url = connection.url

    def check_open(self) -> None:
        """
        Whether jobs can begin there.

        Raises:
            ServerPausedError: not now.
        """
        with self._expected():
            is_paused = bool(self._connection.get("/server")["paused"])
        if is_paused:
            raise ServerPausedError(f"{self.url} is paused", hint="resume it, then begin again")

    def database(self, name: str) -> DatabaseListing | None:
        """The database of that *name* in any spelling, if there is one."""
        return next((one for one in self.vault.databases() if one.name.casefold() == name.casefold()), None)

    def is_restored(
        self, file: str, name: str, *, security: Security, progress: Callable[[Progress], None] | None
    ) -> bool:
        """
        Whether the database *name* is what an earlier restore of *file* made, and nobody changed it since.

        A restore that runs still is waited for; one that failed is as if it had not been.

        Raises:
            TabvaultError: why the one that was waited for failed.
        """
        jobs = self._connection.get("/jobs", kind=JobKind.RESTORE.value, database=name, limit=_RESTORE_COUNT)
        with self._expected():
            ours = [
                job
                for job in jobs["jobs"]
                if (job["options"].get("file"), job["options"].get("security")) == (file, security)
            ]
        job = next((job for job in ours if job["state"] in {"queued", "running", "succeeded"}), None)
        if job is None:
            return False
        if job["state"] != "succeeded":
            result_of(self._connection, job, progress)
            job = self._connection.get(f"/jobs/{quoted(str(job['id']))}")
        found = self.database(name)
        with self._expected():
            begun, ended = (datetime.datetime.fromisoformat(job[name]) for name in ("started", "finished"))
        # Both times are that server's own: a version between the two is the one that the job committed.
        return found is not None and found.restored is not None and begun <= found.restored <= ended

    def cancel_uploads(self, prefix: str, *, but: str | None = None) -> None:
        """Forget what came of files whose names begin with *prefix*, except of the file *but*."""
        uploads = self._connection.get("/uploads")
        with self._expected():
            names = {str(one["id"]): str(one["name"]) for one in uploads["uploads"] if one["etag"] is None}
        for upload_id, name in names.items():
            if name.startswith(prefix) and name != but:
                with contextlib.suppress(ObjectNotFoundError):
                    self._connection.send("DELETE", f"/uploads/{quoted(upload_id)}")

    @contextlib.contextmanager
    def _expected(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError):
            raise unexpected(self._connection.url) from None
