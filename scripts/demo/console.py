"""Commands as they are typed, and the comparison at the end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable

TABVAULT = str(Path(sys.executable).with_name("tabvault"))


class Console:
    """
    Runs commands on a data folder of its own and shows each before its output.

    Args:
        folder: for the data folder and the password file.
        shown: how long paths are shown.
    """

    def __init__(self, folder: Path, shown: dict[str, str]) -> None:
        self.data = folder / "vault"
        self.password_file = folder / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text("correct horse battery staple\n", encoding="utf-8")
        self.environment = os.environ | {"TABVAULT_DATA": str(self.data)}
        self._shown = {str(self.password_file): "password.txt", **shown}

    def tabvault(self, *arguments: str | Path) -> None:
        """Run a command; raises CalledProcessError when it fails."""
        texts = [str(argument) for argument in arguments]
        line = shlex.join(texts)
        for path, name in self._shown.items():
            line = line.replace(path, name)
        print(f"\n$ tabvault {line}", flush=True)
        subprocess.run([TABVAULT, *texts], check=True, env=self.environment)  # noqa: S603 - our own command

    def exported(self, database: str, to: Path) -> Path:
        """Every table as a Parquet file."""
        command = [TABVAULT, "export", database, "--to", str(to)]
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)  # noqa: S603 - as above
        return to


def compare(before: Path, after: Path) -> int:
    """Compare the tables exported before the backup and after the restore, value by value; returns 1 if they differ."""
    cells = 0
    names = sorted(path.name for path in before.iterdir())
    different = names != sorted(path.name for path in after.iterdir())
    for name in names if not different else []:
        one, other = plain(pq.read_table(before / name)), plain(pq.read_table(after / name))
        cells += one.num_rows * one.num_columns
        if not one.equals(other):
            print(f"DIFFERENT: {name}")
            different = True
    print(f"\n{len(names)} tables, {cells:,} values compared: {'DIFFERENT' if different else 'every one identical'}")
    return int(different)


def plain(rows: pa.Table) -> pa.Table:
    """Values alone: the same ones may stand in dictionaries of another order."""
    columns = [one.cast(one.type.value_type) if pa.types.is_dictionary(one.type) else one for one in rows.columns]
    return pa.table(columns, names=rows.column_names)


def byte_count(paths: Iterable[Path]) -> int:
    """Bytes of files."""
    return sum(path.stat().st_size for path in paths if path.is_file())
