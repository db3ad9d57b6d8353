"""The byte layouts in docs/formats: what they print is in the files they name, and their offset tables add up."""

from __future__ import annotations

import contextlib
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from docs.documents import DOCS, Block, blocks, read, tables
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.formats.byte_source import ByteSource

NOTES = sorted((DOCS / "formats").glob("*.md"))

_CAPTION = re.compile(r"Bytes of `(?P<sample>[^`]+)`, (the file itself|`(?P<file>[^`]+)`):")
_LINE = re.compile(r"(?P<offset>[0-9a-f]{4,})  (?P<octets>[0-9a-f]{2}(?: [0-9a-f]{2}){0,15})(?:  .*)?")


def hex_blocks() -> list[tuple[str, Block]]:
    return [(path.name, block) for path in NOTES for block in blocks(read(path)) if block.language == "hex"]


@contextlib.contextmanager
def described(caption: str) -> Iterator[ByteSource]:
    """The bytes that a caption names."""
    match = _CAPTION.fullmatch(caption)
    assert match is not None, f"the caption {caption!r} names no bytes"
    with FileSource(sample_path(match["sample"])) as source:
        if match["file"] is None:
            yield source
            return
        with open_backup(source) as opened:
            ending = match["file"].lstrip("…")
            (name,) = (name for name in opened.container.files if name.endswith(ending))
            yield MemorySource(b"".join(opened.container.body(name)))


@pytest.mark.parametrize(("note", "block"), hex_blocks())
def test_printed_bytes_are_those_of_the_sample(note: str, block: Block) -> None:
    with described(block.caption) as source:
        for line in block.text.splitlines():
            if line == "…":
                continue
            match = _LINE.fullmatch(line)
            assert match is not None, f"{note}: {line!r} is no line of bytes"
            printed = bytes.fromhex(match["octets"])
            assert bytes(source.read_at(int(match["offset"], 16), len(printed))) == printed, f"{note}: {line}"


def test_every_note_on_a_format_of_files_prints_bytes() -> None:
    assert {note for note, _ in hex_blocks()} >= {"abf.md", "xpress9.md", "vertipaq.md", "metadata.md"}


@pytest.mark.parametrize("note", NOTES, ids=lambda path: path.stem)
def test_the_fields_of_an_offset_table_lie_one_behind_the_other(note: Path) -> None:
    for table in tables(read(note)):
        if not {"offset", "size"} <= table[0].keys():
            continue
        for field, following in pairwise(table):
            if field["size"].isdigit() and field["offset"].isdigit() and following["offset"].isdigit():
                end = int(field["offset"]) + int(field["size"])
                assert end == int(following["offset"]), f"{note.name}: {field} ends at {end}, before {following}"


@pytest.mark.parametrize("note", NOTES, ids=lambda path: path.stem)
def test_every_field_has_a_source(note: Path) -> None:
    for table in tables(read(note)):
        if "field" in table[0] and "source" in table[0]:
            assert all(row["source"] for row in table), f"{note.name}: a row of {table[0]} is without a source"
