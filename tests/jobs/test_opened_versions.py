"""Databases that stay open between questions: which version is served, and when an old one leaves the disk."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from vaults import vault_with

from tabvault.errors import DatabaseNotFoundError
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.operations.opened_versions import OpenedVersions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.jobs.vault import Vault


@contextmanager
def opened_versions(tmp_path: Path, **options: float) -> Iterator[tuple[Vault, OpenedVersions]]:
    with vault_with(tmp_path) as vault, closing(OpenedVersions(vault.folder, **options)) as versions:  # type: ignore[arg-type]
        yield vault, versions


def change(vault: Vault) -> None:
    with Alteration(vault.folder, "shop") as alteration:
        alteration.rename(alteration.info.name.swapcase())
        alteration.commit()


def versions_on_disk(vault: Vault) -> set[str]:
    return {path.name for path in (vault.data / "databases").glob("*/versions/*")}


def test_a_version_is_opened_once(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        info = vault.folder.find("shop")
        with versions.open(info) as first:
            pass
        with versions.open(info) as second:
            assert second is first
            assert second.database.metadata.schema_version


def test_after_a_change_the_new_version_is_opened(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        with versions.open(vault.folder.find("shop")) as first:
            pass
        change(vault)
        with versions.open(vault.folder.find("shop")) as second:
            assert second.info.version == first.info.version + 1


def test_a_replaced_version_leaves_the_disk(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        with versions.open(vault.folder.find("shop")):
            pass
        before = versions_on_disk(vault)
        change(vault)
        assert versions_on_disk(vault) > before
        versions.let_go_superseded()
        assert len(versions_on_disk(vault)) == 1
        assert not versions_on_disk(vault) & before


def test_who_reads_a_replaced_version_reads_on(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        with versions.open(vault.folder.find("shop")) as opened:
            change(vault)
            versions.let_go_superseded()
            opened.database.metadata.check_pages()
            for table in opened.database.tables:
                assert table.to_arrow().num_rows == table.row_count
            assert len(versions_on_disk(vault)) == 2
        assert len(versions_on_disk(vault)) == 1


def test_a_dropped_database_leaves_the_disk(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        info = vault.folder.find("shop")
        with versions.open(info):
            pass
        vault.drop("shop")
        versions.let_go_superseded()
        assert not versions_on_disk(vault)
        with pytest.raises(DatabaseNotFoundError), versions.open(info):
            pass


def test_what_nobody_asks_for_is_let_go(tmp_path: Path) -> None:
    now = [0.0]
    with opened_versions(tmp_path, idle_s_max=600.0, clock=lambda: now[0]) as (vault, versions):  # type: ignore[arg-type]
        info = vault.folder.find("shop")
        with versions.open(info) as first:
            pass
        now[0] = 599.0
        versions.let_go_idle()
        with versions.open(info) as second:
            assert second is first
            now[0] = 9999.0
            versions.let_go_idle()
            second.database.metadata.check_pages()
        versions.let_go_idle()
        now[0] = 99999.0
        versions.let_go_idle()
        with versions.open(info) as third:
            assert third is not first


def test_only_so_many_stay_open(tmp_path: Path) -> None:
    with opened_versions(tmp_path, kept_count_max=1) as (vault, versions):
        vault.backup("shop")
        vault.restore("shop.abf", "store")
        with versions.open(vault.folder.find("shop")) as shop:
            pass
        with versions.open(vault.folder.find("store")):
            pass
        with versions.open(vault.folder.find("shop")) as again:
            assert again is not shop


def test_many_threads_share_one_version(tmp_path: Path) -> None:
    with opened_versions(tmp_path) as (vault, versions):
        found: set[tuple[int, int]] = set()
        errors: list[Exception] = []

        def ask() -> None:
            try:
                for _ in range(20):
                    with versions.open(vault.folder.find("shop")) as opened:
                        found.add((opened.info.version, len(list(opened.database.metadata.rows("Column")))))
            except Exception as error:  # noqa: BLE001 - told by the main thread
                errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            change(vault)
            versions.let_go_superseded()
        for thread in threads:
            thread.join()
        assert not errors
        assert len({count for _, count in found}) == 1
        versions.let_go_superseded()
        assert len(versions_on_disk(vault)) == 1
