"""The guide, followed word by word on genuine files: its commands in a shell, its script, its crontab, its Python."""

from __future__ import annotations

import contextlib
import datetime
import os
import pty
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ResourceExistsError

from conftest import missing, sample_path
from docs.documents import DOCS, Block, blocks, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLES = {"Quality.abf": "Hugoberry__DataModel.abf", "Sales.pbix": "Hugoberry__rls-sample-report.pbix"}
TEXT = read(DOCS / "guide.md")

pytest_plugins = ["storage.azure.azurite"]

PASSWORD_FILE = ".tabvault-password"
SAS_FILE = "backups.sas"
SAS_VALID = datetime.timedelta(days=90, hours=2)
TIMEOUT_S = 120


class Reader:
    """
    Somebody who follows the guide, with a home of his own.

    *here* and *there* are the environments of two machines; what a command exports stays in its machine's.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = home / "venv-bin"
        self.bin.mkdir()
        (self.bin / "tabvault").write_text(f'#!/bin/sh\nexec {sys.executable} -m tabvault "$@"\n')
        (self.bin / "tabvault").chmod(0o700)
        (home / "bin").mkdir()
        for name, sample in SAMPLES.items():
            shutil.copy(sample_path(sample), home / name)
        self.here = {"HOME": str(home), "PATH": f"{self.bin}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        self.there = self.here | {"TABVAULT_DATA": str(home / "there")}

    def follow(self, block: Block, environment: dict[str, str]) -> None:
        """Type each command of a console, and compare what it prints."""
        for command, printed in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            status, output = self._typed(command, environment)
            assert status == 0, f"{command}\n{output}"
            expected = "[^\n]*".join(map(re.escape, printed.split("…")))
            assert re.fullmatch(expected, output), f"{command}\n{output}"

    def _typed(self, command: str, environment: dict[str, str]) -> tuple[int, str]:
        """Status and output of a command. The password waits on the terminal, for a program that asks."""
        exported = self.home / ".environment"
        keyboard, terminal = pty.openpty()
        try:
            if (self.home / PASSWORD_FILE).exists():
                os.write(keyboard, (self.home / PASSWORD_FILE).read_bytes())
            done = subprocess.run(
                ["/bin/bash", "-c", f"{command}\nstatus=$?; env -0 > {exported}; exit $status"],
                env=environment,
                cwd=self.home,
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        finally:
            os.close(keyboard)
            os.close(terminal)
        for entry in filter(None, exported.read_text().split("\0")):
            name, _, value = entry.partition("=")
            environment[name] = value
        return done.returncode, done.stdout.decode()

    @contextlib.contextmanager
    def password_mislaid(self) -> Iterator[None]:
        file = self.home / PASSWORD_FILE
        mislaid = file.rename(self.home / "mislaid")
        yield
        mislaid.rename(file)

    def wait_for_cron(self, crontab: str) -> str:
        """What cron would mail: the output of the one line, run as cron runs it."""
        lines = crontab.splitlines()
        variables = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
        (command,) = (re.fullmatch(r"(?:\S+ ){5}(.+)", line)[1] for line in lines if re.match(r"[\d*]", line))  # type: ignore[index]
        variables["PATH"] = variables["PATH"].replace("/opt/tabvault/bin", str(self.bin))
        variables["TABVAULT_DATA"] = variables["TABVAULT_DATA"].replace("/home/bi", str(self.home))
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace("\\%", "%")],
            env=variables | {"HOME": str(self.home), "SHELL": "/bin/sh"},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return f"{done.stdout.decode()}{done.stderr.decode()}"


def save_sas_url(file: Path, port: int, key: str) -> None:
    """What the guide says to do in the portal: a container, and its URL with a SAS in a file."""
    from storage.azure.azurite import Container

    container = Container(port, "backups", key)
    with container.plain() as client, contextlib.suppress(ResourceExistsError):
        client.create_container()
    file.write_text(f"{container.account_url()}/backups?{container.sas('rwdl', valid=SAS_VALID)}\n")
    file.chmod(0o600)


@pytest.mark.slow
def test_whoever_follows_the_guide_sees_what_it_says(tmp_path: Path, azurite: tuple[int, str]) -> None:
    reader = Reader(tmp_path)
    save_sas_url(tmp_path / SAS_FILE, *azurite)
    has_age = shutil.which("age") is not None
    for block, following in pairwise([*blocks(TEXT), None]):
        assert block is not None
        if "$ age " in block.text and not has_age:
            break
        match block.language:
            case "console" if block.caption == "On the other machine:":
                reader.follow(block, reader.there)
            case "console":
                reader.follow(block, reader.here)
            case "sh":
                (path,) = re.findall(r"`~/([^`]+)`:$", block.caption)
                (tmp_path / path).write_text(block.text)
            case "crontab":
                backups = tmp_path / "backups" / "nightly" / "sales"
                assert len(list(backups.glob("2*.abf"))) == 1, "made when the script was tried out"
                assert reader.wait_for_cron(block.text) == ""
                assert reader.wait_for_cron(block.text) == "", "and once more on the same day"
                assert len(list(backups.glob("2*.abf"))) == 3
                with reader.password_mislaid():
                    assert "error[password]" in reader.wait_for_cron(block.text), "cron mails an error"
            case "python":
                done = subprocess.run(
                    [sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, check=True, timeout=TIMEOUT_S
                )
                assert following is not None
                assert done.stdout.decode() == following.text
            case other:
                assert other == "text", f"nobody knows what to do with {other!r}"
    assert (tmp_path / PASSWORD_FILE).stat().st_mode & 0o077 == 0
    if not has_age:
        missing("program age is not installed")
