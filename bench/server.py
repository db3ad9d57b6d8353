"""
The server as its clients see it: requests a second, the slowest of a hundred, and a rowset of a million rows.

The server is ``tabvault serve`` in a process of its own, the clients are threads of another process, over HTTP on the
loopback interface. The physical limit is the same server program (uvicorn) and the same client with the same number of
bytes, which come from a file: what a request costs besides is ours.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tabvault.jobs.vault import Vault
from tabvault.testing.large_database import make_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

SAMPLE = "Hugoberry__DataModel.abf"
TABLE = "Date"
"""It has five columns: a date, numbers and texts."""

ROW_COUNT = 1_000_000
PASSWORD = "only for the benchmark"
CLIENT_COUNT = 8
MEASURED_S = 5.0
RUNS = 3
GOAL_S = 8.0

_HEADERS = {
    "Content-Type": "text/xml",
    "Authorization": "Basic " + base64.b64encode(f"bench:{PASSWORD}".encode()).decode(),
}
_ENVELOPE = '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>{}</Body></Envelope>'
_ANALYSIS = "urn:schemas-microsoft-com:xml-analysis"


def discover() -> bytes:
    return _ENVELOPE.format(
        f'<Discover xmlns="{_ANALYSIS}"><RequestType>TMSCHEMA_COLUMNS</RequestType><Restrictions><RestrictionList>'
        "<DatabaseName>large</DatabaseName></RestrictionList></Restrictions><Properties/></Discover>"
    ).encode()


def evaluate(row_count: int) -> bytes:
    return _ENVELOPE.format(
        f'<Execute xmlns="{_ANALYSIS}"><Command>'
        f"<Statement>EVALUATE TOPN({row_count}, '{TABLE}')</Statement></Command>"
        "<Properties><PropertyList><Catalog>large</Catalog></PropertyList></Properties></Execute>"
    ).encode()


@dataclass(frozen=True)
class Asked:
    """What many clients found in :data:`MEASURED_S` seconds."""

    per_s: float
    median_s: float
    p99_s: float
    byte_count: int


def report(samples: Path, scratch: Path) -> list[str]:
    """Lines of Markdown: tables, and what they show."""
    data = scratch / "served"
    make_served(data, samples)
    with _server(data, scratch) as (url, process_id):
        rows = []
        memory_before = _resident(process_id)
        for name, body in (("Discover TMSCHEMA_COLUMNS", discover()), ("EVALUATE TOPN(1000, …)", evaluate(1000))):
            asked = _in_a_client(_many, url, "/xmla", body)
            with _file_server(scratch, asked.byte_count) as file_url:
                limit = _in_a_client(_many, file_url, "/", b"")
            rows.append((name, asked, limit))
        seconds, byte_count, found = _in_a_client(_long, url, "/xmla", evaluate(ROW_COUNT))
        with _file_server(scratch, byte_count) as file_url:
            limit_s, _, _ = _in_a_client(_long, file_url, "/", b"")
        memory = _resident(process_id)
    if found != ROW_COUNT:
        raise RuntimeError(f"the answer has {found} rows, not {ROW_COUNT}")
    return [
        f"{CLIENT_COUNT} clients at once for {MEASURED_S:g} s; the limit is uvicorn with a file of the same bytes.",
        "",
        "| request | bytes | requests/s | median, ms | p99, ms | of the limit |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {asked.byte_count:,} | {asked.per_s:,.0f} | {asked.median_s * 1e3:,.1f} | "
            f"{asked.p99_s * 1e3:,.1f} | {asked.per_s / limit.per_s:.2f} |"
            for name, asked, limit in rows
        ),
        "",
        f"{ROW_COUNT:,} rows of 5 columns over XMLA, one client, median of {RUNS}:",
        "",
        "| seconds | MB | MB/s | of the limit | memory of the server before and after, MiB |",
        "| ---: | ---: | ---: | ---: | ---: |",
        (
            f"| {seconds:.2f} | {byte_count / 1e6:,.0f} | {byte_count / seconds / 1e6:,.0f} | "
            f"{limit_s / seconds:.2f} | {memory_before / 2**20:,.0f}, {memory / 2**20:,.0f} |"
        ),
        "",
        f"Goal: under {GOAL_S:g} s.",
    ]


def make_served(data: Path, samples: Path) -> None:
    """A database ``large`` whose table :data:`TABLE` has at least :data:`ROW_COUNT` rows."""
    with Vault(data) as vault:
        vault.import_file(str(samples / SAMPLE), "small")
        with vault.open("small") as opened:
            table = next(table for table in opened.tables if table.name == TABLE)
            times = -(-ROW_COUNT // table.row_count)
        # It is asked for by bytes; half a repetition more, for it is rounded down.
        byte_count = _repeated_byte_count(vault) * (2 * times + 1) // 2
        make_large(vault.own_folder, "small", "large", byte_count=byte_count)
        vault.drop("small")


def _repeated_byte_count(vault: Vault) -> int:
    """Bytes of the files that are repeated: the columns of the user tables."""
    with vault.open("small") as opened:
        files = {
            part.idf_file
            for table in opened.model.tables
            for column in table.columns
            if column.storage is not None
            for part in column.storage.partitions
            if part.idf_file is not None and part.idfmeta_file is not None
        }
    with vault.own_folder.read("small") as version:
        return sum(version.byte_count(file) for file in files)


@contextlib.contextmanager
def _server(data: Path, scratch: Path) -> Iterator[tuple[str, int]]:
    password = scratch / "bench.password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    login = ["--admin-user", "bench", "--admin-password-file", str(password)]
    with (scratch / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tabvault", "serve", "--json", "--port", "0", "--data", str(data), *login],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with _ended(process):
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid


@contextlib.contextmanager
def _file_server(scratch: Path, byte_count: int) -> Iterator[str]:
    """Uvicorn with one answer: a file of that many bytes."""
    content = scratch / "content"
    content.write_bytes(b"x" * byte_count)
    process = subprocess.Popen([sys.executable, __file__, str(content)], stdout=subprocess.PIPE)
    with _ended(process):
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _resident(process_id: int) -> int:
    with open(f"/proc/{process_id}/statm", encoding="ascii") as file:  # noqa: PTH123 - not a file of a folder of ours
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _in_a_client(ask: Callable[[str, str, bytes], object], url: str, path: str, body: bytes):
    """What *ask* returns in another process: the clients must not take turns with anything else."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, ask, url, path, body))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _send_result(
    sender: Connection, ask: Callable[[str, str, bytes], object], url: str, path: str, body: bytes
) -> None:
    sender.send(ask(url, path, body))


