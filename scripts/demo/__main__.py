"""
``make demo``: the whole life of a database, with the real commands and their real output.

Without a file a retail star schema is made, loaded from real sources, backed up, dropped and restored; with
``FILE=path`` a genuine backup goes that way. In both, every value is compared at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import genuine
import retail_life


def main() -> int:
    """Run the demonstration; the exit status is that of the first command that fails."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if file is not None and not file.is_file():
        print(f"no file {file}\nhint: make demo FILE=path/to/your.abf (or .pbix)", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="tabvault-demo-"))
    try:
        return retail_life.demonstrate(folder) if file is None else genuine.demonstrate(file, folder)
    except subprocess.CalledProcessError as error:
        return error.returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
