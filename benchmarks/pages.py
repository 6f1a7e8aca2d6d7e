"""How quick the pages are: under a steady load while records come in, and the explorer over a large federation's summaries."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks import material
from benchmarks.intake import BUNDLE, GRATIA_DOOR, bundles, collector, sending
from benchmarks.measuring import Row
from benchmarks.senders import FIRST
from gridkeeper.config import Home
from gridkeeper.federation.reading import read_home
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.lake.tables import Handle
from gridkeeper.summaries import months
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS, USAGE_DAILY_BRIEF, USAGE_DAILY_END, USAGE_MONTHLY_END

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 1_000_000
ASKED_A_SECOND, SENT_A_SECOND = 50, 1_000
SECONDS = 60
COMMIT_SECONDS = 60  # what is set where nobody sets it
PAGES = ("/", "/production")
P99_MS, P95_MS = 250.0, 300.0
SUMMARY_ROWS = (5_000_000, 20_000_000)
DAYS = 365
LAST = date(2017, 2, 14)
# Questions of a year, each asked with other ends, so that none is answered from memory.
QUESTIONS = (
    "by=vo", "by=vo,month", "by=site&where=vo=vo03", "by=month&where=site=SITE_07", "by=site,vo", "by=resource,month&where=vo=vo01",
    "by=day&measure=core_hours", "by=vo&measure=efficiency,efficiency_1core,failed_jobs", "by=queue,vo", "by=processors,month",
    "by=outcome", "by=probe&where=vo=vo02", "by=queue&where=site=site_03", "by=gpu_model,month", "by=resource_type,vo", "by=site,queue",
    "by=vo&where=queue=queue01&where=processors=8", "by=site,processors&where=outcome=success00", "by=day,queue&where=site=SITE_04",
    "by=queue,month&measure=efficiency,failed_jobs,wait_hours,unmeasured_share",
)  # fmt: skip


def pages(folder: Path, quick: bool) -> list[Row]:
    """The display and the production page at a steady pace, while a collector takes records in."""
    home = folder / "home"
    records, seconds = (20_000, 5) if quick else (RECORDS, SECONDS)
    _filled(home, records)
    bodies = folder / "bodies"
    rounds = max(2, seconds * SENT_A_SECOND // (10 * BUNDLE) + 2)
    bundles(bodies, 10 * BUNDLE, FIRST)
    with collector(home, COMMIT_SECONDS) as (_, port):
        for path in PAGES:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120).read()
        command = [
            *sending(bodies, port, GRATIA_DOOR, "OK", 4),
            "--rounds",
            str(rounds),
            "--per-second",
            str(SENT_A_SECOND / BUNDLE),
        ]
        sender = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        asked = [
            sys.executable,
            "-m",
            "benchmarks.asking",
            *PAGES,
            "--port",
            str(port),
            "--per-second",
            str(ASKED_A_SECOND),
        ]
        done = subprocess.run([*asked, "--seconds", str(seconds)], check=True, capture_output=True, text=True)
        sender.terminate()
        sender.wait()
        seen = _versions(port)
    said = json.loads(done.stdout)
    return [
        Row(
            f"(h) {' and '.join(PAGES)}, {ASKED_A_SECOND} requests/s for {seconds} s while {SENT_A_SECOND:,} records/s come in, over {records:,} records",
            f"p50 {said['p50_ms']:.0f} ms, p99 {said['p99_ms']:.0f} ms, most {said['most_ms']:.0f} ms",
            f"{said['errors']} errors of {said['requests']:,}; at most {said['connections']} at once; books of version {seen} at the end",
            said["p99_ms"] / P99_MS, f"p99 ≤ {P99_MS:.0f} ms, no errors", said["p99_ms"] <= P99_MS and not said["errors"],
        )
    ]  # fmt: skip


def _filled(home: Path, records: int) -> None:
    made = Home(home)
    made.create()
    lake = Lake(made.lake, DuckDB(spill=home / "spill"), LAYOUTS)
    material.fill(lake, 0, records)
    refresh(lake, read_home(made))


def _versions(port: int) -> str:
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
    return str(page.partition("version ")[2].partition(".")[0])


def explorer(folder: Path, quick: bool) -> list[Row]:
    """Questions of a year over summaries of many rows, each asked once, so that every answer is made anew."""
    rows: list[Row] = []
    before = 0.0
    for wanted in (20_000, 100_000) if quick else SUMMARY_ROWS:
        home = folder / f"{wanted}"
        Home(home).create()
        _summary(home, wanted)
        with collector(home) as (_, port):
            times = _asked(port)
        p95 = times[int(len(times) * 0.95)]
        rows.append(
            Row(
                f"(i) explorer, {len(times)} different questions of a year over {wanted:,} summary rows",
                f"p50 {times[len(times) // 2]:.0f} ms, p95 {p95:.0f} ms, most {times[-1]:.0f} ms at the server",
                f"p95 {before:.0f} ms at the size before" if before else "", p95 / P95_MS, f"p95 ≤ {P95_MS:.0f} ms", p95 <= P95_MS,
            )
        )  # fmt: skip
        before = p95
    return rows


def _asked(port: int) -> list[float]:
    """How long the server took for each question (its own figure), in milliseconds, in order."""
    times = []
    for shift in range(6):
        for question in QUESTIONS:
            first, until = LAST - timedelta(days=DAYS - shift), LAST - timedelta(days=shift)
            began = time.perf_counter()
            address = f"http://127.0.0.1:{port}/api/v1/usage?{question}&first={first}&until={until}"
            urllib.request.urlopen(address, timeout=120).read()
            times.append((time.perf_counter() - began) * 1000)
    return sorted(times[len(QUESTIONS) :])  # the first round opens the books


def _summary(home: Path, rows: int) -> None:
    """Write `rows` rows of usage_daily_end straight into the lake, as a large federation's year would have them."""
    lake = Lake(home / "lake", DuckDB(), LAYOUTS)
    days = np.array([(LAST - timedelta(days=DAYS - number)) for number in range(DAYS)], dtype="datetime64[D]")
    chance = np.random.default_rng(7)
    for month in sorted({str(day)[:7] for day in days}):
        of_month = days[[str(day).startswith(month) for day in days]]
        count = rows * len(of_month) // DAYS
        table = _rows(chance.choice(of_month, count), month, chance)
        for summary, made in ((USAGE_DAILY_END, table), (USAGE_DAILY_BRIEF, _brief(table))):
            handle = Handle(lake.root, summary.layout)
            made = made.sort_by([("resource", "ascending"), ("vo", "ascending")])  # as a refresh writes them
            lake.replace_months(handle, [month], made, {}, {"gridkeeper": "benchmark"})
    months.make_anew(lake.snapshot(), USAGE_MONTHLY_END, {}, {"gridkeeper": "benchmark"})


