"""
Azurite for the tests: Microsoft's emulator of Azure Storage, a real process on a free port of the loopback interface.

Its account has a key of this run. It keeps everything in memory and ends with the process that started it, however that
ends: the shell around it waits for the end of its input.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import gc
import os
import secrets
import shlex
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from azure.storage.blob import ContainerClient, generate_container_sas

from conftest import REPOSITORY, missing, program
from tabvault.storage.azure.access import ContainerAccess, access_by_key, access_by_sas_url
from tabvault.storage.azure.store import AzureBlobStore

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = REPOSITORY / ".tools" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT: Final = "testaccount"
_START_S: Final = 60.0


@dataclass(frozen=True)
class Container:
    """A container of the emulator, new for each test."""

    port: int
    name: str
    key: str
    stores: list[AzureBlobStore] = field(default_factory=list, repr=False)

    def account_url(self, port: int | None = None) -> str:
        return f"http://127.0.0.1:{port or self.port}/{ACCOUNT}"

    def access(self, port: int | None = None) -> ContainerAccess:
        """By the account's key; through a proxy, if *port* is its."""
        return access_by_key(self.account_url(port), self.name, account=ACCOUNT, key=self.key)

    def store(self, port: int | None = None, **options) -> AzureBlobStore:
        return self._opened(AzureBlobStore(self.access(port), **options))

    def plain(self) -> ContainerClient:
        """The client library as anybody uses it."""
        return ContainerClient(self.account_url(), self.name, credential=self.key)

    def sas(self, permission: str, *, valid: datetime.timedelta = datetime.timedelta(hours=1), **options) -> str:
        return generate_container_sas(
            ACCOUNT,
            self.name,
            account_key=self.key,
            permission=permission,
            expiry=datetime.datetime.now(datetime.UTC) + valid,
            **options,
        )

    def store_by_sas(self, sas: str) -> AzureBlobStore:
        access = access_by_sas_url(f"{self.account_url()}/{self.name}?{sas}")
        return self._opened(AzureBlobStore(access))

    def _opened(self, store: AzureBlobStore) -> AzureBlobStore:
        self.stores.append(store)
        return store


@pytest.fixture(scope="session")
def azurite() -> Iterator[tuple[int, str]]:
    """The port of a running emulator and the key of its account."""
    with running_azurite() as found:
        yield found


@contextlib.contextmanager
def running_azurite(*options: str) -> Iterator[tuple[int, str]]:
    """The port of an emulator that runs with *options* besides, and the key of its account."""
    node = program("node")
    if not PROGRAM.is_file():
        missing("Azurite is not installed (scripts/azurite .tools/azurite)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = (
        f"{shlex.quote(node)} {shlex.quote(str(PROGRAM))} --blobHost 127.0.0.1 --blobPort {port} --silent "
        f"--disableTelemetry --skipApiVersionCheck --inMemoryPersistence --extentMemoryLimit 3000 {shlex.join(options)}"
    )
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{command} </dev/null & child=$!; read line; kill $child; wait $child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
    )
    try:
        _wait_until_it_listens(process, port)
        yield port, key
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


@pytest.fixture
def container(azurite: tuple[int, str]) -> Iterator[Container]:
    """An empty container."""
    port, key = azurite
    made = Container(port, f"test-{secrets.token_hex(8)}", key)
    with made.plain() as client:
        client.create_container()
    yield made
    for store in made.stores:
        store.close()
    # An answer that was cut off keeps its socket until it is collected, and other tests count descriptors.
    gc.collect()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    ends = time.monotonic() + _START_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("Azurite did not start")
