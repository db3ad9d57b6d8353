"""Where databases get their rows from: their sources, the credentials of these, and what may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.faces.server.rest import answers
from tabvault.faces.server.rest.action import Answer, Call

if TYPE_CHECKING:
    from tabvault.faces.server.rest.models import (
        CredentialRequest,
        FolderParameters,
        FolderRequest,
        NoOptions,
        NoParameters,
        SourceLimitsRequest,
    )


def data_sources(call: Call[None, NoParameters]) -> Answer:
    """List the data sources of a database, without their credentials. For its administrators."""
    found = call.service.operations.sources.list(call.caller, call.path["name"])
    return Answer(answers.DataSources(data_sources=[answers.DataSource.model_validate(one) for one in found]))


def set_credential(call: Call[CredentialRequest, NoParameters]) -> Answer:
    """
    Give a data source of a database its credential. For the administrators of the database.

    It is used for the address that the model says now, and for no other, and is not shown again.
    """
    call.service.operations.sources.set_credential(
        call.caller,
        call.path["name"],
        call.path["source"],
        user=call.body.user,
        password=call.body.password.get_secret_value(),
    )
    return Answer()


def remove_credential(call: Call[None, NoParameters]) -> Answer:
    """Remove the credential of a data source of a database. For the administrators of the database."""
    call.service.operations.sources.remove_credential(call.caller, call.path["name"], call.path["source"])
    return Answer()


def test(call: Call[NoOptions, NoParameters]) -> Answer:
    """Connect to a data source of a database, and ask it for nothing. For the administrators of the database."""
    call.service.operations.sources.test(call.caller, call.path["name"], call.path["source"])
    return Answer()


def limits(call: Call[None, NoParameters]) -> Answer:
    """Show how much queries may have of data sources. For server administrators."""
    sources = call.service.operations.sources
    return Answer(answers.SourceLimits(direct_query_row_count_max=sources.row_count_max(call.caller)))


def set_limits(call: Call[SourceLimitsRequest, NoParameters]) -> Answer:
    """Set how much queries may have of data sources, from the next query on. For server administrators."""
    row_count_max = call.body.direct_query_row_count_max
    call.service.operations.sources.set_row_count_max(call.caller, row_count_max)
    return Answer(answers.SourceLimits(direct_query_row_count_max=row_count_max))


def folders(call: Call[None, NoParameters]) -> Answer:
    """List the folders of the server whose files may be read. For server administrators."""
    return Answer(_folders(call))


def allow_folder(call: Call[FolderRequest, NoParameters]) -> Answer:
    """Allow the files below a folder of the server to be read. For server administrators."""
    call.service.operations.sources.allow_folder(call.caller, call.body.folder)
    return Answer(_folders(call))


def disallow_folder(call: Call[None, FolderParameters]) -> Answer:
    """Allow a folder no more. For server administrators."""
    call.service.operations.sources.disallow_folder(call.caller, call.query.folder)
    return Answer(_folders(call))


def _folders(
    call: Call[None, NoParameters] | Call[FolderRequest, NoParameters] | Call[None, FolderParameters],
) -> answers.SourceFolders:
    return answers.SourceFolders(
        folders=[str(folder) for folder in call.service.operations.sources.folders(call.caller)]
    )
