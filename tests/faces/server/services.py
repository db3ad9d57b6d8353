"""
A server in this process, with genuine databases and users: for tests that look or reach behind its interface.

It listens on a port all the same, and clients reach it there.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import sqlite3
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import uvicorn

from conftest import sample_path
from faces.server.servers import ADMINISTRATOR
from tabvault.faces.server.application import create_application
from tabvault.faces.server.connection import PatientConnection
from tabvault.faces.server.service import Service
from tabvault.jobs.access.accounts import AccountBook
from tabvault.jobs.access.principal import Principal
from tabvault.jobs.operations.caller import Caller
from tabvault.storage.server_state.accounts import Accounts, load_accounts, save_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certificates import TlsFiles

MEMBER = ("bob", "a member of some roles")
STRANGER = ("carol", "known and nothing else")


@dataclass
class LocalServer:
    service: Service
    url: str
    clients: contextlib.ExitStack
    made: dict[object, httpx.Client] = field(default_factory=dict)

    def client(self, user: tuple[str, str] | None = ADMINISTRATOR, *, key: str | None = None) -> httpx.Client:
        """The client of that user, or with that API key; closed with the server."""
        if (user, key) not in self.made:
            headers = {} if key is None else {"X-API-Key": key}
            made = httpx.Client(base_url=self.url, auth=user if key is None else None, headers=headers, timeout=30)
            self.made[user, key] = self.clients.enter_context(made)
        return self.made[user, key]

    def add_member(self, database: str, role: str, name: str) -> None:
        """Make *name* a member of a role of the database."""
        next_id = "UPDATE DBPROPERTIES SET VALUE = VALUE + 1 WHERE NAME = 'MAXID'"
        member = (
            "INSERT INTO RoleMembership (ID, RoleID, MemberName) "
            "SELECT (SELECT VALUE FROM DBPROPERTIES WHERE NAME = 'MAXID'), ID, ? FROM Role WHERE Name = ?"
        )
        self.edit_metadata(database, (next_id, ()), (member, (name, role)))

    def edit_metadata(self, database: str, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Change the metadata of a database as a tool of another maker might have."""
        owner = Caller(Principal("alice", "user", frozenset({"alice"}), administers_server=True), "127.0.0.1", "rest")
        with self.service.operations.alterations.begin(owner, database) as alteration:
            with contextlib.closing(sqlite3.connect(":memory:")) as connection:
                connection.deserialize(alteration._content)
                for sql, values in statements:
                    connection.execute(sql, values)
                connection.commit()
                alteration._content = connection.serialize()
            alteration.commit()


@contextlib.contextmanager
def local_server(folder: Path, **databases: str) -> Iterator[LocalServer]:
    """A server with these three users, and with *databases*: by name, the sample that each is made of."""
    save_accounts(folder / "data", _accounts())
    with Service(folder / "data") as service:
        for name, sample in databases.items():
            service.vault.import_file(sample_path(sample), name)
        with listening(service) as url, contextlib.ExitStack() as clients:
            yield LocalServer(service, url, clients)


@functools.cache
def _accounts() -> Accounts:
    """The three users, made once: each costs a computation of scrypt."""
    with tempfile.TemporaryDirectory() as folder:
        book = AccountBook(Path(folder))
        book.create_administrator(*ADMINISTRATOR)
        for user in (MEMBER, STRANGER):
            book.create_user(*user)
        return load_accounts(Path(folder))


@contextlib.contextmanager
def listening(service: Service, tls: TlsFiles | None = None) -> Iterator[str]:
    """The address of a server in a thread of this process."""
    configuration = uvicorn.Config(
        create_application(service),
        http=PatientConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        ssl_certfile=tls and tls.certificate,
        ssl_keyfile=tls and tls.key,
    )
    server = uvicorn.Server(configuration)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)  # whoever comes before the loop runs, waits
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
