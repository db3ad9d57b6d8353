"""A probe of a container of Azure Storage, on the emulator, and with the codes that only the service itself gives."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import re
import socket

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import AccessPolicy, BlobLeaseClient, generate_container_sas

from storage.fault_proxy import IMPATIENT, Fault, FaultProxy, LastingFault
from tabvault.errors import StoreUnavailableError
from tabvault.jobs.storage_probe import CONTENT, PROBE_NAME, Probe, probe
from tabvault.storage.accounts import AccountFacts
from tabvault.storage.azure.access import access_by_key, access_by_sas_url, account_by_identity
from tabvault.storage.azure.probing import AzureProbing
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.testing.store_contract import names, put

pytest_plugins = ["storage.azure.azurite"]


def probed(store: AzureBlobStore) -> Probe:
    sas = store._access.sas
    account = AccountFacts(
        "acc",
        "azure",
        store._access.account_url,
        permissions=None if sas is None else sas.permissions,
        expires=None if sas is None else sas.expires,
    )
    return probe(store, account=account, container=store._access.container, now=datetime.datetime.now(datetime.UTC))


def bad(probe: Probe) -> list[tuple[str, str, tuple[str, ...]]]:
    """What does not work; not what the short life of a test's SAS is warned of."""
    return [
        (finding.severity, finding.code, finding.steps)
        for finding in probe.findings
        if finding.severity != "OK" and finding.code != "expires_soon"
    ]


def blob_names(container) -> list[str]:
    with container.plain() as client:
        return [blob.name for blob in client.list_blobs(include=["uncommittedblobs"])]


# --- letters of a SAS, on the emulator

LIST, WRITE, READ, REMOVE = (("list",), ("write",), ("read",), ("remove",))
LETTERS = {
    "rwdl": [],
    "rl": [("WARNING", "read_only", WRITE)],
    "rwl": [("WARNING", "permission", REMOVE)],
    "w": [("WARNING", "permission", LIST), ("WARNING", "permission", READ), ("WARNING", "permission", REMOVE)],
    "c": [("WARNING", "append_only", REMOVE), ("WARNING", "permission", LIST), ("WARNING", "permission", READ)],
    "cl": [("WARNING", "append_only", REMOVE), ("WARNING", "permission", READ)],
    "rcl": [("WARNING", "append_only", REMOVE)],
    "rcdl": [("WARNING", "append_only", ())],
    # That it may not remove is only seen where it cannot be seen beforehand that there is nothing to remove.
    "l": [("FAILED", "permission", WRITE), ("WARNING", "permission", READ), ("WARNING", "permission", REMOVE)],
}


def test_what_the_letters_of_a_sas_do_not_allow_is_said(container):
    for letters, expected in LETTERS.items():
        found = probed(container.store_by_sas(container.sas(letters)))
        assert bad(found) == expected, letters
        assert found.is_usable == bool(set("cw") & set(letters))
        assert found.is_readable == ("r" in letters)
        assert found.is_listable == ("l" in letters)
        assert found.is_removable in (None, "d" in letters)
        for finding in found.findings:
            if finding.code in {"permission", "read_only"}:
                words = rf"the SAS lacks the permission [rwdl] \(\w+\), it has {letters}: "
                assert re.match(words, finding.message)
        left = blob_names(container)
        assert left == ([PROBE_NAME] if found.is_usable and not found.is_removable else [])
        if left:
            # However often: no more than the one object, and nothing of it in the way of who may more.
            assert bad(probed(container.store_by_sas(container.sas(letters)))) == expected
            assert blob_names(container) == left
            assert bad(probed(container.store())) == []
            assert blob_names(container) == []


