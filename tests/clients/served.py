"""``tabvault serve`` in a process of its own, and a look at what lies on its disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from typing import TYPE_CHECKING

from conftest import sample_path
from forked_programs import ForkedProgram
from tabvault.formats.abf import db_xml
from tabvault.jobs.access.accounts import AccountBook
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.vault import Vault
from tabvault.model.changes.change import Change
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.testing.large_database import make_large

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORDS = {"alice": "secret", "bob@contoso.com": "bobs password", "eve": "eves password"}
"""Alice administers the server; the others may what roles let them."""

WITH_TWO_ROWS = "Hugoberry__old-Customer-Profitability-Sample-PBIX.pbix"
"""Its table ``Scenario`` has two rows."""

LARGE_BYTE_COUNT = 64 << 20


class Served:
    """
    A running server.

    Attributes:
        url: of its XMLA endpoint.
        process_id: of its process.
        data: its data folder.
        backups: the folder of its backup files.
    """

    def __init__(self, url: str, data: Path, process_id: int) -> None:
        self.url = url
        self.process_id = process_id
        self.data = data
        self.backups = data / "storage" / "backups"
        self._databases = data / "databases"

    def metadata(self, database: str) -> Path:
        """``metadata.sqlitedb`` of the current version, found in the folders without any code of the server's."""
        for current in self._databases.glob("*/CURRENT"):
            version = current.parent / "versions" / current.read_text().split()[0]
            if json.loads((version / "manifest.json").read_bytes())["name"] == database:
                return version / "files" / "metadata.sqlitedb"
        raise LookupError(database)

    def ask(self, database: str, sql: str) -> list[tuple[object, ...]]:
        """What SQLite itself reads in the metadata of a database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.metadata(database)}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def rows(self, database: str) -> dict[str, set[tuple[object, ...]]]:
        """Every row of every table of the metadata."""
        tables = [name for (name,) in self.ask(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: set(self.ask(database, f'SELECT * FROM "{name}"')) for name in tables}

    def put(self, sample: str) -> str:
        """Bring a genuine file into the storage. Returns its name there."""
        shutil.copy(sample_path(sample), self.backups / sample)
        return sample


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Served]:
    """Start a server on a data folder with the databases ``Sales`` and ``Large``; it ends as by Ctrl-C."""
    data = folder / "data"
    with Vault(data) as vault:
        make_sales(vault)
        make_large(vault.folder, "Sales", "Large", byte_count=LARGE_BYTE_COUNT)
        vault.backup("Sales", "sales.abf", compress=False)
    accounts = AccountBook(data)
    for name, password in PASSWORDS.items():
        accounts.create_user(name, password, is_server_administrator=name == "alice")
    with (folder / "server.log").open("wb") as log:
        process = ForkedProgram(
            *("tabvault", "serve", "--json", "--port", "0", "--data", data),
            environment=os.environ | {"COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        ready = json.loads(process.stdout.readline())
        yield Served(ready["xmla"], data, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        status = process.wait(60)
    assert status == 0
    assert "internal error" not in (folder / "server.log").read_text()


def make_sales(vault: Vault) -> None:
    """A database ``Sales`` with the id ``Sales-ID``, whose table ``Sales`` has two rows: of a genuine one, renamed."""
    vault.import_file(str(sample_path(WITH_TWO_ROWS)), "genuine")
    with Alteration(vault.folder, "genuine") as alteration:
        alteration.change([Change("alter", OBJECT_TYPES["Table"], {"Name": "Sales"}, {"ID": {"Table": "Scenario"}})])
        alteration.commit()
    with vault.folder.read("genuine") as version, vault.folder.stage() as staged:
        for entry in version.manifest.files:
            if entry.name.endswith(".db.xml") and "\\" not in entry.name:
                body = db_xml.edit(version.read(entry.name), file=entry.name, name="Sales", id="Sales-ID")
                place = {"last_write_time": entry.last_write_time, "group_class": entry.group_class}
                staged.add("Sales-ID.0.db.xml", [body], byte_count=len(body), **place)
            else:
                staged.link(version, entry.name)
        staged.commit(
            name="Sales",
            database_id="Sales-ID",
            compatibility_level=version.info.compatibility_level,
            read_write_mode="readWrite",
            container=version.manifest.container,
            replaces=None,
        )
    vault.drop("genuine")
