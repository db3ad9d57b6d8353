"""docs/reference/cli.md and the command say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import typer
import typer.main

from docs.documents import DOCS, read, section, tables
from tabvault.faces.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = read(DOCS / "reference" / "cli.md")
SHARED = {"--data", "--json", "--help"}
"""Options of every command, documented once."""

ON_SERVER = {"--server", "--user", "--login-password-file", "--api-key-file", "--ca-file"}
"""Options of every command that works on a server too, documented once."""

HERE_ONLY = {"serve", "storage configure"}
"""Commands that work on a data folder and nothing else."""


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words one types."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def parameters(name: str) -> dict[str, str]:
    """The default of each argument and option of a command, by its spelling; without those that all commands have."""
    command = COMMANDS[name]
    help_text = " ".join(command.get_help(typer.Context(command, info_name=name)).split())
    found = {}
    for parameter in command.params:
        if (SHARED | ON_SERVER).intersection(parameter.opts):
            continue
        if parameter.param_type_name == "argument":
            spelling = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
        else:
            choices = re.search(rf"{parameter.opts[0]} <([\w-]+(?:\|[\w-]+)+)>", help_text)
            value = choices[1] if choices else parameter.metavar
            spelling = ", ".join([*parameter.opts, *parameter.secondary_opts]) + (f" {value}" if value else "")
        found[spelling] = _default(parameter)
    return found


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return str(parameter.default) if parameter.default not in {None, False} else ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_is_documented_with_its_default(name: str) -> None:
    found = tables(section(TEXT, name))
    documented = {row["argument or option"].replace("`", ""): row["default"] for table in found for row in table}
    assert documented == parameters(name)
    assert all(row["meaning"] for table in found for row in table)
    if not documented:
        assert "no options of its own" in section(TEXT, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_shared_options(name: str) -> None:
    shared = {option for parameter in COMMANDS[name].params for option in parameter.opts} & SHARED
    assert shared | {"--help"} == SHARED


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_all_options_for_a_server_or_none(name: str) -> None:
    found = {option for parameter in COMMANDS[name].params for option in parameter.opts} & ON_SERVER
    assert found == (set() if name in HERE_ONLY else ON_SERVER)


def test_the_options_for_a_server_are_documented_in_a_section_of_their_own() -> None:
    options, variables = tables(section(TEXT, "On a server"))
    assert {row["option"].split()[0].strip("`") for row in options} == ON_SERVER
    assert {row["environment variable"] for row in variables} == {"`TABVAULT_SERVER`", "`TABVAULT_API_KEY`"}


def test_the_shared_options_are_documented_with_their_defaults() -> None:
    options, variables = tables(section(TEXT, "For every command"))
    assert {row["option"].split()[0].strip("`") for row in options} == SHARED
    data = next(parameter for parameter in COMMANDS["databases"].params if "--data" in parameter.opts)
    assert {row["option"]: row["default"] for row in options}[f"`--data {data.metavar}`"] == data.show_default
    assert f"`{data.envvar}`" in {row["environment variable"] for row in variables}


def test_there_is_no_section_for_a_command_that_is_gone() -> None:
    sections = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert set(sections) - {"For every command", "On a server"} == COMMANDS.keys()
