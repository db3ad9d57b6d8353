"""Aliases: what may be one, and what stands in the file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, RequestError
from tabvault.jobs.access.server_aliases import ServerAliases
from tabvault.storage.server_state.aliases import ALIAS_COUNT_MAX, ALIASES_FILE, Alias, load_aliases, save_aliases

SERVER = "https://two.example.com:8282/xmla"


def test_a_file_written_by_hand_is_read(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "aliases.json").write_text(
        '{"format_version": 1, "aliases": [{"name": "sales", "server": "https://two.example.com:8282/xmla"}]}'
    )
    assert load_aliases(tmp_path) == (Alias("sales", SERVER),)


def test_without_a_file_there_is_no_alias(tmp_path):
    assert load_aliases(tmp_path) == ()


@given(
    st.lists(
        st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}[A-Za-z0-9])?", fullmatch=True), unique_by=str.lower, max_size=5
    )
)
@settings(deadline=None, max_examples=25)
def test_what_was_saved_is_loaded(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("state")
    saved = tuple(Alias(name, SERVER) for name in names)
    save_aliases(folder, saved)
    assert load_aliases(folder) == saved


@pytest.mark.parametrize("name", ["", ".", "a.", "-a", "a..b", "a/b", "a b", "ä", "a\n", "x" * 65, "a%2fb"])
def test_what_cannot_stand_in_a_path_is_no_alias(name):
    with pytest.raises(RequestError, match="cannot be an alias"):
        Alias(name, SERVER)


@pytest.mark.parametrize(
    "server",
    [
        "",
        "https://user:secret@host/xmla",
        "https://host/xmla;Password=secret",
        "https://host/xmla?sig=secret",
        "Password=secret",
        'a"b',
        "a b",
        "a\nb",
        "ä",
        "x" * 1025,
    ],
)
def test_what_may_hold_a_credential_is_refused_and_not_quoted(server):
    with pytest.raises(RequestError, match="without a credential") as refused:
        Alias("a", server)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("server", ["https:///xmla", "http://", "link://host/link/a", "https://[::1/xmla"])
def test_what_leads_nowhere_is_refused(server):
    with pytest.raises(RequestError, match="is not a server"):
        Alias("a", server)


@pytest.mark.parametrize("server", [SERVER, "asazure://westeurope.asazure.windows.net/vault", "host\\instance", "host"])
def test_what_clients_connect_to_is_a_server(server):
    assert Alias("a", server).server == server


def one(**values: object) -> dict[str, object]:
    return {"format_version": 1, "aliases": [{"name": "a", "server": SERVER} | values]}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"format_version": 2, "aliases": []},
        {"format_version": 1},
        {"format_version": 1, "aliases": {}},
        {"format_version": 1, "aliases": [1]},
        one(name="a/b"),
        one(name=None),
        one(server="https://user:secret@host/"),
        one(more=1),
        {"format_version": 1, "aliases": [{"name": "a", "server": SERVER}, {"name": "A", "server": SERVER}]},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, document):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / ALIASES_FILE).write_text(json.dumps(document))
    with pytest.raises(FormatError, match="settings cannot be used"):
        load_aliases(tmp_path)


def test_an_alias_is_one_whatever_its_spelling(tmp_path):
    aliases = ServerAliases(tmp_path)
    aliases.put(Alias("Sales", SERVER))
    aliases.put(Alias("SALES", "https://three/xmla"))
    assert aliases.all == (Alias("SALES", "https://three/xmla"),)
    assert aliases.find("sales") == Alias("SALES", "https://three/xmla")
    assert ServerAliases(tmp_path).all == aliases.all
    aliases.remove("sales")
    with pytest.raises(RequestError, match="there is no alias 'sales'"):
        aliases.remove("sales")


def test_there_is_an_end_to_them(tmp_path):
    many = [Alias(f"a{number}", SERVER) for number in range(ALIAS_COUNT_MAX + 1)]
    with pytest.raises(RequestError, match="1000 are allowed"):
        save_aliases(tmp_path, many)
    assert load_aliases(tmp_path) == ()
