"""Microsoft's clients in a process of their own, called from the tests."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from conftest import REPOSITORY, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Refusal = Callable[..., str]

PROGRAM = Path(__file__).parent / "microsoft" / "program.py"


def clients_python() -> Path:
    """The Python of the environment that ``make test`` makes for Microsoft's clients."""
    python = Path(os.environ.get("TABVAULT_MS_CLIENTS", REPOSITORY / ".venv-clients" / "bin" / "python"))
    if not python.exists():
        missing(f"Microsoft's clients are not at {python} (make test installs them; or set TABVAULT_MS_CLIENTS)")
    return python


class ClientError(Exception):
    """
    An exception of .NET that a call of the library raised.

    Attributes:
        type: name of its class.
        message: as the library words it.
        locations: line and column of each error in a query.
    """

    def __init__(self, type_: str, message: str, locations: list[list[int]]) -> None:
        super().__init__(f"{type_}: {message}")
        self.type = type_
        self.message = message
        self.locations = locations


class Client:
    """
    One process; every verb of ``microsoft/`` is a method. A context manager.

    Args:
        url: of the server's XMLA endpoint.
        passwords: of its users.
    """

    def __init__(self, url: str, passwords: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [clients_python(), PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._call("use", url, passwords)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return functools.partial(self._call, verb)

    def _call(self, verb: str, *positional: object, **named: object) -> Any:
        self._process.stdin.write(json.dumps([verb, positional, named]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the client program ended in {verb} with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            error = answer["error"]
            raise ClientError(error["type"], error["message"], error["locations"])
        if "mistake" in answer:
            raise RuntimeError(answer["mistake"])
        return answer["value"]
