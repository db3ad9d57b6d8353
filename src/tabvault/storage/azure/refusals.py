"""
What a failed call to the service means: whether to try again, and the error a user reads.

The service says why in an error code (``x-ms-error-code``, on a HEAD too). Codes that mean something else here than
their status says stand in one table; for the rest the status decides. A refusal for lack of rights (401, 403) is
explained from what is known of the credential as well, since the service does not tell an expired SAS from a wrong
one in every answer.

Of the client library's errors only the type, the status and the code are used. Their texts carry addresses with
signatures, or the string that was signed, and are never repeated; nor are the errors chained.

Sources: "Status and error codes" and "Blob service error codes" (Azure Storage REST reference), measured answers of
the emulator (which says ``AuthorizationFailure`` for a wrong signature, where Azure means network rules).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from tabvault.errors import ObjectExistsError, ObjectNotFoundError, StorageError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.storage.azure.access import ContainerAccess

PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What the service may answer otherwise in a moment."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of the service: its name in the reference, and the letter of a SAS that allows it."""

    name: str
    letter: str


GET_PROPERTIES: Final = Operation("Get Blob Properties", "r")
GET_BLOB: Final = Operation("Get Blob", "r")
GET_BLOCK_LIST: Final = Operation("Get Block List", "r")
PUT_BLOCK: Final = Operation("Put Block", "w")
PUT_BLOCK_LIST: Final = Operation("Put Block List", "w")
LIST_BLOBS: Final = Operation("List Blobs", "l")
DELETE_BLOB: Final = Operation("Delete Blob", "d")

_LETTER_NAMES: Final = {"r": "read", "l": "list", "w": "write", "d": "delete"}


class Refusal(Exception):  # noqa: N818 - it never gets out of this package: it carries the error that does
    """
    A call that failed for good.

    Attributes:
        error: for the caller of the store.
        code: the service's error code, or empty.
        is_passing: the same call may succeed in a moment.
        may_have_happened: this or an earlier attempt may have had its effect, only its answer was lost.
        retry_after_s: the service's wish, or None.
    """

    def __init__(
        self, error: StorageError, *, code: str = "", is_passing: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code)
        self.error = error
        self.code = code
        self.is_passing = is_passing
        self.may_have_happened = is_passing
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[StorageError]
    text: str
    hint: str | None = None


_MEANINGS: Final = {
    "BlobNotFound": _Meaning(ObjectNotFoundError, "there is no such object"),
    "ResourceNotFound": _Meaning(ObjectNotFoundError, "there is no such object"),
    "BlobAlreadyExists": _Meaning(
        ObjectExistsError, "it exists already", "choose another name, or ask for overwriting"
    ),
    "ContainerNotFound": _Meaning(
        StoreUnavailableError, "the container is not there", "create it, or choose another in the storage settings"
    ),
    "ContainerBeingDeleted": _Meaning(
        StoreUnavailableError, "the container is being deleted", "choose another in the storage settings"
    ),
    "ContainerDisabled": _Meaning(StoreUnavailableError, "the container was disabled by its administrator"),
    "AccountIsDisabled": _Meaning(StoreUnavailableError, "the storage account is disabled"),
    "BlobArchived": _Meaning(
        StorageError, "it lies in the archive tier, which cannot be read", "rehydrate it to the hot or cool tier first"
    ),
    "BlobBeingRehydrated": _Meaning(StorageError, "it is on its way out of the archive tier", "try again in hours"),
    "BlobImmutableDueToPolicy": _Meaning(
        StorageError, "an immutability policy or a legal hold protects it", "wait until the policy ends"
    ),
    "LeaseIdMissing": _Meaning(StorageError, "another program holds a lease on it", "wait, or break the lease"),
    "LeaseIdMismatchWithBlobOperation": _Meaning(StorageError, "another program holds a lease on it"),
    "SnapshotsPresent": _Meaning(StorageError, "it has snapshots", "delete them first, in the Azure portal"),
    "ConditionNotMet": _Meaning(StorageError, "somebody replaced it meanwhile", "begin again"),
    "InvalidBlockList": _Meaning(
        StorageError,
        "blocks that were staged are gone",
        "another upload of this name was published meanwhile, or a week has passed; begin again",
    ),
    "InvalidBlobOrBlock": _Meaning(
        StorageError,
        "another program left blocks of another kind under this name",
        "use another name; the service forgets such blocks after a week",
    ),
    "BlockCountExceedsLimit": _Meaning(
        StorageError, "too many abandoned blocks lie under this name", "use another name; they expire after a week"
    ),
    "InvalidBlobType": _Meaning(StorageError, "it is no block blob", "choose another name"),
}

