"""
Files of the backup container by its own name, as a storage account has them, and uploads that may be cut off.

Where backups are not in Azure there is no Storage Explorer to put and get files: these routes stand in for it. Only the
configured container can be reached.

==========================================  =====================================================================
``PUT /api/storage/{container}/{path}``     the whole file; replaces one, unless ``If-None-Match: *`` (409, as Azure
                                            has it) or ``If-Match`` (412) says otherwise
``GET``, ``HEAD``                           the file, ranges and conditions included
``DELETE``                                  remove it; ``If-Match`` as above
``POST``                                    begin an upload: ``Upload-Length``, the same conditions, and with
                                            ``Upload-Key`` go on with the one that was begun under it
``HEAD /api/uploads/{id}``                  how far it is: ``Upload-Offset``
``PATCH``                                   more of it, from ``Upload-Offset`` on; the request with
                                            ``Upload-Complete: ?1`` is the last and publishes the file
``DELETE``                                  cancel it
==========================================  =====================================================================

The words are those of draft-ietf-httpbis-resumable-upload (Upload-Offset, Upload-Complete, Upload-Length,
``application/partial-upload``, a mismatching offset is 409 with the right one), but for the beginning: a request of its
own, so that no interim answer is needed, which many clients cannot see. ``Repr-Digest: sha-256=:…:`` (RFC 9530) with
the last request says what the whole must be.

An answer to PATCH or HEAD tells what would survive a crash.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tabvault.errors import RequestError
from tabvault.faces.server.rest import file_answers, files, storage_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.file_headers import check_not_coded, conditions, digest, quoted_etag
from tabvault.faces.server.rest.problems import HttpError
from tabvault.storage.server_state.network_rules import NetworkRules, network_text, parse_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from tabvault.faces.server.rest.models import NoParameters
    from tabvault.faces.server.rest.storage_models import NetworkRequest
    from tabvault.storage.server_state.upload_spool import UploadRecord

PARTIAL: Final = "application/partial-upload"
UPLOADS_PATH: Final = "/api/uploads"
UPLOAD_HEADERS: Final = {
    "Upload-Offset": "How many bytes of it would survive a crash.",
    "Upload-Length": "How many it will have.",
    "Upload-Complete": "`?1` when the file is there.",
}

_BYTE_COUNT = re.compile(r"[0-9]{1,18}")
_KEY_CHARACTER_COUNT_MAX = 128

Plain = Call[None, "NoParameters"]


# ---- files


async def put(call: Plain) -> Answer:
    """
    Put a file into the container, whole; it replaces one of that name. For server administrators.

    `If-None-Match: *` replaces none (409), `If-Match` only the one with that ETag (412). With `Repr-Digest` the
    whole is compared before it appears.
    """
    await call.storage_turns.begin(call.transfers.check_container, call.caller, call.path["container"])
    info = await files.received(call, overwrite=True)
    headers = {"Location": _location(call.path["container"], info.name), "ETag": quoted_etag(info.etag)}
    return Answer(file_answers.File.model_validate(info), headers)


def get(call: Plain) -> Response:
    """Get a file of the container, or the part of it that a Range header names. For server administrators."""
    call.transfers.check_container(call.caller, call.path["container"])
    return files.get(call)


def remove(call: Plain) -> Answer:
    """
    Remove a file from the container. There is no way back. For server administrators.

    `If-Match` removes only the one with that ETag (412).
    """
    call.transfers.check_container(call.caller, call.path["container"])
    return files.remove(call)


# ---- uploads that may be cut off


def begin(call: Plain) -> Answer:
    """
    Begin an upload that may be cut off and goes on. For server administrators.

    `Upload-Length` is the length of the file. Where `Upload-Key` names a try that was begun before, for the same file
    and under the same conditions, that one goes on.
    """
    call.transfers.check_caller(call.caller)
    overwrite, if_match = conditions(call.request)
    key = call.request.headers.get("upload-key")
    if key is not None and not 1 <= len(key) <= _KEY_CHARACTER_COUNT_MAX:
        raise RequestError(f"the key has {len(key)} characters, not 1 to {_KEY_CHARACTER_COUNT_MAX}", path="Upload-Key")
    with files.changed_as_precondition():
        record = call.transfers.begin(
            call.caller,
            call.path["container"],
            call.path["path"],
            byte_count=_count(call.request, "Upload-Length"),
            key=key,
            overwrite=overwrite,
            if_match=if_match,
        )
    return _upload(record, {"Location": f"{UPLOADS_PATH}/{record.id}"})


def uploads(call: Plain) -> Answer:
    """List the uploads that are on their way, and those that are through. For server administrators."""
    records = call.transfers.all(call.caller)
    return Answer(file_answers.Uploads(uploads=[file_answers.Upload.model_validate(record) for record in records]))


def upload(call: Plain) -> Answer:
    """Show how far an upload is. For server administrators."""
    return _upload(call.transfers.get(call.caller, call.path["id"]))


async def append(call: Plain) -> Answer:
    """
    Go on with an upload at `Upload-Offset`; with `Upload-Complete: ?1` this is its end. For server administrators.

    What has come stays, also where the request is cut off. With `Repr-Digest` the whole is compared before it appears.
    """
    call.transfers.check_caller(call.caller)
    check_not_coded(call.request)
    is_last = _is_complete(call.request)
    sha256 = digest(call.request)
    turns = call.storage_turns
    offset = _count(call.request, "Upload-Offset")
    part = await turns.begin(call.transfers.append, call.caller, call.path["id"], offset)
    if part is None:
        record = await turns.run(call.transfers.get, call.caller, call.path["id"])
        if not record.is_complete:
            raise HttpError(
                409,
                f"the upload is at {record.received_byte_count}, and the request begins at {offset}",
                headers=_headers(record),
            )
    else:
        try:
            async for piece in files.body_pieces(call.request):
                await turns.run(part.write, piece)
        finally:
            record = await asyncio.shield(turns.run(part.end))
    if is_last:
        with files.changed_as_precondition():
            await turns.run(call.transfers.publish, call.caller, record.id, sha256)
        record = await turns.run(call.transfers.get, call.caller, record.id)
    return _upload(record)


def cancel(call: Plain) -> Answer:
    """Cancel an upload: what has come of it is gone. A file that is there stays. For server administrators."""
    call.transfers.cancel(call.caller, call.path["id"])
    return Answer()


# ---- network rules


def network(call: Plain) -> Answer:
    """Show from where files may be put and got. For server administrators."""
    return _network(call.administration.storage_network(call.caller))


def set_network(call: Call[NetworkRequest, NoParameters]) -> Answer:
    """Set from where files may be put and got; the machine itself always may. For server administrators."""
    body = call.body
    networks = tuple(parse_network(text, path=f"ip_rules.{index}") for index, text in enumerate(body.ip_rules))
    rules = NetworkRules(body.public_network_access, body.default_action, networks)
    call.administration.set_storage_network(call.caller, rules)
    return _network(rules)


def _network(rules: NetworkRules) -> Answer:
    content = storage_answers.StorageNetwork(
        public_network_access=rules.public_network_access,
        default_action=rules.default_action,
        ip_rules=[network_text(network) for network in rules.ip_rules],
        words=rules.words,
    )
    return Answer(content)


# ---- headers


def _count(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not _BYTE_COUNT.fullmatch(text):
        raise RequestError(f"{text!r:.40} is not a number of bytes", path=name)
    return int(text)


def _is_complete(request: Request) -> bool:
    text = request.headers.get("upload-complete", "?0").strip()
    if text not in ("?0", "?1"):
        raise RequestError(f"{text!r:.40} is neither ?0 nor ?1", path="Upload-Complete")
    return text == "?1"


def _headers(record: UploadRecord) -> Mapping[str, str]:
    return {
        "Upload-Offset": str(record.received_byte_count),
        "Upload-Length": str(record.byte_count),
        "Upload-Complete": "?1" if record.is_complete else "?0",
    }


def _upload(record: UploadRecord, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(file_answers.Upload.model_validate(record), {**_headers(record), **(headers or {})})


def _location(container: str, name: str) -> str:
    return f"/api/storage/{quote(container)}/{quote(name)}"
