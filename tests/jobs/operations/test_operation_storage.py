"""The backup storage as administrators of a server see and change it: who may, and what is written of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from operated_server import ADA, ROOT, key, operated_server

from tabvault.errors import NotAuthorizedError, ObjectNotFoundError, StorageError, TabvaultError
from tabvault.storage.account_credentials import AzureCli, ContainerUrl, ServicePrincipal
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from operated_server import OperatedServer

    from tabvault.jobs.operations.administration import Administration
    from tabvault.jobs.operations.caller import Caller

URL = "https://contoso.blob.core.windows.net"
SAS = "sp=rwdl&sig=S3cretS3cret%3D"
UNREACHABLE = f"http://127.0.0.1:1/contoso/backups?{SAS}"

CALLS: dict[str, Callable[[Administration, Caller], object]] = {
    "see settings": lambda a, who: a.storage(who),
    "configure": lambda a, who: a.configure_storage(who, a.storage(ROOT), force=True),
    "set URL": lambda a, who: a.set_container_url(who, f"{URL}/not/a_container?{SAS}"),
    "disable": lambda a, who: a.disable_storage(who),
    "check": lambda a, who: a.check_storage(who),
    "see accounts": lambda a, who: a.storage_accounts(who),
    "add account": lambda a, who: a.add_storage_account(who, "contoso", AzureCli(URL), replace=True),
    "remove account": lambda a, who: a.remove_storage_account(who, "nobody"),
    "see containers": lambda a, who: a.storage_containers(who, "storage", "b"),
    "create container": lambda a, who: a.create_storage_container(who, "storage", "No"),
}


OWNER = replace(ROOT, principal=replace(ROOT.principal, authentication="local"))
"""Who owns the data folder, at the server's own machine."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OperatedServer]:
    with operated_server(tmp_path / "data") as made:
        yield made


def test_only_administrators_of_the_server_have_to_do_with_the_storage(server: OperatedServer) -> None:
    for what, call in CALLS.items():
        for who in (ADA, key(ADA, "admin"), key(ROOT, "read", "backup", "restore")):
            with pytest.raises(NotAuthorizedError):
                call(server.administration, who)
        try:
            call(server.administration, ROOT)
        except NotAuthorizedError:
            pytest.fail(f"an administrator may not: {what}")
        except TabvaultError:
            pass  # allowed, and there is no such thing


def test_every_change_has_its_two_lines_and_no_secret_is_in_them(server: OperatedServer, tmp_path: Path) -> None:
    administration = server.administration
    administration.add_storage_account(ROOT, "contoso", ContainerUrl(f"{URL}/backups?{SAS}"))
    administration.add_storage_account(ROOT, "app", ServicePrincipal(URL, "contoso.com", "app-1", "S3cret"))
    administration.create_storage_container(OWNER, str(tmp_path / "a"), "nightly")
    administration.configure_storage(OWNER, BackupStorageSettings(True, str(tmp_path / "a"), "nightly"))
    administration.disable_storage(ROOT)
    with pytest.raises(StorageError):
        administration.set_container_url(ROOT, UNREACHABLE)
    administration.remove_storage_account(ROOT, "app")
    with pytest.raises(ObjectNotFoundError):
        administration.remove_storage_account(ROOT, "app")
    written = list(server.audit.read(since=None, until=None, limit=100))[::-1]
    folder = {"account": str(tmp_path / "a"), "container": "nightly"}
    expected = [
        ("add_storage_account", "contoso", "success"),
        ("add_storage_account", "app", "success"),
        ("create_storage_container", "nightly", "success"),
        ("configure_storage", None, "success"),
        ("configure_storage", None, "success"),
        ("configure_storage", None, "failure"),
        ("remove_storage_account", "app", "success"),
        ("remove_storage_account", "app", "failure"),
    ]
    ends = [line for line in written if line.phase == "end"]
    assert [(line.operation, line.object, line.result) for line in ends] == expected
    assert [(line.operation, line.object) for line in written if line.phase == "begin"] == [row[:2] for row in expected]
    options = [line.options for line in ends]
    assert options[0] == {"type": "sas", "account": URL, "container": "backups", "overwrite": False}
    assert options[2] == folder
    assert options[3] == {"enabled": True, "force": False, **folder}
    assert options[4] == {"enabled": False}
    assert options[5] == {
        "enabled": True,
        "force": False,
        "account": "http://127.0.0.1:1/contoso",
        "container": "backups",
    }
    kept = b"".join(path.read_bytes() for path in server.state.rglob("*") if path.is_file())
    assert b"create_storage_container" in kept
    assert b"S3cret" not in kept


def test_the_settings_that_an_administrator_made_are_those_of_the_jobs(server: OperatedServer, tmp_path: Path) -> None:
    wanted = BackupStorageSettings(True, str(tmp_path / "a"), "nightly")
    saved = server.administration.configure_storage(OWNER, wanted)
    assert server.administration.storage(ROOT) == wanted
    for probe in (saved, server.administration.check_storage(ROOT)):
        assert probe is not None
        assert (probe.account, probe.container, probe.ok) == (wanted.account, wanted.container, True)
    with server.files.create(ROOT, "up.bin", overwrite=False, byte_count=3) as upload:
        upload.write(b"abc")
        upload.finish()
    assert (tmp_path / "a/nightly/up.bin").read_bytes() == b"abc"
    (made,) = server.administration.storage_containers(ROOT, str(tmp_path / "a"))
    assert made.name == "nightly"
    assert [facts.name for facts in server.administration.storage_accounts(ROOT)] == ["storage"]


def test_a_folder_of_the_machine_is_chosen_by_who_owns_the_data_folder(server: OperatedServer, tmp_path: Path) -> None:
    administration = server.administration
    outside = tmp_path / "outside"
    (outside / "secrets").mkdir(parents=True)
    wanted = BackupStorageSettings(True, str(outside), "secrets")
    for call in (
        lambda who: administration.storage_containers(who, str(outside)),
        lambda who: administration.create_storage_container(who, str(outside), "more"),
        lambda who: administration.configure_storage(who, wanted, force=True),
    ):
        with pytest.raises(NotAuthorizedError, match="root may not have backups go to another folder"):
            call(ROOT)
    assert [path.name for path in outside.iterdir()] == ["secrets"]
    administration.configure_storage(OWNER, wanted)
    # What is configured may be administered from everywhere: disabled, another container of it chosen.
    administration.configure_storage(ROOT, replace(wanted, container="more", enabled=False))
    assert administration.storage(ROOT) == replace(wanted, container="more", enabled=False)
    administration.configure_storage(ROOT, BackupStorageSettings(True, "storage", "backups"))
    with pytest.raises(NotAuthorizedError):
        administration.configure_storage(ROOT, wanted)
