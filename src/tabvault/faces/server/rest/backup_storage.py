"""
For administrators: where backups go, the storage accounts that are registered for it, and their containers.

A secret comes in the body of a request and gets no further than to the data folder, where it is sealed; no answer, no
log line and no line of the audit log has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tabvault.errors import RequestError, StorageError
from tabvault.faces.server.rest import storage_answers as answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from tabvault.faces.server.rest.models import NoOptions, NoParameters
    from tabvault.faces.server.rest.storage_models import (
        ContainerRequest,
        ContainersParameters,
        StorageAccountRequest,
        StorageRequest,
    )
    from tabvault.storage.account_credentials import AccountCredential

Plain = Call[None, "NoParameters"]

ACCOUNTS_PATH = "/api/storage/accounts"


def storage(call: Plain) -> Answer:
    """Show where backups go. For server administrators."""
    return Answer(answers.Storage.model_validate(call.administration.storage(call.caller)))


def configure_storage(call: Call[StorageRequest, NoParameters]) -> Answer:
    """
    Set where backups go. For server administrators.

    The container is tried first, and that of a folder is made. Where no backup can be written nothing changes, unless
    `force` is true. The answer has what was found; null where nothing was tried.
    """
    body = call.body
    settings = BackupStorageSettings(body.enabled, body.account, body.container)
    probe = call.administration.configure_storage(call.caller, settings, force=body.force)
    call.service.storage_watch.keep(probe)
    saved = call.administration.storage(call.caller)
    return Answer(
        answers.SavedStorage(
            enabled=saved.enabled,
            account=saved.account,
            container=saved.container,
            check=None if probe is None else answers.StorageCheck.model_validate(probe),
        )
    )


def check_storage(call: Call[NoOptions, NoParameters]) -> Answer:
    """
    Write, read, list and remove a small file in the backup storage. For server administrators.

    What does not work is told in the answer, and no error of this request.
    """
    probe = call.administration.check_storage(call.caller)
    call.service.storage_watch.keep(probe)
    return Answer(answers.StorageCheck.model_validate(probe))


# ---- accounts


def accounts(call: Plain) -> Answer:
    """List the storage accounts, the embedded one first. For server administrators."""
    found = call.administration.storage_accounts(call.caller)
    return Answer(
        answers.StorageAccounts(accounts=[answers.StorageAccount.model_validate(account) for account in found])
    )


def add_account(call: Call[StorageAccountRequest, NoParameters]) -> Answer:
    """
    Register a storage account, or give it a new credential. For server administrators.

    The service is not asked: `GET .../containers` and `PUT /api/storage` do that. The secret is shown by no answer.
    """
    body = call.body
    credential = body.credential.value
    _check(body.name, credential)
    facts = call.administration.add_storage_account(call.caller, body.name, credential, replace=body.overwrite)
    call.service.storage_watch.probe_soon()
    location = f"{ACCOUNTS_PATH}/{quote(facts.name, safe='')}"
    return Answer(answers.StorageAccount.model_validate(facts), {"Location": location})


def remove_account(call: Plain) -> Answer:
    """
    Forget a storage account and its secret. For server administrators.

    What lies in it stays. One that backups go to cannot be removed.
    """
    name = call.path["name"]
    call.administration.remove_storage_account(call.caller, name)
    return Answer()


def _check(name: str, credential: AccountCredential) -> None:
    """What cannot be an account at all is a mistake of the request, and none of a storage."""
    try:
        credential.record(name)
    except StorageError as error:
        raise RequestError(error.message, path="credential", hint=error.hint) from None


# ---- containers


def containers(call: Call[None, ContainersParameters]) -> Answer:
    """List the containers of a storage account. For server administrators."""
    found = call.administration.storage_containers(call.caller, call.path["name"], call.query.prefix)
    return Answer(answers.StorageContainers(containers=[answers.StorageContainer.model_validate(one) for one in found]))


def create_container(call: Call[ContainerRequest, NoParameters]) -> Answer:
    """Make a container in a storage account. For server administrators."""
    made = call.administration.create_storage_container(call.caller, call.path["name"], call.body.name)
    return Answer(answers.StorageContainer.model_validate(made))
