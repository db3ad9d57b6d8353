"""``tabvault serve``: the server for Microsoft's clients, for programs, and for this command on other machines."""

import contextlib
import json
import pathlib
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.errors import TabvaultError
from tabvault.faces.cli import memory, output, passwords
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Data, Json
from tabvault.faces.cli.storage_accounts import sas_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.faces.server.listening import Certificate, Listeners
    from tabvault.faces.server.service import Service

_PORT: Final = 8282
_JOB_COUNT: Final = 2

# The default stands in faces.server.serving too, whose import would slow --help down; a test compares them.
_DRAIN_TIMEOUT_S: Final = 30.0
_DRAIN_TIMEOUT_S_MAX: Final = 86_400.0


def serve(
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Address or name to listen at; 0.0.0.0 is all of the machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="TCP port; 0 takes a free one.")
    ] = _PORT,
    tls_cert: Annotated[
        pathlib.Path | None, typer.Option("--tls-cert", metavar="F", help="Certificate, a PEM file; with --tls-key.")
    ] = None,
    tls_key: Annotated[
        pathlib.Path | None, typer.Option("--tls-key", metavar="F", help="Its private key, a PEM file.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What clients are told that the server is called.",
            show_default="the name of the machine",
        ),
    ] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy",
            help="A proxy speaks TLS; one on this machine is believed which address a client has.",
        ),
    ] = False,
    admin_user: Annotated[
        str | None,
        typer.Option("--admin-user", metavar="NAME", help="Make this user a server administrator with that password."),
    ] = None,
    admin_password_file: Annotated[
        str | None,
        typer.Option(
            "--admin-password-file", metavar="F", help="File whose first line is his password; - for standard input."
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, max=64, help="Backups, restores and the like at a time.")
    ] = _JOB_COUNT,
    drain_timeout: Annotated[
        float,
        typer.Option(
            "--drain-timeout",
            metavar="SECONDS",
            min=0.0,
            max=_DRAIN_TIMEOUT_S_MAX,
            help="At the end, how long running jobs may take.",
        ),
    ] = _DRAIN_TIMEOUT_S,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """
    Serve the data folder: XMLA for SSMS, TOM and ADOMD.NET, and REST.

    Ctrl-C ends it once running jobs have finished; a second Ctrl-C ends it now.
    """
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together", hint="give both")
    if (admin_user is None) != (admin_password_file is None):
        raise UsageError("--admin-user and --admin-password-file belong together", hint="give both")
    # A web server takes a while to load, and --help needs none.
    from tabvault.faces.server import server_log  # noqa: PLC0415
    from tabvault.faces.server.listening import Certificate, listen  # noqa: PLC0415
    from tabvault.faces.server.serving import serve as serve_until_signal  # noqa: PLC0415

    memory.look_for_garbage_as_usual()
    certificate = Certificate(tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
    if certificate is not None:
        certificate.check()
    password = None if admin_password_file is None else passwords.read_password(admin_password_file)
    listeners = listen(host, port, certificate=certificate, behind_proxy=behind_proxy)
    server_log.begin_log()
    with contextlib.closing(listeners), _service(data, listeners, name, jobs) as service:
        credential = _administrator(service, admin_user, password)

        def show() -> None:
            _show_ready(service, listeners, credential, certificate, as_json=as_json)

        serve_until_signal(
            service,
            listeners,
            certificate=certificate,
            behind_proxy=behind_proxy,
            drain_timeout_s=drain_timeout,
            on_ready=show,
        )


@contextlib.contextmanager
def _service(data: pathlib.Path | None, listeners: "Listeners", name: str | None, jobs: int) -> "Iterator[Service]":
    from tabvault.faces.server.service import Service  # noqa: PLC0415 - see above

    with Service(data, name=name, working_job_count_max=jobs) as service:
        service.port = listeners.port
        yield service


def _administrator(service: "Service", name: str | None, password: str | None) -> tuple[str, str | None]:
    """Name of an administrator, and his password if it was made up just now and nobody knows it yet."""
    accounts = service.access.accounts
    if name is not None:
        accounts.create_administrator(name, password)
        return name, None
    if not accounts.has_administrator:
        return accounts.create_administrator()
    return next(user.name for user in accounts.users if user.is_server_administrator), None


def _show_ready(
    service: "Service",
    listeners: "Listeners",
    credential: tuple[str, str | None],
    certificate: "Certificate | None",
    *,
    as_json: bool,
) -> None:
    name, password = credential
    storage = _storage(service)
    connection = f"Data Source={listeners.url}/xmla;User ID={name};Password={password or '…'}"
    data = service.vault.data.absolute()
    if as_json:
        document = {
            "url": listeners.url,
            "name": service.name,
            "xmla": f"{listeners.url}/xmla",
            "api": f"{listeners.url}/api",
            "tls": certificate is not None,
            "data": str(data),
            "backup_storage": storage,
            "administrator": name,
            "password": password,
        }
        # One line, however long: the process goes on, and whoever started it waits for a line.
        output.write(json.dumps(document) + "\n")
    else:
        output.show_line(f"serving {listeners.url}")
        output.show_line(f"  SSMS, TOM, ADOMD.NET  {connection}")
        output.show_line(f"  REST                  {listeners.url}/api")
        output.show_line(f"  data folder           {data}")
        output.show_line(f"  backup storage        {storage}")
        if password is not None:
            output.show_line(f"  administrator         {name}, password {password} (shown this once)")
    output.flush()


def _storage(service: "Service") -> str:
    """Where backups go, in words; what is wrong with it is no reason not to serve the databases."""
    storage = service.vault.storage
    try:
        settings = storage.settings
        if settings.account is None or settings.container is None:
            return "not configured: tabvault storage settings set ACCOUNT/CONTAINER"
        expires = storage.account(settings.account).expires
    except TabvaultError as error:
        return str(error)
    place = f"{settings.account}, container {settings.container}"
    if not settings.enabled:
        return f"disabled ({place}): tabvault storage settings enable"
    return place if expires is None else f"{place}, SAS {sas_end(expires)}"
