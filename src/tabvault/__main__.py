"""The program ``tabvault``, and ``python -m tabvault``: the command line."""

import gc

_COLLECTED_AFTER = 50_000
"""
Objects made between two looks for garbage; Python's own number is 700.

Loading a program makes objects that stay, and looking through them again and again was a tenth of a short command.
"""


def run() -> None:
    """The console program; see :func:`tabvault.faces.cli.main.run`."""
    gc.set_threshold(_COLLECTED_AFTER)
    from tabvault.faces.cli.main import run  # noqa: PLC0415 - loading it is most of what is meant

    run()


if __name__ == "__main__":
    run()
