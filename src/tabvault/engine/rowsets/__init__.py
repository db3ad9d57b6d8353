"""The schema rowsets of a database (dynamic management views): what they hold, and SELECT over them."""

from tabvault.engine.rowsets.query import is_rowset_query, query_rowset
from tabvault.engine.rowsets.source import CatalogEntry, RowsetSource

__all__ = ["CatalogEntry", "RowsetSource", "is_rowset_query", "query_rowset"]
