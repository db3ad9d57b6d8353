"""Files of the backup storage: listed, put, got (also in parts) and removed."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tabvault.errors import RequestError
from tabvault.faces.server.body import SILENCE_S_MAX
from tabvault.faces.server.rest import answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.jobs import password_text
from tabvault.faces.server.rest.problems import HttpError
from tabvault.faces.server.streamed import PiecewiseResponse
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from starlette.requests import Request

    from tabvault.faces.server.rest.models import FileRequest, FilesParameters, NoParameters, UploadParameters
    from tabvault.storage.contract import ObjectInfo, StoredObject

FILES_PATH: Final = "/api/files"
OCTETS: Final = "application/octet-stream"

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def files(call: Call[None, FilesParameters]) -> Answer:
    """List the files of the backup storage, by name. For server administrators."""
    query = call.query
    behind = (info for info in call.files.list(call.caller, query.prefix) if info.name > query.after)
    found = list(itertools.islice(behind, query.limit + 1))
    shown = [answers.File.model_validate(info) for info in found[: query.limit]]
    return Answer(answers.Files(files=shown, next=shown[-1].name if len(found) > query.limit else None))


async def put(call: Call[None, UploadParameters]) -> Answer:
    """
    Put a file into the backup storage. For server administrators.

    It is there when all of it has come, and not before.
    """
    name, overwrite = call.path["path"], call.query.overwrite
    upload = await run_in_threadpool(
        call.files.create, call.caller, name, overwrite=overwrite, byte_count=_stated_byte_count(call.request)
    )
    try:
        async for piece in _pieces(call.request):
            await run_in_threadpool(upload.write, piece)
        info = await run_in_threadpool(upload.finish)
    except BaseException as error:
        await asyncio.shield(run_in_threadpool(upload.__exit__, type(error), error, error.__traceback__))
        raise
    await run_in_threadpool(upload.__exit__, None, None, None)
    return Answer(answers.File.model_validate(info), {"Location": f"{FILES_PATH}/{quote(info.name)}"})


def get(call: Call[None, NoParameters]) -> Response:
    """Get a file of the backup storage, or the part of it that a Range header names. For server administrators."""
    stored = call.files.open(call.caller, call.path["path"])
    try:
        return _file_response(call, stored)
    except BaseException:
        stored.close()
        raise


def remove(call: Call[None, NoParameters]) -> Answer:
    """Remove a file from the backup storage. There is no way back. For server administrators."""
    call.files.remove(call.caller, call.path["path"])
    return Answer()


def inspect(call: Call[FileRequest, NoParameters]) -> Answer:
    """Show what is in a backup file, without decoding a column. For server administrators."""
    body = call.body
    found = call.files.inspect(call.caller, body.file, password_text(body.password))
    return Answer(answers.Inspected.model_validate(found))


def _stated_byte_count(request: Request) -> int | None:
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) <= 18 else None


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of some size. A large file may take its time, but not fall silent."""
    held: list[bytes] = []
    byte_count = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                piece = await anext(stream, None)
        except TimeoutError:
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
    etag = f'"{quote(info.etag)}"'
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    part = None if wanted is None else _part(wanted, info)
    offset, byte_count = (0, info.byte_count) if part is None else part
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name.rpartition('/')[2])}",
        "Content-Length": str(byte_count),
        "ETag": etag,
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {offset}-{offset + byte_count - 1}/{info.byte_count}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        stored.close()
        return Response(status_code=status, headers=headers, media_type=OCTETS)
    content = _content(stored, offset=offset, byte_count=byte_count)
    return PiecewiseResponse(content, status_code=status, headers=headers, media_type=OCTETS)


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
