"""A password that comes with a data source is bound on the server, and in no file of the database or of its backups."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from vaults import vault_with

from tabvault.errors import TabvaultError
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.creation import create_database
from tabvault.model.changes.tree_changes import create_changes
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.tmsl.parse import object_tree
from tabvault.storage.server_state.source_credentials import bind_credential, load_credentials, login_of
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.vault import Vault
    from tabvault.model.changes.change import Change
    from tabvault.model.tmsl.tree import TabularObject

SECRET = "hunter2-and-more"
SHOP = {
    "name": "Shop",
    "provider": "Npgsql",
    "connectionString": f"Host=db.example;Database=dwh;Username=reader;Password={SECRET}",
}
LAKE = {
    "type": "structured",
    "name": "Lake",
    "connectionDetails": {"protocol": "postgresql", "address": {"server": "db.example", "database": "lake"}},
    "credential": {"AuthenticationKind": "UsernamePassword", "Username": "ann", "Password": SECRET},
}
ENCRYPTED = {"name": "Theirs", "provider": "SomethingElse", "connectionString": f"Data Source=x;Password={SECRET}"}


def model(*sources: dict[str, Any]) -> TabularObject:
    return object_tree("Model", {"dataSources": list(sources)}, place="model")


def bound(vault: Vault) -> dict[str, tuple[str | None, str | None]]:
    return {one.data_source: (one.user, login_of(vault.data, one).password) for one in load_credentials(vault.data)}


def connection_string(vault: Vault, database: str, name: str) -> str | None:
    with vault.folder.read(database) as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
        return next(one.connection_string for one in load_model(metadata).data_sources if one.name == name)


def holds_secret(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and (SECRET.encode() in path.read_bytes() or SECRET.encode("utf-16-le") in path.read_bytes())
    ]


def test_a_new_database_keeps_its_passwords_with_the_server(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        create_database(vault.own_folder, "new", compatibility_level=1500, model=model(SHOP, LAKE))
        assert bound(vault) == {"Shop": ("reader", SECRET), "Lake": ("ann", SECRET)}
        shown = "Host=db.example;Database=dwh;Username=reader;Password=********"
        assert connection_string(vault, "new", "Shop") == shown
        vault.backup("new", "new.abf", compress=False)
        assert holds_secret(tmp_path) == []


def test_a_changed_data_source_keeps_its_password_with_the_server(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        create_database(vault.own_folder, "new", compatibility_level=1500)
        with Alteration(vault.own_folder, "new") as alteration:
            alteration.change(create_changes(object_tree("DataSource", SHOP, place="dataSource")))
            assert bound(vault) == {}
            alteration.commit()
        assert bound(vault) == {"Shop": ("reader", SECRET)}
        assert holds_secret(tmp_path) == []


def test_what_no_source_understands_is_left_as_it_is(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        create_database(vault.own_folder, "new", compatibility_level=1500, model=model(ENCRYPTED))
        assert bound(vault) == {}
        assert connection_string(vault, "new", "Theirs") == ENCRYPTED["connectionString"]


def test_a_mask_in_a_new_database_leaves_the_credential_to_be_set(tmp_path: Path) -> None:
    masked = {**SHOP, "connectionString": "Host=db.example;Database=dwh;Password=********"}
    with vault_with(tmp_path) as vault:
        create_database(vault.own_folder, "new", compatibility_level=1500, model=model(masked))
        assert bound(vault) == {}


def shop_changes() -> list[Change]:
    return create_changes(object_tree("DataSource", SHOP, place="dataSource"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_fails_binds_what_was_bound_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: Any
) -> None:
    modules = ["tabvault.storage.data_folder.staged_file", "tabvault.storage.data_folder.folder"]
    with vault_with(tmp_path) as vault:
        create_database(vault.own_folder, "new", compatibility_level=1500)
        bind_credential(vault.data, database_id="new", data_source="Shop", address="x", user="old", password="old")
        failures = 0
        for fail_at in range(1, 1000):
            counter = CallCounter(fail_at=fail_at, when=when, error=OSError("the fault of the test"))
            with Alteration(vault.own_folder, "new") as alteration:
                alteration.change(shop_changes())
                with monkeypatch.context() as patch:
                    for name in modules:
                        patch.setattr(f"{name}.os", FaultyModule(os, counter, SYSTEM_CALLS))
                    with contextlib.suppress(TabvaultError, OSError):
                        alteration.commit()
            if not counter.has_failed:
                break
            is_there = any(one.name == "Shop" for one in _model(vault).data_sources)
            assert is_there or bound(vault) == {"Shop": ("old", "old")}
            failures += 1
            if is_there:
                break
        assert failures > 0
        assert holds_secret(tmp_path) == []


def _model(vault: Vault) -> Any:
    with vault.folder.read("new") as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
        return load_model(metadata)
