"""PBS accounting files and files in any format: read by offset, whole records only."""

from __future__ import annotations

import gzip
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.probes.fake_site import NOON, Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.probes.fake_collector import FakeCollector

DAY = timedelta(days=1)


def pbs_line(job: int, kind: str = "E") -> str:
    end = int(NOON.timestamp()) - 3600
    return f"11/23/2026 11:00:00;{kind};{job}.server;user=alice group=hep jobname=fit queue=batch end={end} resources_used.walltime=01:00:00\n"


@pytest.fixture
def pbs(tmp_path: Path, collector: FakeCollector) -> Site:
    site = Site(tmp_path, collector.url, "pbs")
    (tmp_path / "accounting").mkdir()
    site.set("pbs", accounting_dir=tmp_path / "accounting", queue="none")
    return site


@pytest.fixture
def files(tmp_path: Path, collector: FakeCollector) -> Site:
    site = Site(tmp_path, collector.url, "file")
    (tmp_path / "log").mkdir()
    site.set("file", paths=f"{tmp_path}/log/*.swf {tmp_path}/log/*.log", format="swf")
    return site


def aged(path: Path, seconds: float) -> None:
    """Let a file have changed so long before the site's noon."""
    moment = NOON.timestamp() - seconds
    os.utime(path, (moment, moment))


def test_daily_files_are_read_by_offset_and_half_a_line_waits(pbs: Site, collector: FakeCollector) -> None:
    folder = pbs.folder / "accounting"
    (folder / "20261122").write_text(pbs_line(1))
    (folder / "20261123").write_text(pbs_line(2) + pbs_line(3)[:40])
    (folder / "20261123.gz").write_bytes(gzip.compress(b"other"))
    pbs.once()
    with (folder / "20261123").open("a") as stream:
        stream.write(pbs_line(3)[40:] + pbs_line(4))
    pbs.once()
    assert "".join(line + "\n" for line in collector.lines()) == "".join(pbs_line(job) for job in range(1, 5))
    assert {delivery.format for delivery in collector.deliveries} == {"pbs"}
    assert collector.heartbeats[-1]["newest_record_at"] == "2026-11-23T11:00:00Z"


def test_days_before_since_are_left_out(pbs: Site, collector: FakeCollector) -> None:
    pbs.set("pbs", since="2026-11-23")
    (pbs.folder / "accounting" / "20261122").write_text(pbs_line(1))
    (pbs.folder / "accounting" / "20261123").write_text(pbs_line(2))
    pbs.once()
    assert len(collector.lines()) == 1


def test_the_half_line_of_a_day_long_gone_is_shipped_as_it_is(pbs: Site, collector: FakeCollector) -> None:
    folder = pbs.folder / "accounting"
    (folder / "20261120").write_text(pbs_line(1) + "11/20/2026 23:59:59;E;9.ser")
    aged(folder / "20261120", 3 * 86_400)
    (folder / "20261123").write_text(pbs_line(2))
    pbs.once()
    assert "11/20/2026 23:59:59;E;9.ser" in collector.lines()


QSTAT = """\
print('''Job Id: 1.server
    Job_Name = fit
    Job_Owner = alice@node1.example.org
    job_state = R
    Account_Name = phys
\\tics
    Resource_List.nodes = 2:ppn=8+1

Job Id: 2.server
    Job_Owner = bob@node1.example.org
    job_state = Q
    project = _pbs_project_default
    Resource_List.ncpus = 4

Job Id: 3.server
    job_state = H
''')
"""


def test_qstat_tells_what_runs_and_waits(pbs: Site, collector: FakeCollector) -> None:
    pbs.set("pbs", queue="server", qstat=pbs.command("qstat", QSTAT))
    pbs.once()
    assert collector.heartbeats[-1]["samples"] == [
        {"account": None, "vo": None, "state": "pending", "jobs": 1, "cores": 4},
        {"account": "physics", "vo": None, "state": "running", "jobs": 1, "cores": 17},
    ]


def test_the_comments_at_the_head_go_with_every_batch(files: Site, collector: FakeCollector) -> None:
    head = "; UnixStartTime: 1700000000\n; MaxProcs: 8\n"
    path = files.folder / "log" / "cluster.swf"
    path.write_text(head + "1 0 0 10 1\n")
    files.once()
    with path.open("a") as stream:
        stream.write("2 5 0 10 1\n")
    files.once()
    assert [delivery.text for delivery in collector.deliveries] == [
        head + "1 0 0 10 1\n",
        head + "2 5 0 10 1\n",
    ]


