"""
The schema rowsets of a server and its databases: what they hold, Discover, and SELECT over them as over tables.

One definition serves both ways: :mod:`.definition` says what a rowset is, :mod:`.registry` which there are.
"""

from tabvault.engine.rowsets.discover import discover
from tabvault.engine.rowsets.query import is_rowset_query, query_rowset
from tabvault.engine.rowsets.source import (
    ENGINE_VERSION,
    CatalogEntry,
    ConnectionFacts,
    JobFacts,
    RowsetContext,
    RowsetSource,
    ServerFacts,
    SessionFacts,
    TraceFacts,
)
from tabvault.engine.rowsets.tmschema import root_name

__all__ = [
    "ENGINE_VERSION",
    "CatalogEntry",
    "ConnectionFacts",
    "JobFacts",
    "RowsetContext",
    "RowsetSource",
    "ServerFacts",
    "SessionFacts",
    "TraceFacts",
    "discover",
    "is_rowset_query",
    "query_rowset",
    "root_name",
]
