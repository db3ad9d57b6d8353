"""
A service that speaks S3, as a storage account: its buckets are the containers.

Only buckets whose names are containers' names (:mod:`tabvault.storage.names`) are taken and listed: no dots.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tabvault.errors import ObjectExistsError
from tabvault.storage.contract import ContainerInfo
from tabvault.storage.names import is_container_name
from tabvault.storage.remote.patience import Patience, Refusal
from tabvault.storage.s3.access import access_by_key
from tabvault.storage.s3.caller import Caller
from tabvault.storage.s3.refusals import CREATE_BUCKET, HEAD_BUCKET, LIST_BUCKETS
from tabvault.storage.s3.store import S3BucketStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = Patience()
_HOME_REGION: Final = "us-east-1"
"""The one that a request for a bucket must not name."""


class S3Account:
    """
    A :class:`~tabvault.storage.contract.StorageAccount` over the buckets of one key.

    Args:
        url: of the service, without a bucket.
        region: that requests are signed for, and new buckets are made in.
        access_key_id: the half of the key that may be shown.
        secret: the other half.
        notes_folder: as for :class:`S3BucketStore`.
        patience: how long the service is asked again.

    Raises:
        StorageError: one of them cannot be what it is said to be; the message does not repeat the key.
    """

    def __init__(
        self,
        url: str,
        *,
        region: str,
        access_key_id: str,
        secret: str,
        notes_folder: Path | None = None,
        patience: Patience = _PATIENCE,
    ) -> None:
        self._access = access_by_key(url, region=region, access_key_id=access_key_id, secret=secret)
        self._notes_folder = notes_folder
        self._patience = patience
        self._caller = Caller(self._access, patience)

    def __repr__(self) -> str:
        return f"S3Account({self._access.place})"

    def containers(self, prefix: str = "") -> Iterator[ContainerInfo]:
        """
        The buckets, ordered by name; see the contract.

        Raises:
            StorageAccessError: the key may not list them (``s3:ListAllMyBuckets``): the bucket's name has to be given.
        """
        try:
            answer = self._caller.ask(LIST_BUCKETS, needs=("Buckets",))
        except Refusal as refusal:
            if refusal.code == "AccessDenied":
                refusal.error.hint = "give the name of the bucket, or give the key the permission s3:ListAllMyBuckets"
            raise refusal.error from None
        infos = (ContainerInfo(bucket["Name"], _utc(bucket.get("CreationDate"))) for bucket in answer["Buckets"])
        wanted = (info for info in infos if info.name.startswith(prefix) and is_container_name(info.name))
        return iter(sorted(wanted, key=lambda info: info.name))

    def create_container(self, name: str) -> ContainerInfo:
        """Make a bucket in the region of the account; see the contract."""
        caller = Caller(self._access.of_bucket(name), self._patience)
        try:
            # Amazon's oldest region answers as if it had made a bucket that is there already.
            if _is_taken(caller):
                raise ObjectExistsError(f"a bucket {name} exists already", hint="choose another name")
            region = self._access.region
            elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}}
            caller.ask(CREATE_BUCKET, "", {} if region == _HOME_REGION else elsewhere)
        except Refusal as refusal:
            raise refusal.error from None
        finally:
            caller.close()
        return ContainerInfo(name, datetime.now(UTC))

    def container(self, name: str) -> S3BucketStore:
        """Open a bucket, whose first use tells whether it is there; see the contract."""
        return S3BucketStore(self._access.of_bucket(name), notes_folder=self._notes_folder, patience=self._patience)

    def close(self) -> None:
        """Close the connections of the account; buckets that were opened have their own."""
        self._caller.close()


def _is_taken(caller: Caller) -> bool:
    """Whether there is a bucket of that name that is ours."""
    try:
        caller.ask(HEAD_BUCKET)
    except Refusal:
        return False  # or it cannot be told: making it does
    return True


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
