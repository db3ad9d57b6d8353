"""A database whose storage was written anew, backed up: another reader finds the values of the genuine one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pbixray import PBIXRay

from conftest import sample_path
from jobs.vaults import vault_with
from model.changes.model_changes import change
from model.changes.processed_values import GenuineProcessing
from model.genuine import OLDEST, RLS, SMALL
from tabvault.jobs.alteration import Alteration
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", [SMALL, RLS, OLDEST])
def test_another_reader_finds_the_values(name: str, tmp_path: Path) -> None:
    with vault_with(tmp_path, name) as vault:
        with vault.folder.read("shop") as version, Alteration(vault.folder, "shop") as alteration:
            processed = GenuineProcessing(bytes(version.read(METADATA_FILE)), version.read).processed()
            alteration.change([change("clear", "Table", ID=table.table_id) for table in processed.tables])
            alteration.process(processed)
            alteration.commit()
        vault.backup("shop")
    ours = PBIXRay(str(tmp_path / "data/storage/backups/shop.abf"))
    genuine = PBIXRay(str(sample_path(name)))
    tables = list(genuine.tables)
    assert sorted(ours.tables) == sorted(tables)
    assert sum(len(genuine.get_table(table)) for table in tables) > 0
    for table in tables:
        pd.testing.assert_frame_equal(ours.get_table(table), genuine.get_table(table))
