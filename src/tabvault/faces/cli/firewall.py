"""``tabvault firewall …``: from which addresses a server lets clients in."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target

if TYPE_CHECKING:
    from tabvault.storage.server_state.firewall_rules import FirewallSettings

_COLUMNS: Final = (Column("rule", narrow="fold"), Column("start"), Column("end"))

_Rule = Annotated[str, typer.Argument(metavar="RULE", help="Name of the rule: letters, digits, _ and -.")]


@on_target
def show(target: Target, as_json: Json = False) -> None:
    """Show whether the firewall is on, and the addresses that it lets in."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second

    with open_administered(target) as administered:
        _show(administered.firewall(), as_json=as_json)


@on_target
def enable(target: Target, as_json: Json = False) -> None:
    """Let in the addresses of the rules, and this machine, and nobody else."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.enable_firewall(enabled=True)
        _show(administered.firewall(), as_json=as_json)


@on_target
def disable(target: Target, as_json: Json = False) -> None:
    """Let everybody in. The rules stay."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.enable_firewall(enabled=False)
        _show(administered.firewall(), as_json=as_json)


@on_target
def add(
    target: Target,
    rule: _Rule,
    start: Annotated[str, typer.Argument(metavar="START", help="First address, IPv4 or IPv6.")],
    end: Annotated[str | None, typer.Argument(metavar="END", help="Last address.", show_default="the first")] = None,
    as_json: Json = False,
) -> None:
    """Add a rule, or change the one of that name."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above
    from tabvault.storage.server_state.firewall_rules import FirewallRule  # noqa: PLC0415

    parsed = FirewallRule.parse(rule, start, start if end is None else end)
    with open_administered(target) as administered:
        administered.put_rule(parsed)
        _show(administered.firewall(), as_json=as_json)


@on_target
def remove(target: Target, rule: _Rule, as_json: Json = False) -> None:
    """Remove a rule."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.remove_rule(rule)
        _show(administered.firewall(), as_json=as_json)


def _show(settings: "FirewallSettings", *, as_json: bool) -> None:
    rows = [(rule.name, str(rule.start), str(rule.end)) for rule in settings.rules]
    if as_json:
        rules = [{"name": name, "start": start, "end": end} for name, start, end in rows]
        output.show_json({"enabled": settings.enabled, "rules": rules})
        return
    output.show_facts({"enabled": (settings.enabled, "yes" if settings.enabled else "no")})
    output.show_table(_COLUMNS, rows)
