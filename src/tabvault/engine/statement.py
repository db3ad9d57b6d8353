"""
Which SQL text may reach the engine: one statement that reads, from the tables it was given and from nothing else.

The text is never judged by its letters. DuckDB parses it and gives its own syntax tree (``json_serialize_sql``), so
that what is checked and what is run cannot differ; the tree is then held against lists of what is allowed:

- the statement is a SELECT in any of its forms (``FROM t``, ``VALUES``, ``DESCRIBE``, ``SUMMARIZE``, ``SHOW
  TABLES``), or EXPLAIN of one;
- each FROM item is a table by its bare name, a subquery, a join, a list of values, or one of
  :data:`TABLE_FUNCTIONS`;
- no function reaches the state of the engine or sleeps (:data:`REFUSED_FUNCTIONS`);
- length and widths are under limits, since planning a query cannot be interrupted.

The settings of the connection (see :mod:`tabvault.engine.sql`) refuse files, network and extensions a second time.
"""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import duckdb

from tabvault.errors import QueryError, QueryNotSupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_BYTE_COUNT_MAX: Final = 64 << 10
"""Longest statement. People write some kilobytes."""

FROM_ITEM_COUNT_MAX: Final = 100
"""Tables, subqueries and functions in all FROM clauses: join order is searched among them."""

NAME_PART_COUNT_MAX: Final = 8
"""``table.column.field…``: DuckDB takes time in the square of the parts."""

TABLE_FUNCTIONS: Final = frozenset({"generate_series", "json_each", "json_tree", "range", "repeat", "unnest"})
"""Functions allowed in FROM: they make rows out of their arguments."""

REFUSED_FUNCTIONS: Final = frozenset(
    {
        "current_setting",
        "currval",
        "finalize",
        "getenv",
        "getvariable",
        "json_deserialize_sql",
        "json_serialize_plan",
        "json_serialize_sql",
        "nextval",
        "pg_sleep",
        "setval",
        "sleep_ms",
        "stats",
        "to_aggregate_state",
        "vector_type",
        "write_log",
    }
)
"""Functions that show or change the engine's state, sleep, or read their argument as the engine's own memory format."""

_SELECT_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SPECIAL_SHOWS: Final = frozenset({'"tables"', "__show_tables_expanded"})
_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
_NO_LOCATION: Final = 2**64 - 1
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(slots=True)
class Statement:
    """
    A statement that may be run.

    *table_names* maps each name that has to be a table's to the byte offset of its first mention, or None;
    *lists_tables* says that it asks which tables there are. *tree* is the SELECT in DuckDB's syntax tree; None where
    something stands around it.
    """

    text: str
    table_names: dict[str, int | None] = field(default_factory=dict)
    lists_tables: bool = False
    tree: dict[str, Any] | None = None

    def place(self, offset: int | None) -> tuple[int, int] | tuple[None, None]:
        """1-based line and column of a byte offset in the text."""
        return place(self.text, offset)


def place(text: str, offset: int | None) -> tuple[int, int] | tuple[None, None]:
    """1-based line and column (in characters) of byte *offset* in *text* as UTF-8; Nones for None."""
    if offset is None:
        return None, None
    before = text.encode()[:offset].decode(errors="ignore")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def folded(name: str) -> str:
    """*name* as DuckDB compares names: A-Z are a-z, and no other letter has a case."""
    return name.translate(_LOWER)


