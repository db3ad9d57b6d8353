"""Killed in the middle of jobs: what was running is shown as interrupted, and what it left is collected."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from tabvault.jobs.open_container import OpenContainer
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.server_state.job import JobState
from tabvault.storage.server_state.job_records import JobRecords

if TYPE_CHECKING:
    from pathlib import Path

SERVER = """
    import os, sys, threading
    from pathlib import Path
    from tabvault.errors import TabvaultError
    from tabvault.jobs.open_container import OpenContainer
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.runner.exclusion import JobKind
    from tabvault.jobs.runner.runner import JobRunner
    from tabvault.storage.data_folder.folder import DataFolder
    from tabvault.storage.server_state.job_records import JobRecords

    def say(*words):
        os.write(1, (" ".join(words) + "\\n").encode())  # in one piece: print of several threads mixes their lines

    def work(context):
        # What a backup and a restore have open in their middle.
        with store.create(f"{context.job_id}.abf", replace=False) as upload, folder.stage():
            for done in range(3):
                upload.write(b"x" * 10_000)
                context.progress(Progress("writing", done, 3))
            upload.finish()
        say("did", context.job_id)

    def ask(name):
        while True:
            try:
                common = dict(requested_by="a", origin=None, interface="cli", options={}, work=work, on_end=told)
                job = runner.submit(JobKind.RESTORE, name, **common)
                say("asked", job.id)
                runner.run(JobKind.BACKUP, name, **common)
            except TabvaultError:
                pass

    def told(job):
        say(job.state, job.id)

    path = Path(sys.argv[1])
    folder = DataFolder.open(path)
    store = OpenContainer(path).store
    records = JobRecords.open(path)
    runner = JobRunner(records)
    threads = [threading.Thread(target=ask, args=(name,)) for name in ("Sales", "Stock", "Staff")]
    for thread in threads:
        thread.start()
"""


def kill_one(folder: Path, delay_s: float) -> dict[str, set[str]]:
    """What a server said before it was killed, by job."""
    said: dict[str, set[str]] = {}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline()]
        time.sleep(delay_s)
        process.kill()
        lines += process.stdout
    for line in lines:
        if line.endswith("\n") and len(line.split()) == 2:
            word, job_id = line.split()
            said.setdefault(job_id, set()).add(word)
    return said


def test_after_20_kills_every_job_has_an_end_and_nothing_is_left_of_the_interrupted_ones(tmp_path):
    interrupted = 0
    chance = random.Random(20)
    for _ in range(20):
        said = kill_one(tmp_path, chance.uniform(0.0, 0.05))
        with contextlib.closing(DataFolder.open(tmp_path)), JobRecords.open(tmp_path) as records:
            names = {info.name for info in OpenContainer(tmp_path).store.list()}
            assert list((tmp_path / "staging").iterdir()) == []
            assert list((tmp_path / "storage/backups/.tabvault-uploads").glob("*")) == []
            assert records.warnings == []
            assert {records.get(job.id).state for job in records.interrupted} <= {JobState.INTERRUPTED}
            interrupted += len(records.interrupted)
            for job_id, words in said.items():
                job = records.get(job_id)
                assert job.state.is_final
                if "succeeded" in words:
                    assert job.state is JobState.SUCCEEDED
                assert job.state in {JobState.SUCCEEDED, JobState.INTERRUPTED}
                if job.state is JobState.SUCCEEDED or "did" in words:
                    assert f"{job_id}.abf" in names
                if job.state is JobState.INTERRUPTED:
                    assert (job.error.code, job.error.hint) == ("job_interrupted", "start it again")
            for state in (JobState.QUEUED, JobState.RUNNING):
                assert records.list(state=state) == ()
    assert interrupted >= 20
