"""
What a failed call to the service means: whether to try again, and the error a user reads.

The service says why in an error code (in the body of its answer, so not on a HEAD). Codes that mean something else
here than their status says stand in one table; for the rest the status decides.

Of the client library's errors only the type, the status and the code are used. Their texts carry addresses, and in
some the string that was signed; they are never repeated, nor are the errors chained.

Sources: "Error responses" (Amazon S3 API reference), "Conditional writes" (409 ConditionalRequestConflict), the error
codes of MinIO (``XMinioStorageFull``) and Ceph (``QuotaExceeded``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tabvault.errors import (
    DiskFullError,
    InvalidNameError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.probing import Explanation, Reason
from tabvault.storage.remote.answers import (
    PASSING_STATUSES,
    code_of,
    is_untrusted,
    later,
    retry_after_s,
    untrusted_hint,
)
from tabvault.storage.remote.patience import Refusal

if TYPE_CHECKING:
    from tabvault.storage.s3.access import S3Access

FAILURES: Final = (
    *(BotoCoreError, ClientError, ResponseParserError, HTTPError, OSError),
    # What the library trips over when the answer is not of this protocol.
    *(TypeError, ValueError, LookupError, AttributeError),
)
"""All that a call of the client library, or reading a body of its, may raise."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of the service: its name in the reference, and the permission that allows it."""

    name: str
    permission: str


HEAD_OBJECT: Final = Operation("HeadObject", "s3:GetObject")
GET_OBJECT: Final = Operation("GetObject", "s3:GetObject")
PUT_OBJECT: Final = Operation("PutObject", "s3:PutObject")
DELETE_OBJECT: Final = Operation("DeleteObject", "s3:DeleteObject")
LIST_OBJECTS: Final = Operation("ListObjectsV2", "s3:ListBucket")
CREATE_UPLOAD: Final = Operation("CreateMultipartUpload", "s3:PutObject")
UPLOAD_PART: Final = Operation("UploadPart", "s3:PutObject")
LIST_PARTS: Final = Operation("ListParts", "s3:ListMultipartUploadParts")
LIST_UPLOADS: Final = Operation("ListMultipartUploads", "s3:ListBucketMultipartUploads")
COMPLETE_UPLOAD: Final = Operation("CompleteMultipartUpload", "s3:PutObject")
ABORT_UPLOAD: Final = Operation("AbortMultipartUpload", "s3:AbortMultipartUpload")
HEAD_BUCKET: Final = Operation("HeadBucket", "s3:ListBucket")
LIST_BUCKETS: Final = Operation("ListBuckets", "s3:ListAllMyBuckets")
CREATE_BUCKET: Final = Operation("CreateBucket", "s3:CreateBucket")


class AnswerError(BotoCoreError):  # type: ignore[misc]  # the library has no types
    """An answer that lacks what every answer of its kind has, or is shorter than it says."""

    fmt = "the answer is not whole"


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[StorageError]
    text: str
    hint: str | None = None
    reason: Reason = "refused"


_NO_SUCH_BUCKET: Final = _Meaning(
    StoreUnavailableError,
    "the bucket is not there",
    "create it (tabvault storage containers create ACCOUNT/BUCKET), or choose another in the storage settings",
    "container_missing",
)
_NO_SUCH_KEY: Final = _Meaning(ObjectNotFoundError, "there is no such object")
_CHANGED: Final = _Meaning(ObjectChangedError, "somebody replaced it meanwhile", "begin again")
_PARTS_GONE: Final = _Meaning(
    ObjectChangedError,
    "parts that were sent are gone",
    "another program ended this upload, or a rule of the bucket did; begin again",
)
_BUCKET_EXISTS: Final = _Meaning(
    ObjectExistsError,
    "a bucket of that name exists already",
    "choose another name: names of buckets are shared by all accounts of the service",
)
_NO_ROOM: Final = _Meaning(
    DiskFullError, "there is no room", "remove old backups, or have the quota raised", "disk_full"
)
_ARCHIVED: Final = _Meaning(
    StorageError, "it lies in an archive, which cannot be read", "restore it to the bucket first (RestoreObject)"
)

_MEANINGS: Final = {
    "NoSuchKey": _NO_SUCH_KEY,
    "NoSuchBucket": _NO_SUCH_BUCKET,
    "PreconditionFailed": _CHANGED,
    "ConditionalRequestConflict": _CHANGED,
    "NoSuchUpload": _PARTS_GONE,
    "InvalidPart": _PARTS_GONE,
    "InvalidObjectState": _ARCHIVED,
    "BucketAlreadyExists": _BUCKET_EXISTS,
    "BucketAlreadyOwnedByYou": _BUCKET_EXISTS,
    "QuotaExceeded": _NO_ROOM,
    "XMinioStorageFull": _NO_ROOM,
    "InsufficientStorage": _NO_ROOM,
    "KeyTooLongError": _Meaning(InvalidNameError, "the service does not take so long a name"),
    "InvalidBucketName": _Meaning(InvalidNameError, "the service does not take that name for a bucket"),
    "NotImplemented": _Meaning(
        StorageError,
        "the service cannot do that",
        "it has to know conditional writes (If-None-Match and If-Match on PutObject and CompleteMultipartUpload)",
    ),
}

