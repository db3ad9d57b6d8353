"""
Python programs in processes of their own, without the second or two in which an interpreter loads what they import.

Each is forked from one process that has loaded every module of the product and does nothing else; there is one for each
worker of pytest. A program has its own process id, arguments, environment, folder, session and descriptors, gets
signals and ends with an exit status, as any other. What it does not have is an interpreter's start: whoever proves
something about that, or about variables that the interpreter reads then (``PYTHON…``, ``LC_…``), starts one.

The two talk over a pair of sockets. A start is one byte with descriptors: a socket for this program alone, standard
input, output and error, and others that it shall have. On the program's own socket go what it is to do (one line of
JSON), back its process id, and at its end the status as ``waitpid`` gives it.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import warnings
from contextlib import ExitStack, suppress
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NUMBER = struct.Struct("<i")
DESCRIPTOR_COUNT_MAX = 16
OUT_OF_THE_WAY = 512
"""Where received descriptors wait for the numbers that they shall have."""

LOADED: Final = (
    "azure.storage.blob",
    "duckdb",
    "encodings.idna",
    "httpx",
    "obstore",
    "pyarrow.csv",
    "pyarrow.parquet",
    "uvicorn.lifespan.off",
    "uvicorn.logging",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.h11_impl",
)
"""What modules of the product, or their libraries, load only when they need it, but many tests need."""

NOT_LOADED: Final = ("tabvault.sources.postgresql", "tabvault.sources.sqlite")
"""With them comes ``adbc_driver_manager``, which takes SIGINT for itself (SA_RESTART): a waiting call would go on."""


class ForkedProgram:
    """
    A running program, with the attributes and methods of :class:`subprocess.Popen` that tests use.

    Args:
        arguments: ``sys.argv`` of a module or script, which is the first of them: ``tabvault``, or ``….py``.
        environment: all of it.
        stdin, stdout, stderr: as for Popen; None is the one of this process.
        has_session: it begins a session of its own.
        has_terminal: its standard input is a terminal, and that becomes the one of its session.
        pass_fds: further descriptors, which keep their numbers.
    """

    def __init__(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str],
        stdin: int | IO[bytes] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        has_session: bool = False,
        has_terminal: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.args = [str(argument) for argument in arguments]
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        self._status, theirs = socket.socketpair()
        with theirs, ExitStack() as closed_here:

            def end_of(wanted: int | IO[bytes] | None, own: int, mode: str) -> tuple[int, IO[bytes] | None]:
                if wanted == subprocess.PIPE:
                    ends = os.pipe()
                    here, there = ends if mode == "rb" else ends[::-1]
                    closed_here.callback(os.close, there)
                    return there, os.fdopen(here, mode)
                if wanted == subprocess.DEVNULL:
                    there = os.open(os.devnull, os.O_RDWR)
                    closed_here.callback(os.close, there)
                    return there, None
                if wanted is None:
                    return own, None
                return (wanted if isinstance(wanted, int) else wanted.fileno()), None

            in_, self.stdin = end_of(stdin, 0, "wb")
            out, self.stdout = end_of(stdout, 1, "rb")
            err, self.stderr = end_of(stderr, 2, "rb")
            _Parent.of_this_process().fork([theirs.fileno(), in_, out, err, *pass_fds])
        request = {
            "arguments": self.args,
            "environment": dict(environment),
            "folder": os.getcwd(),  # noqa: PTH109 - the string that it is
            "has_session": has_session,
            "has_terminal": has_terminal,
            "numbers": [0, 1, 2, *pass_fds],
        }
        self._status.sendall(json.dumps(request).encode() + b"\n")
        self.pid: int = NUMBER.unpack(self._status.recv(NUMBER.size))[0]

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(NUMBER.unpack(self._status.recv(NUMBER.size))[0])
            self._status.close()
        return self.returncode

    def communicate(self, content: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write *content*, read to the end, and wait for the end; what was read, of each pipe that there is."""
        end_s = None if timeout is None else time.monotonic() + timeout
        read: dict[IO[bytes], bytes] = {}

        def read_out(pipe: IO[bytes]) -> None:
            with suppress(ValueError):  # closed, because the time is up
                read[pipe] = pipe.read()

        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None]
        readers = [threading.Thread(target=read_out, args=(pipe,), daemon=True) for pipe in pipes]
        for reader in readers:
            reader.start()
        if self.stdin is not None:
            with suppress(BrokenPipeError):
                self.stdin.write(content)
            with suppress(BrokenPipeError):
                self.stdin.close()
        for reader in readers:
            reader.join(None if end_s is None else max(0.0, end_s - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if end_s is None else max(0.0, end_s - time.monotonic()))
        for pipe in pipes:
            pipe.close()
        return tuple(read[pipe] if pipe is not None else b"" for pipe in (self.stdout, self.stderr))  # type: ignore[return-value]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Parent:
    """The process that the others are forked from, as this one sees it."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair()
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self._end)

    @staticmethod
    @functools.cache
    def of_this_process() -> _Parent:
        return _Parent()

    def fork(self, descriptors: list[int]) -> None:
        with self._turn:
            socket.send_fds(self._requests, [b"f"], descriptors)

    def _end(self) -> None:
        self._requests.close()
        self._process.wait(60)


# ---- the other side


def _load_everything() -> None:
    import tabvault

    found = pkgutil.walk_packages(tabvault.__path__, "tabvault.", onerror=lambda _: None)
    ours = {module.name for module in found} - {"tabvault.__main__", *NOT_LOADED}
    for name in [*sorted(ours), *LOADED]:
        with suppress(ImportError):  # of what is not installed here
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _next_fork(requests: socket.socket) -> list[int] | None:
    """
    Fork until nobody asks any more, and tell of ends.

    Returns: in the parent None; in each of the others, its descriptors.
    """
    running: dict[int, socket.socket] = {}
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old_handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell_of_ends(running)
        if requests in ready:
            asked, descriptors, _, _ = socket.recv_fds(requests, 1, DESCRIPTOR_COUNT_MAX)
            if not asked:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, old_handler)
                for status in (requests, *running.values()):
                    status.close()
                os.close(woken)
                os.close(wakes)
                return descriptors
            status = socket.socket(fileno=descriptors[0])
            status.sendall(NUMBER.pack(pid))
            running[pid] = status
            for descriptor in descriptors[1:]:
                os.close(descriptor)


def _tell_of_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as waiting, suppress(BrokenPipeError):  # nobody waits any more
            waiting.sendall(NUMBER.pack(status))


def _become(descriptors: list[int]) -> None:
    """Be the process that is asked for."""
    with socket.socket(fileno=descriptors[0]) as told, told.makefile("rb") as line:
        request: dict[str, Any] = json.loads(line.readline())
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for descriptor in descriptors[1:]]
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    for descriptor, number in zip(moved, request["numbers"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # As on a terminal, also where the tests run in the background, whose programs ignore both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if request["has_session"]:
        os.setsid()
    if request["has_terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    for number, name, old in ((0, "stdin", sys.stdin), (1, "stdout", sys.stdout), (2, "stderr", sys.stderr)):
        mode = "w" if number else "r"
        buffering = 1 if os.isatty(number) or number == 2 else -1
        stream = open(number, mode, buffering, encoding="utf-8", errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = request["arguments"]


def _run() -> int:
    """Run the module or script ``sys.argv[0]``; the exit status."""
    try:
        if sys.argv[0].endswith(".py"):
            warnings.simplefilter("default")
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
        return 1
    except BaseException:  # noqa: BLE001 - likewise
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(status: int) -> None:
    """What an interpreter does before it takes itself to pieces, which takes longer than many a program."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except OSError:
        status = 120
    os._exit(status)


if __name__ == "__main__":
    _load_everything()
    if (_descriptors := _next_fork(socket.socket(fileno=int(sys.argv[1])))) is None:
        _end(0)
    else:
        _become(_descriptors)
        _end(_run())
