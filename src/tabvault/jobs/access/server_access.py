"""The access rules of one server, put together: accounts, identity providers, firewall, and who sent a request."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tabvault.jobs.access.accounts import AccountBook, utc_now
from tabvault.jobs.access.authentication import Authenticator
from tabvault.jobs.access.firewall import Firewall
from tabvault.jobs.access.local_owner import LocalOwner
from tabvault.jobs.access.server_aliases import ServerAliases
from tabvault.jobs.access.storage_network import StorageNetwork
from tabvault.jobs.access.tokens import TokenVerifier
from tabvault.storage.server_state.identity_providers import load_identity_providers, save_identity_providers

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tabvault.jobs.access.principal import Principal
    from tabvault.storage.server_state.identity_providers import IdentityProvider


class ServerAccess:
    """
    Who may come in. Threads may share it.

    Attributes:
        accounts: users and API keys.
        firewall: addresses.
        storage_network: addresses that may put and get files.
        aliases: names that stand for servers.
        local_owner: the owner of the data folder, who needs no password on this machine.

    Args:
        data_folder: root of the data folder, which the caller owns.
        now: the time of day, with its offset.
        clock: seconds of a clock that never goes back.

    Raises:
        FormatError: one of the files is damaged. Nobody is let in on half of the rules.
        StorageError: one of them cannot be read.
    """

    def __init__(
        self,
        data_folder: Path,
        *,
        now: Callable[[], datetime.datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data_folder = data_folder
        self._clock = clock
        self._lock = threading.Lock()
        self.accounts = AccountBook(data_folder, now=now)
        self.firewall = Firewall(data_folder)
        self.storage_network = StorageNetwork(data_folder)
        self.aliases = ServerAliases(data_folder)
        self.local_owner = LocalOwner()
        self._providers = load_identity_providers(data_folder)
        self._authenticator = Authenticator(self.accounts, TokenVerifier(self._providers, clock), clock)

    @property
    def identity_providers(self) -> tuple[IdentityProvider, ...]:
        """The issuers whose tokens are believed."""
        return self._providers

    def set_identity_providers(self, providers: tuple[IdentityProvider, ...]) -> None:
        """
        Believe the tokens of *providers*, and no others, from now on.

        Raises:
            RequestError: two have one issuer, or keys given with one are no JWK set.
            StorageError: it could not be written; nothing has changed.
        """
        tokens = TokenVerifier(providers, self._clock)
        with self._lock:
            save_identity_providers(self._data_folder, providers)
            self._providers = providers
            self._authenticator.tokens = tokens

    def authenticate(self, headers: Mapping[str, str], address: str) -> Principal:
        """
        Who sent *headers* from *address*: the local owner, or whom the authenticator finds.

        See :meth:`~tabvault.jobs.access.authentication.Authenticator.authenticate`. It may block: not in a loop.
        """
        return self.local_owner.principal(headers, address) or self._authenticator.authenticate(headers, address)
