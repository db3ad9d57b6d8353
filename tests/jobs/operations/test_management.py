"""One list of administrators over users and identity providers, a firewall that shuts nobody out, a container kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import NotAuthorizedError, RequestError, StorageError
from tabvault.jobs.access.principal import Principal
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.operations.administration import Administration
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.operations.management import FirewallChange, Management, ServerChange
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.firewall_rules import FirewallRule
from tabvault.storage.server_state.identity_providers import IdentityProvider
from tabvault.storage.server_state.server_resource import load_server_resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = "11111111-1111-1111-1111-111111111111"
PROGRAM = f"app:22222222-2222-2222-2222-222222222222@{TENANT}"
ENTRA = IdentityProvider("https://login.example/one", ("api://x",), tenant=TENANT, administrators=(PROGRAM,))
OTHER = IdentityProvider("https://login.example/two", ("api://x",), tenant="contoso.example")

ALICE = Caller(Principal("alice", "user", frozenset({"alice"}), administers_server=True), "192.0.2.7", "rest")
BOB = Caller(Principal("bob", "user", frozenset({"bob"})), "192.0.2.8", "rest")


class Switch:
    """What is paused: it only remembers."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def start_paused(self) -> None:
        self.told.append("start paused")

    def pause(self, timeout_s: float) -> None:
        self.told.append(f"pause {timeout_s:g}")

    def resume(self) -> None:
        self.told.append("resume")


class Desk:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.vault = Vault(data)
        self.access = ServerAccess(data)
        self.audit = AuditLog(data)
        self.switch = Switch()
        administration = Administration(self.vault, self.access, self.audit)
        self.management = Management(data, administration, self.access, self.audit, self.switch)

    def set_administrators(self, *names: str, caller: Caller = ALICE) -> tuple[str, ...]:
        self.management.update(caller, ServerChange(administrators=names))
        return self.management.show(caller).administrators


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with users, whose passwords take time to make, and an identity provider."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    access = ServerAccess(data)
    access.accounts.create_administrator("alice", "correct horse battery staple")
    access.accounts.create_user("bob", "another password")
    access.set_identity_providers((ENTRA,))
    return data


@pytest.fixture
def desk(prepared: Path, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(shutil.copytree(prepared, tmp_path / "data"))
    with desk.vault:
        yield desk


def caller_by_token(*identities: str) -> Caller:
    folded = frozenset(name.casefold() for name in identities)
    return Caller(
        Principal(identities[0], "application", folded, administers_server=True, authentication="bearer"),
        "192.0.2.9",
        "rest",
    )


def test_users_and_names_of_tokens_are_one_list(desk: Desk):
    assert desk.management.show(ALICE).administrators == ("alice", PROGRAM)
    set_now = desk.set_administrators("Alice", "BOB", PROGRAM.upper(), "dana@contoso.example", f"obj:g@{TENANT}")
    assert set_now == ("alice", "bob", PROGRAM, "dana@contoso.example", f"obj:g@{TENANT}")
    assert desk.access.identity_providers[0].administrators == (PROGRAM, "dana@contoso.example", f"obj:g@{TENANT}")
    assert desk.set_administrators("alice") == ("alice",)
    assert desk.access.identity_providers == (replace(ENTRA, administrators=()),)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no user of this server is in the list"),
        ((PROGRAM,), "no user of this server is in the list"),
        (("alice", "nobody"), "'nobody' is neither a user of this server nor a name that tokens have"),
        (("alice", "app:x@another"), "0 of its identity providers can vouch for it"),
        (("bob", PROGRAM), "you, 'alice', would be no server administrator any more"),
    ],
)
def test_a_list_that_cannot_be_is_refused_as_a_whole(desk: Desk, names: tuple[str, ...], message: str):
    for ask in (desk.management.check, desk.management.update):
        with pytest.raises(RequestError, match=message):
            ask(ALICE, ServerChange(administrators=names, location="elsewhere"))
    shown = desk.management.show(ALICE)
    assert (shown.administrators, shown.resource.location) == (("alice", PROGRAM), "local")


