"""Tables on a terminal of 80 cells and less: no id, time or number is ever broken."""

from __future__ import annotations

import json
import re

import pytest
from program import Terminal, call

from conftest import sample_path

SAMPLE = "Hugoberry__DataModel.abf"
PBIX = "Hugoberry__Adventure_Works_Internet_Sales.pbix"
LONG_NAME = "Purchasing and Supplier Quality of the Northern Plants"
UNBROKEN = re.compile(r"^\S+ [KMG]iB$|^\d{4}-\d\d-\d\d \d\d:\d\d$|^[\d,]+$|^\d+ B$")


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def shown(tmp_path):
    """What a terminal of some width shows, a list of lines that all fit."""

    def show(*arguments, width):
        with Terminal(*arguments, data=tmp_path / "data", width=width) as terminal:
            assert terminal.end() == 0
        lines = terminal.screen.splitlines()
        assert all(len(line) <= width for line in lines), lines
        return lines

    return show


@pytest.fixture
def two_databases(here):
    assert here("import", sample_path(SAMPLE), "Sales").status == 0
    assert here("import", sample_path(SAMPLE), LONG_NAME).status == 0
    assert here("backup", "Sales", "sales/monday.abf").status == 0
    return {one["name"]: one for one in json.loads(here("databases", "--json").out)["databases"]}


def _cells(line):
    return re.split(r" {2,}", line.strip())


def test_databases_are_a_table_at_80_cells_and_only_names_are_folded(shown, two_databases):
    header, _, *lines = shown("databases", width=80)
    assert _cells(header) == ["name", "level", "mode", "size", "rows", "state", "last backup"]
    (sales,) = (line for line in lines if line.startswith("Sales "))
    _, level, mode, size, rows, state, last_backup = _cells(sales)
    assert (level, mode, rows, state) == ("1400", "import", "9,026", "ready")
    assert UNBROKEN.match(size)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", last_backup), "local time, to the minute"
    folded = [line for line in lines if line is not sales]
    assert "".join(line[: header.index("level")].strip() + " " for line in folded).split() == LONG_NAME.split()
    assert all(_cells(line)[0] in LONG_NAME for line in folded)
    assert two_databases["Sales"]["last_backup"].endswith("Z"), "all of it for programs"


def test_the_ids_have_their_column_where_there_is_room(shown, two_databases):
    header, _, *lines = shown("databases", width=190)
    assert _cells(header)[1] == "id"
    assert [_cells(line)[1] for line in lines] == [one["id"] for one in two_databases.values()]


def test_each_database_has_a_block_of_its_own_where_a_table_finds_no_room(shown, two_databases):
    blocks = "\n".join(shown("databases", width=67)).split("\n\n")
    assert len(blocks) == 2
    for block, one in zip(blocks, two_databases.values(), strict=True):
        facts = dict(line.split(maxsplit=1) for line in block.splitlines() if not line.startswith("last backup"))
        assert facts["name"] == one["name"]
        assert facts["id"] == one["id"]
        assert facts["rows"] == "9,026"


@pytest.mark.parametrize("width", [80, 64])
def test_what_a_backup_holds_is_shown_without_a_broken_number(shown, here, width):
    tables = json.loads(here("inspect", sample_path(PBIX), "--json").out)["tables"]
    numbers = {f"{table['row_count']:,}" for table in tables}
    lines = shown("inspect", sample_path(PBIX), width=width)
    words = {cell for line in lines for cell in _cells(line)}
    assert numbers <= words
    assert "Internet Sales" in words
    if width == 80:
        (header,) = (line for line in lines if line.startswith("table"))
        assert _cells(header) == ["table", "mode", "hidden", "rows", "columns", "partitions", "measures", "size"]


def test_a_path_is_never_folded(shown, here, tmp_path):
    assert here("import", sample_path(SAMPLE), "Sales").status == 0
    (tmp_path / "a folder with quite a long name").mkdir()
    out = tmp_path / "a folder with quite a long name"
    assert here("export", "Sales", "--to", out).status == 0
    paths = [str(path) for path in out.iterdir()]
    lines = shown("export", "Sales", "--to", out, width=len("columns  ") + max(map(len, paths)))
    assert len(paths) > 1
    assert all(any(line.endswith(path) for line in lines) for path in paths)


def test_names_with_wide_characters_stay_in_their_columns(shown, here):
    assert here("import", sample_path(SAMPLE), "売上データベース").status == 0
    with_name = shown("databases", width=80)[2]
    header = shown("databases", width=80)[0]
    assert with_name.index("1400") + len("売上データベース") == header.index("level")
