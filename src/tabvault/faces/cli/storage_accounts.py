"""
``tabvault storage accounts …``: the storage accounts that backups can go to.

A secret comes from a file or from standard input, never from an argument, where every user of a machine can see it; and
none is ever shown.
"""

import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from tabvault.errors import ObjectExistsError
from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import local_time, quantity

if TYPE_CHECKING:
    from tabvault.storage.account_credentials import AccountCredential
    from tabvault.storage.accounts import AccountFacts

_COLUMNS: Final = (
    Column("name", narrow="fold"),
    Column("kind"),
    Column("credential"),
    Column("container", narrow="fold"),
    Column("permissions"),
    Column("expires"),
    Column("address", narrow="leave out"),
)

_EXPIRY_WARNING: Final = datetime.timedelta(days=14)

_FORMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "connection_string_file": ((), ()),
    "container_url_file": ((), ()),
    "key_file": (("account_url",), ()),
    "credential managed": (("account_url",), ("client_id",)),
    "credential cli": (("account_url",), ()),
    "credential service-principal": (("account_url", "client_id", "tenant_id", "client_secret_file"), ()),
    "access_key_id": (("region", "secret_key_file"), ("s3_endpoint",)),
}
"""By the option that says by what right: the options that it needs, and those that may go with it."""

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Storage account, by its name in accounts list.")]


def _file(option: str, what: str) -> Any:
    return typer.Option(option, metavar="F", help=f"File whose first line is {what}; - for standard input.")


