"""The command line: one module per command, typer for the arguments, and here and there rich for a terminal."""
