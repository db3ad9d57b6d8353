"""What a principal may do: roles written by hand, and the genuine ones of two reports."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing

import pytest

from conftest import sample_path
from tabvault.errors import NotAuthorizedError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.access.authorization import (
    database_permissions,
    no_access,
    require_new_database,
    require_restore_new,
    require_server_administrator,
)
from tabvault.jobs.access.principal import Limit, Principal, Scope
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.metadata import Metadata
from tabvault.model.permissions import ModelPermission, ModelPermissions, RolePermissions

NOTHING: frozenset[int] = frozenset()
ALICE = Principal("Alice@contoso.com", "user", frozenset({"alice@contoso.com", "obj:g@t"}))
ROOT = Principal("root", "user", frozenset({"root"}), administers_server=True)


def role(name, permission, *members, filtered=(), hidden_tables=(), hidden_columns=()):
    return RolePermissions(
        id=1,
        name=name,
        permission=ModelPermission(permission),
        members=frozenset(members or ("alice@contoso.com",)),
        filtered_tables=frozenset(filtered),
        hidden_tables=frozenset(hidden_tables),
        hidden_columns=frozenset(hidden_columns),
    )


def on(principal, *roles, **more):
    return database_permissions(principal, "Sales", ModelPermissions(roles), **more)


def key(principal, *scopes, databases=None):
    limit = Limit(frozenset(Scope(scope) for scope in scopes), databases)
    return dataclasses.replace(principal, kind="api_key", limit=limit, key_name="k")


def may(permissions):
    """The things that *permissions* lets him do."""
    asked = {
        "see": permissions.require_visible,
        "read": permissions.require_read,
        "query": permissions.require_query,
        "refresh": permissions.require_refresh,
        "backup": permissions.require_backup,
        "restore": permissions.require_restore_over,
        "alter": lambda: permissions.require_administrator("alter"),
    }
    allowed = []
    for name, require in asked.items():
        try:
            require()
        except NotAuthorizedError:
            continue
        allowed.append(name)
    return " ".join(allowed)


def message(call, *arguments):
    with pytest.raises(NotAuthorizedError) as caught:
        call(*arguments)
    return caught.value.message


EVERYTHING = "see read query refresh backup restore alter"


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [(1, ""), (2, "see read query"), (3, "see read query refresh"), (4, "see refresh"), (5, EVERYTHING)],
)
def test_each_permission_of_a_role_lets_its_members_do_what_it_says(permission, allowed):
    assert may(on(ALICE, role("r", permission))) == allowed


def test_a_stranger_may_nothing_and_a_server_administrator_everything():
    roles = [role("r", 5), role("other", 2, filtered=[1], hidden_tables=[2])]
    assert may(on(Principal("bob", "user", frozenset({"bob"})), *roles)) == ""
    root = on(ROOT, *roles)
    assert may(root) == EVERYTHING
    assert root.may_see_definitions
    assert root.hidden_tables == NOTHING


def test_roles_add_up():
    assert may(on(ALICE, role("a", 2), role("b", 4), role("c", 1))) == "see read query refresh"
    assert on(ALICE, role("a", 2), role("b", 4), role("x", 5, "bob")).roles == ("a", "b")


@pytest.mark.parametrize("member", ["alice@contoso.com", "obj:g@t"])
def test_a_member_is_known_by_each_of_his_names(member):
    assert may(on(ALICE, role("r", 2, member))) == "see read query"


def test_no_part_of_a_name_is_a_name():
    for member in ("alice", "contoso.com", "g@t", "obj:g", "xalice@contoso.com", ""):
        assert may(on(ALICE, role("r", 5, member))) == ""


# -- row filters ----------------------------------------------------------------------------------------------------


def test_a_member_bound_by_a_row_filter_may_read_metadata_and_not_query():
    bound = on(ALICE, role("Asia", 2, filtered=[19]))
    assert may(bound) == "see read"
    assert message(bound.require_query) == (
        "the user, 'Alice@contoso.com', cannot query the 'Sales' database: the row filter of the role 'Asia' binds "
        "him, and cannot be evaluated by this version"
    )


def test_a_role_without_filters_frees_him():
    assert may(on(ALICE, role("Asia", 2, filtered=[19]), role("Management", 2))) == "see read query"


def test_a_role_that_does_not_read_frees_nobody():
    for permission in (1, 4):
        assert "query" not in may(on(ALICE, role("Asia", 2, filtered=[19]), role("other", permission))).split()


def test_filters_of_different_tables_free_nobody():
    assert may(on(ALICE, role("a", 2, filtered=[1]), role("b", 2, filtered=[2]))) == "see read"


def test_a_filter_does_not_bind_administrators():
    assert may(on(ALICE, role("Asia", 2, filtered=[19]), role("admins", 5, filtered=[19]))) == EVERYTHING


# -- hidden objects -------------------------------------------------------------------------------------------------


def test_what_every_role_hides_is_hidden():
    first = role("a", 2, hidden_tables=[1, 2], hidden_columns=[10, 11, 20])
    second = role("b", 2, hidden_tables=[2], hidden_columns=[10, 20])
    found = on(ALICE, first, second)
    assert (found.hidden_tables, found.hidden_columns) == ({2}, {10, 20})
    assert may(found) == "see read query"
    assert on(ALICE, first, second, role("c", 3)).hidden_tables == NOTHING
    assert on(ALICE, first, role("c", 4)).hidden_tables == {1, 2}, "a role that does not read shows nothing"
    assert on(ALICE, first, role("c", 5)).hidden_columns == NOTHING, "an administrator sees all"


def test_filters_of_one_role_and_hidden_objects_of_another_are_refused():
    filtering, hiding = role("f", 2, filtered=[1]), role("h", 2, hidden_columns=[10])
    refused = on(ALICE, filtering, hiding)
    assert may(refused) == "see read"
    assert "row-level security of the role 'f' and object-level security of the role 'h'" in message(
        refused.require_query
    )
    assert "query" not in may(on(ALICE, filtering, hiding, role("free", 2))).split()
    both = role("both", 2, filtered=[1], hidden_columns=[10])
    assert "query" in may(on(ALICE, both, role("free", 2))).split(), "of one role they may be combined"


# -- genuine models -------------------------------------------------------------------------------------------------


def genuine(sample, tmp_path, **members):
    """The permissions of Alice on a genuine model, once she is a member of some of its roles."""
    path = tmp_path / "metadata.sqlitedb"
    with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
        path.write_bytes(ContainerFiles(backup.container).read("metadata.sqlitedb"))
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, name in members.items():
            connection.execute(
                "INSERT INTO RoleMembership (ID, RoleID, MemberName) SELECT ?, ID, 'ALICE@CONTOSO.COM' FROM Role "
                "WHERE Name = ?",
                (90000 + int(number[1:]), name),
            )
    with Metadata.open(path) as metadata:
        return database_permissions(ALICE, "Sales", ModelPermissions.read(metadata))


@pytest.mark.parametrize(
    ("members", "allowed"),
    [
        ({}, ""),
        ({"r1": "Asia"}, "see read"),
        ({"r1": "Asia", "r2": "Europe"}, "see read"),
        ({"r1": "Dynamic RLS"}, "see read"),
        ({"r1": "Management"}, "see read query"),
        ({"r1": "Asia", "r2": "Management"}, "see read query"),
    ],
)
def test_the_members_of_a_genuine_model_with_row_filters(tmp_path, members, allowed):
    assert may(genuine("Hugoberry__rls-sample-report.pbix", tmp_path, **members)) == allowed


def test_the_members_of_a_genuine_model_with_hidden_objects(tmp_path):
    sample = "Hugoberry__ols-sample-report.pbix"
    both = genuine(sample, tmp_path, r1="Regional Sales Basic", r2="Product Analyst")
    assert (both.hidden_tables, both.hidden_columns) == (NOTHING, {36152, 36153, 36154})
    basic = genuine(sample, tmp_path, r1="Regional Sales Basic")
    assert basic.hidden_tables == {34}
    assert 36152 in basic.hidden_columns
    assert basic.hidden_measures
    assert may(basic) == "see read", "each of its roles filters the table of its users"


# -- who must not know ----------------------------------------------------------------------------------------------


def test_a_stranger_cannot_tell_a_database_that_is_there_from_one_that_is_not():
    stranger = Principal("bob", "user", frozenset({"bob"}))
    there = on(stranger, role("r", 5))
    asked = [
        there.require_visible,
        there.require_read,
        there.require_query,
        there.require_refresh,
        there.require_backup,
        there.require_restore_over,
        lambda: there.require_administrator("drop"),
    ]
    expected = "Either the user, 'bob', does not have access to the 'Sales' database, or the database does not exist."
    assert [message(ask) for ask in asked] == [expected] * len(asked)
    assert no_access(stranger, "Sales").message == expected


def test_a_member_is_told_what_he_may_not():
    assert message(on(ALICE, role("r", 2)).require_backup) == (
        "the user, 'Alice@contoso.com', does not have permission to back up the 'Sales' database"
    )


# -- the server -----------------------------------------------------------------------------------------------------


def test_only_a_server_administrator_makes_databases_and_manages_the_server():
    for require, argument in (
        (require_server_administrator, "manage users"),
        (require_new_database, "New"),
        (require_restore_new, "New"),
    ):
        assert "not a server administrator" in message(require, ALICE, argument)
        require(ROOT, argument)


# -- API keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], "see read query"),
        (["backup"], "see backup"),
        (["restore"], "see restore"),
        (["read", "backup"], "see read query backup"),
        (["admin"], EVERYTHING),
    ],
)
def test_a_key_of_an_administrator_is_good_for_its_scopes(scopes, allowed):
    assert may(on(key(ROOT, *scopes))) == allowed
    assert may(on(key(ALICE, *scopes), role("admins", 5))) == allowed


def test_a_key_gives_nothing_that_its_owner_may_not():
    assert may(on(key(ALICE, "admin"), role("r", 2))) == "see read query"
    assert may(on(key(ALICE, "admin"))) == ""
    assert message(require_restore_new, key(ALICE, "restore"), "New")


def test_a_key_for_other_databases_does_not_see_this_one():
    assert may(on(key(ROOT, "admin", databases=frozenset({"other"})))) == ""
    assert may(on(key(ROOT, "admin", databases=frozenset({"sales"})))) == EVERYTHING
    listed = on(key(ROOT, "admin", databases=frozenset({"other"})))
    assert not listed.is_visible
    assert not listed.may_see_definitions
    assert "or the database does not exist" in message(listed.require_backup)


def test_definitions_need_the_scope_read():
    assert on(key(ROOT, "read")).may_see_definitions
    assert not on(key(ROOT, "backup")).may_see_definitions
    assert not on(ALICE, role("r", 3)).may_see_definitions


def test_a_limited_key_does_not_administer_the_server():
    for limited in (key(ROOT, "read", "backup", "restore"), key(ROOT, "admin", databases=frozenset({"sales"}))):
        assert "is not good for this" in message(require_server_administrator, limited, "manage users")
    require_server_administrator(key(ROOT, "admin"), "manage users")


def test_a_key_restores_and_creates_only_what_it_lists():
    restoring = key(ROOT, "restore", databases=frozenset({"sales"}))
    require_restore_new(restoring, "Sales")
    assert message(require_restore_new, restoring, "Other")
    assert message(require_new_database, restoring, "Sales")
    require_new_database(key(ROOT, "admin", databases=frozenset({"sales"})), "SALES")


# -- asking as somebody else ----------------------------------------------------------------------------------------

ROLES = (
    role("Asia", 2, "bob@contoso.com", filtered=[19]),
    role("Hidden", 2, "carol@contoso.com", hidden_tables=[7], hidden_columns=[70]),
    role("Admins", 5, "dave@contoso.com"),
)


def test_an_administrator_asks_as_somebody_else_with_that_users_permissions_only():
    assert may(on(ROOT, *ROLES, effective_user_name="Bob@contoso.com")) == "see read"
    carol = on(ROOT, *ROLES, effective_user_name="carol@contoso.com")
    assert (may(carol), carol.hidden_tables, carol.may_see_definitions) == ("see read query", {7}, False)
    assert may(on(ROOT, *ROLES, effective_user_name="nobody")) == ""
    dave = Principal("dave", "user", frozenset({"dave@contoso.com"}))
    assert may(on(dave, *ROLES, effective_user_name="bob@contoso.com")) == "see read"


def test_others_cannot_ask_as_somebody_else():
    for name in ("dave@contoso.com", "alice@contoso.com"):
        assert "does not have permission to ask as" in message(
            lambda name=name: on(ALICE, role("r", 3), *ROLES, effective_user_name=name)
        )
    assert "does not exist" in message(lambda: on(ALICE, *ROLES, effective_user_name="dave@contoso.com"))


def test_an_administrator_asks_as_a_member_of_the_roles_he_names():
    assert may(on(ROOT, *ROLES, role_names=["asia"])) == "see read"
    assert on(ROOT, *ROLES, role_names=["HIDDEN"]).hidden_columns == {70}
    assert "does not exist" in message(lambda: on(ROOT, *ROLES, role_names=["Asia", "Europe"]))
    both = on(ROOT, *ROLES, effective_user_name="bob@contoso.com", role_names=["Asia"])
    assert both.roles == ("Asia",)
    assert message(lambda: on(ROOT, *ROLES, effective_user_name="bob@contoso.com", role_names=["Hidden"]))


def test_a_member_names_only_roles_of_his_own():
    own = (role("a", 2, hidden_tables=[1]), role("b", 3))
    assert on(ALICE, *own, *ROLES, role_names=["A"]).hidden_tables == {1}
    assert message(lambda: on(ALICE, *own, *ROLES, role_names=["Admins"]))
