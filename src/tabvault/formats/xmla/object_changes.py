"""
Object changes: rows that create, alter, delete, rename or refresh objects of a tabular model ([MS-SSAS-T] 3.1.5.2).

::

    <Create xmlns=".../2014/engine">
      <DatabaseID>Sales</DatabaseID>
      <Measures>
        <xs:schema> ... <xs:element name="TableID.Table" type="xs:string" sql:field="TableID.Table" .../> ...
        <row xmlns="urn:schemas-microsoft-com:xml-analysis:rowset"><TableID.Table>Sales</TableID.Table>...</row>
      </Measures>
    </Create>

The schema declares every column that the client knows; a row has the ones that it changes. What a column means, and
whether its text is a value of its type, is for those who apply the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.formats.xmla.commands import Collection, ObjectChanges, Verb
from tabvault.formats.xmla.names import decode_name
from tabvault.formats.xmla.namespaces import SCHEMA, XML_SQL
from tabvault.formats.xmla.xml_tree import child_elements, echo, is_nil, leaf_text, local_name, wrong

if TYPE_CHECKING:
    from lxml import etree

VERBS: dict[str, Verb] = {
    "Create": "create",
    "Alter": "alter",
    "Delete": "delete",
    "Rename": "rename",
    "Refresh": "refresh",
}

_DATABASE_ID = "DatabaseID"


def is_object_changes(command: etree._Element) -> bool:
    """
    Whether a command changes objects by rows.

    ``Create``, ``Alter`` and ``Delete`` are also commands on databases and traces, in another namespace; those hold an
    ``Object`` or ``ObjectDefinition`` and never a ``DatabaseID`` of their own.
    """
    return local_name(command) in VERBS and any(local_name(child) == _DATABASE_ID for child in child_elements(command))


def parse_object_changes(command: etree._Element) -> ObjectChanges:
    """
    Read such a command.

    Raises:
        RequestError: a collection twice, without schema, or a row with a column that the schema does not declare.
    """
    database_id: str | None = None
    collections: dict[str, Collection] = {}
    for child in child_elements(command):
        name = local_name(child)
        if name == _DATABASE_ID:
            if database_id is not None:
                raise wrong(command, f"holds element {_DATABASE_ID} twice")
            database_id = leaf_text(child)
        elif name in collections:
            raise wrong(command, f"holds element {echo(name)} twice")
        else:
            collections[name] = _collection(child, name)
    if not database_id:
        raise wrong(command, f"has an empty {_DATABASE_ID}")
    return ObjectChanges(VERBS[local_name(command)], database_id, tuple(collections.values()))


def _collection(element: etree._Element, name: str) -> Collection:
    columns: dict[str, str] | None = None
    rows: list[dict[str, str | None]] = []
    by_tag: dict[str, str] = {}
    for child in child_elements(element):
        kind = local_name(child)
        if kind == "row" and columns is not None:
            rows.append(_row(child, columns, by_tag))
        elif kind == "schema" and columns is None:
            columns = _schema(child)
        else:
            raise wrong(element, f"holds the element {echo(kind)}, where a schema and rows after it are expected")
    if columns is None:
        raise wrong(element, "lacks its schema")
    return Collection(name, columns, tuple(rows))


def _schema(schema: etree._Element) -> dict[str, str]:
    """Names and types of the columns: the elements of the complex type ``row``."""
    columns: dict[str, str] = {}
    for column in schema.iterfind(f"{{{SCHEMA}}}complexType[@name='row']/{{{SCHEMA}}}sequence/{{{SCHEMA}}}element"):
        name = column.get(f"{{{XML_SQL}}}field") or decode_name(column.get("name") or "")
        if not name:
            raise wrong(column, "of a schema has no name")
        if name in columns:
            raise wrong(column, f"declares column {echo(name)} again")
        columns[name] = (column.get("type") or "").rpartition(":")[2]
    return columns


def _row(row: etree._Element, columns: dict[str, str], by_tag: dict[str, str]) -> dict[str, str | None]:
    """The values of a row. *by_tag* keeps the decoded names, which are the same in a hundred thousand rows."""
    values: dict[str, str | None] = {}
    for cell in child_elements(row):
        tag = cell.tag
        name = by_tag.get(tag)
        if name is None:
            name = decode_name(local_name(cell))
            if name not in columns:
                raise wrong(row, f"has column {echo(name)}, which its schema does not declare")
            by_tag[tag] = name
        if name in values:
            raise wrong(row, f"has column {echo(name)} twice")
        values[name] = None if cell.attrib and is_nil(cell) else leaf_text(cell)
    return values
