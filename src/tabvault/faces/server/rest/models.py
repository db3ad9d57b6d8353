"""
What a request may hold.

Strict: a member that is not named here, a value of another type, a member that stands twice are errors that name their
place. Passwords are ``SecretStr``: they show in no error, log or traceback.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from tabvault.jobs.access.passwords import PASSWORD_LENGTH_MAX
from tabvault.jobs.database_name import NAME_CHAR_COUNT_MAX
from tabvault.jobs.landing import ReadWriteMode, Security  # noqa: TC001 - pydantic looks at annotations
from tabvault.jobs.processing.request import PARALLELISM_DEFAULT, PARALLELISM_MAX, RefreshKind
from tabvault.jobs.runner.exclusion import JobKind  # noqa: TC001 - likewise
from tabvault.storage.names import NAME_CHARACTER_COUNT_MAX
from tabvault.storage.server_state.job import JobState  # noqa: TC001 - likewise
from tabvault.storage.server_state.source_limits import ROW_COUNT_LIMIT

QUERY_CHARACTER_COUNT_MAX: Final = 256 * 1024
TIMEOUT_S_MAX: Final = 86_400
TIMEOUT_S: Final = 600.0
"""How long a question may take that does not say."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")


class Body(BaseModel):
    """A JSON object in a request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Parameters(BaseModel):
    """What may stand behind the question mark."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _flag(text: Any) -> Any:
    return {"true": True, "false": False}.get(text, text if isinstance(text, bool) else "neither true nor false")


def _integer(text: Any) -> Any:
    return text if isinstance(text, int) or _INTEGER.fullmatch(text) else "not an integer"


Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_integer)]

