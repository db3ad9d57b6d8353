"""
M expression to recipe.

An expression is read from its end: the last step names the one before as its first argument, down to a function that
takes no table, the source. What no step leads to is not evaluated, as in M. A name may be another query of the model;
its steps then come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.power_query import syntax
from tabvault.model.power_query.environment import Environment, Located, Queries, described, refused
from tabvault.model.power_query.parser import parse
from tabvault.model.power_query.recipe import Recipe, Step
from tabvault.model.power_query.source_recogniser import is_source, recognise_source
from tabvault.model.power_query.step_recogniser import recognise_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.power_query.values import Value

STEP_COUNT_MAX: Final = 1_000
"""Most steps. Long queries have a hundred."""

_WHOLE: Final = "(the expression)"
"""What a message calls a step that has no name."""


def recognise(text: str, *, queries: Mapping[str, str], parameters: Mapping[str, Value], culture: str | None) -> Recipe:
    """
    What the M expression *text* of a partition asks for.

    Args:
        text: the expression.
        queries: M of what *text* may name: the model's shared expressions and parameters, and the partitions of its
            other tables by the names of these.
        parameters: values that take the place of parameters' own: ``RangeStart`` and ``RangeEnd`` of a partition that
            a refresh policy made. Which of them were asked for is in the recipe.
        culture: the model's culture, by which conversions go that name none.

    Raises:
        ExpressionNotSupportedError: *text* is no M, or M with a step that is not recognised; it names the step and the
            function.
    """
    reach = Environment(Queries(queries, parameters))
    here = Located(parse(text), reach, _WHOLE).settled()
    steps: list[Step] = []
    visited: set[int] = set()
    while True:
        if id(here.expression) in visited:
            raise refused(here.name, "it stands for itself")
        visited.add(id(here.expression))
        call = here.call()
        if call is None or is_source(call):
            break
        function, arguments = call
        step = recognise_step(function, arguments, here.name, culture) if arguments else None
        if step is None:
            raise refused(here.name, f"{function} is not recognised")
        steps.append(step)
        if len(steps) > STEP_COUNT_MAX:
            raise refused(here.name, f"more than {STEP_COUNT_MAX} steps")
        here = arguments[0].settled()
    if call is None and not isinstance(here.expression, syntax.FieldAccess):
        raise refused(here.name, f"{described(here)} is not recognised")
    return Recipe(recognise_source(here), tuple(reversed(steps)), frozenset(reach.queries.used))
