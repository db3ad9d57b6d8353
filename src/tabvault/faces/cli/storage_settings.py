"""``tabvault storage settings …``: whether backups are allowed and where they go, in the words of Azure's portal."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from tabvault.errors import StorageAccessError, StorageError, StoreUnavailableError
from tabvault.faces.cli import output, storage_check
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.storage_accounts import credential_words, expiry_words
from tabvault.faces.cli.storage_containers import Container, split
from tabvault.faces.cli.target import Target, on_target
from tabvault.storage.settings import BackupStorageSettings, check_configured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tabvault.faces.cli.backup_storage import AdministeredStorage
    from tabvault.jobs.storage_probe import Probe
    from tabvault.storage.accounts import AccountFacts

Force = Annotated[bool, typer.Option("--force", help="Save it also where no backup can be written.")]


@on_target
def show(target: Target, as_json: Json = False) -> None:
    """Show where backups go, and by what right."""
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - a third of a second

    with open_backup_storage(target) as storage:
        show_settings(storage.settings(), storage.accounts(), as_json=as_json)


@on_target
def set_(target: Target, container: Container, force: Force = False, as_json: Json = False) -> None:
    """
    Have backups go to a container. It is tried first; where no backup can be written the old settings stay.

    The container of a folder is made; in a storage account it has to be there.
    """
    account, name = split(container)
    _save(target, lambda _: BackupStorageSettings(True, account, name), force=force, as_json=as_json)


@on_target
def enable(target: Target, force: Force = False, as_json: Json = False) -> None:
    """Allow backups and restores, where they went before."""

    def enabled(old: BackupStorageSettings) -> BackupStorageSettings:
        new = replace(old, enabled=True)
        check_configured(new)
        return new

    _save(target, enabled, force=force, as_json=as_json)


@on_target
def disable(target: Target, as_json: Json = False) -> None:
    """Allow no backups and restores. Where they went is remembered, and what lies there stays."""
    _save(target, lambda old: replace(old, enabled=False), force=True, as_json=as_json)


def show_settings(settings: BackupStorageSettings, accounts: "Iterable[AccountFacts]", *, as_json: bool) -> None:
    """Where backups go, and what is known of the account: one of *accounts*, or a folder."""
    used = _used(settings, accounts)
    if as_json:
        output.show_json({**asdict(settings), "facts": used})
        return
    output.show_facts(_facts(settings, used))


def _save(
    target: Target,
    changed: "Callable[[BackupStorageSettings], BackupStorageSettings]",
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Change the settings, and show them with what a probe of the container found."""
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - as above

    with open_backup_storage(target) as storage:
        settings = changed(storage.settings())
        probe = _configured(storage, settings, force=force)
        saved, accounts = storage.settings(), storage.accounts()
    if as_json:
        check = None if probe is None else storage_check.document(probe)
        output.show_json({**asdict(saved), "facts": _used(saved, accounts), "check": check})
        return
    show_settings(saved, accounts, as_json=False)
    if probe is not None:
        storage_check.show_findings(probe)


def _configured(storage: "AdministeredStorage", settings: BackupStorageSettings, *, force: bool) -> "Probe | None":
    try:
        return storage.configure(settings, force=force)
    except StorageError as error:
        # What a probe found; anything else is wrong whether one insists or not.
        if not force and type(error) in {StorageError, StorageAccessError, StoreUnavailableError}:
            error.add_note("nothing was changed; with --force it is saved all the same")
        raise


def _used(settings: BackupStorageSettings, accounts: "Iterable[AccountFacts]") -> "AccountFacts | None":
    from tabvault.storage.accounts import AccountFacts  # noqa: PLC0415 - as above

    name = settings.account
    if name is None:
        return None
    for account in accounts:
        if account.name.casefold() == name.casefold() or (account.kind == "folder" and account.url == name):
            return account
    return AccountFacts(name, "folder", name) if "/" in name else None


def _facts(settings: BackupStorageSettings, used: "AccountFacts | None") -> dict[str, tuple[output.Cell, str]]:
    """In the words of the portal of Azure: Backup Enabled, Storage ACCOUNT/CONTAINER or Not configured."""
    is_set = settings.account is not None and settings.container is not None
    place = f"{settings.account}/{settings.container}" if is_set else "Not configured"
    backup = "Enabled" if settings.enabled else "Disabled"
    facts: dict[str, tuple[output.Cell, str]] = {"backup": (backup, backup), "storage": (place, place)}
    if used is not None and used.kind != "folder":
        words = credential_words(used)
        facts |= {"address": (used.url, used.url), "credential": (words, words)}
        if used.permissions is not None:
            facts["permissions"] = (used.permissions, used.permissions)
        if used.expires is not None:
            facts["expires"] = (used.expires, expiry_words(used.expires))
    return facts
