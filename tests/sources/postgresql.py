"""
A PostgreSQL server of the tests' own: Debian's binaries, a cluster in a temporary folder, passwords, loopback only.

It listens on a port of 127.0.0.1 and on a socket in its own folder, wants a password on both (SCRAM), and ends with the
process that started it, however that ends. PostgreSQL refuses to run as root: then it runs as ``postgres`` or
``nobody``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from conftest import missing, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

USER: Final = "reader"
_START_S: Final = 30.0
_SETTINGS: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=40")


class PostgreSqlServer:
    """
    A server that runs.

    Attributes:
        port: on 127.0.0.1.
        socket_folder: where its Unix socket lies.
        user: a superuser.
        password: of *user*; other in each run.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.port = _free_port()
        self.socket_folder = folder
        self.user = USER
        self.password = secrets.token_urlsafe(12)
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        password_file = folder / "password"
        password_file.write_text(self.password)
        for path in (folder, password_file):
            _give_away(path)
        made = subprocess.run(
            [
                *_as_other_user(),
                binaries / "initdb",
                *("--pgdata", self._data, "--username", USER, "--pwfile", password_file),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr
        password_file.unlink()
        self.start()

    def start(self) -> None:
        """Start it, also after :meth:`kill`; returns when it answers."""
        settings = [*_SETTINGS, f"port={self.port}", "listen_addresses=127.0.0.1"]
        settings.append(f"unix_socket_directories={self.socket_folder}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_as_other_user(),
                    self._binaries / "postgres",
                    *("-D", self._data),
                    *(word for setting in settings for word in ("-c", setting)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.socket_folder,
            )
        end = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError, self._not_ready()), self.connect():
                return
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut does: no connection is told anything but by the operating system."""
        assert self._process is not None
        for child in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=_START_S)

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        """A connection of psycopg, the other reader."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            **options,
        )

    def execute(self, *statements: str) -> None:
        """Run *statements* in the database ``postgres``."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @staticmethod
    def _not_ready() -> type[Exception]:
        import psycopg

        return psycopg.OperationalError


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSqlServer]:
    """A server for the whole run. What a test makes in it has names of its own, or is dropped again."""
    pytest.importorskip("psycopg")
    # Not a folder of pytest's: those are closed to other users, and their path is too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="tabvault-pg-"))
    try:
        server = PostgreSqlServer(_binaries(), folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """The newest that is installed. Debian keeps the server's programs out of PATH."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    return Path(program("initdb")).resolve().parent


def _as_other_user() -> list[str]:
    """What to put before a command so that it runs as a user PostgreSQL accepts, and ends when this process does."""
    words = [program("setpriv"), "--pdeathsig=INT"]
    if os.geteuid() == 0:
        user = _other_user()
        words += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return words


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    missing("no user that PostgreSQL could run as")
    raise AssertionError


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        user = _other_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