def test_the_header_of_sacct_goes_with_every_batch(files: Site, collector: FakeCollector) -> None:
    files.set("file", format="sacct")
    path = files.folder / "log" / "export.log"
    path.write_text("JobID|End|State|Start\n1|x|y|z\n")
    files.once()
    with path.open("a") as stream:
        stream.write("2|x|y|z\n")
    files.once()
    assert [delivery.text for delivery in collector.deliveries] == [
        "JobID|End|State|Start\n1|x|y|z\n", "JobID|End|State|Start\n2|x|y|z\n",
    ]  # fmt: skip


def test_a_file_renamed_out_of_the_pattern_is_read_to_its_end(files: Site, collector: FakeCollector) -> None:
    log = files.folder / "log"
    (log / "a.log").write_text("1 0\n")
    files.once()
    with (log / "a.log").open("a") as stream:
        stream.write("2 0\n")
    (log / "a.log").rename(log / "a.log-20261123")
    (log / "a.log").write_text("3 0\n")
    files.once()
    assert sorted(collector.lines()) == ["1 0", "2 0", "3 0"]


def test_a_file_emptied_in_place_begins_again(files: Site, collector: FakeCollector) -> None:
    path = files.folder / "log" / "a.log"
    path.write_text("1 0\n2 0\n")
    files.once()
    path.write_text("3 0\n")
    files.once()
    assert collector.lines() == ["1 0", "2 0", "3 0"]


def test_a_file_of_no_known_records_is_one_delivery_once_it_is_quiet(
    files: Site, collector: FakeCollector
) -> None:
    files.set("file", format="apel")
    path = files.folder / "log" / "message.log"
    path.write_text("APEL-individual-job-message: v0.3\nSite: A\n%%\n")
    aged(path, 5)
    files.once()
    assert collector.deliveries == []
    aged(path, 100)
    files.once()
    files.once()
    assert [delivery.text for delivery in collector.deliveries] == [path.read_text()]


def test_a_compressed_file_is_left_out_and_said(files: Site, collector: FakeCollector) -> None:
    (files.folder / "log" / "old.log").write_bytes(gzip.compress(b"1 0\n"))
    assert "is compressed and was left out" in files.once().line
    assert collector.deliveries == []


def test_an_endless_line_is_shipped_in_pieces_and_memory_is_bounded(
    files: Site, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridkeeper.probes.tails.RECORD_LIMIT_BYTES", 10_000)
    files.set("outbox", batch_kb=4)
    (files.folder / "log" / "a.log").write_text("x" * 25_000 + "\n1 0\n")
    files.once()
    pieces = [delivery.text for delivery in collector.deliveries]
    assert len(pieces) > 2
    assert max(map(len, pieces)) < 16_000
    assert "1 0" in collector.lines()


def test_many_rounds_of_a_growing_file_ship_every_line_once(files: Site, collector: FakeCollector) -> None:
    files.set("outbox", batch_kb=1)
    path = files.folder / "log" / "a.log"
    for round_ in range(20):
        with path.open("a") as stream:
            stream.writelines(f"{round_ * 100 + line} 0 0 10 1\n" for line in range(100))
        files.once()
    assert sorted(int(line.split()[0]) for line in collector.lines()) == list(range(2000))


def test_since_begins_again_with_the_files_that_changed(pbs: Site, collector: FakeCollector) -> None:
    folder = pbs.folder / "accounting"
    for name, age in (("20261110", 13), ("20261122", 1)):
        (folder / name).write_text(pbs_line(int(name)))
        aged(folder / name, age * 86_400)
    pbs.once()
    pbs.probe().once(NOON - 3 * DAY)
    assert collector.lines().count(pbs_line(20261122).strip()) == 2
    assert collector.lines().count(pbs_line(20261110).strip()) == 1


def test_more_files_than_a_probe_follows_are_refused_not_shipped_again_and_again(
    files: Site, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridkeeper.probes.tails.MOST_FILES", 5)
    monkeypatch.setattr("gridkeeper.probes.tails.MOST_FILES_REMEMBERED", 2)
    for name in range(5):
        (files.folder / "log" / f"{name}.log").write_text(f"{name} 0\n")
    for _ in range(3):
        files.once()
    assert sorted(collector.lines()) == [f"{name} 0" for name in range(5)]
    (files.folder / "log" / "6.log").write_text("6 0\n")
    verdict = files.once()
    assert verdict.level == 2
    assert "6 files are more than the 5 that a probe follows" in verdict.line


def test_a_file_rewritten_with_the_same_beginning_is_read_from_its_start(
    files: Site, collector: FakeCollector
) -> None:
    same = "".join(f"{line} 0 0 10 1\n" for line in range(200))
    path = files.folder / "log" / "a.log"
    path.write_text(same + "old 1\n")
    files.once()
    path.write_text(same + "new 1\nnew 2\n")
    files.once()
    assert collector.deliveries[1].text == same + "new 1\nnew 2\n"
