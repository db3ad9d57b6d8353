"""
The lease on an object that is being replaced: nobody else replaces or deletes it meanwhile.

An upload that replaces takes it before it sends anything, for a minute at a time, renews it in a thread, and gives it
back when it ends, however it ends. After a crash it runs out by itself within the minute. Its id is derived from the
upload key, and Lease Blob with the id of the lease that is held already renews it: so a second try with the same key
is not locked out by the first. Uploads without a key share one id in a process: they lock out other processes, and of
several in one process the condition of the block list chooses.

It is a courtesy to other writers, and no condition for a correct result, which the condition of the block list is. So
whoever may not take a lease (a SAS by its letters, a policy) goes on without one; and one that ran out while the
machine slept is taken again, if it can be had.

Source: "Lease Blob" (Azure Storage REST reference).
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Final, Self

from azure.storage.blob import BlobLeaseClient

from tabvault.errors import ObjectNotFoundError, StorageError
from tabvault.storage.azure.refusals import Operation
from tabvault.storage.remote.patience import Refusal
from tabvault.storage.remote.wire import Stop

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from tabvault.storage.azure.caller import Caller

LEASE_BLOB: Final = Operation("Lease Blob", "w")

DURATION_S: Final = 60
"""The longest that ends by itself."""

_RENEWAL_S: Final = 20.0
"""Two renewals may fail."""

LOST_CODES: Final = frozenset({"LeaseLost", "LeaseNotPresentWithBlobOperation", "LeaseIdMismatchWithBlobOperation"})
"""What the service answers to one who gives the id of a lease that is over."""


class BlobLease:
    """
    A lease that is held until :meth:`release`. Get it from :meth:`acquire`.

    Args:
        blob: the object's blob.
        name: the object's name.
        caller: calls the service.
        lease_id: a UUID.
    """

    def __init__(self, blob: BlobClient, name: str, caller: Caller, lease_id: str) -> None:
        self._name = name
        self._caller = caller
        self._client = BlobLeaseClient(blob, lease_id=lease_id)
        self._ended = Stop()  # a cancelled job sets it too, whose lease is to be given back all the same
        self._is_released = False
        self._renewer = threading.Thread(target=self._renew, name="azure-lease", daemon=True)

    @classmethod
    def acquire(cls, blob: BlobClient, name: str, caller: Caller, *, key: bytes) -> Self | None:
        """
        Take the lease; None where that is not allowed, or the object went meanwhile.

        Args:
            blob: the object's blob.
            name: the object's name.
            caller: calls the service.
            key: 16 bytes, of which the id is made.

        Raises:
            StorageError: somebody else holds one.
            Refusal: the service failed.
        """
        lease = cls(blob, name, caller, str(uuid.UUID(bytes=key, version=4)))
        try:
            lease.take()
        except Refusal as refusal:
            if refusal.code == "LeaseAlreadyPresent":
                raise _held_by_another(name) from None
            if refusal.code == "AuthorizationPermissionMismatch" or isinstance(refusal.error, ObjectNotFoundError):
                return None
            if refusal.may_have_happened:
                lease.release()
            raise
        lease._renewer.start()
        return lease

    @property
    def id(self) -> str:
        """What calls that change the object have to give."""
        return self._client.id

    def take(self) -> None:
        """
        Acquire it, or acquire it again.

        Raises:
            Refusal: somebody else holds one, or the service failed.
        """
        self._caller.run(
            LEASE_BLOB, self._name, lambda left: self._client.acquire(lease_duration=DURATION_S, **left.options)
        )

    def release(self) -> None:
        """Give it back, if the service hears of it at once; else it runs out. Twice is allowed."""
        if self._is_released:
            return
        self._is_released = True
        self._ended.set()
        self._caller.clear_up(LEASE_BLOB, self._name, lambda left: self._client.release(**left.options))

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWAL_S):
            try:
                self._caller.run(
                    LEASE_BLOB, self._name, lambda left: self._client.renew(**left.options), stop=self._ended
                )
            except Refusal:
                continue  # whoever needs it takes it again, or learns that he cannot


def _held_by_another(name: str) -> StorageError:
    return StorageError(
        f"{name} is being replaced by another program, or held by a lease",
        hint=f"try again when that has ended; the lease of a program that died runs out within {DURATION_S} seconds",
    )
