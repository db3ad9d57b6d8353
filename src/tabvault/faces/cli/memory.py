"""
How often Python looks for garbage: a short command lives differently from a server.

Loading a program makes objects that stay, and looking through them again and again was a tenth of a short command. A
server makes garbage for weeks: Python's own numbers are for it.
"""

import gc
from typing import Final

_OF_PYTHON: Final = gc.get_threshold()

_SELDOM: Final = 50_000
"""Objects made between two looks; Python's own number is 700, or 2,000."""


def look_seldom() -> None:
    """What runs is a short command, as far as is known yet."""
    gc.set_threshold(_SELDOM)


def look_as_usual() -> None:
    """What runs will do so for long."""
    gc.set_threshold(*_OF_PYTHON)
