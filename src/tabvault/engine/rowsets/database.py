"""
Rowsets that are read from one database: which one a request means, and whether the caller may read it.

A request names it in a restriction; without that it is the session's current one. A session that has none gets no rows,
because a list of cubes of no database is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tabvault.errors import NotAuthorizedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.engine.rowsets.definition import Rows, RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource

    Reader = Callable[[RowsetRequest], Rows]
    DatabaseReader = Callable[[RowsetRequest, RowsetSource], Rows]


def of_database(read: DatabaseReader, *, named_by: str = "CATALOG_NAME", for_administrators: bool = False) -> Reader:
    """
    A reader that opens the database of the request, and closes it when the rows are made.

    Args:
        read: makes the rows from the request and the opened database.
        named_by: the restriction that names the database.
        for_administrators: whether only its administrators get rows.

    The reader raises:
        DatabaseNotFoundError: there is no such database for the caller.
        NotAuthorizedError: he does not administer it.
    """

    def reader(request: RowsetRequest) -> Rows:
        context = request.context
        name = request.text(named_by) or context.catalog
        if not name:
            return ()
        with context.open_database(context.entry(name).name) as source:
            if for_administrators and not source.is_administrator:
                raise NotAuthorizedError(
                    f"rowset {request.rowset.name} is for administrators of database {source.database.name!r}, "
                    f"not for {context.user_name!r}"
                )
            rows = read(request, source)
            return rows if isinstance(rows, pa.Table) else tuple(rows)

    return reader
