"""
What a stored value is worth in Arrow.

=========== ============ =========================== ==================
data type   dictionary   stored                      Arrow
=========== ============ =========================== ==================
STRING      STRING       text                        string
BINARY      STRING       base64 text                 binary
INT64       LONG         integer                     int64
BOOLEAN     LONG         0, 1                        bool
DECIMAL     LONG         integer, value * 10,000     decimal128(19, 4)
DOUBLE      REAL         double                      double
DATETIME    REAL         OLE date                    timestamp[us]
=========== ============ =========================== ==================

What an OLE date stands for, see :mod:`tabvault.model.ole_date`.

Sources: genuine files with every data type but VARIANT and UNKNOWN. For those two the dictionary decides: a guess,
because no file at hand has one.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tabvault.errors import FormatError, ModelError
from tabvault.model import ole_date
from tabvault.model.objects import DataType, DictionaryDataType, DictionaryType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Numbers
    from tabvault.model.objects import Column

_DATA_TYPES = frozenset(DataType)

_STORED_AS: dict[int, tuple[DictionaryDataType, pa.DataType]] = {
    DataType.STRING: (DictionaryDataType.STRING, pa.string()),
    DataType.BINARY: (DictionaryDataType.STRING, pa.binary()),
    DataType.INT64: (DictionaryDataType.LONG, pa.int64()),
    DataType.BOOLEAN: (DictionaryDataType.LONG, pa.bool_()),
    DataType.DECIMAL: (DictionaryDataType.LONG, pa.decimal128(19, 4)),
    DataType.DOUBLE: (DictionaryDataType.REAL, pa.float64()),
    DataType.DATETIME: (DictionaryDataType.REAL, pa.timestamp("us")),
}
"""What the dictionary of a data type has to hold, and what it becomes."""

_UNTYPED: dict[int, pa.DataType] = {
    DictionaryDataType.STRING: pa.string(),
    DictionaryDataType.LONG: pa.int64(),
    DictionaryDataType.REAL: pa.float64(),
}
"""What the dictionary of a column without a data type becomes."""

_NO_WHITE_SPACE = str.maketrans("", "", " \r\n")
"""The text of a binary value comes in lines of 76 characters, as in mail."""

_OLE_DATE_MAX = 100_000_000
"""Days from 1899 that a timestamp[us] reaches in both directions, rounded down: some 270,000 years."""


def value_type(column: Column) -> pa.DataType:
    """
    The Arrow type of the column's values.

    Raises:
        ModelError: the data type is not known, or the dictionary cannot hold it.
    """
    if column.data_type not in _DATA_TYPES:
        raise ModelError(f"column {column.name!r} has the unknown data type {column.data_type}")
    dictionary = column.storage.dictionary if column.storage else None
    if dictionary is None:
        return _STORED_AS.get(column.data_type, (None, pa.null()))[1]
    stored, target = _STORED_AS.get(column.data_type, (dictionary.data_type, _UNTYPED.get(dictionary.data_type)))
    if dictionary.data_type != stored or target is None:
        raise ModelError(
            f"column {column.name!r} of data type {DataType(column.data_type).name} has a dictionary of data type "
            f"{dictionary.data_type}"
        )
    return target


def arrow_type(column: Column) -> pa.DataType:
    """
    The Arrow type of the whole column, by its metadata alone.

    Returns:
        A dictionary type where the column has a hash dictionary, else the type of the values. Booleans are plain, for
        indexes would be larger than they are. (Only the file tells when a dictionary has over 2 GiB of text, and is
        of large strings.)

    Raises:
        ModelError: the dictionary cannot hold the column's data type.
    """
    values = value_type(column)
    dictionary = column.storage.dictionary if column.storage else None
    if dictionary is None or dictionary.type != DictionaryType.HASH or pa.types.is_boolean(values):
        return values
    return pa.dictionary(pa.int32(), values)


def from_text(stored: pa.StringArray | pa.LargeStringArray, target: pa.DataType, *, file: str | None) -> pa.Array:
    """
    Entries of a string dictionary as the type they stand for, string or binary.

    Raises:
        FormatError: an entry is not base64.
    """
    if not pa.types.is_binary(target):
        return stored
    try:
        octets = [binascii.a2b_base64(text.translate(_NO_WHITE_SPACE), strict_mode=True) for text in stored.to_pylist()]
    except ValueError as error:  # binascii.Error, and text that is not ASCII
        raise FormatError(f"an entry of a binary column is not base64: {error}", file=file) from error
    return pa.array(octets, target)


def from_numbers(
    stored: Numbers, target: pa.DataType, *, is_null: NDArray[np.bool_] | None, file: str | None
) -> pa.Array:
    """
    Numbers as the type they stand for.

    Args:
        stored: whole numbers or doubles, shape ``(n,)``, as the column's dictionary holds them.
        target: any type of the table above but string and binary.
        is_null: which of them are null, if any is; what is stored there has to be legal all the same.
        file: logical name, for errors.

    Raises:
        FormatError: a number does not stand for a value of the type.
    """
    data: NDArray[np.generic]
    if pa.types.is_boolean(target):
        if np.any((stored != 0) & (stored != 1)):
            raise FormatError("a boolean is stored as neither 0 nor 1", file=file)
        data = np.packbits(stored.astype(np.bool_), bitorder="little")
    elif pa.types.is_decimal(target):
        low = stored.astype(np.int64)
        data = np.stack((low, low >> 63), axis=1)  # the upper half of 128 bits repeats the sign
    elif pa.types.is_timestamp(target):
        data = _microseconds(stored.astype(np.float64), file=file)
    else:
        data = stored.astype(target.to_pandas_dtype())  # a copy: what is stored may be a view of the file
    return array(target, data, len(stored), is_null=is_null)


def array(
    arrow_type: pa.DataType, data: NDArray[np.generic], length: int, *, is_null: NDArray[np.bool_] | None
) -> pa.Array:
    """An Arrow array over *data*, which is laid out as *arrow_type* demands, with nulls where *is_null* says so."""
    if is_null is None:
        return pa.Array.from_buffers(arrow_type, length, [None, pa.py_buffer(data)], 0)
    validity = pa.py_buffer(np.packbits(~is_null, bitorder="little"))
    return pa.Array.from_buffers(arrow_type, length, [validity, pa.py_buffer(data)], int(np.count_nonzero(is_null)))


def _microseconds(ole_dates: NDArray[np.float64], *, file: str | None) -> NDArray[np.int64]:
    """Microseconds since 1970."""
    if np.count_nonzero(np.abs(ole_dates) <= _OLE_DATE_MAX) < len(ole_dates):  # not a number compares as false
        beyond = ole_dates[~(np.abs(ole_dates) <= _OLE_DATE_MAX)][0]
        raise FormatError(f"OLE date {beyond} is out of the range of a timestamp", file=file)
    return ole_date.microseconds(ole_dates)
