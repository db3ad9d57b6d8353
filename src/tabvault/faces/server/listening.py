"""
The sockets of a server: where it listens, and whether a password may be sent there.

A password is sent to a loopback address, or over TLS, or to a proxy that speaks TLS (``--behind-proxy``).
Names stand for all their addresses: ``localhost`` is 127.0.0.1 and ::1, on the same port.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tabvault.errors import ServerError, ServerNotSecuredError
from tabvault.storage.server_state.loopback import is_loopback_address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOOPBACK: Final = "127.0.0.1"

_ANY: Final = frozenset(["0.0.0.0", "::"])  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    What a server proves itself with.

    Attributes:
        chain: PEM file; the server's certificate comes first.
        key: PEM file with its private key, without a password.
    """

    chain: Path
    key: Path

    def check(self) -> None:
        """
        See that the two can be used.

        Raises:
            ServerError: a file cannot be read, or they do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key with a password would ask for it on a terminal that a service does not have.
            context.load_cert_chain(self.chain, self.key, password=lambda: "")
        except OSError as error:  # ssl.SSLError is one
            reason = (getattr(error, "reason", None) or error.strerror or "cannot be used").lower().replace("_", " ")
            raise ServerError(
                f"certificate {self.chain} with key {self.key}: {reason}",
                hint="both are PEM files; the key belongs to the first certificate and has no password",
            ) from None

    def own_pem(self) -> str:
        """
        The server's own certificate, without those that vouch for it.

        Raises:
            ServerError: there is none in the file.
        """
        try:
            return x509.load_pem_x509_certificate(self.chain.read_bytes()).public_bytes(Encoding.PEM).decode("ascii")
        except (OSError, ValueError):
            raise ServerError(f"certificate {self.chain} is not a PEM file") from None


@dataclass(frozen=True, slots=True)
class Listeners:
    """
    Bound sockets that do not accept yet.

    Attributes:
        sockets: all of them.
        url: where clients connect.
        local_url: the same server at a loopback address.
        port: of *url*.
    """

    sockets: tuple[socket.socket, ...]
    url: str
    local_url: str
    port: int

    def close(self) -> None:
        """Give the addresses back. Twice is allowed."""
        for one in self.sockets:
            one.close()


def listen(host: str, port: int, *, certificate: Certificate | None, behind_proxy: bool) -> Listeners:
    """
    Take the addresses of *host*; nobody can connect yet.

    Args:
        host: name or address; ``0.0.0.0`` and ``::`` are all of the machine.
        port: 0 takes one that is free.
        certificate: for TLS.
        behind_proxy: a proxy does what TLS would.

    Raises:
        ServerNotSecuredError: passwords would cross a network in the clear.
        ServerError: there is no such address here, or it is taken.
    """
    addresses = _addresses(host, port)
    if certificate is None and not behind_proxy and not all(is_loopback_address(address) for _, address in addresses):
        raise ServerNotSecuredError(
            f"{host} is not a loopback address, and passwords would cross the network in the clear",
            hint="give --tls-cert and --tls-key, or --behind-proxy where a proxy in front of it speaks TLS",
        )
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            # The others follow the first, which may have taken a port that was free.
            one = stack.enter_context(_bound(family, address, sockets[0].getsockname()[1] if sockets else port))
            sockets.append(one)
        bound_port: int = sockets[0].getsockname()[1]
        scheme = "http" if certificate is None else "https"
        local = _loopback_host(address for _, address in addresses)
        local_port = bound_port
        if local is None:
            # So that the owner of the data folder reaches it where the firewall and his token let him in.
            local = LOOPBACK
            sockets.append(stack.enter_context(_bound(socket.AF_INET, local, 0)))
            local_port = sockets[-1].getsockname()[1]
        shown = socket.gethostname() if host in _ANY else host
        stack.pop_all()
    return Listeners(tuple(sockets), _url(scheme, shown, bound_port), _url(scheme, local, local_port), bound_port)


def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    """Family and address, IPv4 first: that is the one a user types."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ServerError(f"{host!r:.200} is neither an address nor a name of this machine") from None
    addresses = {(int(family), str(address[0])) for family, _, _, _, address in found}
    return sorted(addresses, key=lambda one: (one[0] != socket.AF_INET, one[1]))


def _bound(family: int, address: str, port: int) -> socket.socket:
    # With the protocol named, or asyncio takes it for no TCP and lets each answer wait for an acknowledgement.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A server that ended a moment ago still has connections that wait for their end.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # ``::`` is every IPv6 address, and every IPv4 one as well.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        one.bind((address, port))
    except OSError as error:
        one.close()
        reason = (error.strerror or "unknown error").lower()
        raise ServerError(
            f"cannot listen at {address} port {port}: {reason}", hint="choose another --port; 0 takes a free one"
        ) from None
    except BaseException:
        one.close()
        raise
    return one


def _loopback_host(addresses: Iterable[str]) -> str | None:
    """The loopback address by which one of *addresses* is reached; None if none of them is."""
    for address in addresses:
        if address in {LOOPBACK, "::1"}:
            return address
        if address in _ANY:
            return LOOPBACK
    return None


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
