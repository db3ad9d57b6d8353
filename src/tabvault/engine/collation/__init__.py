"""
In which order the strings of a model stand, and which of them are one.

``naming`` reads what a collation is called, ``weights`` holds what each character weighs, ``levels`` turns strings into
keys of bytes, ``collation`` orders strings by them.
"""

from __future__ import annotations

from tabvault.engine.collation.collation import Collation

__all__ = ["Collation"]
