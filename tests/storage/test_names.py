"""Names of objects and containers: a table by hand, and no accepted name that leaves the container."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabvault.errors import InvalidNameError
from tabvault.storage.names import check_container_name, check_object_name

ACCEPTED = {
    "x.abf": "x.abf",
    "sales/monday.abf": "sales/monday.abf",
    "/sales/monday.abf": "sales/monday.abf",
    "\\sales\\monday.abf": "sales/monday.abf",
    "sales\\2024/monday.abf": "sales/2024/monday.abf",
    "/etc/passwd": "etc/passwd",
    "Adventure Works (1).abf": "Adventure Works (1).abf",
    " leading space": " leading space",
    "x": "x",
    "a..b": "a..b",
    "no extension/at all": "no extension/at all",
    "CONSOLE.abf": "CONSOLE.abf",
    "COM10.abf": "COM10.abf",
    "mycon.abf": "mycon.abf",
    "Müller.abf": "Müller.abf",
    "Mu\N{COMBINING DIAERESIS}ller.abf": "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.abf",
    # Normalised first: what was typed is one letter, not a letter that Windows forbids.
    "<\N{COMBINING LONG SOLIDUS OVERLAY}.abf": "\N{NOT LESS-THAN}.abf",
    "売上/月曜.abf": "売上/月曜.abf",
    # Persian and Indic words are not spelled right without joiners.
    "می\N{ZERO WIDTH NON-JOINER}خواهم.abf": "می\N{ZERO WIDTH NON-JOINER}خواهم.abf",
    "🙂.abf": "🙂.abf",
    "x" * 255: "x" * 255,
    "/".join("d" * 254): "/".join("d" * 254),
    "~$&'()+,;=@[]{}!#%^`_-": "~$&'()+,;=@[]{}!#%^`_-",
}

REFUSED = [
    ("", "empty"),
    ("/", "empty"),
    ("\\", "empty"),
    ("a//b", "empty"),
    ("a/", "empty"),
    ("a\\", "empty"),
    (".", "dot"),
    ("..", "dot"),
    ("../x.abf", "dot"),
    ("a/../../x.abf", "dot"),
    ("a\\..\\x.abf", "dot"),
    ("./x.abf", "dot"),
    (".tabvault-uploads/x", "dot"),
    ("a/.hidden", "dot"),
    ("//server/share/x.abf", "network path"),
    ("\\\\server\\share\\x.abf", "network path"),
    ("\\\\?\\C:\\x.abf", "network path"),
    ("/\\x", "network path"),
    ("C:\\backups\\x.abf", "drive letter"),
    ("c:x.abf", "drive letter"),
    ("/C:/x.abf", "drive letter"),
    ("x.abf:stream", "contains :"),
    ("a<b", "contains <"),
    ("a>b", "contains >"),
    ('a"b', 'contains "'),
    ("a|b", r"contains \|"),
    ("what?", r"contains \?"),
    ("*.abf", r"contains \*"),
    ("a\0b", r"U\+0000"),
    ("a\nb", r"U\+000A"),
    ("a\x7fb", r"U\+007F"),
    ("a\x85b", r"U\+0085"),
    ("a\N{LINE SEPARATOR}b", r"U\+2028"),
    ("a\N{RIGHT-TO-LEFT OVERRIDE}fba.exe", r"U\+202E"),
    ("a\N{FIRST STRONG ISOLATE}b", r"U\+2068"),
    ("a\ud800b", r"U\+D800"),
    ("a\udcffb", r"U\+DCFF"),
    ("a\ufffeb", r"U\+FFFE"),
    ("a\U0001ffffb", r"U\+1FFFF"),
    ("a\ufdd0b", r"U\+FDD0"),
    ("x.", "ends with"),
    ("x ", "ends with"),
    ("x\N{NO-BREAK SPACE}", "ends with"),
    ("folder./x.abf", "ends with"),
    ("folder /x.abf", "ends with"),
    (" ", "ends with"),
    ("CON", "device"),
    ("nul.abf", "device"),
    ("a/Aux.tar.gz", "device"),
    ("COM1", "device"),
    ("lpt9.abf", "device"),
    ("COM¹.abf", "device"),
    ("PRN .abf", "device"),
    ("conin$", "device"),
    ("x" * 256, "256 bytes"),
    ("ä" * 128, "256 bytes"),
    ("/".join("d" * 255), "255 path segments"),
    ("/".join(["x" * 200] * 6), "1205 characters"),
]


@pytest.mark.parametrize(("name", "spelling"), ACCEPTED.items())
def test_a_good_name_has_one_spelling(name, spelling):
    assert check_object_name(name) == spelling


@pytest.mark.parametrize(("name", "reason"), REFUSED, ids=[ascii(name)[:40] for name, _ in REFUSED])
def test_a_bad_name_is_refused_with_the_reason(name, reason):
    with pytest.raises(InvalidNameError, match=reason) as caught:
        check_object_name(name)
    assert caught.value.hint is not None
    # What is shown to the user can be shown: it is one line of valid Unicode.
    assert caught.value.message.encode().decode().isprintable()


def test_a_very_long_name_is_refused_by_its_length_and_not_repeated():
    with pytest.raises(InvalidNameError, match="16777216 characters") as caught:
        check_object_name("../" + "a" * ((1 << 24) - 3))
    assert len(caught.value.message) < 100


NASTY_PARTS = [
    *("..", ".", "", " ", "~", "a", "b.abf", "C:", "CON", "nul.x", "\0", "\N{FULLWIDTH SOLIDUS}", "\N{ONE DOT LEADER}"),
    *("\N{TWO DOT LEADER}", "\N{COMBINING LONG SOLIDUS OVERLAY}", "e\N{COMBINING ACUTE ACCENT}", "\ud800", "%2e%2e"),
    *("\N{FRACTION SLASH}", "..%00", ".tabvault-uploads", "\N{GREEK QUESTION MARK}", "\N{KELVIN SIGN}"),
]
nasty_names = st.lists(st.sampled_from([*NASTY_PARTS, "/", "\\", "//"]), max_size=8).map("".join)


@settings(deadline=None, max_examples=1500)
@given(st.one_of(nasty_names, st.text(max_size=40)))
@example("a/" * 253 + "a")
def test_no_accepted_name_leaves_the_container(name):
    try:
        spelling = check_object_name(name)
    except InvalidNameError:
        return
    assert os.path.normpath(f"/account/container/{spelling}") == f"/account/container/{spelling}"
    for component in spelling.split("/"):
        assert component
        assert not component.startswith(".")
        assert len(os.fsencode(component)) <= 255
        assert not set(component) & set('\0\\<>:"|?*')
    assert unicodedata.is_normalized("NFC", spelling)
    assert check_object_name(spelling) == spelling


@pytest.mark.parametrize("name", ["abc", "backups", "a-b-c", "2024", "0-0", "x" * 63])
def test_a_good_container_name_is_taken_as_it_is(name):
    assert check_container_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "x" * 64, "Backups", "a--b", "-abc", "abc-", "a_b", "a.b", "a b", "abc\n", "äbc", "..", "a/b"),
        *("$root", "a٣b", "a-" * 1_000_000),
    ],
    ids=lambda name: ascii(name)[:20],
)
def test_a_bad_container_name_is_refused(name):
    with pytest.raises(InvalidNameError, match="container") as caught:
        check_container_name(name)
    assert len(caught.value.message) < 200
