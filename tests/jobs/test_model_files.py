"""Models from files and folders, and databases as such files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import CONTAINER_SAMPLES, sample_path
from model.genuine import genuine_metadata
from model.tmdl.folders import SALES
from tabvault.errors import (
    CompatibilityError,
    DatabaseExistsError,
    DatabaseReadOnlyError,
    InvalidNameError,
    ObjectNotFoundError,
    RequestError,
    RequestTooLargeError,
)
from tabvault.jobs import model_folder
from tabvault.jobs.model_files import read_model_file, replacing_script
from tabvault.jobs.vault import Vault
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.secrets import MASK
from tabvault.model.tmdl.reading import read_tmdl
from tabvault.model.tmsl.export import tmsl_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = {
    name: made["compatibilityLevel"]
    for name, made in json.loads(
        (Path(__file__).parents[1] / "model" / "tmsl" / "client_models.json").read_text()
    ).items()
}

MODEL = {
    "name": "in the file",
    "id": "id in the file",
    "compatibilityLevel": 1550,
    "model": {
        "tables": [
            {
                "name": "T",
                "columns": [{"name": "a", "dataType": "int64", "sourceColumn": "a"}],
                "measures": [{"name": "m", "expression": "SUM(T[a])"}, {"name": "n", "expression": "1"}],
                "partitions": [{"name": "p", "source": {"type": "m", "expression": "1"}}],
            }
        ]
    },
}


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with Vault(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def bim(tmp_path: Path) -> Path:
    path = tmp_path / "model.bim"
    path.write_text(json.dumps(MODEL))
    return path


def write_folder(folder: Path) -> Path:
    for name, text in SALES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def scripted(name: str) -> dict:
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        return tmsl_of(metadata, name="made", id="made", compatibility_level=LEVELS[name])


def connection_strings(vault: Vault, database: str) -> list[str]:
    with vault.folder.read(database) as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
        return [row["ConnectionString"] for row in metadata.rows("DataSource", ["ConnectionString"])]


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_what_a_database_says_of_itself_makes_one_that_says_the_same(vault, tmp_path, name):
    said = scripted(name)
    path = tmp_path / "model.bim"
    path.write_text(json.dumps(said))
    if MASK in json.dumps(said["model"].get("dataSources", [])):
        vault.create("without secrets", path)  # whose credentials have to be set
        assert vault.script("without secrets")["model"] == said["model"]
        vault.import_file(sample_path(name), "made")
        stored = connection_strings(vault, "made")
        result = vault.create("made", path, overwrite=True)
        assert connection_strings(vault, "made") == stored
    else:
        result = vault.create("made", path)
    assert (result.database, result.compatibility_level) == ("made", said["compatibilityLevel"])
    assert {**vault.script("made"), "id": None} == {**said, "id": None}
    tables = said["model"].get("tables", [])
    assert result.table_count == len(tables)
    assert result.measure_count == sum(len(table.get("measures", [])) for table in tables)


def test_every_form_of_file_is_the_same_database(vault, tmp_path, bim):
    vault.create("made", bim)
    said = vault.script("made")
    forms = {
        "script.json": json.dumps(replacing_script(said)).encode(),
        "create.xmla": json.dumps({"create": {"database": said}}).encode("utf-16"),
        "marked.bim": json.dumps(said).encode("utf-8-sig"),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        vault.create("again", tmp_path / name, overwrite=True)
        assert vault.script("again") == {**said, "name": "again"}


def test_a_folder_of_tmdl_makes_a_database(vault, tmp_path):
    result = vault.create("Shop", write_folder(tmp_path / "Sales.SemanticModel" / "definition"))
    assert (result.database, result.id, result.compatibility_level) == ("Shop", "Shop", 1605)
    assert (result.table_count, result.measure_count, result.replaced) == (2, 2, False)
    tables = {table["name"]: table for table in vault.script("Shop")["model"]["tables"]}
    expected = {table["name"]: table for table in read_tmdl(SALES)["model"]["tables"]}
    assert list(tables) == list(expected) == ["Product", "Sales"]
    assert tables["Product"]["columns"] == expected["Product"]["columns"]
    assert [measure["name"] for measure in tables["Sales"]["measures"]] == ["Sales Amount", "It's ly"]
    with vault.open("Shop") as opened:
        assert [table.row_count for table in opened.tables] == [0, 0]
    assert vault.verify("Shop").ok


def test_a_power_bi_project_is_found_by_its_folder(tmp_path):
    project = tmp_path / "Sales.SemanticModel"
    expected = read_model_file(write_folder(project / "definition"))
    (project / ".pbi").mkdir()
    (project / ".pbi" / "x.tmdl").write_text("not a model")
    assert read_model_file(project) == expected
    with pytest.raises(RequestError) as raised:
        read_model_file(tmp_path)
    assert raised.value.hint == "it has Sales.SemanticModel: name that folder"
    older = tmp_path / "Old.Dataset"
    older.mkdir()
    (older / "model.bim").write_text(json.dumps(MODEL))
    assert read_model_file(older) == MODEL


def test_the_name_and_the_level_that_are_asked_for_count(vault, bim):
    result = vault.create("Sales", bim, compatibility_level=1600)
    assert (result.database, result.id, result.compatibility_level) == ("Sales", "Sales", 1600)
    assert (result.table_count, result.measure_count) == (1, 2)
    with pytest.raises(RequestError, match="needs compatibility level"):
        vault.create("Shop", write_folder(bim.parent / "sales"), compatibility_level=1200)
    with pytest.raises(CompatibilityError):
        vault.create("Shop", bim, compatibility_level=2000)
    with pytest.raises(InvalidNameError):
        vault.create(" ", bim)
    assert [one.name for one in vault.databases()] == ["Sales"]


def test_a_database_is_replaced_only_where_that_is_asked_for(vault, bim, tmp_path):
    vault.create("Sales", bim)
    with pytest.raises(DatabaseExistsError):
        vault.create("sales", bim)
    result = vault.create("Sales", write_folder(tmp_path / "sales"), overwrite=True)
    assert (result.replaced, result.id, result.table_count) == (True, "Sales", 2)
    vault.configure_storage(vault.settings)
    vault.backup("Sales", "s.abf")
    vault.restore("s.abf", "Sales", overwrite=True, read_write_mode="readOnly")
    with pytest.raises(DatabaseReadOnlyError):
        vault.create("Sales", bim, overwrite=True)


def test_an_error_in_a_model_names_its_place(vault, tmp_path, bim):
    wrong = json.loads(json.dumps(MODEL))
    wrong["model"]["tables"][0]["columns"][0]["dataTyp"] = "x"
    bim.write_text(json.dumps(wrong))
    with pytest.raises(
        RequestError, match=r"model\.bim, database\.model\.tables\[0\]\.columns\[0\]\.dataTyp: a Column"
    ):
        vault.create("Sales", bim)
    bim.write_text('{\n "model": {,}}')
    with pytest.raises(RequestError, match=r"model\.bim, line 2: the text is not JSON"):
        vault.create("Sales", bim)
    folder = write_folder(tmp_path / "sales")
    (folder / "tables" / "Bad.tmdl").write_text("table Bad\n\tbogus: 1\n")
    with pytest.raises(RequestError, match=r"^tables/Bad\.tmdl, line 2: a Table has no 'bogus'"):
        vault.create("Sales", folder)
    assert not vault.data.exists(), "nothing is made for a file that is none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "an array, not an object"),
        (b'{"delete": {}}', "describes no database: its members are delete"),
        (b"\xff\xfe\x00", "is not text"),
        (b"\x80", "is not text"),
        (b'{"model": NaN}', "NaN is not a JSON number"),
    ],
)
def test_a_file_that_describes_no_database_is_refused(tmp_path, content, message):
    path = tmp_path / "x.bim"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        read_model_file(path)


def test_what_is_not_there_or_no_model_is_refused(tmp_path):
    with pytest.raises(ObjectNotFoundError):
        read_model_file(tmp_path / "none")
    (tmp_path / "definition").mkdir()
    with pytest.raises(RequestError, match=r"has no \*\.tmdl files"):
        read_model_file(tmp_path)
    with pytest.raises(RequestError, match="holds no model"):
        read_model_file(tmp_path / "definition")
    (tmp_path / "model.tmdl").write_text("model Model\n")
    with pytest.raises(RequestError) as raised:
        read_model_file(tmp_path / "model.tmdl")
    assert raised.value.hint == "give the folder it lies in"


def test_links_in_a_folder_are_refused(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.tmdl").write_text("table Secret\n")
    by_file, by_folder, by_definition = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for folder in (by_file, by_folder):
        write_folder(folder)
    by_definition.mkdir()
    (by_file / "tables" / "x.tmdl").symlink_to(outside / "secret.tmdl")
    (by_folder / "more").symlink_to(outside, target_is_directory=True)
    (by_definition / "definition").symlink_to(outside, target_is_directory=True)
    for folder in (by_file, by_folder):
        with pytest.raises(RequestError, match="is a link"):
            read_model_file(folder)
    with pytest.raises(RequestError, match="holds no model"):
        read_model_file(by_definition)


def test_a_pipe_in_a_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "sales")
    os.mkfifo(folder / "x.tmdl")
    with pytest.raises(Exception, match=r"x\.tmdl") as raised:
        read_model_file(folder)
    assert type(raised.value).__module__ == "tabvault.errors"


def test_a_folder_of_more_than_any_model_is_refused(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "sales")
    deep = folder
    for _ in range(20):
        deep /= "d"
    deep.mkdir(parents=True)
    with pytest.raises(RequestTooLargeError, match="deeper"):
        read_model_file(folder)
    monkeypatch.setattr(model_folder, "ENTRY_COUNT_MAX", 5)
    with pytest.raises(RequestTooLargeError, match="more than 5 files"):
        read_model_file(folder)
    monkeypatch.undo()
    monkeypatch.setattr(model_folder, "BYTE_COUNT_MAX", 100)
    with pytest.raises(RequestTooLargeError, match="bytes"):
        read_model_file(write_folder(tmp_path / "other"))
