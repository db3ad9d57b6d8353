"""
Measuring a whole process, and comparing two of them on a noisy machine.

Each figure is the median of several runs in which the commands take turns, so that a slow minute of the machine is
slow for all of them. Memory is the peak resident set of the process as the operating system accounts it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Command:
    """A process to measure. *prepare* runs before each of its runs and is not timed."""

    name: str
    arguments: Sequence[str]
    prepare: Callable[[], object] = lambda: None
    environment: dict[str, str] | None = None


@dataclass(frozen=True)
class Measured:
    """Medians over the runs of one command."""

    name: str
    seconds: float
    peak_byte_count: int


def run_once(command: Command) -> tuple[float, int]:
    """Seconds and peak resident bytes of one run; raises when it fails."""
    command.prepare()
    os.sync()
    ran = subprocess.run(
        [sys.executable, "-S", "-E", str(LAUNCH), *command.arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (command.environment or {}),
    )
    if ran.returncode:
        raise RuntimeError(f"{command.name} failed with {ran.returncode}: {ran.stderr[-2000:]}")
    seconds, byte_count = ran.stdout.split()
    return float(seconds), int(byte_count)


def take_turns(commands: Sequence[Command], *, runs: int) -> dict[str, Measured]:
    """Each command *runs* times, one after the other in rounds, after one round that does not count."""
    seen: dict[str, list[tuple[float, int]]] = {command.name: [] for command in commands}
    for round_index in range(runs + 1):
        for command in commands:
            result = run_once(command)
            if round_index:
                seen[command.name].append(result)
    return {
        name: Measured(name, statistics.median(s for s, _ in results), max(b for _, b in results))
        for name, results in seen.items()
    }