@on_target
def add(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: letters, digits, hyphens.")],
    connection_string_file: Annotated[
        str | None, _file("--connection-string-file", "the connection string of an Azure storage account")
    ] = None,
    container_url_file: Annotated[
        str | None, _file("--container-url-file", "the URL of a container with its SAS")
    ] = None,
    account_url: Annotated[
        str | None,
        typer.Option("--account-url", metavar="U", help="https://ACCOUNT.blob.core.windows.net, without any SAS."),
    ] = None,
    key_file: Annotated[str | None, _file("--key-file", "a key of the account")] = None,
    credential: Annotated[
        Literal["managed", "cli", "service-principal"] | None,
        typer.Option("--credential", help="An identity: the machine's, the Azure CLI's, or an application's."),
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option("--client-id", metavar="ID", help="Of the application; of the managed identity, if several."),
    ] = None,
    tenant_id: Annotated[
        str | None, typer.Option("--tenant-id", metavar="ID", help="Directory of the application.")
    ] = None,
    client_secret_file: Annotated[str | None, _file("--client-secret-file", "the application's secret")] = None,
    s3_endpoint: Annotated[
        str | None,
        typer.Option(
            "--s3-endpoint", metavar="U", help="Of a storage that speaks S3.", show_default="Amazon's in the region"
        ),
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="R", help="Of S3: eu-central-1.")] = None,
    access_key_id: Annotated[
        str | None, typer.Option("--access-key-id", metavar="ID", help="Of S3: the id of an access key.")
    ] = None,
    secret_key_file: Annotated[str | None, _file("--secret-key-file", "the secret access key of S3")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give the account of that name this credential: a renewed SAS or key.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Register a storage account for backups: of Azure, or one that speaks S3. Its secret is kept encrypted.

    Nothing is asked of the service yet; storage settings set does, and has backups go there.
    """
    given = {
        "connection_string_file": connection_string_file,
        "container_url_file": container_url_file,
        "account_url": account_url,
        "key_file": key_file,
        "credential": credential,
        "client_id": client_id,
        "tenant_id": tenant_id,
        "client_secret_file": client_secret_file,
        "s3_endpoint": s3_endpoint,
        "region": region,
        "access_key_id": access_key_id,
        "secret_key_file": secret_key_file,
    }
    values = {option: value for option, value in given.items() if value is not None}
    wanted = _credential(_form(values), values)
    wanted.record(name)  # what cannot be an account is said before anything is sent anywhere
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - a third of a second

    with open_backup_storage(target) as storage:
        try:
            facts = storage.add_account(name, wanted, replace=replace)
        except ObjectExistsError as error:
            error.hint = "add --replace to give it this credential, or choose another name"
            raise
        is_used = facts.name == storage.settings().account
    if facts.expires is not None and facts.expires - _now() < _EXPIRY_WARNING:
        output.warn(f"the SAS of {facts.name} {sas_end(facts.expires)}: make one that holds longer")
    if as_json:
        output.show_json(facts)
        return
    output.show_line(f"registered {facts.name}: {facts.url}")
    output.show_line(_credential_line(facts))
    if is_used:
        output.show_line("backups go there; to try it: tabvault storage check")
    else:
        place = f"{facts.name}/{facts.container or 'CONTAINER'}"
        output.show_line(f"backups go there with: tabvault storage settings set {place}")


@on_target
def list_(target: Target, as_json: Json = False) -> None:
    """List the storage accounts, the embedded one first, without their secrets."""
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - as above

    with open_backup_storage(target) as storage:
        accounts = storage.accounts()
    if as_json:
        output.show_json({"accounts": list(accounts)})
        return
    output.show_table(
        _COLUMNS,
        (
            (
                account.name,
                account.kind,
                account.credential,
                account.container,
                account.permissions,
                account.expires,
                account.url,
            )
            for account in accounts
        ),
    )


@on_target
def remove(target: Target, name: Account, as_json: Json = False) -> None:
    """Forget a storage account and its secret. What lies in it stays; one that backups go to cannot be removed."""
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - as above

    with open_backup_storage(target) as storage:
        storage.remove_account(name)
    if as_json:
        output.show_json({"name": name, "removed": True})
    else:
        output.show_line(f"removed {name}; what lies in it stays")


def credential_words(account: "AccountFacts") -> str:
    """By what kind of right an account is used."""
    if account.credential == "sas" and account.container is not None:
        return f"SAS of container {account.container}"
    return _CREDENTIAL_WORDS[account.credential]


_CREDENTIAL_WORDS: Final = {
    None: "none needed",
    "sas": "SAS",
    "key": "account key",
    "managed": "managed identity",
    "cli": "Azure CLI",
    "service-principal": "service principal",
    "access-key": "access key",
}


def expiry_words(moment: datetime.datetime) -> str:
    """``2026-12-24 (in 31 days)``; near its end to the minute, and behind it ``(3 days ago)``."""
    left = moment - _now()
    days, hours = abs(left) // datetime.timedelta(days=1), abs(left) // datetime.timedelta(hours=1)
    amount = quantity(days, "day") if days >= 2 else quantity(hours, "hour") if hours else "less than an hour"
    if left < datetime.timedelta(0):
        return f"{local_time(moment)} ({amount} ago)"
    return f"{local_time(moment)[:10] if days >= 2 else local_time(moment)} (in {amount})"


def _credential_line(account: "AccountFacts") -> str:
    words = credential_words(account)
    if account.permissions is not None:
        words += f", permissions {account.permissions}"
    return words if account.expires is None else f"{words}, {sas_end(account.expires)}"


def sas_end(moment: datetime.datetime) -> str:
    """``expires 2026-12-24 (in 31 days)``, or when it expired."""
    return f"{'expired' if moment < _now() else 'expires'} {expiry_words(moment)}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _form(values: dict[str, str]) -> str:
    """Which of the forms the options are; a usage error if they are none, or more than one."""
    kinds = {key: key.partition(" ")[0] for key in _FORMS}
    found = list(dict.fromkeys(kind for kind in kinds.values() if kind in values))
    if not found:
        raise UsageError(
            "nothing says by what right the account is used",
            hint="give --connection-string-file or --container-url-file; --account-url with --key-file or "
            "--credential; or --access-key-id with --region and --secret-key-file",
        )
    if len(found) > 1:
        raise UsageError(
            f"{_option(found[0])} and {_option(found[1])} are two credentials", hint="leave one of them out"
        )
    form = found[0] if found[0] != "credential" else f"credential {values['credential']}"
    needed, allowed = _FORMS[form]
    words = _option(form)
    missing = [_option(option) for option in needed if option not in values]
    if missing:
        raise UsageError(f"{words} needs {', '.join(missing)}", hint=f"add {' and '.join(missing)}")
    superfluous = [_option(option) for option in values if option not in {found[0], *needed, *allowed}]
    if superfluous:
        raise UsageError(f"{superfluous[0]} does not go with {words}", hint=f"leave {superfluous[0]} out")
    return form


def _credential(form: str, values: dict[str, str]) -> "AccountCredential":
    """What the options say, the secret read from its file."""
    from tabvault.storage import account_credentials as credentials  # noqa: PLC0415 - cryptography, and no --help needs it

    url = values.get("account_url", "")
    match form:
        case "connection_string_file":
            return credentials.ConnectionString(_secret(values[form], "connection string"))
        case "container_url_file":
            return credentials.ContainerUrl(_secret(values[form], "container URL"))
        case "key_file":
            return credentials.AccountKey(url, _secret(values[form], "account key"))
        case "credential managed":
            return credentials.ManagedIdentity(url, values.get("client_id"))
        case "credential cli":
            return credentials.AzureCli(url)
        case "credential service-principal":
            secret = _secret(values["client_secret_file"], "client secret")
            return credentials.ServicePrincipal(url, values["tenant_id"], values["client_id"], secret)
    secret = _secret(values["secret_key_file"], "secret key")
    return credentials.AccessKey(values.get("s3_endpoint"), values["region"], values["access_key_id"], secret)


def _secret(file: str, what: str) -> str:
    if any(mark in file.lower() for mark in ("://", "sig=", "accountkey=")):
        raise UsageError(
            f"the file with the {what} is expected, not the {what} itself",
            hint="as an argument every user of this machine could see it, and the shell keeps it: make a new one, and "
            "put it into a file, or give - and type it",
        )
    return passwords.read_secret(file, what)
