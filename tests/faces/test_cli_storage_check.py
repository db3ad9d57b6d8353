"""``tabvault storage check``: here and over a server."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from faces.program import call
from faces.server.servers import ADMINISTRATOR
from faces.server.services import local_server
from tabvault.jobs.storage_probe import PROBE_NAME
from tabvault.storage.local import LocalAccount
from tabvault.testing.store_contract import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faces.program import Outcome


@pytest.fixture
def tabvault(tmp_path, monkeypatch, capsys) -> Callable[..., Outcome]:
    def run(*arguments: str | Path) -> Outcome:
        return call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)

    return run


@pytest.fixture
def account(tabvault, tmp_path) -> Path:
    """A folder that backups go to."""
    done = tabvault("storage", "configure", "--account", tmp_path / "account", "--container", "nightly")
    assert done.status == 0, done.err
    return tmp_path / "account"


def test_a_storage_that_works_has_a_line_for_each_condition(tabvault, account):
    done = tabvault("storage", "check")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "OK       files can be listed",
        "OK       backups can be written",
        "OK       backups can be read",
        "OK       files can be removed",
        f"container nightly of storage account {account} works: 4 OK",
    ]
    assert names(LocalAccount(account).container("nightly", create=False)) == []


def test_what_does_not_work_is_said_with_the_way_out_and_the_status_is_1(tabvault, account):
    shutil.rmtree(account / "nightly")
    done = tabvault("storage", "check")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0] == f"FAILED   container nightly is not in storage account {account}: nothing works there"
    assert lines[1].startswith("         hint: mount the disk")
    assert lines[2].endswith("does NOT work: 1 FAILED")
    assert not (account / "nightly").exists()


def test_with_json_it_is_one_document(tabvault, account):
    (account / "nightly" / PROBE_NAME).mkdir()
    done = tabvault("storage", "check", "--json")
    assert done.status == 1
    document = json.loads(done.out)
    assert (document["ok"], document["is_writable"], document["is_listable"]) == (False, False, True)
    assert (document["account"], document["container"]) == (str(account), "nightly")
    failed = next(finding for finding in document["findings"] if finding["severity"] == "FAILED")
    assert "write" in failed["steps"]


def test_a_data_folder_that_is_not_there_is_not_made(tabvault, tmp_path):
    done = tabvault("storage", "check")
    assert done.status == 1
    assert "there is no data folder at" in done.out
    assert not (tmp_path / "data").exists()


def test_storage_that_is_disabled_is_an_error(tabvault, account):
    assert account.is_dir()
    assert tabvault("storage", "configure", "--disable").status == 0
    done = tabvault("storage", "check")
    assert done.status == 1
    assert "error[storage_not_configured]" in done.err


def test_a_server_checks_its_own_storage(tabvault, tmp_path):
    password_file = tmp_path / "password"
    password_file.write_text(ADMINISTRATOR[1])
    password_file.chmod(0o600)
    login = ["--user", ADMINISTRATOR[0], "--login-password-file", str(password_file)]
    with local_server(tmp_path / "served") as local:
        done = tabvault("storage", "check", "--server", local.url, *login, "--json")
        assert done.status == 0, done.out + done.err
        document = json.loads(done.out)
        told = local.client().get("/api/server").json()["storage_check"]
        assert (document["container"], document["is_removable"]) == ("backups", True)
        assert [finding["message"] for finding in document["findings"]] == [
            finding["message"] for finding in told["findings"]
        ]
        assert document["time"].removesuffix("Z") == told["time"].removesuffix("+00:00")
        done = tabvault("storage", "check", "--server", local.url, *login)
    assert done.out.splitlines()[-1].endswith("works: 4 OK")
