"""Nothing is done that is not written down first, and what was written is not changed unseen."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from tabvault.errors import DiskFullError, PasswordWrongError, StorageError
from tabvault.storage import durable
from tabvault.storage.server_state import audit_log
from tabvault.storage.server_state.audit_line import LINE_BYTE_COUNT_MAX, AuditAction, parse_line
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.recorded_options import RECORDED_OPTIONS
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule

NOON = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)
BACKUP = AuditAction("backup", "anna", "basic", "10.0.0.1", "rest", "Sales", {"file": "a.abf", "password": "hunter2"})


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path, clock):
    return AuditLog(tmp_path, clock=clock)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "server/audit/audit-2026-11.jsonl"


def sequences(log: AuditLog, **filters) -> list[int]:
    return [line.sequence for line in log.read(**filters)]


def test_a_line_is_what_the_format_says(log, path):
    log.record(BACKUP, code="password_wrong", job="j1")
    log.begin(BACKUP)
    first, second = path.read_bytes().splitlines()
    assert json.loads(first) == {
        "sequence": 1,
        "time": "2026-11-22T12:00:00.000000+00:00",
        "phase": "event",
        "begin": None,
        "who": "anna",
        "authentication": "basic",
        "address": "10.0.0.1",
        "interface": "rest",
        "operation": "backup",
        "object": "Sales",
        "options": {"file": "a.abf", "password": "(not recorded)"},
        "result": "failure",
        "code": "password_wrong",
        "job": "j1",
        "duration_s": None,
        "previous": "0" * 64,
    }
    assert json.loads(second)["previous"] == hashlib.sha256(first).hexdigest()
    assert log.verify_chain().head == hashlib.sha256(second).hexdigest()


def test_files_and_folders_are_for_the_owner_alone(log, path):
    log.record(BACKUP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parents[1].stat().st_mode) == 0o700


def test_a_begin_is_in_the_file_before_the_operation_and_an_end_before_its_answer(log, path):
    with log.begin(BACKUP, job="j1") as operation:
        (begin,) = map(parse_line, path.read_bytes().splitlines())
        assert (begin.phase, begin.sequence, begin.result, begin.job) == ("begin", operation.sequence, None, "j1")
        operation.end(job="j2")
        operation.end(code="late")
    _, end = map(parse_line, path.read_bytes().splitlines())
    assert (end.phase, end.begin, end.result, end.code, end.job) == ("end", 1, "success", None, "j2")
    assert end.duration_s >= 0


@pytest.mark.parametrize(("error", "code"), [(PasswordWrongError("no"), "password_wrong"), (KeyError("x"), "internal")])
def test_an_operation_ends_with_the_code_of_its_error(log, error, code):
    with pytest.raises(type(error)), log.begin(BACKUP):
        raise error
    end, _ = log.read()
    assert (end.result, end.code) == ("failure", code)


def test_a_log_that_is_opened_again_goes_on(tmp_path, clock, log):
    log.record(BACKUP)
    again = AuditLog(tmp_path, clock=clock)
    again.record(BACKUP)
    check = again.verify_chain()
    assert (check.line_count, check.first_sequence, check.last_sequence, check.faults) == (2, 1, 2, ())


def test_an_empty_log_is_whole(log):
    check = log.verify_chain()
    assert (check.line_count, check.first_sequence, check.last_sequence, check.faults) == (0, 0, 0, ())
    assert sequences(log) == []


def test_a_month_has_a_file_and_a_clock_that_goes_back_changes_no_order(log, clock, path):
    for month in (11, 12, 10):
        clock.now = NOON.replace(month=month)
        log.record(BACKUP)
    assert sorted(one.name for one in path.parent.iterdir()) == ["audit-2026-11.jsonl", "audit-2026-12.jsonl"]
    assert log.verify_chain().faults == ()
    assert sequences(log) == [3, 2, 1]
    assert sequences(log, since=NOON.replace(month=12)) == [2]
    assert sequences(log, until=NOON) == [3]
    path.unlink()
    check = log.verify_chain()
    assert (check.first_sequence, check.faults) == (2, ())


def test_lines_are_read_latest_first_in_their_time_and_number(log, clock):
    for minute in range(5):
        clock.now = NOON.replace(minute=minute)
        log.record(BACKUP)
    assert sequences(log, limit=2) == [5, 4]
    assert sequences(log, since=NOON.replace(minute=1), until=NOON.replace(minute=3)) == [3, 2]


def test_a_log_of_many_blocks_is_read_as_it_was_written(log, path):
    for number in range(600):
        log.record(AuditAction("alter", object="x" * (number % 700)))
    assert path.stat().st_size > 3 << 16
    assert sequences(log) == list(range(600, 0, -1))
    assert log.verify_chain().line_count == 600


TEARS = {
    "half a line": lambda data: data[:-30],
    "a line without its end": lambda data: data[:-1],
    "zeros": lambda data: data + b"\0" * 70_000,
    "zeros with line feeds": lambda data: data + b"\0\n\0\n",
    "a line that is none of ours": lambda data: data + b'{"sequence": 3}\n',
    "a very long line": lambda data: data + b"x" * (3 * LINE_BYTE_COUNT_MAX) + b"\n",
    "deep brackets": lambda data: data + b"[" * 100_000 + b"\n",
    "nothing but rubbish": lambda _: b"rubbish\n" * 3,
}


@pytest.mark.parametrize("tear", TEARS)
def test_what_a_crash_left_is_set_aside_and_the_chain_goes_on(tmp_path, clock, log, path, tear):
    log.record(BACKUP)
    log.record(BACKUP)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    path.write_bytes(TEARS[tear](data))
    torn_data = path.read_bytes()
    log = AuditLog(tmp_path, clock=clock)
    log.record(BACKUP)
    (torn,) = path.parent.glob("*.torn-*")
    kept_count = 2 if torn_data.startswith(data) else 1 if torn_data.startswith(lines[0]) else 0
    assert torn.read_bytes() == torn_data.removeprefix(b"".join(lines[:kept_count]))
    assert stat.S_IMODE(torn.stat().st_mode) == 0o600
    last, event, *_ = log.read()
    assert (last.operation, last.sequence) == ("backup", kept_count + 2)
    assert (event.operation, event.phase, event.object) == ("audit_torn", "event", torn.name)
    assert log.verify_chain().faults == ()


CHANGES = {
    "a changed name": lambda lines: [lines[0].replace(b"anna", b"hugo"), *lines[1:]],
    "a changed space": lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]],
    "a removed line": lambda lines: [lines[0], *lines[2:]],
    "two lines changed about": lambda lines: [lines[1], lines[0], *lines[2:]],
    "an inserted line": lambda lines: [lines[0], lines[0], *lines[1:]],
    "an empty line": lambda lines: [lines[0], b"\n", *lines[1:]],
    "a line that is none": lambda lines: [lines[0], b"[]\n", *lines[2:]],
    "a line whose phase is a list": lambda lines: [lines[0].replace(b'"event"', b"[]"), *lines[1:]],
    "a last line of another sequence": lambda lines: [*lines[:3], lines[3].replace(b'"sequence":4', b'"sequence":9')],
    "an end torn off": lambda lines: [*lines[:3], lines[3][:-9]],
    "a very long line": lambda lines: [lines[0], b"x" * (2 * LINE_BYTE_COUNT_MAX) + b"\n", *lines[1:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_in_the_chain_with_its_place(log, path, change):
    for _ in range(4):
        log.record(BACKUP)
    assert log.verify_chain().faults == ()
    path.write_bytes(b"".join(CHANGES[change](path.read_bytes().splitlines(keepends=True))))
    faults = log.verify_chain().faults
    assert 1 <= len(faults) <= 6
    assert all(str(fault).startswith("audit-2026-11.jsonl line ") for fault in faults)


def test_a_change_of_everything_shows_against_a_head_noted_elsewhere(tmp_path, log, path):
    for _ in range(3):
        log.record(BACKUP)
    head = log.verify_chain().head
    path.unlink()
    forged = AuditLog(tmp_path)
    for _ in range(3):
        forged.record(AuditAction("backup", "hugo"))
    assert forged.verify_chain().faults == ()
    assert forged.verify_chain().head != head


def test_a_log_that_another_program_writes_into_refuses_and_then_goes_on(log, path):
    log.record(BACKUP)
    with path.open("ab") as file:
        file.write(b"hello\n")
    with pytest.raises(StorageError, match="by another program"):
        log.begin(BACKUP)
    log.begin(BACKUP)
    assert log.verify_chain().faults == ()


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path, log, path):
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        log.begin(BACKUP)
    assert not (tmp_path / "elsewhere").exists()


def test_a_line_is_synced_after_it_is_written_and_the_name_of_a_new_file_with_it(log, monkeypatch):
    counter = CallCounter()
    for module in (audit_log, durable):
        monkeypatch.setattr(module, "os", FaultyModule(os, counter, ["write", "fsync"]))
    for expected in (["fsync"] * 3 + ["write", "fsync"], ["write", "fsync"]):  # two folders, the name in the second
        counter.calls.clear()
        log.begin(BACKUP)
        assert counter.calls[-len(expected) :] == expected


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_system_call_fails_nothing_is_done_unseen(tmp_path, clock, monkeypatch, when, lasting):
    for fail_at in range(1, 200):
        folder = tmp_path / str(fail_at)
        log = AuditLog(folder, clock=clock)
        log.record(BACKUP)
        with (folder / "server/audit/audit-2026-11.jsonl").open("ab") as file:
            file.write(b"torn")
        log = AuditLog(folder, clock=clock)
        done: list[int] = []
        refusals = 0
        error = OSError(28, "No space left on device")
        counter = CallCounter(fail_at=fail_at, when=when, error=error, lasting=lasting)
        with monkeypatch.context() as patch:
            for module in (audit_log, durable):
                patch.setattr(module, "os", FaultyModule(os, counter, [*SYSTEM_CALLS, "write"]))
            for _ in range(3):
                try:
                    operation = log.begin(BACKUP)
                except DiskFullError:
                    refusals += 1
                    continue
                on_disk = map(parse_line, (folder / "server/audit/audit-2026-11.jsonl").read_bytes().splitlines())
                assert operation.sequence in {line.sequence for line in on_disk if line.phase == "begin"}
                done.append(operation.sequence)
                operation.end()
        log.record(BACKUP)
        assert log.verify_chain().faults == ()
        lines = list(log.read())
        assert sorted(line.begin for line in lines if line.phase == "end") == done
        assert {line.sequence for line in lines if line.phase == "begin"} >= set(done)
        assert "audit_torn" in {line.operation for line in lines}
        assert len(done) + refusals == 3
        if not counter.has_failed:
            break
    assert fail_at > 20
    assert done
    assert refusals == 0


def test_a_failed_line_is_taken_back_and_leaves_no_gap(log, path, monkeypatch):
    log.record(BACKUP)
    with monkeypatch.context() as patch:
        patch.setattr(audit_log.os, "write", lambda descriptor, data: os.pwrite(descriptor, data[:10], 0))
        with pytest.raises(DiskFullError):
            log.begin(BACKUP)
    assert len(path.read_bytes().splitlines()) == 1
    log.record(BACKUP)
    assert sequences(log) == [2, 1]
    assert list(path.parent.glob("*.torn-*")) == []


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from tabvault.errors import DiskFullError
    from tabvault.storage.server_state.audit_log import AuditLog, AuditAction

    log = AuditLog(Path(sys.argv[1]))
    log.begin(AuditAction("backup")).end()
    operation = log.begin(AuditAction("restore"))
    size = sum(path.stat().st_size for path in Path(sys.argv[1], "server/audit").iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    operation.end()
    try:
        log.begin(AuditAction("drop"))
        sys.exit("not refused")
    except DiskFullError as error:
        print(error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.record(AuditAction("login"))
    print(log.verify_chain().faults, [(line.operation, line.phase) for line in log.read()])
"""


