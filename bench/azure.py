"""
Backups in Azure Storage, beside the client library alone: upload, download, backup, restore.

The service is Azurite in memory on the loopback interface, one thread of Node and a little more. It keeps every version
of every blob, and is the slower the more of the machine's memory is new to it; so each run has an emulator of its own.

The peer is the fastest loop of the plain client library that was found: 8 MiB blocks, four on their way, each with its
MD5 (without it the emulator takes three times as long), one block list; ranged GETs of 8 MiB, four at a time, into a
new file that replaces the old one when it is durable, as Tabvault does. Tabvault hashes each block besides, for the
resuming, and the whole; a second peer does that too.

With two cores, one of them the emulator's, everything waits for the processor. So there is a second table, in which the
emulator is at the other end of a line (:mod:`bench.line`).
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.jobs import MIB, make_database
from bench.measure import Command, take_turns
from tabvault.jobs.vault import Vault
from tabvault.storage.account_credentials import ConnectionString
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from bench.measure import Measured

BYTE_COUNT = 1 << 30
RUNS = 3
LINE_RUNS = 1
LINE_BITS_PER_S = 1e9

ACCOUNT = "benchaccount"
CONTAINER = "bench"
AZURITE = Path(__file__).resolve().parents[1] / ".tools/azurite/node_modules/azurite/dist/src/blob/main.js"
_START_S = 60.0

BACKUP = "backup to a folder"
PEER_PUT = "the client library uploads that file"
SUMS_PUT = "the same with the sums that Tabvault makes"
PUT = "storage put of that file"
STRAIGHT_BACKUP = "backup straight to Azure"
PEER_GET = "the client library downloads it"
GET = "storage get"
RESTORE = "restore from a folder"
STRAIGHT_RESTORE = "restore straight from Azure"

UPLOAD = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from azure.storage.blob import BlobBlock, ContainerClient
client = ContainerClient.from_connection_string(os.environ["CONNECTION"], "bench")
blob = client.get_blob_client("peer.abf")
size = 8 << 20
count = -(-os.path.getsize(sys.argv[1]) // size)

def stage(position):
    with open(sys.argv[1], "rb") as file:
        file.seek(position * size)
        data = file.read(size)
    blob.stage_block(f"{position:08d}", data, length=len(data), validate_content=True)
    return BlobBlock(f"{position:08d}")

with ThreadPoolExecutor(4) as pool:
    blob.commit_block_list(list(pool.map(stage, range(count))))
"""

DOWNLOAD = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from azure.storage.blob import ContainerClient
client = ContainerClient.from_connection_string(
    os.environ["CONNECTION"], "bench", max_single_get_size=8 << 20, max_chunk_get_size=8 << 20
)
blob = client.get_blob_client("peer.abf")
new = sys.argv[1] + ".new"
with open(new, "wb") as file:
    blob.download_blob(max_concurrency=4).readinto(file)
    file.flush()
    os.fsync(file.fileno())
os.replace(new, sys.argv[1])
"""


UPLOAD_WITH_SUMS = """
import base64, hashlib, os, sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings
client = ContainerClient.from_connection_string(os.environ["CONNECTION"], "bench")
blob = client.get_blob_client("peer.abf")
whole = hashlib.md5(usedforsecurity=False)

def stage(position, data):
    name = f"{position:08d}.{base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()}"
    blob.stage_block(name, data, length=len(data), validate_content=True)
    return BlobBlock(name)

def blocks():
    with open(sys.argv[1], "rb") as file:
        while data := file.read(8 << 20):
            whole.update(data)
            yield data

with ThreadPoolExecutor(4) as pool:
    sent, staged = deque(), []
    for position, data in enumerate(blocks()):
        sent.append(pool.submit(stage, position, data))
        if len(sent) > 4:
            staged.append(sent.popleft().result())
    staged.extend(one.result() for one in sent)
