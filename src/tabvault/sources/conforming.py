"""
Rows of a source as rows of a model's table: columns found by name, values converted by one table, nothing guessed.

What converts to what:

=====================  ====================================================================================
source                 data types of the model
=====================  ====================================================================================
text                   string; int64, double, decimal, dateTime, boolean by strict rules of writing
whole numbers          int64, double, decimal; boolean (0 and 1); string
doubles                double, decimal; int64 where whole; string (the shortest that denotes it)
decimal numbers        decimal, double; int64 where whole; string
truth values           boolean; string (``true``, ``false``)
dates, times           dateTime; string (ISO 8601)
bytes                  binary
=====================  ====================================================================================

Everything else is refused by name, as is a value that its column has no room for: :class:`SourceTypeError` tells the
column, the kind of value and the row, and not the value. How numbers and dates convert is written in
:mod:`tabvault.sources.number_conversions` and :mod:`tabvault.sources.time_conversions`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.errors import SourceTypeError
from tabvault.sources import number_conversions as numbers
from tabvault.sources import time_conversions as times
from tabvault.sources.misfit import Converted, MisfitError, refuse_unless
from tabvault.sources.source_type import DATES, FIELDS, NUMBERS, is_text, native_type, text_of
from tabvault.sources.text_rules import TextRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_Conversion: TypeAlias = "Callable[[pa.Array, TextRules], Converted]"

_TARGETS: Final = {
    pa.string(): "string",
    pa.int64(): "int64",
    pa.float64(): "double",
    numbers.CURRENCY: "decimal",
    times.DATE_TIME: "dateTime",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
}
"""Names of the model's data types by the Arrow type of their values."""


class Rows(Protocol):
    """Batches with a schema: :class:`tabvault.sources.reading.SourceRows`, or a reader of Arrow's."""

    @property
    def schema(self) -> pa.Schema:
        """Of every batch."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches."""
        ...


class ConformedRows:
    """
    Batches of the schema that a table wants.

    Attributes:
        schema: that schema.
        row_count: rows given so far.
        rounded_counts: by column, values given so far that lost digits their data type has no room for.
    """

    def __init__(self, rows: Rows, schema: pa.Schema, rules: TextRules) -> None:
        self.schema = schema
        self.row_count = 0
        self.rounded_counts: Counter[str] = Counter()
        self._rows = rows
        self._rules = rules
        self._columns = [_Column(rows.schema, field) for field in schema]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """
        The batches.

        Raises:
            SourceTypeError: a value does not fit its column.
            SourceError: what reading them raises.
        """
        for batch in self._rows:
            columns = [self._converted(column, batch) for column in self._columns]
            self.row_count += batch.num_rows
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _converted(self, column: _Column, batch: pa.RecordBatch) -> pa.Array:
        try:
            values, rounded_count = column.converted(batch.column(column.index), self._rules)
        except MisfitError as misfit:
            row = self.row_count + misfit.index + 1
            others = ""
            if misfit.count > 1:
                last_row = self.row_count + batch.num_rows
                others = f", as {misfit.count - 1} more up to row {last_row}" + (" do" if misfit.count > 2 else " does")
            raise SourceTypeError(
                f"column {column.name!r}, row {row}: {misfit.kind} does not fit the data type {column.target}{others}",
                hint="change the data type of the model's column, or cast the column in the partition's query",
            ) from None
        if rounded_count:
            self.rounded_counts[column.name] += rounded_count
        return values


def conformed(rows: Rows, schema: pa.Schema, *, rules: TextRules | None = None) -> ConformedRows:
    """
    *rows* as a table of a model wants them.

    Args:
        rows: as a source gives them.
        schema: names as the source has them (``sourceColumn``), and the Arrow types of the model's values: string,
            int64, double, decimal128(19, 4), timestamp[us], bool, binary. A name is found as it is written, then
            without regard to case. Columns of *rows* that it does not name are left out.
        rules: how text is read; those of ISO and a decimal point unless given.

    Raises:
        SourceTypeError: a column is not there, or is there twice, or its type does not convert.
    """
    return ConformedRows(rows, schema, rules or TextRules())


class _Column:
    """Where a column comes from, and how its values convert."""

    def __init__(self, given: pa.Schema, wanted: pa.Field) -> None:
        self.name = wanted.name
        self.target = _TARGETS[wanted.type]
        self.index = _index(given, wanted.name)
        field = given.field(self.index)
        self._family = _family(field)
        conversion = _CONVERSIONS.get((self._family or "", self.target))
        if conversion is None:
            raise SourceTypeError(
                f"column {wanted.name!r} of the source type {native_type(field)} does not convert to the data type"
                f" {self.target}",
                hint="change the data type of the model's column, or cast the column in the partition's query",
            )
        self._conversion = conversion
        self._type = wanted.type

    def converted(self, values: pa.Array, rules: TextRules) -> Converted:
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_null(values.type):
            return Converted(pa.nulls(len(values), self._type))
        if self._family == FIELDS.decode() and self.target != "string":
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
        result = self._conversion(values, rules)
        return result._replace(values=result.values.cast(self._type))


