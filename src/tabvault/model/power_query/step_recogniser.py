"""
The functions of a table that are recognised as steps. Their first argument is the table; the others are read here.

Source: the pages of these functions in the M reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tabvault.model.power_query import syntax
from tabvault.model.power_query.condition_recogniser import recognise_condition, recognise_scalar
from tabvault.model.power_query.environment import Constant, Located, NotConstantError, described, refused
from tabvault.model.power_query.recipe import (
    AddColumn,
    ColumnType,
    Distinct,
    FirstRows,
    PromoteHeaders,
    RemoveColumns,
    RenameColumns,
    ReorderColumns,
    ReplaceValue,
    SelectColumns,
    SelectRows,
    Skip,
    Sort,
    Step,
    TransformColumnTypes,
    TransformText,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_Arguments: TypeAlias = "tuple[Located, ...]"

_TYPES: Final[dict[str, ColumnType]] = {
    "any": "any", "text": "text", "number": "number", "logical": "logical", "date": "date", "time": "time",
    "datetime": "datetime", "datetimezone": "datetimezone", "duration": "duration", "binary": "binary",
    "Any.Type": "any", "Text.Type": "text", "Number.Type": "number", "Double.Type": "number",
    "Decimal.Type": "number", "Percentage.Type": "number", "Int64.Type": "int64", "Currency.Type": "currency",
    "Logical.Type": "logical", "Date.Type": "date", "Time.Type": "time", "DateTime.Type": "datetime",
    "DateTimeZone.Type": "datetimezone", "Duration.Type": "duration", "Binary.Type": "binary",
}  # fmt: skip
_TEXT_FUNCTIONS: Final[dict[str, Literal["trim", "upper", "lower", "clean"]]] = {
    "Text.Trim": "trim",
    "Text.Upper": "upper",
    "Text.Lower": "lower",
    "Text.Clean": "clean",
}
_OWN_CASES: Final = ("tr", "az", "lt")
"""Languages whose letters have upper and lower cases of their own."""

_ROW_COUNT_MAX: Final = (1 << 63) - 1


def recognise_step(function: str, arguments: _Arguments, step: str, culture: str | None) -> Step | None:
    """
    The step that *function* is.

    Args:
        function: name of a function of M's library.
        arguments: all of them, the table first.
        step: its name, for messages and for the step.
        culture: the model's, for a step that names none.

    Returns:
        None if the function is none of these.

    Raises:
        ExpressionNotSupportedError: it is, with arguments that are not.
    """
    if function == "Table.TransformColumnTypes":
        return _types(arguments[1:], step, culture)
    read = _STEPS.get(function)
    recognised = None if read is None else read(arguments[1:], step)
    if isinstance(recognised, TransformText) and culture is not None and culture[:2].lower() in _OWN_CASES:
        raise refused(step, f"functions of text in the culture {culture}")
    return recognised


def _constant(argument: Located, step: str) -> Constant:
    try:
        return argument.constant()
    except NotConstantError as problem:
        raise refused(step, problem.what) from None


def _check_count(arguments: _Arguments, least: int, most: int, function: str, step: str) -> None:
    if not least <= len(arguments) <= most:
        raise refused(step, f"{function} with {len(arguments) + 1} arguments")


def _names(argument: Located, function: str, step: str) -> tuple[str, ...]:
    value = _constant(argument, step)
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, tuple) or not all(isinstance(one, str) for one in names):
        raise refused(step, f"{function} with columns that are no list of names")
    texts = tuple(one for one in names if isinstance(one, str))
    if len(set(texts)) != len(texts):
        raise refused(step, f"{function} with a column named twice")
    return texts


def _pairs(argument: Located, function: str, step: str) -> tuple[_Arguments, ...]:
    """The items of a list of lists; one such item may stand alone (``{"A", type text}``)."""
    here = argument.settled()
    if not isinstance(here.expression, syntax.ListExpression):
        raise refused(step, f"{function} with {described(here)} where a list is expected")
    items = [here.at(item) for item in here.expression.items if not isinstance(item, tuple)]
    if len(items) != len(here.expression.items):
        raise refused(step, f"{function} with a range")
    lists = [item.settled() for item in items]
    if items and not any(isinstance(one.expression, syntax.ListExpression) for one in lists):
        return (tuple(items),)
    pairs: list[_Arguments] = []
    for one in lists:
        if not isinstance(one.expression, syntax.ListExpression):
            raise refused(step, f"{function} with {described(one)} where a list is expected")
        pairs.append(tuple(one.at(part) for part in one.expression.items if not isinstance(part, tuple)))
    return tuple(pairs)


def _column(argument: Located, function: str, step: str) -> str:
    name = _constant(argument, step)
    if not isinstance(name, str):
        raise refused(step, f"{function} with a column whose name is no text")
    return name


def _ignores_missing(arguments: _Arguments, place: int, function: str, step: str) -> bool:
    if len(arguments) <= place:
        return False
    here = arguments[place].settled()
    name = here.library_name()
    if name is None and isinstance(here.expression, syntax.NullLiteral):
        return False
    if name not in ("MissingField.Error", "MissingField.Ignore"):
        raise refused(step, f"{function} with {described(here)}")
    return name == "MissingField.Ignore"


def _promote_headers(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 0, 1, "Table.PromoteHeaders", step)
    options = _constant(arguments[0], step) if arguments else None
    fields = {} if options is None else options
    if not isinstance(fields, dict) or not set(fields) <= {"PromoteAllScalars", "Culture"}:
        raise refused(step, "Table.PromoteHeaders with options that are not known")
    return PromoteHeaders(step, has_all_scalars=fields.get("PromoteAllScalars") is True)


def _types(arguments: _Arguments, step: str, culture: str | None) -> Step:
    function = "Table.TransformColumnTypes"
    _check_count(arguments, 1, 2, function, step)
    if len(arguments) == 2:
        named = _constant(arguments[1], step)
        if not isinstance(named, str | None):
            raise refused(step, f"{function} with options")
        culture = culture if named is None else named
    types: list[tuple[str, ColumnType]] = []
    for pair in _pairs(arguments[0], function, step):
        if len(pair) != 2:
            raise refused(step, f"{function} with {len(pair)} values where a column and a type are expected")
        types.append((_column(pair[0], function, step), _type(pair[1], step)))
    if len({name for name, _ in types}) != len(types):
        raise refused(step, f"{function} with a column named twice")
    return TransformColumnTypes(step, tuple(types), culture)


def _type(argument: Located, step: str) -> ColumnType:
    here = argument.settled()
    name = here.library_name()
    if isinstance(here.expression, syntax.TypeExpression) and isinstance(here.expression.type, syntax.PrimitiveType):
        name = here.expression.type.name
    if name not in _TYPES:
        raise refused(step, f"Table.TransformColumnTypes to {name or described(here)}")
    return _TYPES[name]


def _select_columns(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 1, 2, "Table.SelectColumns", step)
    names = _names(arguments[0], "Table.SelectColumns", step)
    return SelectColumns(step, names, _ignores_missing(arguments, 1, "Table.SelectColumns", step))


def _remove_columns(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 1, 2, "Table.RemoveColumns", step)
    names = _names(arguments[0], "Table.RemoveColumns", step)
    return RemoveColumns(step, names, _ignores_missing(arguments, 1, "Table.RemoveColumns", step))


def _rename_columns(arguments: _Arguments, step: str) -> Step:
    function = "Table.RenameColumns"
    _check_count(arguments, 1, 2, function, step)
    names: list[tuple[str, str]] = []
    for pair in _pairs(arguments[0], function, step):
        if len(pair) != 2:
            raise refused(step, f"{function} with {len(pair)} values where two names are expected")
        names.append((_column(pair[0], function, step), _column(pair[1], function, step)))
    if len({old for old, _ in names}) != len(names) or len({new for _, new in names}) != len(names):
        raise refused(step, f"{function} with a name twice")
    return RenameColumns(step, tuple(names), _ignores_missing(arguments, 1, function, step))


def _reorder_columns(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 1, 2, "Table.ReorderColumns", step)
    names = _names(arguments[0], "Table.ReorderColumns", step)
    return ReorderColumns(step, names, _ignores_missing(arguments, 1, "Table.ReorderColumns", step))


def _select_rows(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 1, 1, "Table.SelectRows", step)
    return SelectRows(step, recognise_condition(arguments[0], step))


def _count(argument: Located, function: str, step: str) -> int:
    count = _constant(argument, step)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _ROW_COUNT_MAX:
        raise refused(step, f"{function} with anything but a whole number")
    return count


def _skip(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 0, 1, "Table.Skip", step)
    return Skip(step, _count(arguments[0], "Table.Skip", step) if arguments else 1)


def _first(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 1, 1, "Table.FirstN", step)
    return FirstRows(step, _count(arguments[0], "Table.FirstN", step))


def _distinct(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 0, 1, "Table.Distinct", step)
    return Distinct(step, _names(arguments[0], "Table.Distinct", step) if arguments else None)


def _sort(arguments: _Arguments, step: str) -> Step:
    """``"A"``, ``{"A", "B"}``, ``{"A", Order.Descending}``, ``{{"A", Order.Descending}, "B", {"C"}}``."""
    _check_count(arguments, 1, 1, "Table.Sort", step)
    here = arguments[0].settled()
    if not isinstance(here.expression, syntax.ListExpression):
        return Sort(step, ((_column(here, "Table.Sort", step), False),))
    items = [here.at(item).settled() for item in here.expression.items if not isinstance(item, tuple)]
    if len(items) == 2 and (is_descending := _order(items[1])) is not None:
        return Sort(step, ((_column(items[0], "Table.Sort", step), is_descending),))
    keys: list[tuple[str, bool]] = []
    for item in items:
        parts = [item]
        if isinstance(item.expression, syntax.ListExpression):
            parts = [item.at(part).settled() for part in item.expression.items if not isinstance(part, tuple)]
        order = _order(parts[1]) if len(parts) == 2 else False
        if not parts or len(parts) > 2 or order is None:
            raise refused(step, "Table.Sort by anything but columns, ascending or descending")
        keys.append((_column(parts[0], "Table.Sort", step), order))
    return Sort(step, tuple(keys))


def _order(argument: Located) -> bool | None:
    """Whether it is Order.Descending; None if it is no order."""
    name = argument.library_name()
    if isinstance(argument.expression, syntax.NumberLiteral):
        name = {"0": "Order.Ascending", "1": "Order.Descending"}.get(argument.expression.spelled)
    return {"Order.Ascending": False, "Order.Descending": True}.get(name or "")


def _replace_value(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 4, 4, "Table.ReplaceValue", step)
    old, new = _constant(arguments[0], step), _constant(arguments[1], step)
    replacer = arguments[2].settled()
    name = replacer.library_name()
    if name not in ("Replacer.ReplaceValue", "Replacer.ReplaceText"):
        raise refused(step, f"Table.ReplaceValue with {described(replacer)}")
    if isinstance(old, tuple | dict) or isinstance(new, tuple | dict):
        raise refused(step, "Table.ReplaceValue of lists or records")
    is_text = name == "Replacer.ReplaceText"
    if is_text and (not isinstance(old, str) or not isinstance(new, str) or not old):
        raise refused(step, "Replacer.ReplaceText of what is no text")
    return ReplaceValue(step, old, new, is_text, _names(arguments[3], "Table.ReplaceValue", step))


def _transform_columns(arguments: _Arguments, step: str) -> Step:
    function = "Table.TransformColumns"
    _check_count(arguments, 1, 1, function, step)
    functions: list[tuple[str, Literal["trim", "upper", "lower", "clean"]]] = []
    for pair in _pairs(arguments[0], function, step):
        if len(pair) not in (2, 3):
            raise refused(step, f"{function} with {len(pair)} values where a column and a function are expected")
        here = pair[1].settled()
        if isinstance(here.expression, syntax.Each):
            call = here.at(here.expression.body).call()
            is_of_value = call is not None and [one.expression for one in call[1]] == [
                syntax.Identifier(one.expression.offset, "_") for one in call[1][:1]
            ]
            name = call[0] if call is not None and is_of_value else described(here.at(here.expression.body))
        else:
            name = here.library_name() or described(here)
        if name not in _TEXT_FUNCTIONS:
            raise refused(step, f"{function} with {name}")
        functions.append((_column(pair[0], function, step), _TEXT_FUNCTIONS[name]))
    if len({name for name, _ in functions}) != len(functions):
        raise refused(step, f"{function} with a column named twice")
    return TransformText(step, tuple(functions))


def _add_column(arguments: _Arguments, step: str) -> Step:
    _check_count(arguments, 2, 3, "Table.AddColumn", step)
    return AddColumn(step, _column(arguments[0], "Table.AddColumn", step), recognise_scalar(arguments[1], step))


_STEPS: Final[dict[str, Callable[[_Arguments, str], Step]]] = {
    "Table.PromoteHeaders": _promote_headers,
    "Table.SelectColumns": _select_columns,
    "Table.RemoveColumns": _remove_columns,
    "Table.RenameColumns": _rename_columns,
    "Table.ReorderColumns": _reorder_columns,
    "Table.SelectRows": _select_rows,
    "Table.Skip": _skip,
    "Table.FirstN": _first,
    "Table.Distinct": _distinct,
    "Table.Sort": _sort,
    "Table.ReplaceValue": _replace_value,
    "Table.TransformColumns": _transform_columns,
    "Table.AddColumn": _add_column,
}
