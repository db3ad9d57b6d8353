"""
A local file on its way to a server, in parts that need not be sent twice.

The server keeps what has come: whatever breaks off, the connection, this program, the server, the next try asks how far
it is and goes on there. A part is sent again only as far as it did not arrive. At the end the server compares the
SHA-256 of the whole with that of the file here.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import (
    JobConflictError,
    ObjectExistsError,
    ServerEndingError,
    ServerUnreachableError,
    StoreUnavailableError,
    TabvaultError,
)
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.formats.byte_source import pieces
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import ProgressMeter

PART_BYTE_COUNT: Final = 16 << 20
"""What one request brings: large beside what a request costs, small beside what a broken network costs."""

WAITS_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before each further try; a part that arrives lets them begin anew."""

_PUBLISHING_S: Final = 3600.0
"""How long a server may take to bring a whole file into its storage, which may be slow."""

_PASSING = (ServerUnreachableError, ServerEndingError, StoreUnavailableError, JobConflictError)
"""What may be otherwise a moment later."""


def upload_file(
    connection: ServerConnection, name: str, source: ByteSource, *, replace: bool, key: str, meter: ProgressMeter
) -> None:
    """
    Put *source* into the server's storage, or as much of it as is not there yet.

    Args:
        connection: to the server.
        name: in its storage.
        source: the file; it must not change meanwhile.
        replace: whether it takes the place of a file of that name.
        key: names the file: what was sent under it before is not sent again.
        meter: told how far it is; its step is begun here.

    Raises:
        ObjectExistsError: there is a file of that name, and it is not to be replaced.
        ServerUnreachableError: the server stayed away; what it has, it keeps.
        TabvaultError: what the server says is wrong.
    """
    container = connection.get("/storage")["container"]
    headers = {"Upload-Length": str(source.byte_count), "Upload-Key": key}
    if not replace:
        headers["If-None-Match"] = "*"
    path = f"/storage/{quoted(str(container))}/{'/'.join(map(quoted, check_object_name(name).split('/')))}"
    with connection.request("POST", path, headers=headers, body=b"") as answer:
        begun = answer.document()
    upload = _Upload(connection, source, str(begun["id"]), meter)
    meter.step("copying", source.byte_count)
    try:
        upload.send(_offset(connection, begun))
    except ObjectExistsError:
        upload.cancel()
        raise


class _Upload:
    def __init__(self, connection: ServerConnection, source: ByteSource, upload_id: str, meter: ProgressMeter) -> None:
        self._connection = connection
        self._source = source
        self._path = f"/uploads/{quoted(upload_id)}"
        self._meter = meter
        self._digest = hashlib.sha256()
        self._digested_byte_count = 0
        self._shown_byte_count = 0

    def send(self, offset: int) -> None:
        """All parts from *offset* on."""
        waits = iter(WAITS_S)
        while True:
            try:
                document = self._send_part(offset)
            except _PASSING as error:
                document = self._where_it_is(error, waits)
            else:
                waits = iter(WAITS_S)
            if document["etag"] is not None:
                self._show(self._source.byte_count)
                return
            offset = _offset(self._connection, document)
            self._show(offset)

    def cancel(self) -> None:
        """What the server has is of no use; where it cannot be told, it finds out by itself."""
        try:
            self._connection.send("DELETE", self._path)
        except TabvaultError:
            return

    def _send_part(self, offset: int) -> Any:
        end = min(offset + PART_BYTE_COUNT, self._source.byte_count)
        part = bytes(self._source.read_at(offset, end - offset))
        headers = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset)}
        is_last = end == self._source.byte_count
        if is_last:
            digest = base64.b64encode(self._whole_digest()).decode()
            headers |= {"Upload-Complete": "?1", "Repr-Digest": f"sha-256=:{digest}:"}
        else:
            self._digest_to(end)
        options: dict[str, Any] = {"timeout_s": _PUBLISHING_S} if is_last else {}
        with self._connection.request("PATCH", self._path, headers=headers, body=part, **options) as answer:
            return answer.document()

    def _where_it_is(self, error: TabvaultError, waits: Any) -> Any:
        """What the server says of the upload, when it is there again."""
        for wait_s in waits:
            time.sleep(wait_s)
            try:
                return self._connection.get(self._path)
            except _PASSING as again:
                error = again
        error.hint = "the same command goes on with it"
        raise error

    def _whole_digest(self) -> bytes:
        self._digest_to(self._source.byte_count)
        return self._digest.digest()

    def _digest_to(self, end: int) -> None:
        """Also what was sent by an earlier try."""
        if end > self._digested_byte_count:
            byte_count = end - self._digested_byte_count
            for piece in pieces(self._source, offset=self._digested_byte_count, byte_count=byte_count):
                self._digest.update(piece)
            self._digested_byte_count = end

    def _show(self, byte_count: int) -> None:
        if byte_count > self._shown_byte_count:
            self._meter.advance(byte_count - self._shown_byte_count)
            self._shown_byte_count = byte_count


def _offset(connection: ServerConnection, document: Any) -> int:
    offset = document["received_byte_count"]
    if type(offset) is not int or not 0 <= offset <= document["byte_count"]:
        raise unexpected(connection.url)
    return offset
