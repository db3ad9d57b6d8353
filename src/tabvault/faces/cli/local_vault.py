"""The vault of a data folder on this machine, as commands use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.formats.byte_source import pieces
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.stored_folders import DescribedFile, FolderListing, list_folder
from tabvault.jobs.vault import Vault
from tabvault.storage.remote.read_ahead import BLOCK_BYTE_COUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.storage_probe import Probe
    from tabvault.jobs.stored_folders import StoredFolder
    from tabvault.storage.contract import ObjectInfo


class LocalVault(Vault):
    """A vault; see :class:`tabvault.faces.cli.session.CommandVault`."""

    def database_name(self, database: str) -> str:
        """The name of the database that *database*, its name or id, names."""
        return self.folder.find(database).name

    def files(self, folder: str | None, *, details: bool) -> tuple[Sequence[StoredFolder], Sequence[DescribedFile]]:
        """What is in a folder of the backup storage; all files for None."""
        store = self.store
        listing = FolderListing((), tuple(store.list())) if folder is None else list_folder(store, folder)
        if details:
            # Looking into files needs what reads them: XML, compression.
            from tabvault.jobs.file_catalogue import FileCatalogue  # noqa: PLC0415

            return listing.folders, FileCatalogue().describe(store, listing.files)
        return listing.folders, [DescribedFile(info) for info in listing.files]

    def upload(
        self,
        name: str,
        source: ByteSource,
        *,
        replace: bool,
        key: str,
        progress: Callable[[Progress], None] | None,
    ) -> ObjectInfo:
        """A file of this machine into the backup storage; *key* names it, so that what was cut off may go on."""
        meter = ProgressMeter(progress)
        with self.store.create(name, replace=replace, upload_key=key) as upload:
            meter.step("copying", source.byte_count)
            for piece in meter.counted(pieces(source, piece_byte_count=BLOCK_BYTE_COUNT)):
                upload.write(piece)
            return upload.finish()

    def check_storage(self) -> Probe:
        """What a probe of the backup storage finds."""
        return self.storage.check()

    def check_backup(self, database: str) -> None:
        """Raise what is wrong with a backup of *database* without any password."""
        self.folder.find(database)
        _ = self.store
