"""What each operation of the table does and answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from tabvault.faces.server.body import drop_body, read_body
from tabvault.faces.server.json_body import parse_json
from tabvault.faces.server.management.models import NameContent, ServerContent, UpdateContent
from tabvault.faces.server.management.refusals import ManagementError
from tabvault.faces.server.management.resource import (
    DEFAULT_GROUP,
    PROVIDER,
    RESOURCE_TYPE,
    SERVER_NAME,
    existing_skus,
    new_skus,
    resource_document,
    resource_name,
)
from tabvault.faces.server.management.routes import TABLE
from tabvault.faces.server.pausing import PAUSE_TIMEOUT_S
from tabvault.faces.server.turns import run_at_once
from tabvault.jobs.access.authorization import require_server_administrator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from tabvault.faces.server.json_body import ModelT
    from tabvault.faces.server.management.operations import ManagementOperation, ManagementOperations
    from tabvault.faces.server.service import Service
    from tabvault.jobs.operations.caller import Caller

BODY_BYTE_COUNT_MAX: Final = 1 << 20
"""A thousand rules of the firewall have some hundred kilobytes."""

ENDED_WITHIN_S: Final = 2.0
"""An operation that ends within this time is answered at once, and nobody has to ask for it again."""

RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class ManagementCall:
    """
    One request of a server administrator.

    Attributes:
        service: the server.
        operations: of the server.
        caller: who asks.
        request: as it came.
        values: of the variables in its path.
        api_version: which he asked for.
    """

    service: Service
    operations: ManagementOperations
    caller: Caller
    request: Request
    values: Mapping[str, str]
    api_version: str

    async def answer(self, operation_id: str) -> Response:
        """
        Do the operation of the specification that has this id.

        Raises:
            TabvaultError, ManagementError: it is refused.
        """
        require_server_administrator(self.caller.principal, "manage the server")
        if "server" in self.values and operation_id != "Servers_Create":
            self._require_own_name()
        return await _ANSWERS[operation_id](self)

    # ---- what is

    async def list_servers(self) -> Response:
        """Every server there is: this one."""
        await self._no_body()
        return JSONResponse({"value": [await self._document()]})

    async def details(self) -> Response:
        """The server."""
        await self._no_body()
        return JSONResponse(await self._document())

    async def existence(self) -> Response:
        """Whether there is such a server; else 404."""
        return Response(status_code=204)

    async def skus_for_new(self) -> Response:
        """The sizes."""
        await self._no_body()
        return JSONResponse(new_skus())

    async def skus_for_existing(self) -> Response:
        """The sizes, in the form for a server that is there."""
        await self._no_body()
        return JSONResponse(existing_skus())

    async def check_name(self) -> Response:
        """Whether a server of that name could be created: never, and why."""
        content = await self._body(NameContent)
        if content.type.lower() != RESOURCE_TYPE.lower():
            raise ManagementError(400, "InvalidResourceType", f"There are no resources but {RESOURCE_TYPE}.")
        if not SERVER_NAME.fullmatch(content.name):
            reason = "Invalid", "A name has 3 to 63 characters of a-z and 0-9, and begins with a letter."
        elif content.name == self._own_name:
            reason = "AlreadyExists", "This server has that name."
        else:
            reason = "Unavailable", f"This is one server, {self._own_name}: no other can be created."
        return JSONResponse({"nameAvailable": False, "reason": reason[0], "message": reason[1]})

    async def provider_operations(self) -> Response:
        """What can be done."""
        await self._no_body()
        names = [(name, *name.split("_")) for _, _, name in TABLE]
        return JSONResponse(
            {
                "value": [
                    {
                        "name": f"{PROVIDER}/{resource}/{operation}",
                        "display": {"provider": PROVIDER, "resource": resource, "operation": operation},
                    }
                    for _, resource, operation in names
                ]
            }
        )

    # ---- changes

    async def create(self) -> Response:
        """Change this server: it is the only one that there can be."""
        content = await self._body(ServerContent)
        if not self._is_own_name:
            raise ManagementError(
                409,
                "OperationNotAllowed",
                f"This is one server, {self._own_name}: no other can be created, and it cannot be renamed here.",
            )
        return await self._changed(content)

    async def update(self) -> Response:
        """Change this server."""
        return await self._changed(await self._body(UpdateContent))

    async def delete(self) -> Response:
        """Refused: a server does not remove the databases that it was entrusted with."""
        await self._no_body()
        raise ManagementError(
            409,
            "OperationNotAllowed",
            "This server cannot be deleted over the management interface. Suspend it here, or end its process; its "
            "databases are removed with its data folder.",
        )

    async def suspend(self) -> Response:
        """Pause the server."""
        await self._no_body()
        return await self._begun("Pausing", lambda: self.service.management.suspend(self.caller, PAUSE_TIMEOUT_S))

    async def resume(self) -> Response:
        """Let the server work again."""
        await self._no_body()
        return await self._begun("Resuming", lambda: self.service.management.resume(self.caller))

    # ---- gateways, of which there are none

    async def gateway_status(self) -> Response:
        """Refused: there is no gateway."""
        await self._no_body()
        raise ManagementError(
            404, "GatewayNotAssociated", "This server has no gateway: it reaches its data sources by itself."
        )

    async def dissociate_gateway(self) -> Response:
        """There is no gateway, as is wanted."""
        await self._no_body()
        return Response(status_code=200)

    # ---- operations that take their time

    async def operation_result(self) -> Response:
        """The server, when the operation has ended."""
        await self._no_body()
        operation = self._operation()
        if operation.ended is None:
            return Response(status_code=202, headers=self._polling(operation, self.values["location"]))
        if operation.error is not None:
            return operation.error.response()
        return JSONResponse(await self._document(operation.group))

    async def operation_status(self) -> Response:
        """How far the operation is."""
        await self._no_body()
        operation = self._operation()
        is_running = operation.ended is None
        headers = {"Retry-After": str(RETRY_AFTER_S)} if is_running else None
        return JSONResponse(operation.document(self.request.url.path), 202 if is_running else 200, headers)

    def _operation(self) -> ManagementOperation:
        operation = self.operations.find(self.values["operation"])
        if operation is None:
            raise ManagementError(
                404, "OperationNotFound", "There is no operation of that id, or the server has started again since."
            )
        return operation

    async def _changed(self, content: UpdateContent) -> Response:
        change = content.change()
        management = self.service.management
        # What is wrong in the request is told at once, and not by an operation that fails.
        await run_in_threadpool(management.check, self.caller, change)
        return await self._begun("Updating", lambda: management.update(self.caller, change))

    async def _begun(self, state: str, work: Callable[[], object]) -> Response:
        operation = self.operations.begin(self.values["group"], state, work)
        await run_at_once(partial(operation.done.wait, ENDED_WITHIN_S))
        if operation.ended is None:
            document = await self._document(doing=state)
            return JSONResponse(document, 202, self._polling(operation, document["location"]))
        if operation.error is not None:
            return operation.error.response()
        return JSONResponse(await self._document())

    def _polling(self, operation: ManagementOperation, location: str) -> dict[str, str]:
        """Where the operation can be asked for."""
        subscription = quote(self.values["subscription"], safe="")
        base = f"{self._address}/subscriptions/{subscription}/providers/{PROVIDER}/locations/{quote(location, safe='')}"
        query = f"api-version={self.api_version}"
        return {
            "Azure-AsyncOperation": f"{base}/operationstatuses/{operation.id}?{query}",
            "Location": f"{base}/operationresults/{operation.id}?{query}",
            "Retry-After": str(RETRY_AFTER_S),
        }

    # ---- the request

    @property
    def _address(self) -> str:
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @property
    def _own_name(self) -> str:
        return resource_name(self.service.name)

    @property
    def _is_own_name(self) -> bool:
        return self.values["server"].lower() in {self._own_name, self.service.name.lower()}

    def _require_own_name(self) -> None:
        if not self._is_own_name:
            raise ManagementError(
                404,
                "ResourceNotFound",
                f"There is no {RESOURCE_TYPE} {self.values['server']!r:.80}: this server is {self._own_name}.",
            )

    async def _document(self, group: str | None = None, *, doing: str | None = None) -> dict[str, Any]:
        server = await run_in_threadpool(self.service.management.show, self.caller)
        return resource_document(
            server,
            name=self._own_name,
            subscription=self.values["subscription"],
            group=group or self.values.get("group", DEFAULT_GROUP),
            address=self._address,
            doing=doing or self.operations.doing,
        )

    async def _no_body(self) -> None:
        await drop_body(self.request, BODY_BYTE_COUNT_MAX)

    async def _body(self, model: type[ModelT]) -> ModelT:
        media_type = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise ManagementError(
                415, "UnsupportedMediaType", f"The content type is {media_type[:100]!r}, not application/json."
            )
        return await run_in_threadpool(parse_json, model, await read_body(self.request, BODY_BYTE_COUNT_MAX))


_ANSWERS: Final[Mapping[str, Callable[[ManagementCall], Awaitable[Response]]]] = {
    "Operations_List": ManagementCall.provider_operations,
    "Servers_List": ManagementCall.list_servers,
    "Servers_ListByResourceGroup": ManagementCall.list_servers,
    "Servers_GetDetails": ManagementCall.details,
    "Servers_CheckExistence": ManagementCall.existence,
    "Servers_Create": ManagementCall.create,
    "Servers_Update": ManagementCall.update,
    "Servers_Delete": ManagementCall.delete,
    "Servers_Suspend": ManagementCall.suspend,
    "Servers_Resume": ManagementCall.resume,
    "Servers_ListGatewayStatus": ManagementCall.gateway_status,
    "Servers_DissociateGateway": ManagementCall.dissociate_gateway,
    "Servers_ListSkusForExisting": ManagementCall.skus_for_existing,
    "Servers_ListSkusForNew": ManagementCall.skus_for_new,
    "Servers_CheckNameAvailability": ManagementCall.check_name,
    "Servers_ListOperationResults": ManagementCall.operation_result,
    "Servers_ListOperationStatuses": ManagementCall.operation_status,
}
