"""What a check of the audit log finds, in lines that are written here after the description of the format."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tabvault.storage.server_state import audit_log
from tabvault.storage.server_state.audit_chain import FAULT_COUNT_MAX, AuditCheck, NotedLine
from tabvault.storage.server_state.audit_log import AuditLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NOVEMBER, DECEMBER = "audit-2026-11.jsonl", "audit-2026-12.jsonl"


def digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def line_of(sequence: int, previous: str, who: str = "anna") -> bytes:
    """A line without its line feed, as docs/formats/server-state.md has it."""
    line = {
        "sequence": sequence,
        "time": f"2026-11-22T12:00:{sequence % 60:02}.000000+00:00",
        "phase": "event",
        "begin": None,
        "who": who,
        "authentication": "basic",
        "address": "192.0.2.7",
        "interface": "rest",
        "operation": "login",
        "object": None,
        "options": {},
        "result": "failure",
        "code": "access_not_authenticated",
        "job": None,
        "duration_s": None,
        "previous": previous,
    }
    return json.dumps(line, separators=(",", ":")).encode()


def chain_of(count: int, *before: bytes, who: str = "anna") -> list[bytes]:
    """*before*, and behind it so many lines in all."""
    lines = list(before)
    while len(lines) < count:
        lines.append(line_of(len(lines) + 1, digest_of(lines[-1]) if lines else "0" * 64, who))
    return lines


SIX = chain_of(6)


def check_of(data: Path, noted: NotedLine | None = None, **files: Sequence[bytes]) -> AuditCheck:
    """The check of a log of these files, by month."""
    folder = data / "server" / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    for month, lines in files.items():
        (folder / f"audit-2026-{month[1:]}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return AuditLog(data).verify_chain(noted)


def test_a_whole_chain_over_two_files_is_told_with_its_ends(tmp_path: Path) -> None:
    check = check_of(tmp_path, m10=SIX[:2], m11=SIX[2:])
    assert check.ok
    assert (check.file_count, check.line_count, check.first_sequence, check.last_sequence) == (2, 6, 1, 6)
    assert check.first_time is not None
    assert check.first_time.isoformat() == "2026-11-22T12:00:01+00:00"
    assert check.last_time is not None
    assert check.last_time.isoformat() == "2026-11-22T12:00:06+00:00"
    assert check.head == digest_of(SIX[5])
    assert check_of(tmp_path, NotedLine(3, digest_of(SIX[2]))) == check


CHANGED = "this line or the one before is not the one that was written"
TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], list[tuple[int, str]]]] = {
    "a name changed": (
        lambda lines: [*lines[:2], lines[2].replace(b"anna", b"hugo"), *lines[3:]],
        [(4, CHANGED)],
    ),
    "the digest in a line changed": (
        lambda lines: [*lines[:2], line_of(3, "0" * 64), *lines[3:]],
        [(3, CHANGED), (4, CHANGED)],
    ),
    "a space added": (lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]], [(2, CHANGED)]),
    "a line forged into its place, digest and all": (
        lambda lines: [*lines[:2], line_of(3, digest_of(lines[1]), "hugo"), *lines[3:]],
        [(4, CHANGED)],
    ),
    "the digest before the first line changed": (
        lambda lines: [line_of(1, "f" * 64), *lines[1:]],
        [(1, CHANGED), (2, CHANGED)],
    ),
    "a line made rubbish": (
        lambda lines: [*lines[:2], b"{}", *lines[3:]],
        [(3, "what stood here is lost"), (4, CHANGED)],
    ),
    "a line removed": (lambda lines: [*lines[:2], *lines[3:]], [(3, "lines that stood before this one were removed")]),
    "a line inserted, with the digest before it": (
        lambda lines: [*lines[:2], line_of(3, digest_of(lines[1]), "hugo"), *lines[2:]],
        [(4, "this line was inserted here")],
    ),
    "a line repeated": (
        lambda lines: [*lines[:2], *lines[1:]],
        [(3, "this line was inserted here")],
    ),
    "two lines swapped": (
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        [(3, "or moved behind it"), (4, "or lines were moved"), (5, "or moved behind it")],
    ),
    "a number changed, and what follows written anew": (
        lambda lines: [*lines[:2], line_of(9, digest_of(lines[1]))],
        [(3, "written anew with their digests")],
    ),
}


@pytest.mark.parametrize("tampered", TAMPERED)
def test_what_was_done_to_lines_shows_at_its_place_with_what_it_means(tmp_path: Path, tampered: str) -> None:
    change, expected = TAMPERED[tampered]
    check = check_of(tmp_path, m11=change(SIX))
    assert [(fault.file, fault.line) for fault in check.faults] == [(NOVEMBER, line) for line, _ in expected]
    for fault, (_, meaning) in zip(check.faults, expected, strict=True):
        assert meaning in fault.meaning
        assert str(fault).startswith(f"{NOVEMBER} line {fault.line} ")
    assert (check.ok, check.fault_count) == (False, len(expected))


def test_a_file_that_is_gone_shows_where_the_next_one_begins(tmp_path: Path) -> None:
    check = check_of(tmp_path, m10=SIX[:2], m12=SIX[4:])
    [fault] = check.faults
    assert (fault.file, fault.line) == (DECEMBER, 1)
    assert "has sequence 5 behind 2" in fault.message


def test_the_first_files_may_be_elsewhere_and_a_line_of_theirs_cannot_be_compared(tmp_path: Path) -> None:
    check = check_of(tmp_path, m12=SIX[4:])
    assert (check.ok, check.first_sequence, check.line_count) == (True, 5, 2)
    [fault] = check_of(tmp_path, NotedLine(2, digest_of(SIX[1]))).faults
    assert (fault.file, fault.line) == (None, None)
    assert "where they were moved to" in fault.meaning


def test_newest_lines_that_are_cut_off_show_against_a_noted_line_only(tmp_path: Path) -> None:
    whole = check_of(tmp_path, m11=SIX)
    cut = check_of(tmp_path, m11=SIX[:4])
    assert cut.ok
    [fault] = check_of(tmp_path, NotedLine(whole.last_sequence, whole.head)).faults
    assert str(fault) == "the line of sequence 6, which was noted, is not in the log; its last has 4"
    assert "the newest lines were removed" in fault.meaning
    assert not check_of(tmp_path, NotedLine(whole.last_sequence, whole.head), m11=[]).ok


def test_a_log_that_was_written_anew_shows_against_a_noted_line_only(tmp_path: Path) -> None:
    anew = chain_of(6, *SIX[:3], who="hugo")
    assert check_of(tmp_path, m11=anew).ok
    assert check_of(tmp_path, NotedLine(3, digest_of(SIX[2]))).ok
    [fault] = check_of(tmp_path, NotedLine(5, digest_of(SIX[4]))).faults
    assert (fault.file, fault.line) == (NOVEMBER, 5)
    assert fault.message == f"has digest {digest_of(anew[4])}, and {digest_of(SIX[4])} was noted"


@pytest.mark.parametrize(("month", "meaning"), [("m11", "or a crash tore the line"), ("m10", "the end of this file")])
def test_a_line_without_an_end_is_told_by_where_it_is(tmp_path: Path, month: str, meaning: str) -> None:
    check_of(tmp_path, m10=SIX[:3], m11=SIX[3:])
    path = tmp_path / "server" / "audit" / f"audit-2026-{month[1:]}.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    fault = AuditLog(tmp_path).verify_chain().faults[0]
    assert (fault.file, fault.line, fault.message) == (path.name, 3, "has no end")
    assert meaning in fault.meaning


def test_a_line_that_another_process_is_writing_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_of(tmp_path, m11=SIX)
    path = tmp_path / "server" / "audit" / NOVEMBER
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    monkeypatch.setattr(audit_log.time, "sleep", lambda _: path.write_bytes(whole))
    check = AuditLog(tmp_path).verify_chain()
    assert (check.ok, check.line_count) == (True, 6)


def test_of_many_breaks_the_first_hundred_are_told(tmp_path: Path) -> None:
    check = check_of(tmp_path, m11=[b"{}"] * (FAULT_COUNT_MAX + 20))
    assert (check.fault_count, len(check.faults)) == (FAULT_COUNT_MAX + 20, FAULT_COUNT_MAX)


def test_a_check_keeps_one_line_in_memory_whatever_is_in_the_file(tmp_path: Path) -> None:
    huge = b"x" * (16 << 20)
    path = tmp_path / "server" / "audit" / NOVEMBER
    check_of(tmp_path, m11=[SIX[0], huge, SIX[1]])
    tracemalloc.start()
    try:
        check = AuditLog(tmp_path).verify_chain()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 16 << 20
    assert peak < 1 << 20
    assert [(fault.line, fault.message) for fault in check.faults] == [(2, "is longer than a line can be")]
    assert replace(check, fault_count=0, faults=()) == check_of(tmp_path, m11=SIX[:2])


def test_a_number_that_no_log_comes_to_is_no_line(tmp_path: Path) -> None:
    [fault] = check_of(tmp_path, m11=[line_of(1 << 63, "0" * 64)]).faults
    assert fault.message == "is not one of an audit log"
