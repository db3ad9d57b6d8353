"""Secrets in connection strings and JSON are masked, nothing else is, and what is written back keeps them."""

# ruff: noqa: E501  # a text and what becomes of it stand in one line

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import RequestError
from tabvault.model.secrets import MASK, kept, masked, masked_connection_string


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("Data Source=s;Initial Catalog=c", "Data Source=s;Initial Catalog=c"),
        ("Data Source=s;PWD=hush", "Data Source=s;PWD=********"),
        ("Password = hush ;X=1", "Password = ********;X=1"),
        ('password="h;u""sh";X=1', "password=********;X=1"),
        ("User Password='h;u''sh'", "User Password=********"),
        ("Pwd={h;u}}sh};UID=me", "Pwd=********;UID=me"),
        ("Password==x=hush;Foo=", "Password==x=********;Foo="),
        ("Provider=SQLNCLI11;Data Source=x;Initial Catalog=y;", "Provider=SQLNCLI11;Data Source=x;Initial Catalog=y;"),
        ("Server=x;pwd = p;", "Server=x;pwd = ********;"),
        ("Driver={x};Server=y", "Driver={x};Server=y"),
        ("Encryption Key=a;Header=x;Authorization=Bearer y", "Encryption Key=********;Header=x;Authorization=********"),
        ("Password=;Persist Security Info=true", "Password=;Persist Security Info=true"),
        ("AccountKey=abc==;SharedAccessSignature=sv&sig", "AccountKey=********;SharedAccessSignature=********"),
        ("Url=https://h/p?sv=1&sig=hush&x=2", "Url=https://h/p?sv=1&sig=********&x=2"),
        ("Data Source=http://me:hush@host/", "Data Source=http://me:********@host/"),
        ('Extended Properties="Excel 12;Password=hush;HDR=YES"', 'Extended Properties="Excel 12;Password=********;HDR=YES"'),
        ('Extended Properties="Password=""h;ush"";X=1"', 'Extended Properties="Password=********;X=1"'),
        ("Key Column=a;Location=b;Mashup=UEs=", "Key Column=a;Location=b;Mashup=UEs="),
        ("CAAAAAIAAAhaac2PycKHGszrZS7Ix6knAUAytw/Dus+x8/hxRxPmGRgcq0na/wb7HxrPyNxwqdfo\nqQXr==", MASK),
        ("CAAAAAIAAAhaac2PycKHGszrZS7Ix6knAUAytwDusx8hxRxPmGRgcq0nawb7HxrPyNxwqdfoqQXr=", MASK),
        ("hunter2", MASK),
        ("Data Source=x;hunter2", MASK),
        ("=hunter2", MASK),
        ('Password="hush', MASK),
        ("X={open", MASK),
        ('X="a" b;Y=1', MASK),
    ],
)  # fmt: skip
def test_the_value_of_a_secret_key_is_masked(text, masked):
    assert masked_connection_string(text) == masked
    assert masked_connection_string(masked) == masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{ "a": 1 }', '{ "a": 1 }'),
        ('{"Username":"me","Password":"hush"}', '{"Username": "me", "Password": "********"}'),
        ('{"a":[{"accessToken":"hush"}]}', '{"a": [{"accessToken": "********"}]}'),
        ('{"a":{"secret":["hush", 1]}}', '{"a": {"secret": "********"}}'),
        ('{"credential":{"key":"hush","kind":"SQL"}}', '{"credential": {"key": "********", "kind": "SQL"}}'),
        ('{"Password":null}', '{"Password":null}'),
        ('{"url":"https://h/p?sig=hush"}', '{"url": "https://h/p?sig=********"}'),
        ("hush", MASK),
        ('{"Password":"hush","Password":""}', MASK),
        ('{"Password":"hush","n":"\\ud800"}', '{"Password": "********", "n": "\\ud800"}'),
        ("[" * 100_000, MASK),
        ('{"a":' * 400 + "1" + "}" * 400, None),
    ],
)
def test_the_value_of_a_secret_name_in_json_is_masked(text, shown):
    assert masked("DataSource", "Options", text) in ({shown} if shown is not None else {text, MASK})


@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(["", '"', "'", "{"]))
@settings(deadline=None, max_examples=200)
def test_a_password_never_comes_out_whatever_stands_around_it(before, after, quote):
    text = f"{before};Password={quote}s3cr3t-v4lue{'}' if quote == '{' else quote};{after}"
    assert "s3cr3t-v4lue" not in masked_connection_string(text)


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_text_is_masked_or_left(text):
    masked = masked_connection_string(text)
    assert masked_connection_string(masked) == masked


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_json_stays_json(value):
    json.loads(masked("DataSource", "Options", json.dumps(value)))


def test_a_hostile_text_takes_no_longer_than_its_length():
    for text in (" " * 1_000_000 + '="x', "=" * 999_999, '""' * 500_000, "a=" + '"' * 999_999, "://" * 300_000):
        masked_connection_string(text)


