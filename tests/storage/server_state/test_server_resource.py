"""What the management interface keeps of a server, on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, RequestError
from tabvault.storage.server_state.server_resource import (
    SKUS,
    ServerResource,
    Sku,
    load_server_resource,
    save_server_resource,
)

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "format_version": 1,
    "is_paused": True,
    "location": "West US",
    "sku": {"name": "S2", "tier": "Standard", "capacity": 3},
    "tags": [{"name": "team", "value": "finance"}],
    "querypool_connection_mode": "ReadOnly",
    "enable_power_bi_service": True,
    "managed_mode": 0,
    "server_monitor_mode": 1,
}


def written(folder: Path, **changes: object) -> Path:
    (folder / "server").mkdir(exist_ok=True)
    (folder / "server" / "server-resource.json").write_text(json.dumps(WRITTEN | changes))
    return folder


def test_a_document_by_hand_is_read(tmp_path):
    assert load_server_resource(written(tmp_path)) == ServerResource(
        True, "West US", Sku("S2", "Standard", 3), (("team", "finance"),), "ReadOnly", True, 0, 1
    )


def test_without_the_file_the_server_works_and_is_of_no_region(tmp_path):
    found = load_server_resource(tmp_path)
    assert (found.is_paused, found.location, found.sku.name, found.tags) == (False, "local", "S1", ())


@settings(deadline=None, max_examples=30)
@given(
    paused=st.booleans(),
    name=st.sampled_from(sorted(SKUS)),
    capacity=st.integers(2, 8),
    tags=st.dictionaries(st.text("abcäß🎈", min_size=1), st.text(max_size=256), max_size=5),
    mode=st.sampled_from(["All", "ReadOnly"]),
)
def test_what_is_saved_is_read_again(tmp_path_factory, paused, name, capacity, tags, mode):
    folder = tmp_path_factory.mktemp("resource")
    unique = {key.casefold(): (key, value) for key, value in tags.items()}
    sku = Sku(name, SKUS[name], capacity)
    resource = ServerResource(paused, sku=sku, tags=tuple(unique.values()), querypool_connection_mode=mode)
    save_server_resource(folder, resource)
    assert load_server_resource(folder) == resource


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"is_paused": 1}, "is_paused"),
        ({"location": ""}, "location"),
        ({"sku": {"name": "S3", "tier": "Standard", "capacity": 1}}, "sku"),
        ({"sku": {"name": "S1", "tier": "Basic", "capacity": 1}}, "sku"),
        ({"sku": {"name": "S1", "tier": "Standard", "capacity": 9}}, "sku.capacity"),
        ({"sku": None}, "sku"),
        ({"tags": [{"name": "a", "value": ""}, {"name": "A", "value": ""}]}, "tags"),
        ({"tags": [{"name": "", "value": ""}]}, "tags"),
        ({"tags": [{"name": "a", "value": "x" * 257}]}, "tags"),
        ({"tags": {"a": "b"}}, "tags"),
        ({"querypool_connection_mode": "all"}, "querypool_connection_mode"),
        ({"sku": {"name": "S1", "tier": "Standard", "capacity": 1}}, "querypool_connection_mode"),
        ({"managed_mode": 2}, "managed_mode"),
        ({"another": 1}, ""),
        ({"format_version": 2}, "format_version"),
    ],
)
def test_a_damaged_document_is_refused_with_its_place(tmp_path, changes, place):
    with pytest.raises(FormatError, match=f"^the server's settings cannot be used: {place}") as refused:
        load_server_resource(written(tmp_path, **changes))
    assert refused.value.file.endswith("server-resource.json")


def test_every_cut_of_a_document_is_refused(tmp_path):
    file = written(tmp_path) / "server" / "server-resource.json"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            load_server_resource(tmp_path)


@pytest.mark.parametrize("capacity", [0, -1, 9, 1 << 70])
def test_a_capacity_that_cannot_be_is_refused(capacity):
    with pytest.raises(RequestError, match="is not from 1 to 8"):
        Sku("S1", "Standard", capacity)
