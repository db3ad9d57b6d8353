"""
Run by the Python of Microsoft's clients: models as the tabular object model writes and reads them as TMDL.

Each line of standard input is a JSON object, and each line of standard output the answer, ``{"error": …}`` where the
library refuses:

* ``{"write": database}``: ``{"files": {path: text}}``, the TMDL folder of a database of TMSL;
* ``{"read": files}``: ``{"database": …}``, TMSL of a TMDL folder;
* ``{"rewrite": database}``: ``{"database": …}``, TMSL as the library writes it;
* ``{"schema": true}``: the JSON schema of TMDL that the library publishes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "microsoft"))

from library import load


def main() -> None:
    load()
    import Microsoft.AnalysisServices as Amo
    import Microsoft.AnalysisServices.Tabular as Tom
    from System import Exception as NetError

    options = Tom.SerializeOptions()
    options.IgnoreTimestamps = options.IgnoreInferredProperties = options.IgnoreInferredObjects = True
    options.SplitMultilineStrings = True

    def database(text: str) -> object:
        return Tom.JsonSerializer.DeserializeDatabase(text, Tom.DeserializeOptions(), Amo.CompatibilityMode.PowerBI)

    def tmsl(read: object) -> dict:
        read.CompatibilityMode = Amo.CompatibilityMode.PowerBI
        return json.loads(Tom.JsonSerializer.SerializeDatabase(read, options))

    def answer(request: dict, folder: Path) -> dict:
        if "schema" in request:
            return json.loads(Tom.TmdlSerializer.GenerateSchema())
        if "rewrite" in request:
            return {"database": tmsl(database(json.dumps(request["rewrite"])))}
        if "write" in request:
            Tom.TmdlSerializer.SerializeDatabaseToFolder(database(json.dumps(request["write"])), str(folder))
            files = (path for path in folder.rglob("*") if path.is_file())
            return {"files": {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in files}}
        for name, text in request["read"].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return {"database": tmsl(Tom.TmdlSerializer.DeserializeDatabaseFromFolder(str(folder)))}

    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = answer(json.loads(line), Path(folder))
            except NetError as error:
                said = {"error": str(error).partition("   at ")[0]}
        print(json.dumps(said), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
