"""docs/reference/errors.md and tabvault.errors say the same."""

from __future__ import annotations

import re

from docs.documents import DOCS, read, section, tables
from tabvault import errors
from tabvault.faces.cli import failure
from tabvault.faces.server.xmla.faults import code_of

_OTHER_WORDS = {"format_version", "storage_check", "storage_turns"}
"""They begin like a code and are none."""

TEXT = read(DOCS / "reference" / "errors.md")


def classes() -> list[type[errors.TabvaultError]]:
    """Every class of the tree, the root first."""
    found: list[type[errors.TabvaultError]] = [errors.TabvaultError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return [kind for kind in found if kind.__module__ == errors.__name__]


def documented() -> list[dict[str, str]]:
    return [row for table in tables(TEXT) if "class" in table[0] for row in table]


def test_every_error_is_documented_as_it_is() -> None:
    as_it_is = {
        (f"`{kind.code}`", f"`{kind.__name__}`", f"`{kind.__base__.__name__}`", kind.exit_status, kind.http_status)
        for kind in classes()
        if kind.__base__ is not None
    }
    as_documented = {
        (row["code"], row["class"], row["above it"], int(row["exit status"]), int(row["HTTP"])) for row in documented()
    }
    assert as_documented == as_it_is


def test_the_number_of_each_error_for_xmla_is_documented() -> None:
    as_it_is = {f"`{kind.code}`": f"`0x{code_of(kind):08X}`" for kind in classes()}
    assert {row["code"]: row["XMLA"] for row in documented()} == as_it_is


def test_no_error_is_documented_twice_or_without_a_reason() -> None:
    rows = documented()
    assert len({row["code"] for row in rows}) == len(rows)
    assert all(row["when"] for row in rows)


def test_no_two_errors_have_one_code() -> None:
    codes = [kind.code for kind in classes()]
    assert len(set(codes)) == len(codes)


def test_the_error_tree_at_the_top_of_the_module_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^ +(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in classes())


def test_the_exit_statuses_of_the_command_line_are_documented() -> None:
    text = section(TEXT, "On the command line only")
    (table,) = tables(text)
    statuses = {row["code"]: int(row["exit status"]) for row in table}
    assert statuses["`usage`"] == failure.USAGE_STATUS
    assert statuses["`job_cancelled`"] == failure.INTERRUPTED_STATUS
    assert f"{failure.BROKEN_PIPE_STATUS} means" in text


def test_codes_that_other_documents_name_exist() -> None:
    codes = {kind.code for kind in classes()}
    for path in DOCS.rglob("*.md"):
        for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", read(path)):
            if word.startswith(("format_", "storage_", "password_", "query_", "data_folder_")):
                assert word in codes | _OTHER_WORDS, f"{path.name} names {word}"
