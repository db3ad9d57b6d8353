"""What strangers and broken clients send: each is refused, and the server goes on as before."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import random
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from faces.served_process import PASSWORD
from faces.server.xmla import xmla_wire as wire
from formats.xmla import requests as written
from tabvault.faces.server.listening import listen
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.served_process import Served

MIB = 1 << 20
ENGINE = written.ENGINE
GROWTH_BYTE_COUNT_MAX = 200 * MIB
"""What a server may have more than before, whatever was sent: threads, buffers of a few requests, fragmentation."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for everything: what one test leaves behind, the next would meet."""
    data = tmp_path_factory.mktemp("hostile") / "data"
    with Vault(data) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
        vault.backup("shop", "shop.abf")
    with wire.serving(data) as made:
        for _ in range(3):  # what is loaded at the first request is not growth
            with wire.Client(made.url) as client:
                client.post(wire.statement("EVALUATE 'ABC'"))
        before = wire.resident_byte_count(made.process.pid)
        yield made
        assert wire.resident_byte_count(made.process.pid) - before < GROWTH_BYTE_COUNT_MAX


@pytest.fixture(autouse=True)
def alive(served: Served) -> Iterator[None]:
    """After each test the server answers a right request, and promptly."""
    yield
    begun = time.monotonic()
    with wire.Client(served.url) as client:
        answer = client.post(wire.statement("EVALUATE 'ABC'", catalog="shop"))
    assert (answer.status, answer.row_count) == (200, 6), answer
    assert time.monotonic() - begun < 5
    wire.assert_clean(served)


def send(served: Served, body: bytes, **headers: str) -> wire.Answer:
    with wire.Client(served.url) as client:
        return client.post(body, **headers)


# ---- bodies

EMPTY = wire.begin_session()
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (n + 1, n, n, n, n) for n in range(97, 117))
    + b"]>"
)
MALFORMED = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf",
    "no XML": b"GET / HTTP/1.1",
    "JSON": b'{"backup": {"database": "shop"}}',
    "bytes of a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "cut": EMPTY[: len(EMPTY) // 2],
    "twice": EMPTY + EMPTY,
    "no UTF-8": EMPTY.replace(b"Statement", b"State\xff\xfement"),
    "half a UTF-16": EMPTY.decode("utf-8-sig").encode("utf-16")[:-1],
    "a NUL": EMPTY.replace(b"Statement", b"State\0ment"),
    "a forbidden character": wire.execute("<Statement>&#0;</Statement>"),
    "entities that double": BOMB + EMPTY[3:].replace(b"<Statement/>", b"<Statement>&t;</Statement>"),
    "an external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + EMPTY[3:],
    "an external document type": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + EMPTY[3:],
    "an undeclared entity": wire.execute("<Statement>&e;</Statement>"),
    "a processing instruction": b'<?xml-stylesheet href="x"?>' + EMPTY[3:],
    "an inclusion": wire.execute('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'),
    "no envelope": b"<a/>",
    "an empty envelope": f'<Envelope xmlns="{written.SOAP}"/>'.encode(),
    "two commands": wire.execute("<Statement/><Statement/>"),
    "no command": wire.execute(""),
    "an unknown command": wire.execute(wire.engine("Explode")),
    "an unknown element": wire.execute(wire.engine("Backup", "<Object/><Fuse>1</Fuse>")),
    "depth": wire.execute("<a>" * 5000 + "</a>" * 5000),
    "depth of JSON": wire.statement('{"sequence":' * 20_000),
    "JSON lists": wire.statement("[" * 100_000),
    "a great number in JSON": wire.statement('{"sequence": {"maxParallelism": ' + "9" * 100_000 + "}}"),
    "attributes": wire.execute("<a " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>"),
    "one attribute twice": wire.execute('<a b="1" b="2"/>'),
    "a long name": wire.execute(f"<{'a' * 200_000}/>"),
    "namespaces": wire.execute("<a " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(20_000)) + "/>"),
    "an unknown rowset": written.discover(request_type="DISCOVER_EVERYTHING"),
    "a deep DAX statement": wire.statement("EVALUATE " + "(" * 50_000, catalog="shop"),
    "a deep question": wire.statement("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE " + "(" * 50_000),
    "ANDs": wire.statement("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE " + "NOT " * 50_000 + "TRUE"),
    "another language": wire.statement("DROP TABLE x"),
    "a long word": wire.statement("x" * 1_000_000),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_request_gets_a_fault_in_words(served: Served, what: str) -> None:
    begun = time.monotonic()
    answer = send(served, MALFORMED[what])
    assert answer.status in {200, 413}
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert answer.fault is not None
    assert "nternal error" not in answer.fault
    assert len(answer.body) < 10_000
    assert b"root:" not in answer.body
    assert time.monotonic() - begun < 10


