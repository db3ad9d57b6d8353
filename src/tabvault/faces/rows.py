r"""
Rows of a query result as text, a batch at a time and by Arrow's kernels, not row by row.

=============  ============================  ==========================  ==============================
value          pipe (tab-separated)          ``--json``                  terminal
=============  ============================  ==========================  ==============================
BLANK, NULL    ``\N``                        ``null``                    ``NULL``, dim
text           escaped, ``\`` doubled        JSON string, ASCII          escaped
number         all its digits                JSON number, all its digits as in a pipe
NaN, infinity  ``nan``, ``inf``              ``"nan"``, ``"inf"``        as in a pipe
date, time     ISO 8601                      ISO 8601, a JSON string     as in a pipe
binary         base64                        base64, a JSON string       as in a pipe
list, struct   JSON                          JSON                        as in a pipe
=============  ============================  ==========================  ==============================

The pipe's text is that of PostgreSQL's ``COPY``, with more escapes for what would act on a terminal.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.faces.text import field, printable

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RowStyle:
    """
    How values are spelled.

    Attributes:
        null: the spelling of NULL.
        text: spells a text value.
        quote: stands around what is neither a number nor a text.
    """

    null: str
    text: Callable[[str], str]
    quote: str


TAB_SEPARATED: Final = RowStyle(r"\N", field, "")
JSON: Final = RowStyle("null", json.dumps, '"')
TERMINAL: Final = RowStyle("NULL", printable, "")

_SPELLED_BY_ARROW: Final = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_decimal)


def lines(batch: pa.RecordBatch, style: RowStyle, *, separator: str) -> list[str]:
    """Each row of *batch* as one text, its values joined by *separator*."""
    if not batch.num_columns:
        return [""] * batch.num_rows
    joined = _joined(*(spelled(column, style).fill_null(style.null) for column in batch.columns), separator=separator)
    texts: list[str] = joined.to_pylist()
    return texts


def spelled(column: pa.Array, style: RowStyle) -> pa.Array:
    """The values of *column* as texts (Arrow's ``large_string``), NULL still NULL."""
    type_ = column.type
    if pa.types.is_dictionary(type_):
        return spelled(column.dictionary, style).take(column.indices)
    if any(is_plain(type_) for is_plain in _SPELLED_BY_ARROW):
        return column.cast(pa.large_string())
    if pa.types.is_floating(type_):
        texts = column.cast(pa.large_string())
        return pc.if_else(pc.is_finite(column), texts, _joined(style.quote, texts, style.quote))
    if pa.types.is_date(type_) or pa.types.is_time(type_) or pa.types.is_timestamp(type_):
        return _moments(column, style)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return _each_once(column.cast(pa.large_string()), style.text)
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return _each_once(column, lambda value: f"{style.quote}{base64.b64encode(value).decode()}{style.quote}")
    return _anything_else(column, style)


def _joined(*texts: pa.Array | str, separator: str = "") -> pa.Array:
    """The texts side by side. Arrow takes a plain string for its smaller kind, and does not mix the two."""
    values = [pa.scalar(text, pa.large_string()) if isinstance(text, str) else text for text in (*texts, separator)]
    return pc.binary_join_element_wise(*values)


def _each_once(column: pa.Array, spell: Callable[[Any], str]) -> pa.Array:
    """Spell each distinct value once."""
    encoded = column.dictionary_encode()
    texts = [spell(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.large_string()).take(encoded.indices)


def _moments(column: pa.Array, style: RowStyle) -> pa.Array:
    texts = pc.replace_substring(column.cast(pa.large_string()), " ", "T", max_replacements=1)
    # Arrow writes as many digits of a second as the type could hold; whole seconds need none.
    texts = pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")
    return _joined(style.quote, texts, style.quote)


def _anything_else(column: pa.Array, style: RowStyle) -> pa.Array:
    """Nested values and intervals: rare in a model, so value by value."""

    def spell(value: object) -> str:
        text = json.dumps(value, default=str)
        return text if style.quote else style.text(text)

    return pa.array([None if value is None else spell(value) for value in column.to_pylist()], pa.large_string())
