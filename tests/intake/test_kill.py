"""`kill -9` at any moment of a load, then the same load again: the totals are exact."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.intake.loader import Loader
from gridkeeper.lake.maintenance import verify
from gridkeeper.records.draft import Delivery
from gridkeeper.summaries.refreshing import refresh
from tests.lake.rows import RECEIVED
from tests.repeating import times

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
JOBS = 3000
KILLS_OF_A_SEED = times(10)
HEADER = "JobIDRaw|JobID|Cluster|Account|User|Submit|Start|End|ElapsedRaw|NCPUS|State|ExitCode"
# Small blocks and commits, so that a small file passes through many moments at which it can die.
SCRIPT = """
import sys
from gridkeeper.formats import contract, lines, sacct
from gridkeeper.intake import loader
loader.COMMIT_ROWS = 500
blocks = sacct.FORMAT.__class__.blocks
sacct.FORMAT.__class__.blocks = lambda self, stream, size=20_000: blocks(self, stream, size)
print("ready", flush=True)
from gridkeeper.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "sacct.txt"
    begin = datetime(2017, 1, 1)  # noqa: DTZ001 - text as Slurm writes it, without a zone
    lines = [HEADER]
    for number in range(JOBS):
        submit = begin + timedelta(minutes=7 * number)
        end = submit + timedelta(seconds=60 + number)
        lines.append(
            f"{number}|{number}|alpha|hep|alice|{submit.isoformat()}|{submit.isoformat()}|{end.isoformat()}|{60 + number}|2|COMPLETED|0:0"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def start(home: Path, log: Path, workers: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        "--home",
        str(home),
        "load",
        str(log),
        "--json",
        "--workers",
        str(workers),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("seed", range(5))
def test_a_load_killed_at_random_moments_and_repeated_counts_everything_once(
    seed: int, tmp_path: Path, log: Path
) -> None:
    chance = random.Random(seed)
    began = time.monotonic()
    Home(tmp_path / "whole").create()
    start(tmp_path / "whole", log, 0).communicate()
    whole = time.monotonic() - began
    died = turn = 0
    while died < KILLS_OF_A_SEED:
        turn += 1
        assert turn <= 4 * KILLS_OF_A_SEED, "too many loads ended before they could be killed"
        path = tmp_path / f"home{turn}"
        Home(path).create()
        process = start(path, log, 0 if turn % 4 else 1)
        time.sleep(chance.uniform(0, whole * 0.8))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            died += 1
        process.communicate()
        place = wired(path)
        Loader(place.lake, place.keep).load([log], "auto", Delivery(RECEIVED))
        refresh(place.lake, place.registry)
        found = place.books().select(
            "SELECT CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(core_seconds) AS BIGINT) AS core FROM usage_daily_end"
        )
        assert found.to_pylist() == [{"jobs": JOBS, "core": 2 * sum(60 + number for number in range(JOBS))}]
        if turn % 3 == 0:
            assert not [finding for finding in verify(place.lake, place.books()) if not finding["ok"]]
