"""
Refreshes as tasks: rows of a database read anew, by whoever may process it.

A refresh is one job: it reads, and puts the new tables in the place of the old in one commit. In a transaction, where
objects may have been changed before, the job reads and makes the tables, and the end of the transaction commits them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tabvault.errors import SourceUnreachableError
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.operations.task import Task
from tabvault.jobs.processing.refresh import process
from tabvault.jobs.processing.result import RefreshResult
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.visibility import Visibility
    from tabvault.jobs.processing.request import RefreshRequest, RefreshTarget
    from tabvault.jobs.processing.source_settings import SourceSettings
    from tabvault.jobs.runner.context import JobContext
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder


class Refreshes:
    """
    The refreshes of a server. Threads may share it.

    Args:
        folder: the data folder.
        visibility: says who may what.
        settings: with what the sources are asked.
    """

    def __init__(self, folder: DataFolder, visibility: Visibility, settings: SourceSettings) -> None:
        self._folder = folder
        self._visibility = visibility
        self._settings = settings

    def refresh(
        self, caller: Caller, database: str, requests: Sequence[RefreshRequest], *, retry_count: int = 0
    ) -> Task:
        """
        Refresh a database, and commit; see :func:`~tabvault.jobs.processing.refresh.process`.

        Args:
            caller: who asks.
            database: name or id.
            requests: what is to be done, one after the other, all or nothing.
            retry_count: how often it is tried again where a source cannot be reached.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: there is none, or he may not process it.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_refresh()

        def work(job: JobContext) -> object:
            # While it waited the database may have been restored over, and he may not process it any more.
            now, permissions = self._visibility.again(caller, info)
            permissions.require_refresh()
            for _ in range(retry_count):
                try:
                    return self._refreshed(now, requests, job)
                except SourceUnreachableError:
                    job.check_cancelled()
            return self._refreshed(now, requests, job)

        return Task(JobKind.REFRESH, info.name, _options(requests), work)

    def refresh_within(self, caller: Caller, alteration: Alteration, requests: Sequence[RefreshRequest]) -> Task:
        """
        Refresh in an alteration that somebody else commits.

        Args:
            caller: who asks; he was asked whether he may when the alteration began, and is again when it is committed.
            alteration: for the thread that runs the task.
            requests: what is to be done, one after the other.
        """

        def work(job: JobContext) -> object:
            self._visibility.again(caller, alteration.info)[1].require_refresh()
            return self._processed(alteration, requests, job)

        return Task(JobKind.REFRESH, alteration.info.name, _options(requests), work)

    def _refreshed(self, info: DatabaseInfo, requests: Sequence[RefreshRequest], job: JobContext) -> RefreshResult:
        with Alteration(self._folder, info) as alteration:
            result = self._processed(alteration, requests, job)
            job.check_cancelled()
            alteration.commit()
            return result

    def _processed(self, alteration: Alteration, requests: Sequence[RefreshRequest], job: JobContext) -> RefreshResult:
        access = self._settings.access(alteration.info)
        return _one(process(alteration, request, access, progress=job.progress) for request in requests)


def target_text(target: RefreshTarget) -> str:
    """``'Sales'`` or ``'Sales'[2024]``, as DAX would write it; for the records, see :func:`target_parts`."""
    table = "'" + target.table.replace("'", "''") + "'"
    return table if target.partition is None else f"{table}[{target.partition.replace(']', ']]')}]"


def target_parts(text: str) -> tuple[str, str | None]:
    """The table and the partition of a text that :func:`target_text` made."""
    end = 1
    while text[end : end + 1] and (text[end] != "'" or text[end : end + 2] == "''"):
        end += 2 if text[end] == "'" else 1
    table, rest = text[1:end].replace("''", "'"), text[end + 1 :]
    return table, rest[1:-1].replace("]]", "]") if rest else None


def _options(requests: Sequence[RefreshRequest]) -> dict[str, object]:
    targets = list(dict.fromkeys(chain.from_iterable(request.targets for request in requests)))
    whole = any(not request.targets for request in requests)
    return {
        "type": ", ".join(dict.fromkeys(request.kind.value for request in requests)),
        "objects": None if whole else [target_text(target) for target in targets],
        "keep_calculated": any(request.keep_calculated for request in requests),
    }


def _one(results: Iterable[RefreshResult]) -> RefreshResult:
    """What several requests did, as if it had been one."""
    first, *more = results
    if not more:
        return first
    everything = [first, *more]
    return RefreshResult(
        database=first.database,
        type=", ".join(dict.fromkeys(one.type for one in everything)),
        partitions=tuple(chain.from_iterable(one.partitions for one in everything)),
        tables=tuple(dict.fromkeys(chain.from_iterable(one.tables for one in everything))),
        folded=tuple(dict.fromkeys(chain.from_iterable(one.folded for one in everything))),
        kept=tuple(dict.fromkeys(chain.from_iterable(one.kept for one in everything))),
        byte_count=everything[-1].byte_count,
        warnings=tuple(dict.fromkeys(chain.from_iterable(one.warnings for one in everything))),
        seconds=sum(one.seconds for one in everything),
    )
