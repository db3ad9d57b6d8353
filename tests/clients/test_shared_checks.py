"""The checks that were written against Microsoft's clients before there was a server, on this one."""

from __future__ import annotations

import json
import subprocess

import pytest

from clients.client import clients_python
from conftest import REPOSITORY, missing

pytest_plugins = ["clients.fixtures"]

CHECKS = REPOSITORY.parent / "shared" / "interop"
NEEDS_DAX = "2 DAX expressions would have to be computed anew, and this version computes none: 'Sales'[Calc], 'Dates'"
REFRESHING = {
    "SaveChanges: add measure / alter / remove / refresh",
    "TMSL backup / restore / delete / createOrReplace / refresh / sequence / alter",
}
"""
They end with a full refresh of a model with a calculated column and a calculated table, which cannot be computed here.

Nor could its rows be had: its M partition is ``let a=1 in a``, which is no table, and the server of its query partition
does not exist.
"""


@pytest.fixture(scope="module")
def outcomes(served) -> dict[str, dict]:
    program = CHECKS / "client_checks.py"
    if not program.exists():
        missing(f"the shared checks are not at {program}")
    command = [clients_python(), program.name, "core8", served.url, "everything.json"]
    done = subprocess.run(command, cwd=CHECKS, capture_output=True, check=True, timeout=180)
    return {outcome["name"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


def test_every_check_passes_that_needs_no_dax_computed(outcomes):
    assert len(outcomes) == 27
    failed = {name: outcome["detail"] for name, outcome in outcomes.items() if not outcome["ok"]}
    assert failed.keys() == REFRESHING, failed


@pytest.mark.parametrize("name", sorted(REFRESHING))
def test_a_check_that_refreshes_is_refused_by_name(outcomes, name):
    assert NEEDS_DAX in outcomes[name]["detail"]
