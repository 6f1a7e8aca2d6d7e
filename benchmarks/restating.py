"""How long it takes to publish a year and to say what changed since: late records all over it, revisions, a renamed site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import material
from benchmarks.measuring import Row, command, seconds
from gridkeeper.config import Home
from gridkeeper.federation.model import read_registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

RECORDS, FEW_RECORDS, PORTION = 10_000_000, 200_000, 500_000
LATE_PART, REVISED_PART = 100, 1000
MOST_S = 10.0
YEAR = ("--first", "2016-02-15", "--until", "2017-02-15")


def restating(folder: Path, quick: bool) -> list[Row]:
    records = FEW_RECORDS if quick else RECORDS
    home = Home(folder / "home")
    home.create()
    lake = Lake(home.lake, DuckDB(spill=folder / "spill"), LAYOUTS)
    a_day = records // 365
    material.fill(lake, 0, records, PORTION, a_day=a_day)
    refresh(lake, read_registry(home.federation))
    published = command("--home", home.path, "publish", "production", *YEAR, "--as-of", "2017-03-01")
    late, revised = records // LATE_PART, records // REVISED_PART
    lake.append(USAGE_RECORDS, material.rows(0, late, a_day // LATE_PART))
    known = material.rows(0, min(records, PORTION), a_day)  # as they were made when the lake was filled
    lake.append(USAGE_RECORDS, _revised(known.slice(0, revised)))
    refresh(lake, read_registry(home.federation))
    took = min(command("--home", home.path, "restate", "1", "--json") for _ in range(2))
    named = f"a year of {records:,} records"
    renamed = seconds(lambda: _rename(home, lake))
    again = command("--home", home.path, "restate", "1", "--json")
    unused = seconds(lambda: _rename(home, lake, "  - {name: Nobody, site: Nowhere}\n"))
    return [
        Row(f"(l) publish {named}", f"{published:.1f} s", "", None, "", None),
        Row(
            f"(l) restate {named}, {late:,} late, {revised:,} revised", f"{took:.1f} s", "", None, f"under {MOST_S:.0f} s", took < MOST_S
        ),
        Row(
            "(l) the same with another registry", f"{again:.1f} s", "", None, f"under {MOST_S:.0f} s", again < MOST_S,
            f"the summaries were made anew before, in {renamed:.0f} s",
        ),
        Row(
            f"(l) summaries of {named} after a registry with one more resource, which no record names", f"{unused:.1f} s",
            f"with one that changes records of every day {renamed:.0f} s", unused / renamed, "", None,
        ),
    ]  # fmt: skip


def _revised(rows: pa.Table) -> pa.Table:
    """The same jobs with twice the processors."""
    for name, value in (
        ("processors", pc.cast(pc.multiply(rows["processors"], 2), pa.int32())),
        ("content_hash", pc.bit_wise_xor(rows["content_hash"], 1)),
        ("received_at", pc.add(rows["received_at"], pa.scalar(10**12, pa.duration("us")))),
    ):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), value)
    return rows


def _rename(home: Home, lake: Lake, more: str = "") -> None:
    home.federation.write_text(
        f"resources:\n  - {{name: SITE_00, site: Elsewhere, count_level: batch}}\n{more}mapping:\n  - {{when: {{resource: SITE_00}}, grid: OSG}}\n",
        encoding="utf-8",
    )
    refresh(lake, read_registry(home.federation))
