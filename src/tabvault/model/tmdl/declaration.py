"""
What every line of TMDL comes to: a :class:`Declaration`, and the errors that name its place.

========================  =============================================================================================
line                      declaration
========================  =============================================================================================
``measure 'a b' = 1``     an object with a name; what follows ``=`` is its default property
``ref table Sales``       the same, as a mention: it gives the object its place among its siblings
``calculationGroup``      an object without a name, or a property that is true
``source = …``            an object without a name and its default property, or a property that is an expression
``dataType: int64``       a property
========================  =============================================================================================

Which of the two a word is, the language does not say: it depends on the type of the object around it
(:mod:`tabvault.model.tmdl.vocabulary`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tabvault.errors import RequestError


@dataclass(slots=True, eq=False)
class Declaration:
    """
    One line, with the expression that belongs to it and the lines indented below it.

    Attributes:
        word: type of the object, or name of the property, as written.
        file: the document.
        line: 1-based.
        name: of the object; None where the line says none.
        value: what follows ``:`` or ``=``, without the white space around it; None where nothing does.
        is_property: whether ``:`` stands before the value.
        is_mention: whether ``ref`` stands before the word.
        description: the lines with ``///`` above it.
        children: in the order of the document.
    """

    word: str
    file: str
    line: int
    name: str | None = None
    value: str | None = None
    is_property: bool = False
    is_mention: bool = False
    description: str | None = None
    children: list[Declaration] = field(default_factory=list)

    def error(self, message: str, *, hint: str | None = None) -> RequestError:
        """The error that *message* is true of this line."""
        return error_at(self.file, self.line, message, hint=hint)


def error_at(file: str, line: int, message: str, *, hint: str | None = None) -> RequestError:
    """The error that *message* is true of a line."""
    return RequestError(f"{file}, line {line}: {message}", path=file, line=line, hint=hint)
