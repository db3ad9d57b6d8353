"""Any bytes are a request or a named error, in bounded time and memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import REPOSITORY, missing
from formats.xmla import requests as written
from tabvault.errors import RequestError, RequestTooLargeError
from tabvault.formats.xmla import xml_tree
from tabvault.formats.xmla.request import Request, parse_request

CAPTURES = Path(os.environ.get("TABVAULT_CAPTURES", REPOSITORY.parent / "shared" / "interop" / "captures"))

REQUESTS = {
    "session": written.envelope("<Execute><Command><Statement/></Command></Execute>", written.BEGIN_SESSION),
    "discover": written.discover("<RestrictionList><A>1</A></RestrictionList>"),
    "backup": written.execute(written.BACKUP),
    "restore": written.execute(written.RESTORE),
    "trace": written.execute(written.ALTER_TRACE),
    "batch": written.execute(written.BATCH),
    "parameters": written.execute("<Statement>x</Statement>", parameters=written.PARAMETERS),
}


def parsed(body: bytes) -> Request | RequestError:
    try:
        return parse_request(body)
    except RequestError as error:
        return error


@pytest.mark.parametrize("name", REQUESTS)
def test_every_prefix_is_refused(name):
    body = REQUESTS[name].rstrip()
    assert isinstance(parsed(body), Request)
    for length in range(len(body)):
        assert isinstance(parsed(body[:length]), RequestError), length


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_a_changed_byte_gives_a_request_or_a_named_error(name, data):
    body = bytearray(REQUESTS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(parsed(bytes(body)), Request | RequestError)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_a_moved_piece_gives_a_request_or_a_named_error(name, data):
    body = REQUESTS[name]
    cut, end, to = (data.draw(st.integers(0, len(body))) for _ in range(3))
    moved = body[:to] + body[min(cut, end) : max(cut, end)] + body[to:]
    assert isinstance(parsed(moved), Request | RequestError)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body):
    assert isinstance(parsed(body), RequestError)


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        "<?xml version='1.0'?>\n<!-- > --><!DOCTYPE a>",
        "<!ENTITY a 'b'>",
    ],
)
def test_a_document_type_is_refused_before_it_is_parsed(prologue):
    with pytest.raises(RequestError, match="document type declaration") as refused:
        parse_request((prologue + written.discover().decode().lstrip("\ufeff")).encode())
    assert refused.value.line == prologue[: prologue.index("<!DOC" if "<!DOC" in prologue else "<!E")].count("\n") + 1


@pytest.mark.parametrize("place", ["<?p i?>{}", "{}<?p i?>", "<!-- c --><?p?>{}"])
def test_a_processing_instruction_is_refused(place):
    body = place.format(written.discover().decode().lstrip("\ufeff")).encode()
    with pytest.raises(RequestError, match="processing instruction"):
        parse_request(body)
    with pytest.raises(RequestError, match="processing instruction"):
        parse_request(written.execute("<Statement>a<?p i?></Statement>"))


def test_an_undeclared_entity_is_refused():
    with pytest.raises(RequestError, match="undeclared entity") as refused:
        parse_request(written.execute("<Statement>\n&xxe;</Statement>"))
    assert refused.value.line == 5
    assert refused.value.column is not None


def test_nesting_is_bounded():
    deep = written.execute("<a>" * 300 + "</a>" * 300)
    with pytest.raises(RequestTooLargeError, match="nested deeper than 256"):
        parse_request(deep)
    conditions = written.ALTER_TRACE.replace("<And>", "<Not>" * 200 + "<And>").replace(
        "</And>", "</And>" + "</Not>" * 200
    )
    assert isinstance(parsed(written.execute(conditions)), Request)


def test_bytes_elements_attributes_and_texts_are_bounded(monkeypatch):
    with pytest.raises(RequestTooLargeError, match="nested deeper than 256, or has a text over 10000000 bytes"):
        parse_request(written.execute(f"<Statement>{'x' * 10_000_001}</Statement>"))
    with pytest.raises(RequestTooLargeError, match="attributes"):
        parse_request(written.execute("<Statement" + "".join(f" a{n}=''" for n in range(500_001)) + "/>"))
    with pytest.raises(RequestTooLargeError, match="elements are over the limit of 2000000"):
        parse_request(written.execute("<a/>" * 2_000_001))
    monkeypatch.setattr(xml_tree, "REQUEST_BYTE_COUNT_MAX", 1000)
    with pytest.raises(RequestTooLargeError, match="1001 bytes is over the limit of 1000"):
        parse_request(b" " * 1001)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_known_by_its_byte_order_mark(encoding):
    text = written.execute("<Statement>é€😀</Statement>").decode()
    declared = '\ufeff<?xml version="1.0" encoding="utf-16"?>' + text.lstrip("\ufeff")
    assert parsed(text.encode(encoding)) == parsed(text.encode()) == parsed(declared.encode(encoding))
    assert isinstance(parsed(text.lstrip("\ufeff").encode(encoding)), RequestError)


def test_an_encoding_that_the_bytes_are_not_in_is_refused():
    body = written.execute("<Statement>é</Statement>").lstrip(b"\xef\xbb\xbf")
    assert isinstance(parsed(b'<?xml version="1.0" encoding="UTF-8"?>' + body), Request)
    with pytest.raises(RequestError, match="says it is 'iso-8859-1' and is utf-8"):
        parse_request(b'<?xml version="1.0" encoding="iso-8859-1"?>' + body)
    with pytest.raises(RequestError, match="not valid utf-8"):
        parse_request(body.replace("é".encode(), b"\xe9"))


def test_what_is_no_soap_request_is_refused():
    for body, message in (
        (b"", "document empty"),
        (b"<a/>", "'a' is no SOAP envelope"),
        (b"<Envelope/>", "'Envelope' is no SOAP envelope"),
        (written.envelope(""), "holds 0 elements"),
        (written.envelope("<Other/>"), "not Discover or Execute"),
        (written.envelope("<Authenticate/>"), "authentication inside SOAP is not supported"),
    ):
        with pytest.raises(RequestError, match=message):
            parse_request(body)


def test_every_request_that_was_captured_from_a_client_is_read():
    captured = sorted(CAPTURES.glob("*/*.req.txt"))
    if not captured:
        missing(f"captured requests are not at {CAPTURES} (set TABVAULT_CAPTURES)")
    for path in captured:
        content = path.read_bytes()
        parse_request(content[content.index(b"\xef\xbb\xbf") :])