def _index(given: pa.Schema, name: str) -> int:
    found = [index for index, other in enumerate(given.names) if other == name]
    found = found or [index for index, other in enumerate(given.names) if other.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceTypeError(f"the source gives {len(found)} columns {name!r}", hint="name them apart in the query")
    raise SourceTypeError(
        f"the source gives no column {name!r}", hint=f"it gives {', '.join(given.names[:50]) or 'none'}"
    )


def _family(field: pa.Field) -> str | None:
    """Which row of the table a column's values are in; None for what no column of a model takes."""
    mark = text_of(field)
    if mark in {NUMBERS, DATES, FIELDS}:
        return mark.decode()
    data_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return next((family for family, is_one in _FAMILIES.items() if is_one(data_type)), None)


def _is_bytes(data_type: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type) or pa.types.is_fixed_size_binary(data_type)
    )


_FAMILIES: Final[Mapping[str, Callable[[pa.DataType], bool]]] = {
    "null": pa.types.is_null,
    "text": is_text,
    "integer": pa.types.is_integer,
    "float": lambda data_type: pa.types.is_float32(data_type) or pa.types.is_float64(data_type),
    "decimal": pa.types.is_decimal,
    "boolean": pa.types.is_boolean,
    "date": pa.types.is_date,
    "time": pa.types.is_time,
    "timestamp": pa.types.is_timestamp,
    "binary": _is_bytes,
}


def _as_it_is(values: pa.Array, _rules: TextRules) -> Converted:
    return Converted(values)


def _to_text(values: pa.Array, _rules: TextRules) -> Converted:
    return Converted(values.cast(pa.string()))


def _plainly(convert: Callable[[pa.Array], Converted]) -> _Conversion:
    return lambda values, _rules: convert(values)


def _by_rules(convert: Callable[[pa.Array], Converted]) -> _Conversion:
    return lambda text, rules: convert(rules.plain_numbers(pc.utf8_trim_whitespace(text)))


def _integers_to_boolean(values: pa.Array, _rules: TextRules) -> Converted:
    refuse_unless(pc.or_(pc.equal(values, 0), pc.equal(values, 1)), "a number that is neither 0 nor 1")
    return Converted(pc.equal(values, 1))


def _text_to_boolean(text: pa.Array, _rules: TextRules) -> Converted:
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    is_true = pc.or_(pc.equal(lowered, "true"), pc.equal(lowered, "1"))
    is_false = pc.or_(pc.equal(lowered, "false"), pc.equal(lowered, "0"))
    refuse_unless(pc.or_(is_true, is_false), "text that is neither true nor false")
    return Converted(is_true)


_FROM_TEXT: Final[Mapping[str, _Conversion]] = {
    "string": _as_it_is,
    "int64": _by_rules(numbers.numbers_to_int64),
    "double": _by_rules(numbers.numbers_to_double),
    "decimal": _by_rules(numbers.numbers_to_currency),
    "dateTime": times.text_to_date_time,
    "boolean": _text_to_boolean,
}

_FROM: Final[Mapping[str, Mapping[str, _Conversion]]] = {
    "null": dict.fromkeys(_TARGETS.values(), _as_it_is),
    "text": _FROM_TEXT,
    "fields": _FROM_TEXT,
    "numbers": {
        "string": _as_it_is,
        "int64": _plainly(numbers.numbers_to_int64),
        "double": _plainly(numbers.numbers_to_double),
        "decimal": _plainly(numbers.numbers_to_currency),
    },
    "dates": {"string": _as_it_is, "dateTime": lambda text, _rules: times.text_to_date_time(text, TextRules())},
    "integer": {
        "string": _to_text,
        "int64": _plainly(numbers.integers_to_int64),
        "double": _plainly(numbers.integers_to_double),
        "decimal": _plainly(numbers.integers_to_currency),
        "boolean": _integers_to_boolean,
    },
    "float": {
        "string": _to_text,
        "int64": _plainly(numbers.doubles_to_int64),
        "double": _plainly(numbers.doubles_to_double),
        "decimal": _plainly(numbers.doubles_to_currency),
    },
    "decimal": {
        "string": _plainly(numbers.decimals_to_text),
        "int64": _plainly(numbers.decimals_to_int64),
        "double": _plainly(numbers.decimals_to_double),
        "decimal": _plainly(numbers.decimals_to_currency),
    },
    "boolean": {"boolean": _as_it_is, "string": _to_text},
    "date": {"dateTime": _plainly(times.dates_to_date_time), "string": _plainly(times.date_times_to_text)},
    "time": {"dateTime": _plainly(times.times_to_date_time), "string": _plainly(times.date_times_to_text)},
    "timestamp": {"dateTime": _plainly(times.timestamps_to_date_time), "string": _plainly(times.date_times_to_text)},
    "binary": {"binary": _as_it_is},
}

_CONVERSIONS: Final = {
    (family, target): conversion for family, by_target in _FROM.items() for target, conversion in by_target.items()
}
