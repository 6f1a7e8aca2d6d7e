"""Turns a home into the objects that commands work with; the one place that names an engine.

What an object is made of is imported where it is made: a command that asks the database nothing does not wait for
SQLAlchemy, and one that asks the lake nothing not for its engine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.config import Home
from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gridkeeper.federation.model import Downtime, Registry
    from gridkeeper.federation.watching import Watch
    from gridkeeper.intake.reading import Refused
    from gridkeeper.lake.lake import Lake
    from gridkeeper.monitoring.heard import Heard
    from gridkeeper.monitoring.pools import PoolHour
    from gridkeeper.queries.periods import Period
    from gridkeeper.settings import Settings
    from gridkeeper.summaries.books import Books
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.refreshing import Progress

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
    """A home with everything that commands need.

    registry: the federation as its files said when the home was opened. watch: as they say now.
    """

    home: Home
    registry: Registry
    settings: Settings
    watch: Watch
    _opened: list[sa.Engine] = field(default_factory=list)

    @cached_property
    def lake(self) -> Lake:
        """The lake, with the engine that reads it."""
        from gridkeeper.lake.engines.duckdb import DuckDB
        from gridkeeper.lake.lake import Lake
        from gridkeeper.summaries.tables import LAYOUTS

        self.home.spill.mkdir(exist_ok=True)
        return Lake(self.home.lake, DuckDB(spill=self.home.spill), LAYOUTS)

    def database(self) -> sa.Engine:
        """The operational database, brought up to this version's tables. Raises: DatabaseUnavailable (retryable)."""
        if not self._opened:
            from gridkeeper.migrations import migrate

            engine = self._database()
            migrate(engine)
            self._opened.append(engine)
        return self._opened[0]

    def database_as_it_is(self) -> sa.Engine | None:
        """The operational database for looking only: not brought up to this version, and None where there is none."""
        return self._database() if self.has_database else None

    def _database(self) -> sa.Engine:
        from gridkeeper.database import open_database, url_of

        return open_database(self.settings.database.url or url_of(self.home.database))

    def audited(self, act: str, subject: str, details: Mapping[str, Any], who: str | None = None) -> None:
        """Write down what was done, by default by who sits at the console. Raises: DatabaseUnavailable (retryable)."""
        from gridkeeper.database import writing
        from gridkeeper.trust import audit

        with writing(self.database()) as connection:
            audit.record(connection, who or audit.local_user(), act, subject, details)

    def keep(self, refused: Sequence[Refused], format_name: str) -> None:
        """Keep refusals in the quarantine. Raises: DatabaseUnavailable (retryable)."""
        from gridkeeper.intake import quarantine

        quarantine.keep(self.database(), refused, format_name)

    @property
    def has_database(self) -> bool:
        """Whether there is an operational database; a new home has none, and gets none for being asked."""
        return self.settings.database.url is not None or self.home.database.exists()

    def heard(self, until: datetime) -> tuple[Heard, ...]:
        """What probes said of themselves before `until`. Raises: DatabaseUnavailable (retryable)."""
        from gridkeeper.monitoring.heard import read_heard

        return read_heard(self.database(), until) if self.has_database else ()

    def announced(self, asked: datetime) -> tuple[Downtime, ...]:
        """The downtimes announced or imported here, as known at `asked`. Raises: DatabaseUnavailable (retryable)."""
        from gridkeeper.federation.downtimes.store import read_announced

        return read_announced(self.database(), asked) if self.has_database else ()

    def pool_hours(self, period: Period) -> tuple[PoolHour, ...]:
        """What probes saw in their pools in a period. Raises: DatabaseUnavailable (retryable)."""
        from gridkeeper.monitoring.pools import read_pool_hours

        return read_pool_hours(self.database(), period) if self.has_database else ()

    def corrections(self) -> Corrections:
        """The corrections in force now. Raises: DatabaseUnavailable (retryable)."""
        if not self.has_database:
            from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS

            return NO_CORRECTIONS
        from gridkeeper.summaries.corrections.keeping import corrections_in_force

        return corrections_in_force(self.database())

    def books(self) -> Books:
        """The books as they are now."""
        from gridkeeper.summaries.books import Books

        return Books(self.lake, self.registry, corrections=self.corrections())

    def refresh(self, progress: Progress | None = None, registry: Registry | None = None) -> dict[str, int]:
        """Bring the summaries up to the records, with the corrections in force now; see refreshing.refresh.

        registry: the federation as its file says now; else as it was when the home was opened.
        Raises:   LakeUnavailable, DatabaseUnavailable (retryable).
        """
        from gridkeeper.summaries.refreshing import refresh

        return refresh(self.lake, registry or self.registry, progress, corrections=self.corrections())


def choose_home(path: Path | None) -> None:
    """Remember the home named before the command."""
    _chosen.clear()
    if path is not None:
        _chosen["home"] = path


def home_of(path: Path | None) -> Home:
    """The home that is named. Raises: UserMistake (permanent) where none is named or there."""
    named = (
        path
        or _chosen.get("home")
        or (Path(os.environ[HOME_VARIABLE]) if os.environ.get(HOME_VARIABLE) else None)
    )
    if named is None:
        raise UserMistake(
            f"no home is named; write --home DIR or set {HOME_VARIABLE} (`gridkeeper init DIR` makes one)"
        )
    return Home(named).must_exist()


def wired(path: Path | None) -> Wired:
    """Open a home. Raises: UserMistake (permanent) where none is named or there."""
    from gridkeeper.federation.watching import Watch
    from gridkeeper.settings import read_settings

    home = home_of(path)
    watch = Watch(home)
    return Wired(home, watch.registry(), read_settings(home.settings), watch)
