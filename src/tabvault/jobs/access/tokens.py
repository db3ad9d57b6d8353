"""
Bearer tokens (OpenID Connect, RFC 7519): whose they are.

A token is believed when a key of its issuer signed it (:mod:`tabvault.jobs.access.json_web_keys`), the issuer is one of
the configured ones, it is for one of that provider's audiences, it has not expired, and ``nbf`` or at least ``iat`` is
there and past. One minute of difference between clocks is allowed.

=============================  ===================================================================================
claims                         name
=============================  ===================================================================================
``upn``, else                  ``user@domain``: the first that looks like one. ``email`` only with
``preferred_username``,        ``email_verified`` true, for with some issuers users choose it themselves
else ``email``
``appid`` or ``azp``, ``tid``  ``app:ID@TENANT``, if the token is an application's own: ``idtyp`` is ``app``, or
                               ``idtyp`` and ``scp`` are missing and ``oid`` is ``sub``
``groups``, ``tid``            ``obj:GROUP@TENANT`` for each
=============================  ===================================================================================

The claims are those of Microsoft Entra ID. A token of a user without a name is refused: it never stands for the program
that he uses. A list of groups that did not fit into the token (``_claim_names``) is not asked for elsewhere; the member
has the roles that the token proves.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

import jwt

from tabvault.errors import NotAuthenticatedError
from tabvault.jobs.access.json_web_keys import JsonWebKeys
from tabvault.jobs.access.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tabvault.storage.server_state.identity_providers import IdentityProvider

TOKEN_LENGTH_MAX: Final = 16_384
"""Characters. A token of Entra ID with its 200 groups has about 10,000."""

LEEWAY_S: Final = 60

_USER = re.compile(r"[^\s@:\\]{1,256}@[^\s@:\\]{1,256}")
_ID = re.compile(r"[^\s@:\\]{1,256}")


class TokenVerifier:
    """
    The issuers whose tokens are believed. Threads may share it.

    Args:
        providers: the issuers.
        clock: for the age of their keys, seconds of a clock that never goes back.

    Raises:
        RequestError: the keys given with a provider are no JWK set.
    """

    def __init__(self, providers: Iterable[IdentityProvider], clock: Callable[[], float] = time.monotonic) -> None:
        self._issuers = {provider.issuer: (provider, JsonWebKeys(provider, clock)) for provider in providers}

    def verify(self, token: str) -> Principal:
        """
        Who comes with *token*. It may ask the issuer for his keys, so it may take seconds.

        Raises:
            NotAuthenticatedError: it cannot be believed, has expired, or names nobody.
        """
        if len(token) > TOKEN_LENGTH_MAX:
            raise NotAuthenticatedError(f"the token has {len(token)} characters, and {TOKEN_LENGTH_MAX} are allowed")
        # What a token says of itself decides whose keys are asked, nothing else.
        unverified = _decoded(lambda: jwt.decode_complete(token, options={"verify_signature": False}))
        issuer, key_id = unverified["payload"].get("iss"), unverified["header"].get("kid")
        if not isinstance(issuer, str) or issuer not in self._issuers:
            raise NotAuthenticatedError(f"the token is of the issuer {issuer!r:.200}, which is not configured")
        if not isinstance(key_id, str):
            raise NotAuthenticatedError("the token does not name its key (kid)")
        provider, keys = self._issuers[issuer]
        signing_key = keys.key(key_id)
        claims = _decoded(
            lambda: jwt.decode(
                token,
                signing_key.key,
                algorithms=[signing_key.algorithm],
                audience=list(provider.audiences),
                issuer=provider.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        )
        if "nbf" not in claims and "iat" not in claims:
            raise NotAuthenticatedError("the token does not say from when on it is valid (nbf, iat)")
        return _principal(claims, provider)


def _decoded(decode: Callable[[], Any]) -> Any:
    try:
        return decode()
    except jwt.ExpiredSignatureError:
        raise NotAuthenticatedError("the token has expired", hint="get a new one from its issuer") from None
    # The library lets what malformed claims cause (a list as exp, 1e999) pass through.
    except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise NotAuthenticatedError(f"the token cannot be believed: {error!s:.200}") from None


def _principal(claims: Mapping[str, Any], provider: IdentityProvider) -> Principal:
    tenant = _text(claims, "tid", _ID)
    if provider.tenant is not None:
        if tenant is not None and tenant.casefold() != provider.tenant.casefold():
            raise NotAuthenticatedError(f"the token is of the tenant {tenant}, not {provider.tenant}")
        tenant = provider.tenant
    user = _user(claims)
    application = _application(claims, tenant)
    name = user or application
    if name is None:
        raise NotAuthenticatedError("the token names neither a user nor an application")
    identities = frozenset(identity.casefold() for identity in (name, *_groups(claims, tenant)))
    return Principal(
        name=name,
        kind="application" if user is None else "user",
        authentication="bearer",
        identities=identities,
        administers_server=not identities.isdisjoint(admin.casefold() for admin in provider.administrators),
    )


def _user(claims: Mapping[str, Any]) -> str | None:
    verified = ("email",) if claims.get("email_verified") is True else ()
    for claim in ("upn", "preferred_username", *verified):
        user = _text(claims, claim, _USER)
        if user is not None:
            return user
    return None


def _application(claims: Mapping[str, Any], tenant: str | None) -> str | None:
    own = "scp" not in claims and claims.get("oid") is not None and claims.get("oid") == claims.get("sub")
    if claims.get("idtyp", "app" if own else None) != "app":
        return None
    application = _text(claims, "appid", _ID) or _text(claims, "azp", _ID)
    return None if application is None or tenant is None else f"app:{application}@{tenant}"


def _groups(claims: Mapping[str, Any], tenant: str | None) -> list[str]:
    groups = claims.get("groups")
    if tenant is None or not isinstance(groups, list):
        return []
    return [f"obj:{group}@{tenant}" for group in groups if isinstance(group, str) and _ID.fullmatch(group)]


def _text(claims: Mapping[str, Any], claim: str, pattern: re.Pattern[str]) -> str | None:
    value = claims.get(claim)
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
