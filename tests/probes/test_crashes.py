"""Whenever a probe dies or its disk fills, everything arrives afterwards, each line once."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.probes.fake_collector import Reply
from tests.probes.fake_site import Site
from tests.probes.test_htcondor import ad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.probes.fake_collector import FakeCollector

pytestmark = pytest.mark.slow
LINES = 60


class PowerCut(BaseException):
    """The machine stops here."""


class Steps:
    """Counts the steps that touch the disk, and lets something happen at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = str(folder)
        self.taken = 0
        self.happens: Callable[[int], None] = lambda step: None
        self.after = False
        for owner, name in ((os, "write"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
            self._watch(monkeypatch, owner, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watched(first: Any, *rest: Any, **named: Any) -> Any:
            ours = isinstance(first, int) or str(first).startswith(self.folder)
            self.taken += ours
            if ours and not self.after:
                self.happens(self.taken)
            found = real(first, *rest, **named)
            if ours and self.after:
                self.happens(self.taken)
            return found

        monkeypatch.setattr(owner, name, watched)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Steps]:
    with monkeypatch.context() as patch:
        yield Steps(patch, tmp_path / "state")


def growing_file(folder: Path, url: str) -> Site:
    site = Site(folder, url, "file")
    site.set("file", paths=folder / "a.swf", format="swf")
    site.set("outbox", batch_kb=1)
    (folder / "a.swf").write_text("".join(f"{line} 0 0 10 1 " + "x" * 30 + "\n" for line in range(LINES)))
    return site


def per_job_folder(folder: Path, url: str) -> Site:
    site = Site(folder, url, "htcondor")
    (folder / "history.d").mkdir()
    site.set("htcondor", per_job_history_dir=folder / "history.d", after_shipping="delete", queue="none")
    site.set("outbox", batch_kb=1)
    for job in range(12):
        (folder / "history.d" / f"history.{job}.0").write_text(ad(job))
    return site


def arrived_once(site: Site, collector: FakeCollector) -> bool:
    if site.kind == "file":
        return sorted(int(line.split()[0]) for line in collector.lines()) == list(range(LINES))
    jobs = [line for line in collector.lines() if line.startswith("ClusterId")]
    return sorted(jobs) == sorted(f"ClusterId = {job}" for job in range(12)) and not list(
        (site.folder / "history.d").iterdir()
    )


@pytest.mark.parametrize("make", [growing_file, per_job_folder])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_power_cut_at_every_single_step_loses_and_doubles_nothing(
    make: Callable[[Path, str], Site], after: bool, tmp_path: Path, collector: FakeCollector, steps: Steps
) -> None:
    steps.after = after
    for last in range(1, 400):
        folder = tmp_path / str(last)
        folder.mkdir()
        site = make(folder, collector.url)
        steps.folder, steps.taken = str(site.state), 0
        steps.happens = lambda step, last=last: _cut(step, last)  # type: ignore[misc]
        try:
            site.once()
            whole = True
        except PowerCut:
            whole = False
        steps.happens = lambda step: None
        site.once()
        assert arrived_once(site, collector), f"cut at step {last}"
        assert collector.mistakes == []
        if whole:
            break
        collector.forget()
    assert last > 20


def _cut(step: int, last: int) -> None:
    if step >= last:
        raise PowerCut


@pytest.mark.parametrize("make", [growing_file, per_job_folder])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_is_full_at_any_step_is_said_and_recovers(
    make: Callable[[Path, str], Site], error: int, tmp_path: Path, collector: FakeCollector, steps: Steps
) -> None:
    site = make(tmp_path, collector.url)
    troubled = 0
    for full_from in range(1, 40):
        steps.taken = 0
        steps.happens = lambda step, full_from=full_from: _full(step, full_from, error)  # type: ignore[misc]
        try:
            verdict = site.once()
            troubled += "could not be" in verdict.line or "cannot be" in verdict.line
        except OSError:
            pytest.fail("a full disk ended in a traceback")
        steps.happens = lambda step: None
    assert troubled > 5
    assert site.once().level == 0
    assert arrived_once(site, collector)
    assert collector.mistakes == []
    assert not list(site.state.rglob(".tmp-*"))


def _full(step: int, full_from: int, error: int) -> None:
    if step >= full_from:
        raise OSError(error, os.strerror(error))


def test_a_real_full_disk_recovers(tmp_path: Path, collector: FakeCollector) -> None:
    disk = tmp_path / "state"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        site = growing_file(tmp_path, collector.url)
        (disk / "ballast").write_bytes(bytes(44 * 1024))
        with (tmp_path / "a.swf").open("a") as stream:
            stream.writelines(f"{line} {random.Random(line).random()}\n" for line in range(LINES, 4000))
        collector.difficult = lambda path, body: _closed()
        verdict = site.once()
        assert "No space left on device" in verdict.line
        collector.difficult = lambda path, body: None
        site.clock.advance(3600)
        (disk / "ballast").unlink()
        for _ in range(40):
            site.once()
        assert sorted(int(line.split()[0]) for line in collector.lines()) == list(range(4000))
    finally:
        subprocess.run(["umount", disk], check=True)


def _closed() -> Any:
    return Reply(503, {"error": "closed"})


@pytest.mark.parametrize(("kind", "times"), [("slurm", 20), ("htcondor", 10), ("file", 10)])
def test_killed_at_random_moments_everything_arrives_once(
    kind: str, times: int, tmp_path: Path, collector: FakeCollector
) -> None:
    site, add = _living_site(kind, tmp_path, collector.url)
    config = site.write_config()
    chance = random.Random(kind)
    command = [sys.executable, "-m", "gridkeeper.probes", "run", "--once", "--config", str(config)]
    lifetime, killed = 0.4, 0
    for turn in range(60):
        add(turn)
        if killed >= times:
            break
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 1.0) * lifetime)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        lifetime = lifetime * 1.1 if process.returncode == -signal.SIGKILL else lifetime * 0.8
    assert killed >= times
    for _ in range(2):
        assert site.run_for_real("run", "--once", "--config", str(config)).returncode in (0, 1)
    assert collector.mistakes == []
    jobs = [line.split("|")[0] for line in collector.lines() if "|" in line or line.startswith("ClusterId")]
    jobs = jobs if kind != "file" else [line.split()[0] for line in collector.lines()]
    assert len(jobs) == len(set(jobs)) == 15 * (turn + 1)