GENUINE = [
    wire.begin_session(),
    written.discover(),
    written.discover("<RestrictionList><ObjectExpansion>ExpandFull</ObjectExpansion></RestrictionList>",
                     request_type="DISCOVER_XML_METADATA"),
    written.discover("<RestrictionList><CATALOG_NAME>shop</CATALOG_NAME></RestrictionList>",
                     request_type="DBSCHEMA_CATALOGS"),
    written.discover("<RestrictionList><DatabaseName>shop</DatabaseName></RestrictionList>",
                     request_type="TMSCHEMA_COLUMNS"),
    wire.statement("EVALUATE TOPN(3, 'ABC')", catalog="shop"),
    wire.statement("SELECT [CATALOG_NAME] FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE [CATALOG_NAME] = 'shop' ORDER BY 1"),
    wire.statement('{"delete": {"object": {"database": "no such"}}}'),
    wire.statement('{"createOrReplace": {"object": {"database": "no such", "table": "t"}, "table": {"name": "t"}}}'),
    written.execute(written.BACKUP),
    written.execute(written.RESTORE),
    written.execute(written.ALTER_TRACE),
    written.execute(written.BATCH),
    written.execute(wire.engine("Cancel", "<SessionID>B9B6A566</SessionID>")),
]  # fmt: skip


def mutated(random_source: random.Random) -> bytes:
    """A genuine request with a few changes: bytes, pieces cut out or doubled, tags of another one, great numbers."""
    body = bytearray(random_source.choice(GENUINE))
    for _ in range(random_source.randint(1, 4)):
        place = random_source.randrange(len(body))
        length = random_source.randint(1, 60)
        match random_source.randrange(7):
            case 0:
                body[place] ^= 1 << random_source.randrange(8)
            case 1:
                del body[place : place + length]
            case 2:
                body[place:place] = body[place : place + length]
            case 3:
                tags = re.findall(rb"<[^>]{1,80}>", random_source.choice(GENUINE))
                body[place:place] = random_source.choice(tags)
            case 4:
                body[place : place + 1] = random_source.randbytes(length)
            case 5:
                numbers = [match.span() for match in re.finditer(rb"\d+", body)] or [(0, 0)]
                start, end = random_source.choice(numbers)
                body[start:end] = random_source.choice([b"-1", b"99999999999999999999", b"0x7", b"1e999", b""])
            case _:
                texts = [match.span(1) for match in re.finditer(rb">([^<]+)<", body)] or [(0, 0)]
                start, end = random_source.choice(texts)
                body[start:end] = random_source.choice(
                    [b"", b"shop", b"&lt;" * 100, "\u202e\ud7ff".encode(), b"%s%n", b"' OR 1=1 --", b"x" * 5000]
                )
        if not body:
            body = bytearray(b"<")
    return bytes(body)


@pytest.mark.slow
def test_a_thousand_mutated_requests_get_a_thousand_answers(served: Served) -> None:
    random_source = random.Random(20_261_122)
    faults = 0
    # A mutated name of a database or file may be a good one: nothing that a request destroys is needed later.
    with wire.Client(served.url) as client:
        for number in range(1000):
            body = mutated(random_source)
            answer = client.post(body)
            assert answer.status in {200, 413}, (number, body)
            assert answer.body.endswith(b"Envelope>"), (number, body)
            assert b"nternal error" not in answer.body, (number, body, answer.fault)
            faults += answer.fault is not None
    assert 500 < faults < 1000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_before_it_is_all_there(served: Served, chunked: bool) -> None:
    before = wire.resident_byte_count(served.process.pid)
    with wire.connected(served) as connection:
        if chunked:
            connection.sendall(wire.head(*wire.AUTHORISED, "Transfer-Encoding: chunked"))
            piece = b"100000\r\n" + bytes(MIB) + b"\r\n"
            with contextlib.suppress(ConnectionError):
                for _ in range(70):
                    connection.sendall(piece)
        else:
            connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {1 << 40}"))
        connection.settimeout(20)
        with contextlib.suppress(ConnectionError):  # it may be gone before the answer was read
            assert b" 413 " in connection.recv(100)
    assert wire.resident_byte_count(served.process.pid) - before < 100 * MIB


