"""``tabvault create`` and ``tabvault script``, as a user types them."""

from __future__ import annotations

import json

import pytest

from faces.program import Terminal, call
from faces.served_process import serve
from model.tmdl.folders import SALES

WITH_A_SOURCE = {
    "dataSources": [{"name": "Warehouse", "provider": "Npgsql", "connectionString": "Host=127.0.0.1;Database=x"}],
    "tables": [
        {
            "name": "One",
            "columns": [{"name": "A", "dataType": "int64", "sourceColumn": "a"}],
            "partitions": [
                {"name": "One", "source": {"type": "query", "query": "SELECT 1", "dataSource": "Warehouse"}}
            ],
        }
    ],
}


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "Sales.SemanticModel"
    for name, text in SALES.items():
        path = folder / "definition" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_a_model_goes_in_from_a_project_and_out_as_a_bim(here, project, tmp_path):
    made = here("create", "My Sales", project)
    assert (made.status, made.err) == (0, "")
    assert made.out == (
        f"created My Sales from {project}: compatibility level 1605, 2 tables, 2 measures; "
        "nothing is loaded yet: tabvault refresh 'My Sales'\n"
    )
    printed = here("script", "my sales")
    said = json.loads(printed.out)
    assert (said["name"], [table["name"] for table in said["model"]["tables"]]) == ("My Sales", ["Product", "Sales"])
    assert printed.out.isascii()

    bim = tmp_path / "model.bim"
    wrote = here("script", "My Sales", "--output", bim)
    assert wrote.out.startswith(f"wrote {bim}: ")
    assert json.loads(bim.read_text("utf-8")) == said
    again = here("script", "My Sales", "--output", bim)
    assert (again.status, again.out) == (1, "")
    assert again.err.endswith("hint: add --overwrite, or choose another name\n")
    document = json.loads(here("script", "My Sales", "--output", bim, "--overwrite", "--json").out)
    assert document == {"path": str(bim), "byte_count": bim.stat().st_size}

    command = json.loads(here("script", "My Sales", "--create-or-replace").out)
    assert command == {"createOrReplace": {"object": {"database": "My Sales"}, "database": said}}
    result = json.loads(here("create", "My Sales", bim, "--overwrite", "--json").out)
    assert result == {
        "database": "My Sales",
        "id": "My Sales",
        "compatibility_level": 1605,
        "file": str(bim),
        "table_count": 2,
        "measure_count": 2,
        "replaced": True,
        "warnings": [],
    }
    assert json.loads(here("script", "My Sales").out) == said


def test_what_cannot_be_made_says_why_and_where(here, project, tmp_path):
    def failed(*arguments: object) -> str:
        outcome = here("create", *arguments)
        assert (outcome.status, outcome.out) == (1, "")
        return outcome.err

    assert failed("S", tmp_path / "none").startswith("error[storage_not_found]: file ")
    assert failed("S", tmp_path) == (
        f"error[request]: folder {tmp_path} holds no model\nhint: it has Sales.SemanticModel: name that folder\n"
    )
    (project / "definition" / "tables" / "Sales.tmdl").write_text("table Sales\n\tmeasure m = 1\n\t\tisHiden\n")
    assert failed("S", project) == "error[request]: tables/Sales.tmdl, line 3: a Measure has no 'isHiden'\n"
    bim = tmp_path / "model.bim"
    bim.write_text('{"model": {"tables": [{"name": "T", "isHiden": true}]}}')
    assert failed("S", bim) == (
        f"error[request]: {bim}, database.model.tables[0].isHiden: a Table has no member 'isHiden'\n"
        "hint: names are told by their capitals\n"
    )
    bim.write_text('{\n  "model": {},\n}')
    assert failed("S", bim).startswith(f"error[request]: {bim}, line 3: the text is not JSON: ")
    bim.write_text('{"model": {}}')
    assert here("create", "S", bim).status == 0
    assert failed("S", bim).endswith("hint: add --overwrite, or choose another name\n")
    document = json.loads(here("create", "S", bim, "--json").out)
    assert document["error"]["code"] == "database_exists"


def test_script_has_no_file_to_overwrite_without_one(here):
    assert here("script", "S", "--overwrite").status == 2
    assert here("script", "S").status == 1


def test_a_terminal_of_80_cells_shows_both(project, tmp_path):
    with Terminal("create", "Sales", project, data=tmp_path / "data", width=80) as terminal:
        assert terminal.end() == 0
        assert "nothing is loaded yet: tabvault refresh Sales\n" in terminal.text
    with Terminal("script", "Sales", data=tmp_path / "data", width=80) as terminal:
        assert terminal.end() == 0
        assert json.loads(terminal.text)["name"] == "Sales"


def test_a_server_does_both_with_the_same_words(project, tmp_path, monkeypatch, capsys):
    def said(*arguments, data):
        return call(*arguments, data=data, monkeypatch=monkeypatch, capsys=capsys)

    here, there = tmp_path / "here", tmp_path / "there"
    bim, bad, asked = tmp_path / "model.bim", tmp_path / "bad.bim", tmp_path / "asked.bim"
    bad.write_text('{"model": {"tables": [{"name": "T", "isHiden": true}]}}')
    bim.write_text(json.dumps({"model": {"description": "d" * 3_000_000}}))
    asked.write_text(json.dumps({"model": WITH_A_SOURCE}))
    with serve(there):
        for words in (
            ("create", "Sales", project),
            ("create", "Sales", bim),
            ("create", "Sales", bim, "--overwrite", "--compatibility-level", "1400"),
            ("script", "sales", "--create-or-replace"),
            ("create", "Other", bad),
            ("create", "Asked", asked),
        ):
            local, remote = said(*words, data=here), said(*words, data=there)
            assert (remote.status, remote.out, remote.err) == (local.status, local.out, local.err)
        assert remote.err.startswith("warning: data source 'Warehouse' needs a credential before a refresh: ")
        assert json.loads(said("script", "Sales", data=there).out)["compatibilityLevel"] == 1400
