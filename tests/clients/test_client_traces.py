"""What a client hears while the server works, and how another one stops it."""

from __future__ import annotations

import threading

import pytest

from clients.client import ClientError

pytest_plugins = ["clients.fixtures"]

LARGE = "Large"
"""Its backup takes a second or so: long enough to be heard of and to be cancelled."""


def test_a_session_trace_hears_the_progress_of_its_backup(client):
    client.start_session_trace()
    client.backup(LARGE, "traced.abf", overwrite=True)
    # The library gives an event away when the next one has begun to come, so the last one comes with the end.
    heard = client.events_until("ProgressReportCurrent", "Backup")
    assert client.stop_trace() == ["StoppedByUser"]
    assert ["CommandBegin", "Backup"] in [event[:2] for event in heard]
    events = client.events_until("CommandEnd", "Backup")
    kinds = [event[0] for event in events if event[1] == "Backup"]
    assert kinds[:2] == ["CommandBegin", "ProgressReportBegin"]
    assert kinds[-2:] == ["ProgressReportEnd", "CommandEnd"]
    assert kinds.count("ProgressReportCurrent") >= 3
    assert set(kinds) == {
        "CommandBegin",
        "ProgressReportBegin",
        "ProgressReportCurrent",
        "ProgressReportEnd",
        "CommandEnd",
    }
    progress = [event for event in events if event[0] == "ProgressReportCurrent"]
    assert {event[3] for event in progress} == {LARGE}
    told = [int(event[2].split(": ")[1].split()[0]) for event in progress]
    assert told == sorted(told)
    assert told[-1] > told[0]


def test_a_password_is_in_no_event(client):
    client.start_session_trace()
    client.backup("Sales", "silent.abf", overwrite=True, password="never tell anybody")
    client.execute(
        '{"backup": {"database": "Sales", "file": "silent.abf", "allowOverwrite": true, "password": "nor this"}}'
    )
    client.stop_trace()
    events = client.events_until("CommandEnd", "JsonCommand")
    assert [event[1] for event in events if event[0] == "CommandEnd"] == ["Backup", "JsonCommand"]
    assert not [event for event in events if "never tell" in str(event) or "nor this" in str(event)]


def test_after_its_stop_a_trace_hears_nothing(client):
    client.start_session_trace()
    client.backup("Sales", "stopped.abf", overwrite=True)
    client.stop_trace()
    before = client.events_until("CommandEnd", "Backup")
    client.backup("Sales", "stopped.abf", overwrite=True)
    client.query("EVALUATE Sales", "Sales")
    assert client.events_until("CommandEnd", "Backup") == before


def test_a_trace_of_ones_own_hears_the_events_that_it_asked_for_of_every_session(client, second_client, served):
    client.start_trace(["CommandEnd"], ["EventSubclass", "TextData", "DatabaseName", "CurrentTime"])
    second_client.backup("Sales", "heard.abf", overwrite=True)
    second_client.restore("heard.abf", "heard")
    second_client.drop("heard")
    client.stop_trace()
    events = client.events_until("CommandEnd", "Delete")
    client.drop_trace()
    assert {event[0] for event in events} == {"CommandEnd"}
    subclasses = [event[1] for event in events]
    assert [one for one in subclasses if one in {"Backup", "Restore", "Delete"}] == ["Backup", "Restore", "Delete"]


@pytest.mark.parametrize("compress", [True, False])
def test_a_cancel_of_another_session_ends_a_backup_and_leaves_no_file(client, second_client, served, compress):
    file = f"cancelled {compress}.abf"
    before = set(served.backups.rglob("*"))
    session = second_client.session_id()
    second_client.start_session_trace()
    outcome: list[BaseException] = []

    def back_up() -> None:
        try:
            second_client.backup(LARGE, file, compress=compress)
        except ClientError as error:
            outcome.append(error)

    working = threading.Thread(target=back_up)
    working.start()
    while working.is_alive() and not outcome:
        # Until it has begun there is nothing to cancel; what a Cancel finds nothing for, it leaves alone.
        client.cancel(session)
        working.join(0.05)
    working.join()
    (error,) = outcome
    assert error.type == "OperationException"
    assert error.message == "Cancelled by a Cancel command."
    assert set(served.backups.rglob("*")) == before
    second_client.backup(LARGE, file, compress=False)
    assert (served.backups / file).exists()
    second_client.stop_trace()
    # The client reads events in blocks, and may drop the last ones when it stops: the second backup pushes them out.
    assert ["ProgressReportError", "Backup"] in [
        event[:2] for event in second_client.events_until("CommandEnd", "Backup")
    ]


def test_a_cancel_of_a_session_that_is_not_there_is_refused(client, refused):
    message = refused("OperationException", client.cancel, "00000000-0000-0000-0000-000000000000")
    assert message.startswith("There is no such session")
