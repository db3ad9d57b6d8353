"""
Backups that were interrupted and begun again: only what is missing is sent, and the result is that of one from nothing.

``TABVAULT_RESUME_MIB=1024 pytest tests/jobs/test_backup_resume.py -k killed`` does it with 1 GiB.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import os
import random
import re
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from jobs.large_database import LARGE_FILE, KilledJobs, large_database
from jobs.vaults import bodies, vault_with
from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from tabvault.errors import ChecksumError, StorageAccessError, StorageError, StoreUnavailableError
from tabvault.formats import age
from tabvault.jobs import backup_try
from tabvault.jobs.backup import backup_database
from tabvault.jobs.backup_try import EncryptedUpload
from tabvault.jobs.opening import open_backup
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.storage.azure.access import access_by_sas_url
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.upload_tries import UploadTry
from tabvault.testing.store_contract import names

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["storage.azure.azurite"]

MIB = int(os.environ.get("TABVAULT_RESUME_MIB", "48"))
BLOCK = MIB << 12
"""256 blocks, whatever the size."""
KILL_COUNT = 20
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return large_database(tmp_path_factory.mktemp("large"), MIB << 20)


@pytest.fixture(scope="module")
def medium(tmp_path_factory) -> Path:
    return large_database(tmp_path_factory.mktemp("medium"), 9 << 20)


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


def sent(proxy: FaultProxy) -> list[str]:
    """The ids of the blocks that arrived; the client library sends them in Base64."""
    return [
        base64.b64decode(request.block_id).decode() for request in proxy.calls("PUT block") if request.status == 201
    ]


def records(data: Path) -> list[Path]:
    return sorted((data / "uploads").glob("*"))


def digests(container, name: str = "shop.abf") -> list[str]:
    """
    The SHA-256 of each block of what the plain client library reads, in their order.

    They are those that the blocks' ids say, for anybody who reads the file without this program.
    """
    found = []
    with container.plain() as client:
        blob = client.get_blob_client(name)
        committed, _ = blob.get_block_list("committed")
        pieces = blob.download_blob(max_concurrency=4).chunks()
        data = b""
        for block in committed:
            while len(data) < block.size:
                data += next(pieces)
            found.append(hashlib.sha256(data[: block.size]).hexdigest())
            data = data[block.size :]
            assert base64.urlsafe_b64decode(block.id.split(".")[1] + "=").hex() == found[-1]
        assert not data
        assert next(pieces, b"") == b""
        metadata = blob.get_blob_properties().metadata
    together = hashlib.sha256(bytes.fromhex("".join(found))).hexdigest()
    assert metadata["tabvault_blocks_sha256"] == together
    return found


def cut_after(proxy: FaultProxy, count: int):
    """A plan: after *count* more blocks the network is gone."""
    begun = len(proxy.calls("PUT block"))
    return lambda _: Fault(cuts_request=True) if len(proxy.calls("PUT block")) - begun > count else PASS


def test_a_process_killed_20_times_sends_no_block_twice_and_makes_the_same_file(tmp_path, container, proxy, large):
    data = tmp_path / "data"
    shutil.copytree(large, data, copy_function=os.link)
    points = sorted(random.Random(20_261_123).sample(range(1, 250), KILL_COUNT - 1))
    job = "backup_database(folder, store, 'shop', 'shop.abf', compress=False)"
    kills = 0
    with KilledJobs(job, data, container, proxy, block_byte_count=BLOCK) as jobs:

        def until(point: int | None):
            def plan(request, kill):
                if point is None and request.call == "PUT blocklist":
                    kill()
                    return Fault(cuts_request=True)
                if point is not None and len(proxy.calls("PUT block")) >= point:
                    kill()
                return PASS

            return plan

        for point in [*points, None]:  # the last one at the moment of publication
            assert jobs.run(until(point)) == -9
            kills += 1
            proxy.wait_until_quiet()
            assert names(container.store()) == []
            (record,) = records(data)
            if kills == 1:
                os.link(record, tmp_path / "record")  # a copy would be no record of this try
        assert jobs.run(lambda _request, _kill: PASS) == 0
    assert kills == KILL_COUNT
    assert records(data) == []
    data_blocks = -(-(MIB << 20) // BLOCK)
    assert len(sent(proxy)) == len(set(sent(proxy)))
    assert data_blocks < len(sent(proxy)) <= data_blocks + 10  # the files of the small model, and page 0
    resumed = digests(container)
    assert len(resumed) == len(sent(proxy))
    # From nothing, with the same secret.
    os.link(tmp_path / "record", record)
    before = len(sent(proxy))
    proxy.plan = lambda _: PASS
    with container.plain() as client:
        client.delete_blob("shop.abf")
    with DataFolder.open(data) as folder:
        backup_database(folder, container.store(proxy.port, block_byte_count=BLOCK), "shop", "shop.abf", compress=False)
    assert len(sent(proxy)) - before == len(resumed)
    assert digests(container) == resumed


def test_an_encrypted_backup_goes_on_where_it_was_interrupted(tmp_path, container, proxy, medium):
    data = tmp_path / "data"
    shutil.copytree(medium, data, copy_function=os.link)
    store = container.store(proxy.port, block_byte_count=256 << 10, patience=IMPATIENT)
    with Vault(data) as vault, Vault(tmp_path / "other") as other:

        def attempt() -> None:
            backup_database(vault.own_folder, store, "shop", "shop.abf", password=PASSWORD)

        for count in (3, 11):
            proxy.plan = cut_after(proxy, count)
            with pytest.raises(StoreUnavailableError, match="Put Block"):
                attempt()
            proxy.wait_until_quiet()
        (record,) = records(data)
        assert record.stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in record.read_bytes()
        proxy.plan = lambda _: PASS
        attempt()
        assert len(sent(proxy)) == len(set(sent(proxy))) >= 36
        assert records(data) == []
        restore_database(other.own_folder, store, "shop.abf", password=PASSWORD)
        assert bodies(other, "shop") == bodies(vault, "shop")


def test_bytes_that_changed_between_two_tries_are_never_encrypted_under_one_key(tmp_path, container, proxy, medium):
    data = tmp_path / "data"
    shutil.copytree(medium, data)
    store = container.store(proxy.port, block_byte_count=256 << 10, patience=IMPATIENT)
    (stored,) = data.glob(f"databases/*/versions/*/files/{LARGE_FILE}")
    with DataFolder.open(data) as folder:
        proxy.plan = cut_after(proxy, 20)
        with pytest.raises(StoreUnavailableError):
            backup_database(folder, store, "shop", password=PASSWORD, compress=False)
        proxy.plan = lambda _: PASS
        secret = records(data)[0].read_bytes()[40:72]
        whole = stored.read_bytes()
        stored.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
        before = len(sent(proxy))
        with pytest.raises(ChecksumError, match="piece 1 of the backup is not what it was"):
            backup_database(folder, store, "shop", password=PASSWORD, compress=False)
        assert len(sent(proxy)) == before
        assert records(data) == []
        # The damage is named by the next try, which has another key.
        with pytest.raises(ChecksumError, match=re.escape(LARGE_FILE)):
            backup_database(folder, store, "shop", password=PASSWORD, compress=False)
        assert records(data) == []
        stored.write_bytes(whole)
        proxy.plan = cut_after(proxy, 20)
        with pytest.raises(StoreUnavailableError):
            backup_database(folder, store, "shop", password=PASSWORD, compress=False)
        assert records(data)[0].read_bytes()[40:72] != secret
        proxy.plan = lambda _: PASS
        backup_database(folder, store, "shop", password=PASSWORD, compress=False)
    assert names(container.store()) == ["shop.abf"]


def test_another_password_gives_another_file_under_another_key(tmp_path, container, proxy):
    store = container.store(proxy.port, block_byte_count=4 << 10, patience=IMPATIENT)
    with vault_with(tmp_path) as vault:
        proxy.plan = cut_after(proxy, 12)
        with pytest.raises(StoreUnavailableError):
            backup_database(vault.folder, store, "shop", "shop.abf", password="old", compress=False)
        proxy.wait_until_quiet()
        proxy.plan = lambda _: PASS
        old = {block.split(".")[1] for block in sent(proxy)}
        backup_database(vault.folder, store, "shop", "shop.abf", password=PASSWORD, compress=False)
        assert old.isdisjoint(block.split(".")[1] for block in sent(proxy)[len(old) :])
    with container.store().open("shop.abf") as stored, open_backup(stored, password=PASSWORD) as opened:
        assert opened.container.files


def test_what_is_derived_depends_on_secret_and_password_alone():
    def head(secret: bytes, password: str) -> bytes:
        with_seed = age.Encryptor(
            password, deferred_byte_count=0, seed=backup_try.derived(secret, "age"), work_factor=4
        )
        return with_seed.finish(b"").head

    one, two = bytes(32), bytes(31) + b"\1"
    heads = [head(one, "a"), head(one, "b"), head(two, "a"), head(two, "b")]
    assert head(one, "a") == heads[0]
    assert len(set(heads)) == 4
    lines = [head.split(b"\n") for head in heads]
    assert lines[0][1] == lines[1][1] != lines[2][1]  # the salt does not depend on the password
    assert len({line[2] for line in lines}) == 4
    # The payloads of an empty text: a nonce, and a tag under the payload key. The tag shows that the key is another.
    assert len({head[-16:] for head in heads}) == 4
    assert backup_try.upload_key(one) != backup_try.upload_key(two)
    assert backup_try.object_id(one) == backup_try.object_id(one) != backup_try.object_id(two)
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", backup_try.object_id(one))


def test_what_is_pinned_is_pinned_before_it_is_encrypted(tmp_path, monkeypatch):
    monkeypatch.setattr(backup_try, "PIECE_BYTE_COUNT", 1000)
    order = []

    class Recorded:
        def write(self, data):
            order.append(("sent", len(data)))

        def finish(self, head):
            order.append(("sent", len(head)))

    with UploadTry.begin(tmp_path, "x", bytes(32)) as this:
        pin = this.pin
        monkeypatch.setattr(this, "pin", lambda data: (pin(data), order.append(("pinned", len(data)))))
        upload = EncryptedUpload(Recorded(), age.Encryptor("p", deferred_byte_count=10, work_factor=4), this)
        upload.write(bytes(1500))
        upload.write(bytes(1500))
        upload.write(bytes(200_100))
        upload.finish(bytes(10))
    pinned = [count for what, count in order if what == "pinned"]
    assert pinned == [1000] * 203 + [100, 17]
    pinned_byte_count = sent_byte_count = 0
    for what, count in order[:-2]:
        if what == "pinned":
            pinned_byte_count += count
        else:
            sent_byte_count += count
            assert sent_byte_count <= pinned_byte_count


def test_a_try_of_another_version_or_other_options_begins_from_nothing(tmp_path, container, proxy):
    store = container.store(proxy.port, block_byte_count=16 << 10, patience=IMPATIENT)
    with vault_with(tmp_path) as vault:
        secrets = set()
        for options in ({"compress": True}, {"compress": False}, {"compress": False, "password": PASSWORD}):
            proxy.plan = cut_after(proxy, 5)
            with pytest.raises(StoreUnavailableError):
                backup_database(vault.folder, store, "shop", "shop.abf", **options)
            (record,) = records(tmp_path / "data")
            secrets.add(record.read_bytes()[40:72])
        proxy.plan = lambda _: PASS
        vault.backup("shop", "here.abf")
        assert records(tmp_path / "data") == [record]  # a folder needs none
        vault.restore("here.abf", overwrite=True)
        proxy.plan = cut_after(proxy, 5)
        with pytest.raises(StoreUnavailableError):
            backup_database(vault.folder, store, "shop", "shop.abf", compress=False, password=PASSWORD)
        secrets.add(record.read_bytes()[40:72])
        proxy.plan = lambda _: PASS
        assert len(secrets) == 4


def test_two_backups_at_once_under_one_name_do_not_share_a_secret(tmp_path, container, proxy):
    store = container.store(proxy.port, block_byte_count=16 << 10)
    with vault_with(tmp_path) as vault:
        inner = []

        def during(_progress):
            if not inner:
                inner.append(None)
                backup_database(vault.folder, store, "shop", "shop.abf", overwrite=True)

        with contextlib.suppress(StorageError):
            backup_database(vault.folder, store, "shop", "shop.abf", overwrite=True, progress=during)
    assert len({block[-8:] for block in sent(proxy)}) == 2
    assert names(container.store()) == ["shop.abf"]


def test_a_sas_that_expires_in_the_middle_is_named_and_a_new_one_goes_on(tmp_path, container, proxy, medium):
    data = tmp_path / "data"
    shutil.copytree(medium, data, copy_function=os.link)
    url = f"{container.account_url(proxy.port)}/{container.name}"

    def store_by(sas: str) -> AzureBlobStore:
        return AzureBlobStore(access_by_sas_url(f"{url}?{sas}"), block_byte_count=256 << 10)

    expires = time.monotonic() + 3
    old_sas = container.sas("rcw", valid=datetime.timedelta(seconds=3))
    pause = threading.Event()

    def plan(request):
        if len(proxy.calls("PUT block")) == 12:
            pause.wait(max(0.0, expires + 0.5 - time.monotonic()))
        return PASS

    proxy.plan = plan
    with DataFolder.open(data) as folder, store_by(old_sas) as begun, store_by(container.sas("rcw")) as renewed:
        with pytest.raises(StorageAccessError, match=r"Put Block of shop\.abf: the SAS expired at"):
            backup_database(folder, begun, "shop", "shop.abf", compress=False)
        proxy.wait_until_quiet()
        assert 0 < len(sent(proxy)) < 20
        proxy.plan = lambda _: PASS
        backup_database(folder, renewed, "shop", "shop.abf", compress=False)
    assert len(sent(proxy)) == len(set(sent(proxy))) >= 37
    assert len(digests(container)) == len(sent(proxy))


def test_the_facts_of_a_backup_lie_beside_it(tmp_path, container):
    with vault_with(tmp_path) as vault, container.plain() as client:
        for name, password in (("plain.abf", None), ("sealed.abf", PASSWORD)):
            result = backup_database(vault.folder, container.store(), "shop", name, password=password)
            facts = client.get_blob_client(name).get_blob_properties().metadata
            assert facts["tabvault_encrypted"] == ("false" if password is None else "true")
            assert datetime.datetime.fromisoformat(facts["tabvault_time"]).tzinfo is not None
            if password is None:
                assert facts["tabvault_database"] == "shop"
                assert facts["tabvault_raw_byte_count"] == str(result.raw_byte_count)
                assert facts["tabvault_file_count"] == str(result.file_count)
                assert facts["tabvault_compatibility_level"] == str(vault.folder.find("shop").compatibility_level)
            else:
                assert not {"tabvault_database", "tabvault_raw_byte_count"} & facts.keys()


def test_a_record_that_cannot_be_removed_is_told_and_the_next_backup_is_the_same_file(tmp_path, container, monkeypatch):
    def refuse(_this):
        raise StoreUnavailableError("the fault of the test")

    with vault_with(tmp_path) as vault:
        with monkeypatch.context() as patch:
            patch.setattr(UploadTry, "forget", refuse)
            result = backup_database(vault.folder, container.store(), "shop", "shop.abf")
        assert any("record of the upload" in warning for warning in result.warnings)
        first = digests(container)
        assert backup_database(vault.folder, container.store(), "shop", "shop.abf", overwrite=True).warnings == ()
        assert digests(container) == first
        backup_database(vault.folder, container.store(), "shop", "shop.abf", overwrite=True)
        assert digests(container) != first
