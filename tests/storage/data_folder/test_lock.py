"""One process owns a data folder; a dead one does not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tabvault.errors import DataFolderLockedError
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.data_folder.lock import OwnerLock

OWN_AND_WAIT = """
import sys
from pathlib import Path
from tabvault.storage.data_folder.folder import DataFolder
with DataFolder.open(Path(sys.argv[1])):
    print("owned", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that owns the data folder until its input ends."""
    script = tmp_path / "other-server.py"
    script.write_text(OWN_AND_WAIT)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "data", "--password=hunter2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "owned\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_owns_the_folder(tmp_path, owner):
    with pytest.raises(DataFolderLockedError) as caught:
        DataFolder.open(tmp_path / "data")
    message = caught.value.message
    assert f"data folder {tmp_path / 'data'} is in use by other-server.py" in message
    assert f"process {owner.pid} on {socket.gethostname()}, since 20" in message
    assert caught.value.hint == "wait until that process has ended, or choose another data folder"
    assert "hunter2" not in (tmp_path / "data" / "owner.lock").read_text()


def test_a_process_that_was_killed_does_not_block(tmp_path, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert json.loads((tmp_path / "data" / "owner.lock").read_text())["pid"] == owner.pid
    with DataFolder.open(tmp_path / "data"):
        assert json.loads((tmp_path / "data" / "owner.lock").read_text())["pid"] == os.getpid()


def test_a_folder_is_opened_once_in_one_process_too(tmp_path):
    with DataFolder.open(tmp_path), pytest.raises(DataFolderLockedError, match=f"process {os.getpid()} on"):
        DataFolder.open(tmp_path)
    DataFolder.open(tmp_path).close()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xff", b"{}", b'{"pid": 1}', b"[" * 4000])
def test_whatever_the_lock_file_says_the_message_is_clear(tmp_path, content):
    lock = OwnerLock.acquire(tmp_path / "owner.lock")
    (tmp_path / "owner.lock").write_bytes(content)
    with pytest.raises(DataFolderLockedError, match="in use by another process"):
        OwnerLock.acquire(tmp_path / "owner.lock")
    lock.release()
    lock.release()
    OwnerLock.acquire(tmp_path / "owner.lock").release()


def test_what_another_owner_wrote_cannot_write_on_the_terminal(tmp_path):
    lock = OwnerLock.acquire(tmp_path / "owner.lock")
    owner = {"pid": 1, "host": "h", "since": "s", "command": "\x1b[2J\x07"}
    (tmp_path / "owner.lock").write_text(json.dumps(owner))
    with pytest.raises(DataFolderLockedError) as caught:
        OwnerLock.acquire(tmp_path / "owner.lock")
    lock.release()
    assert caught.value.message.isprintable()
