"""Models that are remembered between openings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaults import vault_with

from tabvault.jobs.alteration import Alteration
from tabvault.jobs.reading import OpenDatabase, RememberedModels

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.vault import Vault
    from tabvault.model.objects import Model


def model_of(vault: Vault, models: RememberedModels) -> Model:
    with vault.folder.read("shop") as version, OpenDatabase.of_version(version, models=models) as opened:
        return opened.model


def test_a_model_is_loaded_once_for_each_version(tmp_path: Path) -> None:
    models = RememberedModels()
    with vault_with(tmp_path) as vault:
        first = model_of(vault, models)
        assert model_of(vault, models) is first
        with Alteration(vault.folder, "shop") as alteration:
            alteration.rename("shop")
            alteration.rename("SHOP")
            alteration.commit()
        second = model_of(vault, models)
        assert second is not first
        assert second == first


def test_of_many_models_the_last_ones_are_remembered(tmp_path: Path) -> None:
    models = RememberedModels(count_max=1)
    with vault_with(tmp_path) as vault:
        first = model_of(vault, models)
        with vault.folder.read("shop") as version, OpenDatabase.of_version(version) as opened:
            models.get("another", opened.metadata)
        assert model_of(vault, models) is not first