def test_a_request_at_the_limit_of_elements_is_refused_in_bounded_time_and_memory(served: Served) -> None:
    before = wire.resident_byte_count(served.process.pid)
    answer = send(served, wire.execute("<a/>" * 10_000_000))
    assert answer.status == 413
    assert wire.resident_byte_count(served.process.pid) - before < GROWTH_BYTE_COUNT_MAX


def test_a_compressed_body_is_not_unpacked(served: Served) -> None:
    answer = send(served, gzip.compress(EMPTY), Content_Encoding="gzip")
    assert answer.fault is not None


# ---- HTTP


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a/b", ""])
def test_another_content_type_is_refused(served: Served, kind: str) -> None:
    """A page in a browser may send these to any address, with the password that the browser remembers."""
    answer = send(served, EMPTY, Content_Type=kind)
    assert answer.status == 415
    assert answer.fault is not None
    with wire.connected(served) as connection:  # none at all, as a page may send it too
        connection.sendall(wire.head(wire.AUTHORISED[0], f"Content-Length: {len(EMPTY)}", "Connection: close") + EMPTY)
        assert b" 415 " in wire.read_until_closed(connection)


@pytest.mark.parametrize("kind", ["text/xml", "TEXT/XML; charset=utf-8", "application/xml", "application/soap+xml"])
def test_the_types_of_soap_are_taken(served: Served, kind: str) -> None:
    assert send(served, EMPTY, Content_Type=kind).session_id


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_xmla_is_posted_and_nothing_else(served: Served, method: str) -> None:
    connection = http.client.HTTPConnection(*served.url.removeprefix("http://").split(":"), timeout=20)
    with contextlib.closing(connection):
        connection.request(method, "/xmla", headers=wire.HEADERS)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {405, 400}
        assert "access-control-allow-origin" not in {name.lower() for name, _ in answer.getheaders()}


def test_a_client_that_expects_a_continue_gets_one(served: Served) -> None:
    with wire.connected(served) as connection:
        lines = (*wire.AUTHORISED, "Expect: 100-continue", f"Content-Length: {len(EMPTY)}", "Connection: close")
        connection.sendall(wire.head(*lines))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(EMPTY)
        assert b"SessionId" in wire.read_until_closed(connection)


def test_a_chunked_body_with_a_byte_order_mark_is_read_however_it_is_cut(served: Served) -> None:
    for length in (1, 2, 3, 7, 10_000):
        pieces = [EMPTY[start : start + length] for start in range(0, len(EMPTY), length)]
        with wire.Client(served.url) as client:
            answer = client.post(iter(pieces), chunked=True, Transfer_Encoding="chunked")
        assert answer.session_id


def test_a_client_of_http_1_0_gets_an_answer_that_ends_with_the_connection(served: Served) -> None:
    with wire.connected(served) as connection:
        lines = (*wire.AUTHORISED, f"Content-Length: {len(EMPTY)}")
        connection.sendall(wire.head(*lines, version="1.0") + EMPTY)
        answer = wire.read_until_closed(connection)
    assert b" 200 " in answer[:20]
    assert answer.endswith(b"Envelope>")


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Long: " + "a" * 200_000],
        [f"X-{number}: a" for number in range(20_000)],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -1"],
        ["Content-Length: 99999999999999999999999999"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["No colon at all"],
        [" folded: yes"],
        ["Bad\x01name: x"],
        ["X: a\0b"],
    ],
    ids=lambda lines: lines[0][:20].encode("unicode_escape").decode(),
)
def test_a_head_that_cannot_be_right_ends_the_connection(served: Served, lines: list[str]) -> None:
    with wire.connected(served, timeout_s=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(wire.head(*wire.AUTHORISED, *lines))
            connection.sendall(b"5\r\n<a/>\n\r\n0\r\n\r\n")
        with contextlib.suppress(OSError):  # the server may have ended it already
            connection.shutdown(socket.SHUT_WR)
        answer = wire.read_until_closed(connection)
    assert answer == b"" or answer[9:12] in {b"400", b"413", b"431", b"501"} or b"faultstring" in answer


def test_requests_sent_at_once_are_answered_in_their_order(served: Served) -> None:
    bodies = [wire.statement(f"x{number}") for number in range(20)]
    with wire.connected(served) as connection:
        for number, body in enumerate(bodies):
            last = ["Connection: close"] if number == len(bodies) - 1 else []
            connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(body)}", *last) + body)
        answer = wire.read_until_closed(connection)
    found = re.findall(rb"<faultstring>[^<]*?x(\d+)", answer)
    assert [int(number) for number in found] == list(range(20))


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    """
    Nagle's algorithm and a delayed acknowledgement make 40 ms of every answer on an open connection.

    asyncio turns the first off for a connection whose listening socket was made with its protocol.
    """
    listeners = listen("127.0.0.1", 0, certificate=None, behind_proxy=False)
    try:
        assert {one.proto for one in listeners.sockets} == {socket.IPPROTO_TCP}
    finally:
        for one in listeners.sockets:
            one.close()


