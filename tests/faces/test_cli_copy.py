"""``tabvault copy`` between two servers, each a process of its own with a data folder of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import httpx
import pytest

from conftest import sample_path
from docs.documents import DOCS, blocks, read
from faces.program import COMMAND, TIMEOUT_S, call, environment
from faces.served_process import serve, wait_for
from storage.fault_proxy import PASS, Fault, FaultProxy
from tabvault.faces.cli.copy_facts import CopyFacts, differences, facts_of_backup, facts_of_database, told
from tabvault.faces.cli.remote.connection import ServerConnection
from tabvault.faces.cli.remote.vault import RemoteVault
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.served_process import Served

WITH_ROLES = "Hugoberry__rls-sample-report.pbix"
SMALL = "Hugoberry__abc.pbix"
OTHER = "Hugoberry__empty-schema-calc-only.pbix"
COUNT = "SELECT DIMENSION_NAME, ROWS_COUNT FROM $SYSTEM.DISCOVER_STORAGE_TABLES ORDER BY 1"


class Side:
    """A server, and an API key of its administrator: a password costs a tenth of a second with every request."""

    def __init__(self, served: Served) -> None:
        self.url = served.url
        self.data = served.data
        content = {"owner": "alice", "name": "tests", "scopes": ["admin"]}
        self.key = served.post("/api/keys", content).json()["secret"]
        self.key_file = served.data.parent / f"{served.data.name}.key"
        self.key_file.write_text(self.key)
        self.key_file.chmod(0o600)
        authorization = {"Authorization": f"Bearer {self.key}"}
        self.client = httpx.Client(base_url=served.url, headers=authorization, timeout=TIMEOUT_S)
        self.login = ["--server", self.url, "--api-key-file", self.key_file]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, content: object) -> httpx.Response:
        return self.client.post(path, json=content)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """A server with several databases, and one that has nothing yet but a ``Taken``."""
    home = tmp_path_factory.mktemp("pair")
    with Vault(home / "one") as vault:
        vault.import_file(sample_path(WITH_ROLES), "Sales")
        vault.import_file(sample_path(SMALL), "Small")
        vault.import_file(sample_path(SMALL), "Nightly")
        vault.import_file(sample_path(OTHER), "Other")
        vault.backup("Other", "other.abf")
    with Vault(home / "two") as vault:
        vault.import_file(sample_path(OTHER), "Taken")
    with serve(home / "one") as one, serve(home / "two") as two:
        sides = Side(one), Side(two)
        give_a_member(sides[0], "Sales")
        yield sides
        for side in sides:
            side.client.close()


def give_a_member(side: Side, database: str) -> None:
    """None of the genuine files has one."""
    role = side.get(f"/api/databases/{database}/model").json()["model"]["roles"][0]
    role["members"] = [{"memberName": "carol@example.com", "identityProvider": "AzureAD"}]
    command = {"createOrReplace": {"object": {"database": database, "role": role["name"]}, "role": role}}
    statement = f"<Statement>{escape(json.dumps(command))}</Statement>"
    command_and_properties = f"<Command>{statement}</Command><Properties/>"
    execute = f'<Execute xmlns="urn:schemas-microsoft-com:xml-analysis">{command_and_properties}</Execute>'
    envelope = f'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>{execute}</Body></Envelope>'
    answer = side.client.post("/xmla", content=envelope, headers={"Content-Type": "text/xml"})
    assert "Error" not in answer.text


@pytest.fixture
def one(pair):
    return pair[0]


@pytest.fixture
def two(pair):
    return pair[1]


@pytest.fixture
def copy(one, two, monkeypatch, capsys, tmp_path):
    """The command, from one to two unless the test says otherwise."""

    def copied(database, *options, to=None, login=None, to_login=None):
        there = ["--to-api-key-file", two.key_file] if to_login is None else to_login
        here = one.login if login is None else login
        where = ["--to", two.url if to is None else to]
        return call(
            "copy", database, *options, *here, *where, *there, data=tmp_path, monkeypatch=monkeypatch, capsys=capsys
        )

    return copied


def files(served):
    return [file["name"] for file in served.get("/api/files").json()["files"]]


def uploads(served):
    return [one["name"] for one in served.get("/api/uploads").json()["uploads"] if one["etag"] is None]


def listed(served, name):
    """The database without what a backup may change of it."""
    found = served.get(f"/api/databases/{name}")
    return {key: value for key, value in found.json().items() if not key.startswith("last_backup")}


def rows(served, name):
    answer = served.post(f"/api/databases/{name}/query", {"sql": COUNT})
    assert answer.status_code == 200
    return answer.json()["rows"]


def roles(served, name):
    return served.get(f"/api/databases/{name}/model").json()["model"]["roles"]


# ---- the copy


def test_a_database_is_copied_through_this_machine_and_nothing_stays_in_between(copy, one, two):
    before = listed(one, "Sales")
    copied = copy("Sales")
    assert copied.err == ""
    lines = copied.out.splitlines()
    assert lines[0].startswith(f"copied Sales to Sales at {two.url}: through this machine, ")
    assert lines[1].startswith("compared: compatibility level 1601, 11 tables, 3,743 rows, 5 roles")
    assert rows(two, "Sales") == rows(one, "Sales")
    assert roles(two, "Sales") == roles(one, "Sales")
    assert [len(role["members"]) for role in roles(two, "Sales") if "members" in role] == [1]
    assert listed(one, "Sales") == before
    assert (files(one), files(two), uploads(two)) == (["other.abf"], [], [])


def test_the_same_version_is_not_copied_twice(copy, two):
    assert copy("Small", "--as", "Twice").status == 0
    before = listed(two, "Twice")
    again = json.loads(copy("Small", "--as", "Twice", "--json").out)
    assert (again["way"], again["taken_over"], again["replaced"]) == ("none", ["restore"], False)
    assert listed(two, "Twice") == before


def test_the_nightly_pair_of_the_guide_replaces_the_copy_of_the_night_before(one, two, tmp_path):
    (script,) = [block.text for block in blocks(read(DOCS / "guide.md")) if "tabvault copy" in block.text][:1]
    for name, side in (("one", one), ("two", two)):
        shutil.copy(side.key_file, tmp_path / f".{name}.key")
    (tmp_path / "tabvault").write_text(f'#!/bin/sh\nexec {sys.executable} -m tabvault "$@"\n')
    (tmp_path / "tabvault").chmod(0o700)
    known = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "DATABASES": "Nightly"}
    servers = {"TABVAULT_SERVER": one.url, "TABVAULT_TO": two.url}

    def at_night():
        done = subprocess.run(
            ["/bin/sh", "-c", script], env=known | servers, capture_output=True, timeout=TIMEOUT_S, check=False
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")

    at_night()
    assert rows(two, "Nightly") == rows(one, "Small")
    restored(one, "Nightly", "other.abf")
    at_night()
    assert rows(two, "Nightly") == rows(one, "Other") != rows(one, "Small")
    assert listed(two, "Nightly")["version"] == 2
    assert (files(one), files(two)) == (["other.abf"], [])


def restored(served, name, file):
    """Another version of a database."""
    job = served.post(f"/api/databases/{name}/restores", {"file": file, "overwrite": True}).json()
    wait_for(lambda: served.get(f"/api/jobs/{job['id']}").json()["state"], lambda state: state == "succeeded")


def test_roles_come_as_they_are_asked_for(copy, one, two):
    assert copy("Sales", "--as", "Roles", "--security", "skipMembership").status == 0
    assert [role["name"] for role in roles(two, "Roles")] == [role["name"] for role in roles(one, "Sales")]
    assert not any(role.get("members") for role in roles(two, "Roles"))
    taken = copy("Sales", "--as", "Roles")
    assert taken.err.startswith("error[database_exists]: at the target: database 'Roles' exists")
    assert copy("Sales", "--as", "Roles", "--overwrite").status == 0
    assert roles(two, "Roles") == roles(one, "Sales")


def test_the_file_in_between_is_encrypted_and_kept_where_that_is_asked_for(copy, one, two, tmp_path):
    password = tmp_path / "password"
    password.write_text("of the file\n")
    password.chmod(0o600)
    copied = copy("Small", "--as", "Kept", "--through", "a/kept.abf", "--keep-file", "--password-file", password)
    assert copied.status == 0
    for served in (one, two):
        assert served.post("/api/inspections", {"file": "a/kept.abf"}).json()["code"] == "password_required"
    refused = copy("Small", "--as", "Kept2", "--through", "a/kept.abf")
    assert refused.err.startswith("error[storage_exists]: at the source: file a/kept.abf exists already\n")
    for served in (one, two):
        assert served.client.delete("/api/files/a/kept.abf").status_code == 204


def test_two_servers_with_one_container_move_nothing(copy, one, two, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    old = [served.get("/api/storage").json() for served in (one, two)]
    try:
        for served in (one, two):
            configure(served, {"enabled": True, "account": str(shared), "container": "both"})
        with FaultProxy(httpx.URL(two.url).port) as proxy:
            to = f"http://127.0.0.1:{proxy.port}"
            copied = json.loads(copy("Small", "--as", "Shared", "--json", to=to).out)
        assert copied["way"] == "shared container"
        assert {request.method for request in proxy.requests} == {"GET", "POST", "DELETE"}
        assert not any(request.target.startswith("/api/storage/both") for request in proxy.requests)
        assert rows(two, "Shared") == rows(one, "Small")
        assert [path for path in shared.rglob("*") if path.is_file()] == []
    finally:
        for served, settings in zip((one, two), old, strict=True):
            configure(served, {name: settings[name] for name in ("enabled", "account", "container")})


def configure(served, settings):
    # A folder of the machine is chosen by who owns the data folder there.
    token = json.loads((served.data / "server" / "endpoint.json").read_text())["local_token"]
    owner = {"Authorization": f"Bearer {token}"}
    answer = httpx.put(f"{served.url}/api/storage", json=settings, headers=owner, timeout=60)
    assert answer.status_code == 200


# ---- what is refused before anything is moved


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"login": "wrong"}, "error[access_not_authenticated]: at the source: user name or password is wrong"),
        ({"to_login": "wrong"}, "error[access_not_authenticated]: at the target: user name or password is wrong"),
        ({"to_login": []}, "error[access_not_authenticated]: at the target: no credential was given"),
        ({"database": "Nix"}, "error[database_not_found]: at the source: there is no database 'Nix'"),
        ({"as": "taken"}, "error[database_exists]: at the target: database 'Taken' exists and overwriting was not"),
        ({"to": "http://127.0.0.1:9"}, "error[server_unreachable]: at the target: http://127.0.0.1:9 cannot be"),
        ({"as": " x"}, "error[storage_invalid_name]: "),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_said_before_anything_is_moved(copy, one, two, tmp_path, change, error):
    wrong = tmp_path / "wrong"
    wrong.write_text("not his password\n")
    wrong.chmod(0o600)
    logins = {
        "login": ["--server", one.url, "--user", "alice", "--login-password-file", wrong],
        "to_login": ["--to-user", "alice", "--to-login-password-file", wrong],
    }
    options = {name: logins[name] if value == "wrong" else value for name, value in change.items()}
    database, name = options.pop("database", "Sales"), options.pop("as", "New")
    jobs = one.get("/api/jobs").json()
    refused = copy(database, "--as", name, **options)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith(error)
    assert one.get("/api/jobs").json() == jobs
    assert (files(one), files(two)) == (["other.abf"], [])


def test_the_key_of_one_server_is_not_sent_to_the_other(copy, one, two, monkeypatch):
    key = one.post("/api/keys", {"owner": "alice", "name": "one", "scopes": ["read"]}).json()["secret"]
    monkeypatch.setenv("TABVAULT_API_KEY", key)
    assert "at the target: no credential was given\nhint: log in there: --to-user" in copy("Small", to_login=[]).err
    monkeypatch.setenv("TABVAULT_TO_API_KEY", key)
    assert "at the target: " in copy("Small", to_login=[]).err
    assert "login" in [line["operation"] for line in two.get("/api/audit").json()["lines"]]


def test_a_paused_server_takes_no_copy(copy, one, two):
    version = {"api-version": "2017-08-01"}
    path = "/subscriptions/a/providers/Microsoft.AnalysisServices/servers"
    resource = two.get(path, params=version).json()["value"][0]["id"]

    def ask(action):
        assert two.client.post(f"{resource}/{action}", params=version).status_code == 200

    ask("suspend")
    try:
        refused = copy("Small", "--as", "Paused")
    finally:
        ask("resume")
    assert refused.err.startswith(f"error[server_paused]: at the target: {two.url} is paused\n")
    assert files(one) == ["other.abf"]


# ---- what goes wrong on the way


class Passage:
    """
    Passes connections on to a server, and counts the bytes of uploads that it let through.

    Args:
        port: of the server.
        limit: so many bytes of uploads pass; then nothing does any more, and *is_full* is set.
    """

    def __init__(self, port: int, limit: int) -> None:
        self.limit = limit
        self.passed_byte_count = 0
        self.is_full = threading.Event()
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # Whoever is killed, or has what he wanted, goes without a word.
        with (
            contextlib.suppress(ConnectionError),
            client,
            socket.create_connection(("127.0.0.1", self._upstream)) as server,
        ):
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            first = client.recv(1 << 16)
            head, _, body = first.partition(b"\r\n\r\n")
            is_upload = head.startswith(b"PATCH ")
            piece = first
            counted = len(body)
            while piece:
                if is_upload:
                    room = self.limit - self.passed_byte_count
                    if counted > room:
                        server.sendall(piece[: len(piece) - counted + room])
                        self.passed_byte_count += room
                        self.is_full.set()
                        while client.recv(1 << 16):  # until whoever sends has gone
                            pass
                        # Not left to the end of the block: the other thread still waits for an answer.
                        server.shutdown(socket.SHUT_RDWR)
                        break
                    self.passed_byte_count += counted
                server.sendall(piece)
                piece = client.recv(1 << 16)
                counted = len(piece)
            if not self.is_full.is_set():
                back.join()

    def _pump(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while piece := server.recv(1 << 16):
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def test_a_copy_that_was_killed_while_it_uploaded_goes_on_where_it_was(copy, one, two, tmp_path):
    limit = 300_000
    passage = Passage(httpx.URL(two.url).port, limit)
    to = ["--to", passage.url, "--to-api-key-file", two.key_file]
    process = subprocess.Popen(
        [*COMMAND, "copy", "Sales", "--as", "Killed", *map(str, [*one.login, *to])],
        env=environment(TABVAULT_DATA=str(tmp_path)),
        stdout=subprocess.DEVNULL,
    )
    assert passage.is_full.wait(TIMEOUT_S)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=TIMEOUT_S)
    assert two.get("/api/databases/Killed").status_code == 404
    (name,) = set(files(one)) - {"other.abf"}
    byte_count = next(file["byte_count"] for file in one.get("/api/files").json()["files"] if file["name"] == name)
    assert byte_count > 2 * limit
    # What has come is told when the server has noticed that nobody sends any more.
    wait_for(lambda: two.get("/api/uploads").json()["uploads"][-1]["received_byte_count"], lambda count: count == limit)

    passage.limit, passage.passed_byte_count = 1 << 40, 0
    passage.is_full.clear()
    backups = len(one.get("/api/jobs", params={"kind": "backup"}).json()["jobs"])
    again = json.loads(copy("Sales", "--as", "Killed", "--json", to=passage.url).out)
    passage.close()
    assert again["taken_over"] == ["backup"]
    assert passage.passed_byte_count == byte_count - limit
    assert len(one.get("/api/jobs", params={"kind": "backup"}).json()["jobs"]) == backups
    assert rows(two, "Killed") == rows(one, "Sales")
    assert (files(one), files(two), uploads(two)) == (["other.abf"], [], [])


@pytest.fixture
def proxy(two) -> Iterator[FaultProxy]:
    with FaultProxy(httpx.URL(two.url).port) as between:
        yield between


def only(method, path, fault):
    return lambda request: fault if request.method == method and request.target.startswith(path) else PASS


def test_a_restore_whose_answer_was_lost_is_found_by_the_next_try(copy, one, two, proxy):
    to = f"http://127.0.0.1:{proxy.port}"
    proxy.plan = only("POST", "/api/restores", Fault(cuts_answer=True))
    lost = copy("Small", "--as", "Lost", to=to)
    assert lost.err.startswith("error[server_unreachable]: at the target: the connection to")
    assert "hint: the same command goes on where it was cut off\n" in lost.err
    assert len(files(one)) == 2
    proxy.plan = lambda _: PASS
    found = json.loads(copy("Small", "--as", "Lost", "--json", to=to).out)
    assert (found["way"], found["taken_over"]) == ("none", ["restore"])
    assert listed(two, "Lost")["version"] == 1
    assert (files(one), files(two)) == (["other.abf"], [])


def test_an_upload_that_is_there_is_not_sent_again(copy, two, proxy):
    to = f"http://127.0.0.1:{proxy.port}"
    proxy.plan = only("POST", "/api/restores", Fault(cuts_request=True))
    assert copy("Small", "--as", "There", to=to).status == 1
    sent = len(proxy.calls("PATCH"))
    assert sent == 1
    proxy.plan = lambda _: PASS
    found = json.loads(copy("Small", "--as", "There", "--json", to=to).out)
    assert (found["taken_over"], len(proxy.calls("PATCH"))) == (["backup", "upload"], sent)
    assert files(two) == []


def test_where_there_is_no_room_nothing_is_left_on_either_side(copy, one, two, proxy):
    body = json.dumps({"code": "storage_disk_full", "detail": "the backup storage has 0 bytes free", "status": 507})
    proxy.plan = only("POST", "/api/storage/", Fault(status=507, body=body))
    full = copy("Small", "--as", "Full", to=f"http://127.0.0.1:{proxy.port}")
    assert full.err.startswith("error[storage_disk_full]: at the target: the backup storage has 0 bytes free")
    assert (files(one), files(two), uploads(two)) == (["other.abf"], [], [])
    assert two.get("/api/databases/Full").status_code == 404


def test_what_an_older_version_left_behind_is_removed(copy, one, two, proxy):
    to = f"http://127.0.0.1:{proxy.port}"
    proxy.plan = only("POST", "/api/restores", Fault(cuts_request=True))
    assert copy("Other", "--as", "Left", to=to).status == 1
    (left,) = set(files(one)) - {"other.abf"}
    assert files(two) == [left]
    restored(one, "Other", "other.abf")
    proxy.plan = lambda _: PASS
    copied = json.loads(copy("Other", "--as", "Left", "--json", to=to).out)
    assert (copied["version"], copied["taken_over"]) == (2, [])
    assert (files(one), files(two)) == (["other.abf"], [])


# ---- the comparison


def test_a_copy_of_something_else_is_told_from_what_was_backed_up(one, two):
    here, there = (RemoteVault(ServerConnection(side.url, f"Bearer {side.key}")) for side in (one, two))
    backed_up = facts_of_backup(here.inspect("storage:other.abf"))
    assert list(differences(backed_up, facts_of_database(there, "Taken", backed_up), security="copyAll")) == []
    sales = facts_of_database(here, "Sales")
    found = list(differences(backed_up, sales, security="copyAll"))
    assert any(text.startswith("no table '") for text in found)
    assert any(text.endswith("that was not backed up") for text in found)


def test_each_difference_is_named():
    backed_up = CopyFacts(1500, {"A": 3, "B": None, "C": 1}, {"r": 2, "s": 0})
    copied = CopyFacts(1600, {"A": 2, "B": None, "D": 1}, {"r": 1, "t": 0})
    found = list(differences(backed_up, copied, security="copyAll"))
    assert found == [
        "compatibility level 1600, not 1500",
        "2 rows of table 'A', not 3",
        "no table 'C'",
        "a table 'D' that was not backed up",
        "1 members of role 'r', not 2",
        "no role 's'",
        "a role 't' that was not backed up",
    ]
    assert told(found).endswith("; and 2 more")
    assert found[-3] not in list(differences(backed_up, copied, security="skipMembership"))
    assert list(differences(backed_up, copied, security="ignoreSecurity")) == found[:4]


# ---- aliases


@pytest.fixture
def alias(one, monkeypatch, capsys, tmp_path):
    return lambda *arguments: call(
        "alias", *arguments, *one.login, data=tmp_path, monkeypatch=monkeypatch, capsys=capsys
    )


def test_an_alias_is_switched_on_both_servers_after_the_comparison(copy, one, two, alias):
    assert alias("set", "Sales-Server", f"{one.url}/xmla").status == 0
    switched = copy("Small", "--as", "Aliased", "--alias", "sales-server")
    assert switched.out.splitlines()[-1] == f"alias sales-server stands for {two.url}/xmla"
    for served in (one, two):
        answer = httpx.get(f"{served.url}/link/SALES-server")
        assert (answer.status_code, answer.text) == (200, f"{two.url}/xmla")
        assert answer.headers["content-type"].startswith("text/plain")
        assert httpx.get(f"{served.url}/link/nix").status_code == 404
    lines = [line for line in one.get("/api/audit").json()["lines"] if line["operation"] == "set_alias"]
    assert {line["object"] for line in lines} == {"Sales-Server", "sales-server"}
    assert alias("list").out == f"alias\tserver\nsales-server\t{two.url}/xmla\n"
    assert alias("remove", "SALES-SERVER", "--json").out == '{\n  "aliases": []\n}\n'
    assert httpx.get(f"{one.url}/link/sales-server").status_code == 404
    assert alias("remove", "nix").err.startswith("error[")


def test_only_administrators_have_to_do_with_aliases(one):
    one.post("/api/users", {"name": "bob", "password": "bob's own password", "is_server_administrator": False})
    asked = {"auth": ("bob", "bob's own password"), "timeout": TIMEOUT_S}
    assert httpx.get(f"{one.url}/api/aliases", **asked).status_code == 403
    assert httpx.put(f"{one.url}/api/aliases/a", json={"server": "https://b/xmla"}, **asked).status_code == 403
    assert one.client.delete("/api/aliases/a").status_code == 404


def test_a_copy_from_a_data_folder_needs_no_server_there(two, tmp_path, pair, monkeypatch, capsys):
    data = tmp_path / "data"
    shutil.copytree(pair[0].data / "storage", tmp_path / "files")
    with Vault(data) as vault:
        vault.import_file(tmp_path / "files" / "backups" / "other.abf", "Local")
    there = ["--to", two.url, "--to-api-key-file", two.key_file, "--alias", "local"]
    copied = call("copy", "Local", *there, data=data, monkeypatch=monkeypatch, capsys=capsys)
    assert copied.status == 0
    assert rows(two, "Local") == rows(two, "Taken")
    aliases = call("alias", "list", data=data, monkeypatch=monkeypatch, capsys=capsys)
    assert aliases.out == f"alias\tserver\nlocal\t{two.url}/xmla\n"
