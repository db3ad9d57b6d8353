"""
Backup storage in a container of an Azure storage account: every object is a block blob of that name.

1. Blobs whose name is no object's (:mod:`tabvault.storage.names`), and the folder markers of accounts with a
   hierarchical namespace, are not listed. A block blob that another program put there is an object.
2. An object is published by one Put Block List with a condition; see :mod:`~tabvault.storage.azure.upload`.
3. Replacing means: what was there when the upload began. When somebody else published under the name meanwhile, the
   upload is refused and that object stays.
4. Every failure is a ``StorageError`` that names the call of the service and its code; neither it nor anything chained
   to it holds a key or a signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tabvault.errors import InvalidNameError, ObjectExistsError, ObjectNotFoundError
from tabvault.storage.azure.blocks import BLOCK_BYTE_COUNT
from tabvault.storage.azure.client import container_client
from tabvault.storage.azure.patience import Caller, Patience
from tabvault.storage.azure.published import UNSEEN, AzureObject, Unseen, object_info
from tabvault.storage.azure.refusals import DELETE_BLOB, GET_PROPERTIES, LIST_BLOBS, Refusal
from tabvault.storage.azure.upload import AzureUpload, publishing_condition
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from azure.storage.blob import BlobProperties

    from tabvault.storage.azure.access import ContainerAccess

_PATIENCE = Patience()
_FOLDER_MARK = "hdi_isfolder"


class AzureBlobStore:
    """
    A :class:`~tabvault.storage.contract.ObjectStore` over one container. Nothing is asked of the service before the
    first call.

    Args:
        access: the container, and by what right.
        patience: how long the service is asked again.
        block_byte_count: length of the first blocks of an upload.
    """

    def __init__(
        self, access: ContainerAccess, *, patience: Patience = _PATIENCE, block_byte_count: int = BLOCK_BYTE_COUNT
    ) -> None:
        self._access = access
        self._block_byte_count = block_byte_count
        self._client = container_client(access)
        self._caller = Caller(access, patience)

    def close(self) -> None:
        """Close the connections; what was opened or begun is of no use afterwards."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AzureBlobStore({self._access.place})"

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> AzureUpload:
        """
        Begin an object; see :class:`~tabvault.storage.contract.ResumableStore`.

        Raises:
            ValueError: a name of *facts* is none that metadata can have.
        """
        spelling = check_object_name(name)
        metadata = _metadata(facts or {})
        try:
            seen = self._look_if_allowed(spelling)
        except Refusal as refusal:
            raise refusal.error from None
        if isinstance(seen, ObjectInfo) and not replace:
            raise ObjectExistsError(f"{spelling} exists already", hint="choose another name, or ask for overwriting")
        return AzureUpload(
            self._client.get_blob_client(spelling),
            spelling,
            self._caller,
            replace=replace,
            condition=publishing_condition(seen, replace=replace),
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

    def remove(self, name: str) -> None:
        """Remove an object, durably; see the contract."""
        spelling = check_object_name(name)
        blob = self._client.get_blob_client(spelling)
        try:
            # Looked for first: Delete Blob also takes a name under which blocks are only staged, and a folder mark is
            # no object. A SAS that may delete but not read is taken at its word.
            if self._look_if_allowed(spelling) is None:
                raise self._not_found(spelling)
            self._caller.run(DELETE_BLOB, spelling, lambda left: blob.delete_blob(**left.options))
        except Refusal as refusal:
            if isinstance(refusal.error, ObjectNotFoundError) and refusal.may_have_happened:
                return  # after a lost answer "not there" is what was asked for
            raise refusal.error from None

    def free_byte_count(self) -> int | None:
        """Unlimited: the service has no such limit; see the contract."""
        return None

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
            yield from (blob for blob in page if _is_object_name(blob.name) and not _is_folder(blob))
            if not token:
                return

    def _page(
        self, prefix: str, include: str, token: str | None, options: dict[str, Any]
    ) -> tuple[tuple[BlobProperties, ...], str | None]:
        pages = self._client.list_blobs(name_starts_with=prefix or None, include=[include], **options).by_page(token)
        page = tuple(next(pages))
        return page, pages.continuation_token  # type: ignore[attr-defined]


def _metadata(facts: Mapping[str, str]) -> dict[str, str]:
    """*facts* as metadata: names are identifiers; values are headers, so all but shown ASCII is quoted as in URLs."""
    for name in facts:
        if re.fullmatch(r"[a-z_][a-z0-9_]*", name) is None:
            raise ValueError(f"{name!r} cannot be the name of metadata")
    return {name: quote(value, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~") for name, value in facts.items()}


def _is_object_name(name: str) -> bool:
    try:
        return check_object_name(name) == name
    except InvalidNameError:
        return False


def _is_folder(blob: BlobProperties) -> bool:
    return (blob.metadata or {}).get(_FOLDER_MARK) == "true"
