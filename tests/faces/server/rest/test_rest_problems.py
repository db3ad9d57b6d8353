"""Every error is a problem of one shape, on every route; and what a request may not be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from faces.server.servers import ADMINISTRATOR
from faces.server.services import STRANGER, local_server
from tabvault import errors
from tabvault.faces.server.rest.action import Content
from tabvault.faces.server.rest.action_table import ACTIONS, PREFIX
from tabvault.faces.server.rest.openapi import openapi_document
from tabvault.faces.server.rest.problems import HTTP_CODES, HttpError, problem_response, title_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from faces.server.services import LocalServer
    from tabvault.faces.server.rest.action import Action

DOCUMENT = openapi_document(PREFIX, ACTIONS)
PROBLEM = jsonschema.Draft202012Validator(DOCUMENT["components"]["schemas"]["Problem"])
SECRET = "a secret in the wrong place"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("problems"), shop="Hugoberry__abc.pbix") as running:
        yield running


def every_error() -> list[type[errors.TabvaultError]]:
    found, waiting = [], [errors.TabvaultError]
    while waiting:
        found.append(kind := waiting.pop())
        waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == "tabvault.errors"]


def made(kind: type[errors.TabvaultError]) -> errors.TabvaultError:
    more = {"retry_after_s": 2.5} if issubclass(kind, errors.TooManyAttemptsError) else {}
    return kind("what is wrong", hint="the way out", **more)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_is_a_problem_with_its_status_and_code(kind):
    answer = problem_response(made(kind), "/api/x")
    document = json.loads(bytes(answer.body))
    PROBLEM.validate(document)
    assert answer.status_code == document["status"] == kind.http_status
    assert answer.media_type == "application/problem+json"
    assert (document["code"], document["type"]) == (kind.code, f"urn:tabvault:error:{kind.code}")
    assert (document["detail"], document["hint"], document["instance"]) == ("what is wrong", "the way out", "/api/x")
    assert document["title"] == title_of(kind)
    assert "\n" not in document["title"]
    assert ("www-authenticate" in answer.headers) == (kind.http_status == 401)
    assert answer.headers.get("retry-after") == ("3" if kind.http_status == 429 else None)


def test_the_place_of_an_error_is_part_of_its_problem():
    def members(error: Exception) -> dict:
        return json.loads(bytes(problem_response(error, "/").body))

    assert members(errors.QueryError("x", line=3, column=7))["column"] == 7
    assert members(errors.RequestError("x", path="rules.0.name"))["path"] == "rules.0.name"
    assert members(errors.ChecksumError("x", file="a.idf", offset=16))["offset"] == 16
    assert members(errors.StoreUnavailableError("x"))["retryable"] is True
    assert "line" not in members(errors.QueryError("x"))


def test_a_mistake_of_ours_tells_its_class_and_not_its_words(caplog):
    answer = problem_response(KeyError(SECRET), "/api/x")
    assert answer.status_code == 500
    assert json.loads(bytes(answer.body))["code"] == "internal"
    assert b"KeyError" in answer.body
    assert SECRET.encode() not in answer.body
    assert "KeyError" in caplog.text
    assert SECRET not in caplog.text


def test_http_refusals_have_codes_that_no_error_has():
    codes = {kind.code for kind in every_error()}
    for status, (code, _) in HTTP_CODES.items():
        assert code not in codes
        PROBLEM.validate(json.loads(bytes(problem_response(HttpError(status, "x"), "/").body)))


# ---- every route


BODIES = {
    "QueryRequest": {"sql": "SELECT 1"},
    "BackupRequest": {},
    "CreationRequest": {"name": "new", "model": {}},
    "RestoreRequest": {"file": "a.abf"},
    "NamingRestoreRequest": {"file": "a.abf", "database": "shop"},
    "NoOptions": {},
    "FileRequest": {"file": "a.abf"},
    "StorageRequest": {"enabled": False, "account": None, "container": None},
    "StorageAccountRequest": {"name": "x", "credential": {"type": "azure_cli", "url": "https://x.example"}},
    "ContainerRequest": {"name": "new"},
    "NetworkRequest": {"default_action": "Deny"},
    "AliasRequest": {"server": "https://vault.example:8282/xmla"},
    "UserRequest": {"name": "dora", "password": "x"},
    "UserChangeRequest": {"is_server_administrator": True},
    "PasswordRequest": {"password": "x"},
    "KeyRequest": {"owner": "carol", "name": "mine", "scopes": ["admin"]},
    "RuleRequest": {"start": "10.0.0.1", "end": "10.0.0.2"},
    "FirewallRequest": {"enabled": True},
    "ProvidersRequest": {"providers": []},
    "RefreshBody": {},
    "CredentialRequest": {"user": "reader", "password": "x"},
    "FolderRequest": {"folder": "/nothing/there"},
    "SourceLimitsRequest": {"direct_query_row_count_max": 5},
    "AuditCheckRequest": {},
}
"""What could be done, by him who may."""

QUERIES = {"FolderParameters": {"folder": "/nothing/there"}}
"""Parameters that have to be there."""


def send(local: LocalServer, action: Action, user=ADMINISTRATOR, **more) -> httpx.Response:
    path = f"{PREFIX}{action.path}".format(
        name="nothing_there",
        id="0" * 32,
        container="nothing",
        path="nothing/there.abf",
        source="Warehouse",
    )
    options: dict = {}
    if isinstance(action.body, Content):
        options = {"content": b"x", "headers": {"Content-Type": action.body.media_types[0]}}
    elif action.body is not None:
        options = {"json": BODIES[action.body.__name__]}
    needed = QUERIES.get(action.query.__name__)
    if needed is not None:
        more["params"] = needed | more.get("params", {})
    options["headers"] = options.get("headers", {}) | more.pop("headers", {})
    return local.client(user).request(action.method, path, **options, **more)


def is_problem(answer: httpx.Response, status: int | None = None) -> dict:
    assert status is None or answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    PROBLEM.validate(document)
    assert document["status"] == answer.status_code
    for header, value in {"cache-control": "no-store", "x-content-type-options": "nosniff"}.items():
        assert answer.headers[header] == value
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers
    return document


ids = [f"{action.method} {action.path}" for action in ACTIONS]
every_action = pytest.mark.parametrize("action", ACTIONS, ids=ids)


@every_action
def test_no_route_answers_without_a_credential_that_holds(local, action):
    problem = is_problem(send(local, action, user=None), 401)
    assert problem["code"] == "access_not_authenticated"
    answer = send(local, action, user=None, headers={"Authorization": "Bearer e30.e30.e30"})
    assert is_problem(answer, 401)["code"] == "access_not_authenticated"
    assert answer.headers["www-authenticate"].startswith("Basic ")


@every_action
def test_a_parameter_that_is_not_known_is_refused(local, action):
    problem = is_problem(send(local, action, params={"verbose": "1"}), 400)
    assert (problem["code"], problem["path"]) == ("request", "verbose")


def is_open_to_all(action: Action) -> bool:
    """Whether everybody is answered; a list may be empty for him."""
    lists_jobs = action.query.__name__ == "TaskJobsParameters"
    is_open = action.method == "GET" and action.path in {"/openapi.json", "/server", "/databases", "/jobs"}
    return lists_jobs or is_open


@every_action
def test_a_user_without_any_role_gets_nothing_done(local, action):
    before = local.service.audit.verify_chain().line_count
    answer = send(local, action, user=STRANGER)
    if is_open_to_all(action):
        assert answer.status_code == 200
        assert "shop" not in answer.text
        assert "storage/backups" not in answer.text
    else:
        assert is_problem(answer)["code"] in {"access_not_authorized", "job_not_found"}
    assert local.service.audit.verify_chain().line_count == before


WITH_JSON = [action for action in ACTIONS if action.body is not None and not isinstance(action.body, Content)]
with_json = pytest.mark.parametrize("action", WITH_JSON, ids=[f"{a.method} {a.path}" for a in WITH_JSON])
PATHS = {"name": "shop", "id": "0", "source": "Warehouse"}


def body(local: LocalServer, action: Action, content: bytes, content_type="application/json") -> httpx.Response:
    path = f"{PREFIX}{action.path}".format(**PATHS)
    return local.client().request(action.method, path, content=content, headers={"Content-Type": content_type})


@with_json
def test_only_json_is_taken_as_a_body(local, action):
    # What a form of a web page of another origin can send.
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        problem = is_problem(body(local, action, b"{}", content_type), 415)
        assert problem["code"] == "unsupported_media_type"


@with_json
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b"\xff{}",
        b"[" * 100_000,
        b'{"n": 1' + b"0" * 5000 + b"}",
        b'{"\\ud800": 1}',
    ],
    ids=["empty", "cut", "list", "null", "NaN", "not UTF-8", "deep", "long number", "half a character"],
)
def test_a_body_that_is_no_json_object_is_refused(local, action, content):
    assert is_problem(body(local, action, content), 400)["code"] == "request"


@with_json
def test_an_unknown_member_is_refused_by_its_name_and_without_its_value(local, action):
    answer = body(local, action, json.dumps({"pasword": SECRET}).encode())
    problem = is_problem(answer, 400)
    assert SECRET not in answer.text
    assert problem["path"]


def test_a_member_that_stands_twice_is_refused(local):
    answer = local.client().post(
        "/api/users",
        content=b'{"name": "x", "name": "y", "password": "z"}',
        headers={"Content-Type": "application/json"},
    )
    assert is_problem(answer, 400)["path"] == "name"


@pytest.mark.parametrize(
    ("member", "value", "path"),
    [
        ("overwrite", 1, "overwrite"),
        ("overwrite", "true", "overwrite"),
        ("password", ["x"], "password"),
        ("password", "x" * 1025, "password"),
        ("file", "", "file"),
        ("file", 5, "file"),
        ("Overwrite", True, "Overwrite"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(local, member, value, path):
    answer = local.client().post("/api/databases/shop/backups", json={member: value})
    problem = is_problem(answer, 400)
    assert problem["path"] == path
    assert "xxx" not in answer.text


def test_a_place_inside_a_list_has_its_number(local):
    rules = [{"name": "a", "start": "10.0.0.1", "end": "10.0.0.2"}, {"name": "b", "start": "10.0.0.1"}]
    problem = is_problem(local.client().put("/api/firewall", json={"enabled": False, "rules": rules}), 400)
    assert problem["path"] == "rules.1.end"


def test_a_parameter_that_is_no_number_or_stands_twice_is_refused(local):
    for query in ("limit=1_0", "limit=1.0", "limit=+1", "limit=0", "limit=99999", "limit=1&limit=2", "kind=none"):
        is_problem(local.client().get(f"/api/jobs?{query}"), 400)


def test_a_body_over_the_limit_is_refused(local):
    answer = local.client().post(
        "/api/users", content=b" " * (1 << 20) + b"{}", headers={"Content-Type": "application/json"}
    )
    assert is_problem(answer, 413)["code"] == "request_too_large"


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/databases/", "/api/databases/a/b/c", "/api/server/x"])
def test_a_path_with_nothing_at_it_is_a_problem_too(local, path):
    assert is_problem(local.client().get(path), 404)["code"] == "not_found"


def test_a_method_that_is_not_done_says_which_are(local):
    answer = local.client().patch("/api/databases/shop")
    assert is_problem(answer, 405)["code"] == "method_not_allowed"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}


def test_a_name_may_hold_a_slash_a_line_feed_or_a_percent_sign(local):
    problem = is_problem(local.client().get("/api/databases/a%2Fb%0Ac%25"), 404)
    assert "a/b\\nc%" in problem["detail"]
