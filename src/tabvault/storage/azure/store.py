"""
Backup storage in a container of an Azure storage account: every object is a block blob of that name.

1. Blobs whose name is no object's (:mod:`tabvault.storage.names`), and the folder markers of accounts with a
   hierarchical namespace, are not listed. A block blob that another program put there is an object.
2. An object is published by one Put Block List with a condition; see :mod:`~tabvault.storage.azure.upload`. Where the
   SAS allows new objects only, by one Put Blob; see :mod:`~tabvault.storage.azure.single_upload`.
3. Replacing means: what was there when the upload began. When somebody else published under the name meanwhile, the
   upload is refused and that object stays.
4. Every failure is a ``StorageError`` that names the call of the service and its code; neither it nor anything chained
   to it holds a key or a signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabvault.errors import ObjectNotFoundError
from tabvault.storage.azure.append_only import is_append_only
from tabvault.storage.azure.blocks import BLOCK_BYTE_COUNT
from tabvault.storage.azure.caller import Caller
from tabvault.storage.azure.client import container_client
from tabvault.storage.azure.published import UNSEEN, AzureObject, Unseen, object_info
from tabvault.storage.azure.refusals import DELETE_BLOB, GET_PROPERTIES, LIST_BLOBS
from tabvault.storage.azure.single_upload import SingleUpload
from tabvault.storage.azure.upload import AzureUpload, matching, publishing_condition
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.names import check_object_name, is_object_name
from tabvault.storage.remote.metadata import quoted_facts
from tabvault.storage.remote.patience import Patience, Refusal
from tabvault.storage.remote.store import RemoteStore
from tabvault.storage.upload import check_match, object_exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import BlobProperties

    from tabvault.storage.azure.access import ContainerAccess
    from tabvault.storage.probing import ProbedStore

_PATIENCE = Patience()
_FOLDER_MARK = "hdi_isfolder"


class AzureBlobStore(RemoteStore):
    """
    A :class:`~tabvault.storage.contract.ObjectStore` over one container. Nothing is asked of the service before the
    first call.

    Args:
        access: the container, and by what right.
        patience: how long the service is asked again.
        block_byte_count: length of the first blocks of an upload.
    """

    _looks_before_creating = True

    def __init__(
        self, access: ContainerAccess, *, patience: Patience = _PATIENCE, block_byte_count: int = BLOCK_BYTE_COUNT
    ) -> None:
        super().__init__(access.place)
        self._access = access
        self._block_byte_count = block_byte_count
        self._client = container_client(access)
        self._caller = Caller(access, patience)

    def close(self) -> None:
        """Close the connections; what was opened or begun is of no use afterwards."""
        self._client.close()

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> AzureUpload | SingleUpload:
        """
        Begin an object; see the contract.

        Raises:
            ValueError: a name of *facts* is none that metadata can have.
        """
        spelling = check_object_name(name)
        metadata = quoted_facts(facts or {}, also_shown=" ")
        sas = self._access.sas
        if sas is not None and is_append_only(sas.permissions):
            return SingleUpload(
                self._client,
                spelling,
                self._caller,
                replace=replace,
                head_byte_count=head_byte_count,
                facts=metadata,
                is_delegated=sas.is_delegated,
                looks_first=self._looks_before_creating,
            )
        try:
            seen = self._look_if_allowed(spelling)
        except Refusal as refusal:
            raise refusal.error from None
        if isinstance(seen, ObjectInfo) and not replace:
            raise object_exists(spelling)
        if not isinstance(seen, Unseen):
            check_match(spelling, seen, if_match)
        return AzureUpload(
            self._client.get_blob_client(spelling),
            spelling,
            self._caller,
            replace=replace,
            condition=publishing_condition(seen, replace=replace, if_match=if_match),
            head_byte_count=head_byte_count,
            first_block_byte_count=self._block_byte_count,
            upload_key=upload_key,
            facts=metadata,
        )

    def open(self, name: str) -> AzureObject:
        """Open an object for reading; see the contract."""
        info = self.info(name)
        return AzureObject(self._client.get_blob_client(info.name), info, self._caller)

    def info(self, name: str) -> ObjectInfo:
        """What the service says of an object; see the contract."""
        spelling = check_object_name(name)
        try:
            info = self._look(spelling)
        except Refusal as refusal:
            raise refusal.error from None
        if info is None:
            raise self._not_found(spelling)
        return info

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """
        The objects, ordered by name; see the contract.

        All pages are read at the call: the service orders names by UTF-16, which is another order than by code point.
        """
        blobs = self._blobs(prefix, "metadata")
        return iter(sorted((object_info(blob, blob.name) for blob in blobs), key=lambda info: info.name))

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """Remove an object, durably; see the contract."""
        spelling = check_object_name(name)
        condition = matching(if_match)
        blob = self._client.get_blob_client(spelling)
        try:
            # Looked for first: Delete Blob also takes a name under which blocks are only staged, and a folder mark is
            # no object. A SAS that may delete but not read is taken at its word.
            if self._look_if_allowed(spelling) is None:
                raise self._not_found(spelling)
            self._caller.run(DELETE_BLOB, spelling, lambda left: blob.delete_blob(**condition, **left.options))
        except Refusal as refusal:
            if isinstance(refusal.error, ObjectNotFoundError) and refusal.may_have_happened:
                return  # after a lost answer "not there" is what was asked for
            raise refusal.error from None

    def unfinished(self, prefix: str = "") -> Iterator[str]:
        """
        Names under which blocks were staged and no object is published, ordered.

        The service forgets such blocks a week after the last of them came.

        Raises:
            StorageError: the service failed.
        """
        published = {blob.name for blob in self._blobs(prefix, "metadata")}
        staged = {blob.name for blob in self._blobs(prefix, "uncommittedblobs")}
        return iter(sorted(staged - published))

    def probing(self) -> ProbedStore:
        """The same container, for a probe; see :class:`tabvault.storage.probing.Probeable`."""
        from tabvault.storage.azure.probing import AzureProbing  # noqa: PLC0415 - it is a store of this kind

        return AzureProbing(self._access)

    def _look(self, spelling: str) -> ObjectInfo | None:
        """
        The published object of that name, if there is one.

        Raises:
            Refusal: the service refuses to say.
        """
        blob = self._client.get_blob_client(spelling)
        try:
            properties = self._caller.run(
                GET_PROPERTIES, spelling, lambda left: blob.get_blob_properties(**left.options)
            )
        except Refusal as refusal:
            if isinstance(refusal.error, ObjectNotFoundError):
                return None
            raise
        return None if _is_folder(properties) else object_info(properties, spelling)

    def _look_if_allowed(self, spelling: str) -> ObjectInfo | Unseen | None:
        """The same, or ``UNSEEN`` where a SAS has not the letter r."""
        try:
            return self._look(spelling)
        except Refusal as refusal:
            if refusal.code != "AuthorizationPermissionMismatch":
                raise
            return UNSEEN

    def _not_found(self, spelling: str) -> ObjectNotFoundError:
        return ObjectNotFoundError(f"{spelling} is not in {self._access.place}")

    def _blobs(self, prefix: str, include: str) -> Iterator[BlobProperties]:
        """The blobs whose names are objects', page by page, each page asked for again by itself."""
        token: str | None = None
        while True:
            try:
                page, token = self._caller.run(
                    LIST_BLOBS,
                    "",
                    lambda left, token=token: self._page(  # type: ignore[misc]
                        prefix, include, token, left.options
                    ),
                )
            except Refusal as refusal:
                raise refusal.error from None
            yield from (blob for blob in page if is_object_name(blob.name) and not _is_folder(blob))
            if not token:
                return

    def _page(
        self, prefix: str, include: str, token: str | None, options: dict[str, Any]
    ) -> tuple[tuple[BlobProperties, ...], str | None]:
        pages = self._client.list_blobs(name_starts_with=prefix or None, include=[include], **options).by_page(token)
        page = tuple(next(pages))
        return page, pages.continuation_token  # type: ignore[attr-defined]


def _is_folder(blob: BlobProperties) -> bool:
    return (blob.metadata or {}).get(_FOLDER_MARK) == "true"
