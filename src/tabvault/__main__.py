"""The program ``tabvault``, and ``python -m tabvault``: the command line."""

from tabvault.faces.cli import memory


def run() -> None:
    """The console program; see :func:`tabvault.faces.cli.main.run`."""
    memory.look_for_garbage_seldom()
    from tabvault.faces.cli.main import run  # noqa: PLC0415 - loading it is most of what is meant

    run()


if __name__ == "__main__":
    run()
