"""``tabvault storage accounts``, ``containers`` and ``settings`` on Azurite: in a data folder, and over a server."""

from __future__ import annotations

import datetime
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from conftest import sample_path
from faces.program import Outcome, call
from faces.server.servers import ADMINISTRATOR
from faces.server.services import local_server
from tabvault.faces.cli.storage_accounts import expiry_words, sas_end
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faces.server.services import LocalServer
    from storage.azure.azurite import Container

pytest_plugins = ["storage.azure.azurite"]

SAMPLE = "Hugoberry__DataModel.abf"
VALID = datetime.timedelta(days=31, hours=3)
WORKS = [
    "OK       files can be listed",
    "OK       backups can be written",
    "OK       backups can be read",
    "OK       files can be removed",
]


@dataclass
class Place:
    """Where the commands work, and all that they have said."""

    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    data: Path
    login: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, words: str, *more: str | Path, stdin: str = "") -> Outcome:
        data = self.tmp_path / "nowhere" if self.login else self.data
        arguments = [*words.split(), *more, *self.login]
        done = call(*arguments, data=data, monkeypatch=self.monkeypatch, capsys=self.capsys, stdin=stdin)
        self.said += [done.out, done.err]
        return done

    def lines(self, words: str, *more: str | Path) -> list[str]:
        """What a command that works prints."""
        done = self.run(words, *more)
        assert (done.status, done.err) == (0, ""), done.out + done.err
        return done.out.splitlines()

    def error(self, words: str, *more: str | Path, status: int = 1) -> str:
        done = self.run(words, *more)
        assert done.status == status, done.out + done.err
        assert done.out == ""
        return done.err

    def file(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.tmp_path / name
        path.write_text(f"{text}\n")
        path.chmod(mode)
        return path


@pytest.fixture
def here(tmp_path, monkeypatch, capsys) -> Place:
    return Place(tmp_path, monkeypatch, capsys, tmp_path / "data")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("storage"), Quality=SAMPLE) as running:
        yield running


@pytest.fixture(params=["data folder", "server"])
def place(request, here) -> Iterator[Place]:
    """A data folder without a server, or one that a server has, with a database; backups go to the embedded account."""
    if request.param == "data folder":
        here.lines("import", sample_path(SAMPLE), "Quality")
        yield here
        return
    password = here.file("password", ADMINISTRATOR[1])
    local: LocalServer = request.getfixturevalue("served")
    storage = local.service.vault.storage
    here.data = local.service.vault.data
    here.login = ["--server", local.url, "--user", ADMINISTRATOR[0], "--login-password-file", str(password)]
    yield here
    storage.configure(BackupStorageSettings(True, "storage", "backups"))
    for account in storage.accounts()[1:]:
        storage.remove_account(account.name)


def sas_url(container: Container, permission: str = "rwdl", valid: datetime.timedelta = VALID) -> str:
    return f"{container.account_url()}/{container.name}?{container.sas(permission, valid=valid)}"


def test_backups_go_to_a_container_by_its_sas_which_nothing_shows(place, container, caplog):
    caplog.set_level(logging.DEBUG)
    url = sas_url(container)
    file = place.file("sas", url)
    address, day = container.account_url(), (datetime.datetime.now().astimezone() + VALID).date()
    assert place.lines("storage accounts add contoso --container-url-file", file) == [
        f"registered contoso: {address}",
        f"SAS of container {container.name}, permissions rwdl, expires {day} (in 31 days)",
        f"backups go there with: tabvault storage settings set contoso/{container.name}",
    ]
    saved = place.lines(f"storage settings set contoso/{container.name}")
    assert saved[4:5] + saved[6:] == ["permissions\trwdl", *WORKS]
    assert saved[:4] == [
        "backup\tEnabled",
        f"storage\tcontoso/{container.name}",
        f"address\t{address}",
        f"credential\tSAS of container {container.name}",
    ]
    assert place.lines("storage settings show") == saved[:6] == place.lines("storage show")

    place.lines("backup Quality week/q.abf")
    with container.plain() as client:
        assert [blob.name for blob in client.list_blobs()] == ["week/q.abf"], "and nothing of the probe is left"
    assert place.lines("storage list")[1].startswith("week/q.abf\t")
    assert "is good" in place.lines("verify storage:week/q.abf")[-1]
    place.lines("restore week/q.abf Again")

    assert place.lines("storage settings disable")[0] == "backup\tDisabled"
    for command in ("backup Quality", "restore week/q.abf Other", "storage list", "storage check"):
        error = place.error(command)
        assert error.startswith("error[storage_not_configured]: backup storage is not configured\n")
        assert "hint: backups are disabled: tabvault storage settings enable\n" in error
    assert place.lines("storage settings enable") == saved
    place.lines("storage remove week/q.abf")
    assert place.lines("storage list") == ["name\tsize\tmodified"]
    assert "backups go to the storage account contoso" in place.error("storage accounts remove contoso")

    signature = url.rpartition("sig=")[2]
    kept = [path for path in place.data.rglob("*") if path.is_file()]
    assert any(b"add_storage_account" in path.read_bytes() for path in kept), "the audit log is among them"
    assert not [path for path in kept if signature.encode() in path.read_bytes() or b"sig=" in path.read_bytes()]
    assert signature not in "".join(place.said)
    assert signature not in caplog.text
    assert place.login == [] or "/api/storage/accounts" in caplog.text, "requests are logged"