@pytest.mark.parametrize("letters", ["c", "cl", "rcl"])
def test_a_sas_that_may_only_create_is_told_what_works_with_it_and_what_does_not(container, letters):
    for _ in range(2):  # the second finds what the first has written
        found = probed(container.store_by_sas(container.sas(letters)))
        assert found.ok
        assert found.refusal is None
        assert found.findings[0].message == (
            f"the SAS is append-only, it has {letters}: backups work up to 5000 MiB; "
            "overwriting and retention do not, for nothing can be replaced or removed"
        )
        with container.plain() as client:
            (blob,) = client.list_blobs()
            assert blob.name == PROBE_NAME
            assert client.download_blob(PROBE_NAME).readall() == CONTENT
    with container.plain() as client:
        assert client.get_blob_client(PROBE_NAME).get_blob_properties().etag.strip('"') == blob.etag
    # Another object there is none, and no backup is in the way of the probe.
    put(container.store_by_sas(container.sas(letters)), "a.abf", b"1")
    assert probed(container.store_by_sas(container.sas(letters))).is_usable


def test_a_probe_with_a_sas_that_may_only_create_asks_for_the_right_to_write_though_its_object_is_there(container):
    put(container.store(), PROBE_NAME, CONTENT)
    with FaultProxy(container.port) as proxy:
        for fault, reason in (
            (Fault(status=403, code="AuthorizationFailure"), "network_rules"),
            (Fault(status=403, code="KeyBasedAuthenticationNotPermitted"), "key_access_disabled"),
        ):
            proxy.plan = lambda request, fault=fault: fault if request.method == "PUT" else Fault()
            found = probed(_by_sas(container, proxy.port, container.sas("rcl")))
            assert not found.is_usable
            assert ("FAILED", reason) in [one[:2] for one in bad(found)]


def test_a_sas_that_has_expired_is_named_once(container):
    found = probed(container.store_by_sas(container.sas("rwdl", valid=datetime.timedelta(hours=-1))))
    assert bad(found) == [("FAILED", "expired", ("list", "write", "read", "remove"))]
    assert re.match(r"the SAS expired at \d{4}-\d\d-\d\d \d\d:\d\d UTC: nothing works there", found.findings[0].message)


def test_a_sas_that_expires_within_two_weeks_is_told_and_a_longer_one_not(container):
    for days, expected in ((13, ["expires_soon"]), (16, [])):
        found = probed(container.store_by_sas(container.sas("rwdl", valid=datetime.timedelta(days=days, minutes=1))))
        assert [finding.code for finding in found.findings if finding.severity == "WARNING"] == expected
        assert found.ok


def test_a_stored_policy_gives_rights_without_letters_and_takes_them_when_it_is_revoked(container):
    now = datetime.datetime.now(datetime.UTC)
    ends = now + datetime.timedelta(days=1)
    policy = AccessPolicy(permission="rl", expiry=ends, start=now - datetime.timedelta(minutes=5))
    sas = generate_container_sas("testaccount", container.name, account_key=container.key, policy_id="backup")
    store = container.store_by_sas(sas)
    with container.plain() as client:
        client.set_container_access_policy({"backup": policy})
        assert bad(probed(store)) == [("WARNING", "read_only", WRITE)]
        client.set_container_access_policy({})
    assert bad(probed(store)) == [("FAILED", "signature", ("list", "write", "read", "remove"))]


def test_a_wrong_key_and_a_container_that_is_gone_are_named(container):
    key = "c2VjcmV0IGtleSBvZiBhbiBhY2NvdW50"
    with AzureBlobStore(
        access_by_key(container.account_url(), container.name, account="testaccount", key=key)
    ) as other:
        assert bad(probed(other)) == [("FAILED", "signature", ("list", "write", "read", "remove"))]
    with container.plain() as client:
        client.delete_container()
    found = probed(container.store())
    assert bad(found) == [("FAILED", "container_missing", ("list", "write", "read", "remove"))]
    assert container.name in found.findings[0].message
    assert isinstance(found.refusal, StoreUnavailableError)


# --- what the emulator does not do: codes of the REST reference, by a proxy

SERVICE_CODES = [
    (403, "KeyBasedAuthenticationNotPermitted", "key_access_disabled", "allow storage account key access"),
    (403, "AuthenticationFailed", "signature", "revoked"),
    (403, "AuthorizationFailure", "network_rules", "Networking, Selected networks, Firewall, Address range"),
    (403, "AuthorizationProtocolMismatch", "https_only", "https"),
    (403, "InsufficientAccountPermissions", "denied", "Azure portal"),
    (403, "AccountIsDisabled", "account_disabled", "enable it"),
    (409, "ContainerBeingDeleted", "container_missing", "choose another"),
]


