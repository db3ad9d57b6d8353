"""``tabvault export --format pbix-datamodel``: from a data folder, from a backup, from a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from faces.program import Outcome, call, run
from faces.served_process import serve
from tabvault.jobs.opening import open_backup
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLE = "Hugoberry__abc.pbix"
FORMAT = ("--format", "pbix-datamodel")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the database ``Sales 2024`` and its backup."""
    folder = tmp_path_factory.mktemp("data-model") / "data"
    assert run("import", sample_path(SAMPLE), "Sales 2024", data=folder).status == 0
    assert run("backup", "Sales 2024", "sales.abf", data=folder).status == 0
    return folder


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    return lambda *arguments, data: call(*arguments, data=data, monkeypatch=monkeypatch, capsys=capsys)


def bodies(path: Path) -> dict[str, bytes]:
    """Files of the database by name."""
    with FileSource(path) as source, open_backup(source) as opened:
        return {name: bytes(opened.container.read(name)) for name in opened.container.files}


@pytest.fixture(scope="module")
def expected(data: Path) -> dict[str, bytes]:
    return bodies(data / "storage/backups/sales.abf")


def test_a_database_becomes_one_file_of_its_name(said, data: Path, tmp_path: Path, expected: dict[str, bytes]) -> None:
    done = said("export", "Sales 2024", "--to", tmp_path / "new", *FORMAT, data=data)
    assert (done.status, done.err) == (0, "")
    path = tmp_path / "new" / "Sales 2024.DataModel"
    assert done.out.startswith(f"exported Sales 2024 to {path}: ")
    assert list(path.parent.iterdir()) == [path]
    assert bodies(path) == expected


def test_a_backup_becomes_a_file_of_the_backups_name(
    said, data: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    for file in (data / "storage/backups/sales.abf", "storage:sales.abf"):
        done = said("export", file, "--to", tmp_path, *FORMAT, "--json", data=data)
        assert done.status == 0, done.err
        (document,) = json.loads(done.out)["files"]
        assert document["path"] == str(tmp_path / "sales.DataModel")
        assert document["database"] == "Sales 2024"
        assert document["byte_count"] == (tmp_path / "sales.DataModel").stat().st_size
        assert document["file_count"] == len(expected)
        assert document["raw_byte_count"] == sum(map(len, expected.values()))
        assert bodies(tmp_path / "sales.DataModel") == expected


def test_one_table_of_it_cannot_be_had(said, data: Path, tmp_path: Path) -> None:
    done = said("export", "Sales 2024", "--to", tmp_path, *FORMAT, "--table", "ABC", data=data)
    assert done.status == 2
    assert "--table is given, and a DataModel is a whole database" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there_is_named(said, data: Path, tmp_path: Path) -> None:
    done = said("export", "Nobody", "--to", tmp_path, *FORMAT, data=data)
    assert done.status == 1
    assert "'Nobody'" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_a_server_comes_whole_and_leaves_nothing_there(
    said, data: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with serve(data) as server:
        there = {"data": tmp_path / "nowhere"}
        done = said("export", "Sales 2024", "--to", tmp_path / "database", *FORMAT, *server.login, **there)
        assert done.status == 0, done.err
        assert bodies(tmp_path / "database" / "Sales 2024.DataModel") == expected
        done = said("export", "storage:sales.abf", "--to", tmp_path / "file", *FORMAT, *server.login, **there)
        assert done.status == 0, done.err
        assert bodies(tmp_path / "file" / "sales.DataModel") == expected
        stored = json.loads(said("storage", "list", "--json", *server.login, **there).out)
    assert [file["name"] for file in stored["objects"]] == ["sales.abf"]
