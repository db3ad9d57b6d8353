"""Logical names become stored paths that stay inside, fit every file system, and never meet."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, LimitError
from tabvault.storage.data_folder.file_names import StoredPaths, is_stored_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            r"Currency (10).tbl\167.prt\0.Currency (10).Name (12).0.idf",
            "Currency (10).tbl/167.prt/0.Currency (10).Name (12).0.idf",
        ),
        ("H$Store (34)$StoreKey (149)$(3047).tbl", "H$Store (34)$StoreKey (149)$(3047).tbl"),
        ("Größe 値.dictionary", "Größe 値.dictionary"),
        (r"..\..\etc\passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        (r"C:\Windows\win.ini", "C%3A/Windows/win.ini"),
        (r"\\server\share", "%/%/server/share"),
        ("a\x00b\nc", "a%00b%0Ac"),
        ("gnp.\u202eidf", "gnp.%E2%80%AEidf"),
        ("100%", "100%25"),
        (".hidden", "%2Ehidden"),
        (" a ", "%20a%20"),
        ("a.", "a%2E"),
        (".", "%2E"),
        ("CON", "%43ON"),
        ("lpt1.txt", "%6Cpt1.txt"),
        ("console", "console"),
        ("~", "%7E"),
    ],
)
def test_a_name_becomes_a_path_that_a_person_recognises(name, path):
    assert StoredPaths().assign(name) == path
    assert is_stored_path(path)


def test_a_long_component_keeps_its_beginning_and_its_extension():
    paths = StoredPaths()
    first, second = (paths.assign(f"0.{'x' * 300}{tail}.0.idf") for tail in "ab")
    assert first != second
    for path in (first, second):
        assert len(path) == 255
        assert path.startswith("0.xxxxx")
        assert path.endswith(".idf")


def test_a_long_component_of_wide_characters_is_cut_between_characters():
    path = StoredPaths().assign("値" * 200)
    assert len(path.encode()) <= 255
    assert path.startswith("値" * 70)


@pytest.mark.parametrize(
    "names",
    [
        ("Sales.idf", "SALES.idf"),
        ("é.idf", "e\u0301.idf"),
        ("straße", "STRASSE"),
        ("a", r"a\b"),
        (r"a\b", "a"),
        (r"A\b\c", r"a\B"),
    ],
)
def test_names_that_would_meet_on_some_file_system_are_kept_apart(names):
    paths = StoredPaths()
    first, second = (paths.assign(name) for name in names)
    assert not first.startswith("~/")
    assert second.startswith("~/")


def test_a_name_cannot_take_the_place_kept_for_a_displaced_one():
    expected = StoredPaths()
    expected.assign("a")
    displaced = expected.assign("A")
    paths = StoredPaths()
    assert paths.assign(displaced.replace("/", "\\")) != displaced
    paths.assign("a")
    assert paths.assign("A") == displaced


def test_a_path_too_deep_or_too_long_is_displaced():
    paths = StoredPaths()
    assert paths.assign("\\".join("a" * 17)).startswith("~/a~")
    assert paths.assign("\\".join(["b" * 200] * 6)).startswith("~/bbb")


def test_names_that_are_none_are_refused():
    with pytest.raises(FormatError, match="empty name"):
        StoredPaths().assign("")
    with pytest.raises(FormatError, match="lone surrogate at character 1"):
        StoredPaths().assign("a\ud800")
    with pytest.raises(LimitError, match="32768 characters"):
        StoredPaths().assign("a" * 32768)


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "..", "a/../b", "a\\b", "a\x00", "C:/a", ".a", "a ", "x" * 256, "a/" * 16 + "a", "\ud800"],
)
def test_a_manifest_cannot_lead_out_of_the_folder(path):
    assert not is_stored_path(path)


HOSTILE = st.text(
    st.one_of(
        st.sampled_from('\\/.~%: \x00\x1f"CONcon1aAéE\u0301ßß値K\u212a'), st.characters(exclude_categories=["Cs"])
    ),
    min_size=1,
    max_size=40,
) | st.integers(200, 400).map(lambda count: "値." * count)


@settings(deadline=None, max_examples=200)
@given(st.lists(HOSTILE, unique=True, max_size=30))
def test_no_names_ever_leave_the_folder_or_meet(names):
    paths = StoredPaths()
    stored = [paths.assign(name) for name in names]
    for path in stored:
        assert is_stored_path(path)
        assert ".." not in PurePosixPath(path).parts
        assert not PurePosixPath(path).is_absolute()
        assert not PureWindowsPath(path).drive
        assert not any(PureWindowsPath(part).is_reserved() for part in path.split("/"))
        assert all(len(part.encode()) <= 255 for part in path.split("/"))
    for fold in (str.casefold, str.upper, lambda path: unicodedata.normalize("NFD", path)):
        folded = {fold(path) for path in stored}
        assert len(folded) == len(stored)
        # No file stands where another needs a folder.
        parents = {fold(str(parent)) for path in stored for parent in PurePosixPath(path).parents}
        assert folded.isdisjoint(parents)
