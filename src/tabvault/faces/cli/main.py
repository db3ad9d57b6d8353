"""
The program ``tabvault``: its commands, and the one place where errors become messages and exit statuses.

See :mod:`tabvault.faces.cli.failure` for the statuses and :mod:`tabvault.faces.cli.output` for what goes where.
"""

import pathlib
import sys
from typing import Annotated

import typer
import typer.main

import tabvault
from tabvault.errors import TabvaultError
from tabvault.faces.cli import (
    alias,
    audit,
    backup,
    copy,
    create,
    databases,
    datasource,
    drop,
    export,
    failure,
    firewall,
    import_,
    inspect,
    keys,
    output,
    query,
    refresh,
    restore,
    script,
    serve,
    storage,
    storage_accounts,
    storage_check,
    storage_containers,
    storage_network,
    storage_settings,
    streams,
    users,
    verify,
)
from tabvault.faces.cli.options import Before, DataBefore, JsonBefore

# Help is plain text: it comes in half the time, and it can be piped and searched.
app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
_storage = typer.Typer(rich_markup_mode=None)
_storage_accounts = typer.Typer(rich_markup_mode=None)
_storage_containers = typer.Typer(rich_markup_mode=None)
_storage_settings = typer.Typer(rich_markup_mode=None)
_storage_network = typer.Typer(rich_markup_mode=None)
_user = typer.Typer(rich_markup_mode=None)
_key = typer.Typer(rich_markup_mode=None)
_firewall = typer.Typer(rich_markup_mode=None)
_datasource = typer.Typer(rich_markup_mode=None)
_alias = typer.Typer(rich_markup_mode=None)
_audit = typer.Typer(rich_markup_mode=None)


def _example(text: str) -> str:
    return f"Example: tabvault {text}"