_RIGHTS: Final = {
    "AuthenticationFailed": (
        "the service does not recognise the signature",
        "the key was renewed, the SAS was revoked or cut, or this machine's clock is wrong",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        "access by account key or by a SAS signed with it is switched off for the storage account",
        "allow storage account key access, or use an identity or a user delegation SAS",
    ),
    "AuthorizationFailure": (
        "the network rules of the storage account do not let this server in",
        "add its outbound address under Networking, Selected networks; rules do not hold in the account's own region",
    ),
    "AuthorizationSourceIPMismatch": ("the SAS is not for this server's address", "make one without sip="),
    "AuthorizationProtocolMismatch": ("the SAS is for https only", "use the https address"),
    "AuthorizationResourceTypeMismatch": ("the SAS is not for a container and its blobs", "make a container SAS"),
    "AuthorizationServiceMismatch": ("the SAS is not for the blob service", "make a container SAS"),
    "UnauthorizedBlobOverwrite": (
        "the SAS allows new objects only, and this one exists",
        "make one with the letter w (write)",
    ),
}

_SIGNATURE_TEXT: Final = "failed to authenticate"


def refusal_of(error: AzureError, *, operation: Operation, name: str, access: ContainerAccess) -> Refusal:
    """
    What *error* of the client library means.

    Args:
        error: read, never kept.
        operation: the call that failed.
        name: the object it was about, or empty.
        access: the container.
    """
    what = f"{operation.name} of {name or access.place}"
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    code = _code(error, response) if response is not None else ""
    # Whoever gives the tokens answers with a status too, but without a code of the storage service.
    if response is None or (isinstance(error, ClientAuthenticationError) and not code):
        return _unanswered(error, what, access)
    status = int(response.status_code or 0)
    shown = f"{status} {code}".rstrip()
    if code in _MEANINGS:
        meaning = _MEANINGS[code]
        place = f" ({access.place})" if meaning.error is StoreUnavailableError else ""
        return Refusal(meaning.error(f"{what}: {meaning.text}{place} ({shown})", hint=meaning.hint), code=code)
    if status in {401, 403}:
        text, hint = _rights(code, operation, access, is_signature=_SIGNATURE_TEXT in error.message)
        return Refusal(StorageError(f"{what}: {text} ({shown})", hint=hint), code=code)
    if status in PASSING_STATUSES or code == "Md5Mismatch":
        return Refusal(
            StoreUnavailableError(f"{what}: the service could not do it ({shown})", hint=_later(access)),
            code=code,
            is_passing=True,
            retry_after_s=_seconds(response.headers.get("Retry-After")),
        )
    if status in {404, 412}:
        meaning = _MEANINGS["BlobNotFound" if status == 404 else "ConditionNotMet"]
        return Refusal(meaning.error(f"{what}: {meaning.text} ({shown})", hint=meaning.hint), code=code)
    return Refusal(StorageError(f"{what}: the service refused ({shown})"), code=code)


def _unanswered(error: AzureError, what: str, access: ContainerAccess) -> Refusal:
    """No answer, or half of one: the network, TLS, or whoever gives the tokens."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        hint = "install the certificate authority, or set SSL_CERT_FILE"
        return Refusal(
            StoreUnavailableError(f"{what}: the certificate of {access.account_url} is not trusted", hint=hint)
        )
    if isinstance(error, ClientAuthenticationError):
        return Refusal(
            StorageError(
                f"{what}: {type(access.credential).__name__} gives no token for Azure Storage",
                hint="check the identity: its tenant, its secret, or whether this machine has one",
            )
        )
    reason = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer, or only in part"
    return Refusal(
        StoreUnavailableError(f"{what}: {access.account_url} {reason}", hint=_later(access)), is_passing=True
    )


def _rights(code: str, operation: Operation, access: ContainerAccess, *, is_signature: bool) -> tuple[str, str]:
    """Why 401 or 403, and the way out."""
    sas = access.sas
    now = datetime.now(UTC)
    if sas is not None and sas.expires is not None and sas.expires <= now:
        return f"the SAS expired at {sas.expires:%Y-%m-%d %H:%M} UTC", "make a new SAS and save it in the settings"
    if sas is not None and sas.begins is not None and sas.begins > now:
        return f"the SAS begins at {sas.begins:%Y-%m-%d %H:%M} UTC", "wait, or set this machine's clock"
    if code == "AuthorizationFailure" and is_signature:
        code = "AuthenticationFailed"
    if code in _RIGHTS:
        return _RIGHTS[code]
    if access.is_by_identity:
        return "the identity has no role for it", "give it Storage Blob Data Contributor on the container"
    if code == "AuthorizationPermissionMismatch" and sas is not None:
        needed = f"{operation.letter} ({_LETTER_NAMES[operation.letter]})"
        has = f", it has {sas.permissions}" if sas.permissions else ""
        return f"the SAS lacks the permission {needed}{has}", "make a SAS with the letters r, w, d and l"
    return "the service denies it", "check the key or the SAS, and the network rules of the account"


def _code(error: AzureError, response: Any) -> str:
    """The service's error code; the library gives it as text or as a member of an enumeration."""
    code = getattr(error, "error_code", None) or response.headers.get("x-ms-error-code") or ""
    text = str(getattr(code, "value", code))
    # Whoever stands between (a proxy) may answer with anything.
    return text if text.isalnum() and text.isascii() and len(text) <= 80 else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it came from; the libraries below keep that in their arguments as well."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None)]


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else None


def _later(access: ContainerAccess) -> str:
    return f"check the network and the state of {access.account_url}, then try again"
