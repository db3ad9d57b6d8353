"""Changing the objects of a database: nobody sees it before the commit, which is all or nothing, and loses nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from vaults import bodies, values, vault_with

from storage.data_folder.failing_files import fail_file_calls
from tabvault.errors import DatabaseError, DatabaseReadOnlyError, InvalidNameError, RequestError, TabvaultError
from tabvault.jobs.alteration import Alteration
from tabvault.model.changes.tree_changes import create_changes, delete_changes
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.tmsl.parse import object_tree
from tabvault.testing.faults import CallCounter

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.vault import Vault
    from tabvault.model.changes.change import Change

TABLE = {
    "name": "New",
    "columns": [{"name": "Key", "dataType": "int64", "sourceColumn": "Key"}],
    "partitions": [{"name": "New", "source": {"type": "m", "expression": "let a = 1 in a"}}],
    "measures": [{"name": "Rows of new", "expression": "COUNTROWS(New)"}],
}


def table_changes() -> list[Change]:
    return create_changes(object_tree("Table", TABLE, place="table"))


def names_of(vault: Vault, database: str, table: str) -> set[str]:
    """The names in a metadata table, as SQLite itself reads them."""
    with vault.folder.read(database) as version:
        connection = sqlite3.connect(f"file:{version.path(METADATA_FILE)}?mode=ro", uri=True)
        with contextlib.closing(connection):
            return {name for (name,) in connection.execute(f'SELECT Name FROM "{table}"')}


def test_a_change_is_seen_after_the_commit_and_not_before(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        before, data = bodies(vault, "shop"), values(vault, "shop")
        with Alteration(vault.folder, "shop") as alteration:
            affected = alteration.change(table_changes())
            assert {(one.verb, one.type) for one in affected} >= {("create", "Table"), ("create", "Measure")}
            assert bodies(vault, "shop") == before
            with alteration.metadata() as metadata:
                assert "New" in {row["Name"] for row in metadata.rows("Table")}
            info = alteration.commit()
        assert info.version == 2
        assert {"New"} <= names_of(vault, "shop", "Table")
        assert "Rows of new" in names_of(vault, "shop", "Measure")
        after = bodies(vault, "shop")
        changed = {name for name in before if before[name] != after.get(name)}
        assert changed == {METADATA_FILE}
        assert {name: digest for name, digest in values(vault, "shop").items() if name != "New"} == data
        assert vault.verify("shop").ok


def test_what_was_changed_is_in_the_next_backup(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        with Alteration(vault.folder, "shop") as alteration:
            alteration.change(table_changes())
            alteration.commit()
        vault.backup("shop", "changed.abf")
        vault.restore("changed.abf", "again")
        assert "New" in names_of(vault, "again", "Table")
        with Alteration(vault.folder, "again") as alteration:
            alteration.change(delete_changes("Table", {"Table": "New"}, place="table"))
            alteration.commit()
        assert "New" not in names_of(vault, "again", "Table")
        assert vault.verify("again").ok


def test_a_change_that_is_refused_changes_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault, Alteration(vault.folder, "shop") as alteration:
        alteration.change(table_changes())
        with pytest.raises(RequestError):
            alteration.change(table_changes())
        alteration.commit()
        assert "New" in names_of(vault, "shop", "Table")


def test_a_rename_changes_the_name_everywhere_and_keeps_the_id(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        old = vault.folder.find("shop")
        with Alteration(vault.folder, "shop") as alteration:
            with pytest.raises(InvalidNameError):
                alteration.rename("..")
            alteration.rename("store")
            info = alteration.commit()
        assert (info.name, info.id, info.key) == ("store", old.id, old.key)
        result = vault.backup("store", "store.abf")
        assert result.database == "store"
        assert vault.inspect("storage:store.abf").database == "store"


def test_an_alteration_that_changes_nothing_makes_no_version(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault, Alteration(vault.folder, "shop") as alteration:
        alteration.change([])
        assert not alteration.is_changed
        assert alteration.commit().version == 1


def test_of_two_alterations_side_by_side_the_second_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        with Alteration(vault.folder, "shop") as first, Alteration(vault.folder, "shop") as second:
            first.change(table_changes())
            second.rename("other")
            first.commit()
            with pytest.raises(DatabaseError, match="changed"):
                second.commit()
        assert vault.folder.find("shop").version == 2
        assert "New" in names_of(vault, "shop", "Table")


def test_a_read_only_database_is_not_altered(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", "shop.abf")
        vault.restore("shop.abf", "fixed", read_write_mode="readOnly")
        with pytest.raises(DatabaseReadOnlyError):
            Alteration(vault.folder, "fixed")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_is_old_or_new_whichever_file_call_fails(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vault_with(tmp_path) as vault:
        states = {"old": bodies(vault, "shop")}
        outcomes = set()
        for fail_at in range(1, 100_000):
            counter = CallCounter(fail_at=fail_at, when=when)
            with Alteration(vault.folder, "shop") as alteration:
                alteration.change(table_changes())
                with monkeypatch.context() as patch:
                    fail_file_calls(patch, counter)
                    with contextlib.suppress(TabvaultError):
                        alteration.commit()
            if not counter.has_failed:
                break
            is_new = "New" in names_of(vault, "shop", "Table")
            outcomes.add(is_new)
            if is_new:
                assert vault.verify("shop").ok
                with Alteration(vault.folder, "shop") as undoing:
                    undoing.change(delete_changes("Table", {"Table": "New"}, place="table"))
                    undoing.commit()
            found = bodies(vault, "shop")
            found.pop(METADATA_FILE)
            assert found == {name: digest for name, digest in states["old"].items() if name != METADATA_FILE}
        assert fail_at > 20
        assert False in outcomes
        assert "New" in names_of(vault, "shop", "Table")
