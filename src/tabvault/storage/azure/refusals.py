"""
What a failed call to the service means: whether to try again, and the error a user reads.

The service says why in an error code (``x-ms-error-code``, on a HEAD too). Those that mean something else here than
their status says are in :mod:`~tabvault.storage.azure.refusal_words`; for the rest the status decides. A refusal for
lack of rights (401, 403) is explained from what is known of the credential as well, since the service does not tell an
expired SAS from a wrong one in every answer.

Of the client library's errors only the type, the status and the code are used. Their texts carry addresses with
signatures, or the string that was signed, and are never repeated; nor are the errors chained. The one thing taken out
of a text is the address from which the service saw this server, if what stands there is an address.

Sources: "Status and error codes" and "Blob service error codes" (Azure Storage REST reference), measured answers of
the emulator (which says ``AuthorizationFailure`` for a wrong signature, where Azure means network rules).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from tabvault.errors import (
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.azure.refusal_words import MEANINGS, RIGHTS
from tabvault.storage.probing import Explanation
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
    from tabvault.storage.azure.access import AccountAccess


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
LIST_CONTAINERS: Final = Operation("List Containers", "l")
CREATE_CONTAINER: Final = Operation("Create Container", "c")

_LETTER_NAMES: Final = {"r": "read", "l": "list", "w": "write", "d": "delete", "c": "create"}


class AzureRefusal(Refusal):
    """
    A call that failed for good, and why.

    Attributes:
        explanation: what ``error`` says, without the call and the object.
    """

    def __init__(
        self,
        error: StorageError,
        explanation: Explanation,
        *,
        code: str = "",
        is_passing: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(error, code=code, is_passing=is_passing, retry_after_s=retry_after_s)
        self.explanation = explanation


_SIGNATURE_TEXT: Final = "failed to authenticate"


def refusal_of(error: AzureError, *, operation: Operation, name: str, access: AccountAccess) -> AzureRefusal:
    """
    What *error* of the client library means.

    Args:
        error: read, never kept.
        operation: the call that failed.
        name: the object it was about, or empty.
        access: the container or the account.
    """
    what = f"{operation.name} of {name or access.place}"
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    code = _code(error, response) if response is not None else ""
    # Whoever gives the tokens answers with a status too, but without a code of the storage service.
    if response is None or (isinstance(error, ClientAuthenticationError) and not code):
        return _unanswered(error, what, access)
    status = int(response.status_code or 0)
    shown = f"{status} {code}".rstrip()
    if code in MEANINGS:
        meaning = MEANINGS[code]
        place = f" ({access.place})" if meaning.error is StoreUnavailableError else ""
        explanation = Explanation(meaning.reason, f"{meaning.text}{place}", meaning.hint)
        return _refusal(meaning.error, what, explanation, shown, code)
    if status in {401, 403}:
        return _refusal(StorageAccessError, what, _rights(code, operation, access, error.message), shown, code)
    if status in PASSING_STATUSES or code == "Md5Mismatch":
        explanation = Explanation("unreachable", f"the service could not do it ({shown})", later(access.account_url))
        return AzureRefusal(
            StoreUnavailableError(f"{what}: {explanation.text}", hint=explanation.hint),
            explanation,
            code=code,
            is_passing=True,
            retry_after_s=retry_after_s(response.headers.get("Retry-After")),
        )
    if status in {404, 412}:
        meaning = MEANINGS["BlobNotFound" if status == 404 else "ConditionNotMet"]
        explanation = Explanation(meaning.reason, meaning.text, meaning.hint)
        return _refusal(meaning.error, what, explanation, shown, code)
    # The status belongs to the text here: it is all there is to say.
    explanation = Explanation("refused", f"the service refused ({shown})", None)
    return AzureRefusal(StorageError(f"{what}: {explanation.text}"), explanation, code=code)


def _refusal(error: type[StorageError], what: str, explanation: Explanation, shown: str, code: str) -> AzureRefusal:
    """One that no repetition changes; *shown* is what the service said."""
    message = f"{what}: {explanation.text} ({shown})"
    return AzureRefusal(error(message, hint=explanation.hint), explanation, code=code)


def _unanswered(error: AzureError, what: str, access: AccountAccess) -> AzureRefusal:
    """No answer, or half of one: the network, TLS, or whoever gives the tokens."""
    if is_untrusted(error):
        explanation = Explanation(
            "certificate",
            f"the certificate of {access.account_url} is not trusted",
            untrusted_hint("REQUESTS_CA_BUNDLE"),
        )
        return AzureRefusal(StoreUnavailableError(f"{what}: {explanation.text}", hint=explanation.hint), explanation)
    if isinstance(error, ClientAuthenticationError):
        explanation = Explanation(
            "no_token",
            f"{type(access.credential).__name__} gives no token for Azure Storage",
            "check the identity: its tenant, its secret, or whether this machine has one",
        )
        return AzureRefusal(StorageAccessError(f"{what}: {explanation.text}", hint=explanation.hint), explanation)
    reason = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer, or only in part"
    explanation = Explanation("unreachable", f"{access.account_url} {reason}", later(access.account_url))
    return AzureRefusal(
        StoreUnavailableError(f"{what}: {explanation.text}", hint=explanation.hint), explanation, is_passing=True
    )


def _rights(code: str, operation: Operation, access: AccountAccess, message: str) -> Explanation:
    """Why 401 or 403; *message* is the service's, and only looked into."""
    sas = access.sas
    now = datetime.now(UTC)
    if sas is not None and sas.expires is not None and sas.expires <= now:
        text = f"the SAS expired at {sas.expires:%Y-%m-%d %H:%M} UTC"
        return Explanation("expired", text, "make a new SAS and save it in the settings")
    if sas is not None and sas.begins is not None and sas.begins > now:
        text = f"the SAS begins at {sas.begins:%Y-%m-%d %H:%M} UTC"
        return Explanation("not_yet_valid", text, "wait, or set this machine's clock")
    if code == "AuthorizationFailure" and _SIGNATURE_TEXT in message:
        code = "AuthenticationFailed"
    if code == "AuthorizationSourceIPMismatch" and (address := _source_address(message)) is not None:
        known = RIGHTS[code]
        return Explanation(known.reason, f"{known.text}, which the service sees as {address}", known.hint)
    if code in RIGHTS:
        return RIGHTS[code]
    if access.is_by_identity:
        hint = "give it Storage Blob Data Contributor on the container"
        return Explanation("permission", f"the identity has no role for {operation.name}", hint)
    if code == "AuthorizationPermissionMismatch" and sas is not None:
        needed = f"{operation.letter} ({_LETTER_NAMES[operation.letter]})"
        has = f", it has {sas.permissions}" if sas.permissions else ""
        text = f"the SAS lacks the permission {needed}{has}"
        hint = "make a SAS with the letters r, w, d and l"
        if operation is LIST_CONTAINERS:
            hint = "name the container yourself, or make a SAS of the whole account"
        return Explanation("permission", text, hint)
    hint = "check the key or the SAS, and the network rules of the account"
    return Explanation("denied", "the service denies it", hint)


def _source_address(message: str) -> str | None:
    """The address in *message*, "… using this source IP {address}.", if it is one."""
    found = re.search(r"source IP ([0-9A-Fa-f.:]{2,45}?)\.?(?:\s|$)", message)
    try:
        return None if found is None else str(ipaddress.ip_address(found[1]))
    except ValueError:
        return None


def _code(error: AzureError, response: Any) -> str:
    """The service's error code; the library gives it as text or as a member of an enumeration."""
    code = getattr(error, "error_code", None) or response.headers.get("x-ms-error-code") or ""
    text = str(getattr(code, "value", code))
    return code_of(text)
