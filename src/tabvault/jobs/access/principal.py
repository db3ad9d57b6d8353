"""
Who asks: a principal, and what the credential he came with is good for.

A user of the server may do what the server and the roles of the models let him. An API key lets a program act for the
user who owns it, never for more than that user: its *limit* takes away.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal


class Scope(enum.StrEnum):
    """
    What an API key is good for.

    ``read`` queries and metadata, ``backup`` backups, ``restore`` restores over a database or as a new one, ``admin``
    everything its owner may do.
    """

    READ = "read"
    BACKUP = "backup"
    RESTORE = "restore"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Limit:
    """
    What an API key is good for.

    Attributes:
        scopes: at least one.
        databases: case-folded names of the databases, None for all.
    """

    scopes: frozenset[Scope]
    databases: frozenset[str] | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the key is good for *scope*."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, database: str) -> bool:
        """Whether the key is good for the database of that name."""
        return self.databases is None or database.casefold() in self.databases


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who asks.

    Attributes:
        name: user name as it was registered, ``user@domain``, or ``app:ID@TENANT``.
        kind: ``user`` with a password or a token, ``application`` with a token, ``api_key`` acting for a user.
        identities: case-folded names by which the roles of a model may know him, those of his groups among them.
        administers_server: whether he is a server administrator; what his API key leaves of that is
            :attr:`is_server_administrator`.
        limit: what the API key leaves; None when there is none.
        key_name: name of the API key.
        authentication: what he came with, for the audit log.
    """

    name: str
    kind: Literal["user", "application", "api_key"]
    identities: frozenset[str]
    administers_server: bool = False
    limit: Limit | None = None
    key_name: str | None = None
    authentication: Literal["basic", "bearer", "api_key", "local"] = "basic"

    @property
    def is_server_administrator(self) -> bool:
        """Whether he may do everything, as he came."""
        return self.administers_server and (
            self.limit is None or (self.limit.allows(Scope.ADMIN) and self.limit.databases is None)
        )

    @property
    def label(self) -> str:
        """Name for logs: ``alice``, or ``alice (API key nightly)``."""
        return self.name if self.key_name is None else f"{self.name} (API key {self.key_name})"

    def allows(self, scope: Scope, database: str) -> bool:
        """Whether the credential is good for *scope* on the database of that name; the principal may still not be."""
        return self.limit is None or (self.limit.allows(scope) and self.limit.covers(database))

    def covers(self, database: str) -> bool:
        """Whether the credential is good for anything on the database of that name."""
        return self.limit is None or self.limit.covers(database)
