"""
The container that a data folder has of its own, before its first upload: nothing is there, and looking makes nothing.

The first upload makes the container and has that remembered. From then on the settings of the data folder name it, and
a container that is missing has vanished: it is never made anew behind the back of those who look for their backups.
A container that is there already, from a version that remembered nothing, is used as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import ObjectNotFoundError
from tabvault.storage.names import check_object_name
from tabvault.storage.upload import check_match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tabvault.storage.contract import ObjectInfo, StoredObject, Upload
    from tabvault.storage.local import LocalAccount, LocalStore


class FirstUseStore:
    """
    An :class:`~tabvault.storage.contract.ObjectStore` over a container that may not have been made yet.

    Args:
        data_folder: whose container it is; it need not be there before the first upload.
        account: the storage account.
        container: name of the container in it.
        remember: called when the container is there and before anything is written to it; raises ``StorageError``.
    """

    remote_place: str | None = None

    def __init__(
        self, data_folder: Path, account: LocalAccount, container: str, *, remember: Callable[[], None]
    ) -> None:
        self._data_folder = data_folder
        self._account = account
        self._container = container
        self._remember = remember

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> Upload:
        """Begin an object, in a container made now if there is none; see the contract."""
        spelling = check_object_name(name)  # before anything is made for it
        if self._made() is None:
            check_match(spelling, None, if_match)
        store = self._account.container(self._container, create=True)
        self._remember()
        return store.create(
            spelling,
            replace=replace,
            head_byte_count=head_byte_count,
            upload_key=upload_key,
            facts=facts,
            if_match=if_match,
        )

    def open(self, name: str) -> StoredObject:
        """Open an object for reading; see the contract."""
        return self._holding(name).open(name)

    def info(self, name: str) -> ObjectInfo:
        """What the store says of an object; see the contract."""
        return self._holding(name).info(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """
        The objects, ordered by name: none as long as there is no container; see the contract.

        Raises:
            ObjectNotFoundError: there is not even a data folder.
        """
        store = self._made()
        if store is None and not self._data_folder.exists():
            raise ObjectNotFoundError(f"there is no data folder at {self._data_folder}", hint="check its path")
        return iter(()) if store is None else store.list(prefix)

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """Remove an object, durably; see the contract."""
        self._holding(name).remove(name, if_match=if_match)

    def free_byte_count(self) -> int | None:
        """What can still be written; not told as long as there is no container; see the contract."""
        store = self._made()
        return None if store is None else store.free_byte_count()

    def close(self) -> None:
        """It holds nothing open; see the contract."""

    def _made(self) -> LocalStore | None:
        if not self._account.has_container(self._container):
            return None
        return self._account.container(self._container, create=False)

    def _holding(self, name: str) -> LocalStore:
        spelling = check_object_name(name)
        store = self._made()
        if store is None:
            reason = (
                f"nothing was ever put into container {self._container} of data folder {self._data_folder}"
                if self._data_folder.exists()
                else f"there is no data folder at {self._data_folder}"
            )
            raise ObjectNotFoundError(f"no object {spelling}: {reason}", hint="check which data folder is meant")
        return store
