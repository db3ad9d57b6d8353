"""Both ways against two other implementations: rage (through pyrage) and the age program."""

from __future__ import annotations

import os
import pty
import random
import subprocess
from typing import TYPE_CHECKING

import pyrage  # type: ignore[import-untyped]
import pytest

from conftest import program
from tabvault.errors import LimitError
from tabvault.formats.age import WORK_FACTOR_MAX, DecryptedSource, Encryptor
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "pässword, with 🔑"
PLAINTEXT = random.Random(4).randbytes(200_000)
BYTE_COUNTS = [0, 1, 4095, 4096, 65535, 65536, 65537, 131072, 200_000]


def encrypted(plaintext: bytes, *, work_factor: int = 2) -> bytes:
    deferred_byte_count = min(4096, len(plaintext))
    encryptor = Encryptor(PASSWORD, deferred_byte_count=deferred_byte_count, work_factor=work_factor)
    body = encryptor.update(plaintext[deferred_byte_count:])
    tail, head = encryptor.finish(plaintext[:deferred_byte_count])
    return head + body + tail


def decrypted(data: bytes) -> bytes:
    source = DecryptedSource(MemorySource(data), PASSWORD)
    return bytes(source.read_at(0, source.byte_count))


def run_age(*arguments: str | Path, typed: str) -> subprocess.CompletedProcess[bytes]:
    """
    Run age with *typed* on its terminal.

    In a session without a controlling terminal age takes its standard input for the terminal, if it is one. What is
    typed before age asks waits in the line buffer of the terminal.
    """
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, typed.encode())
        return subprocess.run(
            [program("age"), *arguments],
            stdin=terminal,
            capture_output=True,
            start_new_session=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(terminal)
        os.close(keyboard)


@pytest.mark.parametrize("byte_count", BYTE_COUNTS)
def test_rage_reads_what_we_write(byte_count: int) -> None:
    assert pyrage.passphrase.decrypt(encrypted(PLAINTEXT[:byte_count]), PASSWORD) == PLAINTEXT[:byte_count]


def test_we_read_what_rage_writes() -> None:
    """Rage takes the work factor that it measures to be a second's work: a fast machine may go over our limit."""
    data = pyrage.passphrase.encrypt(PLAINTEXT, PASSWORD)
    if int(data.split()[4]) <= WORK_FACTOR_MAX:
        assert decrypted(data) == PLAINTEXT
    else:
        with pytest.raises(LimitError):
            decrypted(data)


def test_rage_reads_what_we_write_at_our_own_work_factor() -> None:
    data = encrypted(PLAINTEXT, work_factor=17)
    assert pyrage.passphrase.decrypt(data, PASSWORD) == PLAINTEXT


@pytest.mark.parametrize("byte_count", BYTE_COUNTS)
def test_age_reads_what_we_write(byte_count: int, tmp_path: Path) -> None:
    (tmp_path / "ours.age").write_bytes(encrypted(PLAINTEXT[:byte_count]))
    finished = run_age("-d", tmp_path / "ours.age", typed=f"{PASSWORD}\n")
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert finished.stdout == PLAINTEXT[:byte_count]


@pytest.mark.parametrize("byte_count", [0, 65537, 200_000])
def test_we_read_what_age_writes(byte_count: int, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(PLAINTEXT[:byte_count])
    finished = run_age("-p", "-o", tmp_path / "theirs.age", tmp_path / "plain", typed=f"{PASSWORD}\n" * 2)
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert decrypted((tmp_path / "theirs.age").read_bytes()) == PLAINTEXT[:byte_count]


def test_the_peers_refuse_our_file_under_another_password(tmp_path: Path) -> None:
    """So that the tests above show that the password is used at all."""
    data = encrypted(PLAINTEXT)
    (tmp_path / "ours.age").write_bytes(data)
    with pytest.raises(pyrage.DecryptError):
        pyrage.passphrase.decrypt(data, PASSWORD + "!")
    finished = run_age("-d", tmp_path / "ours.age", typed=f"{PASSWORD}!\n")
    assert finished.returncode == 1
    assert b"incorrect passphrase" in finished.stderr
