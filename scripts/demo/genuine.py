"""
``make demo``: a genuine backup through the whole life of a database, with the real commands and their real output.

Import, look, back up compressed and encrypted, verify, drop, restore, and compare every value with what came in.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = Path(os.environ.get("TABVAULT_SAMPLES", REPOSITORY.parent / "shared" / "samples"))
SAMPLE = SAMPLES / "Hugoberry__Adventure_Works_Internet_Sales.pbix"
SALES = (
    'SELECT SalesTerritoryGroup, sum(SalesAmount)::DECIMAL(12,2) AS sales FROM "Internet Sales" '
    'JOIN "Sales Territory" USING (SalesTerritoryKey) GROUP BY ALL ORDER BY 2 DESC'
)
TABVAULT = str(Path(sys.executable).with_name("tabvault"))


def main() -> int:
    """Run the demonstration; the exit status is that of the first command that fails."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    if not file.is_file():
        print(f"no file {file}\nhint: make demo FILE=path/to/your.abf (or .pbix)", file=sys.stderr)
        return 2
    data = Path(tempfile.mkdtemp(prefix="tabvault-demo-"))
    try:
        return demonstrate(file, data)
    except subprocess.CalledProcessError as error:
        return error.returncode
    finally:
        shutil.rmtree(data, ignore_errors=True)


def demonstrate(file: Path, data: Path) -> int:
    """Every step in turn."""
    password_file = data / "password"
    password_file.touch(mode=0o600)
    password_file.write_text("correct horse battery staple\n", encoding="utf-8")
    environment = os.environ | {"TABVAULT_DATA": str(data / "vault"), "TABVAULT_DEMO_PASSWORD": str(password_file)}

    def tabvault(*arguments: str) -> None:
        shown = shlex.join(arguments)
        print(
            f"\n$ tabvault {shown}".replace(str(password_file), "password.txt").replace(str(file), file.name),
            flush=True,
        )
        subprocess.run([TABVAULT, *arguments], check=True, env=environment)  # noqa: S603 - our own command

    def values(folder: str) -> Path:
        to = data / folder
        subprocess.run(  # noqa: S603 - our own command
            [TABVAULT, "export", "demo", "--to", str(to)], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        return to

    tabvault("import", str(file), "demo")
    tabvault("databases")
    tabvault("query", "demo", "SELECT ID, Name FROM $SYSTEM.TMSCHEMA_TABLES ORDER BY Name")
    if file == SAMPLE:
        tabvault("query", "demo", SALES)
    before = values("before")
    tabvault("backup", "demo", "nightly/demo.abf", "--encrypt", "--password-file", str(password_file))
    tabvault("storage", "list")
    tabvault("verify", "storage:nightly/demo.abf", "--password-file", str(password_file))
    tabvault("drop", "demo", "--yes")
    tabvault("restore", "nightly/demo.abf", "--password-file", str(password_file))
    return compare(before, values("after"))


def compare(before: Path, after: Path) -> int:
    """Compare the tables exported before the backup and after the restore, value by value."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - not needed when the arguments are wrong

    cells = 0
    names = sorted(path.name for path in before.iterdir())
    different = names != sorted(path.name for path in after.iterdir())
    for name in names if not different else []:
        one, other = pq.read_table(before / name), pq.read_table(after / name)
        cells += one.num_rows * one.num_columns
        if not one.equals(other):
            print(f"DIFFERENT: {name}")
            different = True
    print(f"\n{len(names)} tables, {cells:,} values compared: {'DIFFERENT' if different else 'every one identical'}")
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
