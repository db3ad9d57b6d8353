"""Files of the backup storage: listed, put, got (also in parts) and removed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from tabvault.errors import ObjectChangedError, RequestError
from tabvault.faces.server.body import SILENCE_S_MAX
from tabvault.faces.server.rest import file_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.file_headers import (
    check_not_coded,
    check_whole,
    conditions,
    digest,
    matched,
    quoted_etag,
)
from tabvault.faces.server.rest.jobs import password_text
from tabvault.faces.server.rest.problems import HttpError
from tabvault.faces.server.streamed import PiecewiseResponse
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, pieces
from tabvault.jobs.stored_folders import DescribedFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from starlette.requests import Request

    from tabvault.faces.server.rest.models import FileRequest, FilesParameters, NoParameters, UploadParameters
    from tabvault.jobs.stored_folders import StoredFolder
    from tabvault.storage.contract import ObjectInfo, StoredObject

FILES_PATH: Final = "/api/files"
OCTETS: Final = "application/octet-stream"

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def files(call: Call[None, FilesParameters]) -> Answer:
    """
    List the files of the backup storage, by name, or the folders and files of one folder. For server administrators.

    With `details` the beginning of each file is read: what it is, and the database in it. It is remembered by ETag.
    """
    query = call.query
    folders: list[StoredFolder] = []
    if query.folder is None:
        found = (info for info in call.files.list(call.caller, query.prefix) if info.name > query.after)
    else:
        listing = call.files.folder(call.caller, query.folder)
        # Folders come first, and their names end with a slash: whoever is behind a file is behind all of them.
        is_in_folders = not query.after or query.after.endswith("/")
        folders = [folder for folder in listing.folders if is_in_folders and folder.name > query.after]
        found = (info for info in listing.files if is_in_folders or info.name > query.after)
    shown_folders = folders[: query.limit]
    room = query.limit - len(shown_folders)
    behind = list(itertools.islice(found, room + 1))
    shown = behind[:room]
    is_more = len(folders) > len(shown_folders) or len(behind) > room
    described = call.files.describe(call.caller, shown) if query.details else [DescribedFile(info) for info in shown]
    last = shown[-1].name if shown else shown_folders[-1].name if shown_folders else None
    content = file_answers.Files(
        folders=[file_answers.Folder.model_validate(folder) for folder in shown_folders],
        files=[_file(file) for file in described],
        next=last if is_more else None,
    )
    return Answer(content)


def _file(file: DescribedFile) -> file_answers.File:
    details = None if file.details is None else file_answers.FileDetails.model_validate(file.details)
    return file_answers.File.model_validate(file.info).model_copy(update={"details": details})


async def put(call: Call[None, UploadParameters]) -> Answer:
    """
    Put a file into the backup storage. For server administrators.

    It is there when all of it has come, and not before. `If-None-Match: *` replaces none, whatever `overwrite` says,
    and `If-Match` only the one with that ETag (412). With `Repr-Digest` the whole is compared before it appears.
    """
    info = await received(call, overwrite=call.query.overwrite)
    return Answer(file_answers.File.model_validate(info), {"Location": f"{FILES_PATH}/{quote(info.name)}"})


async def received(call: Call[Any, Any], *, overwrite: bool) -> ObjectInfo:
    """The file that the body of a request is, put under the path's name, as the conditions in its headers say."""
    check_whole(call.request)
    check_not_coded(call.request)
    may_replace, if_match = conditions(call.request, overwrite=overwrite)
    turns = call.storage_turns
    with changed_as_precondition():
        upload = await turns.begin(
            call.files.create,
            call.caller,
            call.path["path"],
            overwrite=may_replace,
            byte_count=_stated_byte_count(call.request),
            if_match=if_match,
            sha256=digest(call.request),
        )
        try:
            async for piece in body_pieces(call.request):
                await turns.run(upload.write, piece)
            info = await turns.run(upload.finish)
        except BaseException as error:
            await asyncio.shield(turns.run(upload.__exit__, type(error), error, error.__traceback__))
            raise
        await turns.run(upload.__exit__, None, None, None)
    return info


