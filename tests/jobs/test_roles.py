"""Roles and members through a restore, in the three security modes, as Analysis Services has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vaults import WITH_ROLES, changed_metadata, vault_with

from conftest import sample_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.jobs.vault import Vault


def roles(vault: Vault, database: str) -> dict[str, list[str]]:
    with vault.open(database) as opened:
        return {role.name: sorted(member.name for member in role.members) for role in opened.model.roles}


def set_roles(
    vault: Vault, database: str, *, rename: dict[str, str], members: dict[str, list[str]], name: str | None = None
) -> None:
    """Commit a new version in which roles have other names and members, by plain SQL; perhaps under another *name*."""
    with changed_metadata(vault.folder, database, name=name) as connection:
        for old, new in rename.items():
            connection.execute("UPDATE Role SET Name = ? WHERE Name = ?", (new, old))
        connection.execute("DELETE FROM RoleMembership")
        for role, names in members.items():
            for member in names:
                connection.execute("UPDATE DBPROPERTIES SET VALUE = VALUE + 1 WHERE NAME = 'MAXID'")
                connection.execute(
                    "INSERT INTO RoleMembership "
                    "(ID, RoleID, MemberName, MemberID, IdentityProvider, MemberType, ModifiedTime) "
                    "SELECT (SELECT VALUE FROM DBPROPERTIES WHERE NAME = 'MAXID'), ID, ?, ?, 'AzureAD', 2, 0 "
                    "FROM Role WHERE Name = ?",
                    (member, member, role),
                )


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """``file.abf`` has role *first* with ann and bob; in the database it has cat by now, beside a role of dan's."""
    with vault_with(tmp_path, WITH_ROLES) as made:
        one, *others = roles(made, "shop")
        set_roles(made, "shop", rename={one: "first"}, members={"first": ["ann@x", "bob@x"]})
        made.backup("shop", "file.abf")
        set_roles(made, "shop", rename={}, members={"first": ["cat@x"]})
        if others:
            set_roles(made, "shop", rename={others[0]: "mine"}, members={"first": ["cat@x"], "mine": ["dan@x"]})
        yield made


def test_copy_all_takes_roles_and_members_from_the_file(vault: Vault) -> None:
    vault.restore("file.abf", overwrite=True)
    assert roles(vault, "shop")["first"] == ["ann@x", "bob@x"]


def test_skip_membership_takes_roles_from_the_file_and_keeps_the_members_there_were(vault: Vault) -> None:
    vault.restore("file.abf", overwrite=True, security="skipMembership")
    assert roles(vault, "shop")["first"] == ["cat@x"]
    assert "mine" not in roles(vault, "shop")


def test_skip_membership_into_a_new_database_has_no_members(vault: Vault) -> None:
    vault.restore("file.abf", "new", security="skipMembership")
    assert roles(vault, "new")["first"] == []


def test_ignore_security_keeps_the_roles_there_were(vault: Vault) -> None:
    before = roles(vault, "shop")
    vault.restore("file.abf", overwrite=True, security="ignoreSecurity")
    assert roles(vault, "shop") == before
    assert before["first"] == ["cat@x"]


def test_ignore_security_into_a_new_database_has_no_roles(vault: Vault) -> None:
    vault.restore("file.abf", "new", security="ignoreSecurity")
    assert roles(vault, "new") == {}
    vault.backup("new", "again.abf")
    assert vault.inspect("storage:again.abf").roles == ()


def test_a_database_whose_id_is_another_ones_name_keeps_its_own_roles(tmp_path: Path) -> None:
    """Rename Sales to Sales_old (the id stays) and make a new Sales: names and ids now cross."""
    with vault_with(tmp_path, WITH_ROLES, "Sales") as vault:
        vault.backup("Sales", "file.abf")
        first = next(iter(roles(vault, "Sales")))
        set_roles(vault, "Sales", rename={first: "mine"}, members={"mine": ["ann@x"]}, name="Sales_old")
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "Sales")
        assert {(listing.name, listing.id == "Sales") for listing in vault.databases()} == {
            ("Sales", False),
            ("Sales_old", True),
        }
        before = roles(vault, "Sales_old")
        vault.restore("file.abf", "Sales_old", overwrite=True, security="ignoreSecurity")
        assert roles(vault, "Sales_old") == before
        assert before["mine"] == ["ann@x"]
        rows = {listing.name: listing.row_count for listing in vault.databases()}
        with vault.open("Sales_old") as old:
            assert rows["Sales_old"] == sum(table.row_count for table in old.tables) != rows["Sales"]
