"""
Everything that can be asked over REST: one table. The routes are made from it, and the OpenAPI document.

What is a job (backup, restore, verification, drop) is answered 202, with the job and where it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Mount, Route, Router

from tabvault.faces.server.rest import (
    administration,
    aliases,
    answers,
    backup_storage,
    data_sources,
    databases,
    files,
    jobs,
    models,
    queries,
    refreshes,
    storage_answers,
    storage_models,
    storage_transfers,
)
from tabvault.faces.server.rest.action import Action, Content
from tabvault.faces.server.rest.endpoint import endpoint, instance_of
from tabvault.faces.server.rest.openapi import openapi_document
from tabvault.faces.server.rest.problems import HttpError, problem_response
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pydantic import BaseModel
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

    from tabvault.faces.server.rest.action import Call, Handler, Method

PREFIX: Final = "/api"

_LOCATION: Final = {"Location": "Where it is."}
_MODEL_BYTE_COUNT_MAX: Final = 64 << 20
"""A model of ten thousand measures has some millions of bytes."""
_OCTETS: Final = Content((files.OCTETS,))
_PARTIAL: Final = Content((storage_transfers.PARTIAL, files.OCTETS))
_FILE_HEADERS: Final = {
    "ETag": "Changes with the content.",
    "Last-Modified": "When it was written.",
    "Accept-Ranges": "`bytes`",
}


def openapi(_call: Call[Any, Any]) -> Response:
    """Show what can be asked: this document."""
    return JSONResponse(_document())


def _task(method: Method, path: str, handler: Handler, body: type[BaseModel] | None = None, *refusals: int) -> Action:
    """What makes a job."""
    return Action(
        method, path, handler, body, answer=answers.Job, status=202, headers=_LOCATION, refusals=(409, *refusals)
    )


def _task_actions(kind: JobKind, plural: str) -> list[Action]:
    """What can be asked of the jobs of one kind on one database."""
    path = f"/databases/{{name}}/{plural}"
    return [
        Action("GET", path, jobs.jobs_of(kind), query=models.TaskJobsParameters, answer=answers.Jobs),
        Action("GET", f"{path}/{{id}}", jobs.job_of(kind), answer=answers.Job),
        Action("DELETE", f"{path}/{{id}}", jobs.cancel_of(kind), answer=answers.Job),
    ]


ACTIONS: Final[tuple[Action, ...]] = (
    Action("GET", "/openapi.json", openapi, answer=Content(("application/json",))),
    Action("GET", "/server", databases.server, answer=answers.Server),
    # databases
    Action("GET", "/databases", databases.databases, answer=answers.Databases),
    Action(
        "POST",
        "/databases",
        databases.create,
        body=models.CreationRequest,
        query=models.CreationParameters,
        answer=answers.Job,
        status=202,
        headers=_LOCATION,
        refusals=(409, 422),
        body_byte_count_max=_MODEL_BYTE_COUNT_MAX,
    ),
    Action("GET", "/databases/{name}", databases.database, answer=answers.Database),
    _task("DELETE", "/databases/{name}", databases.drop),
    Action("GET", "/databases/{name}/model", databases.model, answer=Content(("application/json",))),
    Action(
        "POST",
        "/databases/{name}/query",
        queries.query,
        body=models.QueryRequest,
        answer=Content(queries.MEDIA_TYPES),
        refusals=(406, 422),
    ),
    _task("POST", "/databases/{name}/backups", jobs.back_up, models.BackupRequest),
    *_task_actions(JobKind.BACKUP, "backups"),
    _task("POST", "/databases/{name}/restores", jobs.restore_as, models.RestoreRequest),
    *_task_actions(JobKind.RESTORE, "restores"),
    _task("POST", "/databases/{name}/verifications", jobs.verify_database, models.NoOptions),
    *_task_actions(JobKind.VERIFY, "verifications"),
    Action(
        "POST",
        "/databases/{name}/refreshes",
        refreshes.refresh,
        body=models.RefreshBody,
        answer=answers.Refresh,
        status=202,
        headers=_LOCATION,
        refusals=(409, 501),
    ),
    Action(
        "GET",
        "/databases/{name}/refreshes",
        refreshes.refreshes,
        query=models.TaskJobsParameters,
        answer=answers.Refreshes,
    ),
    Action("GET", "/databases/{name}/refreshes/{id}", refreshes.refresh_of, answer=answers.Refresh),
    Action("DELETE", "/databases/{name}/refreshes/{id}", refreshes.cancel, answer=answers.Refresh),
    # data sources
    Action("GET", "/databases/{name}/datasources", data_sources.data_sources, answer=answers.DataSources),
    Action(
        "PUT",
        "/databases/{name}/datasources/{source}/credential",
        data_sources.set_credential,
        body=models.CredentialRequest,
        status=204,
    ),
    Action(
        "DELETE",
        "/databases/{name}/datasources/{source}/credential",
        data_sources.remove_credential,
        status=204,
    ),
    Action(
        "POST",
        "/databases/{name}/datasources/{source}/test",
        data_sources.test,
        body=models.NoOptions,
        status=204,
        refusals=(409, 422, 501),
    ),
    Action("GET", "/source-folders", data_sources.folders, answer=answers.SourceFolders),
    Action(
        "POST",
        "/source-folders",
        data_sources.allow_folder,
        body=models.FolderRequest,
        answer=answers.SourceFolders,
    ),
    Action(
        "DELETE",
        "/source-folders",
        data_sources.disallow_folder,
        query=models.FolderParameters,
        answer=answers.SourceFolders,
    ),
    # files
    Action("GET", "/files", files.files, query=models.FilesParameters, answer=answers.Files, is_transfer=True),
    Action(
        "GET",
        "/files/{path}",
        files.get,
        answer=_OCTETS,
        headers=_FILE_HEADERS,
        refusals=(412, 416),
        is_transfer=True,
    ),
    Action(
        "PUT",
        "/files/{path}",
        files.put,
        body=_OCTETS,
        query=models.UploadParameters,
        answer=answers.File,
        status=201,
        headers=_LOCATION,
        refusals=(409, 412, 422, 507),
        is_transfer=True,
    ),
    Action("DELETE", "/files/{path}", files.remove, status=204, refusals=(412,), is_transfer=True),
    _task("POST", "/restores", jobs.restore, models.NamingRestoreRequest, 404, 422),
    _task("POST", "/verifications", jobs.verify_file, models.FileRequest),
    Action(
        "POST",
        "/inspections",
        files.inspect,
        body=models.FileRequest,
        answer=answers.Inspected,
        refusals=(404, 422),
        asks_storage=True,
    ),
    # jobs
    Action("GET", "/jobs", jobs.jobs, query=models.JobsParameters, answer=answers.Jobs, refusals=(404,)),
    Action("GET", "/jobs/{id}", jobs.job, answer=answers.Job),
    Action("DELETE", "/jobs/{id}", jobs.cancel, answer=answers.Job),
    # administration
    Action("GET", "/audit", administration.audit, query=models.AuditParameters, answer=answers.AuditLines),
    Action("GET", "/storage", backup_storage.storage, answer=storage_answers.Storage),
    Action(
        "PUT",
        "/storage",
        backup_storage.configure_storage,
        body=storage_models.StorageRequest,
        answer=storage_answers.SavedStorage,
        refusals=(409, 507),
        asks_storage=True,
    ),
    Action("GET", "/storage/accounts", backup_storage.accounts, answer=storage_answers.StorageAccounts),
    Action(
        "POST",
        "/storage/accounts",
        backup_storage.add_account,
        body=storage_models.StorageAccountRequest,
        answer=storage_answers.StorageAccount,
        status=201,
        headers=_LOCATION,
        refusals=(409,),
        asks_storage=True,
    ),
    Action(
        "DELETE",
        "/storage/accounts/{name}",
        backup_storage.remove_account,
        status=204,
        refusals=(409,),
        asks_storage=True,
    ),
    Action(
        "GET",
        "/storage/accounts/{name}/containers",
        backup_storage.containers,
        query=storage_models.ContainersParameters,
        answer=storage_answers.StorageContainers,
        refusals=(409,),
        asks_storage=True,
    ),
    Action(
        "POST",
        "/storage/accounts/{name}/containers",
        backup_storage.create_container,
        body=storage_models.ContainerRequest,
        answer=storage_answers.StorageContainer,
        status=201,
        refusals=(409, 507),
        asks_storage=True,
    ),
    Action("GET", "/storage/network", storage_transfers.network, answer=answers.StorageNetwork),
    Action(
        "PUT",
        "/storage/network",
        storage_transfers.set_network,
        body=models.NetworkRequest,
        answer=answers.StorageNetwork,
    ),
    Action(
        "POST",
        "/storage/check",
        backup_storage.check_storage,
        body=models.NoOptions,
        answer=storage_answers.StorageCheck,
        refusals=(409,),
        asks_storage=True,
    ),
    Action("GET", "/users", administration.users, answer=answers.Users),
    Action(
        "POST",
        "/users",
        administration.create_user,
        body=models.UserRequest,
        answer=answers.User,
        status=201,
        headers=_LOCATION,
        refusals=(409,),
    ),
    Action(
        "PATCH",
        "/users/{name}",
        administration.change_user,
        body=models.UserChangeRequest,
        answer=answers.User,
        refusals=(409,),
    ),
    Action("DELETE", "/users/{name}", administration.remove_user, status=204, refusals=(409,)),
    Action("PUT", "/users/{name}/password", administration.set_password, body=models.PasswordRequest, status=204),
    Action("GET", "/keys", administration.keys, query=models.UsersKeysParameters, answer=answers.Keys),
    Action(
        "POST",
        "/keys",
        administration.create_key,
        body=models.KeyRequest,
        answer=answers.NewKey,
        status=201,
        headers=_LOCATION,
        refusals=(404, 409),
    ),
    Action("DELETE", "/keys/{id}", administration.revoke_key, status=204),
    Action("GET", "/firewall", administration.firewall, answer=answers.Firewall),
    Action("PUT", "/firewall", administration.replace_firewall, body=models.FirewallRequest, answer=answers.Firewall),
    Action("PUT", "/firewall/rules/{name}", administration.put_rule, body=models.RuleRequest, answer=answers.Firewall),
    Action("DELETE", "/firewall/rules/{name}", administration.remove_rule, status=204),
    Action("GET", "/aliases", aliases.aliases, answer=aliases.Aliases),
    Action("PUT", "/aliases/{name}", aliases.put, body=aliases.AliasRequest, answer=aliases.Aliases),
    Action("DELETE", "/aliases/{name}", aliases.remove, status=204),
    Action("GET", "/identity-providers", administration.providers, answer=answers.Providers),
    Action(
        "PUT",
        "/identity-providers",
        administration.set_providers,
        body=models.ProvidersRequest,
        answer=answers.Providers,
    ),
    # the container by its own name: behind every other path below /storage
    Action(
        "PUT",
        "/storage/{container}/{path}",
        storage_transfers.put,
        body=_OCTETS,
        answer=answers.File,
        status=201,
        headers={**_LOCATION, "ETag": "Changes with the content."},
        refusals=(409, 412, 422, 507),
        is_transfer=True,
    ),
    Action(
        "GET",
        "/storage/{container}/{path}",
        storage_transfers.get,
        answer=_OCTETS,
        headers=_FILE_HEADERS,
        refusals=(412, 416),
        is_transfer=True,
    ),
    Action(
        "DELETE",
        "/storage/{container}/{path}",
        storage_transfers.remove,
        status=204,
        refusals=(412,),
        is_transfer=True,
    ),
    Action(
        "POST",
        "/storage/{container}/{path}",
        storage_transfers.begin,
        answer=answers.Upload,
        status=201,
        headers={**_LOCATION, **storage_transfers.UPLOAD_HEADERS},
        refusals=(409, 412, 413, 507),
        is_transfer=True,
    ),
    Action("GET", "/uploads", storage_transfers.uploads, answer=answers.Uploads, is_transfer=True),
    Action(
        "GET",
        "/uploads/{id}",
        storage_transfers.upload,
        answer=answers.Upload,
        headers=storage_transfers.UPLOAD_HEADERS,
        is_transfer=True,
    ),
    Action(
        "PATCH",
        "/uploads/{id}",
        storage_transfers.append,
        body=_PARTIAL,
        answer=answers.Upload,
        headers=storage_transfers.UPLOAD_HEADERS,
        refusals=(409, 412, 422, 507),
        is_transfer=True,
    ),
    Action("DELETE", "/uploads/{id}", storage_transfers.cancel, status=204, refusals=(409,), is_transfer=True),
)


@cache
def _document() -> dict[str, Any]:
    return openapi_document(PREFIX, ACTIONS)


def rest_routes() -> list[Mount]:
    """The routes of the REST interface, for the application."""
    return [_RawMount(PREFIX, app=RestInterface(ACTIONS))]


class _RawMount(Mount):
    """Goes on with the path as it was sent: ``%2F`` is part of a name there, and decoded it would end the name."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is below the prefix."""
        if scope["type"] != "http" or not scope.get("raw_path"):
            return super().matches(scope)
        path = scope["raw_path"].decode("ascii", errors="replace")
        match, inner = super().matches({**scope, "path": path})
        return match, {**inner, "path": path} if match is Match.FULL else inner


class RestInterface:
    """
    The application below ``/api``.

    Every answer gets the headers that keep browsers from storing it and from making something else of it.
    """

    _HEADERS: Final = (
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"no-referrer"),
    )

    def __init__(self, actions: Sequence[Action]) -> None:
        by_path: dict[str, dict[str, Action]] = {}
        for action in actions:
            by_path.setdefault(action.path, {})[action.method] = action
        routes = [
            Route(
                path.replace("{path}", "{path:path}"), endpoint(f"{PREFIX}{path}", by_method), methods=list(by_method)
            )
            for path, by_method in by_path.items()
        ]
        self._router = Router(routes, redirect_slashes=False, default=_nothing_here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._HEADERS]
            await send(message)

        try:
            await self._router(scope, receive, send_with_headers)
        except HTTPException as error:
            method = str(scope.get("method"))
            refused = HttpError(error.status_code, f"{method} is not done here", headers=error.headers)
            request = Request(scope, receive)
            await problem_response(refused, instance_of(request))(scope, receive, send_with_headers)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    instance = instance_of(Request(scope, receive))
    error = HttpError(404, "there is nothing at this path", hint="/api/openapi.json lists what there is")
    await problem_response(error, instance)(scope, receive, send)