@contextlib.contextmanager
def changed_as_precondition() -> Iterator[None]:
    """Another file than the one that was meant is 412, where the request said which it meant."""
    try:
        yield
    except ObjectChangedError as error:
        raise HttpError(412, error.message, hint=error.hint) from None


def get(call: Call[None, NoParameters]) -> Response:
    """Get a file of the backup storage, or the part of it that a Range header names. For server administrators."""
    stored = call.files.open(call.caller, call.path["path"])
    try:
        return _file_response(call, stored)
    except BaseException:
        stored.close()
        raise


def remove(call: Call[None, NoParameters]) -> Answer:
    """
    Remove a file from the backup storage. There is no way back. For server administrators.

    `If-Match` removes only the one with that ETag (412).
    """
    with changed_as_precondition():
        call.files.remove(call.caller, call.path["path"], if_match=matched(call.request))
    return Answer()


def inspect(call: Call[FileRequest, NoParameters]) -> Answer:
    """Show what is in a backup file, without decoding a column. For server administrators."""
    body = call.body
    found = call.files.inspect(call.caller, body.file, password_text(body.password))
    return Answer(file_answers.Inspected.model_validate(found))


def _stated_byte_count(request: Request) -> int | None:
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) <= 18 else None


async def body_pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of some size. A large file may take its time, but not fall silent."""
    held: list[bytes] = []
    byte_count = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                piece = await anext(stream, None)
        except (TimeoutError, ClientDisconnect) as error:
            if held:  # whoever can go on later keeps what has come
                yield b"".join(held)
            if isinstance(error, ClientDisconnect):
                raise
            raise RequestError(f"nothing of the file has come for {SILENCE_S_MAX:g} s") from None
        if piece is not None:
            held.append(piece)
            byte_count += len(piece)
        if held and (piece is None or byte_count >= PIECE_BYTE_COUNT):
            yield b"".join(held)
            held, byte_count = [], 0
        if piece is None:
            return


def _file_response(call: Call[Any, Any], stored: StoredObject) -> Response:
    info, request = stored.info, call.request
    etag = quoted_etag(info.etag)
    if request.headers.get("if-match", etag) not in (etag, "*"):
        raise HttpError(412, f"the file {info.name} has another ETag", headers={"ETag": etag})
    if request.headers.get("if-none-match") in (etag, "*"):
        stored.close()
        return Response(status_code=304, headers={"ETag": etag})
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    part = None if wanted is None else _part(wanted, info)
    offset, byte_count = (0, info.byte_count) if part is None else part
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name.rpartition('/')[2])}",
        "Content-Length": str(byte_count),
        "ETag": etag,
        "Last-Modified": format_datetime(info.last_modified, usegmt=True),
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {offset}-{offset + byte_count - 1}/{info.byte_count}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        stored.close()
        return Response(status_code=status, headers=headers, media_type=OCTETS)
    content = _content(stored, offset=offset, byte_count=byte_count)
    return PiecewiseResponse(
        content, status_code=status, headers=headers, media_type=OCTETS, in_thread=call.storage_turns.run
    )


def _part(wanted: str, info: ObjectInfo) -> tuple[int, int] | None:
    """
    Offset and length of what a Range header names; None for one that is not understood, which asks for everything.

    Raises:
        HttpError: 416, the file ends before.
    """
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        begin, end = max(0, info.byte_count - int(last)), info.byte_count
    else:
        begin, end = int(first), min(int(last) + 1, info.byte_count) if last else info.byte_count
        if last and int(last) < begin:
            return None
    if begin >= end:
        raise HttpError(
            416,
            f"{wanted[:100]} is asked for, and the file has {info.byte_count} bytes",
            headers={"Content-Range": f"bytes */{info.byte_count}"},
        )
    return begin, end - begin


def _content(stored: StoredObject, *, offset: int, byte_count: int) -> Generator[bytes | memoryview, None, None]:
    with stored:
        yield from pieces(stored, offset=offset, byte_count=byte_count)
