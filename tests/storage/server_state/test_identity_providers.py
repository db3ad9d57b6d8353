"""Which issuers may be configured, and how they are kept."""

from __future__ import annotations

import json

import pytest

from tabvault.errors import FormatError, RequestError
from tabvault.storage.server_state.identity_providers import (
    IdentityProvider,
    load_identity_providers,
    save_identity_providers,
)

ENTRA = IdentityProvider(
    issuer="https://login.example/tenant/v2.0",
    audiences=("api://tabvault", "other"),
    tenant="tenant",
    administrators=("alice@contoso.com", "obj:g@tenant"),
)


def test_what_was_saved_is_loaded(tmp_path):
    given = IdentityProvider("http://127.0.0.1:9/x", ("a",), jwks=json.dumps({"keys": []}))
    saved = (ENTRA, given, IdentityProvider("https://b", ("a",), jwks_uri="https://b/keys"))
    save_identity_providers(tmp_path, saved)
    assert load_identity_providers(tmp_path) == saved


def test_without_a_file_there_are_none(tmp_path):
    assert load_identity_providers(tmp_path) == ()


@pytest.mark.parametrize(
    "address",
    [
        "http://login.example/",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
        "file:///etc/passwd",
        "ftp://login.example/",
        "https://",
        "https:///path",
        "https://user:secret@login.example/",
        "https://login.example/#part",
        "https://login.example/a b",
        "https://login.example/\n",
        "https://login.example:99999/",
        "https://[::1",
        "login.example",
        "",
    ],
)
def test_an_address_that_is_not_https_is_refused(address):
    with pytest.raises(RequestError, match="is not an https address"):
        IdentityProvider(address, ("a",))
    with pytest.raises(RequestError, match="is not an https address"):
        IdentityProvider("https://login.example", ("a",), jwks_uri=address)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "127.9.9.9", "[::1]:8080", "localhost"])
def test_plain_http_is_allowed_on_loopback(host):
    assert IdentityProvider(f"http://{host}/", ("a",)).issuer == f"http://{host}/"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"audiences": ()}, "audience"),
        ({"audiences": ("a", "")}, "audience"),
        ({"audiences": ("a",), "jwks": "{", "jwks_uri": None}, "not JSON"),
        ({"audiences": ("a",), "jwks": "{}", "jwks_uri": "https://b"}, "an address for them too"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(arguments, problem):
    with pytest.raises(RequestError, match=problem):
        IdentityProvider("https://b", **arguments)


def test_two_providers_of_one_issuer_are_refused(tmp_path):
    with pytest.raises(RequestError, match="one issuer"):
        save_identity_providers(tmp_path, (ENTRA, ENTRA))
    assert load_identity_providers(tmp_path) == ()


def test_a_provider_in_the_file_that_cannot_be_is_refused(tmp_path):
    save_identity_providers(tmp_path, (ENTRA,))
    path = tmp_path / "server" / "identity-providers.json"
    path.write_text(path.read_text().replace("https://login", "http://login"))
    with pytest.raises(FormatError, match=r"providers\[0\] is not usable: 'http://login"):
        load_identity_providers(tmp_path)
