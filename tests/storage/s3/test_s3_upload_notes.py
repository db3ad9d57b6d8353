"""Notes of uploads in parts: what they look like, whose they are, and what a failure leaves of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tabvault.storage.s3 import upload_notes
from tabvault.storage.s3.upload_notes import NOTE_BYTE_COUNT_MAX, UploadNotes
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0123456789abcdef" * 4
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
NAME = "nightly/K\xe4se.abf"
NOTE = b"""{
 "format_version": 1,
 "service": "https://s3.example",
 "bucket": "backups",
 "name": "nightly/K\\u00e4se.abf",
 "upload_id": "2~a/b==",
 "key_digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
 "begun": "2026-11-23T08:30:00.000000+00:00",
 "sha256": "SHA256"
}
"""
SIGNED = NOTE.replace(b',\n "sha256": "SHA256"', b"")
WHOLE = NOTE.replace(b"SHA256", hashlib.sha256(SIGNED).hexdigest().encode())


def notes_in(folder: Path, bucket: str = "backups") -> UploadNotes:
    return UploadNotes(folder, service="https://s3.example", bucket=bucket)


def add(notes: UploadNotes, upload_id: str = "2~a/b==", **changes):
    return notes.add(**{"name": NAME, "upload_id": upload_id, "key_digest": DIGEST, "begun": NOW, **changes})


def found(notes: UploadNotes, name: str = NAME, key_digest: str = DIGEST) -> list[str]:
    """The ids of the uploads that a second try would look at."""
    ids = []
    for note in notes.of_key(name, key_digest):
        ids.append(note.upload.upload_id)
        note.release()
    return ids


def test_the_bytes_of_a_note_are_those_of_the_table(tmp_path):
    note = add(notes_in(tmp_path / "server" / "multipart"), begun=NOW.astimezone())
    (path,) = (tmp_path / "server" / "multipart").iterdir()
    assert len(path.stem) == 32
    assert path.suffix == ".json"
    assert path.read_bytes() == WHOLE
    assert path.stat().st_mode & 0o777 == 0o600
    note.remove()
    assert not path.exists()


def test_a_note_written_by_hand_is_read(tmp_path):
    (tmp_path / f"{'a' * 32}.json").write_bytes(WHOLE)
    (note,) = notes_in(tmp_path).of_key(NAME, DIGEST)
    assert note.upload.upload_id == "2~a/b=="
    assert note.upload.begun == NOW
    note.release()
    assert notes_in(tmp_path).upload_ids() == {"2~a/b=="}


def signed(*changes: tuple[str, str]) -> bytes:
    """A note in which that was replaced, with its digest."""
    text = SIGNED.decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace("\n}\n", f',\n "sha256": "{digest}"\n}}\n').encode()


def test_the_helper_of_these_tests_signs_as_the_table_says():
    assert signed() == WHOLE


OTHERS = {
    "another version": signed(('"format_version": 1', '"format_version": 2')),
    "a key more": signed(('"format_version": 1,', '"format_version": 1,\n "more": 1,')),
    "a key less": signed((' "bucket": "backups",\n', "")),
    "a key twice": signed((' "bucket": "backups",\n', ' "bucket": "backups",\n' * 2)),
    "another order": signed((' "format_version": 1,\n', ""), ('"backups",', '"backups",\n "format_version": 1,')),
    "another spelling": signed(("\\u00e4", "\xe4")),
    "no offset": signed(("+00:00", "")),
    "another offset": signed(("+00:00", "+01:00")),
    "a time out of range": signed(("2026-11-23T08:30:00.000000+00:00", "0001-01-01T00:00:00.000000+14:00")),
    "an id that is a number": signed(('"2~a/b=="', "2")),
    "an empty id": signed(('"2~a/b=="', '""')),
    "a digest that is a list": signed((f'"{DIGEST}"', "[]")),
    "a short digest": signed((DIGEST, DIGEST[1:])),
    "a name of no object": signed(("nightly/", "../")),
    "a list": b"[]\n",
    "deep": b"[" * 10_000,
    "nothing": b"",
    "too much": WHOLE + b" " * NOTE_BYTE_COUNT_MAX,
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_spelt_otherwise_is_no_note_and_stays(tmp_path, content):
    path = tmp_path / f"{'a' * 32}.json"
    path.write_bytes(content)
    assert found(notes_in(tmp_path)) == []
    assert list(notes_in(tmp_path).begun_before(datetime.max.replace(tzinfo=UTC))) == []
    assert path.exists()


def test_a_damaged_note_is_none(tmp_path):
    path = tmp_path / f"{'a' * 32}.json"
    path.write_bytes(WHOLE)
    notes = notes_in(tmp_path)
    assert notes.upload_ids()
    for at in range(len(WHOLE)):
        path.write_bytes(WHOLE[:at])
        assert not notes.upload_ids()
        path.write_bytes(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :])
        assert not notes.upload_ids()


def test_what_is_no_file_of_a_note_is_passed_over(tmp_path):
    (tmp_path / "elsewhere").write_bytes(WHOLE)
    (tmp_path / f"{'a' * 32}.json").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{'b' * 32}.json").mkdir()
    os.mkfifo(tmp_path / f"{'c' * 32}.json")
    (tmp_path / f"{'d' * 31}.json").write_bytes(WHOLE)
    (tmp_path / f"{'e' * 32}.json.bak").write_bytes(WHOLE)
    assert notes_in(tmp_path).upload_ids() == frozenset()


def test_a_note_is_found_by_bucket_name_and_key(tmp_path):
    add(notes_in(tmp_path), "1").release()
    add(notes_in(tmp_path), "2", key_digest=None).release()
    add(notes_in(tmp_path, "other"), "3").release()
    add(UploadNotes(tmp_path, service="https://other.example", bucket="backups"), "4").release()
    add(notes_in(tmp_path), "5", name="other.abf").release()
    add(notes_in(tmp_path), "6").release()
    assert sorted(found(notes_in(tmp_path))) == ["1", "6"]
    assert found(notes_in(tmp_path), key_digest="f" * 64) == []
    assert notes_in(tmp_path).upload_ids() == {"1", "2", "5", "6"}


def test_what_one_uses_no_other_gets(tmp_path):
    note = add(notes_in(tmp_path))
    assert found(notes_in(tmp_path)) == []
    assert list(notes_in(tmp_path).begun_before(NOW + timedelta(days=8))) == []
    assert notes_in(tmp_path).upload_ids() == {"2~a/b=="}
    note.release()
    note.release()
    assert found(notes_in(tmp_path)) == ["2~a/b=="]
    assert list(notes_in(tmp_path).begun_before(NOW)) == []


def test_a_note_that_was_removed_before_it_was_locked_is_not_given(tmp_path, monkeypatch):
    first = add(notes_in(tmp_path))

    class Flock:
        LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

        def flock(self, descriptor: int, operation: int) -> None:
            first.remove()
            fcntl.flock(descriptor, operation)

    monkeypatch.setattr(upload_notes, "fcntl", Flock())
    assert found(notes_in(tmp_path)) == []


def test_what_a_killed_writer_left_is_removed_after_a_week(tmp_path):
    old, new, other = (tmp_path / name for name in (f".{'a' * 32}.json.tmp", f".{'b' * 32}.json.tmp", "other.tmp"))
    for path in (old, new, other):
        path.write_bytes(WHOLE)
        os.utime(path, (0, NOW.timestamp() - (path != new)))
    notes_in(tmp_path).remove_temporary_files(NOW)
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_what_is_too_long_is_not_noted(tmp_path):
    assert add(notes_in(tmp_path), "x" * NOTE_BYTE_COUNT_MAX) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_call_fails_there_is_a_whole_note_or_none(tmp_path, monkeypatch, when):
    """And nobody is told of one that is not there, or hears of the failure."""
    for fail_at in range(1, 100):
        folder = tmp_path / str(fail_at) / "multipart"
        counter = CallCounter(fail_at=fail_at, when=when, error=OSError(28, "No space left on device"))
        with monkeypatch.context() as patch:
            for module in ("storage.s3.upload_notes", "storage.durable"):
                patch.setattr(f"tabvault.{module}.os", FaultyModule(os, counter, SYSTEM_CALLS))
            note = add(notes_in(folder))
            was_noted = note is not None
            if was_noted:
                note.release()
            assert found(notes_in(folder)) in ([], ["2~a/b=="])
            ids = notes_in(folder).upload_ids()
            notes_in(folder).remove_temporary_files(NOW)
            for left in notes_in(folder).begun_before(NOW + timedelta(days=1)):
                left.remove()
        assert was_noted or not ids or counter.has_failed
        if was_noted:
            # As it was written, unless it was removed.
            assert all(path.read_bytes() == WHOLE for path in folder.iterdir())
        else:
            assert found(notes_in(folder)) == []
        if not counter.has_failed:
            break
    assert fail_at > 10
    assert was_noted
    assert list(folder.iterdir()) == []


def test_a_note_is_durable_before_it_is_told_of(tmp_path, monkeypatch):
    """Its bytes before it has its name, and its name before anybody hears of it."""
    counter = CallCounter()
    folder = tmp_path / "multipart"
    folder.mkdir()
    with monkeypatch.context() as patch:
        for module in ("storage.s3.upload_notes", "storage.durable"):
            patch.setattr(f"tabvault.{module}.os", FaultyModule(os, counter, SYSTEM_CALLS))
        note = add(notes_in(folder))
    note.release()
    assert counter.calls[-6:] == ["open", "pwrite", "fsync", "rename", "open", "fsync"]
    assert json.loads(WHOLE)["sha256"] == hashlib.sha256(SIGNED).hexdigest()
