"""The files of the backup storage on the command line: listed with what they are, put in parts, network rules."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from ipaddress import ip_network
from typing import TYPE_CHECKING, Self

import httpx
import pytest

from conftest import sample_path
from faces.program import COMMAND, TIMEOUT_S, environment, run
from faces.served_process import PASSWORD, serve, wait_for
from tabvault.faces.cli.remote import uploads
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.network_rules import NetworkRules, load_network_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces.served_process import Served

PLAIN = "Hugoberry__DataModel_uncompressed.abf"
REPORT = "Hugoberry__abc.pbix"
FILES = {"sales/plain.abf": PLAIN, "sales/2026/report.pbix": REPORT}
HEADER = "name\tsize\tmodified\tkind\tencrypted\tdatabase\tlevel\tcompatible\tmade by\tremark"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("listed") / "data") as running:
        for name, sample in FILES.items():
            content, headers = sample_path(sample).read_bytes(), {"Content-Type": "application/octet-stream"}
            place = f"{running.url}/api/files/{name}"
            put = httpx.put(place, content=content, headers=headers, auth=("alice", PASSWORD), timeout=TIMEOUT_S)
            assert put.status_code == 201
        yield running


def rows_of(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_a_folder_is_listed_with_its_folders_first_and_what_its_files_are(served: Served):
    listed = served.run("storage", "list", "sales", "--details")
    header, folder, plain = rows_of(listed.out)
    assert "\t".join(header) == HEADER
    assert (folder[:2], folder[3:]) == (["sales/2026/", "24325"], ["folder", *"------"])
    id_ = "0a592551-1fdd-4ecc-8eb6-8240e618bc13"
    assert plain[:2] == ["sales/plain.abf", "1011712"]
    assert plain[3:] == ["abf", "no", id_, "1550", "yes", "Power BI Desktop", "-"]


def test_without_a_folder_every_file_is_listed_as_before(served: Served):
    header, *rows = rows_of(served.run("storage", "list").out)
    assert header == ["name", "size", "modified"]
    assert [row[:2] for row in rows] == [["sales/2026/report.pbix", "24325"], ["sales/plain.abf", "1011712"]]


def test_the_list_as_json_holds_all_that_is_known(served: Served):
    document = json.loads(served.run("storage", "list", "/sales", "--details", "--json").out)
    assert [(folder["name"], folder["file_count"]) for folder in document["folders"]] == [("sales/2026/", 1)]
    (plain,) = document["objects"]
    assert (plain["name"], plain["details"]["compatibility_level"]) == ("sales/plain.abf", 1550)
    assert (plain["details"]["kind"], plain["details"]["encryption"]) == ("abf", "none")
    document = json.loads(served.run("storage", "list", "--json").out)
    assert "folders" not in document
    assert [set(one) for one in document["objects"]] == [{"name", "byte_count", "last_modified", "etag"}] * 2


def test_a_data_folder_lists_as_its_server_did(tmp_path):
    data = tmp_path / "data"
    with Vault(data) as vault:
        for name, sample in FILES.items():
            with vault.store.create(name, replace=False) as upload:
                upload.write(sample_path(sample).read_bytes())
                upload.finish()
    header, folder, plain = rows_of(run("storage", "list", "sales/", "--details", data=data).out)
    assert (folder[0], plain[0], plain[3], plain[6]) == ("sales/2026/", "sales/plain.abf", "abf", "1550")
    assert "\t".join(header) == HEADER


# ---- put, cut off


def test_a_put_goes_on_where_it_was_cut_off(served: Served, tmp_path: Path):
    """The program is killed at its second part, and started again: it sends what is missing, and no more."""
    content = bytes(range(256)) * (uploads.PART_BYTE_COUNT // 256 * 2) + b"the end"
    path = tmp_path / "large.abf"
    path.write_bytes(content)
    with Proxy(served.url, hold_after=uploads.PART_BYTE_COUNT * 3 // 2) as proxy:
        killed = start_put(served, proxy.url, path, "large.abf")
        proxy.is_holding.wait(TIMEOUT_S)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=TIMEOUT_S)
    assert served.get("/api/storage/backups/large.abf").status_code == 404
    (upload,) = (one for one in served.get("/api/uploads").json()["uploads"] if one["name"] == "large.abf")
    here = wait_for(
        lambda: served.get(f"/api/uploads/{upload['id']}").json()["received_byte_count"],
        lambda byte_count: byte_count > uploads.PART_BYTE_COUNT,
    )
    with Proxy(served.url) as proxy:
        again = start_put(served, proxy.url, path, "large.abf")
        out, error = again.communicate(timeout=TIMEOUT_S)
        assert (again.returncode, error) == (0, b""), out
        assert proxy.sent_byte_count < len(content) - here + 65536
    assert served.get("/api/storage/backups/large.abf").content == content


def test_a_put_outlives_its_connections(served: Served, tmp_path: Path):
    content = bytes(range(256)) * (uploads.PART_BYTE_COUNT // 256) + b"the end"
    path = tmp_path / "cut.abf"
    path.write_bytes(content)
    with Proxy(served.url, cut_after=5_000_000, cut_count=2) as proxy:
        put = start_put(served, proxy.url, path, "cut.abf")
        _, error = put.communicate(timeout=TIMEOUT_S)
        assert (put.returncode, error) == (0, b"")
        assert proxy.cut_count == 0
    assert served.get("/api/storage/backups/cut.abf").content == content


def test_a_put_over_a_file_is_refused_before_anything_is_sent(served: Served, tmp_path: Path):
    path = tmp_path / "x.abf"
    path.write_bytes(b"x")
    refused = served.run("storage", "put", path, "sales/plain.abf")
    assert refused.status != 0
    assert "exists" in refused.err
    assert served.run("storage", "put", path, "other.abf", "--overwrite").status == 0
    path.write_bytes(b"")
    assert served.run("storage", "put", path, "other.abf", "--overwrite").status == 0
    assert served.get("/api/files/other.abf").content == b""


def start_put(served: Served, url: str, path: Path, name: str) -> subprocess.Popen[bytes]:
    login = ["--server", url, *served.login[2:]]
    return subprocess.Popen(
        [*COMMAND, "storage", "put", str(path), name, *login],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )


class Proxy:
    """
    A way to the server that counts what goes to it, and may hold it up or cut it.

    Args:
        url: of the server.
        hold_after: bytes to the server after which no more goes on.
        cut_after: bytes of one connection after which it is cut.
        cut_count: how many connections are cut.
    """

    def __init__(self, url: str, *, hold_after: int = 1 << 60, cut_after: int = 0, cut_count: int = 0) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._hold_after = hold_after
        self._cut_after = cut_after
        self.cut_count = cut_count
        self.sent_byte_count = 0
        self.is_holding = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(target=self._back, args=(server, client))
            back.start()
            self._forward(client, server)
            back.join(TIMEOUT_S)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        byte_count = 0
        try:
            while data := client.recv(65536):
                if self.cut_count and byte_count > self._cut_after:
                    self.cut_count -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    break
                if self.sent_byte_count > self._hold_after:
                    self.is_holding.set()
                    self._ended.wait(TIMEOUT_S)
                    break
                server.sendall(data)
                byte_count += len(data)
                self.sent_byte_count += len(data)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


# ---- network rules


def test_network_rules_are_shown_and_changed_in_the_words_of_the_portal(served: Served):
    def facts(*arguments: str) -> list[str]:
        outcome = served.run("storage", "network", *arguments)
        assert outcome.status == 0, outcome.err
        return outcome.out.splitlines()

    words = "public network access\t"
    assert facts("allow", "192.0.2.0/24") == [f"{words}Enabled from all networks", "allowed", "192.0.2.0/24"]
    selected = f"{words}Enabled from selected virtual networks and IP addresses"
    assert facts("default", "deny") == [selected, "allowed", "192.0.2.0/24"]
    assert facts("deny", "192.0.2.0/24") == [selected, "allowed"]
    assert facts("default", "disabled")[0] == f"{words}Disabled"
    assert served.run("storage", "list").status == 0, "this machine is never locked out"
    gone = served.run("storage", "network", "deny", "192.0.2.0/24")
    assert gone.status != 0
    assert "there is no IP rule 192.0.2.0/24" in gone.err
    assert facts("default", "allow")[0] == f"{words}Enabled from all networks"


def test_network_rules_of_a_data_folder_are_kept_for_its_next_server(tmp_path: Path):
    data = tmp_path / "data"
    assert run("storage", "network", "default", "deny", data=data).status == 0
    shown = run("storage", "network", "allow", "2001:db8::/32", "--json", data=data)
    assert json.loads(shown.out)["ip_rules"] == ["2001:db8::/32"]
    assert load_network_rules(data) == NetworkRules("Enabled", "Deny", (ip_network("2001:db8::/32"),))