def test_a_full_disk_refuses_operations_and_owes_the_end_of_those_before(tmp_path):
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert out[0].startswith("drop is refused, since it cannot be written into the audit log")
    assert out[1] == (
        "() [('login', 'event'), ('restore', 'end'), ('restore', 'begin'), ('backup', 'end'), ('backup', 'begin')]"
    )


KILLED = """
    import itertools, sys
    from pathlib import Path
    from tabvault.storage.server_state.audit_log import AuditLog, AuditAction

    log = AuditLog(Path(sys.argv[1]))
    for i in itertools.count():
        with log.begin(AuditAction("backup", object="x" * (i % 900))) as operation:
            print(operation.sequence, flush=True)
"""


def test_a_begin_is_there_after_a_kill_and_the_chain_is_whole(tmp_path):
    for kill_after in range(1, 9):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            begun = [int(process.stdout.readline()) for _ in range(kill_after)]
            process.kill()
            begun += [int(line) for line in process.stdout if line.endswith("\n")]
        log = AuditLog(tmp_path)
        log.record(BACKUP)
        assert log.verify_chain().faults == ()
        assert {line.sequence for line in log.read() if line.phase == "begin"} >= set(begun)


def test_threads_write_one_chain(log):
    def work() -> None:
        for _ in range(10):
            with log.begin(BACKUP):
                pass

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check = log.verify_chain()
    assert (check.line_count, check.faults) == (100, ())
    ends = [line.begin for line in log.read() if line.phase == "end"]
    assert len(ends) == len(set(ends)) == 50


