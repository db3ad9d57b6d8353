"""Aliases: the names that clients keep while the server behind them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.content import Content
from tabvault.faces.server.rest.models import Body, NoParameters
from tabvault.faces.server.rest.problems import HttpError
from tabvault.storage.server_state.aliases import SERVER_CHARACTER_COUNT_MAX, Alias

if TYPE_CHECKING:
    from collections.abc import Sequence

Plain = Call[None, NoParameters]


class AliasRequest(Body):
    """What an alias stands for."""

    server: str = Field(
        min_length=1,
        max_length=SERVER_CHARACTER_COUNT_MAX,
        description="What clients connect to: `https://vault.example.com:8282/xmla`.",
    )


class AliasContent(Content):
    """An alias, and what it stands for; `GET /link/{name}` tells it to everybody."""

    name: str
    server: str


class Aliases(Content):
    """All aliases, by name."""

    aliases: list[AliasContent]


def aliases(call: Plain) -> Answer:
    """List the aliases. For server administrators."""
    return _answer(call.administration.aliases(call.caller))


def put(call: Call[AliasRequest, NoParameters]) -> Answer:
    """Have an alias stand for a server, a new one or one that there is. For server administrators."""
    call.administration.set_alias(call.caller, Alias(call.path["name"], call.body.server))
    return _answer(call.administration.aliases(call.caller))


def remove(call: Plain) -> Answer:
    """Remove an alias. For server administrators."""
    name = call.path["name"]
    if not any(alias.key == name.lower() for alias in call.administration.aliases(call.caller)):
        raise HttpError(404, f"there is no alias {name!r:.200}")
    call.administration.remove_alias(call.caller, name)
    return Answer()


def _answer(found: Sequence[Alias]) -> Answer:
    return Answer(Aliases(aliases=[AliasContent.model_validate(alias) for alias in found]))
