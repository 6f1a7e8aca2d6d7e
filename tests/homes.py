"""Invented homes: a federation in a few lines, its batch systems' own text, loaded as an operator loads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from gridkeeper.config import Home
from gridkeeper.federation.model import read_registry
from gridkeeper.intake.loader import Loader
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.draft import Delivery
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS
from tests.databases import settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gridkeeper.intake.reading import Refused

RECEIVED = datetime(2017, 2, 7, 1, tzinfo=UTC)
_SACCT = "JobID|JobIDRaw|Cluster|Partition|Account|Group|User|Submit|Start|End|ElapsedRaw|TotalCPU|ExitCode|State|NNodes|NCPUS"


@dataclass(frozen=True)
class Job:
    """One job as its batch system knows it. cpu: CPU time ÷ (wall x cores); None where it is not measured."""

    number: int
    end: datetime
    hours: float = 1.0
    cores: int = 1
    account: str = "cms"
    cpu: float | None = 0.9

    @property
    def start(self) -> datetime:
        return self.end - timedelta(hours=self.hours)


def at(text: str) -> datetime:
    """`2017-01-31T12:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def every_day(
    first: str,
    until: str,
    *,
    number: int,
    hours: float = 1.0,
    cores: int = 1,
    account: str = "cms",
    hour: int = 12,
) -> list[Job]:
    """One job a day, each ending at `hour`, numbered from `number` on."""
    days = range((date.fromisoformat(until) - date.fromisoformat(first)).days)
    return [
        Job(number + day, at(first) + timedelta(days=day, hours=hour), hours, cores, account) for day in days
    ]


def refuse_nothing(refused: Sequence[Refused], format_name: str) -> None:
    """For loads in which nothing may be refused."""
    raise AssertionError(f"{format_name}: {[one.reject.detail for one in refused]}")


class InventedHome:
    """A home in a temporary folder; what is loaded goes through the real loader."""

    def __init__(self, folder: Path, federation: str = "") -> None:
        self.home = Home(folder)
        self.home.create()
        settle(self.home.path)
        self.home.federation.write_text(federation, encoding="utf-8")
        self.home.spill.mkdir(exist_ok=True)
        self.lake = Lake(self.home.lake, DuckDB(threads=1, spill=self.home.spill), LAYOUTS)
        self._texts = 0

    def slurm(
        self, cluster: str, jobs: Iterable[Job], received: datetime = RECEIVED, probe: str | None = None
    ) -> None:
        """Load jobs as `sacct` prints them; without a probe's name it is `slurm:<cluster>`."""
        lines = [_SACCT, *(_sacct_line(cluster, job) for job in jobs)]
        self.load("\n".join(lines) + "\n", "sacct", Delivery(received, probe=probe or f"slurm:{cluster}"))

    def payloads(
        self, resource: str, jobs: Iterable[Job], received: datetime = RECEIVED, access_point: str = "ap1"
    ) -> None:
        """Load jobs inside pilots on `resource`, as an access point's HTCondor history says them; the account is the VO."""
        ads = "".join(_condor_ad(resource, access_point, job) for job in jobs)
        self.load(
            ads, "condor-history", Delivery(received, probe=f"condor:{access_point}", resource=access_point)
        )

    def load(self, text: str, format_name: str, delivery: Delivery) -> None:
        """Load a text in any format; nothing of it may be refused."""
        self._texts += 1
        path = self.home.path / f"delivery-{self._texts}.txt"
        path.write_text(text, encoding="utf-8")
        loaded = Loader(self.lake, refuse_nothing).load([path], format_name, delivery)
        assert not loaded.rejected, loaded.sentences
        assert not loaded.unreadable, loaded.unreadable

    def books(self) -> Books:
        """The books as they are now, summaries up to date."""
        registry = read_registry(self.home.federation)
        refresh(self.lake, registry)
        return Books(self.lake, registry)


def _sacct_line(cluster: str, job: Job) -> str:
    wall = round(job.hours * 3600)
    cpu = "" if job.cpu is None else _clock(round(wall * job.cores * job.cpu))
    times = [
        f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in (job.start - timedelta(minutes=5), job.start, job.end)
    ]
    fields = [
        job.number,
        job.number,
        cluster,
        "batch",
        job.account,
        job.account,
        "bob",
        *times,
        wall,
        cpu,
        "0:0",
        "COMPLETED",
        1,
        job.cores,
    ]
    return "|".join(map(str, fields))


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days}-{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _condor_ad(resource: str, access_point: str, job: Job) -> str:
    wall = round(job.hours * 3600)
    start, end = int(job.start.timestamp()), int(job.end.timestamp())
    return f"""\
GlobalJobId = "{access_point}#{job.number}.0#{start - 300}"
ClusterId = {job.number}
ProcId = 0
Owner = "alice"
User = "alice@{access_point}"
x509UserProxyVOName = "{job.account}"
QDate = {start - 300}
JobStartDate = {start}
JobCurrentStartDate = {start}
CompletionDate = {end}
EnteredCurrentStatus = {end}
JobStatus = 4
ExitCode = 0
RemoteWallClockTime = {wall}.0
RemoteUserCpu = {wall * job.cores * (job.cpu or 0)}
RemoteSysCpu = 0.0
CpusProvisioned = {job.cores}
RequestCpus = {job.cores}
MATCH_EXP_JOBGLIDEIN_ResourceName = "{resource}"
*** Offset = 0 ClusterId = {job.number} ProcId = 0 Owner = "alice" CompletionDate = {end}
"""