def test_two_credentials_are_not_one(served: Served) -> None:
    with wire.connected(served) as connection:
        lines = (*wire.AUTHORISED, wire.AUTHORISED[0], f"Content-Length: {len(EMPTY)}", "Connection: close")
        connection.sendall(wire.head(*lines) + EMPTY)
        assert b" 401 " in wire.read_until_closed(connection)[:20]


# ---- clients that are slow, or go away


def test_a_request_that_is_cut_in_the_middle_leaves_nothing_behind(served: Served) -> None:
    before = wire.open_file_count(served.process.pid), wire.thread_count(served.process.pid)
    for cut in range(0, len(EMPTY), max(1, len(EMPTY) // 30)):
        with wire.connected(served) as connection:
            connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(EMPTY)}") + EMPTY[:cut])
    deadline_s = time.monotonic() + 10
    while wire.open_file_count(served.process.pid) > before[0] and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert wire.open_file_count(served.process.pid) <= before[0]
    assert wire.thread_count(served.process.pid) <= max(before[1], 60)


def test_a_request_that_comes_byte_by_byte_is_answered(served: Served) -> None:
    with wire.connected(served) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = wire.head(*wire.AUTHORISED, f"Content-Length: {len(EMPTY)}", "Connection: close") + EMPTY
        for place in range(len(whole)):
            connection.sendall(whole[place : place + 1])
        assert b"SessionId" in wire.read_until_closed(connection)


def test_many_silent_connections_do_not_hold_up_the_others(served: Served) -> None:
    """Some say nothing, some a part of a head, some a part of a body: none of them holds a thread."""
    beginnings = [
        b"",
        b"POST /xmla HT",
        wire.head(*wire.AUTHORISED, "Content-Length: 5000") + b"<Envelope",
        wire.head("Content-Length: 5000"),
    ]
    with contextlib.ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(wire.connected(served))
            connection.sendall(beginnings[number % len(beginnings)])
        begun = time.monotonic()
        for _ in range(20):
            assert send(served, wire.statement("EVALUATE 'ABC'", catalog="shop")).row_count == 6
        assert time.monotonic() - begun < 20


# ---- names of files

ESCAPES = [
    "../x.abf",
    "..\\x.abf",
    "a/../../x.abf",
    "/etc/passwd",
    "//server/share/x.abf",
    "\\\\server\\share\\x.abf",
    "C:\\x.abf",
    "c:x.abf",
    "a/./../..//x.abf",
    "~/x.abf",
    "con",
    "x" * 5000,
    "a/" * 3000 + "x.abf",
    "%2e%2e%2fx.abf",
    "x.abf\n",
    "\u202ex.abf",
    " ",
]


@pytest.mark.parametrize("name", ESCAPES, ids=lambda name: name[:20].encode("unicode_escape").decode())
def test_no_name_of_a_file_leads_out_of_the_container(served: Served, name: str) -> None:
    container = served.data / "storage"
    outside = {path for path in served.data.rglob("*") if container not in path.parents and path.is_file()}
    outside |= set(served.data.parent.iterdir())
    text = wire.escaped(name)
    quoted = json.dumps(name)
    database = "<Object><DatabaseID>shop</DatabaseID></Object>"
    bodies = [
        wire.execute(wire.engine("Backup", f"{database}<File>{text}</File>")),
        wire.execute(wire.engine("Restore", f"<File>{text}</File><DatabaseName>new</DatabaseName>")),
        wire.execute(wire.engine("Restore", f"<File>shop.abf</File><DatabaseName>{text}</DatabaseName>")),
        wire.execute(wire.engine("Attach", f"<Folder>{text}</Folder>")),
        wire.statement(f'{{"backup": {{"database": "shop", "file": {quoted}}}}}'),
        wire.statement(f'{{"restore": {{"database": "new", "file": {quoted}}}}}'),
        wire.statement(f'{{"attach": {{"folder": {quoted}}}}}'),
        wire.statement("SystemGetSubdirs '" + name.replace("'", "''") + "'"),
        written.discover(
            f"<RestrictionList><LOCATION_BACKUP_FILE_PATHNAME>{text}</LOCATION_BACKUP_FILE_PATHNAME></RestrictionList>",
            request_type="DISCOVER_LOCATIONS",
        ),
    ]
    with wire.Client(served.url) as client:
        for body in bodies:
            answer = client.post(body)
            assert answer.status == 200
            assert b"nternal error" not in answer.body
            assert b"root:" not in answer.body
        for made in ("new", text):
            client.post(wire.execute(wire.engine("Delete", f"<Object><DatabaseID>{made}</DatabaseID></Object>")))
    state = served.data / "server"
    left = {path for path in served.data.rglob("*") if container not in path.parents and path.is_file()}
    left |= set(served.data.parent.iterdir())
    new = {path for path in left - outside if state not in path.parents}
    assert not new
    assert not (served.data.parent / "x.abf").exists()


def test_a_file_name_with_a_nul_is_no_xml_and_no_json_file(served: Served) -> None:
    answer = send(served, wire.statement('{"backup": {"database": "shop", "file": "a\\u0000.abf"}}'))
    assert answer.fault is not None
    assert "nternal error" not in answer.fault


# ---- answers that nobody reads


def test_a_trace_that_nobody_reads_does_not_grow_without_bound(served: Served) -> None:
    """Its events wait in a queue that has an end; who is asked for them meanwhile is not held up."""
    session_id = send(served, wire.begin_session()).session_id
    with contextlib.ExitStack() as stack:
        trace = wire.execute(written.ALTER_TRACE.replace("<Event><EventID>15</EventID><Columns/></Event>", ""))
        assert send(served, trace).fault is None
        for number in range(5):
            connection = stack.enter_context(wire.connected(served))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            body = wire.in_session(
                session_id,
                wire.engine(
                    "Subscribe", f"<Object><TraceID>T2</TraceID></Object><SubscriptionId>s{number}</SubscriptionId>"
                ),
            )
            connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(body)}") + body)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        before = wire.resident_byte_count(served.process.pid)
        with wire.Client(served.url) as client:
            begun = time.monotonic()
            for _ in range(100):
                client.post(wire.statement("no statement" + " " * 4000))
            assert time.monotonic() - begun < 60
        assert wire.resident_byte_count(served.process.pid) - before < 100 * MIB
    assert send(served, wire.execute(wire.engine("Delete", "<Object><TraceID>T2</TraceID></Object>"))).fault is None


