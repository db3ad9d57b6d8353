"""What lies in the backup storage, from the beginnings of its files: what is found, and what is read for it."""

from __future__ import annotations

import struct
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from conftest import CONTAINER_SAMPLES, XML_SAMPLES, sample_path
from tabvault.errors import StoreUnavailableError
from tabvault.formats import age, xpress9
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs import file_details
from tabvault.jobs.file_catalogue import READER_COUNT, FileCatalogue
from tabvault.jobs.file_details import FileDetails, read_details
from tabvault.jobs.inspect import inspect_backup
from tabvault.jobs.opening import open_backup
from tabvault.jobs.stored_folders import folder_path, list_folder
from tabvault.jobs.vault import Vault
from tabvault.storage.file_source import FileSource
from tabvault.storage.local import LocalAccount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.storage.local import LocalStore

SMALL = "Hugoberry__abc.pbix"
PLAIN = "Hugoberry__DataModel_uncompressed.abf"
COMPRESSED = "Hugoberry__DataModel.abf"
KINDS = {".pbix": "pbix", ".xlsx": "xlsx", ".abf": "abf", ".bin": "abf"}


class CountedSource:
    """Another source, and how much of it was read."""

    def __init__(self, source) -> None:
        self.byte_count = source.byte_count
        self._source = source
        self.read_byte_count = 0
        self.read_count = 0

    def read_at(self, offset: int, byte_count: int):
        self.read_byte_count += byte_count
        self.read_count += 1
        return self._source.read_at(offset, byte_count)


