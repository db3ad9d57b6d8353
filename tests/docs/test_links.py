"""Every link between the documents, and every mention of one in the code, leads somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conftest import REPOSITORY
from docs.documents import DOCS, anchors, links, read

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_document_and_a_heading(document: Path) -> None:
    for link in links(read(document)):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            assert anchor in anchors(read(target)), f"{document.name}: {link}"


def test_every_document_that_the_code_mentions_exists() -> None:
    for module in (REPOSITORY / "src").rglob("*.py"):
        for mention in re.findall(r"\bdocs/[\w./-]+\.md", read(module)):
            assert (REPOSITORY / mention).exists(), f"{module.name}: {mention}"
