"""Loading files: good ones and bad ones, plain and compressed, whole and in pieces."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest
import zstandard
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.intake.quarantine import Choice, entries
from gridkeeper.lake.archive import unpacked
from tests.databases import settle
from tests.formats.cases import CASES, cases

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
HEADER = "JobIDRaw|JobID|Cluster|Account|User|Submit|Start|End|ElapsedRaw|NCPUS|State|ExitCode\n"


def line(number: int, cores: int = 2) -> str:
    return f"{number}|{number}|alpha|hep|alice|2017-01-31T10:00:00|2017-01-31T10:00:00|2017-01-31T11:00:00|3600|{cores}|COMPLETED|0:0\n"


@pytest.fixture
def home(tmp_path: Path) -> str:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "home")]).exit_code == 0
    settle(tmp_path / "home")
    return str(tmp_path / "home")


def load(home: str, *arguments: str) -> dict[str, object]:
    outcome = CliRunner().invoke(app, ["--home", home, "load", "--json", *arguments])
    assert outcome.exit_code == 0, outcome.output
    found: dict[str, object] = json.loads(outcome.stdout)
    return found


def totals(home: str) -> list[dict[str, float]]:
    outcome = CliRunner().invoke(app, ["--home", home, "usage", "--by", "resource", "--format", "json"])
    found: list[dict[str, float]] = json.loads(outcome.stdout)
    return found


def test_compressed_files_are_read_as_plain_ones(home: str, tmp_path: Path) -> None:
    text = (HEADER + line(1) + line(2)).encode()
    (tmp_path / "a.txt").write_bytes(text)
    (tmp_path / "b.gz").write_bytes(gzip.compress(text))
    (tmp_path / "c.zst").write_bytes(zstandard.ZstdCompressor().compress(text))
    assert load(home, str(tmp_path / "a.txt"))["loaded"] == 2
    assert load(home, str(tmp_path / "b.gz"), str(tmp_path / "c.zst"))["duplicates"] == 4


def test_a_compressed_file_that_breaks_off_gives_what_it_holds_and_says_so(home: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    text = HEADER + "".join(line(number, chance.randrange(1, 64)) for number in range(20_000))
    packed = gzip.compress(text.encode())
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) * 3 // 4])
    found = load(home, str(tmp_path / "cut.gz"))
    assert found["rules"] == {"truncated": 1}


def test_bad_lines_are_refused_and_the_others_loaded(home: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        HEADER + line(1) + "garbage|\n" + line(2) + line(3).replace("11:00:00", "09:00:00")
    )
    found = load(home, str(tmp_path / "a.txt"))
    assert (found["read"], found["loaded"], found["rejected"]) == (4, 2, 2)
    assert found["rules"] == {"truncated": 1, "end_before_start": 1}
    refused = entries(wired(tmp_path / "home").database(), Choice())
    assert {entry.line for entry in refused} == {3, 5}
    assert all(entry.reason and entry.text for entry in refused)


def test_small_files_are_read_together_and_a_refusal_still_names_its_own_file_and_line(
    home: str, tmp_path: Path
) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    for number in range(4):
        record = f"Site: A\nLocalJobId: {number}\nVO: cms\nWallDuration: 60\nCpuDuration: 50\nProcessors: 1\nStartTime: 1485860000\nEndTime: 1485860060\n%%\n"
        broken = record.replace("WallDuration: 60", "WallDuration: long") if number == 2 else ""
        (folder / f"m{number}.apel").write_text("APEL-individual-job-message: v0.3\n" + record + broken)
    found = load(home, str(folder))
    assert (found["loaded"], found["rejected"]) == (4, 1)
    (refused,) = entries(wired(tmp_path / "home").database(), Choice())
    assert refused.source.endswith("m2.apel")
    assert refused.line == 11
    assert load(home, str(folder))["duplicates"] == 4


def test_the_archive_gives_back_the_text_that_a_record_came_from(home: str, tmp_path: Path) -> None:
    text = (HEADER + line(1)).encode()
    (tmp_path / "a.txt").write_bytes(text)
    load(home, str(tmp_path / "a.txt"))
    snapshot = wired(tmp_path / "home").lake.snapshot()
    (record,) = snapshot.select("SELECT archive_ref FROM usage_records").to_pylist()
    (kept,) = snapshot.select("SELECT sha256, payload FROM archive").to_pylist()
    assert kept["sha256"] == record["archive_ref"]
    assert unpacked(kept["payload"]) == text


def test_strict_loads_the_good_ones_too_and_exits_with_1(home: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HEADER + line(1) + "garbage|\n")
    outcome = CliRunner().invoke(app, ["--home", home, "load", "--strict", str(tmp_path / "a.txt")])
    assert outcome.exit_code == 1
    assert totals(home)[0]["jobs"] == 1


def test_a_file_of_no_known_format_is_named_and_the_others_loaded(home: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HEADER + line(1))
    (tmp_path / "b.bin").write_bytes(bytes(range(256)) * 10)
    outcome = CliRunner().invoke(
        app, ["--home", home, "load", "--json", str(tmp_path / "a.txt"), str(tmp_path / "b.bin")]
    )
    assert outcome.exit_code == 1
    assert "b.bin, line 1: NUL bytes, where text should be (rule binary_junk)" in outcome.stderr
    assert totals(home)[0]["jobs"] == 1


@pytest.mark.slow
def test_cutting_and_shuffling_files_changes_nothing(home: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    lines = [line(number, chance.randrange(1, 9)) for number in range(300)]
    (tmp_path / "whole.txt").write_text(HEADER + "".join(lines))
    load(home, str(tmp_path / "whole.txt"))
    whole = totals(home)
    chance.shuffle(lines)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for number in range(0, 300, 70):
        (pieces / f"{chance.random()}.txt").write_text(HEADER + "".join(lines[number : number + 70]))
    other = str(tmp_path / "other")
    CliRunner().invoke(app, ["init", other])
    assert load(other, "--workers", "2", str(pieces))["loaded"] == 300
    assert totals(other) == whole
    assert load(home, str(pieces))["duplicates"] == 300
    assert totals(home) == whole


@pytest.mark.slow
@pytest.mark.parametrize("format_name", sorted({name for name, _ in cases()}))
def test_all_cases_of_a_format_load_twice_without_change(home: str, format_name: str) -> None:
    files = [str(path) for path in sorted((CASES / format_name).glob("*/input.*"))]
    first = load(home, "--format", format_name, "--resource", "alpha", *files)
    assert first["loaded"]
    again = load(home, "--format", format_name, "--resource", "alpha", *files)
    assert (again["loaded"], again["revised"]) == (0, 0)
    assert again["rejected"] == first["rejected"]


def test_jobs_told_whole_and_by_attempt_are_pointed_out(home: str, tmp_path: Path) -> None:
    ad = (
        'ClusterId = 7\nProcId = 0\nGlobalJobId = "schedd.example.org#7.0#1485860000"\nQDate = 1485860000\nOwner = "alice"\nJobStatus = 4\n'
        "JobStartDate = 1485860100\nJobCurrentStartDate = 1485860100\nCompletionDate = 1485863700\nRemoteWallClockTime = 3600.0\nNumJobStarts = 1\n"
        "RequestCpus = 1\nExitCode = 0\nExitBySignal = false\nJobUniverse = 5\nEpochWriteDate = 1485863700\nRunInstanceId = 0\n"
    )
    (tmp_path / "history").write_text(
        ad + '*** Offset = 0 ClusterId = 7 ProcId = 0 Owner = "alice" CompletionDate = 1485863700\n'
    )
    (tmp_path / "epochs").write_text(
        ad + '*** EPOCH ClusterId=7 ProcId=0 RunInstanceId=0 Owner="alice" CurrentTime=1485863700\n'
    )
    assert load(home, str(tmp_path / "history"))["warnings"] == []
    warnings = load(home, str(tmp_path / "epochs"))["warnings"]
    assert isinstance(warnings, list)
    assert "schedd.example.org was loaded both from condor-history and from condor-epoch" in warnings[0]


def test_a_missing_file_and_a_missing_home_are_sentences() -> None:
    outcome = CliRunner().invoke(app, ["--home", "/nowhere", "load", "x"])
    assert outcome.exit_code != 0
    assert "there is no home at /nowhere" in str(outcome.exception)
