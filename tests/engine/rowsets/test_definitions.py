"""The definitions of all rowsets agree with themselves and with what clients know them by."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from lxml import etree
from served_database import serving

from tabvault.engine.rowsets import discover
from tabvault.engine.rowsets.definition import TYPE_KEY, Match
from tabvault.engine.rowsets.registry import ROWSETS
from tabvault.model.object_types import OBJECT_TYPES


@pytest.mark.parametrize("rowset", ROWSETS.values(), ids=lambda rowset: rowset.name)
def test_a_restriction_names_a_column_of_its_type(rowset):
    names = [restriction.name for restriction in rowset.restrictions]
    assert len(names) == len(set(names)) <= 64
    for restriction in rowset.restrictions:
        if restriction.match is Match.EQUAL:
            assert rowset.schema.field(restriction.column).metadata[TYPE_KEY].decode() == restriction.type
        elif restriction.column is not None:
            assert restriction.column in rowset.schema.names
    assert rowset.restrictions_mask == 2 ** len(names) - 1


def test_no_two_rowsets_have_one_guid():
    guids = [uuid.UUID(rowset.guid) for rowset in ROWSETS.values() if rowset.guid]
    assert len(guids) == len(set(guids)) > 100


def test_every_object_type_has_a_rowset_with_its_columns():
    for type_ in OBJECT_TYPES.values():
        schema = ROWSETS[type_.rowset].schema
        assert [(field.name, field.metadata[TYPE_KEY].decode()) for field in schema] == [
            (prop.name, prop.type) for prop in type_.properties
        ]


def test_what_a_trace_can_tell_is_xml_whose_columns_are_listed():
    context = serving(b"")
    columns = [etree.fromstring(text) for text in discover("DISCOVER_TRACE_COLUMNS", {}, context)["Data"].to_pylist()]
    listed = {column.findtext("ID") for column in columns}
    assert {column.findtext("NAME") for column in columns} >= {"EventClass", "TextData", "CurrentTime", "SPID"}
    categories = discover("DISCOVER_TRACE_EVENT_CATEGORIES", {}, context)["Data"].to_pylist()
    events = [event for text in categories for event in etree.fromstring(text).iter("EVENT")]
    assert {event.findtext("ID") for event in events} == {"5", "6", "7", "8", "15", "16", "17", "19"}
    for event in events:
        assert {column.findtext("ID") for column in event.iter("EVENTCOLUMN")} <= listed


def test_the_reference_lists_every_rowset_with_its_restrictions():
    text = Path(__file__).parents[3].joinpath("docs/reference/rowsets.md").read_text(encoding="utf-8")
    documented = {
        name: restrictions
        for name, restrictions in re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| ([^|]*) \|$", text, re.MULTILINE)
        if name != "DISCOVER_XML_METADATA"
    }
    assert documented == {
        rowset.name: ", ".join(
            f"**`{restriction.name}`**" if restriction.required else f"`{restriction.name}`"
            for restriction in rowset.restrictions
        )
        for rowset in ROWSETS.values()
        if not rowset.name.startswith("TMSCHEMA_") and rowset.name != "DISCOVER_XML_METADATA"
    }