_RIGHTS: Final[dict[str, tuple[str, str, Reason]]] = {
    "InvalidAccessKeyId": (
        "the service does not know the access key id",
        "check the key, or make a new one",
        "signature",
    ),
    "SignatureDoesNotMatch": (
        "the service does not recognise the signature",
        "the secret access key is wrong, or a proxy changes the request",
        "signature",
    ),
    "RequestTimeTooSkewed": (
        "this machine's clock is wrong",
        "set the clock: it may differ by 15 minutes at most",
        "signature",
    ),
    "ExpiredToken": ("the key has expired", "make a new one", "expired"),
    "AccountProblem": ("the service has a problem with the account", "ask the provider of the service", "denied"),
    "AllAccessDisabled": ("access to the bucket is disabled", "ask the provider of the service", "denied"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "set the region of the bucket", "denied"),
}

_PASSING_CODES: Final = frozenset(
    {"BadDigest", "IncompleteBody", "InternalError", "OperationAborted", "RequestTimeout", "SlowDown", "Throttling"}
)


class S3Refusal(Refusal):
    """
    A call that failed for good, and why.

    Attributes:
        explanation: what ``error`` says, without the call and the object.
    """

    def __init__(
        self,
        error: type[StorageError],
        what: str,
        explanation: Explanation,
        *,
        code: str = "",
        is_passing: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        told = error(f"{what}: {explanation.text}", hint=explanation.hint)
        super().__init__(told, code=code, is_passing=is_passing, retry_after_s=retry_after_s)
        self.explanation = explanation


def refusal_of(error: Exception, *, operation: Operation, name: str, access: S3Access) -> S3Refusal:
    """
    What *error* of the client library (one of ``FAILURES``) means.

    Args:
        error: read, never kept.
        operation: the call that failed.
        name: the object it was about, or empty.
        access: the bucket, or the service.
    """
    what = f"{operation.name} of {name or access.place}"
    if not isinstance(error, ClientError):
        return _unanswered(error, what, access)
    status, code = _status(error), _code(error)
    shown = f"{status} {code}".rstrip()
    meaning = _MEANINGS.get(code)
    if meaning is None and status in {404, 412}:
        meaning = _CHANGED if status == 412 else _NO_SUCH_KEY if name else _NO_SUCH_BUCKET
    if meaning is not None:
        place = f" ({access.place})" if meaning.error is StoreUnavailableError and name else ""
        explanation = Explanation(meaning.reason, f"{meaning.text}{place} ({shown})", meaning.hint)
        return S3Refusal(meaning.error, what, explanation, code=code)
    if code in _RIGHTS or status in {401, 403}:
        needed = f"the key needs the permission {operation.permission} on {access.place}"
        text, hint, reason = _RIGHTS.get(code, ("the service denies it", needed, "permission"))
        return S3Refusal(StorageAccessError, what, Explanation(reason, f"{text} ({shown})", hint), code=code)
    if status in PASSING_STATUSES or code in _PASSING_CODES:
        return S3Refusal(
            StoreUnavailableError,
            what,
            Explanation("unavailable", f"the service could not do it ({shown})", later(access.url)),
            code=code,
            is_passing=True,
            retry_after_s=_retry_after_s(error),
        )
    if 300 <= status < 400:
        hint = "check URL and region of the storage account"
        explanation = Explanation("refused", f"the service is elsewhere ({shown})", hint)
        return S3Refusal(StorageError, what, explanation, code=code)
    return S3Refusal(StorageError, what, Explanation("refused", f"the service refused ({shown})", None), code=code)


def _unanswered(error: Exception, what: str, access: S3Access) -> S3Refusal:
    """No answer, or half of one, or none of this protocol."""
    if isinstance(error, SSLError) and is_untrusted(error):
        hint = untrusted_hint("AWS_CA_BUNDLE")
        explanation = Explanation("certificate", f"the certificate of {access.url} is not trusted", hint)
        return S3Refusal(StoreUnavailableError, what, explanation)
    is_unreached = isinstance(error, EndpointConnectionError | ConnectTimeoutError | ProxyConnectionError)
    explanation = Explanation(
        "unreachable" if is_unreached else "unavailable",
        f"{access.url} {'cannot be reached' if is_unreached else 'did not answer, or only in part'}",
        later(access.url),
    )
    return S3Refusal(StoreUnavailableError, what, explanation, is_passing=True)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    """The service's error code. On a HEAD the library puts the status in its place, which is none."""
    text = str(error.response.get("Error", {}).get("Code", ""))
    return "" if text.isdigit() else code_of(text)


def _retry_after_s(error: ClientError) -> float | None:
    headers: dict[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return retry_after_s(str(headers.get("retry-after", "")))
