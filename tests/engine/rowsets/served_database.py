"""A server with one genuine database, or metadata changed by SQL, for the tests of rowsets."""

# ruff: noqa: E501  # a session stands in one line

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from dataclasses import replace
from functools import cache

from conftest import sample_path
from tabvault.engine.rowsets import (
    CatalogEntry,
    ConnectionFacts,
    JobFacts,
    RowsetContext,
    RowsetSource,
    ServerFacts,
    SessionFacts,
)
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

STARTED = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
SHOP = CatalogEntry("Shop", "shop-id", "a shop", 1550, STARTED, 4)
OTHER = CatalogEntry("Another", "another-id", None, 1200, None, 1)
SERVER = ServerFacts(
    name="vault",
    version="16.0.43.220",
    started=STARTED,
    now=STARTED + datetime.timedelta(seconds=90),
    port=8282,
    sessions=[
        SessionFacts(id="S-1", spid=1, user_name="ann", started=STARTED, last_command="EVALUATE x", last_command_started=STARTED),
        SessionFacts(id="S-2", spid=2, user_name="bob", started=STARTED + datetime.timedelta(seconds=60), database="Shop"),
    ],
    connections=[ConnectionFacts(id=1, user_name="ann", started=STARTED, host_name="desk", last_command_started=STARTED, last_command_ended=STARTED + datetime.timedelta(seconds=30), sent_byte_count=5)],
    jobs=[
        JobFacts(id=1, description="backup Shop", created=STARTED, started=STARTED + datetime.timedelta(seconds=10), user_name="ann"),
        JobFacts(id=2, description="restore Shop", created=STARTED + datetime.timedelta(seconds=89), user_name="bob"),
    ],
    properties={"BackupDir": "/backup", "DataDir": "/data & more"},
)  # fmt: skip


@cache
def metadata_of(sample: str) -> bytes:
    with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
        return bytes(ContainerFiles(backup.container).read(METADATA_FILE))


def asked(data: bytes, sql: str) -> list[tuple]:
    """What SQLite itself answers."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        return connection.execute(sql).fetchall()


def changed(data: bytes, *statements: str) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return connection.serialize()


class NoFiles:
    """The files of metadata that came alone."""

    def names(self):
        return ()


def serving(data: bytes, **facts) -> RowsetContext:
    """A server whose database Shop has the metadata *data*; *facts* are those of its RowsetSource."""

    @contextlib.contextmanager
    def open_database(name: str):
        assert name == "Shop"
        with Metadata.from_bytes(data) as metadata:
            source = RowsetSource(SHOP, [SHOP, OTHER], metadata, load_model(metadata), NoFiles())
            yield replace(source, **facts)

    return RowsetContext(
        server=SERVER,
        catalogs=[SHOP, OTHER],
        open_database=open_database,
        catalog="Shop",
        user_name="ann",
        is_administrator=True,
    )
