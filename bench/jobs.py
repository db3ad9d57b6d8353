"""
Backup, restore and verify of a large database, beside copying the same bytes.

The physical limit is ``cp`` of the database's files and fsync of the copy. restic and borg store the same files where
Debian has them; they deduplicate and encrypt, so they do more and less: the ratio says what an administrator would
wait for.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.measure import Command, Measured, take_turns
from tabvault.jobs.vault import Vault
from tabvault.testing.large_database import make_large

RUNS = 3
MIB = 1 << 20


def make_database(data: Path, samples: Path, *, byte_count: int) -> tuple[int, Path]:
    """A large database in *data*; returns the bytes of its files and the folder they lie in."""
    with Vault(data) as vault:
        vault.import_file(str(samples / "microsoft__2019SU06_Blog_Demo_-_June.pbix"), "small")
        info = make_large(vault.folder, "small", "large", byte_count=byte_count)
        vault.drop("small")
        with vault.folder.read("large") as version:
            return info.byte_count, version.path("metadata.sqlitedb").parent


def report(samples: Path, scratch: Path, *, byte_count: int) -> list[str]:
    """Lines of a Markdown table and what they show."""
    data = scratch / "data"
    raw_byte_count, files = make_database(data, samples, byte_count=byte_count)
    tabvault = str(Path(sys.executable).with_name("tabvault"))
    container = data / "storage" / "backups"

    def command(name: str, *arguments: str) -> Command:
        return Command(name, [tabvault, *arguments, "--data", str(data)])

    copy = scratch / "copy"
    commands = [
        Command(
            "cp + fsync",
            ["sh", "-c", f"cp -r '{files}' '{copy}' && sync '{copy}' $(find '{copy}' -type f | sed 's/ /?/g')"],
            prepare=lambda: shutil.rmtree(copy, ignore_errors=True),
        ),
        Command(
            "cat + fsync, one file",
            ["sh", "-c", f"find '{files}' -type f -print0 | xargs -0 cat > '{copy}.one' && sync '{copy}.one'"],
        ),
        command("backup, plain", "backup", "large", "plain.abf", "--overwrite", "--no-compress"),
        command("backup, compressed", "backup", "large", "small.abf", "--overwrite"),
        command("restore, plain", "restore", "plain.abf", "copy", "--overwrite"),
        command("restore, compressed", "restore", "small.abf", "copy", "--overwrite"),
        command("verify, plain", "verify", "storage:plain.abf"),
    ]
    commands += _peers(scratch, files)
    measured = take_turns(commands, runs=RUNS)
    limit = measured["cp + fsync"].seconds
    lines = [
        (
            f"{raw_byte_count / MIB:,.0f} MiB of database files; plain backup {_mib(container / 'plain.abf')}, "
            f"compressed {_mib(container / 'small.abf')}."
        ),
        "",
        "| what | MB/s of database files | of cp + fsync | peak memory, MiB |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [_line(each, raw_byte_count, limit) for each in measured.values()]
    return lines


def _peers(scratch: Path, files: Path) -> list[Command]:
    """Restic and borg into a fresh repository each time, where they are installed."""
    found = []
    if restic := shutil.which("restic"):
        repository = scratch / "restic"

        def fresh_restic() -> None:
            import subprocess

            shutil.rmtree(repository, ignore_errors=True)
            subprocess.run(
                [restic, "init", "-q", "-r", str(repository)],
                check=True,
                env={"RESTIC_PASSWORD": "p", "HOME": str(scratch)},
            )

        found.append(
            Command(
                "restic backup",
                [restic, "backup", "-q", "--no-cache", "-r", str(repository), str(files)],
                prepare=fresh_restic,
                environment={"RESTIC_PASSWORD": "p", "HOME": str(scratch)},
            )
        )
    if borg := shutil.which("borg"):
        borg_repository = scratch / "borg"
        environment = {"BORG_PASSPHRASE": "p", "BORG_BASE_DIR": str(scratch / "borg-home")}

        def fresh_borg() -> None:
            import os
            import subprocess

            shutil.rmtree(borg_repository, ignore_errors=True)
            subprocess.run(
                [borg, "init", "-e", "repokey-blake2", str(borg_repository)],
                check=True,
                env=os.environ | environment,
                stderr=subprocess.DEVNULL,
            )

        found.append(
            Command(
                "borg create",
                [borg, "create", f"{borg_repository}::one", str(files)],
                prepare=fresh_borg,
                environment=environment,
            )
        )
    return found


def _line(each: Measured, byte_count: int, limit: float) -> str:
    speed = byte_count / each.seconds / 1e6
    return f"| {each.name} | {speed:,.0f} | {limit / each.seconds:.2f} | {each.peak_byte_count / MIB:,.0f} |"


def _mib(path: Path) -> str:
    return f"{path.stat().st_size / MIB:,.0f} MiB"
