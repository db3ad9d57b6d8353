"""
What answers about the backup storage hold; as :mod:`.answers`.

No answer has a secret: of an account there is where it is, by what kind of right it is used, and what that right says
of itself.
"""

from __future__ import annotations

from typing import Literal

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.jobs.verification import Severity  # noqa: TC001 - pydantic looks at annotations
from tabvault.storage.server_state.storage_accounts import CredentialKind  # noqa: TC001 - likewise


class Storage(Content):
    """Where backups go."""

    enabled: bool
    account: str | None
    container: str | None


class StorageFinding(Content):
    """What a probe of the backup storage found; `steps` are those that do not work because of it."""

    code: str
    severity: Severity
    message: str
    hint: str | None
    steps: list[str]


class UnfinishedUpload(Content):
    """
    An upload that was begun and not published. Null is what the storage does not tell.

    One that is not ours (`is_ours`) was not begun by this server; it is never resumed or ended.
    """

    name: str
    byte_count: int | None
    block_count: int | None
    begun: Moment | None
    is_ours: bool | None


class StorageCheck(Content):
    """
    A probe of the backup storage. It is `ok` when nothing FAILED, which a storage that can only be read may be.

    `is_removable` is null where that was not seen, and so is what the storage or the credential does not tell.
    """

    account: str
    container: str
    time: Moment
    ok: bool
    is_listable: bool
    is_writable: bool
    is_readable: bool
    is_removable: bool | None
    permissions: str | None
    expires: Moment | None
    clock_skew_s: float | None
    findings: list[StorageFinding]
    unfinished: list[UnfinishedUpload]


class SavedStorage(Storage):
    """Where backups go from now on, and what a probe of it found; null where nothing was tried."""

    check: StorageCheck | None


class StorageAccount(Content):
    """
    A storage account; `storage` is the embedded one, whose `url` is a folder.

    `container` is the only one that the credential opens, null if it opens all; `permissions` are the letters of a SAS,
    and `expires` is its end. What a credential does not tell is null.
    """

    name: str
    kind: Literal["folder", "azure", "s3"]
    url: str
    credential: CredentialKind | None
    container: str | None
    permissions: str | None
    expires: Moment | None


class StorageAccounts(Content):
    """All storage accounts."""

    accounts: list[StorageAccount]


class StorageContainer(Content):
    """A container; when it was changed is null where the account does not tell."""

    name: str
    last_modified: Moment | None


class StorageContainers(Content):
    """Containers, by name."""

    containers: list[StorageContainer]


class StorageNetwork(Content):
    """From where files may be put and got; `words` are those of the portal of Azure. The machine itself always may."""

    public_network_access: Literal["Enabled", "Disabled"]
    default_action: Literal["Allow", "Deny"]
    ip_rules: list[str]
    words: str
