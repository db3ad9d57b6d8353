"""
Whose bearer tokens a server believes: ``<data>/server/identity-providers.json``.

::

    {"format_version": 1,
     "providers": [{"issuer": "https://login.microsoftonline.com/TENANT/v2.0",
                    "audiences": ["api://tabvault"], "tenant": "TENANT",
                    "jwks_uri": null, "jwks": null,
                    "administrators": ["alice@contoso.com", "obj:GROUP@TENANT", "app:ID@TENANT"]}]}

At most one of ``jwks_uri`` (where the issuer's keys are) and ``jwks`` (the keys themselves, RFC 7517) is set; with
neither the issuer is asked where they are (OpenID Connect Discovery 1.0, section 4). Addresses are ``https``; ``http``
only on the loopback interface, where nobody can put himself between.
"""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.storage.server_state.loopback import is_loopback
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.server_state.state_file import StateValue

PROVIDERS_FILE: Final = "identity-providers.json"
PROVIDER_COUNT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """
    An issuer of tokens (OpenID Connect).

    Attributes:
        issuer: its identifier, an address; the ``iss`` of its tokens, character by character.
        audiences: who the tokens must be for, one of these; at least one.
        tenant: the directory its principals belong to, the ``TENANT`` of ``app:ID@TENANT``. A token that says another
            (claim ``tid``) is refused; None takes it from the token.
        jwks_uri: address of its keys.
        jwks: its keys, JSON text of a JWK set.
        administrators: names of principals that are server administrators.

    Raises:
        RequestError: an address is not one of ``https`` (or of loopback), no audience is named, or the keys are not
            JSON.
    """

    issuer: str
    audiences: tuple[str, ...]
    tenant: str | None = None
    jwks_uri: str | None = None
    jwks: str | None = field(default=None, repr=False)
    administrators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_address(self.issuer, path="issuer")
        if self.jwks_uri is not None:
            check_address(self.jwks_uri, path="jwks_uri")
            if self.jwks is not None:
                raise RequestError("the issuer's keys are given, and an address for them too", path="jwks_uri")
        if self.jwks is not None:
            try:
                json.loads(self.jwks)
            except (ValueError, RecursionError) as error:
                raise RequestError(f"the issuer's keys are not JSON: {error}", path="jwks") from None
        if not self.audiences or not all(self.audiences):
            raise RequestError("an identity provider needs the audience of its tokens", path="audiences")


def check_address(address: str, *, path: str | None = None) -> None:
    """
    Refuse an address at which somebody could put himself between the issuer and us.

    Raises:
        RequestError: it is not ``https`` with a host and without user and fragment, nor ``http`` on loopback.
    """
    try:
        parts = urllib.parse.urlsplit(address)
        host, secure = parts.hostname, parts.scheme == "https"
        bare = parts.username is None and not parts.fragment and parts.port != 0 and address.isprintable()
    except ValueError:
        host, secure, bare = None, False, False
    if not host or not bare or " " in address or not (secure or (parts.scheme == "http" and is_loopback(host))):
        raise RequestError(f"{address!r:.200} is not an https address", path=path)


def load_identity_providers(data_folder: Path) -> tuple[IdentityProvider, ...]:
    """
    The identity providers of the server on *data_folder*; none, if nothing was ever saved.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, PROVIDERS_FILE, "providers")
    if members is None:
        return ()
    providers = tuple(_provider(item) for item in members["providers"].items())
    try:
        check_identity_providers(providers)
    except RequestError as error:
        raise members["providers"].error(f"not usable: {error.message}") from None
    return providers


def save_identity_providers(data_folder: Path, providers: tuple[IdentityProvider, ...]) -> None:
    """
    Make *providers* those of the server on *data_folder*, durably and in one step.

    Raises:
        RequestError: two have one issuer, or there are too many.
        StorageError: the file cannot be written.
    """
    check_identity_providers(providers)
    content = [
        {
            "issuer": provider.issuer,
            "audiences": list(provider.audiences),
            "tenant": provider.tenant,
            "jwks_uri": provider.jwks_uri,
            "jwks": None if provider.jwks is None else json.loads(provider.jwks),
            "administrators": list(provider.administrators),
        }
        for provider in providers
    ]
    write_state(data_folder, PROVIDERS_FILE, {"providers": content})


def check_identity_providers(providers: tuple[IdentityProvider, ...]) -> None:
    """
    Refuse what a token could not be judged by.

    Raises:
        RequestError: two have one issuer, or there are too many.
    """
    if len(providers) > PROVIDER_COUNT_MAX:
        raise RequestError(f"{len(providers)} identity providers, and {PROVIDER_COUNT_MAX} are allowed")
    if len({provider.issuer for provider in providers}) != len(providers):
        raise RequestError("two identity providers have one issuer", path="issuer")


def _provider(value: StateValue) -> IdentityProvider:
    members = value.members("issuer", "audiences", "tenant", "jwks_uri", "jwks", "administrators")
    jwks = members["jwks"].value
    try:
        return IdentityProvider(
            issuer=members["issuer"].text(),
            audiences=tuple(item.text() for item in members["audiences"].items()),
            tenant=members["tenant"].text_or_none(),
            jwks_uri=members["jwks_uri"].text_or_none(),
            jwks=None if jwks is None else json.dumps(jwks),
            administrators=tuple(item.text() for item in members["administrators"].items()),
        )
    except RequestError as error:
        raise value.error(f"not usable: {error.message}") from None
