"""For administrators: the audit log, users, keys, the firewall, identity providers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tabvault.errors import RequestError
from tabvault.faces.server.rest import access_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.models import NoParameters
from tabvault.faces.server.rest.problems import HttpError
from tabvault.storage.server_state.audit_chain import NotedLine
from tabvault.storage.server_state.firewall_rules import FirewallRule, FirewallSettings
from tabvault.storage.server_state.identity_providers import IdentityProvider

if TYPE_CHECKING:
    from tabvault.faces.server.rest.access_models import (
        AuditCheckRequest,
        AuditParameters,
        FirewallRequest,
        KeyRequest,
        PasswordRequest,
        ProviderRequest,
        ProvidersRequest,
        RuleRequest,
        UserChangeRequest,
        UserRequest,
        UsersKeysParameters,
    )
    from tabvault.storage.server_state.accounts import ApiKeyRecord, UserRecord

Plain = Call[None, NoParameters]


def audit(call: Call[None, AuditParameters]) -> Answer:
    """Show lines of the audit log, the latest first. For server administrators."""
    query = call.query
    lines = call.administration.audit_lines(call.caller, since=query.since, until=query.until, limit=query.limit)
    return Answer(access_answers.AuditLines(lines=[access_answers.AuditLine.model_validate(line) for line in lines]))


def check_audit(call: Call[AuditCheckRequest, NoParameters]) -> Answer:
    """
    Read the whole audit log, and check that its lines are those that were written. For server administrators.

    A chain that is broken is told in the answer, and no error of this request.
    """
    noted = call.body.noted
    line = None if noted is None else NotedLine(noted.sequence, noted.digest)
    return Answer(access_answers.AuditCheck.model_validate(call.administration.check_audit(call.caller, line)))


# ---- users


def users(call: Plain) -> Answer:
    """List the users. For server administrators."""
    found = call.administration.users(call.caller)
    return Answer(access_answers.Users(users=[access_answers.User.model_validate(user) for user in found]))


def create_user(call: Call[UserRequest, NoParameters]) -> Answer:
    """Make a user. For server administrators."""
    body = call.body
    if call.administration.user(call.caller, body.name) is not None:
        raise HttpError(409, f"there is a user {body.name!r}", hint="choose another name")
    user = call.administration.create_user(
        call.caller,
        body.name,
        body.password.get_secret_value(),
        is_server_administrator=body.is_server_administrator,
    )
    location = f"/api/users/{quote(user.name, safe='')}"
    return Answer(access_answers.User.model_validate(user), {"Location": location})


def set_password(call: Call[PasswordRequest, NoParameters]) -> Answer:
    """Give a user another password. His API keys stay. For server administrators."""
    user = _user(call)
    call.administration.set_password(call.caller, user.name, call.body.password.get_secret_value())
    return Answer()


def change_user(call: Call[UserChangeRequest, NoParameters]) -> Answer:
    """Make a user a server administrator, or no longer. For server administrators, the last of whom stays one."""
    user = _user(call)
    wanted = call.body.is_server_administrator
    if not wanted:
        _refuse_last_administrator(call, user)
    call.administration.set_server_administrator(call.caller, user.name, is_server_administrator=wanted)
    return Answer(access_answers.User.model_validate(_user(call)))


def remove_user(call: Plain) -> Answer:
    """Remove a user and his API keys. For server administrators, the last of whom cannot be removed."""
    user = _user(call)
    _refuse_last_administrator(call, user)
    call.administration.remove_user(call.caller, user.name)
    return Answer()


def _refuse_last_administrator(call: Call[UserChangeRequest, NoParameters] | Plain, user: UserRecord) -> None:
    others = [other for other in call.administration.users(call.caller) if other.name != user.name]
    if user.is_server_administrator and not any(other.is_server_administrator for other in others):
        raise HttpError(409, f"{user.name!r} is the last server administrator", hint="make another one first")


def _user(call: Call[PasswordRequest, NoParameters] | Call[UserChangeRequest, NoParameters] | Plain) -> UserRecord:
    user = call.administration.user(call.caller, call.path["name"])
    if user is None:
        raise HttpError(404, f"there is no user {call.path['name']!r:.300}")
    return user


# ---- API keys


def keys(call: Call[None, UsersKeysParameters]) -> Answer:
    """List the API keys, of everybody or of one user. For server administrators."""
    found = call.administration.api_keys(call.caller, call.query.owner)
    return Answer(access_answers.Keys(keys=[_key(key) for key in found]))


def create_key(call: Call[KeyRequest, NoParameters]) -> Answer:
    """
    Make an API key that acts for a user. For server administrators.

    The answer is the only place where its secret ever stands.
    """
    body = call.body
    owner = call.administration.user(call.caller, body.owner)
    if owner is None:
        raise HttpError(404, f"there is no user {body.owner!r:.300}", hint="the owner of a key is a user")
    if any(key.name == body.name for key in call.administration.api_keys(call.caller, owner.name)):
        raise HttpError(409, f"user {owner.name!r} has an API key {body.name!r}", hint="choose another name")
    key, secret = call.administration.create_api_key(
        call.caller, owner.name, body.name, body.scopes, databases=body.databases, expires=body.expires
    )
    return Answer(access_answers.NewKey(key=_key(key), secret=secret), {"Location": f"/api/keys/{key.id}"})


def revoke_key(call: Plain) -> Answer:
    """Revoke an API key. For server administrators."""
    key_id = call.path["id"]
    if not any(key.id == key_id for key in call.administration.api_keys(call.caller)):
        raise HttpError(404, f"there is no API key {key_id!r:.100}")
    call.administration.revoke_api_key(call.caller, key_id)
    return Answer()


def _key(key: ApiKeyRecord) -> access_answers.Key:
    return access_answers.Key(
        id=key.id,
        name=key.name,
        owner=key.owner,
        scopes=sorted(key.scopes),
        databases=None if key.databases is None else sorted(key.databases),
        created=key.created,
        expires=key.expires,
        last_used=key.last_used,
    )


# ---- the firewall


def firewall(call: Plain) -> Answer:
    """Show the firewall. For server administrators."""
    return _firewall(call.administration.firewall(call.caller))


def replace_firewall(call: Call[FirewallRequest, NoParameters]) -> Answer:
    """Replace the firewall, rules and all. For server administrators."""
    rules = (_rule(rule.name, rule) for rule in call.body.rules)
    call.administration.replace_firewall(call.caller, FirewallSettings(call.body.enabled, tuple(rules)))
    return _firewall(call.administration.firewall(call.caller))


def put_rule(call: Call[RuleRequest, NoParameters]) -> Answer:
    """Add a firewall rule, or change the one of that name. For server administrators."""
    call.administration.put_firewall_rule(call.caller, _rule(call.path["name"], call.body))
    return _firewall(call.administration.firewall(call.caller))


def remove_rule(call: Plain) -> Answer:
    """Remove a firewall rule. For server administrators."""
    name = call.path["name"]
    if not any(rule.name.lower() == name.lower() for rule in call.administration.firewall(call.caller).rules):
        raise HttpError(404, f"there is no firewall rule {name!r:.200}")
    call.administration.remove_firewall_rule(call.caller, name)
    return Answer()


def _rule(name: str, rule: RuleRequest) -> FirewallRule:
    return FirewallRule.parse(name, rule.start, rule.end)


def _firewall(settings: FirewallSettings) -> Answer:
    rules = [access_answers.Rule(name=rule.name, start=str(rule.start), end=str(rule.end)) for rule in settings.rules]
    return Answer(access_answers.Firewall(enabled=settings.enabled, rules=rules))


# ---- identity providers


def providers(call: Plain) -> Answer:
    """List the identity providers. For server administrators."""
    found = call.administration.identity_providers(call.caller)
    return Answer(access_answers.Providers(providers=[_provider(provider) for provider in found]))


def set_providers(call: Call[ProvidersRequest, NoParameters]) -> Answer:
    """Believe the tokens of these identity providers, and of no others. For server administrators."""
    wanted = [_wanted_provider(index, provider) for index, provider in enumerate(call.body.providers)]
    call.administration.set_identity_providers(call.caller, wanted)
    return providers(Call(call.service, call.caller, call.request, call.path, None, call.query))


def _wanted_provider(index: int, provider: ProviderRequest) -> IdentityProvider:
    try:
        return IdentityProvider(
            issuer=provider.issuer,
            audiences=provider.audiences,
            tenant=provider.tenant,
            jwks_uri=provider.jwks_uri,
            jwks=None if provider.jwks is None else json.dumps(provider.jwks),
            administrators=provider.administrators,
        )
    except RequestError as error:
        raise RequestError(error.message, path=f"providers.{index}.{error.path}", hint=error.hint) from None


def _provider(provider: IdentityProvider) -> access_answers.Provider:
    return access_answers.Provider(
        issuer=provider.issuer,
        audiences=list(provider.audiences),
        tenant=provider.tenant,
        jwks_uri=provider.jwks_uri,
        has_jwks=provider.jwks is not None,
        administrators=list(provider.administrators),
    )
