"""
Processes to be killed in the middle of their work, one after the other.

They are forked from one that has loaded the modules: what a round costs is its work and not an interpreter's start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_PARENT = """
for _ in sys.stdin:
    if os.fork() == 0:
        try:
            work(lambda: os.write(1, b"%d\\n" % os.getpid()))
        finally:
            os._exit(1)
    os.wait()
    os.write(1, b"ended\\n")
"""


class KilledProcesses:
    """
    A context manager.

    Args:
        program: defines ``work(ready)``, which calls ``ready()`` and then works until it is killed.
        folder: what it finds as ``sys.argv[1]``.
    """

    def __init__(self, program: str, folder: Path) -> None:
        text = f"import os, sys\n{textwrap.dedent(program)}{_PARENT}"
        self._parent = subprocess.Popen(
            [sys.executable, "-c", text, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self._running: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self.kill()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(60)
        self._parent.stdout.close()

    def start(self) -> None:
        """Start the next one; returns when it has said that it is ready."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("go\n")
        self._running = int(self._parent.stdout.readline())

    def kill(self) -> None:
        """Kill it by SIGKILL; returns when it is gone."""
        assert self._running is not None
        assert self._parent.stdout is not None
        os.kill(self._running, signal.SIGKILL)
        self._running = None
        assert self._parent.stdout.readline() == "ended\n"