def _brief(table: pa.Table) -> pa.Table:
    """The same rows by where and whose alone."""
    schema = USAGE_DAILY_BRIEF.layout.schema
    keys = [name for name in USAGE_DAILY_BRIEF.keys if len(table[name].unique()) > 1]
    told = {
        "measured": "records",
        "measured_cpu_us": "cpu_us",
        "measured_core_seconds": "core_seconds",
        "with_outcome": "records",
    }
    sums = {
        name: told.get(name, name if name in table.column_names else "records")
        for name in USAGE_DAILY_BRIEF.measures
    }
    added = table.group_by(keys).aggregate([(name, "sum") for name in dict.fromkeys(sums.values())])
    first = table.slice(0, 1)
    columns = [
        added[name]
        if name in keys
        else added[f"{sums[name]}_sum"]
        if name in sums
        else pa.repeat(first[name][0], len(added))
        for name in schema.names
    ]
    return pa.table(
        [column.cast(schema.field(name).type) for name, column in zip(schema.names, columns, strict=True)],
        schema=schema,
    )


def _rows(days: np.ndarray, month: str, chance: np.random.Generator) -> pa.Table:
    count = len(days)

    def named(prefix: str, most: int, spread: float) -> pa.Array:
        numbers = np.minimum(chance.exponential(spread, count), most - 1).astype(np.int32)
        return pa.DictionaryArray.from_arrays(
            numbers, pa.array([f"{prefix}{number:02d}" for number in range(most)])
        ).cast(pa.string())

    sites = named("SITE_", 200, 40)
    wall = chance.integers(60, 400_000, count)
    cores = np.array([1, 1, 8, 8, 4, 16], dtype=np.int32)[chance.integers(0, 6, count)]
    values = {
        "day": pa.array(days), "resource": sites, "site": sites, "facility": pa.nulls(count, pa.string()), "vo": named("vo", 60, 8), "experiment": pa.nulls(count, pa.string()),
        "grid": pa.repeat("OSG", count), "in_grid": pa.repeat(True, count), "counted": pa.repeat(True, count), "level": pa.repeat("batch", count),
        "resource_type": pa.repeat("Batch", count), "probe": sites, "queue": named("queue", 6, 2), "processors": pa.array(cores),
        "gpu_model": pa.nulls(count, pa.string()), "outcome": named("success", 1, 1), "cpu_source": pa.repeat("measured", count),
        "wall_seconds": pa.array(wall), "core_seconds": pa.array(wall * cores), "cpu_us": pa.array(wall * cores * 800_000), "month": pa.repeat(month, count),
    }  # fmt: skip
    schema = USAGE_DAILY_END.layout.schema
    ones = pa.array(chance.integers(1, 9, count))
    return pa.table(
        [pa.array(values.get(field.name, ones)).cast(field.type) for field in schema], schema=schema
    )