def _many(url: str, path: str, body: bytes) -> Asked:
    """Clients that ask again and again."""
    times: list[float] = []
    byte_counts: set[int] = set()
    begun = threading.Barrier(CLIENT_COUNT + 1)

    def client() -> None:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            _ask(connection, path, body)
            begun.wait()
            end_s = time.perf_counter() + MEASURED_S
            while (asked_s := time.perf_counter()) < end_s:
                byte_counts.add(len(_ask(connection, path, body)))
                times.append(time.perf_counter() - asked_s)

    threads = [threading.Thread(target=client) for _ in range(CLIENT_COUNT)]
    for thread in threads:
        thread.start()
    begun.wait()
    begun_s = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun_s
    slowest = statistics.quantiles(times, n=100)[98]
    return Asked(len(times) / seconds, statistics.median(times), slowest, max(byte_counts))


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    connection.request("POST", path, body, _HEADERS)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200 or b"<faultstring>" in content:
        raise RuntimeError(f"{answer.status}: {content[:500]!r}")
    return content


def _long(url: str, path: str, body: bytes) -> tuple[float, int, int]:
    """Median seconds of one long answer, its bytes, and the rows in it; it is read away as it comes."""
    times = []
    for _ in range(RUNS):
        with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)) as connection:
            begun_s = time.perf_counter()
            connection.request("POST", path, body, _HEADERS)
            answer = connection.getresponse()
            byte_count = row_count = 0
            tail = b""
            while piece := answer.read(1 << 20):
                byte_count += len(piece)
                row_count += len(re.findall(b"<row>", tail + piece))
                tail = piece[-4:]
            times.append(time.perf_counter() - begun_s)
    return statistics.median(times), byte_count, row_count


def _serve_file(content: Path) -> None:
    """The limit: a file, and nothing to decide."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import FileResponse
    from starlette.routing import Route

    async def answer(request):
        await request.body()
        return FileResponse(content, media_type="text/xml")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(listener.getsockname()[1], flush=True)
        application = Starlette(routes=[Route("/", answer, methods=["POST"])])
        config = uvicorn.Config(application, http="h11", ws="none", lifespan="off", log_config=None)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    from pathlib import Path

    _serve_file(Path(sys.argv[1]))
