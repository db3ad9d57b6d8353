"""
Tabvault as a program: with pipes or on a terminal of its own.

:data:`COMMAND` starts it as a user does, for what an interpreter's start has part in.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import logging
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import typer.main

from forked_programs import ForkedProgram
from tabvault.faces.cli.main import run as console_program

TIMEOUT_S = 60
COMMAND = (sys.executable, "-m", "tabvault")


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TABVAULT_", "NO_COLOR", "PYTHONUNBUFFERED", "COLUMNS", "LINES"))
    }
    return kept | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | more


def run(*arguments: str | Path, data: Path, stdin: str = "", env: dict[str, str] | None = None) -> Outcome:
    """The program in a process of its own, with pipes: no terminal anywhere."""
    program = ForkedProgram(
        "tabvault",
        *arguments,
        environment=environment(TABVAULT_DATA=str(data), **(env or {})),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        has_session=True,  # else getpass would find the terminal of whoever runs the tests
    )
    out, err = program.communicate(stdin.encode(), timeout=TIMEOUT_S)
    return Outcome(program.wait(), out.decode(), err.decode())


class Terminal:
    """The program (or another) with a terminal of its own, *width* cells wide, as standard input, output and error."""

    def __init__(
        self, *arguments: str | Path, data: Path, command: tuple[str, ...] | None = None, width: int = 100
    ) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, width))
        self._seen = b""
        known = environment(TABVAULT_DATA=str(data))
        self.process: subprocess.Popen[bytes] | ForkedProgram
        try:
            if command is None:
                self.process = ForkedProgram(
                    "tabvault",
                    *arguments,
                    environment=known,
                    stdin=slave,
                    stdout=slave,
                    stderr=slave,
                    has_session=True,
                    has_terminal=True,
                )
            else:
                self.process = subprocess.Popen(
                    [*command, *map(str, arguments)],
                    stdin=slave,
                    stdout=slave,
                    stderr=slave,
                    env=known,
                    start_new_session=True,
                    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call, no lock
                )
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    @property
    def raw(self) -> bytes:
        """Every byte that reached the terminal so far."""
        return self._seen

    @property
    def text(self) -> str:
        """What stood on it, without the escape sequences that are ours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._seen.decode()).replace("\r\n", "\n")

    @property
    def screen(self) -> str:
        """What is left on it: ``\\r`` goes to the begin of the line, ``\\x1b[K`` erases from there to its end."""
        lines = []
        for line in self._seen.decode().replace("\r\n", "\n").split("\n"):
            shown, at = "", 0
            for piece in re.split(r"(\r|\x1b\[K|\x1b\[[0-9;?]*[A-Za-z])", line):
                if piece == "\r":
                    at = 0
                elif piece == "\x1b[K":
                    shown = shown[:at]
                elif not piece.startswith("\x1b"):
                    shown = shown[:at] + piece + shown[at + len(piece) :]
                    at += len(piece)
            lines.append(shown)
        return "\n".join(lines)

    def expect(self, text: str) -> None:
        """Wait until *text* has been shown."""
        end = time.monotonic() + TIMEOUT_S
        while text not in self.text:
            assert self._read(end), f"{text!r} did not appear in {self.text!r}"

    def interrupt(self) -> None:
        """
        Send SIGINT when the program waits.

        One that comes between Python's last look for signals and the call that waits is only seen after that call.
        """
        end = time.monotonic() + TIMEOUT_S
        stat = Path(f"/proc/{self.process.pid}/stat")
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < end
            time.sleep(0.001)
        self.process.send_signal(signal.SIGINT)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read until the program has ended; its exit status."""
        end = time.monotonic() + TIMEOUT_S
        while self._read(end):
            pass
        return self.process.wait(timeout=TIMEOUT_S)

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
        piece = b""
        if ready:
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                piece = os.read(self._master, 65536)
        self._seen += piece
        return bool(piece)


_command_of = functools.cache(typer.main.get_command)
"""Made of all commands and their options, which takes longer than most of what tests do with it; it keeps nothing."""


def call(
    *arguments: str | Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdin: str = "",
) -> Outcome:
    """The same entry point inside this process: quick, where no terminal, no signal and no argument list matters."""
    monkeypatch.setattr(typer.main, "get_command", _command_of)
    monkeypatch.setattr(sys, "argv", ["tabvault", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
    monkeypatch.setenv("TABVAULT_DATA", str(data))
    capsys.readouterr()
    handlers = [*logging.root.handlers]
    try:
        with pytest.raises(SystemExit) as end:
            console_program()
    finally:
        # A server that began to log does so to a stream that ends with this test.
        logging.root.handlers[:] = handlers
    captured = capsys.readouterr()
    status = end.value.code
    assert isinstance(status, int)
    return Outcome(status, captured.out, captured.err)
