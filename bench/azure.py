"""
Backups in Azure Storage, beside the client library alone: upload, download, backup, restore.

The service is Azurite in memory, on the loopback interface: both sides meet the same limit, one thread of Node. The
peer is the fastest loop of the plain client library that was found: 8 MiB blocks, four on their way, each with its MD5
(without it the emulator takes three times as long), one block list; ranged GETs of 8 MiB, four at a time, into a new
file that replaces the old one when it is durable, as Tabvault does. Tabvault hashes each block besides, for the
resuming, and the whole.
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
from typing import TYPE_CHECKING

from bench.jobs import MIB, make_database
from bench.measure import Command, take_turns
from tabvault.jobs.vault import Vault
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Measured

BYTE_COUNT = 1 << 30
RUNS = 2
"""The emulator keeps every version of every blob in memory: three of this size for each run."""

ACCOUNT = "benchaccount"
CONTAINER = "bench"
AZURITE = Path(__file__).resolve().parents[1] / ".tools/azurite/node_modules/azurite/dist/src/blob/main.js"
_START_S = 60.0

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


@contextlib.contextmanager
def azurite() -> Iterator[str]:
    """A running emulator; its connection string."""
    node = shutil.which("node")
    if node is None or not AZURITE.is_file():
        raise RuntimeError("Azurite is not installed: scripts/azurite .tools/azurite")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    process = subprocess.Popen(
        [
            *(node, str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"),
            *("--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence", "--extentMemoryLimit", "12000"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
    )
    try:
        ends = time.monotonic() + _START_S
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield (
            f"AccountName={ACCOUNT};AccountKey={key};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
            "DefaultEndpointsProtocol=http;"
        )
    finally:
        process.terminate()
        process.wait()


def report(samples: Path, scratch: Path, *, byte_count: int = BYTE_COUNT) -> list[str]:
    """Lines of Markdown."""
    from azure.storage.blob import ContainerClient

    from tabvault.storage.account_credentials import ConnectionString

    folder, data = scratch / "folder", scratch / "azure"
    make_database(folder, samples, byte_count=byte_count)
    shutil.copytree(folder, data)
    tabvault = str(Path(sys.executable).with_name("tabvault"))
    local = folder / "storage" / "backups" / "large.abf"
    with azurite() as connection:
        with ContainerClient.from_connection_string(connection, CONTAINER) as client:
            client.create_container()
        with Vault(data) as vault:
            vault.storage.add_account("bench", ConnectionString(connection))
            vault.configure_storage(BackupStorageSettings(enabled=True, account="bench", container=CONTAINER))
        peer = {"CONNECTION": connection}

        def command(name: str, where: Path, *arguments: str) -> Command:
            return Command(name, [tabvault, *arguments, "--data", str(where)])

        def script(name: str, text: str, path: Path) -> Command:
            return Command(name, [sys.executable, "-c", text, str(path)], environment=peer)

        got = scratch / "got.abf"
        backup = ("backup", "large", "large.abf", "--overwrite", "--no-compress")
        restore = ("restore", "large.abf", "copy", "--overwrite")
        commands = [
            command("backup to a folder", folder, *backup),
            script("the client library uploads that file", UPLOAD, local),
            command("storage put of that file", data, "storage", "put", str(local), "put.abf", "--overwrite"),
            command("backup straight to Azure", data, *backup),
            script("the client library downloads it", DOWNLOAD, scratch / "peer.abf"),
            command("storage get", data, "storage", "get", "large.abf", str(got), "--overwrite"),
            command("restore from a folder", folder, *restore),
            command("restore straight from Azure", data, *restore),
        ]
        measured = take_turns(commands, runs=RUNS)
        stored_byte_count = local.stat().st_size
    return [
        f"A backup of {stored_byte_count / MIB:,.0f} MiB, plain.",
        "",
        "| what | MB/s | beside | peak memory, MiB |",
        "| --- | ---: | ---: | ---: |",
        *_lines(measured, stored_byte_count),
        "",
        _sums(measured),
    ]


def _lines(measured: dict[str, Measured], byte_count: int) -> Iterator[str]:
    peers = {
        "storage put of that file": "the client library uploads that file",
        "storage get": "the client library downloads it",
    }
    for name, each in measured.items():
        peer = peers.get(name)
        ratio = f"{measured[peer].seconds / each.seconds:.2f} x" if peer else ""
        speed = byte_count / each.seconds / 1e6
        yield f"| {name} | {speed:,.0f} | {ratio} | {each.peak_byte_count / MIB:,.0f} |"


def _sums(measured: dict[str, Measured]) -> str:
    backup, upload = measured["backup to a folder"].seconds, measured["the client library uploads that file"].seconds
    restore, download = measured["restore from a folder"].seconds, measured["the client library downloads it"].seconds
    straight_out = measured["backup straight to Azure"].seconds
    straight_in = measured["restore straight from Azure"].seconds
    return " ".join(
        (
            f"Straight to Azure a backup takes {straight_out:.1f} s; to a folder {backup:.1f} s and the upload",
            f"{upload:.1f} s: {straight_out / max(backup, upload):.2f} of the slower one,",
            f"{straight_out / (backup + upload):.2f} of their sum. A restore takes {straight_in:.1f} s; the download",
            f"{download:.1f} s and from a folder {restore:.1f} s: {straight_in / max(restore, download):.2f} of the",
            f"slower one, {straight_in / (restore + download):.2f} of their sum.",
        )
    )
