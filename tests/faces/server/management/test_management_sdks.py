"""The client libraries of Azure configure this server as they would configure Azure Analysis Services."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RequestIdPolicy
from azure.core.polling import LROPoller
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.polling.arm_polling import ARMPolling
from azure.mgmt.resource.resources import ResourceManagementClient

from certificates import make_certificate
from conftest import REPOSITORY, missing, program
from faces.server.management.managed_server import (
    APPLICATION,
    AUDIENCE,
    GROUP,
    NAME,
    SECRET,
    SERVER,
    SUBSCRIPTION,
    TENANT,
    Issuer,
    Managed,
    entra,
    managed_server,
)
from tabvault.faces.server.management import answers
from tabvault.faces.server.management.routes import TABLE
from tabvault.jobs.progress import Progress
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.storage.server_state.server_resource import SKUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.azure.azurite import Container
    from tabvault.jobs.runner.context import JobContext

pytest_plugins = ["storage.azure.azurite"]

LIBRARY = REPOSITORY / ".tools" / "arm" / "node_modules"
SCRIPT = Path(__file__).with_name("arm_client.cjs")
ADMINISTRATORS = ["alice", f"app:{APPLICATION}@{TENANT}"]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with entra(make_certificate(tmp_path_factory.mktemp("issuer"))) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def managed(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    with managed_server(tmp_path_factory.mktemp("managed"), issuer.provider()) as managed:
        yield managed


@pytest.fixture(scope="module")
def credential(issuer: Issuer) -> Iterator[ClientSecretCredential]:
    """The real one, which asks the local issuer for its tokens."""
    with ClientSecretCredential(
        TENANT,
        APPLICATION,
        SECRET,
        authority=issuer.authority,
        disable_instance_discovery=True,
        connection_verify=str(issuer.certificate),
    ) as credential:
        yield credential


class WorkingJob:
    """A job that goes on until it may end."""

    def __init__(self, managed: Managed) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        about = {"requested_by": "alice", "origin": None, "interface": "rest", "options": {}}
        self.job = managed.service.runner.submit(JobKind.VERIFY, None, **about, work=self._work)
        assert self.began.wait(10)

    def _work(self, context: JobContext) -> None:
        self.began.set()
        while not self.may_end.wait(0.01):
            context.progress(Progress("working", 0, None))


def test_the_management_library_configures_suspends_and_resumes_the_server(
    managed: Managed, issuer: Issuer, credential: ClientSecretCredential, container: Container, monkeypatch
):
    node = program("node")
    if not LIBRARY.is_dir():
        missing("the management client library is not installed (scripts/management-sdk .tools/arm)")
    monkeypatch.setattr(answers, "ENDED_WITHIN_S", 0.5)
    url = f"{container.account_url()}/{container.name}"
    sas = container.sas("rwdl")
    given = {
        "endpoint": managed.url,
        "token": credential.get_token(f"{AUDIENCE}/.default").token,
        "strangerToken": issuer.token(application="somebody-else"),
        "subscription": SUBSCRIPTION,
        "group": GROUP,
        "name": NAME,
        "administrators": ADMINISTRATORS,
        "containerUrl": f"{url}?{sas}",
        "wrongUrl": f"{url}?{sas}".replace("sig=", "sig=AAAA"),
    }
    working = WorkingJob(managed)
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(LIBRARY),
        "NODE_EXTRA_CA_CERTS": str(managed.certificate),
    }
    with subprocess.Popen(
        [node, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(line: str) -> dict[str, Any]:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        assert tell(json.dumps(given)) == {"isDone": False}
        assert managed.service.pausing.is_paused
        working.may_end.set()
        assert tell("go on") == {"paused": "Paused"}
        seen = tell("go on")
    assert process.returncode == 0
    assert not managed.service.pausing.is_paused
    assert managed.service.runner.get(working.job.id).state == "succeeded"
    _check_what_was_seen(seen, url)
    assert sas.rpartition("sig=")[2] not in json.dumps(seen)


def _check_what_was_seen(seen: dict[str, Any], url: str) -> None:
    assert seen["listed"] == seen["listedInGroup"] == [NAME]
    assert len(seen["operations"]) == len(TABLE)
    assert {sku["name"]: sku["tier"] for sku in seen["newSkus"]} == SKUS
    assert {one["sku"]["name"]: one["sku"]["tier"] for one in seen["skus"]} == SKUS
    assert (seen["ownName"]["nameAvailable"], seen["ownName"]["reason"]) == (False, "AlreadyExists")
    assert (seen["otherName"]["nameAvailable"], seen["otherName"]["reason"]) == (False, "Unavailable")
    created = seen["created"]
    assert created["id"] == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{created['type']}/{NAME}"
    assert (created["location"], created["sku"]["name"], created["tags"]) == ("West US", "S2", {"team": "finance"})
    assert created["asAdministrators"]["members"] == ADMINISTRATORS
    assert created["backupBlobContainerUri"] == url
    assert created["ipV4FirewallSettings"] == {
        "firewallRules": [{"firewallRuleName": "office", "rangeStart": "192.0.2.0", "rangeEnd": "192.0.2.255"}],
        "enablePowerBIService": True,
    }
    assert (created["provisioningState"], created["state"]) == ("Succeeded", "Succeeded")
    assert seen["read"] == created
    assert "backupBlobContainerUri" not in seen["cleared"]
    assert seen["set"] == created
    assert (seen["wrongUrl"]["status"], seen["wrongUrl"]["code"]) == (400, "StorageAccess")
    assert (seen["pausing"]["state"], seen["pausing"]["provisioningState"]) == ("Pausing", "Pausing")
    assert (seen["meanwhile"]["status"], seen["meanwhile"]["code"]) == (409, "AnotherOperationInProgress")
    assert (seen["paused"]["state"], seen["paused"]["provisioningState"]) == ("Paused", "Succeeded")
    assert seen["resumed"] == created
    assert (seen["unknown"]["status"], seen["unknown"]["code"]) == (404, "ResourceNotFound")
    assert (seen["another"]["status"], seen["another"]["code"]) == (409, "OperationNotAllowed")
    assert (seen["deletion"]["status"], seen["deletion"]["code"]) == (409, "OperationNotAllowed")
    assert (seen["gateway"]["status"], seen["gateway"]["code"]) == (404, "GatewayNotAssociated")
    assert (seen["stranger"]["status"], seen["stranger"]["code"]) == (403, "AuthorizationFailed")
    assert (seen["nobody"]["status"], seen["nobody"]["code"]) == (401, "AuthenticationFailed")


def test_the_generic_python_library_does_the_same(
    managed: Managed, credential: ClientSecretCredential, container: Container, monkeypatch
):
    version = {"api_version": "2017-08-01"}
    quick = {"polling_interval": 0.05, **version}
    url = f"{container.account_url()}/{container.name}"
    sas = container.sas("rwdl")
    with ResourceManagementClient(
        credential,
        SUBSCRIPTION,
        base_url=managed.url,
        credential_scopes=[f"{AUDIENCE}/.default"],
        connection_verify=str(managed.certificate),
        retry_total=0,
    ) as client:
        resources = client.resources
        whole = {
            "location": "westus",
            "sku": {"name": "S1", "tier": "Standard"},
            "properties": {"backupBlobContainerUri": f"{url}?{sas}"},
        }
        created = resources.begin_create_or_update_by_id(SERVER, whole, **quick).result()
        assert created.properties["backupBlobContainerUri"] == url
        assert resources.get_by_id(SERVER, **version).as_dict() == created.as_dict()
        assert resources.check_existence_by_id(SERVER, **version)
        nothing = {"properties": {"backupBlobContainerUri": None}}
        cleared = resources.begin_update_by_id(SERVER, nothing, **quick).result()
        assert "backupBlobContainerUri" not in cleared.properties
        assert not managed.service.vault.settings.enabled
        with pytest.raises(HttpResponseError, match=r"(?s)OperationNotAllowed.*cannot be deleted") as refused:
            resources.begin_delete_by_id(SERVER, **quick)
        assert refused.value.status_code == 409
    monkeypatch.setattr(answers, "ENDED_WITHIN_S", 0.0)
    assert _suspended(managed, credential) == "Paused"
    managed.service.pausing.resume()


def _suspended(managed: Managed, credential: ClientSecretCredential) -> str:
    """The state after a suspension that goes on while it is asked for."""
    policies = [RequestIdPolicy(), BearerTokenCredentialPolicy(credential, f"{AUDIENCE}/.default")]
    with ARMPipelineClient(managed.url, policies=policies, connection_verify=str(managed.certificate)) as client:
        working = WorkingJob(managed)
        asked = HttpRequest("POST", f"{SERVER}/suspend", params={"api-version": "2017-08-01-beta"})
        answer = client._pipeline.run(client_request(client, asked))
        assert answer.http_response.status_code == 202
        working.may_end.set()
        poller = LROPoller(client, answer, lambda one: one.http_response, ARMPolling(timeout=0.05))
        return json.loads(poller.result().text())["properties"]["state"]


def client_request(client: ARMPipelineClient, request: HttpRequest) -> HttpRequest:
    request.url = client.format_url(request.url)
    return request
