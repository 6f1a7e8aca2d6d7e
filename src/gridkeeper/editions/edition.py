"""An edition: its number, what it is of, and all that it was made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.errors import GridkeeperError
from gridkeeper.queries.periods import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

# The files of an edition beside `report.<format>` and `plot-<name>.<ending>`.
FACTS, REGISTRY, CORRECTIONS, ROWS, LEVELS = (
    "edition.json",
    "registry.json",
    "corrections.json",
    "rows.parquet",
    "levels.parquet",
)
CHECKSUM = "SHA256"
REPORT_PREFIX, PLOT_PREFIX = "report.", "plot-"


class EditionDamaged(GridkeeperError):
    """An edition is not what was published; says what differs, and that a backup has it. Permanent."""


@dataclass(frozen=True)
class Edition:
    """What `edition.json` says.

    source:    jobs, or sums that others reported.
    as_of:     the moment that the report was asked as of (UTC); made_at: when it was published.
    program:   the version of Gridkeeper that made it.
    versions:  table → its version; load_seq: the last append of records that it knows of.
    records_id: the name that the table of records gave itself when it was made: one made anew has another.
    registry_revision, corrections_revision: see Registry.revision; 0 of corrections where none was in force.
    corrections: ids of those in force.
    """

    number: int
    report: str
    title: str
    federation: str
    period: Period
    source: str
    as_of: datetime
    made_at: datetime
    made_by: str
    program: str
    formats: tuple[str, ...]
    plots: tuple[str, ...]
    versions: Mapping[str, int]
    load_seq: int
    records_id: str
    registry_revision: int
    corrections_revision: int = 0
    corrections: tuple[str, ...] = field(default=())

    def as_json(self) -> bytes:
        """Write it down."""
        said = {name: getattr(self, name) for name in self.__dataclass_fields__}
        said["period"] = {"first": self.period.first, "until": self.period.until, "name": self.period.name}
        return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def edition_of(data: bytes) -> Edition:
    """Read what `as_json` wrote. Raises: ValueError, KeyError, TypeError where it is something else."""
    said: dict[str, Any] = orjson.loads(data)
    days = said["period"]
    said["period"] = Period(date.fromisoformat(days["first"]), date.fromisoformat(days["until"]))
    for name in ("as_of", "made_at"):
        said[name] = datetime.fromisoformat(said[name])
    for name in ("formats", "plots", "corrections"):
        said[name] = tuple(said[name])
    return Edition(**said)


def checksum_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 in hexadecimal over the files by name: of each its name, a zero byte, its length in decimal, a zero byte, its bytes."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()