class CountingStore:
    """A store that counts what is opened and read."""

    def __init__(self, store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.opened: list[str] = []

    def open(self, name: str):
        with self._lock:
            self.opened.append(name)
        return self._store.open(name)

    def list(self, prefix: str = ""):
        return self._store.list(prefix)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalAccount(tmp_path / "account").container("backups", create=True)


def put(store, name: str, content: bytes) -> None:
    with store.create(name, replace=True) as upload:
        upload.write(content)
        upload.finish()


def details_of(content: bytes, name: str = "file.abf") -> FileDetails:
    return read_details(MemorySource(content), name)


# ---- genuine files


@pytest.mark.parametrize("name", [*CONTAINER_SAMPLES, *XML_SAMPLES])
def test_the_beginning_of_a_genuine_file_tells_what_its_log_and_definition_do(name):
    with FileSource(sample_path(name)) as source:
        found = read_details(source, name)
        with file_details_truth(source) as (database, database_id, level):
            assert (found.database, found.id, found.compatibility_level) == (database, database_id, level)
    assert found.kind == ("cache.abf" if name.endswith("cache.abf") else KINDS[name[name.rindex(".") :]])
    assert (found.encryption, found.compatible) == ("none", True)
    assert found.made_by == ("Excel" if found.kind == "xlsx" else "Power BI Desktop")
    assert found.remark == ("its metadata are converted to level 1200" if name in XML_SAMPLES else None)


def file_details_truth(source):
    """By the whole way that a restore goes: unwrapped to the end, directory and log read."""
    import contextlib

    from tabvault.formats.abf.container import Container
    from tabvault.jobs.definition_file import definition_file
    from tabvault.jobs.opening import unwrap

    @contextlib.contextmanager
    def truth() -> Iterator[tuple[str, str, int]]:
        with unwrap(source) as inner:
            container = Container.open(inner.source)
            _, definition = definition_file(container)
            assert (definition.name, definition.id) == (container.log.object_name, container.log.object_id)
            yield container.log.object_name, container.log.object_id, definition.compatibility_level

    return truth()


def test_of_a_container_the_same_few_kilobytes_are_read_however_long_it_is(tmp_path):
    vault_path = tmp_path / "data"
    with Vault(vault_path) as vault:
        vault.import_file(sample_path("microsoft__2019SU06_Blog_Demo_-_June.pbix"), "June")
        vault.backup("June", "june.abf", compress=False)
        counted = CountedSource(stored := vault.store.open("june.abf"))
        found = read_details(counted, "june.abf")
        stored.close()
    assert counted.byte_count > 7 << 20
    assert (counted.read_byte_count, counted.read_count) == ((64 + 2 + 2) << 10, 3)
    assert (found.database, found.made_by, found.compressed) == ("June", "Tabvault", False)


def test_of_a_wrapped_container_one_frame_is_read():
    with FileSource(sample_path("microsoft__2019SU06_Blog_Demo_-_June.pbix")) as source:
        counted = CountedSource(source)
        assert read_details(counted, "june.pbix").database is not None
    assert counted.read_byte_count < 3 << 19  # its first frame has 1.3 MB, for 2 MiB of the container
    assert counted.read_byte_count < counted.byte_count / 2


def test_a_workbook_is_told_by_its_directory_and_the_beginning_of_its_model():
    with FileSource(sample_path("microsoft__IT_Spend_Analysis_Sample-no-PV.xlsx")) as source:
        counted = CountedSource(source)
        found = read_details(counted, "spend.xlsx")
    assert counted.read_byte_count < 192 << 10
    assert (found.compatibility_level, found.compatible) == (1103, True)


def test_it_says_what_inspect_says(tmp_path):
    with FileSource(sample_path(SMALL)) as source, open_backup(source, spool_folder=tmp_path) as opened:
        inspected = inspect_backup(opened)
        found = read_details(source, SMALL)
    assert (found.database, found.id) == (inspected.database, inspected.id)
    assert found.compatibility_level == inspected.compatibility_level


# ---- what is not a plain backup


def test_an_encrypted_backup_is_told_without_its_password(tmp_path):
    with Vault(tmp_path / "data") as vault:
        vault.import_file(sample_path(SMALL), "Sales")
        vault.backup("Sales", "sales.abf", password="correct horse")
        with vault.store.open("sales.abf") as stored:
            found = read_details(stored, "sales.abf")
    assert (found.kind, found.encryption, found.database, found.compatible) == ("abf", "age", None, None)
    assert found.remark == "unknown: encrypted, the password opens it"
    assert details_of(age.MAGIC + b"\n-> scrypt x 18\n", "report").kind == "unknown"


def test_a_backup_that_a_microsoft_server_encrypted_is_told():
    content = bytearray(sample_path(PLAIN).read_bytes())
    plain, encrypted = (f"<EncryptionFlag>{flag}</EncryptionFlag>" for flag in ("false", "true"))
    page = content[:4096].replace(plain.encode("utf-16-le"), encrypted.encode("utf-16-le"))
    found = details_of(bytes(page[: page.index(b"\0\0\0\0", 100)].ljust(4096, b"\0")) + bytes(content[4096:]))
    assert (found.kind, found.encryption, found.compatible) == ("abf", "microsoft", False)
    assert "encrypted with a password by a Microsoft server" in found.remark


def test_a_package_without_a_model_has_no_database():
    found = details_of(sample_path("Hugoberry__live-connection-ssas.pbix").read_bytes(), "live.pbix")
    assert (found.kind, found.compatible) == ("pbix", False)
    assert found.remark == "not compatible: the package holds no data model"


@pytest.mark.parametrize(("content", "words"), [(b"", "the file is empty"), (b"hello", "begins with 68 65 6c 6c 6f")])
def test_another_file_is_unknown(content, words):
    found = details_of(content)
    assert found.kind == "unknown"
    assert found.remark.startswith("unknown: not a backup")
    assert words in found.remark


@pytest.mark.parametrize(
    ("level", "compatible", "remark"),
    [
        ("1200", True, None),
        ("1799", True, None),
        ("1800", False, "not compatible: compatibility level 1800"),
        ("1050", False, "not compatible: compatibility level 1050"),
        ("1103", False, "not compatible: compatibility level 1103"),  # and not of the tabular engine
    ],
)
def test_a_level_that_cannot_be_restored_is_named(level, compatible, remark):
    content = sample_path(PLAIN).read_bytes()
    found = details_of(content.replace(b"CompatibilityLevel>1550<", f"CompatibilityLevel>{level}<".encode(), 1))
    assert (found.compatibility_level, found.compatible, found.remark) == (int(level), compatible, remark)


def test_a_definition_that_is_elsewhere_is_found_by_the_directory(monkeypatch):
    monkeypatch.setattr(file_details, "_definition_in", lambda _front, _head: None)
    counted = CountedSource(MemorySource(sample_path(COMPRESSED).read_bytes()))
    assert read_details(counted, "file.abf").database == "0ee076b5-e86c-420a-a30b-9112cf84aada"
    assert counted.read_byte_count > 256 << 10


def test_a_deflated_package_member_is_read_at_its_beginning(tmp_path):
    path = tmp_path / "deflated.pbix"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DataModel", sample_path(PLAIN).read_bytes())
    found = details_of(path.read_bytes(), path.name)
    assert (found.kind, found.database) == ("pbix", "0a592551-1fdd-4ecc-8eb6-8240e618bc13")


# ---- damage


def test_a_cut_container_is_damaged_though_its_beginning_is_whole():
    found = details_of(sample_path(PLAIN).read_bytes()[:-5000])
    assert found.kind == "abf"
    assert found.remark.startswith("damaged: bytes ")


def test_every_beginning_of_a_file_is_something(tmp_path):
    for name in (SMALL, PLAIN, COMPRESSED, "rkapp22__Dashboard.SemanticModel_.pbi_cache.abf"):
        content = sample_path(name).read_bytes()
        # Frames that are whole are decoded by a process each: few cuts there.
        for end in (0, 1, 2, 71, 72, 101, 102, 103, 110, 150, 4095, 4096, 4124, 5000, 9000):
            found = details_of(content[:end], name)
            assert found.remark is not None, (name, end)
            assert found.remark.startswith(("unknown: ", "damaged: ")), (name, end, found.remark)


def test_flipped_bytes_never_raise():
    content = sample_path(COMPRESSED).read_bytes()
    for offset in [*range(0, 2200, 37), *range(4090, 9000, 41)]:
        damaged = bytearray(content)
        damaged[offset] ^= 0x41
        assert isinstance(details_of(bytes(damaged)), FileDetails)


def test_a_directory_that_would_have_to_be_read_for_ever_is_not():
    content = sample_path(PLAIN).read_bytes()
    counted = CountedSource(HugeSource(content[:4096].replace(b"<\0L\0", b"<\0M\0")))
    found = read_details(counted, "huge.abf")
    assert counted.read_byte_count <= file_details.READ_BYTE_COUNT_MAX
    assert found.remark.startswith(("damaged: ", "unknown: "))


class HugeSource:
    """A front, and then a terabyte of nothing."""

    byte_count = 1 << 40

    def __init__(self, front: bytes) -> None:
        self._front = front

    def read_at(self, offset: int, byte_count: int) -> bytes:
        return self._front[offset : offset + byte_count].ljust(byte_count, b"\0")


def test_a_frame_that_claims_too_much_is_named():
    head = xpress9.Envelope.SINGLE_SESSION.value + struct.pack("<II", 1 << 31, 1000)
    found = details_of(head.ljust(4096, b"\1"))
    assert (found.kind, found.remark.partition(":")[0]) == ("cache.abf", "damaged")


# ---- the catalogue


def test_a_file_is_looked_at_once_until_it_changes(store):
    put(store, "a.abf", sample_path(PLAIN).read_bytes())
    put(store, "b.txt", b"text")
    counting = CountingStore(store)
    catalogue = FileCatalogue()
    first = catalogue.describe(counting, list(counting.list()))
    assert [file.info.name for file in first] == ["a.abf", "b.txt"]
    assert sorted(counting.opened) == ["a.abf", "b.txt"]
    assert catalogue.describe(counting, list(counting.list())) == first
    assert len(counting.opened) == 2
    put(store, "b.txt", b"other text")
    changed = catalogue.describe(counting, list(counting.list()))
    assert (counting.opened[2:], changed[0]) == (["b.txt"], first[0])
    assert changed[1].details != first[1].details


def test_what_the_catalogue_remembers_has_an_end(store, monkeypatch):
    monkeypatch.setattr("tabvault.jobs.file_catalogue.REMEMBERED_COUNT_MAX", 2)
    for name in "abc":
        put(store, name, name.encode())
    catalogue = FileCatalogue()
    assert all(file.details for file in catalogue.describe(store, list(store.list())))
    counting = CountingStore(store)
    catalogue.describe(counting, list(store.list()))
    assert len(counting.opened) == 1


def test_a_file_that_cannot_be_read_is_unknown_and_asked_again(store):
    put(store, "a.abf", sample_path(PLAIN).read_bytes())
    put(store, "gone.abf", b"x")
    infos = list(store.list())
    store.remove("gone.abf")
    catalogue = FileCatalogue()
    failing = FailingStore(store)
    assert [file.details.remark for file in catalogue.describe(failing, infos)] == [
        "unknown: the disk is asleep",
        "unknown: it has gone meanwhile",
    ]
    assert catalogue.describe(store, infos)[0].details.database is not None


def test_a_list_that_has_taken_its_time_looks_at_no_more_and_the_next_one_does(store, monkeypatch):
    put(store, "a.abf", sample_path(PLAIN).read_bytes())
    counting = CountingStore(store)
    catalogue = FileCatalogue()
    with monkeypatch.context() as patch:
        patch.setattr("tabvault.jobs.file_catalogue.LOOKING_S_MAX", 0.0)
        (late,) = catalogue.describe(counting, list(store.list()))
    assert late.details.remark == "unknown: not looked at yet, ask again"
    assert counting.opened == []
    assert catalogue.describe(counting, list(store.list()))[0].details.database is not None


def test_all_who_ask_share_the_same_few_readers(store):
    list_count = 3
    for number in range(list_count * READER_COUNT):
        put(store, f"{number}.txt", b"text")
    crowded = CrowdedStore(store)
    catalogue = FileCatalogue()
    infos = list(store.list())
    with ThreadPoolExecutor(list_count) as lists:
        for begin in range(list_count):
            lists.submit(catalogue.describe, crowded, infos[begin::list_count])
        end = time.monotonic() + 30
        while reader_count() < len(infos) and time.monotonic() < end:
            time.sleep(0.01)
        crowded.released.set()
    assert len(crowded.opened) == len(infos)
    assert crowded.at_once_max == READER_COUNT


def reader_count() -> int:
    return sum(thread.name.startswith("file-details") for thread in threading.enumerate())


class CrowdedStore(CountingStore):
    """Opens nothing before it is told to, and notes how many wait for that at once."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.released = threading.Event()
        self._at_once = 0
        self.at_once_max = 0

    def open(self, name: str):
        with self._lock:
            self._at_once += 1
            self.at_once_max = max(self.at_once_max, self._at_once)
        self.released.wait(30)
        with self._lock:
            self._at_once -= 1
        return super().open(name)


class FailingStore(CountingStore):
    def open(self, name: str):
        if name == "a.abf":
            raise StoreUnavailableError("the disk is asleep")
        return super().open(name)


def test_a_folder_shows_its_folders_first_with_what_is_below_them(store):
    for name, content in {"z.abf": b"z", "sales/b.abf": b"12", "sales/2026/a.abf": b"345", "hr/x.abf": b"6"}.items():
        put(store, name, content)
    root = list_folder(store, "/")
    assert [(folder.name, folder.file_count, folder.byte_count) for folder in root.folders] == [
        ("hr/", 1, 1),
        ("sales/", 2, 5),
    ]
    assert [info.name for info in root.files] == ["z.abf"]
    sales = list_folder(store, "\\sales\\")
    assert [folder.name for folder in sales.folders] == ["sales/2026/"]
    assert [info.name for info in sales.files] == ["sales/b.abf"]
    assert sales.folders[0].last_modified == store.info("sales/2026/a.abf").last_modified
    nothing = list_folder(store, "sal")
    assert (nothing.folders, nothing.files) == ((), ())


@pytest.mark.parametrize(
    ("folder", "path"), [("", ""), ("/", ""), ("sales", "sales/"), ("/a\\b/", "a/b/"), ("a\u0308", "\u00e4/")]
)
def test_a_folder_has_one_spelling(folder, path):
    assert folder_path(folder) == path
