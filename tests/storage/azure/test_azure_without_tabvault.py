"""What of a backup in Azure Storage the plain client library sees and can check, by the recipe of the documents."""

from __future__ import annotations

import contextlib
import datetime
import io
import sys
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobBlock

import tabvault
from docs.documents import DOCS, read
from docs.documents import blocks as blocks_of
from jobs.vaults import vault_with
from tabvault.jobs.backup import backup_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from storage.azure.azurite import Container
    from tabvault.jobs.vault import Vault

pytest_plugins = ["storage.azure.azurite"]

DATABASE = "Käse 100 %"
NAME = "nightly/Käse.abf"
SEALED = "sealed.abf"


@pytest.fixture
def recipe(container: Container, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs the program of azure-storage.md, which knows nothing of Tabvault, on a blob. Returns what it prints."""
    (program,) = [
        block.text for block in blocks_of(read(DOCS / "reference" / "azure-storage.md")) if block.language == "python"
    ]
    assert "tabvault." not in program

    def run(name: str) -> str:
        url = f"{container.account_url()}/{container.name}/{urllib.parse.quote(name)}?{container.sas('r')}"
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{url}\n"))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(program, "azure-storage.md", "exec"), {})  # noqa: S102 - the document is ours
        return printed.getvalue()

    return run


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with vault_with(tmp_path, name=DATABASE) as one:
        yield one


def test_a_backup_says_beside_its_bytes_what_it_is(container: Container, vault: Vault) -> None:
    began = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    store = container.store()
    result = backup_database(vault.folder, store, DATABASE, NAME)
    backup_database(vault.folder, store, DATABASE, SEALED, password="correct horse")
    (files,) = vault.data.glob("databases/*/versions/*/files")
    stored = [path.stat().st_size for path in files.rglob("*") if path.is_file()]
    with container.plain() as client:
        listed = {found.name: found for found in client.list_blobs(include=["metadata"])}
        facts = client.get_blob_client(NAME).get_blob_properties().metadata
    assert (listed[NAME].metadata, listed[NAME].size) == (facts, result.byte_count), "a list shows them too"
    own = {name: facts.pop(f"tabvault_{name}") for name in ("upload", "blocks_sha256", "time", "database")}
    assert datetime.datetime.fromisoformat(own["time"]) >= began
    assert urllib.parse.unquote(own["database"]) == DATABASE
    assert facts == {
        "tabvault_version": tabvault.__version__,
        "tabvault_encrypted": "false",
        "tabvault_compatibility_level": "1550",
        "tabvault_raw_byte_count": str(sum(stored)),
        "tabvault_file_count": str(len(stored)),
    }
    sealed = listed[SEALED].metadata
    assert sealed.pop("tabvault_encrypted") == "true"
    assert sealed.keys() == {f"tabvault_{name}" for name in ("upload", "blocks_sha256", "version", "time")}


def test_a_backup_is_checked_by_the_recipe(container: Container, vault: Vault, recipe: Callable[[str], str]) -> None:
    store = container.store(block_byte_count=4 << 10)
    backup_database(vault.folder, store, DATABASE, NAME)
    backup_database(vault.folder, store, DATABASE, SEALED, password="correct horse")
    assert recipe(NAME) == recipe(SEALED) == "good\n"
    with container.plain() as client:
        blob = client.get_blob_client(NAME)
        blocks, _ = blob.get_block_list("committed")
        content, facts = blob.download_blob().readall(), blob.get_blob_properties().metadata
        # The same blocks by their names, with one bit changed in one of them.
        offset = 0
        for number, block in enumerate(blocks):
            piece = bytearray(content[offset : offset + block.size])
            piece[-1] ^= number == 3
            blob.stage_block(block.id, bytes(piece))
            offset += block.size
        blob.commit_block_list([BlobBlock(block.id) for block in blocks], metadata=facts)
    assert len(blocks) > 5
    assert offset == len(content)
    assert recipe(NAME) == "DAMAGED\n"
