"""Slurm: every run that ended is shipped once, whatever clocks, databases and names do."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.formats.registry import format_named
from gridkeeper.records.draft import Delivery
from tests.formats.cases import parse
from tests.probes.fake_site import NOON, Site, json_of, slurm_time

if TYPE_CHECKING:
    from tests.probes.fake_collector import FakeCollector

HOUR = timedelta(hours=1)
DAY_S = 86_400


def test_finished_runs_arrive_and_the_central_parser_reads_them(site: Site, collector: FakeCollector) -> None:
    line = site.ended(1, NOON - HOUR, TotalCPU="03:59:00", UserCPU="03:58:00", SystemCPU="01:00.500")
    site.ended(2, NOON, State="RUNNING", End="Unknown")
    verdict = site.once()
    assert verdict.line.startswith("OK - nothing waits, last receipt 2026-11-23T12:00:00Z | backlog=0")
    (delivery,) = collector.deliveries
    assert (delivery.format, delivery.resource, delivery.probe) == ("sacct", "Utah Slurm", "utah-probe")
    assert collector.lines() == [line]
    (parsed,) = parse(format_named("sacct"), delivery.text.encode(), Delivery(NOON))
    assert not parsed.rejects
    assert sum(len(table) for table in parsed.tables.values()) == 1


def test_every_run_of_a_requeued_job_is_shipped_and_no_steps(site: Site, collector: FakeCollector) -> None:
    first = site.ended(7, NOON - 2 * HOUR, State="REQUEUED")
    site.ended(7, NOON - HOUR, JobID="7.batch", JobIDRaw="7.batch", JobName="batch")
    second = site.ended(7, NOON - HOUR, Submit=slurm_time(NOON - 2 * HOUR))
    site.once()
    assert collector.lines() == [first, second]


def test_what_was_shipped_is_not_shipped_again(site: Site, collector: FakeCollector) -> None:
    first = site.ended(1, NOON - HOUR)
    site.once()
    second = site.ended(2, NOON - 2 * HOUR)  # ended earlier, but told later
    site.clock.advance(300)
    site.once()
    site.once()
    assert collector.lines() == [first, second]
    assert len(collector.deliveries) == 2


def test_a_line_that_changed_is_shipped_again(site: Site, collector: FakeCollector) -> None:
    before = site.ended(1, NOON - HOUR, TotalCPU="00:00:00")
    site.once()
    site.jobs.write_text("")
    after = site.ended(1, NOON - HOUR, TotalCPU="03:00:00")
    site.once()
    assert collector.lines() == [before, after]


def test_names_with_pipes_and_line_ends_stay_with_their_run(site: Site, collector: FakeCollector) -> None:
    site.ended(1, NOON - HOUR, JobName="a|b\nc")
    site.ended(2, NOON - HOUR, JobName="käse")
    site.once()
    site.once()
    text = collector.deliveries[0].text
    assert "|a|b\nc\n2|2|utah|" in text
    assert text.endswith("|käse\n")
    assert len(collector.deliveries) == 1


def test_a_probe_that_was_off_for_months_catches_up_in_steps(site: Site, collector: FakeCollector) -> None:
    first = site.ended(1, NOON - HOUR)
    site.once()
    lines = [site.ended(10 + day, NOON + timedelta(days=day)) for day in range(1, 40)]
    site.sacct_log.unlink()
    site.clock.step(40 * DAY_S)
    site.once()
    assert sorted(collector.lines()) == sorted([first, *lines])
    windows = [line.split() for line in site.sacct_log.read_text().splitlines()]
    assert 35 < len(windows) < 45
    assert all(one[1] == two[0] for one, two in itertools.pairwise(windows))


def test_an_idle_year_is_a_few_questions_and_no_gap(site: Site, collector: FakeCollector) -> None:
    first = site.ended(1, NOON - HOUR)
    site.once()
    site.clock.step(365 * DAY_S)
    late = site.ended(2, NOON + timedelta(days=350))
    site.sacct_log.unlink()
    site.once()
    assert collector.lines() == [first, late]
    site.clock.step(365 * DAY_S)
    site.sacct_log.unlink()
    site.once()
    assert len(site.sacct_log.read_text().splitlines()) < 12


def test_a_clock_that_was_ahead_loses_no_runs(site: Site, collector: FakeCollector) -> None:
    """Slurm's own times are right; this host's clock jumps a month ahead for three days, and back."""
    lines = [site.ended(1, NOON - HOUR)]
    site.once()
    site.clock.step(30 * DAY_S)
    for day in range(3):
        site.once()
        site.clock.advance(DAY_S)
        lines.append(site.ended(10 + day, NOON + timedelta(days=day, hours=5)))
    site.clock.step(-30 * DAY_S)
    site.once()
    assert collector.lines() == lines


def test_a_clock_that_was_behind_loses_no_runs(site: Site, collector: FakeCollector) -> None:
    lines = [site.ended(1, NOON - HOUR)]
    site.once()
    site.clock.step(-40 * DAY_S)
    lines.append(site.ended(2, NOON + HOUR))
    site.once()
    assert collector.lines() == lines[:1]
    site.clock.step(40 * DAY_S)
    site.clock.advance(2 * 3600)
    site.once()
    assert collector.lines() == lines


def test_a_first_start_with_a_clock_ahead_begins_where_the_clock_is_set_back_to(
    site: Site, collector: FakeCollector
) -> None:
    site.clock.step(3650 * DAY_S)
    site.once()
    site.clock.step(-3650 * DAY_S)
    site.once()
    site.clock.advance(3 * DAY_S)
    line = site.ended(1, NOON + HOUR)
    site.once()
    assert collector.lines() == [line]


def test_nothing_is_read_by_a_clock_of_1970(site: Site, collector: FakeCollector) -> None:
    site.clock.step(-56 * 365 * DAY_S)
    verdict = site.once()
    assert verdict.level == 1
    assert "which cannot be; nothing is read until it is set" in verdict.line
    assert not site.sacct_log.exists()


def test_a_sacct_that_fails_moves_nothing(site: Site, collector: FakeCollector) -> None:
    line = site.ended(1, NOON - HOUR)
    site.sacct_fails.write_text("sacct: error: Problem talking to the database: Connection refused")
    verdict = site.once()
    assert verdict.level == 1
    assert "ended with exit code 1" in verdict.line
    assert "Connection refused" in verdict.line
    assert collector.heartbeats[-1]["problem"].startswith(str(site.bin / "sacct"))
    site.sacct_fails.unlink()
    site.clock.advance(3 * DAY_S)
    site.once()
    assert collector.lines() == [line]


def test_a_sacct_cut_off_in_the_middle_of_a_line_ships_no_half_line(
    site: Site, collector: FakeCollector
) -> None:
    line = site.ended(1, NOON - HOUR)
    site.sacct_cut.touch()
    site.once()
    site.sacct_cut.unlink()
    site.once()
    assert collector.lines() == [line]


def test_a_sacct_without_one_of_the_fields_says_which_setting_helps(site: Site) -> None:
    site.command("sacct", 'print("JobID|End")')
    verdict = site.once()
    assert "did not begin with the names of the fields asked for" in verdict.line
    assert "[slurm] fields" in verdict.line


def test_a_missing_sacct_is_critical(site: Site) -> None:
    (site.bin / "sacct").unlink()
    verdict = site.once()
    assert verdict.level == 2
    assert "was not found" in verdict.line


def test_a_sacct_that_hangs_is_stopped(site: Site) -> None:
    # A wrapper whose own child holds the pipe open: both must go.
    site.command("sacct", "import subprocess\nsubprocess.run(['sleep', '60'])")
    site.set("slurm", timeout_s=1)
    assert "did not finish within 1 s" in site.once().line


def test_clusters_of_one_database_have_their_own_places(site: Site, collector: FakeCollector) -> None:
    site.set("slurm", clusters="utah, idle")
    late = site.ended(1, NOON - HOUR, Cluster="idle")
    here = site.ended(2, NOON - HOUR)
    site.once()
    site.clock.advance(10 * DAY_S)
    more = [site.ended(3, NOON + 5 * timedelta(days=1)), site.ended(4, NOON + HOUR, Cluster="idle")]
    site.once()
    assert sorted(collector.lines()) == sorted([late, here, *more])


@pytest.mark.parametrize("batch_kb", [1, 4])
def test_a_round_cut_in_many_batches_ships_each_line_once(
    site: Site, collector: FakeCollector, batch_kb: int
) -> None:
    site.set("outbox", batch_kb=batch_kb)
    lines = [site.ended(job, NOON - HOUR, JobName="x" * (job % 50)) for job in range(100)]
    site.once()
    site.once()
    assert sorted(collector.lines()) == sorted(lines)
    assert len(collector.deliveries) > 3


def test_more_runs_than_the_probe_may_remember_shorten_the_overlap(
    site: Site, collector: FakeCollector
) -> None:
    site.set("slurm", seen_limit=1000)
    lines = [site.ended(job, NOON - timedelta(seconds=40 * job)) for job in range(1, 1500)]
    site.once()
    verdict = site.once()
    assert sorted(collector.lines()) == sorted(lines)
    assert "overlap, which is therefore shortened to 1" in verdict.line


def test_since_begins_earlier_and_again(site: Site, collector: FakeCollector) -> None:
    old = site.ended(1, NOON - timedelta(days=20))
    site.once()
    assert collector.lines() == []
    site.probe().once(NOON - timedelta(days=30))
    assert collector.lines() == [old]
    site.probe().once(NOON - timedelta(days=30))
    assert collector.lines() == [old, old]


def test_the_setting_since_is_where_the_first_run_begins(site: Site, collector: FakeCollector) -> None:
    site.set("slurm", since="2026-10-01")
    old = site.ended(1, NOON - timedelta(days=50))
    site.once()
    assert collector.lines() == [old]


def test_the_heartbeat_says_what_runs_even_when_nothing_has_finished(
    site: Site, collector: FakeCollector
) -> None:
    site.once()
    (beat,) = collector.heartbeats
    assert beat["samples"] == [
        {"account": "physics", "vo": None, "state": "pending", "jobs": 1, "cores": 4},
        {"account": "physics", "vo": None, "state": "running", "jobs": 1, "cores": 8},
    ]
    assert beat | {"samples": []} == {
        "probe": "utah-probe", "resource": "Utah Slurm", "format": "sacct", "version": "0.1.0", "at": "2026-11-23T12:00:00Z",
        "backlog_batches": 0, "backlog_bytes": 0, "oldest_waiting_at": None, "newest_record_at": None, "problem": None,
        "samples": [],
    }  # fmt: skip


def test_without_squeue_the_heartbeat_comes_all_the_same(site: Site, collector: FakeCollector) -> None:
    (site.bin / "squeue").unlink()
    site.ended(1, NOON - HOUR)
    assert site.once().level == 1
    (beat,) = collector.heartbeats
    assert beat["samples"] == []
    assert "what runs and waits now is not known" in beat["problem"]
    assert beat["newest_record_at"] == "2026-11-23T11:00:00Z"


def test_the_cursor_stands_where_the_newest_end_was(site: Site) -> None:
    site.ended(1, NOON - HOUR)
    site.once()
    assert json_of(site.state / "cursor.json")["source"]["anchors"] == {"": "2026-11-23T11:00:00Z"}
