"""Decoding columns: cells per second beside pbixray, every value of every user table."""

from __future__ import annotations

import statistics
import time
import warnings
from typing import TYPE_CHECKING

import tabvault

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 5


def ours(path: Path) -> int:
    """Open the file, decode every column, count the cells."""
    with tabvault.open(path) as database:
        tables = [table.to_arrow() for table in database.tables]
    return sum(table.num_rows * table.num_columns for table in tables)


def peers(path: Path) -> int:
    """The same with pbixray, whose result is pandas frames."""
    from pbixray import PBIXRay

    model = PBIXRay(str(path))
    frames = [model.get_table(name) for name in model.tables]
    return sum(frame.shape[0] * frame.shape[1] for frame in frames)


def decoding_alone(path: Path) -> tuple[float, float, int]:
    """Median seconds of ours and of the peer for the columns only, the file being open, and the cells."""
    from pbixray import PBIXRay

    our_seconds, peer_seconds, cells = [], [], 0
    for _ in range(ROUNDS + 1):
        with tabvault.open(path) as database:
            begun = time.perf_counter()
            tables = [table.to_arrow() for table in database.tables]
            our_seconds.append(time.perf_counter() - begun)
            cells = sum(table.num_rows * table.num_columns for table in tables)
        model = PBIXRay(str(path))
        names = list(model.tables)
        begun = time.perf_counter()
        for name in names:
            model.get_table(name)
        peer_seconds.append(time.perf_counter() - begun)
    return statistics.median(our_seconds[1:]), statistics.median(peer_seconds[1:]), cells


def whole_file(path: Path) -> tuple[float, float]:
    """Median seconds from the path to every value, opening and unwrapping included."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS + 1):
        for name, function in (("ours", ours), ("peer", peers)):
            begun = time.perf_counter()
            function(path)
            seconds[name].append(time.perf_counter() - begun)
    return statistics.median(seconds["ours"][1:]), statistics.median(seconds["peer"][1:])


def report(samples: Path) -> list[str]:
    """Lines of a Markdown table."""
    warnings.simplefilter("ignore")
    lines = [
        "| sample | cells | tabvault, million cells/s | pbixray, million cells/s | ratio | ratio from closed file |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in ("Hugoberry__Adventure_Works_Internet_Sales.pbix", "microsoft__Corporate_Spend.pbix"):
        our_seconds, peer_seconds, cells = decoding_alone(samples / name)
        our_whole, peer_whole = whole_file(samples / name)
        title = name.partition("__")[2].removesuffix(".pbix").replace("_", " ")
        lines.append(
            f"| {title} | {cells:,} | {cells / our_seconds / 1e6:.1f} | {cells / peer_seconds / 1e6:.1f} "
            f"| {peer_seconds / our_seconds:.1f} x | {peer_whole / our_whole:.1f} x |"
        )
    return lines
