"""
Requests to a server: one connection each, over TLS wherever it leaves the machine.

The certificate is verified, by the system's authorities or by ``--ca-file``. A credential is never sent in the clear to
another machine. No request is sent twice: a backup that was asked for may have begun, whatever became of the answer.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import urllib.parse
from typing import TYPE_CHECKING, Any, Final, Self

from tabvault.errors import ServerError, ServerNotSecuredError, ServerUnreachableError
from tabvault.faces.cli.remote.problems import error_of_answer
from tabvault.storage.server_state.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 120.0
"""For what a server answers at once; a query and a large file take as long as they take."""

DOCUMENT_BYTE_COUNT_MAX: Final = 64 << 20
"""The result of a verification with thousands of conditions has a megabyte."""

_BYTES: Final = "application/octet-stream"

_FAILURES: Final = (OSError, http.client.HTTPException)


class Answer:
    """
    What a server sends back: its headers, and the body to be read once. A context manager.

    Attributes:
        headers: names in any case.
        is_empty: whether it says by its status that it has no body.
    """

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, url: str) -> None:
        self._connection = connection
        self._response = response
        self._url = url
        self.headers = response.headers
        self.is_empty = response.status == http.client.NO_CONTENT

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._response.close()
        self._connection.close()

    def read(self, byte_count: int = -1) -> bytes:
        """
        At most so many bytes of the body, none at its end.

        Raises:
            ServerUnreachableError: the connection broke off.
        """
        try:
            return self._response.read(None if byte_count < 0 else byte_count)
        except _FAILURES as error:
            raise broken_off(self._url, error) from None

    def document(self) -> Any:
        """
        The body as JSON.

        Raises:
            ServerUnreachableError: it is none, or the connection broke off.
        """
        body = self.read(DOCUMENT_BYTE_COUNT_MAX + 1)
        try:
            if len(body) <= DOCUMENT_BYTE_COUNT_MAX:
                return json.loads(body)
        except (ValueError, RecursionError):
            pass
        raise unexpected(self._url)


class ServerConnection:
    """
    A server, and the credential to come with.

    Args:
        url: address of the server; a proxy may have it below a path.
        authorization: value of that header; None asks without a credential.
        ca_file: PEM file of the authorities to believe; those of the system by default.
        certificate: PEM of the one certificate to believe.

    Raises:
        ServerError: *url* is not the address of a server, or holds a credential, or *ca_file* cannot be used.
        ServerNotSecuredError: the credential would cross a network in the clear.
    """

    def __init__(
        self, url: str, authorization: str | None, *, ca_file: Path | None = None, certificate: str | None = None
    ) -> None:
        parts = _checked(url)
        self._host: str = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._authorization = authorization
        self._context: ssl.SSLContext | None = None
        self.url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, self._path, "", ""))
        if parts.scheme == "https":
            self._context = _context(ca_file, certificate)
        elif authorization is not None:
            self.check_secured("the log-in")

    def check_secured(self, what: str) -> None:
        """
        Refuse to send *what* where others could read it.

        Raises:
            ServerNotSecuredError: it would cross a network in the clear.
        """
        if self._context is None and not is_loopback(self._host):
            raise ServerNotSecuredError(
                f"{what} to {self.url} would cross the network in the clear", hint="connect with https"
            )

    def get(self, path: str, **query: str | int) -> Any:
        """The document at *path*; errors as :meth:`request`."""
        with self.request("GET", path, query=query) as answer:
            return answer.document()

    def send(self, method: str, path: str, content: Mapping[str, object] | None = None) -> Any:
        """What the server answers to *content*, None for nothing; errors as :meth:`request`."""
        body = None if content is None else json.dumps(content).encode()
        with self.request(method, path, body=body, headers={"Content-Type": "application/json"}) as answer:
            return None if answer.is_empty else answer.document()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = ANSWER_TIMEOUT_S,
    ) -> Answer:
        """
        Ask for one thing.

        Args:
            method: of HTTP.
            path: below ``/api``, its parts quoted.
            query: what stands behind the question mark.
            headers: besides the credential.
            body: whole.
            timeout_s: how long the server may be silent; None for ever.

        Raises:
            ServerUnreachableError: nobody answers, or no server of ours.
            TabvaultError: what the server says is wrong.
        """
        with contextlib.ExitStack() as stack:
            connection = self._connected()
            stack.callback(connection.close)
            try:
                connection.sock.settimeout(timeout_s)
                connection.request(method, self._target(path, query), body, self._headers(headers or {}))
                response = _good(connection, self.url)
            except _FAILURES as error:
                raise broken_off(self.url, error) from None
            stack.pop_all()
        return Answer(connection, response, self.url)

    def sending(self, method: str, path: str, *, query: Mapping[str, str | int]) -> Sending:
        """
        Begin a request whose body is written piece by piece.

        Raises:
            ServerUnreachableError: nobody answers.
        """
        connection = self._connected()
        try:
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            connection.putrequest(method, self._target(path, query), skip_accept_encoding=True)
            for name, value in self._headers({"Content-Type": _BYTES, "Transfer-Encoding": "chunked"}).items():
                connection.putheader(name, value)
            connection.endheaders()
        except _FAILURES as error:
            connection.close()
            raise broken_off(self.url, error) from None
        return Sending(connection, self.url)

    def _target(self, path: str, query: Mapping[str, str | int] | None) -> str:
        return f"{self._path}/api{path}{'?' if query else ''}{urllib.parse.urlencode(query or {})}"

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close", **more}
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        return headers

    def _connected(self) -> http.client.HTTPConnection:
        if self._context is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_TIMEOUT_S, context=self._context
            )
        try:
            connection.connect()
            # A server that vanished, with its network or its power, is noticed even while we only wait.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise ServerUnreachableError(
                f"the certificate of {self.url} is not to be believed: {error.verify_message.lower()}",
                hint="name who vouches for it with --ca-file",
            ) from None
        except OSError as error:
            connection.close()
            raise ServerUnreachableError(
                f"{self.url} cannot be reached: {_reason(error)}", hint="is tabvault serve running there?"
            ) from None
        return connection


class Sending:
    """A request on its way, whose body is written piece by piece; it ends with :meth:`finish` or :meth:`close`."""

    def __init__(self, connection: http.client.HTTPConnection, url: str) -> None:
        self._connection = connection
        self._url = url

    def write(self, data: bytes | memoryview) -> None:
        """
        Append to the body.

        Raises:
            ServerUnreachableError: the connection broke off.
            TabvaultError: what the server says is wrong: it may refuse a body before it has all of it.
        """
        if not len(data):
            return  # a piece without bytes would be the last one
        try:
            self._connection.send(b"%x\r\n" % len(data))
            self._connection.send(data)
            self._connection.send(b"\r\n")
        except _FAILURES as error:
            self._refused()
            raise broken_off(self._url, error) from None

    def finish(self) -> None:
        """The body is whole. Errors as :meth:`write`."""
        try:
            self._connection.send(b"0\r\n\r\n")
        except _FAILURES as error:
            self._refused()
            raise broken_off(self._url, error) from None
        self._refused(is_over=True)
        self.close()

    def close(self) -> None:
        """Break it off, if it is not over."""
        self._connection.close()

    def _refused(self, *, is_over: bool = False) -> None:
        """Raise what the server answered, if that was no success, and if anything can be read of it."""
        try:
            _good(self._connection, self._url)
        except _FAILURES as error:
            if is_over:
                raise broken_off(self._url, error) from None


def _good(connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
    """The answer; raises the error that it tells, or what its reading raises."""
    response = connection.getresponse()
    if response.status >= 300:
        raise error_of_answer(response.status, response.read(DOCUMENT_BYTE_COUNT_MAX), url=url)
    return response


def quoted(part: str) -> str:
    """A part of a path, or with its slashes the name of a file."""
    return urllib.parse.quote(part, safe="", errors="surrogatepass")


def broken_off(url: str, error: Exception) -> ServerUnreachableError:
    """The error of a connection that ended before its time."""
    return ServerUnreachableError(f"the connection to {url} broke off: {_reason(error)}")


def unexpected(url: str) -> ServerUnreachableError:
    """The error of an answer that no server of ours gives."""
    return ServerUnreachableError(f"{url} answers what no Tabvault server of this version does")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    strerror = getattr(error, "strerror", None)
    return str(strerror).lower() if strerror else f"no HTTP answer ({type(error).__name__})"


def _checked(url: str) -> urllib.parse.SplitResult:
    hint = "it looks like https://vault.example.com:8282"
    try:
        parts = urllib.parse.urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ServerError("what --server names is not the address of a server", hint=hint)
    if "@" in parts.netloc:
        raise ServerError("the address of the server holds a credential", hint="give --user, or an API key in a file")
    if parts.query or parts.fragment or not parts.netloc.isascii() or any(ord(c) <= 32 for c in parts.path):
        raise ServerError("what --server names is more than the address of a server", hint=hint)
    return parts


def _context(ca_file: Path | None, certificate: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file, cadata=certificate)
    except OSError as error:
        raise ServerError(f"CA file {ca_file}: {_reason(error)}", hint="it holds certificates in PEM") from None
    if certificate is not None:
        # This one and no other, whatever names stand in it: it came with the address.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
