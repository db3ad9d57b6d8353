"""What a row of the route table is, and what its handler is given and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar

from tabvault.faces.server.rest.models import NoParameters
from tabvault.faces.server.waiting_client import WaitingClient
from tabvault.jobs.operations.administration import Administration
from tabvault.jobs.operations.job_access import JobAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel
    from starlette.requests import Request

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.storage_turns import StorageTurns
    from tabvault.faces.server.turns import Turns
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.files import Files
    from tabvault.jobs.operations.transfers import Transfers

BODY_BYTE_COUNT_MAX: Final = 1 << 20
"""Far more than most requests need; the longest of them is a firewall with all its rules."""

LOCATION: Final = {"Location": "Where it is."}
"""The header of an answer about something new."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler: TypeAlias = "Callable[[Call[Any, Any]], Any]"
BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")


@dataclass(frozen=True)
class Call(Generic[BodyT, QueryT]):
    """
    One request, checked.

    Attributes:
        service: the server.
        caller: who asks.
        request: as it came.
        path: values of the path's variables, decoded.
        body: the body; None where the action has none.
        query: the parameters behind the question mark.
    """

    service: Service
    caller: Caller
    request: Request
    path: Mapping[str, str]
    body: BodyT
    query: QueryT

    @cached_property
    def client(self) -> WaitingClient:
        """Waits for the answer."""
        return WaitingClient()

    @cached_property
    def administration(self) -> Administration:
        """Of the server."""
        return Administration(self.service.vault, self.service.access, self.service.audit)

    @property
    def files(self) -> Files:
        """Of the backup container."""
        return self.service.files

    @property
    def transfers(self) -> Transfers:
        """Uploads into the backup container that may be cut off."""
        return self.service.transfers

    @property
    def storage_turns(self) -> StorageTurns:
        """Threads that may wait for the backup storage."""
        turns: StorageTurns = self.request.app.state.storage_turns
        return turns

    @property
    def question_turns(self) -> Turns:
        """Threads that may wait for rows."""
        turns: Turns = self.request.app.state.question_turns
        return turns

    @cached_property
    def jobs(self) -> JobAccess:
        """Of the server, as the caller may see them."""
        return JobAccess(self.service.operations, self.service.runner, self.service.audit)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives: what stands in the body (None for nothing), and headers."""

    content: BaseModel | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is not JSON: its media types, the first of which is the usual one."""

    media_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """
    One row: a method on a path.

    Attributes:
        method: of HTTP. GET answers HEAD as well.
        path: below ``/api``, variables in braces; ``{path}`` is the rest of the path, slashes and all.
        handler: does it, in a thread that may block; a coroutine function is awaited by the event loop instead. What it
            is and who may do it is in its docstring, which the OpenAPI document shows.
        body: what the body is: a model for JSON, bytes, or nothing.
        query: what may stand behind the question mark.
        answer: what a successful answer holds: a model for JSON, bytes, or nothing.
        status: of a successful answer.
        headers: of a successful answer, by name with what they say.
        refusals: statuses that this action may answer besides those that every one may.
        body_byte_count_max: how long a JSON body may be.
        is_transfer: whether it is about files of the backup storage: its network rules are asked first then.
        asks_storage: whether it may have to wait for the backup storage, as every transfer may.
        asks_rows: whether it may have to wait for rows, or for a data source.
    """

    method: Method
    path: str
    handler: Handler
    body: type[BaseModel] | Content | None = None
    query: type[BaseModel] = NoParameters
    answer: type[BaseModel] | Content | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()
    body_byte_count_max: int = BODY_BYTE_COUNT_MAX
    is_transfer: bool = False
    asks_storage: bool = False
    asks_rows: bool = False
