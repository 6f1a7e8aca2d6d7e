"""Times a piece of work, and runs a command while watching the memory of all its processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GRIDKEEPER = Path(sys.executable).parent / "gridkeeper"


@dataclass(frozen=True)
class Row:
    """One row of the table: what was measured against what, their ratio, the aim, and how far the limit is."""

    name: str
    ours: str
    against: str
    ratio: float | None
    aim: str
    met: bool | None
    limit: str = ""


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """The least time of some runs of a piece of work, in seconds."""
    least = float("inf")
    for _ in range(times):
        gc.collect()
        began = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - began)
    return least


def on_one_core(work: Callable[[], float]) -> float:
    """Run a piece of work with this process (and its threads) on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return work()
    finally:
        os.sched_setaffinity(0, cores)


def command(*arguments: str | Path) -> float:
    """Run gridkeeper with these arguments to its end; seconds from start to the last byte."""
    began = time.perf_counter()
    subprocess.run([str(GRIDKEEPER), *map(str, arguments)], check=True, capture_output=True)
    return time.perf_counter() - began


def peak_bytes(arguments: Sequence[str | Path]) -> tuple[float, int]:
    """Run gridkeeper; seconds, and the most memory that it and all its processes held at one moment (proportional set)."""
    began = time.perf_counter()
    process = subprocess.Popen([str(GRIDKEEPER), *map(str, arguments)], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, held_bytes(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"gridkeeper {arguments} ended with {process.returncode}")
    return time.perf_counter() - began, most


ALL = ("Pss",)
# Without files that are mapped (programs, libraries): a share of those grows and shrinks with whoever else runs.
WRITTEN = ("Pss_Anon", "Pss_Shmem", "SwapPss")


def held_bytes(pid: int, kinds: Sequence[str] = ALL) -> int:
    """The memory that a process and its children hold now (proportional set), of these kinds."""
    return sum(_held(each, kinds) for each in [pid, *_children(pid)])


def _children(pid: int) -> list[int]:
    try:
        direct = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (OSError, ValueError):
        return []
    return direct + [grandchild for child in direct for grandchild in _children(child)]


def _held(pid: int, kinds: Sequence[str]) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        return sum(int(line.split()[1]) * 1024 for line in lines if line.split(":")[0] in kinds)
    except (OSError, ValueError):
        return 0
