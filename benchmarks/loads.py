"""How quick loads are, format by format, against reading the same bytes with a known tool in the same run."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lxml import etree

from benchmarks import material
from benchmarks.measuring import Row, on_one_core, seconds
from gridkeeper.config import Home
from gridkeeper.federation.model import Registry
from gridkeeper.intake.loader import Loader
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.draft import Delivery
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gridkeeper.intake.reading import Refused

OLD_SERVER_RECORDS_PER_S = 1_222
RECEIVED = datetime(2017, 4, 1, tzinfo=UTC)


def refused_nothing(refused: Sequence[Refused], format_name: str) -> None:
    raise AssertionError(f"{format_name}: {refused[0].reject}")


def load(
    folder: Path, name: str, files: Sequence[Path], workers: int, records: int, threads: int | None = None
) -> float:
    """Load files into a new home (parse, identify, deduplicate, archive, commit to disk); seconds."""
    home = Home(folder / name)
    home.create()
    lake = Lake(home.lake, DuckDB(threads=threads), LAYOUTS)
    loader = Loader(lake, refused_nothing, workers)
    took = seconds(lambda: loader.load(files, "auto", Delivery(RECEIVED)))
    found = lake.snapshot().select("SELECT COUNT(*) AS records FROM usage_records").to_pylist()[0]["records"]
    if found != records:
        raise AssertionError(f"{name}: {found} records where {records} were written")
    return took


def sacct(folder: Path, quick: bool) -> list[Row]:
    lines = 50_000 if quick else 1_000_000
    path = material.sacct_file(folder / "sacct.txt", lines)
    size = path.stat().st_size

    def read() -> None:
        with path.open(encoding="utf-8", newline="") as stream:
            for _ in csv.reader(stream, delimiter="|", quoting=csv.QUOTE_NONE):
                pass

    against = seconds(read, 2)
    rows = []
    for workers in (0, 2):
        ours = load(folder, f"home{workers}", [path], workers, lines)
        rows.append(
            Row(
                f"(a) load {lines:,} lines of sacct, {workers or 'no'} workers", f"{ours:.1f} s, {lines / ours:,.0f} records/s", f"csv.reader {against:.1f} s",
                ours / against, "≤ 2", ours / against <= 2 if workers else None, f"{size / ours / 1e6:.0f} MB/s of {size / against / 1e6:.0f} MB/s",
            )
        )  # fmt: skip
    return rows


def gratia(folder: Path, quick: bool) -> list[Row]:
    records = 3_000 if quick else 60_000
    path = material.gratia_file(folder / "records.xml", records)
    data = path.read_bytes()
    against = on_one_core(lambda: seconds(lambda: etree.fromstring(data), 3))
    one = on_one_core(lambda: load(folder, "one", [path], 0, records, threads=1))
    two = load(folder, "two", [path], 2, records)
    lxml = f"lxml {against:.2f} s, {records / against:,.0f} records/s"
    return [
        Row(
            f"(b) load {records:,} Gratia records, one core",
            f"{one:.2f} s, {records / one:,.0f} records/s",
            lxml,
            one / against,
            "≤ 3",
            one / against <= 3,
        ),
        Row(
            f"(b) load {records:,} Gratia records, two workers",
            f"{two:.2f} s, {records / two:,.0f} records/s",
            lxml,
            two / against,
            "≤ 2",
            two / against <= 2,
        ),
    ]


def condor(folder: Path, quick: bool) -> list[Row]:
    ads = 3_000 if quick else 60_000
    path = material.condor_file(folder / "history", ads)

    def read() -> None:
        with path.open("rb") as stream:
            for _ in stream:
                pass

    against = seconds(read, 2)
    ours = load(folder, "home", [path], 2, ads)
    return [
        Row(
            f"(c) load {ads:,} ClassAds, two workers", f"{ours:.2f} s, {ads / ours:,.0f} ads/s", f"reading the lines {against:.2f} s",
            ours / against, "", None, f"{path.stat().st_size / ours / 1e6:.0f} MB/s",
        )
    ]  # fmt: skip


def apel(folder: Path, quick: bool) -> list[Row]:
    records, more = (20_000, 5_000) if quick else (1_000_000, 100_000)
    messages = folder / "messages"
    messages.mkdir()
    files = material.apel_files(messages, records)
    ours = load(folder, "home", files, 2, records)
    rate = records / ours
    lake = Lake(folder / "home" / "lake", DuckDB(), LAYOUTS)
    whole = seconds(lambda: refresh(lake, Registry()))
    later = folder / "later"
    later.mkdir()
    Loader(lake, refused_nothing, 2).load(
        material.apel_files(later, more, first=records), "auto", Delivery(RECEIVED)
    )
    refreshed = seconds(lambda: refresh(lake, Registry()))
    return [
        Row(
            f"(d) load {records:,} APEL job records, two workers", f"{ours:.1f} s, {rate:,.0f} records/s", f"the server in use {OLD_SERVER_RECORDS_PER_S:,} records/s",
            rate / OLD_SERVER_RECORDS_PER_S, "≥ 50", rate / OLD_SERVER_RECORDS_PER_S >= 50,
        ),
        Row(f"(d) all summaries of {records:,} records", f"{whole:.2f} s", "", None, "", None),
        Row(f"(d) summaries after {more:,} more records", f"{refreshed:.2f} s", f"all of them {whole:.2f} s", refreshed / whole, "< 1 s", refreshed < 1),
    ]  # fmt: skip
