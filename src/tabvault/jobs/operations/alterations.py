"""
Alterations: the objects or the values of a database are changed step by step, and the end of it is a task.

Nothing is seen or recorded of an alteration before it is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.jobs.alteration import Alteration
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.visibility import Visibility
    from tabvault.jobs.runner.context import JobContext
    from tabvault.storage.data_folder.folder import DataFolder


class Alterations:
    """
    The alterations of a server's databases. Threads may share it.

    Args:
        folder: the data folder.
        visibility: says who may what.
    """

    def __init__(self, folder: DataFolder, visibility: Visibility) -> None:
        self._folder = folder
        self._visibility = visibility

    def begin(self, caller: Caller, database: str) -> Alteration:
        """
        Begin to change the objects of a database; nothing is seen or recorded before :meth:`commit`.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he does not administer it.
            DatabaseReadOnlyError: it is read-only.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("alter")
        return Alteration(self._folder, info)

    def begin_refresh(self, caller: Caller, database: str) -> Alteration:
        """
        Begin to change the values of a database; as :meth:`begin`, for those who may process it.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he may not process it.
            DatabaseReadOnlyError: it is read-only.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_refresh()
        return Alteration(self._folder, info)

    def commit(self, caller: Caller, alteration: Alteration) -> Task:
        """
        The end of an alteration: its changes become those of the database.

        Who may process the database may change its values; any other change is for its administrators, however the
        alteration was begun.
        """
        is_refresh = alteration.is_refresh

        def work(_: JobContext) -> object:
            if is_refresh:
                self._visibility.again(caller, alteration.info)[1].require_refresh()
            else:
                self._visibility.administered(caller, alteration.info, "alter")
            info = alteration.commit()
            return {"database": info.name, "version": info.version}

        if is_refresh:
            return Task(JobKind.REFRESH, alteration.info.name, {}, work)
        return Task(JobKind.ALTER, alteration.info.name, {}, work)
