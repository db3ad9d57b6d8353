"""
``make bench``: measure, print, and write docs/benchmarks.md.

``python -m bench --size 256`` makes the large database that many MiB (2048 by default); ``--no-write`` only prints.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import azure, decode, encode, jobs, refresh, server

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = Path(os.environ.get("TABVAULT_SAMPLES", REPOSITORY.parent / "shared" / "samples"))

HEAD = """# Benchmarks

Written by `make bench`; each table is one run, and the figures to read are the ratios. Every command is a whole
process, start-up included, and takes turns with the others; medians of {runs} runs after one that does not count.

Machine: {machine}. Python {python}, pyarrow {arrow}, DuckDB {duckdb}. {day}.
"""


def machine() -> str:
    """Cores, memory, kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} shared cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def sections(scratch: Path, *, byte_count: int) -> list[Callable[[], list[str]]]:
    """What makes the lines of each section, in their order."""
    return [
        lambda: [
            "## Decoding every column of every table\n",
            *decode.report(SAMPLES),
            "\nGoal: at least 10 x pbixray. *From closed file* includes opening and unwrapping, which both do.",
            "Adventure Works has 180 columns, most of them tiny: half of its time is a fixed cost for each.\n",
        ],
        lambda: [
            "## Backup, restore, verify of a large database\n",
            *jobs.report(SAMPLES, scratch, byte_count=byte_count),
            "\nGoals: plain backup at least 0.8 of `cp` + fsync; memory of backup and restore under 256 MiB. Where a",
            "plain backup stays under it: `cp` copies inside the kernel, a backup reads every byte, checks its CRC and",
            "writes it, waits for the disk before the file appears, and removes the file that it replaces. The",
            "database is the June 2019 demo with the segments of its tables repeated",
            "(`tabvault.testing.large_database`): restic, which stores what repeats once, has an easy time with it.",
        ],
        lambda: [
            "\n## Backups in Azure Storage\n",
            *azure.report(SAMPLES, scratch),
            "\nGoals: put and get at least 0.95 of the client library alone; a backup straight to Azure as fast as the",
            "slower of backup and upload, not their sum; memory under 256 MiB. With the emulator on the same two cores",
            "everything waits for the processor. What Tabvault does besides counts in full there: the SHA-256 of each",
            "block, for the resuming, the MD5 of the whole, for whoever downloads it, 0.2 s more to start; and a",
            "backup beside its upload is no less work than one after the other. The second table is the usual case,",
            "in which they wait for the line. A restore also checks every byte, compares it with what is there, and",
            "keeps what it has fetched until it is done.",
        ],
        lambda: ["\n## The server\n", *server.report(SAMPLES, scratch)],
        lambda: [
            "\n## Encoding tables\n",
            *encode.report(SAMPLES, scratch),
            "\nGoals: at least half as fast as Parquet/zstd and 100 x pbix-mcp; at most 1.1 times the bytes of Parquet",
            "and at most 1.05 times those of the engine itself when genuine rows are shuffled first.",
        ],
        lambda: ["\n## Refreshing a large table\n", *refresh.report(scratch)],
    ]


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, metavar="MIB")
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    head = HEAD.format(
        runs=jobs.RUNS,
        machine=machine(),
        python=platform.python_version(),
        arrow=version("pyarrow"),
        duckdb=version("duckdb"),
        day=datetime.datetime.now(datetime.UTC).date(),
    )
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tabvault-bench-") as scratch:
        for section in (lambda: [head], *sections(Path(scratch), byte_count=options.size << 20)):
            found = section()
            print(*found, sep="\n", flush=True)  # as they come: the whole takes a quarter of an hour
            lines += found
    if not options.no_write:
        (REPOSITORY / "docs" / "benchmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
