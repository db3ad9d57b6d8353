"""
Everything that can be asked over REST: one table, from which :mod:`.routes` are made and the OpenAPI document.

What is a job (backup, restore, verification, drop) is answered 202, with the job and where it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

from tabvault.faces.server.rest import (
    access_answers,
    access_models,
    administration,
    aliases,
    answers,
    data_sources,
    databases,
    file_answers,
    files,
    job_answers,
    jobs,
    models,
    queries,
    refreshes,
)
from tabvault.faces.server.rest.action import LOCATION, Action, Content
from tabvault.faces.server.rest.openapi import openapi_document
from tabvault.faces.server.rest.storage_actions import STORAGE_ACTIONS
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from typing import Any

    from pydantic import BaseModel
    from starlette.responses import Response

    from tabvault.faces.server.rest.action import Call, Handler, Method

PREFIX: Final = "/api"

_MODEL_BYTE_COUNT_MAX: Final = 64 << 20
"""A model of ten thousand measures has some millions of bytes."""


def openapi(_call: Call[Any, Any]) -> Response:
    """Show what can be asked: this document."""
    return JSONResponse(_document())


def _task(method: Method, path: str, handler: Handler, body: type[BaseModel] | None = None, *refusals: int) -> Action:
    """What makes a job."""
    return Action(
        method, path, handler, body, answer=job_answers.Job, status=202, headers=LOCATION, refusals=(409, *refusals)
    )


def _task_actions(kind: JobKind, plural: str) -> list[Action]:
    """What can be asked of the jobs of one kind on one database."""
    path = f"/databases/{{name}}/{plural}"
    return [
        Action("GET", path, jobs.jobs_of(kind), query=models.TaskJobsParameters, answer=job_answers.Jobs),
        Action("GET", f"{path}/{{id}}", jobs.job_of(kind), answer=job_answers.Job),
        Action("DELETE", f"{path}/{{id}}", jobs.cancel_of(kind), answer=job_answers.Job),
    ]


ACTIONS: Final[tuple[Action, ...]] = (
    Action("GET", "/openapi.json", openapi, answer=Content(("application/json",))),
    Action("GET", "/server", databases.server, answer=answers.Server),
    # databases
    Action("GET", "/databases", databases.databases, answer=answers.Databases),
    Action("GET", "/detached-databases", databases.detached, answer=answers.DetachedDatabases),
    Action(
        "POST",
        "/databases",
        databases.create,
        body=models.CreationRequest,
        query=models.CreationParameters,
        answer=job_answers.Job,
        status=202,
        headers=LOCATION,
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
        asks_rows=True,
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
        answer=job_answers.Refresh,
        status=202,
        headers=LOCATION,
        refusals=(409, 501),
    ),
    Action(
        "GET",
        "/databases/{name}/refreshes",
        refreshes.refreshes,
        query=models.TaskJobsParameters,
        answer=job_answers.Refreshes,
    ),
    Action("GET", "/databases/{name}/refreshes/{id}", refreshes.refresh_of, answer=job_answers.Refresh),
    Action("DELETE", "/databases/{name}/refreshes/{id}", refreshes.cancel, answer=job_answers.Refresh),
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
        asks_rows=True,
    ),
    Action("GET", "/source-limits", data_sources.limits, answer=answers.SourceLimits),
    Action(
        "PUT",
        "/source-limits",
        data_sources.set_limits,
        body=models.SourceLimitsRequest,
        answer=answers.SourceLimits,
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
    _task("POST", "/restores", jobs.restore, models.NamingRestoreRequest, 404, 422),
    _task("POST", "/verifications", jobs.verify_file, models.FileRequest),
    Action(
        "POST",
        "/inspections",
        files.inspect,
        body=models.FileRequest,
        answer=file_answers.Inspected,
        refusals=(404, 422),
        asks_storage=True,
    ),
    # jobs
    Action("GET", "/jobs", jobs.jobs, query=models.JobsParameters, answer=job_answers.Jobs, refusals=(404,)),
    Action("GET", "/jobs/{id}", jobs.job, answer=job_answers.Job),
    Action("DELETE", "/jobs/{id}", jobs.cancel, answer=job_answers.Job),
    # administration
    Action(
        "GET", "/audit", administration.audit, query=access_models.AuditParameters, answer=access_answers.AuditLines
    ),
    Action(
        "POST",
        "/audit/check",
        administration.check_audit,
        body=access_models.AuditCheckRequest,
        answer=access_answers.AuditCheck,
    ),
    Action("GET", "/users", administration.users, answer=access_answers.Users),
    Action(
        "POST",
        "/users",
        administration.create_user,
        body=access_models.UserRequest,
        answer=access_answers.User,
        status=201,
        headers=LOCATION,
        refusals=(409,),
    ),
    Action(
        "PATCH",
        "/users/{name}",
        administration.change_user,
        body=access_models.UserChangeRequest,
        answer=access_answers.User,
        refusals=(409,),
    ),
    Action("DELETE", "/users/{name}", administration.remove_user, status=204, refusals=(409,)),
    Action(
        "PUT", "/users/{name}/password", administration.set_password, body=access_models.PasswordRequest, status=204
    ),
    Action("GET", "/keys", administration.keys, query=access_models.UsersKeysParameters, answer=access_answers.Keys),
    Action(
        "POST",
        "/keys",
        administration.create_key,
        body=access_models.KeyRequest,
        answer=access_answers.NewKey,
        status=201,
        headers=LOCATION,
        refusals=(404, 409),
    ),
    Action("DELETE", "/keys/{id}", administration.revoke_key, status=204),
    Action("GET", "/firewall", administration.firewall, answer=access_answers.Firewall),
    Action(
        "PUT",
        "/firewall",
        administration.replace_firewall,
        body=access_models.FirewallRequest,
        answer=access_answers.Firewall,
    ),
    Action(
        "PUT",
        "/firewall/rules/{name}",
        administration.put_rule,
        body=access_models.RuleRequest,
        answer=access_answers.Firewall,
    ),
    Action("DELETE", "/firewall/rules/{name}", administration.remove_rule, status=204),
    Action("GET", "/aliases", aliases.aliases, answer=aliases.Aliases),
    Action("PUT", "/aliases/{name}", aliases.put, body=aliases.AliasRequest, answer=aliases.Aliases),
    Action("DELETE", "/aliases/{name}", aliases.remove, status=204),
    Action("GET", "/identity-providers", administration.providers, answer=access_answers.Providers),
    Action(
        "PUT",
        "/identity-providers",
        administration.set_providers,
        body=access_models.ProvidersRequest,
        answer=access_answers.Providers,
    ),
    *STORAGE_ACTIONS,
)


@cache
def _document() -> dict[str, Any]:
    return openapi_document(PREFIX, ACTIONS)
