"""
All server administrators as one list of names, as Azure Resource Manager has it (``asAdministrators.members``).

Here a server administrator is either a user with a password (:mod:`tabvault.jobs.access.accounts`) or a name that the
tokens of an identity provider may carry (:mod:`tabvault.storage.server_state.identity_providers`). There is no third
list: what is read is made of these two, and a list that is set is spread over them.

==================================================  ================================================================
a name of the list                                  makes an administrator of
==================================================  ================================================================
is that of a user                                   the user
is an administrator of an identity provider         whoever the provider says has that name, as before
is neither, and ``user@domain``, ``app:ID@TENANT``  whoever the identity provider says has that name: there must be
or ``obj:ID@TENANT``                                exactly one that can, for a name believed of a second issuer would
                                                    be another person's
anything else                                       nobody could come by it: refused
==================================================  ================================================================

Whoever is not in the list administers the server no longer. Refused are a list without any user (tokens need an issuer
that answers; a password does not) and one that shuts out who sets it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tabvault.jobs.access.principal import Principal
    from tabvault.jobs.access.server_access import ServerAccess
    from tabvault.storage.server_state.identity_providers import IdentityProvider

ADMINISTRATOR_COUNT_MAX: Final = 1000
_PATH: Final = "asAdministrators.members"

_TOKEN_NAME: Final = re.compile(
    r"[^\s@:\\]{1,256}@[^\s@:\\]{1,256}|(?:app|obj):[^\s@:\\]{1,256}@(?P<tenant>[^\s@:\\]{1,256})"
)
"""The forms of :mod:`tabvault.jobs.access.tokens`."""


@dataclass(frozen=True, slots=True)
class AdministratorChanges:
    """
    What makes the administrators those of a list.

    Attributes:
        raised: users who become administrators.
        lowered: users who are administrators no longer.
        providers: all identity providers, if their administrators change; else None.
    """

    raised: tuple[str, ...]
    lowered: tuple[str, ...]
    providers: tuple[IdentityProvider, ...] | None


def server_administrators(access: ServerAccess) -> tuple[str, ...]:
    """The names of all server administrators: users first, each name once."""
    users = [user.name for user in access.accounts.users if user.is_server_administrator]
    named = [name for provider in access.identity_providers for name in provider.administrators]
    return tuple(_once([*users, *named]).values())


def administrator_changes(access: ServerAccess, members: Sequence[str], principal: Principal) -> AdministratorChanges:
    """
    What has to change for *members* to be the server administrators.

    Args:
        access: users and identity providers as they are.
        members: names; case does not matter.
        principal: who asks for it.

    Raises:
        RequestError: a name is one that nobody could come by, or the list would shut somebody out who must not be.
    """
    if len(members) > ADMINISTRATOR_COUNT_MAX:
        raise RequestError(f"{len(members)} names, and {ADMINISTRATOR_COUNT_MAX} are allowed", path=_PATH)
    wanted = _once(members)
    users = {_folded(user.name): user for user in access.accounts.users}
    if not wanted.keys() & users.keys():
        raise RequestError(
            "no user of this server is in the list: without any nobody gets in when no tokens are to be had",
            path=_PATH,
            hint="add the name of a user who has a password",
        )
    providers = access.identity_providers
    known = {_folded(name) for provider in providers for name in provider.administrators}
    added: dict[str, list[str]] = {}
    for key, name in wanted.items():
        if key not in users and key not in known:
            added.setdefault(_issuer_of(name, providers), []).append(name)
    changed = tuple(_with_administrators(provider, wanted, added.get(provider.issuer, [])) for provider in providers)
    _refuse_own_end(principal, wanted, changed)
    return AdministratorChanges(
        raised=tuple(user.name for key, user in users.items() if key in wanted and not user.is_server_administrator),
        lowered=tuple(user.name for key, user in users.items() if key not in wanted and user.is_server_administrator),
        providers=None if changed == providers else changed,
    )


def _issuer_of(name: str, providers: Sequence[IdentityProvider]) -> str:
    """The issuer whose tokens may carry *name*."""
    match = _TOKEN_NAME.fullmatch(name)
    if match is None:
        raise RequestError(
            f"{name!r:.300} is neither a user of this server nor a name that tokens have",
            path=_PATH,
            hint="create the user first, or write user@domain, app:ID@TENANT or obj:ID@TENANT",
        )
    tenant = match["tenant"]
    able = [one for one in providers if tenant is None or one.tenant is None or _folded(one.tenant) == _folded(tenant)]
    if len(able) != 1:
        raise RequestError(
            f"{name!r:.300} is no user of this server, and {len(able)} of its identity providers can vouch for it",
            path=_PATH,
            hint="create the user, or configure the identity provider and its administrators first",
        )
    return able[0].issuer


def _with_administrators(provider: IdentityProvider, wanted: dict[str, str], added: Sequence[str]) -> IdentityProvider:
    kept = [name for name in provider.administrators if _folded(name) in wanted]
    return replace(provider, administrators=(*kept, *added))


def _refuse_own_end(principal: Principal, wanted: dict[str, str], providers: Sequence[IdentityProvider]) -> None:
    """Refuse a list with which who sets it would be no administrator any more."""
    if principal.authentication == "local":
        return
    if principal.authentication == "bearer":
        named = {name.casefold() for provider in providers for name in provider.administrators}
        stays = not principal.identities.isdisjoint(named)
    else:
        stays = _folded(principal.name) in wanted
    if not stays:
        raise RequestError(
            f"you, {principal.name!r:.300}, would be no server administrator any more",
            path=_PATH,
            hint="add your name, or have another administrator set the list",
        )


def _once(names: Iterable[str]) -> dict[str, str]:
    """The names by what is compared of them, each as it stands there first."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(_folded(name), name)
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
