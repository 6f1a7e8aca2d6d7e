"""`gridkeeper figures`: figures from elsewhere, shown beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from gridkeeper.cli.output import Shape, console, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.queries import figures

app = typer.Typer(
    help="Figures from elsewhere (a dashboard's, a paper's), shown beside ours with the ratio, never mixed in.",
    no_args_is_help=True,
)
_TYPES = {"first": pa.date32(), "until": pa.date32(), "value": pa.float64()}
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in figures.Figure.model_fields])


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="JSON or CSV files of figures.", show_default=False)],
    home: HomeOption = None,
) -> None:
    """Load figures: source, vo, measure, unit, period, value, address. The same figure again changes nothing.

    A period is a month (2017-01) or two days (2017-01-31/2017-02-07, the second being the day after the last); `first` and
    `until` say the same. One object, a list of them, or CSV with these names as header.

    Example: gridkeeper figures load dashboard.json
    """
    place = wired(home)
    place.database()  # where nothing can be written down, nothing is loaded
    for file in files:
        new, known = figures.load(place.home.figures, file)
        place.audited("figures.load", str(file.absolute()), {"new": new, "known": known})
        console.print(f"{file}: {new} new, {known} known", highlight=False)


@app.command("list")
def list_figures(
    shape: Annotated[Shape, typer.Option("--format", help="How to print.")] = Shape.TABLE,
    home: HomeOption = None,
) -> None:
    """List the figures that are known.

    Example: gridkeeper figures list
    """
    known = figures.known(wired(home).home.figures)
    rows = [figure.model_dump() for figure in known]
    print_rows(rows, _SCHEMA.names, shape, schema=_SCHEMA, free=("address",), exact=True)
