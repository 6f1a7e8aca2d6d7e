"""Turns a home into the objects that commands work with; the one place that names an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridkeeper.config import Home
from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import read_registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.tables import LAYOUTS

if TYPE_CHECKING:
    from gridkeeper.federation.model import Registry

HOME_VARIABLE = "GRIDKEEPER_HOME"
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The home: the folder that holds the books. Else GRIDKEEPER_HOME.", show_default=False
    ),
]

_chosen: dict[str, Path] = {}


@dataclass(frozen=True)
class Wired:
    """A home with everything that commands need."""

    home: Home
    lake: Lake
    registry: Registry

    def books(self) -> Books:
        """The books as they are now."""
        return Books(self.lake, self.registry)


def choose_home(path: Path | None) -> None:
    """Remember the home named before the command."""
    _chosen.clear()
    if path is not None:
        _chosen["home"] = path


def wired(path: Path | None) -> Wired:
    """Open a home. Raises: UserMistake (permanent) where none is named or there."""
    named = (
        path
        or _chosen.get("home")
        or (Path(os.environ[HOME_VARIABLE]) if os.environ.get(HOME_VARIABLE) else None)
    )
    if named is None:
        raise UserMistake(
            f"no home is named; write --home DIR or set {HOME_VARIABLE} (`gridkeeper init DIR` makes one)"
        )
    home = Home(named).must_exist()
    home.spill.mkdir(exist_ok=True)
    return Wired(home, Lake(home.lake, DuckDB(spill=home.spill), LAYOUTS), read_registry(home.federation))
