"""
Types on the way from a driver to the model: plain Arrow types, and what a driver's own type was.

A driver gives some types in a form that reads as another: NUMERIC as text, MONEY as whole cents, a bit string as bytes.
Every reading turns these into one of the forms below before anybody sees them, so that a column's Arrow type, with the
mark on its field, says what its values are.

===========================  =======================================================================
the source's values are      Arrow
===========================  =======================================================================
whole numbers                int8 … int64, uint8 … uint64
floating point numbers       float, double
decimal numbers              decimal128, decimal256; or string, marked as numbers (:data:`NUMBERS`)
text                         string, large_string; a dictionary of these; marked (:data:`FIELDS`) where the source
                             has no way to write NULL
truth values                 bool
dates, times of day          date32, date64; time32, time64
points in time               timestamp, without a zone or in UTC; string, marked (:data:`DATES`)
bytes                        binary, large_binary, fixed_size_binary
nothing but null             null
anything else                as the driver has it: no column of a model takes it
===========================  =======================================================================
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from tabvault.model.objects import DataType

NUMBERS: Final = b"numbers"
"""Mark of a text column whose values are numbers, written with a point and without groups."""

DATES: Final = b"dates"
"""Mark of a text column whose values are ISO 8601 dates, or dates with times, of a driver that loses some as dates."""

FIELDS: Final = b"fields"
"""Mark of a text column of a source without NULL: empty text means it, unless text is what is wanted."""

_TEXT_OF: Final = b"tabvault:text-of"
_NATIVE: Final = b"tabvault:source-type"


def source_field(name: str, data_type: pa.DataType, *, native: str, text_of: bytes | None = None) -> pa.Field:
    """
    A field of a source's schema.

    Args:
        name: of the column.
        data_type: a type of the table above, or one that no column of a model takes.
        native: the source's name of the type, for messages.
        text_of: :data:`NUMBERS`, :data:`DATES` or :data:`FIELDS`, for a string.
    """
    metadata = {_NATIVE: native.encode()}
    if text_of is not None:
        metadata[_TEXT_OF] = text_of
    return pa.field(name, data_type, metadata=metadata)


def text_of(field: pa.Field) -> bytes | None:
    """The mark of a text column."""
    value: bytes | None = (field.metadata or {}).get(_TEXT_OF)
    return value


def native_type(field: pa.Field) -> str:
    """The source's name of a field's type."""
    native: bytes | None = (field.metadata or {}).get(_NATIVE)
    return native.decode() if native is not None else str(field.type)


def is_text(data_type: pa.DataType) -> bool:
    """Whether it is text, in a dictionary or not."""
    if pa.types.is_dictionary(data_type):
        data_type = data_type.value_type
    return bool(pa.types.is_string(data_type) or pa.types.is_large_string(data_type))


def model_type(field: pa.Field) -> DataType | None:
    """The data type that a model's column made from *field* has, unless somebody wants another; None: no column can."""
    data_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    mark = text_of(field)
    if mark == NUMBERS or pa.types.is_decimal(data_type):
        return DataType.DECIMAL
    if mark == DATES or pa.types.is_date(data_type) or pa.types.is_timestamp(data_type) or pa.types.is_time(data_type):
        return DataType.DATETIME
    if is_text(data_type) or pa.types.is_null(data_type):
        return DataType.STRING
    if pa.types.is_integer(data_type):
        return DataType.INT64
    if pa.types.is_float32(data_type) or pa.types.is_float64(data_type):
        return DataType.DOUBLE
    if pa.types.is_boolean(data_type):
        return DataType.BOOLEAN
    if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type) or pa.types.is_fixed_size_binary(data_type):
        return DataType.BINARY
    return None
