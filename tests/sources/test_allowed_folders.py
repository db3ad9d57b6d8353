"""Which files a source may read."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import SourceAccessError, SourceError
from tabvault.sources.allowed_folders import allowed_file
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.file_formats import CsvFormat
from tabvault.sources.opening import open_source

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.csv").write_text("a\n1\n")
    (tmp_path / "secret.csv").write_text("secret\n")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "a.csv").write_text("secret\n")
    return folder


def test_a_file_under_an_allowed_folder_is_found(allowed: Path) -> None:
    assert allowed_file(str(allowed / "inner" / "a.csv"), [allowed]) == (allowed / "inner" / "a.csv").resolve()
    assert allowed_file(str(allowed / "inner" / ".." / "inner" / "a.csv"), ["/nowhere", str(allowed)]).name == "a.csv"


@pytest.mark.parametrize(
    "path",
    [
        "{0}/../secret.csv",
        "{0}/inner/../../secret.csv",
        "{0}-not/a.csv",
        "/etc/passwd",
        "{0}/../allowed-not/a.csv",
        "inner/a.csv",
        "C:\\data\\a.csv",
        "\\\\server\\share\\a.csv",
        "file://{0}/inner/a.csv",
        "http://127.0.0.1/a.csv",
        "~/a.csv",
        "{0}/inner/a.csv\0.txt",
        "",
        "{0}",
        "/",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(allowed: Path, path: str) -> None:
    with pytest.raises(SourceAccessError):
        allowed_file(path.format(allowed), [allowed])


def test_the_way_out_is_told(allowed: Path) -> None:
    with pytest.raises(SourceAccessError) as caught:
        allowed_file("/srv/data/a.csv", [])
    assert "tabvault datasource allow-folder /srv/data" in (caught.value.hint or "")


def test_a_link_out_of_an_allowed_folder_is_not_followed(allowed: Path) -> None:
    (allowed / "link.csv").symlink_to(allowed.parent / "secret.csv")
    (allowed / "folder").symlink_to(allowed.parent)
    (allowed / "round").symlink_to(allowed / "round")
    for path in ("link.csv", "folder/secret.csv", "round/a.csv"):
        with pytest.raises(SourceAccessError):
            allowed_file(str(allowed / path), [allowed])


def test_a_link_into_an_allowed_folder_and_an_allowed_folder_that_is_a_link_are_followed(
    allowed: Path, tmp_path: Path
) -> None:
    (tmp_path / "way-in").symlink_to(allowed)
    for folder, path in ((allowed, tmp_path / "way-in"), (tmp_path / "way-in", allowed)):
        assert allowed_file(str(path / "inner" / "a.csv"), [folder]).read_text() == "a\n1\n"


def test_what_is_no_regular_file_is_refused(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(allowed / "socket"))
        for name in ("pipe", "socket", "inner"):
            with pytest.raises(SourceAccessError, match="no regular file"):
                allowed_file(str(allowed / name), [allowed])
    with pytest.raises(SourceAccessError, match="no regular file"):
        allowed_file("/dev/null", ["/dev"])


def test_a_file_that_is_not_there_is_said_to_be_missing_only_where_one_may_look(allowed: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        allowed_file(str(allowed / "none.csv"), [allowed])
    with pytest.raises(SourceAccessError, match="not under a folder"):
        allowed_file(str(allowed.parent / "none.csv"), [allowed])


@pytest.mark.parametrize("kind", [SourceKind.SQLITE, SourceKind.DUCKDB, SourceKind.FILE])
def test_every_kind_of_file_is_opened_under_allowed_folders_alone(allowed: Path, kind: SourceKind) -> None:
    path = str(allowed.parent / "secret.csv")
    definition = SourceDefinition(kind=kind, path=path, file_format=CsvFormat())
    with pytest.raises(SourceAccessError):
        open_source(definition, None, allowed_folders=[allowed])
