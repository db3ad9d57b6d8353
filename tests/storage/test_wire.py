"""What is on the wire ends when nobody waits for it any more, long before a time-out."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3 import ProxyManager

from certificates import make_certificate
from tabvault.storage.remote.wire import (
    CutOff,
    Stop,
    WatchedConnection,
    WatchedPool,
    WatchedTlsConnection,
    WatchedTlsPool,
    outlasting_stops,
    stopped_by,
)

SOON_S = 20.0
"""Far below the minute that a service may be silent, and no matter how busy the machine is."""


@pytest.fixture
def listener():
    """A host that accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SOON_S)
        yield listening


class Asking:
    """A thread that asks the listener for something under a stop."""

    def __init__(self, kind: type[WatchedConnection], listener: socket.socket) -> None:
        self.stop = Stop()
        self.error: Exception | None = None
        self.connection = kind("127.0.0.1", listener.getsockname()[1], timeout=60)
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        try:
            with CutOff(stop=self.stop):
                self.connection.request("PUT", "/", body=bytes(64 << 20))
                self.connection.getresponse().read()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            self.connection.close()

    def has_ended(self) -> bool:
        self.thread.join(SOON_S)
        return not self.thread.is_alive()


@pytest.mark.parametrize("kind", [WatchedTlsConnection, WatchedConnection], ids=["TLS", "plain"])
def test_a_thread_that_waits_for_a_host_that_only_accepts_wakes_up(listener, kind):
    """Over TLS it waits for the first answer, without it for room to send."""
    asking = Asking(kind, listener)
    accepted, _ = listener.accept()
    with accepted:
        accepted.settimeout(SOON_S)
        assert accepted.recv(1)
        asking.stop.set()
        assert asking.has_ended()
        assert isinstance(asking.error, OSError)


def test_after_a_stop_nothing_is_sent(listener):
    stop = Stop()
    stop.set()
    connection = WatchedConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
    with CutOff(stop=stop), pytest.raises(ConnectionAbortedError):
        connection.request("GET", "/")
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_connection_that_was_given_back_is_left_alone(listener):
    connection = WatchedConnection("127.0.0.1", listener.getsockname()[1], timeout=SOON_S)
    with CutOff() as cut_off:
        connection.connect()
    accepted, _ = listener.accept()
    with accepted:
        cut_off.set()
        connection.request("GET", "/")
        assert accepted.recv(3) == b"GET"
        accepted.sendall(b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n")
        assert connection.getresponse().status == 204
    connection.close()


def test_a_stop_ends_those_that_were_made_under_it_and_no_others():
    outer = Stop()
    before = Stop()
    with stopped_by(outer):
        under = Stop()
    after = Stop()
    outer.set()
    assert [stop.is_set() for stop in (before, under, after)] == [False, True, False]
    with stopped_by(outer):
        assert Stop().is_set()


def test_after_a_stop_there_is_some_time_for_what_must_not_be_ended_halfway():
    early, late = Stop(), Stop()
    early.set()
    with stopped_by(early), outlasting_stops(60):
        assert Stop().is_set(), "nothing is begun any more"
    with stopped_by(early), outlasting_stops(60, even_set=True):
        assert not Stop().is_set()
    with stopped_by(early), outlasting_stops(0.01, even_set=True):
        assert Stop().wait(SOON_S)
    with stopped_by(late):
        with outlasting_stops(0.01):
            inside = Stop()
            assert not inside.wait(0.1), "it counts from the stop"
            late.set()
            assert inside.wait(SOON_S)
        assert Stop().is_set()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.ports.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"yes")

    def log_message(self, *_arguments: object) -> None: ...


def test_a_socket_that_went_back_to_its_pool_is_left_alone():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        server.ports = []
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        with WatchedPool("127.0.0.1", server.server_port, maxsize=1, timeout=SOON_S) as pool:
            with CutOff() as cut_off:
                assert pool.request("GET", "/").data == b"yes"
                cut_off.set()
            assert pool.request("GET", "/").data == b"yes"
        server.shutdown()
        serving.join()
    first, second = server.ports
    assert first == second, "the same connection"


class NotingSocket(socket.socket):
    """Notes how much it is given at once."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.byte_counts: list[int] = []

    def sendall(self, data, *flags):
        self.byte_counts.append(len(data))
        return super().sendall(data, *flags)


def test_a_slow_line_has_a_time_out_for_each_piece_and_not_for_the_whole():
    """A plain socket bounds the time for all that it is given at once."""
    here, there = socket.socketpair()
    connection = WatchedConnection("127.0.0.1", 1, timeout=SOON_S)
    body = bytes(range(256)) * (1 << 12)
    received = bytearray()

    def receive() -> None:
        while data := there.recv(1 << 20):
            received.extend(data)

    receiving = threading.Thread(target=receive)
    receiving.start()
    with there, NotingSocket(here.detach()) as noting:
        connection.sock = noting
        connection.request("PUT", "/", body=body)
        noting.shutdown(socket.SHUT_WR)
        receiving.join(SOON_S)
    assert received.endswith(b"\r\n\r\n" + body)
    assert max(noting.byte_counts) <= 64 << 10


# ---- TLS inside the TLS of a proxy


@contextlib.contextmanager
def accepting(serve):
    """The port of a listener, of whose one connection a thread takes care."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SOON_S)

        def run() -> None:
            with contextlib.suppress(OSError):
                accepted, _ = listening.accept()
                with accepted:
                    accepted.settimeout(SOON_S)
                    serve(accepted)

        thread = threading.Thread(target=run)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(SOON_S)
        assert not thread.is_alive()


def test_what_is_asked_over_a_proxy_that_is_reached_by_tls_ends_as_well(tmp_path):
    files = make_certificate(tmp_path)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(files.certificate, files.key)
    theirs = ssl.create_default_context(cafile=files.certificate)
    is_asked = threading.Event()

    def service(line: socket.socket) -> None:
        with ours.wrap_socket(line, server_side=True) as secured:
            assert secured.recv(1 << 16)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
            is_asked.set()
            while secured.recv(1 << 16):
                pass

    def proxy(line: socket.socket) -> None:
        with ours.wrap_socket(line, server_side=True) as near, socket.create_connection(("127.0.0.1", port)) as far:
            while b"\r\n\r\n" not in near.recv(1 << 16):
                pass
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                ready = [near] if near.pending() else select.select([near, far], [], [], SOON_S)[0]
                for one in ready:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    (far if one is near else near).sendall(data)

    errors: list[Exception] = []

    def ask() -> None:
        with ProxyManager(
            f"https://127.0.0.1:{proxy_port}", proxy_ssl_context=theirs, ssl_context=theirs, retries=False
        ) as manager:
            manager.pool_classes_by_scheme = {"http": WatchedPool, "https": WatchedTlsPool}
            try:
                with CutOff(stop=stop):
                    manager.request("GET", f"https://127.0.0.1:{port}/", timeout=60)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                errors.append(error)

    stop = Stop()
    with accepting(service) as port, accepting(proxy) as proxy_port:
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        assert is_asked.wait(SOON_S), errors
        stop.set()
        asking.join(SOON_S)
        assert not asking.is_alive()
    assert len(errors) == 1
