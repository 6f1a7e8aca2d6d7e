"""Invented months of grid jobs, as APEL's own job messages tell them, and what was told of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gridkeeper.exports.apel import messages
from gridkeeper.exports.apel_groups import month_told
from gridkeeper.feed_settings import Apel
from gridkeeper.queries.periods import parse_month
from gridkeeper.records.draft import Delivery
from tests.homes import InventedHome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gridkeeper.exports.apel import Message
    from gridkeeper.exports.apel_groups import MonthTold

NOW = datetime(2017, 2, 3, tzinfo=UTC)
LATER = datetime(2017, 6, 20, tzinfo=UTC)
FEDERATION = "federation: {default_hepscore23: 10}\n"


@dataclass(frozen=True)
class GridJob:
    """One job that a grid sent. end: as 2017-01-15T12:00:00."""

    number: int
    end: str = "2017-01-15T12:00:00"
    wall_s: int = 3600
    cpu_s: int = 3000
    cores: int = 1
    site: str = "EAST"
    vo: str = "cms"
    fqan: str = "/cms/uscms/Role=pilot/Capability=NULL"
    user: str = "/DC=org/DC=example/CN=alice"
    host: str = "ce1.example.org:9619/ce1"

    def again(self, **changes: object) -> GridJob:
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        end = int(datetime.fromisoformat(self.end).replace(tzinfo=UTC).timestamp())
        fields = {
            "Site": self.site, "SubmitHost": self.host, "LocalJobId": self.number, "GlobalUserName": self.user, "FQAN": self.fqan, "VO": self.vo,
            "WallDuration": self.wall_s, "CpuDuration": self.cpu_s, "Processors": self.cores, "NodeCount": 1, "StartTime": end - self.wall_s, "EndTime": end,
        }  # fmt: skip
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value != "") + "%%\n"


def grid_home(folder: Path, jobs: Iterable[GridJob], federation: str = FEDERATION) -> InventedHome:
    made = InventedHome(folder, federation)
    if jobs := list(jobs):
        load(made, jobs)
    return made


def load(home: InventedHome, jobs: Iterable[GridJob], received: datetime = LATER) -> None:
    text = "APEL-individual-job-message: v0.3\n" + "".join(job.text for job in jobs)
    home.load(text, "apel", Delivery(received))


def told(home: InventedHome, month: str = "2017-01", dialect: str = "v0.4", **settings: object) -> MonthTold:
    apel = Apel.model_validate(settings)
    return month_told(home.books(), apel, parse_month(month), "jobs", dialect)


def written(told: MonthTold, dialect: str = "v0.4") -> tuple[Message, ...]:
    return messages(told.month, told.groups, dialect, NOW)  # type: ignore[arg-type]


def records_of(made: Sequence[Message], kind: str = "summaries") -> list[dict[str, str]]:
    """The records of messages as a stranger reads them."""
    found: list[dict[str, str]] = []
    for message in made:
        if message.kind == kind:
            _, _, body = message.text.decode("ascii").partition("\n")
            found += [
                dict(line.split(": ", 1) for line in record.strip().splitlines())
                for record in body.split("%%")
                if record.strip()
            ]
    return found


def sums_of(records: Iterable[dict[str, str]], *names: str) -> Counter[str]:
    """Sums of some fields, of a list by benchmark its first value."""
    found: Counter[str] = Counter()
    for record in records:
        for name in names:
            found[name] += int(record[name].strip("{}").rpartition(":")[2])
    return found