app.command("import", epilog=_example("import ~/Sales.pbix Sales"))(import_.import_)
app.command(epilog=_example("create Sales ~/Sales.SemanticModel"))(create.create)
app.command(epilog=_example("databases"))(databases.databases)
app.command(epilog=_example("backup Sales sales/monday.abf --encrypt --password-file ~/.sales-password"))(backup.backup)
app.command(epilog=_example("restore sales/monday.abf Sales_Test --security skipMembership"))(restore.restore)
app.command(epilog=_example("copy Sales --to https://two.example.com:8282 --to-user alice"))(copy.copy)
app.command(epilog=_example("refresh Sales --type full --table Orders"))(refresh.refresh)
app.command(epilog=_example("drop Sales_Test --yes"))(drop.drop)
app.command(epilog=_example("query Sales 'SELECT Region, sum(Amount) FROM Orders GROUP BY Region'"))(query.query)
app.command(epilog=_example("script Sales --output sales.bim"))(script.script)
app.command(epilog=_example("inspect storage:sales/monday.abf"))(inspect.inspect)
app.command(epilog=_example("verify storage:sales/monday.abf --password-file ~/.sales-password"))(verify.verify)
app.command(epilog=_example("export Sales --to ~/sales --format csv"))(export.export)
app.command(epilog=_example("serve --port 8282"))(serve.serve)
app.add_typer(_storage, name="storage")
_storage.command("list", epilog=_example("storage list sales --details"))(storage.list_)
_storage.command(epilog=_example("storage put ~/Sales.abf sales/monday.abf"))(storage.put)
_storage.command(epilog=_example("storage get sales/monday.abf ~/Sales.abf"))(storage.get)
_storage.command(epilog=_example("storage remove sales/monday.abf"))(storage.remove)
_storage.command(epilog=_example("storage show"))(storage_settings.show)
_storage.command(epilog=_example("storage check"))(storage_check.check)
_storage.command(epilog=_example("storage configure --account /srv/backups --container nightly"))(storage.configure)
_storage.add_typer(_storage_accounts, name="accounts")
_storage_accounts.command(epilog=_example("storage accounts add contoso --container-url-file ~/backups.sas"))(
    storage_accounts.add
)
_storage_accounts.command("list", epilog=_example("storage accounts list"))(storage_accounts.list_)
_storage_accounts.command(epilog=_example("storage accounts remove contoso"))(storage_accounts.remove)
_storage.add_typer(_storage_containers, name="containers")
_storage_containers.command("list", epilog=_example("storage containers list contoso back"))(storage_containers.list_)
_storage_containers.command(epilog=_example("storage containers create contoso/backups"))(storage_containers.create)
_storage.add_typer(_storage_settings, name="settings")
_storage_settings.command("set", epilog=_example("storage settings set contoso/backups"))(storage_settings.set_)
_storage_settings.command(epilog=_example("storage settings show"))(storage_settings.show)
_storage_settings.command(epilog=_example("storage settings enable"))(storage_settings.enable)
_storage_settings.command(epilog=_example("storage settings disable"))(storage_settings.disable)
_storage.add_typer(_storage_network, name="network")
_storage_network.command(epilog=_example("storage network show"))(storage_network.show)
_storage_network.command(epilog=_example("storage network allow 192.0.2.0/24"))(storage_network.allow)
_storage_network.command(epilog=_example("storage network deny 192.0.2.0/24"))(storage_network.deny)
_storage_network.command(epilog=_example("storage network default deny"))(storage_network.default)
app.add_typer(_user, name="user")
_user.command(epilog=_example("user add alice --admin"))(users.add)
_user.command("list", epilog=_example("user list"))(users.list_)
_user.command(epilog=_example("user remove alice"))(users.remove)
_user.command(epilog=_example("user password alice"))(users.password)
app.add_typer(_key, name="key")
_key.command(epilog=_example("key add alice nightly --scope backup --expires 2030-01-31"))(keys.add)
_key.command("list", epilog=_example("key list"))(keys.list_)
_key.command(epilog=_example("key revoke 0123456789abcdef"))(keys.revoke)
app.add_typer(_firewall, name="firewall")
_firewall.command(epilog=_example("firewall show"))(firewall.show)
_firewall.command(epilog=_example("firewall enable"))(firewall.enable)
_firewall.command(epilog=_example("firewall disable"))(firewall.disable)
_firewall.command(epilog=_example("firewall add office 192.0.2.1 192.0.2.254"))(firewall.add)
_firewall.command(epilog=_example("firewall remove office"))(firewall.remove)
app.add_typer(_datasource, name="datasource")
_datasource.command("list", epilog=_example("datasource list Sales"))(datasource.list_)
_datasource.command(epilog=_example("datasource set-credential Sales Warehouse reader"))(datasource.set_credential)
_datasource.command(epilog=_example("datasource remove-credential Sales Warehouse"))(datasource.remove_credential)
_datasource.command("test", epilog=_example("datasource test Sales Warehouse"))(datasource.connect)
_datasource.command(epilog=_example("datasource folders"))(datasource.folders)
_datasource.command(epilog=_example("datasource allow-folder /srv/exports"))(datasource.allow_folder)
_datasource.command(epilog=_example("datasource disallow-folder /srv/exports"))(datasource.disallow_folder)
_datasource.command(epilog=_example("datasource row-limit 5000000"))(datasource.row_limit)

app.add_typer(_alias, name="alias")
_alias.command("set", epilog=_example("alias set sales https://two.example.com:8282/xmla"))(alias.set_)
_alias.command("list", epilog=_example("alias list"))(alias.list_)
_alias.command(epilog=_example("alias remove sales"))(alias.remove)
app.add_typer(_audit, name="audit")
_audit.command("list", epilog=_example("audit list --last 20"))(audit.list_)
_audit.command(epilog=_example("audit verify"))(audit.verify)


