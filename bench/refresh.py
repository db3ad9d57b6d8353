"""
Refreshing a large fact table: rows per second, and the most memory that it takes.

What has to be in memory: the distinct values of every column, the rows of one segment for each partition that is read
at the time, and, of one column after the other, one data id of 4 bytes for each row, from which hierarchies with levels
and the indexes of relationships follow. The rest waits in temporary files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

ROW_COUNT = 5_000_000
PARTITION_COUNT = 2
CHILD = """
import json, sys, time
from pathlib import Path
from tabvault.jobs.processing.refresh import refresh_database
from tabvault.jobs.processing.request import RefreshKind, RefreshRequest
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.storage.data_folder.folder import DataFolder
def peak_kib():
    # Of this program alone; what the operating system accounts to a process begins with the memory of its parent.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

data = Path(sys.argv[1])
with DataFolder.open(data) as folder:
    idle = peak_kib()
    begun = time.monotonic()
    request = RefreshRequest(RefreshKind.FULL, parallelism=int(sys.argv[2]))
    result = refresh_database(folder, "retail", request, lambda info: SourceAccess(data, info.id))
    seconds = time.monotonic() - begun
peak = peak_kib()
print(json.dumps({"rows": result.row_count, "seconds": seconds, "idle_kib": idle, "peak_kib": peak,
                  "bytes": result.byte_count}))
"""


def prepare(folder: Path, *, row_count: int) -> Path:
    """A data folder with the retail model, over Parquet files that were not read yet; Sales in several partitions."""
    from tabvault.jobs.creation import create_database
    from tabvault.jobs.vault import Vault
    from tabvault.model.tmsl.parse import object_tree
    from tabvault.storage.server_state.source_folders import allow_folder
    from tabvault.testing.retail import retail, retail_model

    source = folder / "source"
    source.mkdir()
    tables = retail(sales_row_count=row_count).tables
    for name, rows in tables.items():
        if name != "Sales":
            pq.write_table(rows, source / f"{name}.parquet")
    part_row_count = -(-row_count // PARTITION_COUNT)
    for part in range(PARTITION_COUNT):
        pq.write_table(tables["Sales"].slice(part * part_row_count, part_row_count), source / f"Sales{part}.parquet")

    def read(file: str) -> dict[str, str]:
        return {"type": "m", "expression": f'Parquet.Document(File.Contents("{source / file}.parquet"))'}

    model = retail_model(read)
    for table in model["tables"]:
        if table["name"] == "Sales":
            table["partitions"] = [
                {"name": f"part {part}", "mode": "import", "source": read(f"Sales{part}")}
                for part in range(PARTITION_COUNT)
            ]
    data = folder / "data"
    with Vault(data) as vault:
        tree = object_tree("Model", model, place="model")
        create_database(vault.own_folder, "retail", compatibility_level=1550, model=tree)
        allow_folder(vault.data, source)
    return data


def measured(data: Path, *, parallelism: int) -> dict[str, float]:
    """What one refresh in a process of its own took."""
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(data), str(parallelism)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def report(scratch: Path, *, row_count: int = ROW_COUNT) -> list[str]:
    """Lines of Markdown."""
    with tempfile.TemporaryDirectory(prefix="refresh-", dir=scratch) as folder:
        subprocess.run(
            [sys.executable, "-m", "bench.refresh", folder, str(row_count)], check=True
        )  # its memory is not that of the refresh
        data = Path(folder) / "data"
        lines = ["| partitions at a time | rows | s | rows/s | memory, MiB | of it before, MiB |", "|" + "--:|" * 6]
        for parallelism in (1, PARTITION_COUNT):
            found = measured(data, parallelism=parallelism)
            lines.append(
                f"| {parallelism} | {found['rows']:,.0f} | {found['seconds']:.1f} | "
                f"{found['rows'] / found['seconds']:,.0f} | {found['peak_kib'] / 1024:.0f} | "
                f"{found['idle_kib'] / 1024:.0f} |"
            )
    return lines


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), row_count=int(sys.argv[2]))
