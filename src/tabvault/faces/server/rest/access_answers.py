"""What answers about who may come in, and who did what, hold."""

from __future__ import annotations

import datetime  # noqa: TC003 - pydantic looks at annotations
from typing import Any, Literal

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.storage.server_state.audit_line import Phase  # noqa: TC001 - pydantic looks at annotations


class AuditLine(Content):
    """A line of the audit log."""

    sequence: int
    time: Moment
    phase: Phase
    begin: int | None
    who: str | None
    authentication: str | None
    address: str | None
    interface: str
    operation: str
    object: str | None
    options: dict[str, Any]
    result: Literal["success", "failure"] | None
    code: str | None
    job: str | None
    duration_s: float | None
    previous: str


class AuditLines(Content):
    """Lines of the audit log, the latest first."""

    lines: list[AuditLine]


class AuditFault(Content):
    """A place where the chain of the audit log breaks, and what that means. No file and line: one that is missing."""

    file: str | None
    line: int | None
    message: str
    meaning: str


class AuditCheck(Content):
    """What the chain of the audit log is like. `head` is the digest of the last line, `faults` the first hundred."""

    ok: bool
    file_count: int
    line_count: int
    first_sequence: int
    last_sequence: int
    first_time: Moment | None
    last_time: Moment | None
    head: str
    fault_count: int
    faults: list[AuditFault]


class User(Content):
    """A user."""

    name: str
    is_server_administrator: bool
    created: Moment


class Users(Content):
    """All users."""

    users: list[User]


class Key(Content):
    """An API key, without its secret."""

    id: str
    name: str
    owner: str
    scopes: list[str]
    databases: list[str] | None
    created: Moment
    expires: Moment | None
    last_used: datetime.date | None


class Keys(Content):
    """API keys."""

    keys: list[Key]


class NewKey(Content):
    """An API key that was just made. `secret` is the whole key, and is never shown again."""

    key: Key
    secret: str


class Rule(Content):
    """A firewall rule: a range of addresses that are let in, both ends included."""

    name: str
    start: str
    end: str


class Firewall(Content):
    """The firewall. Switched on it lets in these ranges, and the machine itself."""

    enabled: bool
    rules: list[Rule]


class Provider(Content):
    """An identity provider. The keys that were given with it are not shown, only that there are some."""

    issuer: str
    audiences: list[str]
    tenant: str | None
    jwks_uri: str | None
    has_jwks: bool
    administrators: list[str]


class Providers(Content):
    """All identity providers."""

    providers: list[Provider]