DatabaseName = Annotated[str, Field(min_length=1, max_length=NAME_CHAR_COUNT_MAX, description="Name of the database.")]
FileName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=NAME_CHARACTER_COUNT_MAX,
        description="Name in the backup storage, folders allowed: `sales/monday.abf`.",
    ),
]
FilePassword = Annotated[
    SecretStr | None, Field(max_length=PASSWORD_LENGTH_MAX, description="Of the file, where it is encrypted.")
]
Password = Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX)]
ObjectName = Annotated[str, Field(min_length=1, max_length=512)]
Folder = Annotated[str, Field(min_length=1, max_length=4096, description="Absolute path on the server.")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class NoParameters(Parameters):
    """Nothing."""


# ---- databases and jobs


class QueryRequest(Body):
    """One question: exactly one of `sql`, `dmv` and `dax`."""

    sql: str | None = Field(
        None,
        max_length=QUERY_CHARACTER_COUNT_MAX,
        description="A SELECT over the tables. One that names `$SYSTEM` is taken as a `dmv`.",
    )
    dmv: str | None = Field(
        None, max_length=QUERY_CHARACTER_COUNT_MAX, description="`SELECT ... FROM $SYSTEM.<rowset>`"
    )
    dax: str | None = Field(None, max_length=QUERY_CHARACTER_COUNT_MAX, description="`EVALUATE 'Table'`")
    timeout_s: float = Field(
        TIMEOUT_S, gt=0, le=TIMEOUT_S_MAX, allow_inf_nan=False, description="End it with an error after that."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if sum(text is not None for text in (self.sql, self.dmv, self.dax)) != 1:
            raise ValueError("exactly one of sql, dmv and dax is needed")
        return self


class BackupRequest(Body):
    """A backup of a database."""

    file: FileName | None = Field(None, description="Name in the backup storage; the database's with `.abf` if null.")
    overwrite: bool = Field(False, description="Replace a file of that name.")
    compress: bool = True
    password: FilePassword = Field(None, description="Encrypt with it (age format).")


class RestoreRequest(Body):
    """A restore of a file, over a database or as a new one."""

    file: FileName
    overwrite: bool = Field(False, description="Replace the database of that name.")
    password: FilePassword = None
    security: Security = "copyAll"
    read_write_mode: ReadWriteMode = "readWrite"
    force: bool = Field(False, description="Taken for compatibility, and without effect.")
    ignore_incompatibilities: bool = False


class NamingRestoreRequest(RestoreRequest):
    """A restore of a file under any name."""

    database: DatabaseName | None = Field(None, description="Its name; the one in the file if null.")


class CreationRequest(Body):
    """A new database: the `database` object of TMSL, as a `model.bim` has it."""

    name: DatabaseName
    compatibility_level: int | None = Field(
        None, alias="compatibilityLevel", ge=1, le=1_000_000, description="That of new databases if null."
    )
    model: dict[str, Any] = Field(description="The `model` object of TMSL.")


class CreationParameters(Parameters):
    """How a database is made."""

    overwrite: Flag = Field(False, description="Replace the database of that name.")


class NoOptions(Body):
    """There is nothing to say: an empty object."""


class RefreshObject(Body):
    """A table, or one of its partitions."""

    table: ObjectName
    partition: ObjectName | None = None


_SPELLINGS: Final = {
    "Type": "type",
    "CommitMode": "commit_mode",
    "commitMode": "commit_mode",
    "MaxParallelism": "max_parallelism",
    "maxParallelism": "max_parallelism",
    "RetryCount": "retry_count",
    "retryCount": "retry_count",
    "Objects": "objects",
}
"""Members as the asynchronous refresh of Azure Analysis Services spells them."""


def _show_spellings(schema: dict[str, Any]) -> None:
    members = schema["properties"]
    members.update({spelling: members[name] for spelling, name in _SPELLINGS.items()})


def _refresh_word(word: Any) -> Any:
    """A type or a commit mode, in any case of letters."""
    if isinstance(word, str):
        return next((known for known in _REFRESH_WORDS if known.lower() == word.lower()), word)
    return word


_REFRESH_WORDS: Final = (*RefreshKind, "transactional", "partialBatch")


class RefreshBody(Body):
    """A refresh; members may also be spelled as Azure Analysis Services does (`Type`, `MaxParallelism`, ...)."""

    model_config = ConfigDict(json_schema_extra=_show_spellings)

    type: Annotated[RefreshKind, BeforeValidator(_refresh_word)] = RefreshKind.AUTOMATIC
    commit_mode: Annotated[Literal["transactional", "partialBatch"], BeforeValidator(_refresh_word)] = Field(
        "transactional", description="`partialBatch` is refused: a refresh is done as a whole, or not."
    )
    max_parallelism: int = Field(
        PARALLELISM_DEFAULT, ge=1, le=PARALLELISM_MAX, description="Partitions that are read at a time."
    )
    retry_count: int = Field(0, ge=0, le=10, description="How often to try again where a source cannot be reached.")
    objects: Annotated[list[RefreshObject], Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="Tables and partitions; the whole database if null."
    )
    keep_calculated: bool = Field(
        False, description="Calculated columns and tables keep their values, which may be out of date then."
    )

    @model_validator(mode="before")
    @classmethod
    def _spelled_as_ours(cls, members: Any) -> Any:
        if not isinstance(members, dict):
            return members
        ours = {_SPELLINGS.get(name, name): value for name, value in members.items()}
        if len(ours) != len(members):
            raise ValueError("a member is there in two spellings")
        return ours


class CredentialRequest(Body):
    """A credential of a data source."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        None, description="The one that the model names if null."
    )
    password: Password


class FolderRequest(Body):
    """A folder of the server."""

    folder: Folder


class SourceLimitsRequest(Body):
    """How much queries may have of data sources."""

    direct_query_row_count_max: Annotated[int, Field(ge=1, le=ROW_COUNT_LIMIT)]


class FolderParameters(Parameters):
    """Which folder."""

    folder: Folder


class FileRequest(Body):
    """A file of the backup storage, to look into or to verify."""

    file: FileName
    password: FilePassword = None


class JobsParameters(Parameters):
    """Which jobs."""

    database: str | None = Field(None, description="Only of this database; case does not matter.")
    kind: JobKind | None = Field(None, description="Only of this kind.")
    state: JobState | None = Field(None, description="Only in this state.")
    limit: Count = Field(100, ge=1, le=1000, description="So many at most.")
    before: str | None = Field(None, description="Only those asked for before the job of this id.")


class TaskJobsParameters(Parameters):
    """Which jobs of one kind on one database."""

    state: JobState | None = Field(None, description="Only in this state.")
    limit: Count = Field(100, ge=1, le=1000, description="So many at most.")
    before: str | None = Field(None, description="Only those asked for before the job of this id.")


# ---- files


class FilesParameters(Parameters):
    """Which files."""

    prefix: str = Field("", max_length=NAME_CHARACTER_COUNT_MAX, description="What their names begin with.")
    folder: str | None = Field(
        None,
        max_length=NAME_CHARACTER_COUNT_MAX,
        description="Only what is in this folder, its folders first; `/` is the container.",
    )
    details: Flag = Field(False, description="What each file is, and which database is in it.")
    after: str = Field("", max_length=NAME_CHARACTER_COUNT_MAX, description="Only what comes behind this name.")
    limit: Count = Field(1000, ge=1, le=10_000, description="So many at most.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.folder is not None and self.prefix:
            raise ValueError("a folder and a prefix exclude each other")
        return self


class UploadParameters(Parameters):
    """How a file is put."""

    overwrite: Flag = Field(False, description="Replace a file of that name.")
