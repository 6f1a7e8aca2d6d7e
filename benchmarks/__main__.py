"""`python -m benchmarks [--quick] [ROW ...]` prints the performance table; rows: sacct gratia condor apel reports memory intake endurance pages explorer registry restating corrections."""

from __future__ import annotations

import argparse
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks import corrections, endurance, intake, loads, pages, registry, reports, restating

if TYPE_CHECKING:
    from benchmarks.measuring import Row

ROWS = {
    "sacct": loads.sacct,
    "gratia": loads.gratia,
    "condor": loads.condor,
    "apel": loads.apel,
    "reports": reports.reports,
    "memory": reports.memory,
    "intake": intake.intake,
    "endurance": endurance.endurance,
    "pages": pages.pages,
    "explorer": pages.explorer,
    "registry": registry.registry,
    "restating": restating.restating,
    "corrections": corrections.corrections,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", choices=[*ROWS, []], help="which rows; all of them if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of it works")
    parser.add_argument(
        "--largest", type=int, default=reports.SIZES[-1], help="the most records of the row reports"
    )
    parser.add_argument(
        "--minutes", type=float, default=endurance.MINUTES, help="how long the row endurance loads each door"
    )
    parser.add_argument("--out", type=Path, help="write the table as Markdown, too")
    arguments = parser.parse_args()
    made: list[Row] = []
    for name in arguments.rows or ROWS:
        folder = Path(tempfile.mkdtemp(prefix=f"gridkeeper-bench-{name}-"))
        try:
            if name == "reports":
                made += reports.reports(folder, arguments.quick, arguments.largest)
            elif name == "endurance":
                made += endurance.endurance(folder, arguments.quick, arguments.minutes)
            else:
                made += ROWS[name](folder, arguments.quick)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    show(made)
    if arguments.out:
        arguments.out.write_text(markdown(made, arguments.quick), encoding="utf-8")


def show(rows: list[Row]) -> None:
    table = Table(
        "what",
        "ours",
        "against",
        "ratio",
        "aim",
        "met",
        "limit",
        title="Gridkeeper, measured in one run",
        title_justify="left",
    )
    for row in rows:
        table.add_row(
            row.name,
            row.ours,
            row.against,
            _ratio(row),
            row.aim,
            {True: "yes", False: "NO", None: ""}[row.met],
            row.limit,
        )
    Console(width=180).print(table)


def markdown(rows: list[Row], quick: bool) -> str:
    head = f"# Performance\n\nTaken by `make bench`{' --quick' if quick else ''} on {platform.machine()}, Python {platform.python_version()}. Each row is a ratio within one run.\n\n"
    lines = [
        f"| {row.name} | {row.ours} | {row.against} | {_ratio(row)} | {row.aim} | {({True: 'yes', False: 'NO', None: ''})[row.met]} | {row.limit} |"
        for row in rows
    ]
    return (
        head
        + "| what | ours | against | ratio | aim | met | limit |\n|---|---|---|---:|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f}"


if __name__ == "__main__":
    main()
