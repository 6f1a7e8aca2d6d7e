"""The doctor says in words what is wrong, with a Nagios line and exit code for machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.probes import cli, clock
from tests.probes.fake_collector import FakeCollector, Reply
from tests.probes.fake_site import NOON, FakeClock, Site

if TYPE_CHECKING:
    from collections.abc import Callable


class Doctor:
    """Runs the command and keeps what it said."""

    def __init__(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        self.site = site
        self._capsys = capsys

    def __call__(self) -> tuple[int, str]:
        code = cli.main(["doctor", "--config", str(self.site.write_config())])
        return code, self._capsys.readouterr().out


@pytest.fixture
def doctor(
    site: Site, collector: FakeCollector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Doctor:
    """A healthy probe after its first round, and its doctor."""
    monkeypatch.setattr(clock, "Clock", lambda: site.clock)
    for job, user in enumerate(("alice", "bob")):
        site.ended(job, NOON - timedelta(hours=job + 1), User=user)
    site.once()
    return Doctor(site, capsys)


def test_a_healthy_probe_passes_every_check(doctor: Doctor) -> None:
    code, said = doctor()
    first, *rest = said.splitlines()
    assert code == 0
    assert re.fullmatch(
        r"OK - all \d+ checks passed \| backlog=0;;;0;20000 backlog_bytes=0B;;;0;2147483648 oldest=0s;21600;86400",
        first,
    )
    assert all(line.startswith("OK ") for line in rest)
    assert "sacct tells of 2 runs of 2 users that ended in the last 24 hours" in said
    assert "squeue tells of 2 jobs that run or wait" in said
    assert "the last receipt, b1, came 0 seconds ago" in said
    assert "takes this token for Utah Slurm" in said


def offline(site: Site, collector: FakeCollector) -> None:
    site.set("collector", url="http://127.0.0.1:9")


def refused(site: Site, collector: FakeCollector) -> None:
    collector.difficult = lambda path, body: Reply(403, {"error": "this token is for Nebraska"})


def no_sacct(site: Site, collector: FakeCollector) -> None:
    (site.bin / "sacct").unlink()


def no_squeue(site: Site, collector: FakeCollector) -> None:
    (site.bin / "squeue").unlink()


def clock_off(site: Site, collector: FakeCollector) -> None:
    collector.now = "2026-11-23T12:10:00Z"


def clock_a_little_off(site: Site, collector: FakeCollector) -> None:
    collector.now = "2026-11-23T11:59:20Z"


def open_token(site: Site, collector: FakeCollector) -> None:
    (site.folder / "token").chmod(0o644)


def no_token(site: Site, collector: FakeCollector) -> None:
    (site.folder / "token").unlink()


def never_run(site: Site, collector: FakeCollector) -> None:
    site.set("probe", state_dir=site.folder / "other")


def timer_off(site: Site, collector: FakeCollector) -> None:
    site.clock.advance(7200)
    collector.now = clock.as_text(site.clock.now())


def old_backlog(site: Site, collector: FakeCollector) -> None:
    collector.difficult = lambda path, body: Reply(503) if path == "/api/v1/batches" else None
    site.ended(9, NOON - timedelta(minutes=1))
    site.once()
    site.clock.advance(30 * 3600)
    collector.now = clock.as_text(site.clock.now())
    site.once()


def outbox_full(site: Site, collector: FakeCollector) -> None:
    site.set("outbox", keep_free_mb=9_000_000)


def only_ones_own_jobs(site: Site, collector: FakeCollector) -> None:
    site.jobs.write_text("")
    for job in range(3):
        site.ended(job, NOON - timedelta(hours=1))


def nothing_told(site: Site, collector: FakeCollector) -> None:
    site.jobs.write_text("")


def test_an_idle_cluster_is_no_trouble(doctor: Doctor) -> None:
    nothing_told(doctor.site, FakeCollector())
    doctor.site.command("squeue", "")
    code, said = doctor()
    assert code == 0
    assert "sacct tells of 0 runs" in said


def sacct_hangs_up(site: Site, collector: FakeCollector) -> None:
    site.sacct_fails.write_text("sacct: error: Access/permission denied")


@pytest.mark.parametrize(
    ("trouble", "level", "sentence", "remedy"),
    [
        (offline, 2, "127.0.0.1:9 does not answer", "it waits in the outbox"),
        (refused, 2, "refused: 127.0.0.1", "compare [probe] name and resource"),
        (no_sacct, 2, "sacct was not found", "run the same sacct as the probe's account"),
        (sacct_hangs_up, 1, "Access/permission denied", "run the same sacct as the probe's account"),
        (no_squeue, 1, "squeue was not found", "without it, heartbeats lack what runs now"),
        (clock_off, 2, "this host's clock is 600.0 s behind the collector's", "let chronyd or ntpd set it"),
        (clock_a_little_off, 1, "this host's clock is 40.0 s ahead of the collector's", "let chronyd"),
        (open_token, 1, "everybody on this host can read", "chmod 640"),
        (no_token, 2, "token cannot be read: No such file or directory", "ask the federation's operators"),
        (never_run, 1, "this probe has never run", "systemctl enable --now"),
        (timer_off, 2, "the last round was 2 hours ago", "systemctl enable --now"),
        (old_backlog, 2, "1 batches wait, the oldest for 30 hours", "the checks above say why"),
        (outbox_full, 2, "are kept free ([outbox] keep_free_mb)", "nothing new is read"),
        (only_ones_own_jobs, 1, "3 runs of 1 users", "AdminLevel=Operator"),
        (nothing_told, 1, "0 runs of 0 users", "the probe's account may not see them"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_each_trouble_has_its_level_its_sentence_and_its_remedy(
    doctor: Doctor,
    collector: FakeCollector,
    trouble: Callable[[Site, FakeCollector], None],
    level: int,
    sentence: str,
    remedy: str,
) -> None:
    trouble(doctor.site, collector)
    code, said = doctor()
    first = said.splitlines()[0]
    assert code == level
    assert first.startswith({1: "WARNING - ", 2: "CRITICAL - "}[level])
    assert sentence in first
    assert re.search(rf"^ +-> .*{re.escape(remedy)}", said, re.MULTILINE)


def test_the_time_of_the_date_header_serves_where_there_is_no_clock(
    doctor: Doctor, collector: FakeCollector
) -> None:
    # The fake's Date header is this machine's time, which is far from the site's noon.
    collector.difficult = lambda path, body: Reply(404) if path == "/api/v1/clock" else None
    doctor.site.clock = FakeClock(datetime.now(UTC))
    assert "OK       clock: this host's clock is" in doctor()[1]


def test_a_configuration_that_cannot_be_read_is_unknown(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--config", f"{tmp_path}/none.ini"]) == 3
    assert capsys.readouterr().out.startswith("UNKNOWN - ")


def test_the_doctor_leaves_nothing_behind_and_moves_nothing(doctor: Doctor) -> None:
    before = sorted(doctor.site.state.rglob("*"))
    doctor()
    assert sorted(doctor.site.state.rglob("*")) == before


@pytest.mark.parametrize("words", [["doctor", "--config", "CONFIG"], ["sample-config", "slurm"], ["--help"]])
def test_who_reads_only_the_first_line_gets_no_traceback(site: Site, words: list[str]) -> None:
    """`gridkeeper-probe doctor | head -1`; here the reader is gone before the first line."""
    config = str(site.write_config())
    command = [
        sys.executable,
        "-m",
        "gridkeeper.probes",
        *(config if word == "CONFIG" else word for word in words),
    ]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode in (0, 1, 2), "the verdict's own"
