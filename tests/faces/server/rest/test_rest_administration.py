"""Users, keys, firewall, identity providers and audit log over REST; and API keys at work."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from faces.server.servers import ADMINISTRATOR
from faces.server.services import MEMBER, STRANGER, local_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from faces.server.services import LocalServer


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    samples = {"shop": "Hugoberry__abc.pbix", "other": "Hugoberry__rls-sample-report.pbix"}
    with local_server(tmp_path_factory.mktemp("administration"), **samples) as running:
        running.edit_metadata("other", ("UPDATE Role SET ModelPermission = 5 WHERE Name = 'Management'", ()))
        running.add_member("other", "Management", MEMBER[0])
        yield running


def audited(local: LocalServer, operation: str) -> list[dict]:
    lines = local.client().get("/api/audit", params={"limit": 10_000}).json()["lines"]
    return [line for line in lines if line["operation"] == operation]


def test_a_user_is_made_gets_another_password_and_is_removed(local):
    client = local.client()
    made = client.post("/api/users", json={"name": "d/ora", "password": "first of them"})
    assert (made.status_code, made.headers["Location"]) == (201, "/api/users/d%2Fora")
    assert made.json()["is_server_administrator"] is False
    assert {user["name"] for user in client.get("/api/users").json()["users"]} == {"alice", "bob", "carol", "d/ora"}
    twice = client.post("/api/users", json={"name": "D/ORA", "password": "x"})
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")
    assert local.client(("d/ora", "first of them")).get("/api/server").json()["user"]["name"] == "d/ora"
    assert client.put("/api/users/d%2Fora/password", json={"password": "second of them"}).status_code == 204
    assert local.client(("d/ora", "first of them")).get("/api/server").status_code == 401
    assert local.client(("d/ora", "second of them")).get("/api/server").status_code == 200
    assert client.delete("/api/users/d%2Fora").status_code == 204
    assert client.delete("/api/users/d%2Fora").json()["code"] == "not_found"
    assert local.client(("d/ora", "second of them")).get("/api/server").status_code == 401
    for operation in ("create_user", "set_password", "remove_user"):
        end, begin = audited(local, operation)[:2]
        assert (begin["phase"], begin["who"], begin["object"], begin["interface"]) == (
            "begin",
            "alice",
            "d/ora",
            "rest",
        )
        assert (end["phase"], end["result"]) == ("end", "success")
    assert "of them" not in json.dumps(local.client().get("/api/audit", params={"limit": 10_000}).json())


def test_a_user_becomes_an_administrator_and_is_none_any_more(local):
    client = local.client()
    assert local.client(MEMBER).get("/api/users").status_code == 403
    answer = client.patch("/api/users/bob", json={"is_server_administrator": True})
    assert (answer.status_code, answer.json()["is_server_administrator"]) == (200, True)
    bob = local.client(MEMBER)
    assert bob.get("/api/users").status_code == 200
    assert bob.patch("/api/users/bob", json={"is_server_administrator": False}).status_code == 200
    assert bob.get("/api/users").status_code == 403
    assert client.patch("/api/users/nobody", json={"is_server_administrator": True}).status_code == 404
    assert client.patch("/api/users/bob", json={}).status_code == 400
    end, begin = audited(local, "change_user")[:2]
    assert (begin["object"], end["result"]) == ("bob", "success")


def test_the_last_administrator_stays(local):
    refused = local.client().patch("/api/users/alice", json={"is_server_administrator": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    answer = local.client().delete("/api/users/alice")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert local.client().get("/api/users").status_code == 200


def key(local: LocalServer, owner: str, name: str, scopes: list[str], **more) -> httpx.Client:
    answer = local.client().post("/api/keys", json={"owner": owner, "name": name, "scopes": scopes} | more)
    assert answer.status_code == 201, answer.text
    return local.client(key=answer.json()["secret"])


def test_the_secret_of_a_key_is_shown_once(local):
    answer = local.client().post("/api/keys", json={"owner": "alice", "name": "once", "scopes": ["read"]})
    secret, record = answer.json()["secret"], answer.json()["key"]
    assert secret.startswith(f"tvk_{record['id']}_")
    assert local.client(key=secret).get("/api/server").json()["user"] == {
        "name": "alice",
        "kind": "api_key",
        "is_server_administrator": False,
    }
    listed = local.client().get("/api/keys", params={"owner": "alice"})
    assert record["id"] in {one["id"] for one in listed.json()["keys"]}
    random_part = secret.rpartition("_")[2][:20]
    assert random_part not in listed.text
    for path in (local.service.vault.data / "server").rglob("*"):
        assert path.is_dir() or random_part.encode() not in path.read_bytes()
    again = local.client().post("/api/keys", json={"owner": "alice", "name": "once", "scopes": ["read"]})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert local.client().delete(f"/api/keys/{record['id']}").status_code == 204
    assert local.client().delete(f"/api/keys/{record['id']}").status_code == 404
    assert local.client(key=secret).get("/api/server").status_code == 401


def test_a_key_of_nobody_or_of_the_past_is_not_made(local):
    nobody = local.client().post("/api/keys", json={"owner": "zoe", "name": "x", "scopes": ["read"]})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")
    past = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(1)).isoformat()
    body = {"owner": "alice", "name": "past", "scopes": ["read"], "expires": past}
    answer = local.client().post("/api/keys", json=body)
    assert (answer.status_code, answer.json()["path"]) == (400, "expires")


def test_a_key_does_what_its_scopes_say_and_no_more(local):
    read = key(local, "alice", "read", ["read"])
    backup = key(local, "alice", "backup", ["backup"])
    one = key(local, "alice", "one", ["admin"], databases=["other"])
    query = {"sql": 'SELECT count(*) FROM "ABC"'}
    assert read.post("/api/databases/shop/query", json=query).json()["rows"] == [[6]]
    assert backup.post("/api/databases/shop/query", json=query).status_code == 403
    assert read.post("/api/databases/shop/backups", json={}).status_code == 403
    assert backup.post("/api/databases/shop/backups", json={"overwrite": True}).status_code == 202
    assert one.get("/api/databases/shop").status_code == 403
    assert [database["name"] for database in one.get("/api/databases").json()["databases"]] == ["other"]
    for client in (read, backup, one):
        assert client.get("/api/users").status_code == 403
        assert client.get("/api/files").status_code == 403
        assert client.get("/api/server").json()["storage"] is None


def test_an_administrator_of_one_database_sees_its_jobs_and_no_others(local):
    alice, bob, carol = local.client(), local.client(MEMBER), local.client(STRANGER)
    of_shop = alice.post("/api/databases/shop/verifications", json={}).json()["id"]
    of_other = alice.post("/api/databases/other/verifications", json={}).json()["id"]
    own = bob.post("/api/databases/other/backups", json={"overwrite": True})
    assert own.status_code == 202
    assert {of_other, own.json()["id"]} <= {job["id"] for job in bob.get("/api/jobs").json()["jobs"]}
    assert of_shop not in bob.get("/api/jobs").text
    assert bob.get(f"/api/jobs/{of_other}").status_code == 200
    assert bob.delete(f"/api/jobs/{of_other}").status_code == 200, "he may cancel it, too"
    missing = carol.get(f"/api/jobs/{'0' * 32}").json()["detail"].replace("0" * 32, "")
    for client, hidden in ((bob, of_shop), (carol, of_shop), (carol, of_other)):
        for answer in (client.get(f"/api/jobs/{hidden}"), client.delete(f"/api/jobs/{hidden}")):
            assert (answer.status_code, answer.json()["detail"].replace(hidden, "")) == (404, missing)
    assert carol.get("/api/jobs").json() == {"jobs": []}
    assert carol.get("/api/databases/shop/verifications").json() == {"jobs": []}
    assert {of_shop, of_other} <= {job["id"] for job in alice.get("/api/jobs").json()["jobs"]}
    reading = key(local, "bob", "reading", ["read", "backup"])
    second = alice.post("/api/databases/other/verifications", json={}).json()["id"]
    assert reading.get(f"/api/jobs/{second}").status_code == 200
    assert reading.delete(f"/api/jobs/{second}").status_code == 403, "cancelling takes the scope admin"


def test_the_firewall_is_changed_rule_by_rule_and_as_a_whole(local):
    client = local.client()
    rules = [{"name": "office", "start": "192.0.2.1", "end": "192.0.2.254"}]
    assert client.put("/api/firewall", json={"enabled": True, "rules": rules}).json() == {
        "enabled": True,
        "rules": rules,
    }
    v6 = client.put("/api/firewall/rules/v6", json={"start": "2001:db8::1", "end": "2001:db8::ff"})
    assert [rule["name"] for rule in v6.json()["rules"]] == ["office", "v6"]
    mixed = client.put("/api/firewall/rules/bad", json={"start": "192.0.2.1", "end": "2001:db8::1"})
    assert (mixed.status_code, mixed.json()["path"]) == (400, "end")
    assert client.delete("/api/firewall/rules/OFFICE").status_code == 204
    assert client.delete("/api/firewall/rules/office").status_code == 404
    assert [rule["name"] for rule in client.get("/api/firewall").json()["rules"]] == ["v6"]
    assert client.put("/api/firewall", json={"enabled": False}).json() == {"enabled": False, "rules": []}
    assert audited(local, "configure_firewall")[-1]["options"] == {
        "enabled": True,
        "objects": ["office 192.0.2.1-192.0.2.254"],
    }


def test_an_address_that_the_firewall_keeps_out_is_told_so(local, monkeypatch):
    local.client().put("/api/firewall", json={"enabled": True})
    monkeypatch.setattr("tabvault.faces.server.authentication.address_of", lambda _request: "203.0.113.7")
    answer = local.client().get("/api/server")
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["code"]) == (401, "access_address_blocked")
    assert "203.0.113.7" in answer.json()["detail"]
    assert local.client().put("/api/firewall", json={"enabled": False}).status_code == 200


def test_the_keys_of_an_identity_provider_are_not_shown_again(local):
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    jwks = {"keys": [jwk | {"kid": "mine", "alg": "RS256", "use": "sig"}]}
    provider = {"issuer": "https://id.example.com", "audiences": ["api://tabvault"], "tenant": None}
    answer = local.client().put(
        "/api/identity-providers", json={"providers": [provider | {"jwks_uri": provider["issuer"]}]}
    )
    assert answer.json()["providers"][0] | {"jwks_uri": None} == provider | {
        "jwks_uri": None,
        "has_jwks": False,
        "administrators": [],
    }
    given = local.client().put("/api/identity-providers", json={"providers": [provider | {"jwks": jwks}]})
    assert given.json()["providers"][0]["has_jwks"] is True
    assert jwk["n"] not in given.text
    assert jwk["n"] not in local.client().get("/api/identity-providers").text
    insecure = {"providers": [provider, provider | {"issuer": "http://id.example.com"}]}
    refused = local.client().put("/api/identity-providers", json=insecure)
    assert (refused.status_code, refused.json()["path"]) == (400, "providers.1.issuer")
    assert local.client().put("/api/identity-providers", json={"providers": []}).json() == {"providers": []}


def test_the_audit_log_is_read_by_time(local):
    client = local.client()
    middle = datetime.datetime.now(datetime.UTC).isoformat()
    client.put("/api/firewall", json={"enabled": False})
    late = client.get("/api/audit", params={"since": middle}).json()["lines"]
    assert [(line["operation"], line["phase"]) for line in late] == [
        ("configure_firewall", "end"),
        ("configure_firewall", "begin"),
    ]
    early = client.get("/api/audit", params={"until": middle, "limit": 3}).json()["lines"]
    assert len(early) == 3
    assert early[0]["sequence"] == late[-1]["sequence"] - 1
    assert client.get("/api/audit", params={"since": "2026-01-01T00:00:00"}).json()["path"] == "since", "without offset"


def test_a_failed_log_in_is_in_the_audit_log(local):
    assert local.client((ADMINISTRATOR[0], "a wrong one")).get("/api/server").status_code == 401
    line = audited(local, "login")[0]
    assert (line["who"], line["result"], line["interface"]) == ("alice", "failure", "rest")
    assert "a wrong one" not in json.dumps(line)
