"""Verify says of a good backup that it is good, and finds every kind of damage that a byte can have."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from vaults import vault_with, with_bodies

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import PasswordRequiredError, PasswordWrongError
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


def test_metadata_that_name_a_missing_file_fail(backup: bytes, tmp_path: Path) -> None:
    def change(name: str, body: bytes) -> bytes:
        if name != "metadata.sqlitedb":
            return body
        path = tmp_path / "m"
        path.write_bytes(body)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE StorageFile SET FileName = 'x' || FileName WHERE OwnerType = 23")
        connection.close()
        return path.read_bytes()

    verification = verified(with_bodies(backup, change))
    assert any(c.severity == "FAILED" and c.subject == "files" for c in verification.conditions)


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
