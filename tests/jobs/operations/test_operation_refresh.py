"""Who may process a database may take its values away, and change nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from operated_server import make_shop, operated_server, user

from tabvault.errors import NotAuthorizedError
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.model.changes.change import Change
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.object_types import OBJECT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from operated_server import OperatedServer

CLEAR_MODEL = Change("clear", OBJECT_TYPES["Model"], {})
PRO = user("pro")
"""Member of a role that processes and does not read."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OperatedServer]:
    make_shop(tmp_path / "data")
    with operated_server(tmp_path / "data") as made:
        yield made


def row_counts(server: OperatedServer, database: str) -> dict[str, int]:
    with server.vault.open(database) as opened:
        return {table.name: table.row_count for table in opened.model.tables}


def test_who_may_only_process_clears_the_values_and_the_job_is_a_refresh(server: OperatedServer) -> None:
    assert any(row_counts(server, "shop").values())
    for expected_version in (3, 4):  # the second one writes the files of the first again
        with server.operations.alterations.begin_refresh(PRO, "shop") as alteration:
            alteration.change([CLEAR_MODEL])
            task = server.operations.alterations.commit(PRO, alteration)
            assert (task.kind, task.options) == (JobKind.REFRESH, {})
            assert server.operations.run(PRO, task)["version"] == expected_version
        assert set(row_counts(server, "shop").values()) == {0}
        assert server.vault.verify("shop").ok
    with server.vault.own_folder.read("shop") as version:
        assert METADATA_FILE in version.names()
        assert not [name for name in version.names() if name.endswith((".dictionary", ".hidx"))]


def test_a_refresh_that_changes_an_object_as_well_is_for_administrators(server: OperatedServer) -> None:
    rename = Change("alter", OBJECT_TYPES["Model"], {"Description": "mine"})
    with server.operations.alterations.begin_refresh(PRO, "shop") as alteration:
        alteration.change([CLEAR_MODEL, rename])
        task = server.operations.alterations.commit(PRO, alteration)
        assert task.kind is JobKind.ALTER
        with pytest.raises(NotAuthorizedError):
            server.operations.run(PRO, task)
    assert any(row_counts(server, "shop").values())


@pytest.mark.parametrize("name", ["non", "rea", "nobody"])
def test_who_may_not_process_a_database_does_not_begin(server: OperatedServer, name: str) -> None:
    with pytest.raises(NotAuthorizedError):
        server.operations.alterations.begin_refresh(user(name), "shop")
