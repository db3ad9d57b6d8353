from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tabvault.formats.xmla.names import decode_name, encode_name


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("Sales[Amount]", "Sales_x005B_Amount_x005D_"),
        ("[n]", "_x005B_n_x005D_"),
        ("CATALOG_NAME", "CATALOG_NAME"),
        ("TableID.Table", "TableID.Table"),
        ("1st", "_x0031_st"),
        ("a1-.", "a1-."),
        (".a", "_x002E_a"),
        ("a b:c", "a_x0020_b_x003A_c"),
        ("_x0041_", "_x005F_x0041_"),
        ("_x_", "_x_"),
        ("a\U0001f600", "a_x0001F600_"),
        ("Größe", "Größe"),
        ("\u017f", "_x017F_"),
        ("", ""),
    ],
)
def test_names_as_the_clients_decode_them(name, encoded):
    assert encode_name(name) == encoded
    assert decode_name(encoded) == name


@given(st.text())
def test_every_name_comes_back(name):
    assert decode_name(encode_name(name)) == name


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_every_encoded_name_is_an_xml_name(name):
    assert etree.QName(encode_name(name)).localname == encode_name(name)


@pytest.mark.parametrize("name", ["_xD800_", "_x00110000_", "_x41_", "_X0041_"])
def test_what_is_no_escape_stays(name):
    assert decode_name(name) == name
