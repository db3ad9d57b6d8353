"""``tabvault serve`` in a process of its own, on a free port."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from faces.program import TIMEOUT_S, Outcome, environment, run
from forked_programs import ForkedProgram

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path

PASSWORD = "correct horse battery staple"


@dataclass
class Served:
    """A server that accepts requests, with the administrator ``alice``; what it logs is in the file *log*."""

    data: Path
    process: ForkedProgram
    ready: dict[str, Any]
    log: Path
    password_file: Path

    @property
    def url(self) -> str:
        return self.ready["url"]

    @property
    def login(self) -> list[str]:
        """The options that make a command work on this server, as alice."""
        return ["--server", self.url, "--user", "alice", "--login-password-file", str(self.password_file)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        # Without TLS nobody needs the authorities, and loading them is most of a request.
        options = {"verify": self.url.startswith("https:"), "timeout": TIMEOUT_S} | options
        return httpx.get(f"{self.url}{path}", auth=("alice", PASSWORD), **options)

    def post(self, path: str, content: object) -> httpx.Response:
        verify = self.url.startswith("https:")
        return httpx.post(f"{self.url}{path}", json=content, auth=("alice", PASSWORD), timeout=TIMEOUT_S, verify=verify)

    def run(self, *arguments: str | Path, **options: Any) -> Outcome:
        """A command on this server, as alice."""
        return run(*arguments, *self.login, data=self.data.parent / "no such folder", **options)

    def logged(self, text: str) -> str:
        """The log, when *text* stands in it: a request is logged when its answer is on the way already."""
        return str(wait_for(self.log.read_text, lambda log: text in log))

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT_S)

    def running_job(self, path: str, content: object) -> dict[str, Any]:
        """Start a job, and wait until it has begun to work."""
        job = self.post(path, content).json()
        return wait_for(lambda: self.get(f"/api/jobs/{job['id']}").json(), lambda now: now["progress"] is not None)


def wait_for(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + TIMEOUT_S
    while not holds(seen := look()):
        assert time.monotonic() < end, f"it stays at {seen!r}"
        time.sleep(0.02)
    return seen


def serve(data: Path, *options: str | Path) -> Served:
    password_file = data.parent / "alice.password"
    password_file.write_text(f"{PASSWORD}\n")
    password_file.chmod(0o600)
    log = data.parent / f"{data.name}.log"
    admin = ("--admin-user", "alice", "--admin-password-file", str(password_file))
    with log.open("ab") as log_file:
        process = ForkedProgram(
            "tabvault",
            *("serve", "--port", "0", "--json", *admin, *options),
            environment=environment(TABVAULT_DATA=str(data)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            has_session=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith(b'{"'):  # an error is more than one line, and the last thing it says
        out, _ = process.communicate(timeout=TIMEOUT_S)
        raise AssertionError((line + out).decode() + log.read_text())
    return Served(data, process, json.loads(line), log, password_file)
