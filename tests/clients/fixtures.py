"""One server and one process of Microsoft's clients for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clients.client import Client, ClientError, clients_python
from clients.served import PASSWORDS, Served, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clients.client import Refusal


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    clients_python()  # without them nobody needs the server
    with serve(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, PASSWORDS) as one:
        yield one


@pytest.fixture(scope="session")
def second_client(served: Served) -> Iterator[Client]:
    """Another process, for what happens while the first one waits."""
    with Client(served.url, PASSWORDS) as one:
        yield one


@pytest.fixture(scope="session")
def genuine(served: Served, client: Client) -> Callable[[str], str]:
    """Restores a sample, once, and gives the name of the database: for tests that do not change it."""
    restored: dict[str, str] = {}

    def database(sample: str) -> str:
        if sample not in restored:
            # The object model of Microsoft refuses a server one of whose databases has a dot in its name.
            name = sample.rpartition(".")[0].replace(".", "_")
            client.restore(served.put(sample), name)
            restored[sample] = name
        return restored[sample]

    return database


@pytest.fixture
def copy(served: Served, client: Client) -> Iterator[Callable[[str], str]]:
    """Restores samples under names of this test's own, and drops what is left of them at its end."""
    made: list[str] = []

    def database(sample: str) -> str:
        name = f"copy {len(made)}"
        client.restore(served.put(sample), name)
        made.append(name)
        return name

    yield database
    for name in set(made) & set(client.names()):
        client.drop(name)


@pytest.fixture
def refused() -> Refusal:
    """Calls something that has to raise an exception of .NET of that type. Returns what the user is told."""

    def call(type_: str, function: Callable[..., object], *positional: object, **named: object) -> str:
        with pytest.raises(ClientError) as caught:
            function(*positional, **named)
        assert caught.value.type == type_, caught.value
        return caught.value.message

    return call
