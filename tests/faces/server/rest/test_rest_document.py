"""The OpenAPI document: valid, and true of a real server in another process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from faces.server.servers import ADMINISTRATOR, running_server
from tabvault.faces.server import metrics
from tabvault.faces.server.rest.action_table import ACTIONS, PREFIX
from tabvault.faces.server.rest.openapi import openapi_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.server.servers import Server

DOCUMENT = openapi_document(PREFIX, ACTIONS)


def test_the_document_is_valid_openapi_3_1():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_document_has_every_route_with_words_about_it():
    for action in ACTIONS:
        operation = DOCUMENT["paths"][f"{PREFIX}{action.path}"][action.method.lower()]
        assert operation["summary"].endswith(".")
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(operations) == len(ACTIONS)
    assert len({operation["operationId"] for operation in operations}) == len(ACTIONS)


def test_no_schema_of_an_answer_has_a_password_in_it():
    answered = re.findall(r'"(\w*(?:password|secret)\w*)"', str(DOCUMENT["components"]["schemas"]).replace("'", '"'))
    requests = {"password"}
    assert set(answered) - requests == {"secret"}  # of a key that was just made
    assert "secret" in DOCUMENT["components"]["schemas"]["NewKey"]["properties"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("rest") / "data") as running:
        yield running


CONFIGURATION = SchemathesisConfig.from_dict(
    {
        "checks": {
            # Rules that no schema can say: text that is SQL, a range that is one, a file that is there.
            "positive_data_acceptance": {"expected-statuses": ["2xx", 400, 401, 403, 404, 409, 416, 422]},
        },
    }
)
# They would make containers wherever the account points to, on the machine of whoever runs the tests.
SCHEMA = (
    schemathesis.openapi.from_dict(DOCUMENT, config=CONFIGURATION)
    .exclude(method="PUT", path="/api/storage")
    .exclude(method="POST", path="/api/storage/accounts/{name}/containers")
)

# A part of a file: bytes, as a whole one.
schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")

load_all_checks()
# What comes with a wrong password counts for its address, which soon would have to wait: see test_rest_access.
LEFT_OUT = [check for check in CHECKS.get_all() if check.__name__ == "ignored_auth"]


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_what_the_document_says(case, server: Server):
    case.call_and_validate(base_url=server.url, auth=ADMINISTRATOR, excluded_checks=LEFT_OUT, timeout=30)


def test_the_log_of_that_server_holds_no_mistake_of_ours(server: Server):
    log = server.log_text()
    assert "Traceback" not in log
    assert "internal error" not in log
    assert server.process.poll() is None


def test_the_reference_names_every_route_and_nothing_else():
    text = (Path(__file__).parents[4] / "docs" / "reference" / "rest.md").read_text()
    documented = set(re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE)` \| `(/api/[^`?]*)", text, re.MULTILINE))
    assert documented == {(action.method, f"{PREFIX}{action.path}") for action in ACTIONS}


def test_the_reference_names_every_metric():
    reference = (Path(__file__).parents[4] / "docs" / "reference" / "rest.md").read_text()
    for name in re.findall(r"``(tabvault_\w+)``", metrics.__doc__ or ""):
        assert f"`{name}`" in reference, name