def test_a_new_name_that_two_issuers_could_give_is_nobodys(desk: Desk):
    desk.access.set_identity_providers((ENTRA, OTHER))
    with pytest.raises(RequestError, match="2 of its identity providers can vouch"):
        desk.set_administrators("alice", "dana@contoso.example")
    desk.set_administrators("alice", "obj:g@contoso.example")
    assert [provider.administrators for provider in desk.access.identity_providers] == [(), ("obj:g@contoso.example",)]


def test_who_came_by_a_group_stays_as_long_as_the_group_is_there(desk: Desk):
    group = f"obj:g@{TENANT}"
    desk.set_administrators("alice", group)
    dana = caller_by_token("dana@contoso.example", group)
    assert desk.set_administrators("alice", group, caller=dana) == ("alice", group)
    with pytest.raises(RequestError, match="would be no server administrator any more"):
        desk.set_administrators("alice", "dana2@contoso.example", caller=dana)


def test_the_owner_of_the_machine_may_leave_himself_out(desk: Desk):
    owner = Caller(desk.access.local_owner.owner, "127.0.0.1", "rest")
    assert desk.set_administrators("bob", caller=owner) == ("bob",)


def test_a_firewall_that_would_keep_the_caller_out_is_refused(desk: Desk):
    others = FirewallChange(enabled=True, rules=(FirewallRule.parse("a", "192.0.2.8", "192.0.2.9"),))
    with pytest.raises(RequestError, match=r"the firewall would keep you out, at 192\.0\.2\.7"):
        desk.management.update(ALICE, ServerChange(firewall=others))
    assert not desk.access.firewall.settings.enabled
    own = FirewallChange(enabled=True, rules=(FirewallRule.parse("a", "192.0.2.7", "192.0.2.7"),))
    desk.management.update(ALICE, ServerChange(firewall=own))
    assert desk.management.show(ALICE).firewall.rules == own.rules
    desk.management.update(replace(ALICE, address="::1"), ServerChange(firewall=others))
    assert desk.management.show(ALICE).firewall.rules == others.rules


def test_backups_elsewhere_than_in_azure_storage_have_no_container_url_and_can_be_disabled(desk: Desk):
    assert desk.management.show(ALICE).container_url is None
    assert desk.vault.settings.enabled
    desk.management.update(ALICE, ServerChange(container_url=""))
    assert not desk.vault.settings.enabled


def test_what_fails_first_leaves_the_rest_as_it_was(desk: Desk):
    change = ServerChange(container_url="https://127.0.0.1:1/account/backups?sp=rwdl&sig=AAAA", location="elsewhere")
    with pytest.raises(StorageError):
        desk.management.update(ALICE, change)
    assert desk.management.show(ALICE).resource.location == "local"
    assert "AAAA" not in repr(change)


def test_only_administrators_look_change_and_suspend(desk: Desk):
    management = desk.management
    for ask in (
        lambda: management.show(BOB),
        lambda: management.check(BOB, ServerChange()),
        lambda: management.update(BOB, ServerChange(location="x")),
        lambda: management.suspend(BOB, 1.0),
        lambda: management.resume(BOB),
    ):
        with pytest.raises(NotAuthorizedError):
            ask()
    assert desk.switch.told == []


def test_a_suspension_is_on_the_disk_before_it_begins_and_in_the_audit_log(desk: Desk):
    desk.management.suspend(ALICE, 7.0)
    assert load_server_resource(desk.data).is_paused
    desk.management.resume(ALICE)
    assert not load_server_resource(desk.data).is_paused
    assert desk.switch.told == ["pause 7", "resume"]
    lines = [(line.operation, line.phase, line.result) for line in desk.audit.read(limit=4)]
    assert lines == [
        ("resume_server", "end", "success"),
        ("resume_server", "begin", None),
        ("suspend_server", "end", "success"),
        ("suspend_server", "begin", None),
    ]
