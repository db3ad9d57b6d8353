"""
An upload with a SAS that allows new objects only (:mod:`~tabvault.storage.azure.append_only`): one Put Blob.

Put Blob wants to know length and MD5 before the first byte, and the head of an object is known last. So everything is
written to an unnamed temporary file first, and sent when it is whole:

====  ==================================================  =========================================================
step  what was done                                       what a crash leaves
====  ==================================================  =========================================================
1     the object written to a temporary file without a    nothing
      name; its head filled in
2     Put Blob with ``If-None-Match: *``, length and      the object, whole, or nothing: what does not have the
      MD5, repeated from the first byte                   length or the MD5 that was announced is no object
====  ==================================================  =========================================================

The answer of step 2 may be lost, and its repetition meets what the first attempt made. The token of the upload in the
metadata (``tabvault_upload``) tells the two cases apart, if the SAS allows to see it: by ``r`` (read), or by ``l``, for
a listing shows metadata too. With neither it cannot be told, and the error says that.

Before step 1 an object of that name is looked for, lest so much be sent in vain: by what the SAS allows to see, else by
a Put Blob that cannot succeed because its MD5 is wrong.

What is refused because the name is taken: 409 ``BlobAlreadyExists``, or 403 ``UnauthorizedBlobOverwrite`` where rights
are looked at first. The emulator says 403 ``AuthorizationPermissionMismatch`` (measured). That is taken for the same,
unless the SAS is one of an identity (user delegation), whose roles may be what lacks: a letter that is in a signature
by key cannot.

The client library has no way to send a file by one Put Blob (it reads the whole into memory, or sends blocks), so the
request is made here; the SAS is all it needs by way of authentication.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import tempfile
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from azure.core import PipelineClient
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.core.rest import HttpRequest, HttpResponse

from tabvault.errors import DiskFullError, ObjectExistsError, ObjectNotFoundError, StorageAccessError, StorageError
from tabvault.storage.azure.append_only import BYTE_COUNT_MAX
from tabvault.storage.azure.client import WatchedTransport
from tabvault.storage.azure.published import UNSEEN, Unseen, object_info
from tabvault.storage.azure.refusals import GET_PROPERTIES, LIST_BLOBS, Operation
from tabvault.storage.azure.upload import UPLOAD_TOKEN
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.durable import write_all_at
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.remote.entity_tags import unquoted
from tabvault.storage.remote.patience import HURRIED_S, Refusal
from tabvault.storage.remote.wire import Stop, outlasting_stops
from tabvault.storage.upload import OpenUpload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from azure.storage.blob import BlobProperties, ContainerClient

    from tabvault.storage.azure.caller import Caller, TimeLeft

PUT_BLOB: Final = Operation("Put Blob", "c")

_CREATED: Final = 201
_NO_PERMISSION: Final = "AuthorizationPermissionMismatch"
_NAME_IS_TAKEN: Final = frozenset({"BlobAlreadyExists", "UnauthorizedBlobOverwrite"})
_WAY_OUT: Final = (
    "make a SAS with w (write); what forbids overwriting then is a version-level immutability policy of the container"
)


class SingleUpload(OpenUpload):
    """
    An :class:`~tabvault.storage.contract.Upload` by one Put Blob. Get it from :meth:`AzureBlobStore.create`.

    Args:
        container: by a SAS.
        name: the object's name, checked and spelled out.
        caller: calls the service.
        replace: whether an object of that name were to give way, which is refused.
        head_byte_count: bytes at the front that :meth:`finish` fills in.
        facts: metadata of the object, in ASCII.
        is_delegated: whether the SAS is signed for an identity, not by a key.
        looks_first: whether an object of that name is to be refused before anything is sent, where it can be seen.

    Raises:
        StorageAccessError: it is to replace.
        ObjectExistsError: there is an object of that name.
        StorageError: the service failed, or there is no temporary file to be had.
    """

    def __init__(
        self,
        container: ContainerClient,
        name: str,
        caller: Caller,
        *,
        replace: bool,
        head_byte_count: int,
        facts: Mapping[str, str],
        is_delegated: bool,
        looks_first: bool,
    ) -> None:
        if replace:
            raise StorageAccessError(
                f"{name} cannot be written for overwriting: the SAS allows new objects only, for it has c and not w",
                hint="choose a new name and do not ask for overwriting, or make a SAS with w (write)",
            )
        super().__init__(name, head_byte_count=head_byte_count)
        self._container = container
        self._blob = container.get_blob_client(name)
        self._caller = caller
        self._facts = facts
        self._is_delegated = is_delegated
        self._token = secrets.token_hex(16)
        self._end = head_byte_count
        self._stop = Stop()
        if looks_first:
            self._check_absent()
        with _file_errors(name):
            # Unbuffered: a buffer that does not fit on the disk would fail once more when it is closed.
            self._file = tempfile.TemporaryFile(buffering=0, prefix="tabvault-")  # noqa: SIM115 - until the end

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*; see the contract."""
        self._check_open()
        rest = memoryview(data).cast("B")
        if self._end + len(rest) > BYTE_COUNT_MAX:
            self.abort()
            raise StorageError(
                f"{self._name} becomes larger than {BYTE_COUNT_MAX >> 20} MiB, the most that a SAS with c and not w "
                "can write",
                hint=_WAY_OUT,
            )
        try:
            with _file_errors(self._name):
                write_all_at(self._file.fileno(), rest, self._end)
        except StorageError:
            self.abort()
            raise
        self._end += len(rest)

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Fill in the head and send everything; see the contract."""
        self._check_open()
        is_written = self._end > self._head_byte_count
        self._check_head(head, is_written=is_written)
        byte_count = self._end if is_written else len(head)
        try:
            with _file_errors(self._name):
                write_all_at(self._file.fileno(), head, 0)
                self._file.seek(0)
                digest = hashlib.file_digest(self._file, lambda: hashlib.md5(usedforsecurity=False))
            return self._send(byte_count, digest.digest())
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of everything; see the contract."""
        self._is_open = False
        self._stop.set()
        self._file.close()

    def _send(self, byte_count: int, md5: bytes) -> ObjectInfo:
        """Put Blob."""
        # A file without bytes would be sent without a length.
        request = self._request(self._file if byte_count else b"", byte_count, md5)

        def put(left: TimeLeft) -> ObjectInfo:
            self._file.seek(0)
            return self._created(client.send_request(request, **left.options), byte_count)

        with self._client() as client:
            try:
                return self._caller.run(PUT_BLOB, self._name, put, stop=self._stop, sent_byte_count=byte_count)
            except Refusal as refusal:
                return self._after_refusal(refusal)

    def _client(self) -> PipelineClient[HttpRequest, HttpResponse]:
        """Without policies: what is repeated, and after which pause, the caller decides."""
        return PipelineClient(self._blob.url, policies=[], transport=WatchedTransport())

    def _request(self, content: BinaryIO | bytes, byte_count: int, md5: bytes) -> HttpRequest:
        headers = {
            "x-ms-version": self._blob.api_version,
            "x-ms-blob-type": "BlockBlob",
            "x-ms-blob-content-type": "application/octet-stream",
            "If-None-Match": "*",
            "Content-Length": str(byte_count),
            "Content-MD5": base64.b64encode(md5).decode(),
            **{f"x-ms-meta-{name}": value.strip() for name, value in self._facts.items()},
            f"x-ms-meta-{UPLOAD_TOKEN}": self._token,
        }
        return HttpRequest("PUT", self._blob.url, headers=headers, content=content)

    def _created(self, response: HttpResponse, byte_count: int) -> ObjectInfo:
        """
        What the answer to Put Blob says of the object.

        Raises:
            AzureError: there is none.
        """
        if response.status_code != _CREATED:
            raise _refused(response)
        try:
            last_modified = parsedate_to_datetime(response.headers["Last-Modified"])
            return ObjectInfo(self._name, byte_count, last_modified, unquoted(response.headers["ETag"]))
        except (KeyError, ValueError):
            raise ServiceResponseError("an answer to Put Blob without its time or tag") from None

    def _after_refusal(self, refusal: Refusal) -> ObjectInfo:
        """
        What the refusal of Put Blob means: our own object whose answer was lost, or somebody else's.

        Raises:
            StorageError: not ours, or that cannot be told.
        """
        is_taken = self._is_taken(refusal)
        if refusal.may_have_happened:
            try:
                with outlasting_stops(HURRIED_S, even_set=True):
                    there = self._look()
            except Refusal:
                there = UNSEEN
            if isinstance(there, Unseen):
                raise (self._perhaps_ours() if is_taken else refusal.error) from None
            if there is not None and (there.metadata or {}).get(UPLOAD_TOKEN) == self._token:
                return object_info(there, self._name)
            is_taken |= there is not None
        raise (_exists(self._name) if is_taken else refusal.error) from None

    def _is_taken(self, refusal: Refusal) -> bool:
        """Whether Put Blob was refused because of what is there."""
        return refusal.code in _NAME_IS_TAKEN or (refusal.code == _NO_PERMISSION and not self._is_delegated)

    def _perhaps_ours(self) -> StorageError:
        return StorageError(
            f"{self._name} is there, and it may be ours: the answer to an earlier attempt was lost, and the SAS does "
            "not allow to look at it",
            hint=f"if it is, its metadata have {self._token} as {UPLOAD_TOKEN}; with r (read) or l (list) "
            "in the SAS that is seen here",
        )

    def _check_absent(self) -> None:
        try:
            there = self._look()
            if isinstance(there, Unseen):
                self._try_in_vain()
                return
        except Refusal as refusal:
            raise (_exists(self._name) if self._is_taken(refusal) else refusal.error) from None
        if there is not None:
            raise _exists(self._name)

    def _try_in_vain(self) -> None:
        """
        Ask for the right to make the object, where nobody may look, by a Put Blob whose MD5 is wrong.

        It makes none. A service that compares the MD5 first says nothing of the name; then the end decides.

        Raises:
            Refusal: for another reason than the MD5.
        """
        request = self._request(b"?", 1, hashlib.md5(usedforsecurity=False).digest())

        def put(left: TimeLeft) -> None:
            response = client.send_request(request, **left.options)
            if response.headers.get("x-ms-error-code") != "Md5Mismatch":
                raise _refused(response)

        with self._client() as client:
            self._caller.run(PUT_BLOB, self._name, put)

    def _look(self) -> BlobProperties | Unseen | None:
        """
        What is there under the name, as far as the SAS allows to see it.

        Raises:
            Refusal: the service fails.
        """
        blob, name = self._blob, self._name
        try:
            return self._caller.run(GET_PROPERTIES, name, lambda left: blob.get_blob_properties(**left.options))
        except Refusal as refusal:
            if isinstance(refusal.error, ObjectNotFoundError):
                return None
            if refusal.code != _NO_PERMISSION:
                raise
        try:
            found = self._caller.run(LIST_BLOBS, name, self._first_listed)
        except Refusal as refusal:
            if refusal.code != _NO_PERMISSION:
                raise
            return UNSEEN
        return found if found is not None and found.name == name else None

    def _first_listed(self, left: TimeLeft) -> BlobProperties | None:
        """The first blob whose name begins like this one's: the name itself comes before all that are longer."""
        blobs = self._container.list_blobs(
            name_starts_with=self._name, include=["metadata"], results_per_page=1, **left.options
        )
        return next(iter(blobs), None)


def _refused(response: HttpResponse) -> HttpResponseError:
    """The error that the client library makes of such an answer; its text is looked into, never shown."""
    return HttpResponseError(message=response.content.decode(errors="replace"), response=response)


def _exists(name: str) -> ObjectExistsError:
    return ObjectExistsError(
        f"{name} exists already, and the SAS allows new objects only",
        hint="choose another name, or remove it elsewhere",
    )


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    """An :class:`OSError` of the block as a ``StorageError`` that names the temporary folder."""
    try:
        with storage_errors(f"temporary file for {name}", missing=StorageError):
            yield
    except DiskFullError as error:
        hint = f"set TMPDIR to a folder on a larger disk, or make room in {tempfile.gettempdir()}"
        raise DiskFullError(error.message, hint=hint) from None
    except StorageError as error:
        raise type(error)(error.message, hint="set TMPDIR to a folder that can be written") from None
