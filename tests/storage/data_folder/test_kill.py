"""``kill -9`` at any moment leaves the old version or the new one, whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from tabvault.storage.data_folder.folder import DataFolder

KILL_COUNT = 50

# The parent forks a child for each round, so that the modules are loaded once.
PROGRAM = """
import itertools, os, sys
from pathlib import Path
from tabvault.storage.data_folder.folder import DataFolder

def child(path):
    with DataFolder.open(path) as folder:
        os.write(1, b"%d\\n" % os.getpid())
        for number in itertools.count():
            info = next(iter(folder.databases()), None)
            if number % 7 == 6:
                folder.drop(info)
                continue
            with folder.stage() as staged:
                if info is not None:
                    with folder.read(info.name) as old:
                        staged.link(old, "shared")
                        start = int(old.read("a")) + 1
                else:
                    staged.add("shared", [b"s" * 1000], byte_count=1000, last_write_time=0, group_class=0)
                    start = 0
                for name in "abc":
                    body = b"%020d" % start
                    staged.add(name, [body], byte_count=20, last_write_time=0, group_class=0)
                staged.commit(name="Sales", database_id="s", compatibility_level=1500, read_write_mode="readWrite",
                              container={}, replaces=info)

for _ in sys.stdin:
    if os.fork() == 0:
        try:
            child(Path(sys.argv[1]))
        finally:
            os._exit(1)
    os.wait()
    os.write(1, b"ended\\n")
"""


def test_a_process_killed_at_random_moments_leaves_the_old_or_the_new_version(tmp_path):
    path = tmp_path / "data"
    moments = random.Random(20)
    seen = set()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as parent:
        for _ in range(KILL_COUNT):
            parent.stdin.write("go\n")
            child = int(parent.stdout.readline())
            time.sleep(moments.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "ended\n"
            seen.add(check(path))
        parent.stdin.close()
    assert len(seen) > 10, "the children were killed before they did anything"


def check(path):
    """Open what the killed process left; which version there is."""
    with DataFolder.open(path) as folder:
        databases = folder.databases()
        assert len(databases) <= 1
        for info in databases:
            assert info.damage is None
            with folder.read(info.name) as reader:
                for name in reader.names():
                    reader.check(name)
                assert list(reader.names()) == ["shared", "a", "b", "c"]
                assert len({reader.read(name) for name in "abc"}) == 1
                return (info.key, reader.read("a"))
    return None
