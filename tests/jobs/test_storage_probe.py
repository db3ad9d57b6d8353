"""A probe of the backup storage: what it finds, and that nothing of it stays."""

from __future__ import annotations

import datetime
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tabvault.errors import DiskFullError, ObjectNotFoundError, StorageAccessError, StorageError, StoreUnavailableError
from tabvault.jobs.storage_findings import Finding, findings_of
from tabvault.jobs.storage_probe import PROBE_NAME, Probe, probe, unopened
from tabvault.storage.accounts import AccountFacts
from tabvault.storage.local import LocalAccount, LocalStore
from tabvault.storage.names import check_object_name
from tabvault.storage.probing import Explanation, UnfinishedUpload
from tabvault.testing.faults import FaultyStore
from tabvault.testing.memory_store import MemoryStore
from tabvault.testing.store_contract import names, put

NOW = datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.UTC)
FOLDER = AccountFacts("/srv/backups", "folder", "/srv/backups")
WORKS = {"list": True, "write": True, "read": True, "remove": True}


def probed(store, account: AccountFacts = FOLDER) -> Probe:
    return probe(store, account=account, container="nightly", now=NOW)


def codes(probe: Probe) -> list[tuple[str, str]]:
    return [(finding.severity, finding.code) for finding in probe.findings]


def said(results=WORKS, **facts) -> list[Finding]:
    given = {"permissions": None, "expires": None, "clock_skew_s": None, "unfinished": [], "outbound_address": None}
    return findings_of(results, **{**given, **facts}, now=NOW)


# --- what a store that works leaves


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalAccount(tmp_path).container("nightly", create=True)


def test_a_store_that_works_is_said_to_work_and_is_left_as_it_was(store):
    put(store, "a.abf", b"1")
    found = probed(store)
    assert codes(found) == [("OK", "list"), ("OK", "write"), ("OK", "read"), ("OK", "remove")]
    assert (found.is_listable, found.is_writable, found.is_readable, found.is_removable) == (True,) * 4
    assert found.ok
    assert found.is_usable
    assert found.refusal is None
    assert names(store) == ["a.abf"]


def test_the_object_of_a_probe_that_was_killed_is_replaced_and_removed_by_the_next(store):
    put(store, PROBE_NAME, b"half of it")
    assert probed(store).ok
    assert names(store) == []


def test_the_name_can_be_an_objects_everywhere():
    assert check_object_name(PROBE_NAME) == PROBE_NAME
    assert not PROBE_NAME.endswith((".abf", ".pbix", ".xlsx"))


# --- faults: any call of the store may fail


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lasting", [False, True])
def test_whichever_call_fails_nothing_is_raised_and_no_more_than_one_object_stays(when, lasting):
    seen = set()
    for fail_at in itertools.count(1):
        store = MemoryStore()
        faulty = FaultyStore(store, fail_at=fail_at, when=when, lasting=lasting)
        found = probed(faulty)
        if not faulty.counter.has_failed:
            break
        assert names(store) in ([], [PROBE_NAME])
        assert [finding for finding in found.findings if finding.severity == "FAILED"]
        assert found.is_writable == (found.refusal is None)
        seen.add(tuple(step for finding in found.findings for step in finding.steps))
        assert probed(store).ok
        assert names(store) == []
    assert found.ok
    assert {("list", "write", "read", "remove"), ("remove",)} <= seen


def test_what_cannot_be_read_is_removed_all_the_same():
    class Unreadable(MemoryStore):
        def open(self, name):  # noqa: ARG002 - the contract's
            raise StorageError("the disk is scratched")

    store = Unreadable()
    found = probed(store)
    assert names(store) == []
    assert found.is_writable
    assert not found.is_readable
    assert [finding.message for finding in found.findings if finding.severity == "FAILED"] == [
        "the disk is scratched: backups cannot be read, restored or verified"
    ]


def test_bytes_that_come_back_otherwise_are_a_failure():
    class Forgetful(MemoryStore):
        def publish(self, name, data, **options):
            return super().publish(name, data[:-1] + b"?", **options)

    found = probed(Forgetful())
    assert "reads otherwise than it was written" in found.findings[0].message
    assert not found.is_readable


def test_another_probe_may_take_the_object_away_meanwhile():
    class Shared(MemoryStore):
        """Another server removes the object at the first look, once."""

        taken = False

        def open(self, name):
            if not self.taken:
                self.taken = True
                super().remove(name)
            return super().open(name)

    store = Shared()
    found = probed(store)
    assert store.taken
    assert codes(found) == [("OK", "list"), ("OK", "write"), ("OK", "read"), ("OK", "remove")]


def test_an_object_that_is_never_there_is_a_failure():
    class Void(MemoryStore):
        def open(self, name):
            raise ObjectNotFoundError(f"there is no {name}")

    found = probed(Void())
    assert "what was just written there is not there" in found.findings[0].message
    assert found.findings[0].steps == ("read",)


# --- a folder


