"""Commands that wait for their turn do not keep out what is to be answered at once, or is to stop them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from faces.server.services import ADMINISTRATOR, local_server
from faces.server.xmla import xmla_wire as wire
from tabvault.jobs.access.principal import Principal
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from pathlib import Path

OWNER = Caller(Principal("alice", "user", frozenset({"alice"}), administers_server=True), "127.0.0.1", "rest")
HEADERS = {"Content-Type": "text/xml", "Authorization": wire.basic(ADMINISTRATOR)}
WAITING_COUNT = 50
"""More than there are threads for requests that are answered at once (40)."""


def test_a_query_and_a_cancel_get_past_many_commands_that_wait(tmp_path: Path) -> None:
    over = threading.Event()
    answers: list[wire.Answer] = []
    with local_server(tmp_path, shop="Hugoberry__abc.pbix") as server:
        server.service.vault.backup("shop", "shop.abf")
        with wire.Client(server.url, HEADERS) as client:
            session_id = client.post(wire.begin_session()).session_id

            def restore(number: int) -> None:
                command = f"<File>shop.abf</File><DatabaseName>copy {number}</DatabaseName>"
                with wire.Client(server.url, HEADERS) as own:
                    answers.append(own.post(wire.in_session(session_id, wire.engine("Restore", command))))

            for _ in range(2):  # all the turns there are
                hold = Task(JobKind.VERIFY, None, {}, lambda _: over.wait(60))
                server.service.operations.submit(OWNER, hold)
            threads = [threading.Thread(target=restore, args=(number,)) for number in range(WAITING_COUNT)]
            try:
                for thread in threads:
                    thread.start()
                deadline_s = time.monotonic() + 30
                while len(server.service.runner.active()) < WAITING_COUNT + 2:
                    assert time.monotonic() < deadline_s
                    time.sleep(0.01)
                with wire.Client(server.url, HEADERS, timeout_s=10) as other:
                    assert other.post(wire.statement("EVALUATE 'ABC'", catalog="shop")).row_count == 6
                    cancel = wire.engine("Cancel", f"<SessionID>{session_id}</SessionID>")
                    assert other.post(wire.execute(cancel)).fault is None
                assert not answers
            finally:
                over.set()
                for thread in threads:
                    thread.join(60)
    assert len(answers) == WAITING_COUNT
    assert {info.name for info in server.service.folder.databases()} == {"shop"}
    assert {str(answer.fault) for answer in answers} == {"Cancelled by a Cancel command."}