def test_a_refusal_of_everything_is_asked_for_once_and_explained(container):
    with FaultProxy(container.port) as proxy:
        for status, code, reason, words in SERVICE_CODES:
            proxy.plan = lambda _, status=status, code=code: Fault(status=status, code=code)
            proxy.requests.clear()
            found = probed(container.store(proxy.port))
            assert bad(found) == [("FAILED", reason, ("list", "write", "read", "remove"))]
            assert words in found.findings[0].hint
            assert len(proxy.requests) == 1
    assert blob_names(container) == []


def test_the_storage_firewall_is_told_with_the_address_of_this_machine(container):
    with FaultProxy(container.port) as proxy:
        proxy.plan = lambda _: Fault(status=403, code="AuthorizationFailure")
        (finding,) = probed(container.store(proxy.port)).findings
    assert "(it asks from 127.0.0.1)" in finding.message
    assert "the address 127.0.0.1 is private, so the storage sees another one" in finding.hint


def test_the_address_that_the_service_saw_is_told_and_nothing_else_of_its_text(container):
    texts = {
        "using this source IP 203.0.113.9.": "which the service sees as 203.0.113.9: nothing works there",
        "using this source IP 2001:db8::9.": "which the service sees as 2001:db8::9: nothing works there",
        "using this source IP SECRET.": "the SAS is not for this server's address: nothing works there",
        "SECRET": "the SAS is not for this server's address: nothing works there",
    }
    code = "AuthorizationSourceIPMismatch"
    with FaultProxy(container.port) as proxy:
        for text, words in texts.items():
            body = f"<Error><Code>{code}</Code><Message>It is refused {text}\nRequestId:1</Message></Error>"
            # The proxy writes the code into the head as it is given.
            fault = Fault(status=403, code=f"{code}\r\nContent-Type: application/xml; charset=utf-8", body=body)
            proxy.plan = lambda _, fault=fault: fault
            found = probed(container.store(proxy.port))
            assert bad(found)[0][1] == "source_address"
            assert found.findings[0].message.endswith(words)
            assert "SECRET" not in str(found)


def test_an_immutable_object_of_an_earlier_probe_says_that_one_could_write(container):
    put(container.store(), PROBE_NAME, b"old")
    with FaultProxy(container.port) as proxy:
        proxy.plan = lambda request: (
            Fault(status=409, code="BlobImmutableDueToPolicy")
            if request.method in {"PUT", "DELETE"} and PROBE_NAME in request.target
            else Fault()
        )
        found = probed(container.store(proxy.port))
    assert found.is_writable
    assert ("WARNING", "immutable", REMOVE) in bad(found)


def test_the_clock_of_the_service_is_compared_with_ours_also_when_it_refuses(container):
    class AnotherTime(FaultProxy):
        async def _answer(self, writer, answer, fault):
            answer = re.sub(rb"(?i)\r\ndate: [^\r]*", b"\r\nDate: " + self.date, answer, count=1)
            await super()._answer(writer, answer, fault)

    hour = datetime.timedelta(hours=1)
    for ahead, words in ((-hour, "60 minutes ahead of"), (hour, "60 minutes behind")):
        with AnotherTime(container.port) as proxy:
            moment = datetime.datetime.now(datetime.UTC) + ahead
            proxy.date = moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
            for store in (container.store(proxy.port), _by_sas(container, proxy.port, container.sas("rw"))):
                found = probed(store)
                assert f"this machine's clock is {words} the storage's" in [f.message for f in found.findings]
                assert abs(found.clock_skew_s + ahead.total_seconds()) < 60


def _by_sas(container, port: int, sas: str) -> AzureBlobStore:
    return container._opened(AzureBlobStore(access_by_sas_url(f"{container.account_url(port)}/{container.name}?{sas}")))


