"""A database that is large enough to be interrupted, and jobs in processes that are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

from jobs.vaults import vault_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from storage.azure.azurite import Container
    from storage.fault_proxy import FaultProxy

LARGE_FILE = "large.CryptKey.bin"
"""A file beside the metadata that no row of them names: it goes from backup to backup whatever is in it."""


def large_database(folder: Path, byte_count: int) -> Path:
    """A data folder with the database ``shop``, which has a file of so many bytes that nothing compresses."""
    with vault_with(folder) as vault:
        old = vault.folder.find("shop")
        with vault.folder.read(old) as version, vault.folder.stage() as staged:
            for name in version.names():
                staged.link(version, name)
            group_class = version.entry(next(name for name in version.names() if name.endswith(".idf"))).group_class
            staged.add(LARGE_FILE, noise(byte_count), byte_count=byte_count, last_write_time=0, group_class=group_class)
            staged.commit(
                name=old.name,
                database_id=old.id,
                compatibility_level=old.compatibility_level,
                read_write_mode=old.read_write_mode,
                container=version.manifest.container,
                replaces=old,
            )
    return folder / "data"


def noise(byte_count: int) -> Iterator[bytes]:
    chance = random.Random(48)
    while byte_count:
        piece = chance.randbytes(min(1 << 20, byte_count))
        byte_count -= len(piece)
        yield piece


_PARENT = """
import os, sys, traceback
from pathlib import Path
from tabvault.jobs.backup import backup_database
from tabvault.jobs.landing import LandingOptions
from tabvault.jobs.restore import restore_database
from tabvault.storage.azure.access import access_by_key
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.data_folder.folder import DataFolder

def job():
    get = os.environ.__getitem__
    access = access_by_key(get("URL"), get("CONTAINER"), account=get("ACCOUNT"), key=get("KEY"))
    with (
        DataFolder.open(Path(os.environ["DATA"])) as folder,
        AzureBlobStore(access, block_byte_count=int(os.environ["BLOCK"])) as store,
    ):
        JOB

for _ in sys.stdin:
    process_id = os.fork()
    if not process_id:
        try:
            job()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(process_id, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), flush=True)
"""


class KilledJobs:
    """
    Runs one job over and over, each time in a new process, which is killed when a request at the proxy says so.

    The processes are forks of one that has everything loaded, so that a try costs no start of the interpreter.

    Args:
        job: a statement that uses ``folder`` and ``store``.
        data: the data folder.
        container: of the emulator.
        proxy: through which the jobs reach it.
        block_byte_count: of the store.
    """

    def __init__(self, job: str, data: Path, container: Container, proxy: FaultProxy, *, block_byte_count: int) -> None:
        self._proxy = proxy
        environment = os.environ | {
            "DATA": str(data),
            "URL": container.account_url(proxy.port),
            "CONTAINER": container.name,
            "ACCOUNT": container.account_url().rpartition("/")[2],
            "KEY": container.key,
            "BLOCK": str(block_byte_count),
        }
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT.replace("JOB", job)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, plan: Callable[[object, Callable[[], None]], object]) -> int:
        """
        The exit status of one try.

        Args:
            plan: of the proxy; its second argument kills the process of this try.
        """
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        known = threading.Event()
        process_id = 0

        def waiting(request: object) -> object:
            assert known.wait(10)
            return plan(request, lambda: os.kill(process_id, signal.SIGKILL))

        self._proxy.plan = waiting
        self._parent.stdin.write("\n")
        process_id = int(self._parent.stdout.readline())
        known.set()
        return int(self._parent.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(60)
        self._parent.stdout.close()
