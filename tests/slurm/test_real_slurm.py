"""A real Slurm runs jobs, the probe collects them, the collector books them: the sums are Slurm's own, to the second."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.intake.tables import POOL_SAMPLES
from tests.served import RealProbe, Served, served
from tests.slurm import asked, work
from tests.slurm.configuration import CORES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slow
FEDERATION = """\
vos: [{name: cms}, {name: atlas}]
resources: [{name: Loopback, aliases: [loopback]}]
mapping: [{when: {account: cms}, vo: cms}, {when: {account: atlas}, vo: atlas}]
"""
_BOOKED = """
    SELECT local_job_id, array_task, local_user, account, submit_time, start_time, end_time, wall_duration_s, processors,
           status_reported, load_seq, revised
    FROM usage_records ORDER BY end_time
"""


class Story(NamedTuple):
    """What was there to see when all jobs had ended and the probe had run twice more."""

    cluster: Cluster
    home: Served
    probe: RealProbe
    since: datetime
    rounds: tuple[str, ...]

    def told(self) -> str:
        """What Slurm knows, what the probe said, and what is in the books, for whoever reads why a sum differs."""
        fields = "JobID,User,Account,Submit,Eligible,Start,End,ElapsedRaw,NCPUS,State,NodeList"
        known = self.cluster.command(*asked.SACCT, "--allocations", f"--format={fields}").stdout
        booked = self.home.command("lake", "sql", _BOOKED)
        said = self.home.said().splitlines()[-20:]
        return "\n".join(["sacct:", known, "probe:", *self.rounds, "books:", booked, "collector:", *said])


@pytest.fixture(scope="module")
def story(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("collector")
    with served(folder, FEDERATION) as home:
        # A site's own time zone must not matter.
        environment = {**cluster.environment, "TZ": "America/Chicago"}
        probe = RealProbe(folder / "probe", home, "Loopback", "slurm", environment)
        work.admit(cluster)
        since = datetime.now(UTC)
        jobs = work.submit(cluster)
        work.wait_for_room_to_run_out(cluster, jobs)
        probe.once()
        work.befall(cluster, jobs)
        work.wait_until_ended(cluster)
        rounds = tuple(probe.once() for _ in range(2))
        yield Story(cluster, home, probe, since, rounds)


def test_its_daemons_listen_on_the_loopback_alone(cluster: Cluster) -> None:
    assert all(address.startswith("127.") for address in cluster.listening_addresses())


def test_everything_befell_that_was_meant_to(story: Story) -> None:
    states = asked.by_sacct(story.cluster).states
    assert states["COMPLETED"] == 11
    assert states["REQUEUED"] == 1
    assert states["FAILED"] == 1
    # One while it ran, one before it had. Of the held one and the rest of the array Slurm keeps nothing to be told.
    assert states["CANCELLED"] == 2
    assert asked.by_sacct(story.cluster).runs == 14


def test_the_books_are_what_sacct_says(story: Story) -> None:
    used = asked.by_sacct(story.cluster)
    booked = story.home.usage("user", "vo")
    assert _core_s(booked) == used.core_s, story.told()
    assert sum(row["records"] for row in booked.values()) == used.runs
    assert _seconds(booked, "wall_hours") == used.wall_s
    assert sum(row["cpu_hours"] for row in booked.values()) * 3600 == pytest.approx(
        asked.cpu_s(story.cluster)
    )
    assert asked.cpu_s(story.cluster) > 0.1  # how much a busy host gives them is its own affair


def test_the_books_are_what_sreport_says(story: Story) -> None:
    """By user and account."""
    assert _core_s(story.home.usage("user", "vo")) == asked.by_sreport(story.cluster, story.since), (
        story.told()
    )


def test_a_pipe_and_an_umlaut_in_a_name_refuse_nothing(story: Story) -> None:
    story.home.wait_until_loaded()
    names = story.cluster.command(*asked.SACCT, "--allocations", "--format=JobName").stdout.splitlines()
    assert work.ODD_NAME in names
    assert story.home.command("quarantine", "list", "--json").strip() in ("", "[]")


def test_another_round_brings_nothing_more(story: Story) -> None:
    before = story.home.usage("user", "vo")
    story.probe.once()
    assert story.home.usage("user", "vo") == before


def test_heartbeats_tell_what_ran_and_waited(story: Story) -> None:
    columns = [POOL_SAMPLES.c[name] for name in ("state", "account", "jobs", "cores")]
    with reading(story.home.engine) as connection:
        first = sa.select(sa.func.min(POOL_SAMPLES.c.at)).scalar_subquery()
        rows = connection.execute(sa.select(*columns).where(POOL_SAMPLES.c.at == first)).all()
    seen = {(row.state, row.account): (row.jobs, row.cores) for row in rows}
    # While the others come and go, one job runs on two cores, one waits for all, and two of the array may not run yet.
    jobs, cores = seen["running", "atlas"]
    assert 2 <= cores <= CORES
    assert 1 <= jobs < cores
    jobs, cores = seen["pending", "cms"]
    assert cores >= CORES
    assert cores == jobs + CORES - 1
    jobs, cores = seen["pending", "atlas"]
    assert jobs >= 2


def _core_s(booked: dict[tuple[str | None, ...], dict[str, float]]) -> dict[tuple[str | None, ...], int]:
    return {key: round(row["core_hours"] * 3600) for key, row in booked.items()}


def _seconds(booked: dict[tuple[str | None, ...], dict[str, float]], measure: str) -> int:
    return round(sum(row[measure] for row in booked.values()) * 3600)