STORED = 'Data Source=s;User ID=u;PWD="h;u""sh";Extended Properties=\'Excel 12.0;Password="x;y";HDR=YES\';Url=http://me:hu@h/?sig=sh'


def test_a_text_that_is_the_stored_one_masked_is_the_stored_one():
    shown = masked("DataSource", "ConnectionString", STORED)
    assert shown.count(MASK) == 4
    assert kept("DataSource", "ConnectionString", shown, stored=STORED) == STORED
    for encrypted in ("CAAAAAIAAAhaac2PycKHGszrZS7Ix6kn/==", 'Password="open'):
        assert kept("DataSource", "ConnectionString", MASK, stored=encrypted) == encrypted
    assert kept("DataSource", "Password", MASK, stored="hush") == "hush"
    stored = '{ "Username":"me",\n"Password":"hush", "more": [{"url": "https://h/?sig=x"}] }'
    shown = masked("DataSource", "Credential", stored)
    assert kept("DataSource", "Credential", shown, stored=stored) == stored
    assert kept("DataSource", "Credential", json.dumps(json.loads(shown), indent=3), stored=stored) == stored


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Data Source=t;PWD=********", 'Data Source=t;PWD="h;u""sh"'),
        ("Data Source=t; pwd = '********' ;X=1", 'Data Source=t; pwd = "h;u""sh" ;X=1'),
        ("PWD=new;Data Source=********hush", "PWD=new;Data Source=********hush"),
        ('Extended Properties="Password=********;HDR=NO"', 'Extended Properties="Password=""x;y"";HDR=NO"'),
        ("Extended Properties=Password=********", 'Extended Properties="Password=""x;y"""'),
        ("Url=http://me:********@other/?a=b&sig=********", "Url=http://me:hu@other/?a=b&sig=sh"),
        ("Data Source=t", "Data Source=t"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_mask_in_a_changed_connection_string_is_the_stored_secret_of_its_key(given, meant):
    assert kept("DataSource", "ConnectionString", given, stored=STORED) == meant


def test_a_mask_in_changed_json_is_the_stored_secret_of_its_place():
    stored = '{"a":[{"Password":"one"},{"Password":"two"}],"Token":["x",1],"u":"http://h/?sig=s"}'
    given = '{"u":"http://i/?sig=********","Token":"********","a":[{"Password":"new"},{"Password":"********"}],"b":1}'
    meant = {"u": "http://i/?sig=s", "Token": ["x", 1], "a": [{"Password": "new"}, {"Password": "two"}], "b": 1}
    assert json.loads(kept("DataSource", "Credential", given, stored=stored)) == meant


@pytest.mark.parametrize(
    ("column", "given", "stored", "message"),
    [
        ("ConnectionString", "Data Source=s;Password=********", STORED, "DataSource.ConnectionString, key 'password': "),
        ("ConnectionString", "Data Source=********", STORED, "key 'data source'"),
        ("ConnectionString", "PWD=********;pwd=********", STORED, "key 'pwd'"),
        ("ConnectionString", "Url=http://you:********@h", STORED, "key 'url', key 'you'"),
        ("ConnectionString", "Extended Properties='PWD=********'", STORED, "key 'extended properties', key 'pwd'"),
        ("ConnectionString", "Data Source=s;PWD=********", "CAAAAAIAAAhaac2PycKHGszrZS7==", "key 'pwd'"),
        ("ConnectionString", MASK, STORED, "ConnectionString: "),
        ("ConnectionString", "Data Source=s;PWD=********", "", "key 'pwd'"),
        ("Password", MASK, "", "DataSource.Password: "),
        ("Credential", '{"a":[{"Password":"********"}]}', '{"Password":"hush"}', "key 'a', key '0', key 'password'"),
        ("Credential", MASK, '{"Password":"hush"}', "Credential: "),
    ],
)  # fmt: skip
def test_a_mask_that_no_stored_secret_is_meant_by_is_refused_with_its_key(column, given, stored, message):
    with pytest.raises(RequestError, match=re.escape(message)) as raised:
        kept("DataSource", column, given, stored=stored)
    assert "hush" not in str(raised.value)


def test_a_mask_in_a_new_object_says_that_there_is_no_secret():
    assert kept("DataSource", "ConnectionString", "Data Source=s;PWD=********", stored=None) == (
        "Data Source=s;PWD=********"
    )
    assert kept("DataSource", "Password", MASK, stored=None) == MASK


def test_what_holds_no_secrets_is_left_alone():
    assert kept("Measure", "Expression", f'"{MASK}"', stored=None) == f'"{MASK}"'
    assert masked("Measure", "Expression", "Password=x") == "Password=x"
    assert masked("DataSource", "Password", "") == ""


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.sampled_from(["", '"', "'"]), st.text("ab;='\"", max_size=8))  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_whatever_is_stored_comes_back_when_its_mask_is_written(around, quote, secret):
    doubled = secret.replace(quote, quote * 2) if quote else secret
    stored = f"Data Source={around};Password={quote}{doubled}{quote}"
    shown = masked_connection_string(stored)
    assert kept("DataSource", "ConnectionString", shown, stored=stored) == stored
