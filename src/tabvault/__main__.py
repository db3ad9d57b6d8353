"""``python -m tabvault``: the command line."""

from tabvault.faces.cli.main import run

if __name__ == "__main__":
    run()
