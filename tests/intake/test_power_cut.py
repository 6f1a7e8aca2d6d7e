"""The power fails: only what was synced is left, under names that were synced; all that was acknowledged is among it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.cli.wiring import wired
from gridkeeper.database import reading
from gridkeeper.intake import waiting
from gridkeeper.intake.tables import BATCHES, PARTS
from gridkeeper.lake.maintenance import verify
from tests.intake.storing import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Disk:
    """A folder whose programs are watched, and what a power cut would leave of it at this moment."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.watched, self.shadow, self.left = folder / "disk", folder / "shadow", folder / "left"
        self.watched.mkdir()
        self.shadow.mkdir()
        self.environment = os.environ | {
            "LD_PRELOAD": str(library),
            "WATCHED": str(self.watched),
            "SHADOW": str(self.shadow),
        }
        self.home = self.watched / "home"
        self._cuts = 0

    def gridkeeper(self, *words: str) -> None:
        """Run a command, watched."""
        subprocess.run(
            [sys.executable, "-m", "gridkeeper", *words], cwd=ROOT, env=self.environment, check=True
        )

    def after_a_power_cut(self) -> Path:
        """The home as it would be found again.

        A name that was synced of a file that never was is an empty file, and of a folder that never was, an
        empty folder: so file systems leave them that write names before contents.
        """
        self._cuts += 1
        shutil.rmtree(self.left / str(self._cuts - 1), ignore_errors=True)
        found = self.left / str(self._cuts)
        root = self.shadow / "root"
        assert root.exists(), "the name of the home was never synced"
        self._rebuild(root.read_text(encoding="ascii"), found)
        return found / "home"

    def _rebuild(self, key: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        listing = self.shadow / key
        for line in listing.read_text(encoding="utf-8").splitlines() if listing.exists() else ():
            kind, of_entry, name = line.split(" ", 2)
            content = self.shadow / of_entry
            if kind == "d":
                self._rebuild(of_entry, folder / name)
            elif content.exists():
                shutil.copyfile(content, folder / name)
            else:
                (folder / name).touch()


class Storing:
    """The watched process that takes batches in and loads them."""

    def __init__(self, disk: Disk) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.intake.storing", str(disk.home)],
            cwd=ROOT, env=disk.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"

    def do(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.wait()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc here to compile what watches the syncs")
    library = tmp_path / "synced.so"
    source = Path(__file__).with_name("synced.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"],
        check=True,
    )
    return Disk(tmp_path, library)


@pytest.fixture
def storing(disk: Disk) -> Iterator[Storing]:
    started = Storing(disk)
    yield started
    started.process.communicate()


def received(home: Path) -> dict[str, str]:
    """SHA-256 of each batch in the inbox: as its row says, and of what its parts hold."""
    engine = wired(home).database()
    with reading(engine) as connection:
        rows = connection.execute(sa.select(BATCHES.c.id, BATCHES.c.sha256)).all()
        parts = sa.select(PARTS.c.data).order_by(PARTS.c.part)
        held = {
            row.sha256: hashlib.sha256(
                b"".join(connection.execute(parts.where(PARTS.c.batch == row.id)).scalars())
            ).hexdigest()
            for row in rows
        }
    engine.dispose()
    return held


def booked(home: Path) -> dict[int, int]:
    sql = "SELECT local_job_id, COUNT(*) AS times FROM usage_records GROUP BY ALL"
    found = wired(home).lake.snapshot().select(sql).to_pylist()
    return {int(row["local_job_id"]): row["times"] for row in found}


def must_be_whole(home: Path) -> None:
    place = wired(home)
    assert not [finding for finding in verify(place.lake, place.books()) if not finding["ok"]]
    connection = sqlite3.connect(home / "gridkeeper.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_the_model_forgets_what_was_never_synced(disk: Disk) -> None:
    disk.home.mkdir()
    program = (
        "import os, sys\n"
        "home = sys.argv[1]\n"
        "for name in ('kept', 'empty', 'renamed'):\n"
        "    with open(f'{home}/{name}', 'wb') as stream:\n"
        "        stream.write(b'1')\n"
        "        stream.flush()\n"
        "        name == 'empty' or os.fsync(stream.fileno())\n"
        "        stream.write(b'2')\n"
        "os.rename(f'{home}/renamed', f'{home}/new name')\n"
        "for folder in (home, os.path.dirname(home)):\n"
        "    os.fsync(os.open(folder, os.O_RDONLY))\n"
        "with open(f'{home}/nameless', 'wb') as stream:\n"
        "    os.fsync(stream.fileno())\n"
    )
    subprocess.run([sys.executable, "-c", program, str(disk.home)], env=disk.environment, check=True)
    left = {path.name: path.read_bytes() for path in disk.after_a_power_cut().iterdir()}
    assert left == {"kept": b"1", "empty": b"", "new name": b"1"}


def test_every_acknowledged_batch_survives_in_the_inbox(disk: Disk, storing: Storing) -> None:
    sent = set()
    for turn in range(30):
        count = 12_000 if turn % 10 == 9 else 20  # some so large that SQLite takes its log into the database
        storing.do(f"send 2026-11 {turn * 100_000} {count}")
        sent.add(hashlib.sha256(jobs("2026-11", turn * 100_000, count)).hexdigest())
        held = received(disk.after_a_power_cut())
        assert held == {name: name for name in sent}
    must_be_whole(disk.after_a_power_cut())


def test_loaded_records_survive_and_the_lake_is_whole(disk: Disk, storing: Storing) -> None:
    sent: set[int] = set()
    for turn in range(24):  # more than the commits from one checkpoint of the lake's log to the next
        month = f"2026-{turn % 8 + 1:02}"
        storing.do(f"send {month} {turn * 100} 10")
        sent.update(range(turn * 100, turn * 100 + 10))
        storing.do("load")
        if turn % 6 == 5:
            storing.do("refresh")
        home = disk.after_a_power_cut()
        assert booked(home) == dict.fromkeys(sent, 1)
        assert waiting.oldest(wired(home).database())[0] is None
    must_be_whole(home)


def test_what_is_loaded_by_hand_survives_too(disk: Disk, tmp_path: Path) -> None:
    text = tmp_path / "jobs.txt"
    text.write_bytes(jobs("2026-11", 1, 50) + jobs("2026-10", 51, 50).split(b"\n", 1)[1])
    disk.gridkeeper("init", str(disk.home))
    disk.gridkeeper("--home", str(disk.home), "load", "--format", "sacct", "--resource", "alpha", str(text))
    home = disk.after_a_power_cut()
    assert booked(home) == dict.fromkeys(range(1, 101), 1)
    place = wired(home)
    assert not [finding for finding in verify(place.lake, place.books()) if not finding["ok"]]