HOSTILE = ["\n{}", "\ud800", "\u2028", "\0", "x" * 1_000_000, "\U0001f600" * 2000, '","who":"root']


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_one_bounded_line_and_nobody_else(log, path, text):
    log.record(
        AuditAction("login", text, text, text, text, text, {text: text, **dict.fromkeys(RECORDED_OPTIONS, text)})
    )
    log.record(AuditAction(text, options={"objects": [text] * 1000}), code=text, job=text)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    assert all(len(line) <= LINE_BYTE_COUNT_MAX for line in lines)
    assert log.verify_chain().faults == ()
    assert len(list(log.read())) == 2
    assert next(log.read(until=None, limit=1)).who is None


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        ({"password": "hunter2"}, {"password": "(not recorded)"}),
        ({"Password": "hunter2", "token": "t"}, {"Password": "(not recorded)", "token": "(not recorded)"}),
        ({"file": {"password": "hunter2"}}, {"file": "(not recorded)"}),
        ({"file": "https://u:hunter2@h/p?sig=hunter2#hunter2"}, {"file": "https://h/p?…"}),
        ({"file": "https://u:hun/ter2?@h/p and https://v:hunter2@h"}, {"file": "https://h/p and https://h"}),
        ({"objects": ["s3://key:hunter2@b/x", 1, True]}, {"objects": ["s3://b/x", 1, True]}),
        ({"file": "a?b.abf", "overwrite": True}, {"file": "a?b.abf", "overwrite": True}),
        ({"file": "https://h/" + "x" * 5000 + "?sig=hunter2"}, {"file": "https://h/" + "x" * 1013 + "…"}),
    ],
)
def test_no_secret_is_written_down(log, path, options, recorded):
    log.record(AuditAction("backup", options=options))
    (line,) = log.read()
    assert line.options == recorded
    assert b"hunter2" not in path.read_bytes()
