"""The registry's files and all downtimes as pages show them: read again when a file or a downtime changes, and not before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.config import HISTORY_FILE
from gridkeeper.database import reading
from gridkeeper.federation.behind import behind
from gridkeeper.federation.checking import everything_wrong
from gridkeeper.federation.downtimes import lints, store
from gridkeeper.federation.downtimes.directory import Directory, both, of_registry, of_topology
from gridkeeper.federation.downtimes.gathering import Told, gather
from gridkeeper.federation.downtimes.tables import DOWNTIME_REVISIONS
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.findings import counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.federation.reading import Known
    from gridkeeper.federation.watching import Watch

# What these say of a file may be a person's name.
_OF_PEOPLE = frozenset(
    {
        "contact-without-id",
        "contact-two-names",
        "unknown-contact-rank",
        "wrong-kind",
        "not-yaml",
        "duplicate-key",
    }
)
_WITHHELD = "what stands there may name a person, and is shown to operators"


@dataclass(frozen=True)
class Files:
    """The registry as its files say it, and what is wrong with them."""

    known: Known

    @cached_property
    def directory(self) -> Directory:
        """All resources: of the topology with their services, of federation.yaml, and sites whose hosts report as one."""
        return both(of_topology(self.known.loaded.topology), of_registry(self.known.both))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How much the topology holds."""
        return counts(self.known.loaded.topology)

    @cached_property
    def findings(self) -> tuple[Fault, ...]:
        """All that is wrong, in the order of files and lines, as `gridkeeper federation check` tells it."""
        known = self.known
        late = behind(known.loaded, known.past, HISTORY_FILE)
        return everything_wrong(known.own, known.both, known.loaded, [*known.clashes, *late])

    @cached_property
    def findings_without_people(self) -> tuple[Fault, ...]:
        """The same for who may not see people."""
        return tuple(
            Fault(one.code, one.severity, one.file, one.line, _WITHHELD, one.fix) if one.code in _OF_PEOPLE else one
            for one in self.findings
        )  # fmt: skip


@dataclass(frozen=True)
class Board:
    """All downtimes in the order of their starts, what is wrong with each, and what is where."""

    all: tuple[Told, ...]
    files: Files

    @cached_property
    def _findings(self) -> Mapping[int, list[lints.Finding]]:
        rows = [row for told in self.all if told.is_declared for row in told.incident.rows]
        found: dict[int, list[lints.Finding]] = {}
        announced_here = {id(row) for told in self.all if told.kept for row in told.incident.rows}
        for one in lints.lint(rows, self.files.directory):
            if one.lint is lints.Lint.NO_ID and id(one.row) in announced_here:
                continue
            found.setdefault(id(one.row), []).append(one)
            if one.other is not None:
                found.setdefault(id(one.other), []).append(one)
        return found

    def findings(self, told: Told) -> list[lints.Finding]:
        """What is wrong with a downtime, each once."""
        found = [one for row in told.incident.rows for one in self._findings.get(id(row), ())]
        return list({one.message: one for one in found}.values())

    def named(self, name: str) -> Told | None:
        """The downtime of an id, of the id of one of its rows, or of a place; None where there is none."""
        exact = next((told for told in self.all if told.incident.id == name), None)
        return exact or next((told for told in self.all if name in told.names), None)

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Sites and resource groups that have resources, by name."""
        machines = self.files.directory.machines
        return tuple(
            sorted({place for one in machines for place in (one.site, one.group) if place}, key=str.lower)
        )

    def months(self) -> dict[str, int]:
        """In which months how many begin, the newest first."""
        told = Counter(f"{one.incident.window.start.at:%Y-%m}" for one in self.all)
        return dict(sorted(told.items(), reverse=True))


class Noticeboard:
    """Gives files and downtimes as they are now. watch: the files of the federation."""

    def __init__(self, watch: Watch, engine: sa.Engine) -> None:
        self._watch, self._engine = watch, engine
        self._files: Files | None = None
        self._board: tuple[Files, int, Board] | None = None

    def files(self) -> Files:
        """The registry's files. Blocks. Raises: BadConfiguration (permanent) for what federation.yaml says."""
        known, held = self._watch.known(), self._files
        if held is None or held.known is not known:
            held = self._files = Files(known)
        return held

    def board(self) -> Board:
        """All downtimes. Blocks. Raises: as `files`; DatabaseUnavailable (retryable)."""
        files = self.files()
        with reading(self._engine) as connection:
            version = _version(connection)
            held = self._board
            if held is not None and held[0] is files and held[1] == version:
                return held[2]
            kept = store.everything(connection)
        made = Board(tuple(gather(kept, files.known.loaded.topology, files.known.own.downtimes)), files)
        self._board = (files, version, made)
        return made


def _version(connection: sa.Connection) -> int:
    """What changes with every revision: they are only ever added."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(DOWNTIME_REVISIONS)).scalar_one())