def _show_version(wanted: bool) -> None:
    if wanted:
        output.show_line(f"tabvault {tabvault.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _tabvault(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    data: DataBefore = None,
    as_json: JsonBefore = False,
) -> None:
    """Back up, verify, read and restore Analysis Services tabular databases."""
    context.obj = Before(data, as_json)
    _help_without_command(context)


@_storage.callback(invoke_without_command=True)
def _storage_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Files of the backup storage: list, put, get, remove; and where it is."""
    _before_subcommand(context, data, as_json=as_json)


@_storage_accounts.callback(invoke_without_command=True)
def _storage_accounts_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Storage accounts that backups can go to: add, list, remove."""
    _before_subcommand(context, data, as_json=as_json)


@_storage_containers.callback(invoke_without_command=True)
def _storage_containers_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Containers of a storage account: list, create."""
    _before_subcommand(context, data, as_json=as_json)


@_storage_settings.callback(invoke_without_command=True)
def _storage_settings_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Settings of the backup storage: set, show, enable, disable."""
    _before_subcommand(context, data, as_json=as_json)


@_storage_network.callback(invoke_without_command=True)
def _storage_network_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Network rules of the backup storage: show, allow, deny, default."""
    _before_subcommand(context, data, as_json=as_json)


@_user.callback(invoke_without_command=True)
def _user_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Users of the server: add, list, remove, and their passwords."""
    _before_subcommand(context, data, as_json=as_json)


@_key.callback(invoke_without_command=True)
def _key_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """API keys of the server: add, list, revoke."""
    _before_subcommand(context, data, as_json=as_json)


@_firewall.callback(invoke_without_command=True)
def _firewall_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Firewall of the server: show, enable, disable, and its rules."""
    _before_subcommand(context, data, as_json=as_json)


@_datasource.callback(invoke_without_command=True)
def _datasource_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Data sources: list, test, their credentials, and the folders that may be read."""
    _before_subcommand(context, data, as_json=as_json)


@_alias.callback(invoke_without_command=True)
def _alias_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Aliases of servers: set, list, remove."""
    _before_subcommand(context, data, as_json=as_json)


@_audit.callback(invoke_without_command=True)
def _audit_commands(context: typer.Context, data: DataBefore = None, as_json: JsonBefore = False) -> None:
    """Audit log of the server: list, verify."""
    _before_subcommand(context, data, as_json=as_json)


def _before_subcommand(context: typer.Context, data: pathlib.Path | None, *, as_json: bool) -> None:
    before: Before = context.obj
    context.obj = Before(data or before.data, as_json or before.as_json)
    _help_without_command(context)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        output.say(f"{context.get_help()}\n")
        raise typer.Exit(failure.USAGE_STATUS)


def run() -> None:
    """The console program: the arguments are those of the process, and the process ends with the exit status."""
    streams.prepare()
    sys.exit(_status(sys.argv[1:]))


def _status(arguments: list[str]) -> int:
    """Run a command and hand over what it wrote; returns the exit status."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in options
    try:
        status = _guarded(arguments, as_json=as_json)
        output.flush()
    except BrokenPipeError:
        streams.abandon_output()
        status = failure.BROKEN_PIPE_STATUS
    except TabvaultError as error:
        # Standard output is what failed: the error goes to the other one, JSON or not.
        streams.abandon_output()
        status = failure.report(error, as_json=False)
    return status


def _guarded(arguments: list[str], *, as_json: bool) -> int:
    try:
        # Not app(): it prints errors of its own kind and turns a closed pipe into status 1.
        with typer.main.get_command(app).make_context("tabvault", arguments) as context:
            context.command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        return failure.report_usage(error, as_json=as_json)
    except KeyboardInterrupt as interrupt:
        return failure.report_cancelled(interrupt, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        # Ours are translated where they arise; help is printed by typer, and what it could not write is still there.
        output.flush()
        return failure.report(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the edge: a bug must neither show values nor look like a success
        return failure.report(error, as_json=as_json)
    return 0
