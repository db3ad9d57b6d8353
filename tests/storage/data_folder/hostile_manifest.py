"""Manifests as a hostile writer can change them: the digest that guards them goes along."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def change_manifest(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the first version of the database in the folder *place* says of itself."""
    path = place / "versions/00000001/manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    path.write_bytes(data)
    (place / "CURRENT").write_text(f"00000001 {hashlib.sha256(data).hexdigest()}\n")
