"""A database made here: it has what the smallest genuine one has, and goes through a backup like any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import CompatibilityError, DatabaseExistsError, InvalidNameError, RequestError
from tabvault.formats.abf import crypt_key, db_xml
from tabvault.jobs.creation import create_database
from tabvault.jobs.vault import Vault
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition

if TYPE_CHECKING:
    from pathlib import Path

MODEL = {
    "name": "Sales",
    "compatibilityLevel": 1600,
    "model": {
        "culture": "de-DE",
        "tables": [
            {
                "name": "Orders",
                "columns": [
                    {"name": "Date", "dataType": "dateTime", "sourceColumn": "Date"},
                    {"name": "Amount", "dataType": "double", "sourceColumn": "Amount"},
                ],
                "partitions": [{"name": "P", "source": {"type": "m", "expression": "let a = 1 in a"}}],
                "measures": [{"name": "Total", "expression": "SUM(Orders[Amount])"}],
            }
        ],
        "roles": [{"name": "Readers", "modelPermission": "read", "members": [{"memberName": "ann@example.com"}]}],
    },
}


@pytest.mark.parametrize("level", [1200, 1400, 1500, 1567, 1600, 1702])
def test_a_new_database_lives_through_a_backup(tmp_path: Path, level: int) -> None:
    with Vault(tmp_path / "data") as vault:
        info = create_database(vault.own_folder, "Sales & more", compatibility_level=level)
        assert (info.name, info.id, info.compatibility_level) == ("Sales & more", "Sales & more", level)
        assert vault.verify("Sales & more").ok
        vault.backup("Sales & more", "new.abf")
        assert all(condition.severity == "OK" for condition in vault.verify("storage:new.abf").conditions)
        assert vault.restore("new.abf", "again").compatibility_level == level


def test_a_new_database_consists_of_the_files_of_the_smallest_genuine_one(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        create_database(vault.own_folder, "Sales", id="sales-id", compatibility_level=1600)
        with vault.folder.read("Sales") as version:
            names = version.names()
            assert sorted(names) == ["0.CryptKey.bin", "metadata.sqlitedb", "sales-id.0.db.xml"]
            crypt_key.check(version.read("0.CryptKey.bin"), file="key")
            definition = db_xml.parse(version.read("sales-id.0.db.xml"), file="db.xml")
    assert (definition.name, definition.id, definition.compatibility_level) == ("Sales", "sales-id", 1600)
    assert definition.storage_engine == db_xml.TABULAR_METADATA
    assert definition.object_id != definition.unique_id


def test_two_databases_have_two_keys(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        keys = set()
        for name in ("one", "two"):
            create_database(vault.own_folder, name, compatibility_level=1600)
            with vault.folder.read(name) as version:
                keys.add(bytes(version.read("0.CryptKey.bin")))
        assert len(keys) == 2


def test_a_model_is_made_as_the_script_says(tmp_path: Path) -> None:
    definition = database_definition(MODEL)
    with Vault(tmp_path / "data") as vault:
        create_database(vault.own_folder, "Sales", compatibility_level=1600, model=definition.model)
        vault.backup("Sales", "s.abf")
        vault.restore("s.abf", "Copy")
        with vault.open("Copy") as opened:
            exported = tmsl_of(opened.metadata, name="Sales", id="Sales", compatibility_level=1600)
            assert [(table.name, table.row_count) for table in opened.tables] == [("Orders", 0)]
            assert opened.tables[0].to_arrow().num_rows == 0
    assert json.loads(json.dumps(exported)) == MODEL


def test_what_cannot_be_made_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        folder = vault.own_folder
        create_database(folder, "Sales", compatibility_level=1600)
        with pytest.raises(DatabaseExistsError):
            create_database(folder, "sales", compatibility_level=1600)
        with pytest.raises(DatabaseExistsError):
            create_database(folder, "Other", id="SALES", compatibility_level=1600)
        with pytest.raises(InvalidNameError):
            create_database(folder, "a\nb", compatibility_level=1600)
        with pytest.raises(CompatibilityError):
            create_database(folder, "Old", compatibility_level=1103)
        twice = {**MODEL["model"], "tables": [*MODEL["model"]["tables"]] * 2}
        with pytest.raises(RequestError):
            create_database(
                folder, "Twice", compatibility_level=1600, model=database_definition({**MODEL, "model": twice}).model
            )
        assert [info.name for info in folder.databases()] == ["Sales"]
        assert not list((tmp_path / "data" / "staging").iterdir())


def test_a_database_that_replaces_another_keeps_the_passwords_that_its_maker_does_not_say(tmp_path: Path) -> None:
    def made(**said: str) -> dict:
        source = {"name": "Old", "type": "provider", "connectionString": "Provider=X;Data Source=db", **said}
        other = {"name": "Other", "type": "provider", "connectionString": "Provider=X;Data Source=db"}
        return {"name": "S", "compatibilityLevel": 1400, "model": {"dataSources": [source, other]}}

    def passwords() -> dict[object, object]:
        with vault.open("S") as opened:
            return {row["Name"]: row["Password"] for row in opened.metadata.rows("DataSource", ["Name", "Password"])}

    with Vault(tmp_path / "data") as vault:
        folder = vault.own_folder
        first = database_definition(made(password="kept secret")).model
        info = create_database(folder, "S", compatibility_level=1400, model=first)
        for level, said, password in ((1500, {}, "kept secret"), (1600, {"password": "another"}, "another")):
            model = database_definition(made(**said)).model
            info = create_database(folder, "S", id=info.id, compatibility_level=level, model=model, replaces=info)
            assert passwords() == {"Old": password, "Other": None}
