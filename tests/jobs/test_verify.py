"""Verify says of a good backup that it is good, and finds every kind of damage that a byte can have."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from vaults import vault_with, with_bodies, with_metadata

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import PasswordRequiredError, PasswordWrongError, UnsupportedFeatureError
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.verify import verify_backup

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.verify import Verification


def verified(data: bytes, password: str | None = None) -> Verification:
    return verify_backup(MemorySource(data), password=password)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_genuine_file_is_found_good(name: str) -> None:
    verification = verified(sample_path(name).read_bytes())
    assert [condition for condition in verification.conditions if condition.severity == "FAILED"] == []
    assert verification.ok
    subjects = [condition.subject for condition in verification.conditions]
    assert subjects[:3] == ["envelope", "header, directory and log", "every byte"]
    assert any("decoded" in condition.message for condition in verification.conditions)


@pytest.fixture
def backup(tmp_path: Path) -> bytes:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", compress=False)
    return (tmp_path / "data/storage/backups/shop.abf").read_bytes()


def test_our_own_backup_is_good_without_a_warning(backup: bytes) -> None:
    verification = verified(backup)
    assert verification.ok
    assert {condition.severity for condition in verification.conditions} == {"OK"}


def test_a_flipped_bit_anywhere_is_found(backup: bytes) -> None:
    """Also in padding, in the page behind the header, and in time stamps nobody reads: the rewritten bytes differ."""
    generator = random.Random(11)
    for _ in range(60):
        damaged = bytearray(backup)
        damaged[generator.randrange(len(backup))] ^= 1 << generator.randrange(8)
        verification = verified(bytes(damaged))
        assert {condition.severity for condition in verification.conditions} != {"OK"}


def test_a_flipped_bit_in_a_stored_file_fails_and_names_the_file(backup: bytes) -> None:
    container = Container.open(MemorySource(backup))
    for name in ("0.CryptKey.bin", "metadata.sqlitedb"):
        entry = container.files[name].entry
        damaged = bytearray(backup)
        damaged[entry.offset + 100] ^= 1
        verification = verified(bytes(damaged))
        assert not verification.ok
        assert any(c.severity == "FAILED" and c.subject == name for c in verification.conditions)


def test_a_truncated_backup_fails(backup: bytes) -> None:
    assert not verified(backup[: len(backup) // 2]).ok
    assert not verified(backup[:4096]).ok
    assert not verified(b"").ok


def test_values_that_contradict_their_statistics_fail_though_every_crc_matches(backup: bytes) -> None:
    container = Container.open(MemorySource(backup))
    victim = max((n for n in container.files if n.endswith(".idf") and "RowNumber" not in n and "$" not in n), key=len)

    def change(name: str, body: bytes) -> bytes:
        return body[:8] + (body[8] ^ 1).to_bytes(1, "little") + body[9:] if name == victim else body

    verification = verified(with_bodies(backup, change))
    assert not verification.ok
    assert any(c.severity == "FAILED" and "[" in c.subject for c in verification.conditions)
    assert any(c.subject == "file bodies" and c.severity == "OK" for c in verification.conditions)


def conditions_of(verification: Verification, severity: str) -> dict[str, str]:
    return {c.subject: c.message for c in verification.conditions if c.severity == severity}


def damaged_at(backup: bytes, place: bytes, replacement: bytes) -> bytes:
    assert backup.count(place) == 1
    return backup.replace(place, replacement)


def test_behind_a_damaged_log_the_files_are_still_checked(backup: bytes) -> None:
    container = Container.open(MemorySource(backup))
    log, body = container.entries[-1], container.files["metadata.sqlitedb"].entry
    damaged = bytearray(backup)
    damaged[log.offset + 50] ^= 1
    verification = verified(bytes(damaged))
    assert conditions_of(verification, "FAILED").keys() == {"backup log"}
    assert {"envelope", "header", "virtual directory", "every byte", "stored files"} == set(
        conditions_of(verification, "OK")
    )
    damaged[body.offset + 100] ^= 1
    failed = conditions_of(verified(bytes(damaged)), "FAILED")
    assert failed.keys() == {"backup log", f"stored file {body.path}"}
    assert "the bytes give" in failed[f"stored file {body.path}"]


def test_behind_a_damaged_directory_every_byte_is_still_read(backup: bytes) -> None:
    header = Container.open(MemorySource(backup)).header
    damaged = bytearray(backup)
    damaged[header.directory_offset + 10] ^= 1
    verification = verified(bytes(damaged))
    assert conditions_of(verification, "FAILED").keys() == {"virtual directory"}
    assert {"envelope", "header", "every byte"} == set(conditions_of(verification, "OK"))
    damaged[100] ^= 1
    assert conditions_of(verified(bytes(damaged)), "FAILED").keys() == {"header"}


def test_a_log_and_a_directory_that_do_not_agree_are_named_when_each_is_sound(backup: bytes) -> None:
    container = Container.open(MemorySource(backup))
    count = str(container.header.file_count).encode("utf-16-le")
    tag = "<Files>".encode("utf-16-le")
    other = damaged_at(backup, tag + count, tag + b"1\0" * (len(count) // 2))
    verification = verified(other)
    failed = conditions_of(verification, "FAILED")
    assert failed.keys() == {"header, directory and log"}
    assert "the header says" in failed["header, directory and log"]
    assert "stored files" in conditions_of(verification, "OK")


def test_a_hostile_directory_is_not_followed_into_endless_reading(backup: bytes) -> None:
    container = Container.open(MemorySource(backup))
    victim = container.entries[2]
    size = f"<Size>{victim.byte_count}</Size>"
    text = backup[container.header.directory_offset :]
    encoding = "utf-16-le" if size.encode("utf-16-le") in text else "utf-8"
    wanted = size.encode(encoding)
    assert wanted in text
    huge = f"<Size>{'9' * len(str(victim.byte_count))}</Size>".encode(encoding)
    changed = backup[: container.header.directory_offset] + text.replace(wanted, huge, 1)
    assert not verified(changed).ok


@pytest.mark.parametrize("victim", [".db.xml", "CryptKey.bin"])
def test_behind_a_damaged_small_file_the_metadata_and_columns_are_still_checked(backup: bytes, victim: str) -> None:
    other = with_bodies(backup, lambda name, body: b"x" * len(body) if name.endswith(victim) else body)
    verification = verified(other)
    failed = conditions_of(verification, "FAILED")
    assert len(failed) == 1
    assert next(iter(failed)).endswith(victim.removeprefix("."))
    assert any("decoded" in message for message in conditions_of(verification, "OK").values())


def test_behind_damaged_metadata_the_hash_indexes_are_still_read(backup: bytes) -> None:
    other = with_bodies(backup, lambda name, body: bytes(len(body)) if name == "metadata.sqlitedb" else body)
    verification = verified(other)
    assert conditions_of(verification, "FAILED").keys() == {"metadata"}
    assert {"db.xml", "hash indexes", "file bodies"} <= conditions_of(verification, "OK").keys()


def test_metadata_that_name_a_missing_file_fail(backup: bytes, tmp_path: Path) -> None:
    statement = "UPDATE StorageFile SET FileName = 'x' || FileName WHERE OwnerType = 23"
    verification = verified(with_metadata(backup, statement))
    assert any(c.severity == "FAILED" and c.subject == "files" for c in verification.conditions)


def test_statistics_that_are_old_are_a_warning(backup: bytes, tmp_path: Path) -> None:
    old = with_metadata(backup, "UPDATE ColumnStorage SET Statistics_DistinctStates = 999")
    verification = verified(old)
    assert verification.ok
    warnings = [c.message for c in verification.conditions if c.severity == "WARNING" and "[" in c.subject]
    assert warnings
    assert all("Statistics_DistinctStates is 999" in warning for warning in warnings)


@pytest.mark.parametrize(("end", "message"), [("CryptKey.bin", "not 144"), (".hidx", "hash index has 20000000 bytes")])
def test_a_huge_key_file_or_hash_index_fails_by_its_length(backup: bytes, end: str, message: str) -> None:
    names = [name for name in Container.open(MemorySource(backup)).files if name.endswith(end)]
    huge = with_bodies(backup, lambda name, body: bytes(20_000_000) if name == names[0] else body)
    failed = [c.message for c in verified(huge).conditions if c.severity == "FAILED" and c.subject == names[0]]
    assert len(failed) == 1
    assert message in failed[0]


def test_an_encrypted_backup_is_verified_with_its_password_only(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", password="p")
    data = (tmp_path / "data/storage/backups/shop.abf").read_bytes()
    assert verified(data, "p").ok
    with pytest.raises(PasswordRequiredError):
        verified(data)
    with pytest.raises(PasswordWrongError):
        verified(data, "q")
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    assert not verified(bytes(damaged), "p").ok


def test_what_this_version_cannot_read_is_not_called_damaged() -> None:
    with pytest.raises(UnsupportedFeatureError) as caught:
        verified(sample_path("Hugoberry__live-connection-ssas.pbix").read_bytes())
    assert caught.value.hint
