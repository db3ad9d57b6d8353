"""The folder written by hand against another reader of TMDL, that of pbix-mcp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbix_mcp.formats.tmdl_reader import parse_tmdl_folder

from model.tmdl.folders import SALES
from tabvault.model.tmdl.reading import read_tmdl

if TYPE_CHECKING:
    from pathlib import Path


def test_another_reader_finds_the_same_in_the_folder(tmp_path: Path):
    for name, text in SALES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    theirs = parse_tmdl_folder(str(tmp_path))
    ours = read_tmdl(SALES)
    model = ours["model"]
    assert (theirs["name"], theirs["compatibility_level"]) == (ours["name"], ours["compatibilityLevel"])
    assert theirs["culture"] == model["culture"]
    assert theirs["data_access_options"] == model["dataAccessOptions"]
    assert [(one["name"], one["expression"]) for one in theirs["expressions"]] == [
        (one["name"], one["expression"]) for one in model["expressions"]
    ]
    assert [
        (one["name"], one["from_table"], one["from_column"], one["to_table"], one["to_column"])
        for one in theirs["relationships"]
    ] == [
        (one["name"], one["fromTable"], one["fromColumn"], one["toTable"], one["toColumn"])
        for one in model["relationships"]
    ]
    tables = {table["name"]: table for table in model["tables"]}
    assert [table["name"] for table in theirs["tables"]] == list(tables)
    for their in theirs["tables"]:
        our = tables[their["name"]]
        assert [(one["name"], one["expression"]) for one in their["measures"]] == [
            (one["name"], one["expression"]) for one in our.get("measures", [])
        ]
        assert [(one["name"], one["tmdl_data_type"].lower(), one["is_hidden"]) for one in their["columns"]] == [
            (one["name"], one["dataType"], one.get("isHidden", False)) for one in our["columns"]
        ]
        assert [(one["name"], one["kind"], one["source"]) for one in their["partitions"]] == [
            (one["name"], one["source"]["type"], one["source"]["expression"]) for one in our["partitions"]
        ]
        assert [[level["column"] for level in one["levels"]] for one in their["hierarchies"]] == [
            [level["column"] for level in one["levels"]] for one in our.get("hierarchies", [])
        ]
