"""What is wrapped around a container comes off, and what is hostile in the wrapping is refused in bounded time."""

from __future__ import annotations

import io
import random
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import (
    ChecksumError,
    DiskFullError,
    FormatError,
    JobError,
    LimitError,
    NoModelError,
    StorageError,
    TabvaultError,
)
from tabvault.formats import age, office_package
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs import xpress9_process
from tabvault.jobs.opening import open_backup
from tabvault.testing.xpress9_streams import thread_groups

if TYPE_CHECKING:
    from pathlib import Path

TINY = "Hugoberry__empty-schema-calc-only.pbix"


def model_member(name: str = TINY) -> bytes:
    with zipfile.ZipFile(sample_path(name)) as package:
        return package.read("DataModel")


def names_in(data: bytes, **options: object) -> list[str]:
    with open_backup(MemorySource(data), **options) as opened:
        for name in opened.container.files:
            for _ in opened.container.body(name):
                pass
        return list(opened.container.files)


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_a_genuine_file_opens_whatever_it_is_wrapped_in(name: str) -> None:
    data = sample_path(name).read_bytes()
    assert names_in(data)[-1] == "metadata.sqlitedb"


def test_a_deflated_package_member_gives_what_a_stored_one_does() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("DataModel", model_member())
    assert names_in(buffer.getvalue()) == names_in(sample_path(TINY).read_bytes())


def test_a_file_in_thread_groups_gives_what_a_single_session_does() -> None:
    with open_backup(MemorySource(model_member())) as opened:
        plain = bytes(opened.source.read_at(0, opened.source.byte_count))
    assert names_in(thread_groups(plain, thread_count=3, chunk_byte_count=65536)) == names_in(plain)


def test_an_encrypted_package_opens_with_its_password() -> None:
    data = sample_path(TINY).read_bytes()
    encryptor = age.Encryptor("p", deferred_byte_count=0, work_factor=10)
    body = encryptor.update(data)
    tail, head = encryptor.finish(b"")
    assert names_in(head + body + tail, password="p") == names_in(data)


def test_a_flipped_bit_in_a_stored_member_is_found_by_the_archive_crc_before_it_is_decoded() -> None:
    data = bytearray(sample_path(TINY).read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        data[package.getinfo("DataModel").header_offset + 5000] ^= 4
    with pytest.raises(ChecksumError, match="CRC-32 of the package"):
        names_in(bytes(data))


def test_a_flipped_bit_in_a_deflated_member_is_found() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("DataModel", model_member())
    data = bytearray(buffer.getvalue())
    data[5000] ^= 4
    with pytest.raises(FormatError):
        names_in(bytes(data))


def test_a_member_that_claims_more_than_deflate_can_give_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("DataModel", bytes(1 << 20))
    data = bytearray(buffer.getvalue())
    where = data.rindex(b"PK\x01\x02") + 24
    data[where : where + 4] = (0xFFFFFF00).to_bytes(4, "little")
    with pytest.raises(LimitError, match="cannot come from"):
        names_in(bytes(data))


def test_a_package_without_a_model_says_so() -> None:
    with pytest.raises(NoModelError) as caught:
        names_in(sample_path("Hugoberry__live-connection-ssas.pbix").read_bytes())
    assert "live connection" in (caught.value.hint or "")


def test_every_prefix_of_a_package_is_refused() -> None:
    data = sample_path("Hugoberry__live-connection-ssas.pbix").read_bytes()
    for length in range(1, len(data), 61):
        with pytest.raises(FormatError):
            names_in(data[:length])


def test_flipped_bits_of_a_package_directory_give_an_error_of_ours() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        package.writestr("DataModel", b"\xff\xfe nothing")
    data = buffer.getvalue()
    generator = random.Random(3)
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 3)):
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        with pytest.raises(TabvaultError):
            names_in(bytes(damaged))


def test_a_block_on_which_the_library_never_returns_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xpress9_process.DecoderProcess.__init__, "__kwdefaults__", {"patience_s": 1.0})
    damaged = bytearray(model_member())
    generator = random.Random(0)  # one of the seeds at which the library's loop was seen never to end
    for _ in range(3):
        damaged[generator.randrange(200, len(damaged))] ^= 1 << generator.randrange(8)
    with pytest.raises(FormatError, match="block 0 does not decompress"):
        names_in(bytes(damaged))


def test_unwrapping_needs_room_and_says_how_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr("tabvault.jobs.opening.shutil.disk_usage", lambda _place: Full)
    with pytest.raises(DiskFullError, match="319488 bytes, and 1000 are free"):
        names_in(model_member(), spool_folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_spool_leaves_no_name_behind(tmp_path: Path) -> None:
    with open_backup(MemorySource(model_member()), spool_folder=tmp_path):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"P", b"PK\x03\x04", b"\xff\xfe", b"hello world" * 20, bytes(5000)])
def test_what_is_no_backup_is_called_so(data: bytes) -> None:
    with pytest.raises(FormatError):
        names_in(data)


def test_the_member_crc_is_the_one_of_its_bytes() -> None:
    package = office_package.ModelMember(MemorySource(sample_path(TINY).read_bytes()))
    assert zlib.crc32(b"".join(package.pieces())) == zlib.crc32(model_member())
    assert package.name == "DataModel"
    assert package.byte_count == len(model_member())


def test_a_module_beside_a_hostile_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder is started in the working folder, where a download and an ``xpress9.py`` may lie side by side."""
    (tmp_path / "xpress9.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    monkeypatch.chdir(tmp_path)
    assert names_in(model_member())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("interpreter", ["", "/nonexistent/python", "/bin/false"])
def test_a_decoder_that_cannot_be_started_is_not_blamed_on_the_file(
    interpreter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabvault.jobs.xpress9_process.sys.executable", interpreter)
    with pytest.raises(JobError, match="the process that decodes XPress9"):
        names_in(model_member())


def test_a_temporary_folder_that_is_not_there_has_its_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="temporary"):
        names_in(model_member(), spool_folder=tmp_path / "nothing")


def test_a_package_member_before_the_start_of_the_package_is_damage() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("DataModel", bytes(100))
    data = bytearray(buffer.getvalue())
    data[-6] += 1  # the directory's offset: zipfile takes the difference for something cut off in front
    with pytest.raises(FormatError, match="the package member is damaged: seek before the start"):
        list(office_package.ModelMember(MemorySource(bytes(data))).pieces())