def test_no_trace_tells_a_password(served: Served) -> None:
    secret = "Very-5ecret"
    session_id = send(served, wire.begin_session()).session_id
    subscription = wire.in_session(session_id, wire.engine("Subscribe", "<SubscriptionId>told</SubscriptionId>"))
    with wire.connected(served) as connection:
        connection.sendall(wire.head(*wire.AUTHORISED, f"Content-Length: {len(subscription)}") + subscription)
        received = bytearray()
        while b"</xsd:schema>" not in received:
            received += connection.recv(1 << 16)
        location = "SELECT * FROM $SYSTEM.DISCOVER_LOCATIONS WHERE LOCATION_BACKUP_FILE_PATHNAME = 'shop.abf' "
        commands = [
            f"<Statement>{location}AND LOCATION_PASSWORD = '{secret}'</Statement>",
            f'<Statement>{{"backup": {{"database": "shop", "file": "t.abf", "password": "{secret}"}}}}</Statement>',
            wire.engine("Restore", f"<File>shop.abf</File><DatabaseName>n</DatabaseName><Password>{secret}</Password>"),
            wire.engine("Batch", f"<Statement>{location}AND LOCATION_PASSWORD = '{secret}'</Statement>"),
        ]
        with wire.Client(served.url) as client:
            for command in commands:
                client.post(wire.in_session(session_id, command))
            client.post(
                wire.in_session(session_id, wire.engine("Unsubscribe", "<SubscriptionId>told</SubscriptionId>"))
            )
        connection.settimeout(20)
        while b"Envelope>" not in received[-20:]:
            received += connection.recv(1 << 16)
    assert received.count(b"<EventClass>15</EventClass>") == len(commands)
    assert secret.encode() not in received
    assert secret not in served.log.read_text()


def test_the_password_stands_nowhere(served: Served) -> None:
    for path in [served.log, *(path for path in (served.data / "server").rglob("*") if path.is_file())]:
        assert PASSWORD.encode() not in path.read_bytes()
