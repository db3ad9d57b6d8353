"""The vault of a data folder on this machine, as commands use it."""

from __future__ import annotations

from tabvault.jobs.vault import Vault


class LocalVault(Vault):
    """A vault; see :class:`tabvault.faces.cli.session.CommandVault`."""

    def database_name(self, database: str) -> str:
        """The name of the database that *database*, its name or id, names."""
        return self.folder.find(database).name

    def check_backup(self, database: str) -> None:
        """Raise what is wrong with a backup of *database* without any password."""
        self.folder.find(database)
        _ = self.store
