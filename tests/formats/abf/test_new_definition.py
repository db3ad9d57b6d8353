"""``db.xml`` and the key file of a new database beside genuine ones."""

from __future__ import annotations

import datetime
import re

import pytest
from lxml import etree

from conftest import sample_path
from tabvault.errors import FormatError
from tabvault.formats.abf import crypt_key, db_xml
from tabvault.jobs.opening import open_backup
from tabvault.storage.file_source import FileSource

CREATED = datetime.datetime(2026, 1, 2, 3, 4, 5, 600, datetime.UTC)
GUID = "88358CEE-8B4D-4FDC-BD91-68161A22A8B8"


def genuine(sample: str, ending: str) -> bytes:
    with FileSource(sample_path(sample)) as source, open_backup(source) as opened:
        name = next(name for name in opened.container.files if name.endswith(ending))
        return bytes(opened.container.read(name))


def built(name: str = "Sales & <more>", database_id: str = "Sales") -> bytes:
    return db_xml.build(
        name=name,
        id=database_id,
        object_id=GUID,
        unique_id=GUID,
        compatibility_level=1600,
        language=1031,
        collation="",
        created=CREATED,
    )


def elements(data: bytes) -> list[str]:
    return [element.tag for element in etree.fromstring(data).iter()]


def test_a_new_definition_has_the_elements_of_a_genuine_one_in_their_order():
    assert elements(built()) == elements(genuine("Hugoberry__abc.pbix", ".db.xml"))


def test_its_namespaces_are_those_of_a_genuine_one_up_to_the_engine_of_2022():
    def declared(data: bytes) -> list[str]:
        return re.findall(r'xmlns[^=]*="[^"]*"', data.decode())

    ours, theirs = declared(built()), declared(genuine("Hugoberry__abc.pbix", ".db.xml"))
    assert ours == [name for name in theirs if not re.search("ddl92[345]", name)]


def test_what_is_written_is_read_back():
    definition = db_xml.parse(built(), file="db.xml")
    assert (definition.name, definition.id) == ("Sales & <more>", "Sales")
    assert (definition.compatibility_level, definition.language, definition.collation) == (1600, "1031", "")
    assert (definition.object_id, definition.unique_id, definition.object_version) == (GUID, GUID, 0)
    assert definition.storage_engine == db_xml.TABULAR_METADATA
    assert b"<CreatedTimestamp>2026-01-02T03:04:05.000600</CreatedTimestamp>" in built()


def test_a_new_definition_can_be_renamed():
    edited = db_xml.edit(built(), file="db.xml", name="Other", id="other-id")
    assert (db_xml.parse(edited, file="db.xml").name, db_xml.parse(edited, file="db.xml").id) == ("Other", "other-id")


def test_a_key_file_of_a_genuine_key_is_the_genuine_file():
    data = genuine("Hugoberry__abc.pbix", "CryptKey.bin")
    block = data[60:124][::-1]
    assert crypt_key.build(block[40:], block[2:39]) == data


def test_a_new_key_file_is_well_formed_and_a_zero_in_its_padding_is_a_mistake_of_ours():
    crypt_key.check(crypt_key.build(bytes(24), b"\1" * 37), file="key")
    with pytest.raises(ValueError, match="zero"):
        crypt_key.build(bytes(24), b"\1" * 36 + b"\0")
    with pytest.raises(FormatError):
        crypt_key.check(crypt_key.build(bytes(24), b"\1" * 37)[:-1], file="key")
