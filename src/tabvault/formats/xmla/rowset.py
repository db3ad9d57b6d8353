"""
Rowsets: an inline schema and rows, as Discover and tabular Execute answer ([MS-SSAS] 2.2.4.1.3).

::

    <root xmlns="urn:schemas-microsoft-com:xml-analysis:rowset" name="Tables">
      <xsd:schema> ... <xsd:element sql:field="Sales[Amount]" name="Sales_x005B_Amount_x005D_" type="xsd:double" .../>
      </xsd:schema>                                                                     rowset_begin
      <row><Sales_x005B_Amount_x005D_>12.5</Sales_x005B_Amount_x005D_></row> ...        rowset_chunks
    </root>                                                                             ROWSET_END

The schema is mandatory: by its types a client decides what it makes of a text. A null is an element left out, an empty
string an empty element. Rows are made by whole columns: each column becomes an array of texts, those are joined to
one text per row, and Arrow keeps the texts of an array one behind the other, so the array's buffer is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.errors import QueryNotSupportedError
from tabvault.formats.xmla.escape import attribute, content
from tabvault.formats.xmla.names import encode_name
from tabvault.formats.xmla.namespaces import ROWSET, SCHEMA, SCHEMA_INSTANCE, XML_SQL
from tabvault.formats.xmla.rowset_text import TEXT, column_text, value_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

TYPE_KEY = b"xmla"
"""Metadata of an Arrow field by which it says its XSD type, where the Arrow type does not."""

CHUNK_BYTE_COUNT = 1 << 20
"""Of an answer in memory at a time: enough that a chunk costs more to write than to begin."""

ROWSET_END = b"</root>"

_XSD_TYPES = {
    "string": "xsd:string",
    "boolean": "xsd:boolean",
    "short": "xsd:short",
    "int": "xsd:int",
    "long": "xsd:long",
    "unsignedShort": "xsd:unsignedShort",
    "unsignedInt": "xsd:unsignedInt",
    "unsignedLong": "xsd:unsignedLong",
    "double": "xsd:double",
    "decimal": "xsd:decimal",
    "dateTime": "xsd:dateTime",
    "base64Binary": "xsd:base64Binary",
    "uuid": "uuid",
    "xmlDocument": "xmlDocument",
}
VARIANT = "variant"
"""A column that declares no type: each of its values does."""

RESTRICTIONS = "restrictions"
"""The one nested column there is, in DISCOVER_SCHEMA_ROWSETS: an element for each entry of a list of Name and Type."""

_RESTRICTIONS_SCHEMA = (
    ' minOccurs="0" maxOccurs="unbounded"><xsd:complexType><xsd:sequence minOccurs="0" maxOccurs="unbounded">'
    '<xsd:element sql:field="Name" name="Name" type="xsd:string" minOccurs="0"/>'
    '<xsd:element sql:field="Type" name="Type" type="xsd:string" minOccurs="0"/>'
    "</xsd:sequence></xsd:complexType></xsd:element>"
)

_SCHEMA_BEGIN = (
    f'<xsd:schema targetNamespace="{ROWSET}" xmlns:sql="{XML_SQL}" elementFormDefault="qualified">'
    '<xsd:element name="root"><xsd:complexType><xsd:sequence minOccurs="0" maxOccurs="unbounded">'
    '<xsd:element name="row" type="row"/></xsd:sequence></xsd:complexType></xsd:element>'
    '<xsd:simpleType name="uuid"><xsd:restriction base="xsd:string">'
    '<xsd:pattern value="[0-9a-zA-Z]{8}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{12}"/>'
    "</xsd:restriction></xsd:simpleType>"
    '<xsd:complexType name="xmlDocument"><xsd:sequence><xsd:any/></xsd:sequence></xsd:complexType>'
    '<xsd:complexType name="row"><xsd:sequence>'
)
_SCHEMA_END = "</xsd:sequence></xsd:complexType></xsd:schema>"


@dataclass(frozen=True, slots=True)
class RowsetColumn:
    """
    One column.

    Attributes:
        name: the true name, any text.
        type: a key of the table above (``unsignedLong``), ``variant`` or ``restrictions``.
        element: the XML name of its elements; unique in the rowset, as names need not be.
    """

    name: str
    type: str
    element: str


def rowset_columns(schema: pa.Schema) -> tuple[RowsetColumn, ...]:
    """
    The columns of a rowset that carries tables of *schema*.

    The type is that of the Arrow type, unless the field's metadata name one under :data:`TYPE_KEY`. The texts of an
    ``xmlDocument`` column are written as they are and must each be one element, never null (ADOMD.NET fails on one);
    those of a ``uuid`` column are strings.

    Raises:
        QueryNotSupportedError: a type that rowsets do not have.
    """
    columns: list[RowsetColumn] = []
    taken: set[str] = set()
    for field in schema:
        kind = (field.metadata or {}).get(TYPE_KEY)
        type_name = kind.decode() if kind is not None else _type_of(field.type, field.name)
        if type_name not in _XSD_TYPES and type_name not in (VARIANT, RESTRICTIONS):
            raise ValueError(f"field {field.name} asks for the type {type_name}")
        element = _unique(encode_name(field.name) or "_", taken)
        taken.add(element)
        columns.append(RowsetColumn(field.name, type_name, element))
    return tuple(columns)


def _unique(element: str, taken: set[str]) -> str:
    if element not in taken:
        return element
    return next(name for name in (f"{element}_{number}" for number in range(1, len(taken) + 2)) if name not in taken)


def _type_of(kind: pa.DataType, name: str) -> str:
    if pa.types.is_dictionary(kind):
        return _type_of(kind.value_type, name)
    for is_kind, type_name in _TYPE_TESTS:
        if is_kind(kind):
            return type_name
    raise QueryNotSupportedError(f"column {name[:100]!r} is of type {str(kind)[:100]}, which rowsets do not have")


_TYPE_TESTS = (
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (pa.types.is_string_view, "string"),
    (pa.types.is_null, "string"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "short"),
    (pa.types.is_int16, "short"),
    (pa.types.is_int32, "int"),
    (pa.types.is_int64, "long"),
    (pa.types.is_uint8, "unsignedShort"),
    (pa.types.is_uint16, "unsignedShort"),
    (pa.types.is_uint32, "unsignedInt"),
    (pa.types.is_uint64, "unsignedLong"),
    (pa.types.is_floating, "double"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_timestamp, "dateTime"),
    (pa.types.is_date, "dateTime"),
    (pa.types.is_binary, "base64Binary"),
    (pa.types.is_large_binary, "base64Binary"),
    (pa.types.is_binary_view, "base64Binary"),
    (pa.types.is_fixed_size_binary, "base64Binary"),
)


def rowset_begin(columns: Sequence[RowsetColumn], name: str | None = None) -> bytes:
    """
    The root's start tag and the inline schema.

    Args:
        columns: as :func:`rowset_columns` gave them.
        name: of the rowset, where a client looks for it (the rowsets of a model in a Batch).
    """
    named = f" name={attribute(name)}" if name is not None else ""
    elements = "".join(_schema_element(column) for column in columns)
    root = f'<root xmlns="{ROWSET}" xmlns:xsi="{SCHEMA_INSTANCE}" xmlns:xsd="{SCHEMA}"{named}>'
    return f"{root}{_SCHEMA_BEGIN}{elements}{_SCHEMA_END}".encode()


def _schema_element(column: RowsetColumn) -> str:
    field = attribute(column.name)
    if column.type == RESTRICTIONS:
        return f'<xsd:element sql:field={field} name="{column.element}"{_RESTRICTIONS_SCHEMA}'
    declared = "" if column.type == VARIANT else f' type="{_XSD_TYPES[column.type]}"'
    return f'<xsd:element sql:field={field} name="{column.element}"{declared} minOccurs="0"/>'


def rowset_rows(columns: Sequence[RowsetColumn], batch: pa.RecordBatch) -> bytes:
    """All rows of *batch*; see :func:`rowset_chunks`."""
    return b"".join(rowset_chunks(columns, batch))


def rowset_chunks(columns: Sequence[RowsetColumn], batch: pa.RecordBatch) -> Iterator[bytes]:
    """
    The rows of *batch*, in chunks of whole rows and about :data:`CHUNK_BYTE_COUNT` bytes.

    Args:
        columns: as :func:`rowset_columns` gave them for the schema of *batch*.
        batch: rows in the order in which they are wanted.

    Raises:
        QueryError: a value that a client could not read back (:mod:`.rowset_text`). Rows before it have been yielded.
    """
    for start, stop in _pieces(_row_byte_counts(columns, batch)):
        yield _rows(columns, batch.slice(start, stop - start))


def _row_byte_counts(columns: Sequence[RowsetColumn], batch: pa.RecordBatch) -> NDArray[np.int64]:
    """About how many bytes each row takes; shape ``(rows,)``."""
    row_byte_counts = np.full(batch.num_rows, sum(2 * len(column.element) + 24 for column in columns), np.int64)
    for array in batch.columns:
        if pa.types.is_dictionary(array.type):
            lengths = _value_byte_counts(array.dictionary)
            row_byte_counts += lengths.take(array.indices).fill_null(0).to_numpy(zero_copy_only=False)
        else:
            row_byte_counts += _value_byte_counts(array).fill_null(0).to_numpy(zero_copy_only=False)
    return row_byte_counts


def _value_byte_counts(array: pa.Array) -> pa.Array:
    try:
        return pc.binary_length(array).cast(pa.int64())
    except pa.ArrowNotImplementedError:  # of a fixed width: some twenty bytes of text
        return pa.repeat(pa.scalar(20, pa.int64()), len(array))


def _pieces(row_byte_counts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(row_byte_counts)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK_BYTE_COUNT, side="right")))
        yield start, stop
        start = stop


def _rows(columns: Sequence[RowsetColumn], batch: pa.RecordBatch) -> bytes:
    parts: list[pa.Array | pa.Scalar] = []
    literal = "<row>"
    for column, array in zip(columns, batch.columns, strict=True):
        if column.type == RESTRICTIONS:
            parts += [pa.scalar(literal, TEXT), _restrictions(column, array)]
            literal = ""
            continue
        start, end = f"<{column.element}{_value_type(column, array)}>", f"</{column.element}>"
        text = array.cast(TEXT) if column.type == "xmlDocument" else column_text(array, column.name)
        if text.null_count:
            element = _joined([pa.scalar(start, TEXT), text, pa.scalar(end, TEXT)], null_handling="emit_null")
            parts += [pa.scalar(literal, TEXT), element]
            literal = ""
        else:
            parts += [pa.scalar(literal + start, TEXT), text]
            literal = end
    parts.append(pa.scalar(f"{literal}</row>", TEXT))
    rows = _joined(parts, null_handling="replace")
    if not isinstance(rows, pa.Array):  # no columns: one text for every row
        row_count: int = batch.num_rows
        return str(rows.as_py()).encode() * row_count
    return value_bytes(rows)


def _restrictions(column: RowsetColumn, array: pa.Array) -> pa.Array:
    """The elements of each row; few rows have any."""
    texts = [
        "".join(
            f"<{column.element}><Name>{content(entry['Name'])}</Name><Type>{content(entry['Type'])}</Type></{column.element}>"
            for entry in entries or ()
        )
        for entries in array.to_pylist()
    ]
    return pa.array(texts, TEXT)


def _value_type(column: RowsetColumn, array: pa.Array) -> str:
    if column.type != VARIANT:
        return ""
    return f' xsi:type="{_XSD_TYPES[_type_of(array.type, column.name)]}"'


def _joined(parts: Sequence[pa.Array | pa.Scalar], *, null_handling: str) -> pa.Array:
    """The texts of *parts* row by row, one behind the other."""
    return pc.binary_join_element_wise(*parts, pa.scalar("", TEXT), null_handling=null_handling, null_replacement="")
