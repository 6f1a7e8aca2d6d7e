"""How long it takes to say what a correction would change, of a month of many records."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks import material
from benchmarks.measuring import GRIDKEEPER, Row
from gridkeeper.config import Home
from gridkeeper.federation.model import read_registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 10_000_000
DAYS = 30
AIM_S = 5.0
# One that fits every record of the month, and one of a single site's.
ACTS = {
    "all of them": "match: {resource: {pattern: 'SITE_*'}}\n    set: {processors: {1: 2, 4: 8, 8: 16, 16: 32}}",
    "those of one site": "match: {resource: SITE_03}\n    set: {vo: osg}",
}
FILE = """\
corrections:
  - id: measured
    reason: to be measured
    author: alice
    ticket: none
    period: {{first: {first}, until: {until}}}
    {act}
"""


def corrections(folder: Path, quick: bool) -> list[Row]:
    """A preview at the console, from start to the last byte."""
    records = 100_000 if quick else RECORDS
    home = Home(folder / "home")
    home.create()
    home.corrections.mkdir()
    lake = Lake(home.lake, DuckDB(spill=folder / "spill"), LAYOUTS)
    material.fill(lake, 0, records, a_day=-(-records // DAYS))
    refresh(lake, read_registry(home.federation))
    until = material.LAST_END.date() + timedelta(days=1)
    rows = []
    for what, act in ACTS.items():
        text = FILE.format(first=until - timedelta(days=DAYS + 2), until=until, act=act)
        (home.corrections / "measured.yaml").write_text(text, encoding="utf-8")
        took, fitted = min(_previewed(home) for _ in range(2))
        rows.append(
            Row(
                f"(j) preview of a correction of {fitted:,} of {records:,} records of a month, {what}", f"{took:.2f} s", "", took / AIM_S,
                f"< {AIM_S:.0f} s", took < AIM_S,
            )
        )  # fmt: skip
    return rows


def _previewed(home: Home) -> tuple[float, int]:
    """Seconds, and how many records the correction fits."""
    command = [str(GRIDKEEPER), "--home", str(home.path), "corrections", "preview", "measured", "--json"]
    began = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    return took, json.loads(said.stdout)["corrections"][0]["records"]