def test_a_container_that_has_vanished_is_named_once(tmp_path):
    store = LocalAccount(tmp_path).container("nightly", create=True)
    shutil.rmtree(tmp_path / "nightly")
    found = probed(store)
    assert len(found.findings) == 1
    assert found.findings[0].message == f"container nightly is not in storage account {tmp_path}: nothing works there"
    assert "mount the disk" in found.findings[0].hint
    assert isinstance(found.refusal, StoreUnavailableError)
    assert not (tmp_path / "nightly").exists()


def test_a_container_that_cannot_be_opened_is_told_likewise(tmp_path):
    with pytest.raises(StoreUnavailableError) as caught:
        LocalAccount(tmp_path).container("nightly", create=False)
    found = unopened(caught.value, account=FOLDER, container="nightly", now=NOW)
    assert [finding.severity for finding in found.findings] == ["FAILED"]
    assert found.findings[0].message.endswith(": nothing works there")
    assert found.is_removable is False


def test_a_folder_that_may_not_be_written_is_named():
    # Neither of the kernel's own folders can be written, by root either.
    folder = next(path for path in (Path("/sys/kernel"), Path("/sys/block")) if path.is_dir())
    found = probe(LocalStore(folder), account=FOLDER, container=folder.name, now=NOW)
    assert found.is_listable
    assert not found.is_usable
    failed = next(finding for finding in found.findings if "write" in finding.steps)
    assert failed.severity == "FAILED"
    assert failed.message.endswith(": backups cannot be written")
    assert any(words in failed.message for words in ("read-only file system", "not permitted", "permission denied"))
    assert isinstance(found.refusal, StoreUnavailableError)


def test_a_file_where_uploads_are_to_lie_is_named(tmp_path):
    (tmp_path / "nightly").mkdir()
    (tmp_path / "nightly" / ".tabvault-uploads").write_text("in the way")
    found = probed(LocalStore(tmp_path / "nightly"))
    failed = next(finding for finding in found.findings if finding.severity == "FAILED")
    assert failed.steps == ("write",)
    assert "directory" in failed.message
    assert found.is_readable


def test_a_full_disk_is_named(tmp_path):
    (tmp_path / "nightly").mkdir()
    # A process of its own, that may write no byte to a file: the same error as that of a full disk, with root too.
    program = (
        "import datetime, resource, signal, sys, pathlib;"
        "from tabvault.jobs.storage_probe import probe;"
        "from tabvault.storage.accounts import AccountFacts;"
        "from tabvault.storage.local import LocalStore;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "now = datetime.datetime.now(datetime.UTC);"
        "found = probe(LocalStore(pathlib.Path(sys.argv[1])), account=AccountFacts('a', 'folder', 'a'),"
        " container='nightly', now=now);"
        "print(type(found.refusal).__name__, found.findings[0].code, found.findings[0].message)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(tmp_path / "nightly")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith(f"{DiskFullError.__name__} disk_full ")
    assert done.stdout.endswith(": backups cannot be written\n")
    assert names(LocalStore(tmp_path / "nightly")) == []


# --- what is said


@pytest.mark.parametrize(
    ("left", "severity", "words"),
    [
        (datetime.timedelta(days=15), None, None),
        (datetime.timedelta(days=14, seconds=1), None, None),
        (datetime.timedelta(days=14), "WARNING", "the SAS expires at 2030-02-14 12:00 UTC, in 14 days"),
        (datetime.timedelta(days=3, hours=5), "WARNING", "in 3 days"),
        (datetime.timedelta(hours=47), "WARNING", "in 47 hours"),
        (datetime.timedelta(minutes=5), "WARNING", "in less than two hours"),
        (datetime.timedelta(0), "FAILED", "the SAS expired at 2030-01-31 12:00 UTC"),
        (datetime.timedelta(days=-1), "FAILED", "the SAS expired at 2030-01-30 12:00 UTC"),
    ],
    ids=str,
)
def test_the_end_of_a_sas_is_told_two_weeks_ahead(left, severity, words):
    bad = [finding for finding in said(expires=NOW + left) if finding.severity != "OK"]
    assert [finding.severity for finding in bad] == ([] if severity is None else [severity])
    assert all(words in finding.message for finding in bad)


def test_the_end_of_a_sas_is_judged_by_the_clock_of_the_service():
    late = said(expires=NOW + datetime.timedelta(minutes=10), clock_skew_s=-3600.0)
    assert ("FAILED", "expired") in [(finding.severity, finding.code) for finding in late]


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [(None, None), (0.4, None), (-300.0, None), (420.0, "7 minutes ahead of"), (-301.0, "5 minutes behind")],
)
def test_a_clock_that_is_wrong_by_minutes_is_told_with_the_way(skew_s, words):
    bad = [finding.message for finding in said(clock_skew_s=skew_s) if finding.code == "clock_skew"]
    assert bad == ([] if words is None else [f"this machine's clock is {words} the storage's"])


LACKS_W = Explanation("permission", "the SAS lacks the permission w (write), it has rl", "make a SAS")


