"""DISCOVER_XML_METADATA: the server and its databases as AMO takes them."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from lxml import etree
from served_database import OTHER, SHOP, STARTED, serving

from tabvault.engine.rowsets import TraceFacts, discover
from tabvault.errors import DatabaseNotFoundError, NotAuthorizedError, RequestError

AS = "{http://schemas.microsoft.com/analysisservices/%s}"
ENGINE = AS % "2003/engine"
REFERENCE = ["Name", "ID", "CreatedTimestamp", "LastSchemaUpdate"]
PROPERTIES = "Description LastUpdate LastProcessed State ReadWriteMode CompatibilityLevel StorageEngineUsed Version EstimatedSize".split()  # noqa: E501, SIM905  # read in one line


@pytest.fixture
def context():
    return serving(b"")


def document(context, **restrictions) -> etree._Element:
    table = discover("DISCOVER_XML_METADATA", restrictions, context)
    assert table.schema.field("METADATA").metadata == {b"xmla": b"xmlDocument"}
    (text,) = table["METADATA"].to_pylist()
    return etree.fromstring(text)


def children(element: etree._Element) -> list[str]:
    return [etree.QName(child).localname for child in element]


@pytest.mark.parametrize(
    ("expansion", "has_properties", "database"),
    [
        ("ReferenceOnly", False, None),
        ("ObjectProperties", True, None),
        ("ExpandObject", True, REFERENCE),
        (
            "ExpandFull",
            True,
            [*REFERENCE, *PROPERTIES],
        ),
    ],
)
def test_an_expansion_says_how_much_of_the_server_is_shown(context, expansion, has_properties, database):
    server = document(context, ObjectExpansion=expansion)
    assert server.tag == f"{ENGINE}Server"
    assert ("Version" in children(server)) is has_properties
    databases = server.find(f"{ENGINE}Databases")
    if database is None:
        assert databases is None
    else:
        assert [entry.findtext(f"{ENGINE}Name") for entry in databases] == ["Shop", "Another"]
        assert children(databases[0]) == database


def test_a_database_is_the_root_when_it_is_asked_for_by_id(context):
    database = document(context, DatabaseID="shop-id", ObjectExpansion="ObjectProperties")
    assert database.tag == f"{ENGINE}Database"
    assert database.findtext(AS % "2010/engine/200" + "CompatibilityLevel") == "1550"
    assert database.findtext(AS % "2010/engine/200/200" + "StorageEngineUsed") == "TabularMetadata"
    assert database.findtext(AS % "2008/engine/100" + "ReadWriteMode") == "ReadWrite"
    assert database.findtext(f"{ENGINE}LastUpdate") == "2024-05-06T07:08:09Z"
    assert children(document(context, DatabaseID="shop-id", ObjectExpansion="ReferenceOnly")) == ["Name", "ID"]


def test_text_is_escaped_and_what_xml_cannot_carry_is_replaced(context):
    entry = replace(SHOP, description="a < b & ]]> \x01 \ud800 \U0001f600")
    database = document(replace(context, catalogs=[entry]), DatabaseID="shop-id")
    assert database.findtext(f"{ENGINE}Description") == "a < b & ]]> \ufffd \ufffd \U0001f600"
    values = document(context).findall(f"{ENGINE}ServerProperties/{ENGINE}ServerProperty/{ENGINE}Value")
    assert [value.text for value in values] == ["/backup", "/data & more"]


@pytest.mark.parametrize("character", list(".,;'`:/\\*|?\"&%$!+=()[]{}<>"))
def test_a_name_that_amo_takes_for_none_does_not_keep_the_others_out(context, character):
    odd = replace(OTHER, name=f"odd{character}name", id="odd")
    strange = replace(context, catalogs=[SHOP, odd, replace(OTHER, name="fine-name_1 #~^@é")])
    names = [entry.findtext(f"{ENGINE}Name") for entry in document(strange).find(f"{ENGINE}Databases")]
    assert names == ["Shop", "fine-name_1 #~^@é"]
    assert document(strange, DatabaseID="odd").findtext(f"{ENGINE}Name") == odd.name


def test_folders_and_traces_of_the_server_are_for_its_administrators(context):
    traced = replace(context, server=replace(context.server, traces=[TraceFacts(id="T-1", name="t", created=STARTED)]))
    assert document(traced).find(f"{ENGINE}Traces/{ENGINE}Trace/{ENGINE}ID").text == "T-1"
    assert document(traced, TraceID="T-1").tag == f"{ENGINE}Trace"
    guest = replace(traced, is_administrator=False)
    assert {"ServerProperties", "Traces"} & set(children(document(guest))) == set()
    with pytest.raises(NotAuthorizedError):
        document(guest, TraceID="T-1")


@pytest.mark.parametrize(
    ("restrictions", "kind", "message"),
    [
        ({"ObjectExpansion": "Everything"}, RequestError, "ObjectExpansion is 'Everything'"),
        ({"DatabaseID": "gone"}, DatabaseNotFoundError, "'gone'"),
        ({"DatabaseID": "Shop"}, DatabaseNotFoundError, "'Shop'"),
        ({"DatabaseID": "shop-id", "CubeID": "Model"}, RequestError, "CubeID 'Model' does not exist"),
        ({"TraceID": "gone"}, RequestError, "'gone'"),
    ],
)
def test_an_object_that_is_not_there_is_an_error(context, restrictions, kind, message):
    with pytest.raises(kind, match=message):
        document(context, **restrictions)


def test_a_time_that_nobody_knows_is_the_first_one(context):
    database = document(context, DatabaseID="another-id")
    assert datetime.datetime.fromisoformat(database.findtext(f"{ENGINE}LastUpdate")).year == 1
