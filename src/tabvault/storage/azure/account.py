"""
A storage account of Azure: its containers, and a store for each.

1. Nothing is asked of the service before the first call; ``container`` asks nothing at all.
2. A container SAS opens one container. That one is listed without asking (such a SAS may not list containers, and the
   time of the change is not known then); there is no other, and none can be made.
3. Every failure is a ``StorageError`` without a key or a signature, as in :mod:`~tabvault.storage.azure.store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabvault.errors import ObjectExistsError, StorageAccessError
from tabvault.storage.azure.caller import Caller
from tabvault.storage.azure.client import service_client
from tabvault.storage.azure.refusals import CREATE_CONTAINER, LIST_CONTAINERS
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.contract import ContainerInfo
from tabvault.storage.names import is_container_name
from tabvault.storage.remote.patience import Patience, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import BlobServiceClient, ContainerProperties

    from tabvault.storage.azure.access import AccountAccess
    from tabvault.storage.azure.caller import TimeLeft

_PATIENCE = Patience(attempt_count_max=4, deadline_s=60.0, pause_max_s=8.0)
"""Somebody sits in front of a list and waits."""


class AzureAccount:
    """
    A :class:`~tabvault.storage.contract.StorageAccount`. Threads may share it.

    Args:
        access: the account, and by what right.
        only_container: the one that the credential opens; None if it is that of the whole account.
        patience: how long the service is asked again about containers.
    """

    def __init__(
        self, access: AccountAccess, *, only_container: str | None = None, patience: Patience = _PATIENCE
    ) -> None:
        self._access = access
        self._only_container = only_container
        self._patience = patience
        self._client = service_client(access)

    def containers(self, prefix: str = "") -> Iterator[ContainerInfo]:
        """
        The containers, ordered by name, page by page while iterating; see the contract.

        Containers of the service's own (``$web``, ``$logs``) are not listed: no backups go there.
        """
        if self._only_container is not None:
            known = [ContainerInfo(self._only_container, None)]
            return iter([info for info in known if info.name.startswith(prefix)])
        return self._listed(prefix)

    def create_container(self, name: str) -> ContainerInfo:
        """Make a container; see the contract."""
        access = self._access.to_container(name)
        self._require(name, "a container cannot be made")
        client = self._client.get_container_client(name)
        try:
            made: dict[str, Any] = Caller(access, self._patience).run(
                CREATE_CONTAINER, "", lambda left: client.create_container(**left.options)
            )
        except Refusal as refusal:
            if not (isinstance(refusal.error, ObjectExistsError) and refusal.may_have_happened):
                raise refusal.error from None
            # After a lost answer "there is one" is what was asked for.
            return ContainerInfo(name, None)
        return ContainerInfo(name, made["last_modified"])

    def container(self, name: str) -> AzureBlobStore:
        """
        Open a container; see the contract. The store has connections of its own, to be closed by whoever got it.

        Raises:
            StorageAccessError: the credential opens another one.
        """
        access = self._access.to_container(name)
        self._require(name, "it cannot be used")
        return AzureBlobStore(access)

    def close(self) -> None:
        """Let go of connections, those of the credential included; see the contract."""
        self._client.close()
        if self._access.is_by_identity:
            self._access.credential.close()

    def __repr__(self) -> str:
        return f"AzureAccount({self._access.account_url})"

    def _require(self, name: str, what: str) -> None:
        if self._only_container not in {None, name}:
            raise StorageAccessError(
                f"container {name} of {self._access.account_url}: {what}, "
                f"since the SAS opens container {self._only_container} alone",
                hint="register the account with its key, an identity, or the SAS of that container",
            )

    def _listed(self, prefix: str) -> Iterator[ContainerInfo]:
        caller = Caller(self._access, self._patience)
        token: str | None = None
        while True:
            try:
                page, token = caller.run(
                    LIST_CONTAINERS,
                    "",
                    lambda left, token=token: _page(self._client, prefix, token, left),  # type: ignore[misc]
                )
            except Refusal as refusal:
                raise refusal.error from None
            # A page is in the order of names, and these are ASCII: by code point all the same.
            yield from (
                ContainerInfo(container.name, container.last_modified)
                for container in page
                if is_container_name(container.name)
            )
            if not token:
                return


def _page(
    client: BlobServiceClient, prefix: str, token: str | None, left: TimeLeft
) -> tuple[tuple[ContainerProperties, ...], str | None]:
    pages: Any = client.list_containers(name_starts_with=prefix or None, **left.options).by_page(token)
    page = tuple(next(pages))
    return page, pages.continuation_token
