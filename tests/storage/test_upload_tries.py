"""Records of uploads that were interrupted: one secret for one text, whatever fails, and whoever comes at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import ChecksumError, StoreUnavailableError
from tabvault.storage import upload_tries
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.upload_tries import LIFETIME_S, UploadTry
from tabvault.testing.faults import SYSTEM_CALLS, CallCounter, FaultyModule

if TYPE_CHECKING:
    from pathlib import Path

ONE = b"1" * 32
OTHER = b"2" * 32
NAME = "nightly/shop.abf"


def begun(folder: Path, identity: bytes = ONE) -> bytes:
    with UploadTry.begin(folder, NAME, identity) as this:
        assert this.is_kept
        return this.secret


def record(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def put_back(folder: Path, kept: Path, content: bytes) -> None:
    """The very file that *kept* links to, under its name again: a copy would be none of a try."""
    kept.write_bytes(content)
    path = record(folder)
    path.unlink()
    path.hardlink_to(kept)


def test_a_second_try_has_the_secret_and_the_time_of_the_first(tmp_path):
    with UploadTry.begin(tmp_path / "uploads", NAME, ONE) as first:
        pass
    with UploadTry.begin(tmp_path / "uploads", NAME, ONE) as second:
        assert (second.secret, second.began_ns) == (first.secret, first.began_ns)
        assert second.superseded_secret is None
    assert abs(time.time_ns() - first.began_ns) < 60 * 10**9
    assert record(tmp_path / "uploads").stat().st_mode & 0o777 == 0o600


def test_the_bytes_of_a_record_are_those_of_the_table(tmp_path):
    with UploadTry.begin(tmp_path, NAME, ONE) as this:
        this.pin(b"abc")
    data = record(tmp_path).read_bytes()
    assert record(tmp_path).name == "e626e78fc20075d2fd753b5b38ea6fe3.try"
    assert data[:8] == b"tvtry\0\0\2"
    assert data[8:40] == ONE
    assert data[40:72] == this.secret
    assert int.from_bytes(data[72:80], "little") == this.began_ns
    status = record(tmp_path).stat()
    assert int.from_bytes(data[80:88], "little") == status.st_dev
    assert int.from_bytes(data[88:96], "little") == status.st_ino
    assert data[96:128] == hashlib.sha256(data[:96]).digest()
    assert data[128:].hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(data) == 160


def test_another_identity_has_another_secret_and_tells_the_old_one(tmp_path):
    old = begun(tmp_path)
    with UploadTry.begin(tmp_path, NAME, OTHER) as new:
        assert new.secret != old == new.superseded_secret
    assert begun(tmp_path) not in {old, new.secret}
    assert record(tmp_path)


def test_another_name_has_another_secret(tmp_path):
    with UploadTry.begin(tmp_path, "other.abf", ONE) as other:
        assert other.secret != begun(tmp_path)


def test_a_damaged_record_is_never_taken_up(tmp_path):
    folder = tmp_path / "uploads"
    secret = begun(folder)
    kept = tmp_path / "kept"
    kept.hardlink_to(record(folder))
    whole = kept.read_bytes()
    for damaged in (
        *(whole[:end] for end in range(len(whole))),
        *(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(len(whole))),
    ):
        put_back(folder, kept, damaged)
        assert begun(folder) != secret
    put_back(folder, kept, whole)
    assert begun(folder) == secret


def test_a_copy_of_a_record_is_never_taken_up(tmp_path):
    secret = begun(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert begun(tmp_path / "copy") != secret
    assert begun(tmp_path / "data") == secret


def test_a_record_that_was_forgotten_before_it_was_locked_is_never_taken_up(tmp_path, monkeypatch):
    first = UploadTry.begin(tmp_path, NAME, ONE)
    lock = upload_tries._lock
    with monkeypatch.context() as patch:

        def forget_and_lock(descriptor: int) -> bool:
            first.forget()  # its disk is full, say: it goes on, and notes nothing any more
            return lock(descriptor)

        patch.setattr(upload_tries, "_lock", forget_and_lock)
        with UploadTry.begin(tmp_path, NAME, ONE) as second:
            assert second.secret != first.secret
            assert second.is_kept
    assert begun(tmp_path) == second.secret


def test_a_record_of_a_week_ago_is_not_taken_up(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    secret = begun(folder)
    kept = tmp_path / "kept"
    kept.hardlink_to(record(folder))
    now = time.time_ns()
    for later_s, is_same in ((LIFETIME_S - 100, True), (-100, False), (LIFETIME_S, False), (0, True)):
        with monkeypatch.context() as patch:
            patch.setattr(upload_tries.time, "time_ns", lambda later_s=later_s: now + later_s * 10**9)
            assert (begun(folder) == secret) is is_same
        put_back(folder, kept, kept.read_bytes())


def test_old_records_of_others_are_removed(tmp_path):
    begun(tmp_path)
    old = record(tmp_path)
    os.utime(old, (0, time.time() - LIFETIME_S - 10))
    with UploadTry.begin(tmp_path, "other.abf", ONE):
        assert not old.exists()


def test_opening_the_data_folder_removes_what_nobody_takes_up_any_more(tmp_path):
    with DataFolder.open(tmp_path / "data") as folder:
        begun(folder.uploads_folder)
        part = folder.downloads_folder / "name" / "tag" / "00000000"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"1")
    old = record(folder.uploads_folder)
    DataFolder.open(tmp_path / "data").close()
    assert old.exists()
    assert part.exists()
    for path in (old, part.parent):
        os.utime(path, (0, time.time() - LIFETIME_S - 10))
    DataFolder.open(tmp_path / "data").close()
    assert not old.exists()
    assert not part.parent.parent.exists()


def test_two_at_once_do_not_share_a_secret(tmp_path):
    with UploadTry.begin(tmp_path, NAME, ONE) as first:
        for identity in (ONE, OTHER):
            with UploadTry.begin(tmp_path, NAME, identity) as second:
                assert not second.is_kept
                assert second.secret != first.secret
                second.pin(b"anything")
                second.forget()
        assert record(tmp_path).exists()
    assert begun(tmp_path) == first.secret


def test_the_same_pieces_may_be_pinned_again_and_others_not(tmp_path):
    with UploadTry.begin(tmp_path, NAME, ONE) as first:
        for piece in (b"a", b"b"):
            first.pin(piece)
    with UploadTry.begin(tmp_path, NAME, ONE) as second:
        for piece in (b"a", b"b", b"c"):
            second.pin(piece)
    with UploadTry.begin(tmp_path, NAME, ONE) as third:
        third.pin(b"a")
        third.pin(b"b")
        with pytest.raises(ChecksumError, match="piece 3 of the backup is not what it was"):
            third.pin(b"C")
        assert not third.is_kept
    assert begun(tmp_path) != first.secret


def test_a_note_that_a_crash_tore_is_written_again_or_refused(tmp_path):
    with UploadTry.begin(tmp_path, NAME, ONE) as first:
        first.pin(b"a")
    path = record(tmp_path)
    whole = path.read_bytes()
    for end in range(128, 160):
        path.write_bytes(whole[:end])
        with UploadTry.begin(tmp_path, NAME, ONE) as again:
            again.pin(b"a")
        assert path.read_bytes() == whole
        # Blocks of a file that was made longer and not yet written are zeros after a loss of power.
    path.write_bytes(whole[:128] + bytes(32))
    with UploadTry.begin(tmp_path, NAME, ONE) as again, pytest.raises(ChecksumError):
        again.pin(b"a")


def test_what_is_forgotten_is_not_taken_up(tmp_path):
    with UploadTry.begin(tmp_path, NAME, ONE) as this:
        this.forget()
        this.forget()
        this.pin(b"a")
    assert list(tmp_path.iterdir()) == []


def test_where_the_folder_is_a_file_nothing_is_kept(tmp_path):
    (tmp_path / "uploads").write_bytes(b"")
    with UploadTry.begin(tmp_path / "uploads", NAME, ONE) as this:
        assert not this.is_kept
        this.pin(b"a")
        this.forget()


@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_call_fails_no_secret_is_used_for_two_texts(tmp_path, monkeypatch, when):
    """After any failure a second try with another text is refused, or has another secret."""
    has_failed = True
    for fail_at in range(1, 100):
        folder = tmp_path / str(fail_at)
        counter = CallCounter(fail_at=fail_at, when=when, error=OSError(28, "No space left on device"))
        with monkeypatch.context() as patch:
            for module in ("upload_tries", "durable"):
                patch.setattr(f"tabvault.storage.{module}.os", FaultyModule(os, counter, SYSTEM_CALLS))
            with UploadTry.begin(folder, NAME, ONE) as first:
                for piece in (b"a", b"b", b"c"):
                    first.pin(piece)
        has_failed = counter.has_failed
        with UploadTry.begin(folder, NAME, ONE) as second:
            if second.secret == first.secret:
                second.pin(b"a")
                second.pin(b"b")
                with pytest.raises(ChecksumError):
                    second.pin(b"X")
            else:
                assert has_failed
        if not has_failed:
            break
    assert fail_at > 10
    assert second.secret == first.secret


def test_a_disk_that_is_gone_when_something_must_be_forgotten_is_an_error(tmp_path, monkeypatch):
    with UploadTry.begin(tmp_path, NAME, ONE) as this:
        counter = CallCounter(fail_at=1, lasting=True, error=OSError(5, "Input/output error"))
        monkeypatch.setattr(upload_tries, "os", FaultyModule(os, counter, SYSTEM_CALLS))
        with pytest.raises(StoreUnavailableError, match="record of an upload"):
            this.pin(b"a")
        monkeypatch.undo()
