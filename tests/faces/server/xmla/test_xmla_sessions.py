"""Sessions: whose they are, how long they last, and what becomes of a transaction that nobody ends."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from faces.server.xmla import xmla_wire as wire
from formats.xmla import requests as written
from tabvault.errors import RequestError, SessionNotFoundError
from tabvault.faces.server.xmla.sessions import PER_USER_COUNT_MAX, RunningCommand, Sessions, Transaction
from tabvault.jobs.access.principal import Limit, Principal, Scope
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces.served_process import Served

ALICE = Caller(Principal("alice", "user", frozenset({"alice"}), administers_server=True), "127.0.0.1", "xmla")
BOB = Caller(Principal("bob", "user", frozenset({"bob"})), "127.0.0.1", "xmla")
LIMIT = Limit(frozenset({Scope.READ}))
KEY = Caller(Principal("alice", "api_key", frozenset({"alice"}), True, LIMIT, "k"), "127.0.0.1", "rest")


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock=clock, idle_s_max=60)


def test_a_session_is_found_by_its_own_user_until_it_is_ended(sessions: Sessions) -> None:
    session = sessions.begin(ALICE)
    assert sessions.resume(session.id, ALICE) is session
    for other in (BOB, KEY):
        with pytest.raises(SessionNotFoundError, match=f"the '{session.id}' session ID cannot be found"):
            sessions.resume(session.id, other)
        with pytest.raises(SessionNotFoundError):
            sessions.end(session.id, other)
    sessions.end(session.id, ALICE)
    with pytest.raises(SessionNotFoundError):
        sessions.resume(session.id, ALICE)


@pytest.mark.parametrize("session_id", ["", "x" * 100_000, "' OR ''='", "../..", "\u202e", "<a>"])
def test_an_id_that_was_never_given_is_not_found(sessions: Sessions, session_id: str) -> None:
    sessions.begin(ALICE)
    with pytest.raises(SessionNotFoundError) as caught:
        sessions.resume(session_id, ALICE)
    assert len(caught.value.message) < 200


def test_a_session_expires_when_nobody_used_it(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin(ALICE)
    clock.now_s += 60
    assert sessions.resume(session.id, ALICE) is session  # used at the last moment, and for another minute
    clock.now_s += 60
    assert list(sessions) == [session]
    clock.now_s += 0.1
    assert list(sessions) == []
    with pytest.raises(SessionNotFoundError):
        sessions.resume(session.id, ALICE)


def test_a_session_does_not_expire_while_any_of_its_commands_runs(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin(ALICE)
    first, second = (RunningCommand("Backup", session.begun) for _ in range(2))
    session.running += [first, second]
    session.running.remove(first)
    clock.now_s += 3600
    assert list(sessions) == [session]
    session.running.remove(second)
    assert list(sessions) == []


def test_no_user_has_all_the_sessions(sessions: Sessions, clock: Clock) -> None:
    for _ in range(PER_USER_COUNT_MAX):
        sessions.begin(BOB)
    with pytest.raises(RequestError, match=f"{PER_USER_COUNT_MAX} of them of 'bob'"):
        sessions.begin(BOB)
    sessions.begin(ALICE)
    clock.now_s += 61
    sessions.begin(BOB)
    assert len(list(sessions)) == 1


def test_each_session_has_a_number_and_an_id_of_its_own(sessions: Sessions) -> None:
    some = [sessions.begin(ALICE) for _ in range(100)] + [sessions.passing(ALICE) for _ in range(100)]
    assert len({session.spid for session in some}) == len({session.id for session in some}) == 200
    assert len(list(sessions)) == 100


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with Vault(tmp_path / "data") as made:
        made.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
        yield made


@pytest.mark.parametrize("how", ["end", "expiry", "end of the server"])
def test_the_transaction_of_a_session_is_rolled_back_with_it(
    sessions: Sessions, clock: Clock, vault: Vault, how: str
) -> None:
    session = sessions.begin(ALICE)
    alteration = Alteration(vault.own_folder, "shop")
    alteration.rename("changed")
    transaction = session.transaction = Transaction(alteration)
    if how == "end":
        sessions.end(session.id, ALICE)
    elif how == "expiry":
        clock.now_s += 61
        assert list(sessions) == []
    else:
        sessions.end_all()
    assert session.transaction is None
    assert transaction.is_over
    assert vault.folder.find("shop").version == 1
    # It does not hold the version any more: the next one replaces it on the disk as well.
    with Alteration(vault.own_folder, "shop") as other:
        other.rename("other")
        other.commit()
    versions = [path.name for path in (vault.data / "databases").glob("*/*") if path.is_dir()]
    assert len(versions) == 1


# ---- over HTTP


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("sessions") / "data"
    with Vault(data) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
    with wire.serving(data) as made:
        yield made


@pytest.fixture
def client(served: Served) -> Iterator[wire.Client]:
    with wire.Client(served.url) as made:
        yield made


def session_row(client: wire.Client, session_id: str) -> str:
    body = client.post(wire.statement("SELECT * FROM $SYSTEM.DISCOVER_SESSIONS")).body.decode()
    (row,) = [row for row in re.findall("<row>.*?</row>", body, re.DOTALL) if session_id in row]
    return row


def cell(row: str, name: str) -> str:
    match = re.search(f"<{name}>(.*?)</{name}>", row)
    assert match is not None, row
    return match[1]


def test_a_session_is_begun_used_and_ended_over_http(client: wire.Client) -> None:
    session_id = client.post(wire.begin_session()).session_id
    assert client.post(wire.in_session(session_id, "<Statement>EVALUATE 'ABC'</Statement>")).session_id == session_id
    row = session_row(client, session_id)
    assert int(cell(row, "SESSION_SPID")) > 0
    before = int(cell(row, "SESSION_COMMAND_COUNT"))
    for _ in range(3):
        client.post(wire.in_session(session_id, "<Statement>EVALUATE 'ABC'</Statement>"))
    assert int(cell(session_row(client, session_id), "SESSION_COMMAND_COUNT")) == before + 3
    assert client.post(wire.in_session(session_id, "<Statement/>", name="EndSession")).fault is None
    assert "cannot be found" in str(client.post(wire.in_session(session_id, "<Statement/>")).fault)


def test_a_session_whose_first_request_fails_is_not_kept(client: wire.Client) -> None:
    """A fault does not tell its id. A program that failed a thousand times would have locked its user out."""
    count = "SELECT [SESSION_ID] FROM $SYSTEM.DISCOVER_SESSIONS"
    before = client.post(wire.statement(count)).row_count
    for _ in range(5):
        answer = client.post(wire.in_header(written.BEGIN_SESSION, "<Statement>no such language</Statement>"))
        assert answer.fault is not None
    assert client.post(wire.statement(count)).row_count == before


@pytest.mark.parametrize("session_id", ["", "'", "*", "%", "x" * 70_000, "../..", "&#10;", "00000000-0000-0000-0000"])
def test_a_made_up_session_is_refused(client: wire.Client, session_id: str) -> None:
    for name in ("Session", "EndSession"):
        answer = client.post(wire.in_session(session_id, "<Statement/>", name=name))
        assert answer.fault is not None
        assert len(answer.body) < 4000


def add_role(name: str) -> str:
    role = f'{{"name": "{name}", "modelPermission": "read"}}'
    return (
        f'<Statement>{{"createOrReplace": {{"object": {{"database": "shop", "role": "{name}"}}, "role": {role}}}}}'
        "</Statement>"
    )


def roles(client: wire.Client, session_id: str | None = None) -> set[str]:
    question = "SELECT [Name] FROM $SYSTEM.TMSCHEMA_ROLES"
    body = wire.statement(question, catalog="shop")
    if session_id is not None:
        body = wire.in_session(session_id, f"<Statement>{question}</Statement>")
    return set(re.findall("<Name>(.*?)</Name>", client.post(body).body.decode()))


@pytest.mark.parametrize("end", ["CommitTransaction", "RollbackTransaction", "EndSession", "two"])
def test_what_a_transaction_changes_is_seen_by_its_own_session_only(client: wire.Client, end: str) -> None:
    session_id = client.post(wire.begin_session()).session_id
    name = f"role {end}"
    assert client.post(wire.in_session(session_id, wire.engine("BeginTransaction"))).fault is None
    answer = client.post(wire.in_session(session_id, add_role(name)))
    assert answer.fault is None, answer.fault
    assert name in roles(client, session_id)
    assert name not in roles(client)
    if end == "EndSession":
        client.post(wire.in_session(session_id, "<Statement/>", name="EndSession"))
    elif end == "two":
        assert client.post(wire.in_session(session_id, wire.engine("BeginTransaction"))).fault is not None
        assert client.post(wire.in_session(session_id, wire.engine("RollbackTransaction"))).fault is None
        assert client.post(wire.in_session(session_id, wire.engine("RollbackTransaction"))).fault is not None
    else:
        answer = client.post(wire.in_session(session_id, wire.engine(end)))
        assert answer.fault is None, answer.fault
    assert (name in roles(client)) == (end == "CommitTransaction")


def test_changes_that_come_at_once_in_one_transaction_are_all_in_it(served: Served, client: wire.Client) -> None:
    """They are made one after the other: two at once would each begin with what the other has not changed yet."""
    session_id = client.post(wire.begin_session()).session_id
    client.post(wire.in_session(session_id, wire.engine("BeginTransaction")))
    faults = []

    def change(number: int) -> None:
        with wire.Client(served.url) as own:
            faults.append(own.post(wire.in_session(session_id, add_role(f"at once {number}"))).fault)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == [None] * 8
    assert client.post(wire.in_session(session_id, wire.engine("CommitTransaction"))).fault is None
    assert {f"at once {number}" for number in range(8)} <= roles(client)


@pytest.mark.parametrize("by", ["SessionID", "SPID", "ConnectionID"])
def test_a_cancel_from_another_session_ends_an_answer_that_is_on_its_way(
    served: Served, client: wire.Client, by: str
) -> None:
    session_id = client.post(wire.begin_session()).session_id
    body = wire.in_session(session_id, "<Statement>EVALUATE 'ABC'</Statement>")
    assert client.post(body).row_count == 6
    spid = cell(session_row(client, session_id), "SESSION_SPID")
    target = session_id if by == "SessionID" else spid
    assert client.post(wire.execute(wire.engine("Cancel", f"<{by}>{target}</{by}>"))).fault is None
    # It ran nothing: a Cancel does not reach what comes later.
    assert client.post(body).row_count == 6


def test_a_cancel_of_nobody_is_refused(client: wire.Client) -> None:
    for target in ("<SPID>999999</SPID>", "<SessionID>x</SessionID>", "<ConnectionID>999999</ConnectionID>"):
        assert "no such session" in str(client.post(wire.execute(wire.engine("Cancel", target))).fault)


def test_one_subscription_is_not_ended_or_replaced_by_another(served: Served, client: wire.Client) -> None:
    session_id = client.post(wire.begin_session()).session_id
    body = wire.in_session(session_id, wire.engine("Subscribe", "<SubscriptionId>mine</SubscriptionId>"))
    with wire.connected(served) as connection:
        connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(body)}") + body)
        received = bytearray()
        while b"</xsd:schema>" not in received:
            received += connection.recv(1 << 16)
        assert "there is a subscription 'mine' already" in str(client.post(body).fault).lower()
        client.post(wire.in_session(session_id, wire.engine("Unsubscribe", "<SubscriptionId>mine</SubscriptionId>")))
        while b"Envelope>" not in received[-20:]:
            received += connection.recv(1 << 16)
