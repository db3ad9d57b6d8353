"""
The DAX that is answered: whole tables, and the first rows of one.

Everything else is refused by name. A formula is never guessed at: a number that is not what the engine would have
computed is worse than none.
"""

from tabvault.engine.dax.statement import TableStatement, is_dax, parse_statement

__all__ = ["TableStatement", "is_dax", "parse_statement"]
