"""The grammar of connection strings."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import SourceError
from tabvault.sources.connection_string import connection_pairs, odbc_text


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Server=a;Database=b", {"Server": "a", "Database": "b"}),
        (" Server = a ;; Database=b; ", {"Server": "a", "Database": "b"}),
        ('Password="a;b""c";User ID=x', {"Password": 'a;b"c', "User ID": "x"}),
        ("Password='a;b''c'", {"Password": "a;b'c"}),
        ("Driver={My } Driver};Server=s", None),
        ("Driver={My }} Driver};Server=s", {"Driver": "My } Driver", "Server": "s"}),
        ("Password=a=b", {"Password": "a=b"}),
        ("Provider=X;Extended Properties=\"DSN=a;UID='b'\"", {"Provider": "X", "Extended Properties": "DSN=a;UID='b'"}),
        ("a==b=c", {"a=b": "c"}),
        ("Password=", {"Password": ""}),
        ("", {}),
        ("Server", None),
        ("=a", None),
        ("Server=a;server=b", None),
        ('Password="a', None),
        ("Driver={a", None),
        ("AQAAANCMnd8BFdERjHoAwE/Cl+sBAAAA==", None),
    ],
)
def test_pairs_are_read_as_ole_db_and_odbc_write_them(text: str, pairs: dict[str, str] | None) -> None:
    if pairs is None:
        with pytest.raises(SourceError):
            connection_pairs(text)
    else:
        assert connection_pairs(text) == pairs


def test_an_error_tells_no_value() -> None:
    with pytest.raises(SourceError) as caught:
        connection_pairs('Password=hunter2;Server="a')
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


def test_a_hostile_text_takes_no_time() -> None:
    for text in ("=" * 60_000, '"' * 60_000, "a=" + "{" * 60_000, "a" * 60_000, "a=b;" * 15_000, " " * 60_000 + "="):
        with pytest.raises(SourceError):
            connection_pairs(text)
    with pytest.raises(SourceError, match="longer than"):
        connection_pairs("a=b;" * 100_000)


names = st.text(string.ascii_letters + "_ ", min_size=1, max_size=8).map(lambda text: "k" + text.strip())


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=12).map(str.strip), max_size=4))
def test_what_is_written_for_odbc_is_read_back(pairs: dict[str, str]) -> None:
    pairs = {key: value for key, value in pairs.items() if [other.lower() for other in pairs].count(key.lower()) == 1}
    assert connection_pairs(odbc_text(pairs)) == pairs


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_any_text_is_pairs_or_an_error(text: str) -> None:
    with contextlib.suppress(SourceError):
        assert all(isinstance(value, str) for value in connection_pairs(text).values())
