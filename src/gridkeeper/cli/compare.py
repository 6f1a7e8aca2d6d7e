"""Opens the two sides of `gridkeeper report compare`: homes, or files loaded into a home that is thrown away."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gridkeeper.cli.load import run
from gridkeeper.cli.output import complaints
from gridkeeper.cli.usage import source_of
from gridkeeper.cli.wiring import wired
from gridkeeper.clock import now
from gridkeeper.config import Home
from gridkeeper.errors import UserMistake
from gridkeeper.federation.topology.loading import EVERY_FOLDER
from gridkeeper.records.draft import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books

SOURCES = ("jobs", "reported")


@dataclass(frozen=True)
class Side:
    """One side as the user named it: a home or a file, and which of its sources."""

    path: Path
    source: UsageSource | None

    @property
    def is_home(self) -> bool:
        """Whether it is a home; else it is a file to load."""
        return self.path.is_dir()


def side_of(text: str) -> Side:
    """Read `osg-home`, `osg-home:reported`, `gracc_2017-01.apel`.

    Raises: UserMistake (permanent) where there is no such thing.
    """
    path, sign, source = text.rpartition(":")
    side = (
        Side(Path(path), cast("UsageSource", source))
        if sign and source in SOURCES
        else Side(Path(text), None)
    )
    if not side.path.exists():
        raise UserMistake(f"there is no home and no file {side.path}")
    if side.is_home:
        Home(side.path).must_exist()
    return side


@contextmanager
def opened(
    left: str, right: str
) -> Iterator[tuple[tuple[str, Books, UsageSource], tuple[str, Books, UsageSource]]]:
    """Open both sides as (name, books, source); files are loaded first, and gone again afterwards.

    A file is read by the other side's `federation.yaml` where that is a home, so that names mean the same.
    Raises: UserMistake (permanent), LakeUnavailable (retryable).
    """
    sides = side_of(left), side_of(right)
    federation = next((Home(side.path).federation for side in sides if side.is_home), None)
    names = [_named(side) for side in sides]
    if names[0] == names[1]:
        names = [left, right]
    with tempfile.TemporaryDirectory(prefix="gridkeeper-compare-") as folder:
        books = [
            wired(
                side.path if side.is_home else _loaded(side.path, Path(folder) / str(number), federation)
            ).books()
            for number, side in enumerate(sides)
        ]
        made = [
            (name, each, source_of(each, side.source) if side.is_home else side.source or _held(each))
            for name, side, each in zip(names, sides, books, strict=True)
        ]
        yield made[0], made[1]


def _named(side: Side) -> str:
    name = side.path.resolve().name
    return f"{name}:{side.source}" if side.source else name


def _held(books: Books) -> UsageSource:
    """What a file held: jobs, else sums."""
    return "jobs" if books.holds("usage_records") else "reported"


def _loaded(file: Path, folder: Path, federation: Path | None) -> Path:
    """Load a file into a new home, and say what of it was refused."""
    home = Home(folder)
    home.create()
    if federation is not None and federation.exists():
        shutil.copyfile(federation, home.federation)
        for name in EVERY_FOLDER:
            if (federation.parent / name).is_dir():
                (folder / name).symlink_to((federation.parent / name).resolve())
    loaded = run(wired(folder), [file], "auto", Delivery(now()), None, quiet=False)
    if loaded.unreadable:
        raise UserMistake(loaded.unreadable[0])
    if not loaded.read:
        raise UserMistake(f"{file} holds no record")
    if loaded.rejected:
        complaints.print(
            f"{file}: {loaded.rejected:,} of {loaded.read:,} records are refused and not compared; `gridkeeper load` says why",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    return folder