def test_a_container_is_looked_for_and_made(place, container):
    url = container.account_url()
    connection = f"AccountName={url.rpartition('/')[2]};AccountKey={container.key};BlobEndpoint={url}"
    file = place.file("connection", connection)
    place.lines("storage accounts add all --connection-string-file", file)
    prefix = container.name[:-2]
    (header, row) = place.lines(f"storage containers list all {prefix}")
    assert header == "name\tmodified"
    assert row.startswith(f"{container.name}\t2")
    new = f"{prefix}-new"
    assert place.lines(f"storage containers create all/{new}") == [
        f"created container {new} in all",
        f"backups go there with: tabvault storage settings set all/{new}",
    ]
    listed = json.loads(place.run(f"storage containers list all {prefix} --json").out)
    assert {one["name"] for one in listed["containers"]} == {container.name, new}
    error = place.error(f"storage containers create all/{new}")
    assert error.startswith("error[storage_exists]: ")
    assert "tabvault storage containers list all" in error
    error = place.error(f"storage settings set all/{prefix}-missing")
    assert error.startswith("error[storage_unavailable]: ")
    assert "the container is not there" in error


def test_what_does_not_work_is_not_saved_unless_one_insists(place, container):
    key = place.file("key", "A" * 86 + "==")
    place.lines(f"storage accounts add wrong --account-url {container.account_url()} --key-file", key)
    before = place.lines("storage settings show")
    error = place.error(f"storage settings set wrong/{container.name}").splitlines()
    assert error[0].startswith("error[storage_access]: the service does not recognise the signature")
    assert error[1] == "nothing was changed; with --force it is saved all the same"
    assert error[2].startswith("hint: ")
    assert place.lines("storage settings show") == before
    forced = place.run(f"storage settings set wrong/{container.name} --force --json")
    document = json.loads(forced.out)
    assert (forced.status, document["account"], document["facts"]["credential"]) == (0, "wrong", "key")
    assert document["check"]["ok"] is False

    key = place.file("key", container.key)
    again = f"storage accounts add wrong --account-url {container.account_url()} --key-file"
    error = place.error(again, key)
    assert "hint: add --replace to give it this credential, or choose another name" in error
    assert place.lines(f"{again} {key} --replace")[2] == "backups go there; to try it: tabvault storage check"
    assert place.lines("storage check")[:4] == WORKS
    assert container.key not in "".join(place.said)


def test_accounts_are_listed_and_removed(place):
    url, secret = "https://contoso.blob.core.windows.net", place.file("secret", "S3cret")
    identity = (
        f"storage accounts add app --account-url {url} --credential service-principal --client-id 1 --tenant-id 2"
    )
    place.lines(f"{identity} --client-secret-file", secret)
    place.lines(f"storage accounts add machine --account-url {url} --credential managed")
    place.lines(f"storage accounts add me --account-url {url} --credential cli")
    place.lines("storage accounts add s3 --region eu-west-1 --access-key-id AKIA --secret-key-file", secret)
    header, embedded, *rows = (line.split("\t") for line in place.lines("storage accounts list"))
    assert header == ["name", "kind", "credential", "container", "permissions", "expires", "address"]
    assert embedded[:3] == ["storage", "folder", "-"]
    assert [(row[0], row[1], row[2], row[6]) for row in rows] == [
        ("app", "azure", "service-principal", url),
        ("machine", "azure", "managed", url),
        ("me", "azure", "cli", url),
        ("s3", "s3", "access-key", "https://s3.eu-west-1.amazonaws.com"),
    ]
    assert place.lines("storage accounts remove app") == ["removed app; what lies in it stays"]
    assert "there is no storage account 'app'" in place.error("storage accounts remove app")
    assert "S3cret" not in "".join(place.said)


