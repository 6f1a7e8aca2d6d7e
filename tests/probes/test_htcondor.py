"""HTCondor: the per-job folder, and the history file through its rotations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.formats.registry import format_named
from gridkeeper.records.draft import Delivery
from tests.formats.cases import parse
from tests.probes.fake_site import NOON, Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.probes.fake_collector import FakeCollector

ENDED = int((NOON - timedelta(hours=1)).timestamp())


def ad(job: int, **attributes: str) -> str:
    """An ad of a finished job."""
    said = {
        "ClusterId": str(job), "ProcId": "0", "GlobalJobId": f'"ap1.example.org#{job}.0#{ENDED - 7200}"', "Owner": '"alice"',
        "QDate": str(ENDED - 7200), "JobStartDate": str(ENDED - 3600), "CompletionDate": str(ENDED), "JobStatus": "4",
        "RemoteWallClockTime": "3600.0", "RequestCpus": "2", "NumJobStarts": "1", "Args": f'"--seed {job}"',
    } | attributes  # fmt: skip
    return "".join(f"{name} = {value}\n" for name, value in said.items())


def with_banner(job: int) -> str:
    return (
        ad(job)
        + f'*** Offset = 0 ClusterId = {job} ProcId = 0 Owner = "alice" CompletionDate = {ENDED} CurrentTime = {ENDED}\n'
    )


@pytest.fixture
def condor(tmp_path: Path, collector: FakeCollector) -> Site:
    site = Site(tmp_path, collector.url, "htcondor")
    (tmp_path / "history.d").mkdir()
    site.set("htcondor", per_job_history_dir=tmp_path / "history.d", after_shipping="delete", queue="none")
    return site


@pytest.fixture
def rotating(tmp_path: Path, collector: FakeCollector) -> Site:
    site = Site(tmp_path, collector.url, "htcondor")
    (tmp_path / "spool").mkdir()
    site.set("htcondor", history_file=tmp_path / "spool" / "history", queue="none")
    return site


def jobs_of(collector: FakeCollector) -> list[str]:
    """The jobs of all deliveries, as the central parser finds them."""
    found = []
    for delivery in collector.deliveries:
        for parsed in parse(format_named("condor-history"), delivery.text.encode(), Delivery(NOON)):
            assert not parsed.rejects
            for table in parsed.tables.values():
                found += table.column("local_job_id").to_pylist()
    return found


def numbers(first: int, until: int) -> list[str]:
    return [f"{job}.0" for job in range(first, until)]


def test_per_job_files_are_gathered_shipped_and_deleted(condor: Site, collector: FakeCollector) -> None:
    folder = condor.folder / "history.d"
    for job in range(30):
        (folder / f"history.{job}.0").write_text(ad(job))
    (folder / ".history.99.0.tmp").write_text("ClusterId = 99\n")
    verdict = condor.once()
    assert verdict.level == 0
    assert len(collector.deliveries) == 1
    assert sorted(jobs_of(collector)) == sorted(numbers(0, 30))
    assert [path.name for path in folder.iterdir()] == [".history.99.0.tmp"]
    assert collector.heartbeats[-1]["newest_record_at"] == "2026-11-23T11:00:00Z"


def test_kept_files_are_shipped_once_and_a_rewritten_one_again(
    condor: Site, collector: FakeCollector
) -> None:
    condor.set("htcondor", after_shipping="keep")
    folder = condor.folder / "history.d"
    for job in range(5):
        (folder / f"history.{job}.0").write_text(ad(job))
    condor.once()
    condor.once()
    assert len(collector.deliveries) == 1
    assert len(list(folder.iterdir())) == 5
    (folder / "history.1.0").unlink()
    (folder / "history.2.0").write_text(ad(2, ExitCode="1"))
    condor.once()
    assert [delivery.text.count("ClusterId") for delivery in collector.deliveries] == [5, 1]


def test_shipped_files_move_where_the_setting_says(condor: Site) -> None:
    shipped = condor.folder / "shipped"
    shipped.mkdir()
    condor.set("htcondor", after_shipping="move", move_to=shipped)
    for text in (ad(1), ad(1, ExitCode="1")):
        (condor.folder / "history.d" / "history.1.0").write_text(text)
        condor.once()
    names = sorted(path.name for path in shipped.iterdir())
    assert names[0] == "history.1.0"
    assert names[1].startswith("history.1.0.")


def test_a_file_that_cannot_be_put_away_is_not_shipped_again(condor: Site, collector: FakeCollector) -> None:
    condor.set("htcondor", after_shipping="move", move_to=condor.folder / "missing")
    (condor.folder / "history.d" / "history.1.0").write_text(ad(1))
    first = condor.once()
    condor.once()
    assert first.level == 1
    assert "was shipped but could not be put away" in first.line
    assert len(collector.deliveries) == 1


def test_an_empty_file_is_left_and_said(condor: Site, collector: FakeCollector) -> None:
    (condor.folder / "history.d" / "history.1.0").touch()
    assert "is empty (was a disk full?)" in condor.once().line
    assert collector.deliveries == []


def test_a_missing_folder_is_critical_and_says_which(condor: Site) -> None:
    (condor.folder / "history.d").rmdir()
    verdict = condor.once()
    assert verdict.level == 2
    assert "PER_JOB_HISTORY_DIR" in verdict.line


def test_an_unfinished_ad_waits(rotating: Site, collector: FakeCollector) -> None:
    history = rotating.folder / "spool" / "history"
    whole, begun = with_banner(1), with_banner(2)
    for cut in (10, len(begun) - 20, len(begun) - 1):
        history.write_text(whole + begun[:cut])
        rotating.once()
        assert jobs_of(collector) == ["1.0"]
    with history.open("a") as stream:
        stream.write(begun[-1:])
    rotating.once()
    assert jobs_of(collector) == ["1.0", "2.0"]


def test_rotation_loses_and_doubles_nothing(rotating: Site, collector: FakeCollector) -> None:
    spool = rotating.folder / "spool"
    job = 0
    for turn in range(4):
        for _ in range(3):
            for _ in range(5):
                with (spool / "history").open("a") as stream:
                    stream.write(with_banner(job))
                job += 1
            rotating.once()
        with (spool / "history").open("a") as stream:  # written after the last round, before the rotation
            stream.write(with_banner(job))
        job += 1
        (spool / "history").rename(spool / f"history.20261123T0{turn}0000")
    rotating.once()
    assert sorted(jobs_of(collector)) == sorted(numbers(0, job))


def test_a_rotation_in_the_middle_of_a_round_loses_nothing(
    rotating: Site, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = rotating.folder / "spool"
    (spool / "history").write_text("".join(with_banner(job) for job in range(20)))
    rotating.set("outbox", batch_kb=1)

    probe = rotating.probe()
    put = probe._outbox.put
    turns = iter(range(100))

    def put_and_rotate(*arguments: object) -> object:
        if next(turns) == 3:
            (spool / "history").rename(spool / "history.20261123T120000")
            (spool / "history").write_text(with_banner(20))
        return put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(probe._outbox, "put", put_and_rotate)
    probe.once()
    rotating.once()
    assert sorted(jobs_of(collector)) == sorted(numbers(0, 21))


def test_a_rotated_file_that_went_unread_is_said_for_days(rotating: Site, collector: FakeCollector) -> None:
    history = rotating.folder / "spool" / "history"
    history.write_text(with_banner(1) + ad(2))
    rotating.once()
    (rotating.folder / "new").write_text(with_banner(3))
    (rotating.folder / "new").rename(history)
    verdict = rotating.once()
    assert "history is gone with" in verdict.line
    rotating.clock.advance(3600)
    assert "history is gone with" in rotating.once().line
    rotating.clock.advance(8 * 86_400)
    assert rotating.once().level == 0
    assert jobs_of(collector) == ["1.0", "3.0"]


def test_an_inode_used_again_is_a_new_file(rotating: Site, collector: FakeCollector) -> None:
    history = rotating.folder / "spool" / "history"
    history.write_text(with_banner(1))
    rotating.once()
    history.write_text(with_banner(22))  # same inode, other beginning
    rotating.once()
    assert jobs_of(collector) == ["1.0", "22.0"]


def test_a_history_restored_from_a_backup_goes_on_where_it_was(
    rotating: Site, collector: FakeCollector
) -> None:
    history = rotating.folder / "spool" / "history"
    text = "".join(with_banner(job) for job in range(10))
    history.write_text(text)
    rotating.once()
    (rotating.folder / "backup").write_text(text + with_banner(10))
    history.unlink()
    (rotating.folder / "backup").rename(history)
    rotating.once()
    assert jobs_of(collector) == numbers(0, 11)


QUEUE = """\
import json, sys
assert sys.argv[1:4] == ["-allusers", "-json", "-attributes"]
jobs = [
    {"JobStatus": 2, "JobUniverse": 5, "RequestCpus": 1, "CpusProvisioned": 8, "AcctGroup": "group_a, \\"b\\"", "Owner": "alice"},
    {"JobStatus": 1, "JobUniverse": 5, "RequestCpus": 4, "x509UserProxyVOName": "cms", "Owner": "bob"},
    {"JobStatus": 1, "JobUniverse": 5, "RequestCpus": "/Expr(ifThenElse(x, 1, 2))/", "x509UserProxyVOName": "cms"},
    {"JobStatus": 5, "JobUniverse": 5, "RequestCpus": 4},
    {"JobStatus": 2, "JobUniverse": 7, "RequestCpus": 1},
]
print(json.dumps(jobs, indent=2))
"""


def test_the_queue_is_counted_by_account_and_vo(condor: Site, collector: FakeCollector) -> None:
    condor.set("htcondor", queue="schedd", condor_q=condor.command("condor_q", QUEUE))
    condor.once()
    assert collector.heartbeats[-1]["samples"] == [
        {"account": None, "vo": "cms", "state": "pending", "jobs": 2, "cores": 5},
        {"account": 'group_a, "b"', "vo": None, "state": "running", "jobs": 1, "cores": 8},
    ]


def test_an_empty_queue_is_no_problem(condor: Site, collector: FakeCollector) -> None:
    condor.set("htcondor", queue="schedd", condor_q=condor.command("condor_q", ""))
    assert condor.once().level == 0
    assert collector.heartbeats[-1]["samples"] == []


def test_a_pool_is_counted_by_group(condor: Site, collector: FakeCollector) -> None:
    slots = 'print(\'[{"Cpus": 8, "AccountingGroup": "group_a.prod.alice@example.org"}, {"Cpus": 2}]\')\n'
    condor.set("htcondor", queue="pool", condor_status=condor.command("condor_status", slots))
    condor.once()
    assert collector.heartbeats[-1]["samples"] == [
        {"account": None, "vo": None, "state": "running", "jobs": 1, "cores": 2},
        {"account": "group_a.prod", "vo": None, "state": "running", "jobs": 1, "cores": 8},
    ]


def test_an_answer_that_is_no_json_is_said(condor: Site, collector: FakeCollector) -> None:
    condor.set("htcondor", queue="schedd", condor_q=condor.command("condor_q", 'print("[{")'))
    assert "is no JSON where it says" in condor.once().line
