"""``tabvault storage network …``: from which addresses a server lets files of its backup storage be put and got."""

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.server_state.network_rules import NetworkRules

_COLUMNS: Final = (Column("allowed", narrow="fold"),)

_Address = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="An address or a range as 192.0.2.0/24, IPv4 or IPv6.")
]


@on_target
def show(target: Target, as_json: Json = False) -> None:
    """Show from which networks files may be put and got."""
    _change(target, lambda rules: rules, as_json=as_json)


@on_target
def allow(target: Target, address: _Address, as_json: Json = False) -> None:
    """Let an address or a range in where the default is deny."""
    from tabvault.storage.server_state.network_rules import parse_network  # noqa: PLC0415 - --help needs none

    network = parse_network(address)
    _change(target, lambda rules: rules.allowing(network), as_json=as_json)


@on_target
def deny(target: Target, address: _Address, as_json: Json = False) -> None:
    """Take the rule of an address or a range away."""
    from tabvault.storage.server_state.network_rules import parse_network  # noqa: PLC0415 - as above

    network = parse_network(address)
    _change(target, lambda rules: rules.without(network), as_json=as_json)


@on_target
def default(
    target: Target,
    action: Annotated[
        Literal["allow", "deny", "disabled"],
        typer.Argument(
            metavar="ACTION",
            help="allow: all networks; deny: only those with a rule; disabled: nobody but the machine itself.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Say what happens to addresses without a rule. The rules stay."""
    from tabvault.storage.server_state.network_rules import NetworkRules  # noqa: PLC0415 - as above

    def changed(rules: NetworkRules) -> NetworkRules:
        if action == "disabled":
            return NetworkRules("Disabled", rules.default_action, rules.ip_rules)
        return NetworkRules("Enabled", "Allow" if action == "allow" else "Deny", rules.ip_rules)

    _change(target, changed, as_json=as_json)


def _change(target: Target, changed: "Callable[[NetworkRules], NetworkRules]", *, as_json: bool) -> None:
    """Change the rules, if they change, and show them."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second
    from tabvault.storage.server_state.network_rules import network_text  # noqa: PLC0415

    with open_administered(target) as administered:
        old = administered.storage_network()
        rules = changed(old)
        if rules != old:
            administered.set_storage_network(rules)
    texts = [network_text(network) for network in rules.ip_rules]
    if as_json:
        facts = {"public_network_access": rules.public_network_access, "default_action": rules.default_action}
        output.show_json({**facts, "ip_rules": texts, "words": rules.words})
        return
    output.show_facts({"public network access": (rules.words, rules.words)})
    output.show_table(_COLUMNS, ((text,) for text in texts))
