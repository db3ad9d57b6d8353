"""
Where a command works: on a data folder, or on a server.

A command that can do both takes one ``target`` and is marked with :func:`on_target`, which gives it the options behind
that word. What stands on the command line counts before what the environment says; a data folder and a server on
one command line contradict each other.
"""

import functools
import inspect
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Data

_Own = ParamSpec("_Own")

_Server = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", envvar="TABVAULT_SERVER", help="Work on this server instead of on a data folder."
    ),
]
_User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="With --server: log in as this user.")]
_LoginPasswordFile = Annotated[
    str | None,
    typer.Option(
        "--login-password-file",
        metavar="P",
        help="With --user: file whose first line is his password. Without it a terminal is asked.",
    ),
]
_ApiKeyFile = Annotated[
    str | None,
    typer.Option("--api-key-file", metavar="K", help="With --server: file whose first line is an API key."),
]
_CaFile = Annotated[
    pathlib.Path | None,
    typer.Option("--ca-file", metavar="F", help="With --server: PEM file of who vouches for its certificate."),
]


@dataclass(frozen=True, slots=True)
class Server:
    """
    A server, and as whom to ask it; files by their names.

    Attributes:
        api_key_variable: of the environment; it counts where nothing else says who asks. One server must not be sent
            the key of another.
    """

    url: str
    user: str | None
    login_password_file: str | None
    api_key_file: str | None
    ca_file: pathlib.Path | None
    api_key_variable: str = "TABVAULT_API_KEY"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a command works: the data folder *data*, unless *server* is given."""

    data: pathlib.Path | None
    server: Server | None


_OPTIONS: Final[dict[str, Any]] = {
    "data": Data,
    "server": _Server,
    "user": _User,
    "login_password_file": _LoginPasswordFile,
    "api_key_file": _ApiKeyFile,
    "ca_file": _CaFile,
}


def on_target(command: Callable[Concatenate[Target, _Own], None]) -> Callable[..., None]:
    """Give a command whose first parameter is ``target`` the options that say where it works."""
    own = list(inspect.signature(command).parameters.values())[1:]
    places = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    last = own.pop() if own and own[-1].name == "as_json" else None
    parameters = [*own, *places, *([last] if last is not None else []), context]

    @functools.wraps(command)
    def taking_options(*, context: typer.Context, **values: Any) -> None:
        given = {name: values.pop(name) for name in _OPTIONS}
        command(_target(context, given), **values)  # type: ignore[call-arg]  # typer gives what the signature names

    taking_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taking_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return taking_options


def _target(context: typer.Context, given: dict[str, Any]) -> Target:
    data = given.pop("data")
    url = given.pop("server")
    names_data = _is_typed(context, "data") or context.obj.data is not None
    if _is_typed(context, "server") and names_data:
        raise UsageError("--server and --data contradict each other", hint="leave one of them out")
    if url is None or names_data:
        for name, value in given.items():
            if value is not None:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is given without --server", hint=f"add --server, or leave --{option} out")
        return Target(data, None)
    if given["login_password_file"] is not None and given["user"] is None:
        raise UsageError("--login-password-file is given without --user", hint="add --user")
    if given["api_key_file"] is not None and given["user"] is not None:
        raise UsageError("--user and --api-key-file are two credentials", hint="leave one of them out")
    return Target(None, Server(url, **given))


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
