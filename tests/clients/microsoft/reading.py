"""Verbs of many sessions that read at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from connections import connection_string
from Microsoft.AnalysisServices import AdomdClient, Tabular

if TYPE_CHECKING:
    from collections.abc import Callable


def read_together(catalog: str, table: str, *, session_count: int, seconds: float, user: str = "alice") -> dict:
    """
    What all sessions were answered, ``[kind, answer, how often]``, and what went wrong in any of them.

    Half of the sessions load the model with the tabular object model, the other half ask ADOMD.NET.
    """
    answers: Counter[tuple[str, str]] = Counter()
    errors: list[str] = []
    end_s = time.monotonic() + seconds

    def reader(ask: Callable[[str, str, str], list[tuple[str, str]]]) -> None:
        try:
            while time.monotonic() < end_s:
                for answer in ask(catalog, table, user):
                    answers[answer] += 1
        except BaseException as error:  # noqa: BLE001 - the test hears of it, whatever it is
            errors.append(f"{type(error).__name__}: {error}")

    threads = [
        threading.Thread(target=reader, args=(_load_model if number % 2 else _query,))
        for number in range(session_count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"answers": [[kind, answer, count] for (kind, answer), count in answers.items()], "errors": errors}


_MEASURES = "SELECT [Expression] FROM $SYSTEM.TMSCHEMA_MEASURES WHERE [Name] = 'Which'"


def _load_model(catalog: str, table: str, user: str) -> list[tuple[str, str]]:
    server = Tabular.Server()
    server.Connect(connection_string(user))
    try:
        model = server.Databases.GetByName(catalog).Model
        roles = sorted(role.Name for role in model.Roles)
        return [("model", f"{roles} {model.Tables.Find(table).Measures.Find('Which').Expression}")]
    finally:
        server.Disconnect()


def _query(catalog: str, table: str, user: str) -> list[tuple[str, str]]:
    connection = AdomdClient.AdomdConnection(connection_string(user, Catalog=catalog))
    connection.Open()
    try:
        return [
            ("roles", str(sorted(_column(connection, "SELECT [Name] FROM $SYSTEM.TMSCHEMA_ROLES")))),
            ("measures", str(sorted(_column(connection, _MEASURES)))),
            ("rows", str(len(_column(connection, f"EVALUATE TOPN(1000, '{table}')")))),
        ]
    finally:
        connection.Close()


def _column(connection: Any, text: str) -> list[Any]:
    command = connection.CreateCommand()
    command.CommandText = text
    reader = command.ExecuteReader()
    try:
        cells = []
        while reader.Read():
            cells.append(reader.GetValue(0))
        return cells
    finally:
        reader.Close()
