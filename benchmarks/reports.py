"""How report time grows with the books, how much disk a record takes, and how much memory a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import material
from benchmarks.measuring import Row, command, peak_bytes, seconds
from gridkeeper.config import Home
from gridkeeper.federation.reading import read_home
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.lake.maintenance import status
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

MOST_MEMORY_BYTES = 1.5 * 1024**3
SMALL_SIZES = (20_000, 100_000)
SIZES = (1_000_000, 10_000_000, 50_000_000)


def reports(folder: Path, quick: bool, largest: int = SIZES[-1]) -> list[Row]:
    sizes = [size for size in (SMALL_SIZES if quick else SIZES) if size <= largest]
    home = Home(folder / "home")
    home.create()
    lake = Lake(home.lake, DuckDB(spill=folder / "spill"), LAYOUTS)
    registry = read_home(home)
    rows: list[Row] = []
    before: dict[str, float] = {}
    filled = 0
    for size in sizes:
        material.fill(lake, filled, size)
        filled = size
        added = seconds(lambda: refresh(lake, registry))
        rows.append(
            Row(f"(e) summaries brought up to {size:,} records", f"{added:.1f} s", "", None, "", None)
        )
        for name, arguments in (
            (
                "weekly report",
                (
                    "report",
                    "production",
                    "--week",
                    "2017-02-07",
                    "--as-of",
                    "2017-02-15",
                    "--format",
                    "markdown",
                ),
            ),
            ("Site–VO matrix", ("report", "site-vo", "--month", "2017-02", "--format", "csv")),
        ):
            took = min(command("--home", home.path, *arguments) for _ in range(2))
            earlier = before.get(name)
            rows.append(
                Row(
                    f"(e) {name} over {size:,} records", f"{took:.2f} s", f"{earlier:.2f} s at the size before" if earlier else "", took / earlier if earlier else None,
                    "near flat", None,
                )
            )  # fmt: skip
            before[name] = took
    held = next(row for row in status(lake) if row["table"] == "usage_records")
    rows.append(
        Row(
            f"(f) bytes on disk per record, {filled:,} records",
            f"{held['bytes_per_row']} bytes",
            "",
            None,
            "",
            None,
            "24 bytes are identity and content hash",
        )
    )
    return rows


def memory(folder: Path, quick: bool) -> list[Row]:
    lines = 100_000 if quick else 10_000_000
    path = material.sacct_file(folder / "sacct.txt", lines)
    home = folder / "home"
    Home(home).create()
    took, most = peak_bytes(["--home", home, "load", path, "--json"])
    gib = most / 1024**3
    return [
        Row(
            f"(f) peak memory of a load of {lines:,} lines, all processes", f"{gib:.2f} GiB, {took:.0f} s", "1.5 GiB", most / MOST_MEMORY_BYTES, "≤ 1",
            most <= MOST_MEMORY_BYTES,
        )
    ]  # fmt: skip