def test_a_storage_that_can_only_be_read_is_a_warning():
    first = said({"list": True, "write": LACKS_W, "read": True}, permissions="rl")[0]
    assert (first.severity, first.code) == ("WARNING", "read_only")
    assert first.message == "the SAS lacks the permission w (write), it has rl: backups cannot be written"


def test_a_storage_that_can_neither_be_read_nor_written_has_failed():
    lacks_r = Explanation("permission", "the SAS lacks the permission r (read), it has l", None)
    found = said({"list": True, "write": LACKS_W, "read": lacks_r}, permissions="l")
    assert [(finding.severity, finding.steps) for finding in found[:2]] == [
        ("FAILED", ("write",)),
        ("WARNING", ("read",)),
    ]


LACKS_D = Explanation("permission", "the SAS lacks the permission d (delete), it has rcl", None)


@pytest.mark.parametrize(
    ("permissions", "remove", "words"),
    [
        ("rcl", LACKS_D, "; overwriting and retention do not, for nothing can be replaced or removed"),
        ("rcdl", True, "; overwriting does not"),
    ],
)
def test_a_sas_that_may_only_create_is_called_append_only(permissions, remove, words):
    first, *others = said({**WORKS, "remove": remove}, permissions=permissions)
    assert (first.severity, first.code) == ("WARNING", "append_only")
    assert first.message == f"the SAS is append-only, it has {permissions}: backups work up to 5000 MiB{words}"
    assert {finding.severity for finding in others} == {"OK"}


def test_a_sas_that_may_create_and_yet_does_not_write_is_no_append_only_one():
    first = said({"list": True, "write": LACKS_W, "read": True}, permissions="rcl")[0]
    assert (first.severity, first.code) == ("WARNING", "read_only")


BLOCKED = Explanation("network_rules", "the network rules of the storage account do not let this server in", None)
REFUSED = dict.fromkeys(("list", "write", "read", "remove"), BLOCKED)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.0.7", "the address 10.0.0.7 is private, so the storage sees another one"),
        ("8.8.8.8", "the address 8.8.8.8 is to be added, unless a NAT"),
        ("fe80::1%eth0", "the address fe80::1%eth0 is private"),
        (None, "add this server's outbound address"),
    ],
)
def test_the_storage_firewall_is_explained_with_the_address_to_add(address, words):
    (finding,) = said(REFUSED, outbound_address=lambda: address)
    assert (finding.severity, finding.code) == ("FAILED", "network_rules")
    assert address is None or f"(it asks from {address})" in finding.message
    assert words in finding.hint
    assert "Networking, Selected networks" in finding.hint
    assert "the account's own region or the one paired with it" in finding.hint
    assert "All networks" in finding.hint


def test_unfinished_uploads_are_listed_with_their_sizes():
    uploads = [UnfinishedUpload(f"{number}.abf", 8 << 20, 1, None) for number in range(25)]
    uploads[0] = UnfinishedUpload("0.abf", None, None, None)
    uploads[1] = UnfinishedUpload("1.abf", 5, 1, NOW)
    (finding,) = [finding for finding in said(unfinished=uploads) if finding.code == "unfinished_uploads"]
    assert finding.severity == "OK"
    assert finding.message.startswith(
        "25 uploads were begun and not published: 0.abf, 1.abf (5 bytes, begun 2030-01-31 12:00 UTC), "
        "2.abf (8,388,608 bytes), "
    )
    assert finding.message.endswith("19.abf (8,388,608 bytes) and 5 more")
    assert finding.hint.endswith("a week after their last piece came")


def test_unfinished_uploads_of_others_are_told_apart():
    ours = UnfinishedUpload("0.abf", 5, 1, NOW, is_ours=True)
    theirs = [UnfinishedUpload("1.abf", 5, 1, NOW, is_ours=False), UnfinishedUpload("2.abf", None, None, NOW, False)]
    (both,) = [finding for finding in said(unfinished=[ours, *theirs]) if finding.code == "unfinished_uploads"]
    assert both.message == (
        "3 uploads were begun and not published: 0.abf (5 bytes, begun 2030-01-31 12:00 UTC), "
        "1.abf (5 bytes, begun 2030-01-31 12:00 UTC, not by this Tabvault), 2.abf (not by this Tabvault)"
    )
    assert "they go on from there" in both.hint
    assert "those of others stay until" in both.hint
    (only,) = [finding for finding in said(unfinished=theirs) if finding.code == "unfinished_uploads"]
    assert only.hint.startswith("those of others stay until")


def test_a_store_that_explains_nothing_is_taken_at_its_errors_word():
    class Closed(MemoryStore):
        def create(self, name, **options):  # noqa: ARG002 - the contract's
            raise StorageAccessError("PutObject: the key may not write", hint="ask its owner")

    found = probed(Closed())
    assert found.findings[0] == Finding(
        "read_only",
        "WARNING",
        "PutObject: the key may not write: backups cannot be written",
        "ask its owner",
        ("write",),
    )
    assert isinstance(found.refusal, StorageAccessError)
    assert names(Closed()) == []
