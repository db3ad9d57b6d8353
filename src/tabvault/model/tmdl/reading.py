"""
A TMDL folder as the ``database`` object of TMSL.

What TMSL calls otherwise, or shapes otherwise:

=============================  ======================================================================================
TMDL                           TMSL
=============================  ======================================================================================
order of levels and items      ``ordinal`` of levels and calculation items; one that is written does not count
``fromColumn: Sales.Date``     ``fromTable`` and ``fromColumn``; so with every reference that names its table
``column Total = [A] * 2``     a column of ``type`` calculated
``dataSource d``               a data source of ``type`` structured: it is the default of TMDL, and not that of TMSL
``member m``                   a user of ``identityProvider`` AzureAD; ``= activeDirectory`` is a member without it
``partition p = m``            ``source.type``
``extendedProperty x = {…}``   of ``type`` json where the value is a JSON object and nothing else is said
``caption`` of a translation   ``translatedCaption``; likewise the description and the display folder
=============================  ======================================================================================

Left out, because the database object of TMSL has no place for them: ``compatibilityMode``, ``language`` and
``storageLocation`` of the database.

Source: learn.microsoft.com, "Tabular Model Definition Language (TMDL)"; what the public tabular object model reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError, RequestTooLargeError
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.tmdl import values
from tabvault.model.tmdl.declaration import Declaration
from tabvault.model.tmdl.document import parse_document
from tabvault.model.tmdl.merging import merged
from tabvault.model.tmdl.objects import read_object
from tabvault.model.tmdl.vocabulary import words_of
from tabvault.model.tmsl.document import CHARACTER_COUNT_MAX
from tabvault.model.tmsl.parse import READ_WRITE_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_FILES: Final = ("database.tmdl", "model.tmdl")
_DATABASE_WORDS: Final = {
    word.casefold(): word
    for word in (
        *("id", "compatibilityLevel", "compatibilityMode", "language", "storageLocation"),
        *("readWriteMode", "unicodeCharacterBehavior", "model"),
    )
}
_MODEL: Final = OBJECT_TYPES["Model"]


def read_tmdl(files: Mapping[str, str]) -> dict[str, Any]:
    """
    The ``database`` object of the documents of a folder; without a name where none of them says it.

    Args:
        files: text of each document by its path within the folder, with ``/``.

    Raises:
        RequestError: a line is not of the language, or an object has no such property; file and line are in the
            message.
        RequestTooLargeError: more than any model has.
    """
    character_count = sum(map(len, files.values()))
    if character_count > CHARACTER_COUNT_MAX:
        raise RequestTooLargeError(f"the files have {character_count} characters, not at most {CHARACTER_COUNT_MAX}")
    declarations: list[Declaration] = []
    for file in sorted(files, key=lambda file: (file not in _FIRST_FILES, file)):
        declarations.extend(parse_document(files[file], file))
    database: dict[str, Any] = {}
    model: list[Declaration] = []
    for declaration in declarations:
        if declaration.word.casefold() == "culture" and declaration.name is not None:
            declaration.word = "cultureInfo"  # so in the description of the language; a property of the model else
    for declaration in merged(declarations):
        word = declaration.word.casefold()
        if word == "database":
            _read_database(declaration, database, model)
        elif word == "model" or (word in words_of("Model") and words_of("Model")[word].type is not None):
            model.append(declaration)
        else:
            raise declaration.error(f"{declaration.word!r} is no object of a model")
    return {**database, "model": _model(model)}


def _read_database(declaration: Declaration, database: dict[str, Any], model: list[Declaration]) -> None:
    if database:
        raise declaration.error("a second database is declared")
    if declaration.name is not None:
        database["name"] = declaration.name
    if declaration.description is not None:
        database["description"] = declaration.description
    seen: set[str] = set()
    for child in declaration.children:
        word = _DATABASE_WORDS.get(child.word.casefold())
        if word is None:
            raise child.error(f"a database has no property {child.word!r}")
        if word == "model":
            model.append(child)
            continue
        if word in seen:
            raise child.error(f"a database has {word} twice")
        seen.add(word)
        value = _database_value(child, word)
        if value is not None:
            database[word] = value


def _database_value(declaration: Declaration, word: str) -> str | int | None:
    """A property of the database; None for those that TMSL has no place for."""
    if declaration.name is not None or declaration.children:
        raise declaration.error(f"{word} is no object")
    if word in {"compatibilityLevel", "language"}:
        number = values.whole(declaration)
        return None if word == "language" else number
    said = values.text(declaration)
    if word == "readWriteMode":
        known = {mode.casefold(): mode for mode in READ_WRITE_MODES}
        if said.casefold() not in known:
            raise declaration.error(f"readWriteMode is none of {', '.join(sorted(READ_WRITE_MODES))}")
        return known[said.casefold()]
    return None if word in {"compatibilityMode", "storageLocation"} else said


def _model(pieces: list[Declaration]) -> dict[str, Any]:
    """The model of its own declaration and of what stands at the margin."""
    own = [piece for piece in pieces if piece.word.casefold() == "model"]
    if not pieces:
        raise RequestError("no file declares a model", hint="a TMDL folder has a file model.tmdl")
    root = own[0] if own else Declaration("model", pieces[0].file, pieces[0].line)
    for other in own[1:]:
        raise other.error(f"a second model is declared, the first in {root.file}, line {root.line}")
    root.children = merged([*root.children, *(piece for piece in pieces if piece not in own)])
    written = read_object(root, _MODEL, {})
    if written.get("name") == _MODEL["Name"].default:
        del written["name"]
    return written
