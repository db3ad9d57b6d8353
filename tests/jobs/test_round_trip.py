"""Restore, backup, restore: nothing is lost, for every genuine database and every form of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pbixray import PBIXRay
from vaults import SMALL, bodies, values, vault_with

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.formats.abf import header
from tabvault.formats.abf.container import Container
from tabvault.formats.abf.virtual_directory import DirectoryEncoding
from tabvault.jobs.opening import open_backup
from tabvault.jobs.vault import Vault
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from pathlib import Path

FORMS = [{"compress": False, "password": None}, {"compress": True, "password": None}]
ENCRYPTED_FORMS = [{"compress": False, "password": "påssword"}, {"compress": True, "password": "påssword"}]

ENCRYPTED_SAMPLES = {SMALL, "Hugoberry__old-schema17-DataTable.pbix", "microsoft__2019SU06_Blog_Demo_-_June.pbix"}
"""
The small, the oldest and the largest. Encrypted are the container's bytes, whatever they mean (``test_age_*``: of every
length), and those of the others are the ones without a password; each form with one costs two computations of scrypt.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_body_and_every_value_survives_every_form(tmp_path: Path, name: str) -> None:
    with vault_with(tmp_path, name) as vault:
        before = bodies(vault, "shop")
        assert values(vault, "shop") == values(vault, str(sample_path(name)))
        for options in FORMS + ENCRYPTED_FORMS * (name in ENCRYPTED_SAMPLES):
            vault.backup("shop", "shop.abf", overwrite=True, **options)
            vault.restore("shop.abf", overwrite=True, password=options["password"])
            assert bodies(vault, "shop") == before, options  # and so every value


@pytest.mark.parametrize("compress", [True, False])
def test_a_backup_has_the_profile_of_an_analysis_services_server(tmp_path: Path, *, compress: bool) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", compress=compress)
        with FileSource(tmp_path / "data/storage/backups/shop.abf") as source:
            page = bytes(source.read_at(0, 4096))
            container = Container.open(source)
            assert b"".join(container.reemit()) == bytes(source.read_at(0, source.byte_count))
            assert source.byte_count % 4096 == 0
    assert page.startswith(header.SIGNATURE)
    assert container.header.error_code
    assert container.header.apply_compression is compress
    assert container.header.directory_offset % 4096 == 0
    assert container.encoding is DirectoryEncoding.UTF_16
    assert container.log.fields["CompressionFlag"] == ("true" if compress else "false")
    assert [group.class_ for group in container.log.groups] == [100002, 100069]
    keys = {file.storage_path for file in container.files.values()}
    stored_order = [entry.path for entry in container.entries if entry.path in keys]
    assert stored_order == [file.storage_path for file in container.files.values()]
    assert container.entries[-1].path == "LOG"
    assert list(container.files)[-1] == "metadata.sqlitedb"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Hugoberry__Adventure_Works_Internet_Sales.pbix", "microsoft__Corporate_Spend.pbix"])
@pytest.mark.parametrize("compress", [True, False])
def test_another_reader_finds_the_same_values_in_our_file_as_in_the_genuine_one(
    tmp_path: Path, name: str, *, compress: bool
) -> None:
    with vault_with(tmp_path, name) as vault:
        vault.backup("shop", compress=compress)
    ours = PBIXRay(str(tmp_path / "data/storage/backups/shop.abf"))
    genuine = PBIXRay(str(sample_path(name)))
    tables = list(genuine.tables)
    assert list(ours.tables) == tables
    assert len(tables) > 3
    for table in tables:
        pd.testing.assert_frame_equal(ours.get_table(table), genuine.get_table(table))


def test_a_restore_under_a_new_name_changes_every_place_where_it_stands(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop")
        result = vault.restore("shop.abf", "Shop & Söhne (2)")
        assert (result.database, result.id, result.replaced) == ("Shop & Söhne (2)", "Shop & Söhne (2)", False)
        assert {listing.name for listing in vault.databases()} == {"shop", "Shop & Söhne (2)"}
        before, after = bodies(vault, "shop"), bodies(vault, "Shop & Söhne (2)")
        assert set(before) - set(after) == {"shop.0.db.xml"}
        assert set(after) - set(before) == {"Shop & Söhne (2).0.db.xml"}
        common = set(before) & set(after)
        assert {name: before[name] for name in common} == {name: after[name] for name in common}
        vault.backup("Shop & Söhne (2)", "second.abf")
        with vault.file("storage:second.abf") as source, open_backup(source) as opened:
            log = opened.container.log
            definition = b"".join(opened.container.body("Shop & Söhne (2).0.db.xml")).decode()
    assert (log.object_name, log.object_id) == ("Shop & Söhne (2)", "Shop & Söhne (2)")
    assert {(group.id, group.name) for group in log.groups} == {("Shop & Söhne (2)", "Shop & Söhne (2)")}
    assert "<Name>Shop &amp; Söhne (2)</Name><ID>Shop &amp; Söhne (2)</ID>" in definition
    assert ">shop<" not in definition


def test_a_copy_beside_the_original_is_an_object_of_its_own(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop")
        vault.restore("shop.abf", "copy")
        definitions = []
        for name in ("shop", "copy"):
            with vault.folder.read(name) as version:
                definitions.append(bytes(version.read(f"{name}.0.db.xml")).decode())
    object_ids = {text.partition("<ObjectID>")[2].partition("<")[0] for text in definitions}
    unique_ids = {text.partition("<ddl800:DbUniqueId>")[2].partition("<")[0] for text in definitions}
    assert len(object_ids) == len(unique_ids) == 2


def test_a_restore_without_a_name_takes_the_one_in_the_file(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        with FileSource(sample_path(SMALL)) as source, vault.store.create("a.pbix", replace=False) as upload:
            upload.write(bytes(source.read_at(0, source.byte_count)))
            upload.finish()
        result = vault.restore("a.pbix")
        assert result.database == result.id == "2e23481c-02be-4116-86b4-fddbc6e5b4e1"


def test_an_id_never_moves_from_one_database_to_another(tmp_path: Path) -> None:
    with vault_with(tmp_path, name="shop") as vault:
        vault.backup("shop")
        vault.restore("shop.abf", "copy")
        vault.backup("copy", "copy.abf")
        vault.drop("copy")
        vault.drop("shop")
        vault.restore("copy.abf", "shop")
        result = vault.restore("copy.abf")
        assert result.id == "copy"
        again = vault.restore("shop.abf", "third")
        assert len({listing.id for listing in vault.databases()}) == 3
        assert again.id == "third"


def test_a_tiny_database_is_encrypted_within_one_chunk(tmp_path: Path) -> None:
    with vault_with(tmp_path, "Hugoberry__empty-schema-calc-only.pbix") as vault:
        result = vault.backup("shop", password="x")
        before = bodies(vault, "shop")
        assert result.byte_count < 1 << 17
        vault.restore("shop.abf", overwrite=True, password="x")
        assert bodies(vault, "shop") == before


def test_a_restore_over_the_same_database_shares_every_unchanged_file(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop")
        with vault.folder.read("shop") as before:
            vault.restore("shop.abf", overwrite=True)
            with vault.folder.read("shop") as after:
                assert after.info.version == before.info.version + 1
                for name in after.names():
                    assert after.path(name).samefile(before.path(name))
        before_drop = bodies(vault, "shop")
        vault.restore("shop.abf", overwrite=True, security="ignoreSecurity")
        assert bodies(vault, "shop").keys() == before_drop.keys()