def _living_site(kind: str, folder: Path, url: str) -> tuple[Site, Callable[[int], None]]:
    """A site where 15 jobs end each turn, in batches of about three."""
    site = Site(folder, url, kind)
    site.set("outbox", batch_kb=1)
    (folder / "history.d").mkdir()
    now = datetime.now(UTC)
    if kind == "htcondor":
        site.set("htcondor", per_job_history_dir=folder / "history.d", after_shipping="delete", queue="none")
    if kind == "file":
        site.set("file", paths=folder / "a.swf", format="swf")

    def add(turn: int) -> None:
        for job in range(15 * turn, 15 * turn + 15):
            if kind == "slurm":
                site.ended(job, now - timedelta(seconds=1000 - job), JobName="x" * 200)
            elif kind == "htcondor":
                path = folder / "history.d" / f"history.{job}.0"
                path.with_name(f".{path.name}").write_text(ad(job))
                path.with_name(f".{path.name}").rename(path)
            else:
                with (folder / "a.swf").open("a") as stream:
                    stream.write(f"{job} 0 0 10 1 {'x' * 300}\n")

    return site, add


def test_a_damaged_batch_is_set_aside_said_and_read_again(tmp_path: Path, collector: FakeCollector) -> None:
    site = growing_file(tmp_path, collector.url)
    collector.difficult = lambda path, body: _closed()
    site.once()
    first, *_ = sorted((site.state / "outbox").iterdir())
    first.write_bytes(first.read_bytes()[:-4])
    collector.difficult = lambda path, body: None
    site.clock.advance(3600)
    verdict = site.once()
    assert verdict.level == 1
    assert "1 damaged batches were set aside" in verdict.line
    assert (site.state / "damaged" / first.name).exists()


def test_a_damaged_cursor_stops_the_reading_not_the_sending(tmp_path: Path, collector: FakeCollector) -> None:
    site = growing_file(tmp_path, collector.url)
    collector.difficult = lambda path, body: _closed()
    site.once()
    collector.difficult = lambda path, body: None
    (site.state / "cursor.json").write_text("{")
    site.clock.advance(3600)
    verdict = site.once()
    assert verdict.level == 2
    assert "is damaged; restore it from a backup, or remove it" in verdict.line
    assert arrived_once(site, collector)


def test_a_lost_cursor_goes_on_from_the_outbox(tmp_path: Path, collector: FakeCollector) -> None:
    site = growing_file(tmp_path, collector.url)
    collector.difficult = lambda path, body: _closed()
    site.once()
    collector.difficult = lambda path, body: None
    (site.state / "cursor.json").unlink()
    site.clock.advance(3600)
    assert site.once().level == 0
    assert arrived_once(site, collector)


def test_the_state_of_another_probe_is_refused(tmp_path: Path, collector: FakeCollector) -> None:
    site = growing_file(tmp_path, collector.url)
    site.once()
    site.set("probe", name="other-probe")
    assert "belongs to the probe utah-probe of kind file" in site.once().line


def test_two_runs_at_a_time_do_not_meet(tmp_path: Path, collector: FakeCollector) -> None:
    site = growing_file(tmp_path, collector.url)
    with site.probe().lock():
        answer = site.run_for_real("run", "--once", "--config", str(site.write_config()))
    assert answer.returncode == 0
    assert answer.stdout.startswith("OK - another run of this probe is at work")
    assert collector.requests == []