# --- networks


def test_a_service_that_is_not_there_is_told_within_the_patience_of_a_probe(container):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        store = AzureProbing(container.access(free.getsockname()[1]), patience=IMPATIENT)
    account = AccountFacts("acc", "azure", "")
    # A probing store is asked as it is: its patience is the test's.
    found = probe(_Already(store), account=account, container="c", now=datetime.datetime.now(datetime.UTC))
    assert bad(found) == [("FAILED", "unreachable", ("list", "write", "read", "remove"))]
    assert found.clock_skew_s is None


def test_an_object_on_which_another_probe_holds_a_lease_says_that_one_could_write(container):
    put(container.store(), PROBE_NAME, CONTENT)
    with container.plain() as client:
        lease = client.get_blob_client(PROBE_NAME).acquire_lease(60)
        found = probed(container.store())
        lease.release()
    assert found.is_writable
    assert bad(found) == []
    assert blob_names(container) == [PROBE_NAME]


def test_a_service_that_goes_away_in_the_middle_leaves_one_object_at_most(container):
    with FaultProxy(container.port) as proxy:
        for count in itertools.count():
            proxy.plan = LastingFault(Fault(status=503), begins_at=count + 1)
            store = AzureProbing(container.access(proxy.port), patience=_ONCE)
            account = AccountFacts("acc", "azure", "")
            found = probe(_Already(store), account=account, container="c", now=datetime.datetime.now(datetime.UTC))
            assert set(blob_names(container)) <= {PROBE_NAME}
            _break_lease(container)
            if found.ok:
                break
        assert count > 5
    assert probed(container.store()).ok
    assert blob_names(container) == []


def _break_lease(container) -> None:
    """What time does within a minute, after a probe that could not give back its lease."""
    with container.plain() as client, contextlib.suppress(ResourceExistsError, ResourceNotFoundError):
        BlobLeaseClient(client.get_blob_client(PROBE_NAME)).break_lease(lease_break_period=0)


class _Already:
    """A store that is probed as it is."""

    def __init__(self, store: AzureProbing) -> None:
        self._store = store

    def probing(self) -> AzureProbing:
        return self._store

    def __getattr__(self, name):
        return getattr(self._store, name)


_ONCE = type(IMPATIENT)(attempt_count_max=1, deadline_s=8.0, first_pause_s=0.0, pause_max_s=0.0, quiet_max_s=2.0)


def test_an_identity_without_token_is_named():
    class NoIdentity:
        def get_token(self, *scopes, **options):  # noqa: ARG002 - the interface of azure-core
            from azure.identity import CredentialUnavailableError

            raise CredentialUnavailableError("SECRET")

    with AzureBlobStore(account_by_identity("https://127.0.0.1:1", NoIdentity()).to_container("backups")) as store:
        found = probed(store)
    assert bad(found) == [("FAILED", "no_token", ("list", "write", "read", "remove"))]
    assert "SECRET" not in str(found)


# --- unfinished uploads


def test_unfinished_uploads_are_listed_with_what_was_staged(container):
    store = container.store()
    put(store, "done.abf", b"1")
    with container.plain() as client:
        for name, blocks in (("one.abf", 1), ("folder/three.abf", 3)):
            for number in range(blocks):
                client.get_blob_client(name).stage_block(f"block{number}", bytes(1000))
    found = probed(store)
    assert [(one.name, one.byte_count, one.block_count) for one in found.unfinished] == [
        ("folder/three.abf", 3000, 3),
        ("one.abf", 1000, 1),
    ]
    (finding,) = [one for one in found.findings if one.code == "unfinished_uploads"]
    assert "folder/three.abf (3,000 bytes), one.abf (1,000 bytes)" in finding.message
    assert found.ok
    # Who may not read is told the names.
    lister = probed(container.store_by_sas(container.sas("wl")))
    assert [(one.name, one.byte_count) for one in lister.unfinished] == [("folder/three.abf", None), ("one.abf", None)]
    assert names(store)[0] == "done.abf"
