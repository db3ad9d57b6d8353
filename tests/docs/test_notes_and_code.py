"""What docs/formats says in tables, compared with the readers and with genuine files."""

from __future__ import annotations

import dataclasses
import re
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, get_args

from conftest import CONTAINER_SAMPLES, sample_path
from docs.documents import DOCS, read, section, tables
from tabvault.formats import age
from tabvault.formats.abf import crypt_key, header
from tabvault.formats.vertipaq import idfmeta
from tabvault.jobs.inspect import metadata_of
from tabvault.jobs.landing import Security, read_definition
from tabvault.jobs.opening import open_backup
from tabvault.model.consistency import check_consistency
from tabvault.model.container_files import ContainerFiles
from tabvault.model.load import load_model
from tabvault.storage.data_folder import manifest
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator

ABF, AGE, DATA_FOLDER, METADATA, VERTIPAQ = (
    read(DOCS / "formats" / f"{name}.md") for name in ("abf", "age", "data-folder", "metadata", "vertipaq")
)
NUMBERS = {"u8": "<B", "u32": "<I", "i32": "<i", "u64": "<Q", "i64": "<q"}


def snake_case(name: str) -> str:
    """``RLERuns`` as ``rle_runs``, ``MinDataID`` as ``min_data_id``."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


def test_the_offsets_of_a_column_segment_find_what_the_reader_finds() -> None:
    with FileSource(sample_path("Hugoberry__abc.pbix")) as source, open_backup(source) as opened:
        ending = "BrokenColumns (416).Type (422).0.idfmeta"
        (name,) = (name for name in opened.container.files if name.endswith(ending))
        data = b"".join(opened.container.body(name))
    (segment,) = idfmeta.parse(data, file=name)
    known = dataclasses.asdict(segment) | dataclasses.asdict(segment.statistics)
    del known["statistics"], known["data_offsets"]  # one is taken apart, the others lie behind the segments
    _, table = tables(section(VERTIPAQ, "Segment metadata (.idfmeta)"))
    compared = set()
    for row in table:
        word = re.search(r"[A-Z]\w+", row["field"])
        if row["type"] not in NUMBERS or word is None:
            continue
        field = ("sub_" if "*subsegment*" in row["field"] else "") + snake_case(word[0])
        if field in known:
            (value,) = struct.unpack_from(NUMBERS[row["type"]], data, 14 + int(row["offset"]))
            assert value == known[field], row
            compared.add(field)
    assert compared == known.keys()


def test_the_header_elements_are_those_of_the_reader() -> None:
    documented = [row["element"].strip("`") for row in tables(section(ABF, "Page 0"))[1]]
    with FileSource(sample_path("Hugoberry__ABF.bin")) as source:
        page = bytes(source.read_at(0, header.PAGE_BYTE_COUNT))
    assert re.findall(r"<(\w+)>[^<]", page[len(header.SIGNATURE) :].decode("utf-16-le")) == documented


def test_the_fields_of_the_key_file_fill_it() -> None:
    last = tables(section(ABF, "The key file"))[0][-1]
    assert int(last["offset"]) + int(last["size"]) == crypt_key.BYTE_COUNT


def test_the_lines_of_an_age_header_have_the_lengths_of_the_table() -> None:
    head = age.Encryptor("password", deferred_byte_count=0).finish(b"").head
    lines = head.split(b"\n")[:4]
    rows = tables(section(AGE, "Header"))[0]
    assert [len(line) + 1 for line in lines] == [int(row["size"]) for row in rows]
    table = tables(section(AGE, "What we write and what we accept"))[0]
    (work,) = (row for row in table if row[""] == "work factor")
    assert work["written"].startswith(str(age.WORK_FACTOR))
    assert work["accepted"].startswith(f"1 to {age.WORK_FACTOR_MAX}")


def test_the_keys_of_the_manifest_are_those_that_are_written() -> None:
    keys = {
        key for row in tables(section(DATA_FOLDER, "Manifest"))[0] for key in re.findall(r"`([\w.\[\]]+)`", row["key"])
    }
    written = {field.name for field in dataclasses.fields(manifest.Manifest)}
    assert keys == written | {"format", "format_version"} | {f"files[].{f}" for f in manifest.ManifestFile._fields}


def genuine() -> Iterator[tuple[int, int, int]]:
    """Schema version, compatibility level and number of tables of every sample."""
    for name in CONTAINER_SAMPLES:
        with FileSource(sample_path(name)) as source, open_backup(source) as opened:
            _, definition = read_definition(opened.container)
            with metadata_of(opened.container) as metadata:
                yield metadata.schema_version, definition.compatibility_level, len(metadata.table_names())


def test_the_versions_are_those_of_the_samples() -> None:
    documented = {
        (row["schema version"], row["compatibility level"], int(row["tables"])): int(row["samples"])
        for row in tables(section(METADATA, "Versions"))[0]
    }
    found: defaultdict[tuple[str, str, int], int] = defaultdict(int)
    for version, level, table_count in genuine():
        for versions, levels, tables_ in documented:
            if str(version) in versions.split(", ") and str(level) in levels.split(", ") and table_count == tables_:
                found[versions, levels, tables_] += 1
                break
        else:
            raise AssertionError(f"schema version {version} of level {level} has {table_count} tables")
    assert found == documented


def test_the_conditions_of_the_consistency_check_are_those_that_it_reports() -> None:
    with (
        FileSource(sample_path("Hugoberry__abc.pbix")) as source,
        open_backup(source) as opened,
        metadata_of(opened.container) as metadata,
    ):
        findings = check_consistency(metadata, load_model(metadata), ContainerFiles(opened.container))
    documented = [row["condition"] for row in tables(section(METADATA, "What is checked"))[0]]
    assert documented == [finding.subject for finding in findings]


def test_the_security_modes_are_those_of_a_restore() -> None:
    assert [row["mode"] for row in tables(section(METADATA, "Security edits"))[0]] == list(get_args(Security))
    (table,) = (table for table in tables(read(DOCS / "guide.md")) if "mode" in table[0])
    assert [row["mode"].split("`")[1] for row in table] == list(get_args(Security))
