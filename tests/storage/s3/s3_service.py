"""
A program: moto's S3 on a free port of the loopback interface, which it writes to its output; it ends with its input.

moto keeps what it is told and forgets some of what a real service promises. What the store relies on is put before it
here, as the API reference has it: one write at a time, ``If-Match`` on CompleteMultipartUpload, ``Content-MD5``, and
when an upload was begun. As strict as Ceph, it completes no upload that has parts which the request does not list.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote
from wsgiref.headers import Headers

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BEGUN_IN_MOTO: Final = b"2010-11-10T20:48:33.000Z"


class Service:
    """A WSGI application around moto's."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._begun = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            refusal = _refusal(environ, body)
            if refusal is not None:
                status, code = refusal
                return _answer(start_response, status, f"<Error><Code>{code}</Code></Error>".encode())
            answered: list[tuple[str, list[tuple[str, str]]]] = []
            answer = b"".join(self._moto(environ, lambda status, headers, *_: answered.append((status, headers))))
        status, headers = answered[0]
        answer = answer.replace(_BEGUN_IN_MOTO, self._begun)
        start_response(status, headers)
        return [answer]


def _refusal(environ: dict[str, Any], body: bytes) -> tuple[str, str] | None:
    md5 = environ.get("HTTP_CONTENT_MD5")
    if md5 and base64.b64decode(md5) != hashlib.md5(body, usedforsecurity=False).digest():
        return "400 Bad Request", "BadDigest"
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if environ["REQUEST_METHOD"] == "POST" and "uploadId" in query:
        path = environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]
        bucket, _, name = unquote(path).lstrip("/").partition("/")
        return _refused_completion(bucket, name, query["uploadId"][0], body, environ.get("HTTP_IF_MATCH"))
    return None


def _refused_completion(bucket: str, name: str, upload: str, body: bytes, wanted: str | None) -> tuple[str, str] | None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    begun = backend.get_bucket(bucket).multiparts.get(upload)
    if begun is not None and len(begun.parts) != body.count(b"<PartNumber>"):
        return "400 Bad Request", "InvalidPart"
    there = backend.get_object(bucket, name)
    if wanted and there is None:
        return "404 Not Found", "NoSuchKey"
    if wanted and there.etag.strip('"') != wanted.strip('"'):
        return "412 Precondition Failed", "PreconditionFailed"
    return None


def _answer(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    headers = Headers([("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    start_response(status, headers.items())
    return [body]


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, Service(), threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201 - whoever started it reads that
    sys.stdin.read()