def test_a_folder_is_an_account_too(place):
    account = place.tmp_path / "account"
    if place.login:
        refused = place.error(f"storage settings set {account}/nightly")
        assert "may not have backups go to another folder of the server's machine" in refused
        return
    saved = place.lines(f"storage settings set {account}/nightly")
    assert saved == ["backup\tEnabled", f"storage\t{account}/nightly", *WORKS]
    assert (account / "nightly").is_dir()
    assert [line.partition("\t")[0] for line in place.lines(f"storage containers list {account}")] == [
        "name",
        "nightly",
    ]
    assert place.lines("storage settings set storage/backups")[1] == f"storage\t{place.data}/storage/backups"


URL = "--account-url https://contoso.blob.core.windows.net"
SECRET = "https://contoso.blob.core.windows.net/backups?sp=rwdl&sig=S3cret"
WRONG = {
    "": "nothing says by what right the account is used",
    "--key-file k": "--key-file needs --account-url",
    f"--key-file k {URL} --region r": "--region does not go with --key-file",
    f"--key-file k {URL} --credential cli": "--key-file and --credential are two credentials",
    f"{URL} --credential service-principal --tenant-id t --client-secret-file s": (
        "--credential service-principal needs --client-id"
    ),
    f"{URL} --credential cli --client-id i": "--client-id does not go with --credential cli",
    "--access-key-id i": "--access-key-id needs --region, --secret-key-file",
    f"--container-url-file {SECRET}": "the file with the container URL is expected, not the container URL itself",
}


@pytest.mark.parametrize("options", WRONG)
def test_options_that_make_no_account_are_refused_with_the_way_out(here, options):
    error = here.error(f"storage accounts add x {options}", status=2)
    assert error.startswith(f"error[usage]: {WRONG[options]}")
    assert "\nhint: " in error
    assert "S3cret" not in error
    assert not here.data.exists()


@pytest.mark.parametrize("text", ["contoso", "/backups", "contoso/", "a/b/backups"])
def test_what_is_no_account_and_container_is_refused(here, text):
    assert "\nhint: " in here.error(f"storage settings set {text}", status=2)


def test_a_secret_comes_from_standard_input_or_a_file_and_one_that_others_may_read_is_warned_of(here):
    given = here.run("storage accounts add one --container-url-file -", stdin=f"{SECRET}\n")
    assert (given.status, given.err) == (0, ""), given.err
    warned = here.run("storage accounts add two --container-url-file", here.file("sas", SECRET, 0o644))
    assert warned.status == 0
    assert "can be read by every user of this machine" in warned.err
    error = here.error("storage accounts add three --container-url-file", here.tmp_path / "gone")
    assert "container URL file" in error
    assert "no such file" in error
    assert "no shared access signature" in here.error(
        "storage accounts add three --container-url-file", here.file("none", SECRET.partition("?")[0])
    )
    assert "S3cret" not in "".join(here.said)


def test_a_secret_is_not_sent_in_the_clear_to_another_machine(here):
    secret = here.file("sas", SECRET)
    error = here.error("storage accounts add one --server http://192.0.2.1:8282 --container-url-file", secret)
    assert "a secret to http://192.0.2.1:8282 would cross the network in the clear" in error


def test_a_sas_that_ends_soon_is_warned_of(here):
    def added(days: float) -> str:
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        file = here.file("sas", f"{SECRET}&se={end:%Y-%m-%dT%H:%M:%SZ}")
        return here.run("storage accounts add one --replace --container-url-file", file).err

    assert added(20) == ""
    assert added(13.5).startswith("warning: the SAS of one expires 2")
    assert added(-3.5).startswith("warning: the SAS of one expired 2")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({"days": 31, "hours": 5}, "(in 31 days)"),
        ({"days": 1, "minutes": 70}, "(in 25 hours)"),
        ({"minutes": 70}, "(in 1 hour)"),
        ({"minutes": 7}, "(in less than an hour)"),
        ({"minutes": -7}, "(less than an hour ago)"),
        ({"days": -9}, "(9 days ago)"),
    ],
)
def test_the_end_of_a_sas_is_told_in_words(left, words):
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(**left)
    assert expiry_words(moment).endswith(words)
    assert sas_end(moment).startswith("expired" if min(left.values()) < 0 else "expires")
