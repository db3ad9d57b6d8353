"""The operations of a server without its faces: a data folder, a job runner, an audit log, and people who ask."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import sample_path
from jobs.vaults import changed_metadata
from tabvault.jobs.access.principal import Limit, Principal, Scope
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.operations.administration import Administration
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.operations.files import Files
from tabvault.jobs.operations.job_access import JobAccess
from tabvault.jobs.operations.operations import Operations
from tabvault.jobs.runner.runner import JobRunner
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.job_records import JobRecords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SMALL = "Hugoberry__abc.pbix"

ROLES = {1: "non", 2: "rea", 3: "ref", 4: "pro", 5: "ada"}
"""``ModelPermission`` of a role, and its one member."""


@dataclasses.dataclass
class OperatedServer:
    vault: Vault
    runner: JobRunner
    audit: AuditLog
    operations: Operations
    files: Files
    administration: Administration
    jobs: JobAccess

    @property
    def state(self) -> Path:
        """Where the records of jobs and the audit log lie."""
        return self.vault.data / "server"


@contextlib.contextmanager
def operated_server(data: Path, *, working_count_max: int = 2) -> Iterator[OperatedServer]:
    with (
        Vault(data) as vault,
        contextlib.closing(JobRecords.open(data)) as records,
        JobRunner(records, working_count_max=working_count_max) as runner,
        contextlib.closing(Operations(vault, vault.own_folder, runner, audit := AuditLog(data))) as operations,
    ):
        yield OperatedServer(
            vault,
            runner,
            audit,
            operations,
            Files(vault, audit),
            Administration(vault, ServerAccess(data), audit),
            JobAccess(operations, runner, audit),
        )


def make_shop(data: Path) -> None:
    """Databases ``shop`` with a role of each permission and ``other`` without roles; ``shop.abf`` of the first."""
    shutil.copytree(_shop(), data)


@functools.cache
def _shop() -> Path:
    """Made once, for a test changes its own copy."""
    folder = Path(tempfile.mkdtemp(prefix="tabvault-shop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Vault(folder / "data") as vault:
        vault.import_file(str(sample_path(SMALL)), "shop")
        vault.import_file(str(sample_path(SMALL)), "other")
        give_roles(vault, "shop", ROLES)
        vault.backup("shop", "shop.abf")
    return folder / "data"


def give_roles(vault: Vault, database: str, roles: Mapping[int, str], *, name: str | None = None) -> None:
    """Commit a version with these roles and no others, by plain SQL; perhaps under another *name*."""
    with changed_metadata(vault.own_folder, database, name=name) as connection:
        (model,) = connection.execute("SELECT ID FROM Model").fetchone()
        connection.execute("DELETE FROM Role")
        connection.execute("DELETE FROM RoleMembership")
        for permission, member in roles.items():
            connection.execute(
                "INSERT INTO Role (ID, ModelID, Name, ModelPermission, ModifiedTime) VALUES (?, ?, ?, ?, 0)",
                (900_000 + permission, model, f"role {permission}", permission),
            )
            connection.execute(
                "INSERT INTO RoleMembership (ID, RoleID, MemberName, MemberID, IdentityProvider, MemberType, "
                "ModifiedTime) VALUES (?, ?, ?, ?, 'AzureAD', 2, 0)",
                (910_000 + permission, 900_000 + permission, member, member),
            )
        connection.execute("UPDATE DBPROPERTIES SET VALUE = 920000 WHERE NAME = 'MAXID'")


def user(name: str, *, administers_server: bool = False) -> Caller:
    return Caller(Principal(name, "user", frozenset({name}), administers_server), "10.0.0.7", "xmla")


def key(owner: Caller, *scopes: str, databases: tuple[str, ...] | None = None) -> Caller:
    """An API key of *owner*."""
    limit = Limit(frozenset(Scope(scope) for scope in scopes), None if databases is None else frozenset(databases))
    held = dataclasses.replace(
        owner.principal, kind="api_key", limit=limit, key_name="nightly", authentication="api_key"
    )
    return Caller(held, "10.0.0.8", "rest")


ROOT = user("root", administers_server=True)
ADA = user("ada")
BOB = user("bob")
