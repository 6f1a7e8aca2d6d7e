"""Real history files of HTCondor through a real probe into a real collector: each job is in the books once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.served import RealProbe, Served, served
from tests.shared_material import shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
RESOURCE = "History"
FEDERATION = f"resources: [{{name: {RESOURCE}}}]\n"
# Counted by hand; ten of them are removed jobs without an end of their own.
RECORDS, WALL_S = 30, 21_965


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, FEDERATION) as collector:
        yield collector


def booked(home: Served) -> tuple[int, int]:
    """Records and wall seconds in the books."""
    rows = home.usage("resource").values()
    return sum(int(row["records"]) for row in rows), round(sum(row["wall_hours"] for row in rows) * 3600)


def real_ads() -> list[Path]:
    return sorted(shared("condor_history").glob("history.*"))


def with_banner(ad: str) -> str:
    """An ad as HTCondor writes it into its history file: with a line at its end that says whose it is."""
    said = dict(line.split(" = ", 1) for line in ad.splitlines() if " = " in line)
    named = "".join(f" {name} = {said[name]}" for name in ("ClusterId", "ProcId", "Owner", "CompletionDate"))
    return f"{ad.rstrip()}\n*** Offset = 0{named}\n"


def test_thirty_real_per_job_files_are_thirty_records(tmp_path: Path, home: Served) -> None:
    ads = real_ads()
    folder = tmp_path / "history.d"
    folder.mkdir()
    for path in ads[:20]:
        shutil.copy(path, folder)
    settings = {"per_job_history_dir": folder, "after_shipping": "keep", "queue": "none"}
    probe = RealProbe(tmp_path / "probe", home, RESOURCE, "htcondor", htcondor=settings)
    probe.once()
    for path in ads[20:]:
        shutil.copy(path, folder)
    for _ in range(2):
        probe.once()
    assert booked(home) == (RECORDS, WALL_S)


def test_the_same_ads_in_a_history_file_that_rotates_are_thirty_records(tmp_path: Path, home: Served) -> None:
    texts = [with_banner(path.read_text(encoding="utf-8")) for path in real_ads()]
    live = tmp_path / "spool" / "history"
    live.parent.mkdir()
    settings = {"history_file": live, "queue": "none"}
    probe = RealProbe(tmp_path / "probe", home, RESOURCE, "htcondor", htcondor=settings)
    half = texts[12][:200]
    live.write_text("".join(texts[:12]) + half, encoding="utf-8")
    probe.once()
    with live.open("a", encoding="utf-8") as stream:
        stream.write(texts[12][200:] + texts[13])
    live.rename(live.with_name("history.20101102T120000"))
    live.write_text("".join(texts[14:]), encoding="utf-8")
    for _ in range(2):
        probe.once()
    assert booked(home) == (RECORDS, WALL_S)
