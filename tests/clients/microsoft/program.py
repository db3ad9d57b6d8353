"""
The program: reads calls as JSON lines from standard input, makes them with Microsoft's libraries, prints JSON lines.

A call is ``[verb, positional arguments, keyword arguments]``; verbs are the functions of the modules beside. The answer
is ``{"value": ...}``, or ``{"error": {"type", "message", "locations"}}`` for an exception of .NET, or
``{"mistake": traceback}`` for one of Python.
"""

from __future__ import annotations

import json
import sys
import traceback

import library

library.load()

import connections  # noqa: E402 - the namespaces of .NET exist from here on
import queries  # noqa: E402
import reading  # noqa: E402
import System  # noqa: E402
import tabular  # noqa: E402
import tracing  # noqa: E402

VERBS = {
    name: verb
    for module in (connections, tabular, queries, reading, tracing)
    for name, verb in vars(module).items()
    if callable(verb) and getattr(verb, "__module__", "") == module.__name__ and not name.startswith("_")
}


def main() -> None:
    output = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        verb, positional, named = json.loads(line)
        try:
            answer = {"value": VERBS[verb](*positional, **named)}
        except System.Exception as error:
            answer = {"error": described(error)}
        except Exception:  # noqa: BLE001 - the test that asked for it fails, and the others go on
            answer = {"mistake": traceback.format_exc()}
        print(json.dumps(answer), file=output, flush=True)
    connections.close()


def described(error: System.Exception) -> dict:
    """What a user of the library would see of it."""
    return {
        "type": error.GetType().Name,
        "message": error.Message.strip(),
        "locations": queries.locations_of(error),
    }


if __name__ == "__main__":
    main()
