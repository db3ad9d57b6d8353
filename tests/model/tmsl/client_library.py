"""
Run by the Python of Microsoft's clients: reads models with the tabular object model and writes them again.

Standard input: a JSON array of databases. Standard output: an object with ``databases``, each as the library writes it
(times, inferred properties and objects ignored, texts split), ``enumerations``, words with their numbers,
``levels``, the compatibility levels of classes (under the empty name) and their properties, and ``schema``, the JSON
schema of a database at compatibility level 1000000.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import tempfile
from pathlib import Path


def _folder(package: str, *parts: str) -> Path:
    return Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)), *parts)


def _load() -> None:
    os.environ.setdefault("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
    from clr_loader import get_coreclr
    from pythonnet import set_runtime

    framework = {"name": "Microsoft.NETCore.App", "version": "8.0.0"}
    config = Path(tempfile.mkdtemp()) / "runtime.json"
    config.write_text(json.dumps({"runtimeOptions": {"framework": framework, "rollForward": "latestMinor"}}), "utf-8")
    set_runtime(get_coreclr(runtime_config=str(config), dotnet_root=str(_folder("dnv", "net", "runtime", ".net"))))
    import clr

    library = _folder("sempy", "lib")
    sys.path.append(str(library))
    for name in (".Core", "", ".Tabular.Json", ".Tabular"):
        clr.AddReference(str(library / f"Microsoft.AnalysisServices{name}.dll"))


def _level(member: object) -> int:
    """The lowest compatibility level of any product that has the class or property."""
    for attribute in member.GetCustomAttributesData():
        if "CompatibilityRequirement" in str(attribute):
            return min(map(int, re.findall(r"\d{4}", str(attribute))), default=1_000_000)
    return 1200


def main() -> None:
    _load()
    import Microsoft.AnalysisServices as Amo
    import Microsoft.AnalysisServices.Tabular as Tom
    import System

    options = Tom.SerializeOptions()
    options.IgnoreTimestamps = options.IgnoreInferredProperties = options.IgnoreInferredObjects = True
    options.SplitMultilineStrings = True
    power_bi = Amo.CompatibilityMode.PowerBI
    databases = []
    for database in json.load(sys.stdin):
        read = Tom.JsonSerializer.DeserializeDatabase(json.dumps(database), Tom.DeserializeOptions(), power_bi)
        databases.append(json.loads(Tom.JsonSerializer.SerializeDatabase(read, options)))
    assembly = next(a for a in System.AppDomain.CurrentDomain.GetAssemblies() if a.GetName().Name.endswith(".Tabular"))
    enumerations = {
        str(type_.Name): {
            str(name): int(System.Convert.ToInt64(System.Enum.Parse(type_, name)))
            for name in System.Enum.GetNames(type_)
        }
        for type_ in assembly.GetExportedTypes()
        if type_.IsEnum
    }
    levels = {
        str(type_.Name): {"": _level(type_), **{str(prop.Name): _level(prop) for prop in type_.GetProperties()}}
        for type_ in assembly.GetExportedTypes()
        if type_.IsClass
    }
    schema = json.loads(Tom.JsonSerializer.GenerateSchema(Tom.Database, Tom.SerializeOptions(), 1_000_000, power_bi))
    answer = {"databases": databases, "enumerations": enumerations, "levels": levels, "schema": schema}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