def check(text: str, connection: duckdb.DuckDBPyConnection) -> Statement:
    """
    Parse *text* with *connection*, which runs nothing of it, and hold it against the lists above.

    Raises:
        QueryError: it does not parse, or is over a limit.
        QueryNotSupportedError: it is not one statement that only reads.
        duckdb.Error: the parser's errors, for the caller to translate.
    """
    _check_text(text)
    prefix = _explain_prefix(text, connection)
    body = text[len(prefix) :]
    ((serialized,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [body]).fetchall()
    try:
        tree = json.loads(serialized)
    except RecursionError:
        raise QueryError("statement is nested too deeply") from None
    if tree.get("error") is not False or len(tree["statements"]) != 1:
        raise QueryNotSupportedError("statement is not a SELECT")
    root = tree["statements"][0]["node"]
    checker = _Checker(Statement(text, tree=None if prefix else root), shift=len(prefix.encode()))
    checker.check(root)
    return checker.statement


def _check_text(text: str) -> None:
    try:
        byte_count = len(text.encode())
    except UnicodeEncodeError:
        raise QueryError("statement has half a surrogate pair, which is no character") from None
    if byte_count > TEXT_BYTE_COUNT_MAX:
        raise QueryError(f"statement has {byte_count} bytes, over the limit of {TEXT_BYTE_COUNT_MAX}")
    if "\0" in text:
        line, column = place(text, text.encode().index(b"\0"))
        raise QueryError("statement has a NUL character", line=line, column=column)


def _explain_prefix(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    """The EXPLAIN before the statement, or an empty text; raise unless there is one statement and it reads."""
    kind = _kind(text, connection)
    if kind == "SELECT":
        return ""
    match = _EXPLAIN.match(text)
    if kind == "EXPLAIN" and match:
        explained = _kind(text[match.end() :], connection)
        if explained == "SELECT":
            return match.group()
        kind = f"EXPLAIN {explained}"
    raise QueryNotSupportedError(
        f"{kind} is not answered here", hint="a query is one SELECT, DESCRIBE, SUMMARIZE, SHOW TABLES or EXPLAIN SELECT"
    )


def _kind(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise QueryNotSupportedError(f"text has {len(statements)} statements, not one")
    if statements[0].type == duckdb.StatementType.MULTI:
        return "PIVOT without IN"  # the one statement that DuckDB makes several of
    return statements[0].type.name.replace("_", " ")


class _Checker:
    """Walks the syntax tree, without recursion: it may be deep."""

    def __init__(self, statement: Statement, *, shift: int) -> None:
        self.statement = statement
        self._shift = shift
        self._from_item_count = 0

    def check(self, root: Any) -> None:
        """
        Walk the whole tree; with each node go the names that the WITH clauses around it define.

        Raises:
            QueryNotSupportedError: something in it is not on the lists.
            QueryError: something in it is over a limit.
        """
        pending: list[tuple[Any, frozenset[str]]] = [(root, frozenset())]
        while pending:
            node, with_names = pending.pop()
            if isinstance(node, list):
                pending.extend((item, with_names) for item in node)
            elif isinstance(node, dict):
                if "cte_map" in node:
                    with_names = self._enter_query(node, with_names, pending)
                self._check_expression(node)
                for item in _from_items(node):
                    self._check_from_item(item, with_names)
                pending.extend((value, with_names) for key, value in node.items() if key != "cte_map")

    def _enter_query(
        self, node: dict[str, Any], with_names: frozenset[str], pending: list[tuple[Any, frozenset[str]]]
    ) -> frozenset[str]:
        """Put the bodies of the WITH clause on the list, each with the names before it; return all its names."""
        if node["type"] not in _SELECT_NODES:
            raise self._refused(node, f"{_spoken(node['type'])} inside a query")
        for entry in node["cte_map"]["map"]:
            pending.append((entry["value"], with_names))
            with_names |= {folded(entry["key"])}
        if node["type"] == "RECURSIVE_CTE_NODE":
            with_names |= {folded(node["cte_name"])}
        return with_names

    def _check_expression(self, node: dict[str, Any]) -> None:
        kind = node.get("class")
        if kind in {"FUNCTION", "WINDOW"}:
            name = node["function_name"].lower()
            if name in REFUSED_FUNCTIONS or name.startswith("__"):
                raise self._refused(node, f"function {name}")
        elif kind == "PARAMETER":
            raise self._refused(node, "a parameter")
        elif kind == "COLUMN_REF" and len(node["column_names"]) > NAME_PART_COUNT_MAX:
            raise self._over(node, f"name has {len(node['column_names'])} parts", NAME_PART_COUNT_MAX)

    def _check_from_item(self, item: dict[str, Any], with_names: frozenset[str]) -> None:
        self._from_item_count += 1
        if self._from_item_count > FROM_ITEM_COUNT_MAX:
            raise self._over(item, f"statement has {self._from_item_count} or more FROM items", FROM_ITEM_COUNT_MAX)
        match item["type"]:
            case "EMPTY" | "SUBQUERY" | "JOIN" | "EXPRESSION_LIST" | "PIVOT":
                pass
            case "BASE_TABLE":
                self._table(item, with_names)
            case "TABLE_FUNCTION":
                name = item["function"].get("function_name", "")
                if name.lower() not in TABLE_FUNCTIONS or len(item["function"]["qualified_name"]["path"]) > 1:
                    raise self._refused(item, f"table function {name}")
            case "SHOW_REF":
                self._show(item, with_names)
            case other:
                raise self._refused(item, f"{_spoken(other)} in FROM")

    def _table(self, item: dict[str, Any], with_names: frozenset[str]) -> None:
        path = item["qualified_name"]["path"]
        if len(path) != 1:
            raise self._refused(item, f"qualified table name {'.'.join(path)}", hint="write the table's name alone")
        if item.get("at_clause"):
            raise self._refused(item, "AT")
        if folded(path[0]) not in with_names:
            self.statement.table_names.setdefault(path[0], self._offset(item))

    def _show(self, item: dict[str, Any], with_names: frozenset[str]) -> None:
        name = item.get("table_name")
        if item["show_type"] == "SHOW_SPECIAL":
            if name not in _SPECIAL_SHOWS:
                raise self._refused(item, f"SHOW {name}")
            self.statement.lists_tables = True
        elif name:
            self._table(item, with_names)

    def _offset(self, node: dict[str, Any]) -> int | None:
        location = node.get("query_location", _NO_LOCATION)
        return None if location == _NO_LOCATION else location + self._shift

    def _refused(self, node: dict[str, Any], what: str, *, hint: str | None = None) -> QueryNotSupportedError:
        line, column = self.statement.place(self._offset(node))
        return QueryNotSupportedError(f"{what} is not answered here", line=line, column=column, hint=hint)

    def _over(self, node: dict[str, Any], what: str, limit: int) -> QueryError:
        line, column = self.statement.place(self._offset(node))
        return QueryError(f"{what}, over the limit of {limit}", line=line, column=column)


def _from_items(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The FROM items directly under *node*."""
    if node.get("from_table"):
        yield node["from_table"]
    if node.get("type") == "JOIN" and "class" not in node:
        yield from (node["left"], node["right"])
    if node.get("type") == "PIVOT" and node.get("source"):
        yield node["source"]


def _spoken(node_type: str) -> str:
    return node_type.replace("_QUERY_NODE", "").replace("_NODE", "").replace("_", " ")
