"""Verifying a database finds what its disk did to it since it was committed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from vaults import vault_with

from tabvault.errors import DatabaseNotFoundError, JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tabvault.jobs.progress import Progress
    from tabvault.jobs.vault import Vault
    from tabvault.jobs.verify import Verification


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with vault_with(tmp_path) as made:
        yield made


def stored(vault: Vault, end: str) -> tuple[str, Path]:
    with vault.folder.read("shop") as version:
        name = next(name for name in version.names() if name.endswith(end))
        return name, version.path(name)


def failed(verification: Verification) -> dict[str, str]:
    return {c.subject: c.message for c in verification.conditions if c.severity == "FAILED"}


def test_a_sound_database_is_good_by_name_and_by_id_under_the_conditions_of_a_backup(vault: Vault) -> None:
    vault.backup("shop")
    verification = vault.verify("SHOP")
    assert {condition.severity for condition in verification.conditions} == {"OK"}
    assert verification.conditions == vault.verify(vault.folder.find("shop").id).conditions
    of_backup = [c for c in vault.verify("storage:shop.abf").conditions if c.subject != "file bodies"]
    own = [condition.subject for condition in verification.conditions]
    assert own[:3] == ["manifest", "file bodies", "db.xml"]
    assert own[3:] == [c.subject for c in of_backup if c.subject not in own[:3]][3:]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("end", [".idf", ".idfmeta", ".dictionary", ".hidx", ".db.xml", "CryptKey.bin", ".sqlitedb"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [(_flip, "it was committed with 0x"), (_cut, r"bytes, it was committed with \d"), (os.unlink, "is missing")],
    ids=["flipped", "cut", "missing"],
)
def test_damage_of_any_file_fails_once_and_names_the_file(
    vault: Vault, end: str, damage: Callable[[Path], None], message: str
) -> None:
    name, path = stored(vault, end)
    damage(path)
    verification = vault.verify("shop")
    assert not verification.ok
    assert re.search(message, failed(verification)[name])
    subjects = [c.subject for c in verification.conditions if c.severity == "OK"]
    assert "file bodies" not in subjects
    assert "hash indexes" in subjects or end == ".hidx", "what can be checked still is"
    assert any(s.startswith("table ") for s in subjects) is (end != ".sqlitedb")


def test_a_damaged_manifest_is_a_condition(vault: Vault) -> None:
    key = vault.folder.find("shop").key
    (vault.data / "databases" / key / "versions/00000001/manifest.json").write_text("{}")
    assert re.search("has SHA-256", failed(vault.verify("shop"))["manifest"])
    vault.close()
    assert failed(vault.verify(key)).keys() == {"manifest"}, "also when it is found only by its folder"


def test_what_is_neither_database_nor_file_is_named(vault: Vault) -> None:
    with pytest.raises(DatabaseNotFoundError, match="no database has the name or id 'shoe'"):
        vault.verify("shoe")


def test_a_verification_is_cancelled_between_two_files(vault: Vault) -> None:
    seen: list[Progress] = []

    def cancel(progress: Progress) -> None:
        seen.append(progress)
        if progress.done:
            raise JobCancelledError("enough")

    with pytest.raises(JobCancelledError):
        vault.verify("shop", progress=cancel)
    assert [progress.step for progress in seen] == ["checking files"] * 2
