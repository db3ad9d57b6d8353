"""The blocks of docs/reference/python.md, run from top to bottom in one program."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING

import tabvault
from conftest import sample_path
from docs.documents import DOCS, blocks, read, section, tables
from tabvault.engine.values import _STORED_AS as STORED_AS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = read(DOCS / "reference" / "python.md")


def test_every_block_prints_what_stands_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(sample_path("Hugoberry__rls-sample-report.pbix"), tmp_path / "Sales.pbix")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TABVAULT_DATA", raising=False)
    program: dict[str, object] = {"__name__": "python.md"}
    run_count = 0
    for block, following in pairwise([*blocks(TEXT), None]):
        assert block is not None
        if block.language != "python":
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block.text, "python.md", "exec"), program)  # noqa: S102 - the document is ours
        assert following is not None
        assert following.language == "text", f"what does this print? {block.text}"
        assert printed.getvalue() == following.text
        run_count += 1
    assert run_count == TEXT.count("```python")


def test_every_method_of_a_vault_is_documented_with_its_options() -> None:
    documented: dict[str, set[str]] = {}
    (table,) = (table for table in tables(section(TEXT, "The vault")) if "method" in table[0])
    for row in table:
        for name, arguments in re.findall(r"`(\w+)(?:\(([^)]*)\))?`", row["method"]):
            documented[name] = {word.partition("=")[0] for word in re.split(r",\s*", arguments) if word}
    methods = {
        name: {
            ("*" if parameter.kind is inspect.Parameter.KEYWORD_ONLY else "", parameter.name)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.name != "self"
        }
        for name, method in inspect.getmembers(tabvault.Vault, inspect.isfunction)
        if not name.startswith("_") and name not in {"close", "file"}
    }
    properties = {name for name, _ in inspect.getmembers(tabvault.Vault, lambda value: isinstance(value, property))}
    assert documented.keys() == methods.keys() | (properties - {"folder", "own_folder"})
    for name, parameters in methods.items():
        has_keywords = any(kind for kind, _ in parameters)
        assert documented[name] == {parameter for _, parameter in parameters} | ({"*"} if has_keywords else set()), name


def test_every_data_type_is_documented_with_its_arrow_type() -> None:
    (table,) = tables(section(TEXT, "Types"))
    documented = {row["data type"]: row["Arrow"].strip("`") for row in table}
    assert documented == {data_type.name: str(arrow) for data_type, (_, arrow) in STORED_AS.items()}


def test_what_the_package_offers_is_named() -> None:
    for name in tabvault.__all__:
        assert name in {"__version__", "Database"} or f"tabvault.{name}" in TEXT, name
