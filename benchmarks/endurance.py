"""Whether a collector holds its pace, and its memory stays what it is, over ten minutes of steady load."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.intake import (
    BUNDLE,
    GRATIA_AIM,
    GRATIA_DOOR,
    NATIVE_AIM,
    NATIVE_DOOR,
    batches,
    bundles,
    collector,
    must_be_in_the_books,
    sending,
    waiting,
)
from benchmarks.measuring import WRITTEN, Row, held_bytes
from benchmarks.senders import FIRST, MOST_RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINUTES = 10.0
LINES = 10_000
CONNECTIONS = 10
FLAT = 1.1
AT_THE_END_S = 60.0  # what may still wait when the sender stops, at most


@dataclass(frozen=True)
class _Kind:
    name: str
    make: Callable[[Path, int, int], None]
    path: str
    good: str
    per_second: int
    each: int
    bodies: int


_KINDS = (
    _Kind("Gratia bundles of 100", bundles, GRATIA_DOOR, "OK", GRATIA_AIM, BUNDLE, 100),
    _Kind("native batches of 10,000 lines", batches, NATIVE_DOOR, "batch", NATIVE_AIM, LINES, 10),
)


def endurance(folder: Path, quick: bool, minutes: float = MINUTES) -> list[Row]:
    """One row a door: the pace of the aim, held for some minutes, each door with a collector of its own."""
    minutes = 0.5 if quick else minutes
    return [
        row for number, kind in enumerate(_KINDS) for row in _steady(folder / f"{number}", kind, minutes * 60)
    ]


def _steady(folder: Path, kind: _Kind, seconds: float) -> list[Row]:
    bodies = folder / "bodies"
    folder.mkdir()
    kind.make(bodies, kind.bodies * kind.each, FIRST)
    rounds = max(2, round(seconds * kind.per_second / (kind.bodies * kind.each)))
    records = rounds * kind.bodies * kind.each
    assert kind.bodies * kind.each <= MOST_RECORDS
    with collector(folder / "home") as (process, port):
        began = time.monotonic()
        command = [
            *sending(bodies, port, kind.path, kind.good, CONNECTIONS),
            *("--rounds", str(rounds), "--per-second", str(kind.per_second / kind.each)),
        ]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        held: list[tuple[float, int]] = []
        while sender.poll() is None:
            held.append((time.monotonic() - began, held_bytes(process.pid, WRITTEN)))
            time.sleep(1)
        sent = json.loads(sender.communicate()[0])
        while waiting(port):
            time.sleep(0.1)
        took = time.monotonic() - began
        must_be_in_the_books(port, records)
    rate = records / took
    early, late = _median(held, seconds * 0.1, seconds * 0.2), _median(held, seconds * 0.9, seconds)
    answers = f"p50 {sent['p50_ms']:.0f} ms, p99 {sent['p99_ms']:.0f} ms, the last in the books {took - sent['seconds']:.1f} s after its answer"
    name = f"(g) {kind.name} for {seconds / 60:.3g} minutes"
    held_its_pace = (
        rate >= kind.per_second * seconds / (seconds + AT_THE_END_S) and sent["seconds"] < seconds * 1.02
    )
    return [
        Row(
            f"{name}: pace", f"{rate:,.0f} records/s, {records:,} in all", answers, rate / kind.per_second, f"{kind.per_second:,}/s held",
            held_its_pace,
        ),
        Row(
            f"{name}: memory", f"{late / 1024**2:,.0f} MiB in the last tenth", f"{early / 1024**2:,.0f} MiB in the second tenth", late / early,
            f"≤ {FLAT}", late / early <= FLAT, f"at most {max(size for _, size in held) / 1024**2:,.0f} MiB, all processes, what they wrote",
        ),
    ]  # fmt: skip


def _median(held: list[tuple[float, int]], first: float, until: float) -> float:
    return statistics.median(size for moment, size in held if first <= moment < until)