blob.commit_block_list(staged, content_settings=ContentSettings(content_md5=bytearray(whole.digest())))
"""


class Azurite:
    """
    An emulator that can be had anew, empty, at the same address; a context manager that ends it.

    Attributes:
        connection: its connection string, through the line where there is one.

    Args:
        bits_per_s: speed of a line to it, or None for none.
    """

    def __init__(self, bits_per_s: float | None = None) -> None:
        node = shutil.which("node")
        if node is None or not AZURITE.is_file():
            raise RuntimeError("Azurite is not installed: scripts/azurite .tools/azurite")
        self._node = node
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._key = base64.b64encode(secrets.token_bytes(64)).decode()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: subprocess.Popen[str] | None = None
        port = self._port if bits_per_s is None else self._open_line(bits_per_s)
        self._direct = self._connection(self._port)
        self.connection = self._connection(port)

    def renew(self, file: Path | None = None) -> None:
        """Begin anew with an empty container, or one that holds *file* as ``peer.abf``."""
        from azure.storage.blob import ContainerClient

        self._end()
        self._process = subprocess.Popen(
            [
                *(self._node, str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(self._port), "--silent"),
                *("--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"),
                *("--extentMemoryLimit", "12000"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{self._key}"},
        )
        ends = time.monotonic() + _START_S
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                break
            time.sleep(0.1)
        with ContainerClient.from_connection_string(self._direct, CONTAINER) as client:
            client.create_container()
        if file is not None:
            environment = os.environ | {"CONNECTION": self._direct}
            subprocess.run([sys.executable, "-c", UPLOAD, str(file)], check=True, env=environment)

    def _connection(self, port: int) -> str:
        return (
            f"AccountName={ACCOUNT};AccountKey={self._key};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
            "DefaultEndpointsProtocol=http;"
        )

    def _open_line(self, bits_per_s: float) -> int:
        self._line = subprocess.Popen(
            [sys.executable, "-m", "bench.line", str(self._port), str(bits_per_s)], stdout=subprocess.PIPE, text=True
        )
        assert self._line.stdout is not None
        return int(self._line.stdout.readline())

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        if self._line is not None:
            self._line.kill()
            self._line.wait()
            assert self._line.stdout is not None
            self._line.stdout.close()


def report(samples: Path, scratch: Path, *, byte_count: int = BYTE_COUNT) -> list[str]:
    """Lines of Markdown."""
    folder = scratch / "folder"
    make_database(folder, samples, byte_count=byte_count)
    local = folder / "storage" / "backups" / "large.abf"
    near = _measured(scratch, folder, local, runs=RUNS)
    far = _measured(scratch, folder, local, runs=LINE_RUNS, bits_per_s=LINE_BITS_PER_S)
    stored_byte_count = local.stat().st_size
    return [
        f"A backup of {stored_byte_count / MIB:,.0f} MiB, plain; medians of {RUNS} runs.",
        "",
        *_table(near, stored_byte_count),
        "",
        f"Over a line of {LINE_BITS_PER_S / 1e6:,.0f} Mbit/s, one run:",
        "",
        *_table(far, stored_byte_count),
    ]


def _measured(
    scratch: Path, folder: Path, local: Path, *, runs: int, bits_per_s: float | None = None
) -> dict[str, Measured]:
    tabvault = str(Path(sys.executable).with_name("tabvault"))
    data = scratch / "azure"
    shutil.copytree(folder, data)
    with Azurite(bits_per_s) as azurite:
        azurite.renew()
        with Vault(data) as vault:
            vault.storage.add_account("bench", ConnectionString(azurite.connection))
            vault.configure_storage(BackupStorageSettings(enabled=True, account="bench", container=CONTAINER))

        def command(name: str, where: Path, *arguments: str) -> Command:
            return Command(name, [tabvault, *arguments, "--data", str(where)])

        def remote(name: str, *arguments: str, needs: Path | None = None) -> Command:
            return Command(name, [tabvault, *arguments, "--data", str(data)], lambda: azurite.renew(needs))

        def script(name: str, text: str, path: Path, *, needs: Path | None = None) -> Command:
            peer = {"CONNECTION": azurite.connection}
            return Command(name, [sys.executable, "-c", text, str(path)], lambda: azurite.renew(needs), peer)

        got = scratch / "got.abf"
        backup = ("backup", "large", "large.abf", "--overwrite", "--no-compress")
        commands = [
            command(BACKUP, folder, *backup),
            script(PEER_PUT, UPLOAD, local),
            script(SUMS_PUT, UPLOAD_WITH_SUMS, local),
            remote(PUT, "storage", "put", str(local), "put.abf"),
            remote(STRAIGHT_BACKUP, *backup),
            script(PEER_GET, DOWNLOAD, scratch / "peer.abf", needs=local),
            remote(GET, "storage", "get", "peer.abf", str(got), "--overwrite", needs=local),
            command(RESTORE, folder, "restore", "large.abf", "copy", "--overwrite"),
            remote(STRAIGHT_RESTORE, "restore", "peer.abf", "copy", "--overwrite", needs=local),
        ]
        measured = take_turns(commands, runs=runs)
    shutil.rmtree(data)
    return measured


def _table(measured: dict[str, Measured], byte_count: int) -> Iterator[str]:
    yield "| what | s | MB/s | beside | peak memory, MiB |"
    yield "| --- | ---: | ---: | --- | ---: |"
    seconds = {name: each.seconds for name, each in measured.items()}
    beside = {
        SUMS_PUT: f"{seconds[PEER_PUT] / seconds[SUMS_PUT]:.2f} x the plain upload",
        PUT: f"{seconds[PEER_PUT] / seconds[PUT]:.2f} x the plain upload, "
        f"{seconds[SUMS_PUT] / seconds[PUT]:.2f} x that with sums",
        STRAIGHT_BACKUP: _of_steps(seconds[STRAIGHT_BACKUP], seconds[BACKUP], seconds[PEER_PUT]),
        GET: f"{seconds[PEER_GET] / seconds[GET]:.2f} x the plain download",
        STRAIGHT_RESTORE: _of_steps(seconds[STRAIGHT_RESTORE], seconds[RESTORE], seconds[PEER_GET]),
    }
    for name, each in measured.items():
        speed = byte_count / each.seconds / 1e6
        peak = each.peak_byte_count / MIB
        yield f"| {name} | {each.seconds:.1f} | {speed:,.0f} | {beside.get(name, '')} | {peak:,.0f} |"


def _of_steps(straight_s: float, first_s: float, second_s: float) -> str:
    """How long both steps at once take, of the slower one and of the two."""
    slower, both = max(first_s, second_s), first_s + second_s
    return f"{straight_s / slower:.2f} of the time of the slower step, {straight_s / both:.2f} of both"
