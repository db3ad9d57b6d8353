"""
Declarations of several documents as one tree.

An object may be declared in pieces, in one document or in several: what is declared of the same type and name, below
the same object, is one object. Its properties are those of all pieces, and each is said once. ``ref`` mentions an
object: the order in which siblings are first declared or mentioned is their order. What is only mentioned is not there.

Source: learn.microsoft.com, "Tabular Model Definition Language (TMDL)", "Partial declaration" and "Object references".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.model.tmdl.declaration import Declaration


def merged(declarations: Iterable[Declaration]) -> list[Declaration]:
    """
    The same objects, each once; in the order of their first pieces. Objects without a name are not merged.

    Raises:
        RequestError: two pieces of an object both have a description, or a value; or their names differ in capitals.
    """
    found: dict[tuple[str, str], Declaration] = {}
    kept: list[Declaration] = []
    for declaration in declarations:
        if declaration.name is None:
            kept.append(declaration)
            continue
        key = declaration.word.casefold(), declaration.name.casefold()
        first = found.setdefault(key, declaration)
        if first is declaration:
            kept.append(declaration)
        elif first.name != declaration.name:
            raise declaration.error(f"{declaration.word} {declaration.name!r} is {first.name!r} in {_place(first)}")
        else:
            _add(first, declaration)
    for declaration in kept:
        if declaration.children:
            declaration.children = merged(declaration.children)
    return [each for each in kept if not each.is_mention or each.children or each.value is not None]


def _add(first: Declaration, piece: Declaration) -> None:
    """Make *piece* a part of *first*."""
    if piece.value is not None:
        if first.value is not None:
            raise piece.error(f"{piece.word} {piece.name!r} is declared already in {_place(first)}")
        first.value = piece.value
    if piece.description is not None:
        if first.description is not None:
            raise piece.error(f"{piece.word} {piece.name!r} has a description already in {_place(first)}")
        first.description = piece.description
    first.children.extend(piece.children)
    if first.is_mention and not piece.is_mention:
        # Errors name the place where it is declared.
        first.is_mention, first.file, first.line = False, piece.file, piece.line


def _place(declaration: Declaration) -> str:
    return f"{declaration.file}, line {declaration.line}"
