"""
Every operation by every kind of principal, against a table written out by hand.

The rules: a backup, and a restore over, is for server administrators and administrators of the database; a restore as
new for server administrators; a query for those with read; a role of permission none is no role; an API key takes away
what its scopes and its databases do not cover. (What Analysis Services documents of Backup, Restore and database
roles; scopes of keys are ours.)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from operated_server import ADA, BOB, ROOT, key, make_shop, operated_server, user

from tabvault.errors import DatabaseNotFoundError, NotAuthorizedError, TabvaultError
from tabvault.jobs.access.principal import Principal
from tabvault.jobs.operations.caller import Caller
from tabvault.storage.server_state.firewall_rules import FirewallSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from operated_server import OperatedServer

WHO = {
    "server administrator": ROOT,
    "administrator": ADA,
    "administrator by group": Caller(Principal("gus@x", "user", frozenset({"gus@x", "ada"})), "::1", "rest"),
    "administrator application": Caller(Principal("app:1@t", "application", frozenset({"ada"})), "::1", "rest"),
    "read": user("rea"),
    "read and refresh": user("ref"),
    "refresh": user("pro"),
    "role without permission": user("non"),
    "no role": BOB,
    "root key read": key(ROOT, "read"),
    "root key backup": key(ROOT, "backup"),
    "root key restore": key(ROOT, "restore"),
    "root key admin": key(ROOT, "admin"),
    "root key admin shop": key(ROOT, "admin", databases=("shop",)),
    "root key admin other": key(ROOT, "admin", databases=("other",)),
    "root key read backup shop": key(ROOT, "read", "backup", databases=("shop",)),
    "ada key read": key(ADA, "read"),
    "ada key backup": key(ADA, "backup"),
    "ada key restore": key(ADA, "restore"),
    "ada key admin": key(ADA, "admin"),
    "ada key admin other": key(ADA, "admin", databases=("other",)),
    "rea key admin": key(user("rea"), "admin"),
    "bob key admin": key(BOB, "admin"),
}

MAY = {
    #                             what he may do with shop                        and with the server
    "server administrator":      "see read query refresh backup over verify change  new-restore new-create server",
    "administrator":             "see read query refresh backup over verify change",
    "administrator by group":    "see read query refresh backup over verify change",
    "administrator application": "see read query refresh backup over verify change",
    "read":                      "see read query",
    "read and refresh":          "see read query refresh",
    "refresh":                   "see refresh",
    "role without permission":   "",
    "no role":                   "",
    "root key read":             "see read query",
    "root key backup":           "see backup verify",
    "root key restore":          "see over  new-restore",
    "root key admin":            "see read query refresh backup over verify change  new-restore new-create server",
    "root key admin shop":       "see read query refresh backup over verify change",
    "root key admin other":      "",
    "root key read backup shop": "see read query backup verify",
    "ada key read":              "see read query",
    "ada key backup":            "see backup verify",
    "ada key restore":           "see over",
    "ada key admin":             "see read query refresh backup over verify change",
    "ada key admin other":       "",
    "rea key admin":             "see read query",
    "bob key admin":             "",
}  # fmt: skip


def _reading(server: OperatedServer, caller: Caller, database: str) -> None:
    with server.operations.reading(caller, database):
        pass


def _querying(server: OperatedServer, caller: Caller, database: str) -> None:
    with server.operations.reading(caller, database) as reading:
        reading.permissions.require_query()


def _refreshing(server: OperatedServer, caller: Caller, database: str) -> None:
    _, permissions = server.operations.find(caller, database)
    permissions.require_refresh()


def _altering(server: OperatedServer, caller: Caller, database: str) -> None:
    server.operations.alterations.begin(caller, database).close()


ON_A_DATABASE: dict[str, list[Callable[[OperatedServer, Caller, str], object]]] = {
    "see": [lambda server, caller, name: server.operations.find(caller, name)],
    "read": [_reading],
    "query": [_querying],
    "refresh": [_refreshing],
    "backup": [
        lambda server, caller, name: server.operations.backups.backup(caller, name, "x.abf"),
        lambda server, caller, name: server.operations.backups.backup(caller, name, None, overwrite=True, password="p"),
    ],
    "over": [
        lambda server, caller, name: server.operations.backups.restore(caller, "shop.abf", name, overwrite=True),
        lambda server, caller, name: server.operations.backups.restore(caller, "shop.abf", name),
    ],
    "verify": [lambda server, caller, name: server.operations.backups.verify(caller, name)],
    "change": [
        _altering,
        lambda server, caller, name: server.operations.databases.drop(caller, name),
        lambda server, caller, name: server.operations.databases.detach(caller, name),
        lambda server, caller, name: server.operations.databases.create(
            caller, name, compatibility_level=1500, replace=True
        ),
    ],
}
ON_THE_SERVER: dict[str, list[Callable[[OperatedServer, Caller], object]]] = {
    "new-restore": [
        lambda server, caller: server.operations.backups.restore(caller, "shop.abf", "new"),
        lambda server, caller: server.operations.backups.restore(caller, "shop.abf", None),
    ],
    "new-create": [
        lambda server, caller: server.operations.databases.create(caller, "new", compatibility_level=1500),
        lambda server, caller: server.operations.databases.create(
            caller, "new", compatibility_level=1500, replace=True
        ),
    ],
    "server": [
        lambda server, caller: server.operations.backups.verify_file(caller, "shop.abf", None),
        lambda server, caller: server.operations.databases.attach(caller, "nothing there"),
        lambda server, caller: list(server.files.list(caller)),
        lambda server, caller: server.files.open(caller, "shop.abf").close(),
        lambda server, caller: server.files.inspect(caller, "shop.abf", None),
        lambda server, caller: server.files.create(caller, "f", overwrite=True, byte_count=1).__exit__(
            None, None, None
        ),
        lambda server, caller: server.files.remove(caller, "nothing there"),
        lambda server, caller: server.administration.audit_lines(caller, since=None, until=None, limit=1),
        lambda server, caller: server.administration.check_audit(caller, None),
        lambda server, caller: server.administration.storage(caller),
        lambda server, caller: server.administration.configure_storage(caller, server.vault.settings),
        lambda server, caller: server.administration.users(caller),
        lambda server, caller: server.administration.user(caller, "root"),
        lambda server, caller: server.administration.create_user(caller, "", "p", is_server_administrator=True),
        lambda server, caller: server.administration.set_password(caller, "nobody", "p"),
        lambda server, caller: server.administration.remove_user(caller, "nobody"),
        lambda server, caller: server.administration.api_keys(caller),
        lambda server, caller: server.administration.create_api_key(
            caller, "nobody", "k", ["admin"], databases=None, expires=None
        ),
        lambda server, caller: server.administration.revoke_api_key(caller, "nothing"),
        lambda server, caller: server.administration.firewall(caller),
        lambda server, caller: server.administration.replace_firewall(caller, FirewallSettings(False, ())),
        lambda server, caller: server.administration.remove_firewall_rule(caller, "nothing"),
        lambda server, caller: server.administration.identity_providers(caller),
        lambda server, caller: server.administration.set_identity_providers(caller, ()),
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatedServer]:
    data = tmp_path_factory.mktemp("operations") / "data"
    make_shop(data)
    with operated_server(data) as made:
        yield made


def is_refused(call: Callable[[], object]) -> bool:
    """Whether the caller may not; what else is wrong with the call comes after that question."""
    try:
        call()
    except NotAuthorizedError:
        return True
    except TabvaultError:  # which one it is does not matter: he got past the question
        return False
    return False


@pytest.mark.parametrize("who", WHO)
def test_an_operation_is_for_whom_the_table_says_and_nobody_else(server: OperatedServer, who: str) -> None:
    caller = WHO[who]
    found = []
    for what, calls in ON_A_DATABASE.items():
        refused = {is_refused(lambda call=call: call(server, caller, "shop")) for call in calls}
        assert len(refused) == 1, (who, what)
        found += [] if refused.pop() else [what]
    for what, server_calls in ON_THE_SERVER.items():
        refused = {is_refused(lambda call=call: call(server, caller)) for call in server_calls}
        assert len(refused) == 1, (who, what)
        found += [] if refused.pop() else [what]
    assert found == MAY[who].split()


def test_the_table_speaks_of_everybody_and_of_every_operation() -> None:
    assert WHO.keys() == MAY.keys()
    spoken_of = {what for row in MAY.values() for what in row.split()}
    assert spoken_of == {*ON_A_DATABASE, *ON_THE_SERVER}


@pytest.mark.parametrize("who", WHO)
def test_the_database_is_listed_for_those_who_may_see_it(server: OperatedServer, who: str) -> None:
    names = {info.name for info, _ in server.operations.visible(WHO[who])}
    assert ("shop" in names) == ("see" in MAY[who].split())
    # Nobody has a role in the other one: only the server's administrators, and those of their keys that cover it.
    assert ("other" in names) == (who.startswith(("server", "root")) and "shop" not in who)


BLIND = [who for who, row in MAY.items() if "see" not in row]


@pytest.mark.parametrize("who", BLIND)
@pytest.mark.parametrize("what", ON_A_DATABASE)
def test_who_may_not_see_a_database_hears_the_same_of_one_that_is_not_there(
    server: OperatedServer, who: str, what: str
) -> None:
    for call in ON_A_DATABASE[what]:
        heard = []
        for name in ("shop", "ship"):
            with pytest.raises(NotAuthorizedError) as caught:
                call(server, WHO[who], name)
            error = caught.value
            heard.append((type(error), error.code, str(error).replace(name, "…"), error.hint))
        assert heard[0] == heard[1]


def test_a_server_administrator_hears_that_there_is_no_such_database(server: OperatedServer) -> None:
    with pytest.raises(DatabaseNotFoundError):
        server.operations.find(ROOT, "ship")


def test_asking_changes_nothing(server: OperatedServer) -> None:
    """The test above made tasks and ran none."""
    assert {info.name for info in server.vault.folder.databases()} == {"shop", "other"}
    assert server.runner.list() == ()


def test_a_job_of_another_is_not_there_for_who_does_not_administer_its_database(server: OperatedServer) -> None:
    server.operations.run(ROOT, server.operations.backups.verify(ROOT, "shop"))
    (job, *_) = server.runner.list()
    seen_by = {who for who, caller in WHO.items() if job.id in {one.id for one in server.jobs.list(caller, limit=9)}}
    assert seen_by == {
        "server administrator",
        "administrator",
        "administrator by group",
        "administrator application",
        "root key admin",
        "root key admin shop",
        "root key read",
        "root key backup",
        "root key restore",
        "root key read backup shop",
        "ada key read",
        "ada key backup",
        "ada key restore",
        "ada key admin",
    }
    for who, caller in WHO.items():
        with contextlib.ExitStack() as stack:
            if who not in seen_by:
                stack.enter_context(pytest.raises(Exception, match="there is no job"))
            assert server.jobs.get(caller, job.id).id == job.id
