"""The sample federation meets its targets to the second, and is the same every time."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path

import pytest

import gridkeeper.demo
from gridkeeper.demo import Ledger, Target, generate
from gridkeeper.demo.ledger import Count
from gridkeeper.demo.places import BY_NAME, OFFSITE
from gridkeeper.demo.targets import core_seconds, targets
from gridkeeper.errors import UserMistake
from tests.demo.conftest import SCALE

pytestmark = pytest.mark.slow
ALLOWED = {"gridkeeper.units", "gridkeeper.errors", "gridkeeper.clock", "numpy"}
WEEK = {"first": "2017-01-31", "until": "2017-02-07"}
JANUARY = {"first": "2017-01-01", "until": "2017-02-01"}


def name_of(target: Target) -> str:
    parts = (target.period, target.vo or "total", target.experiment, target.resource, target.measure)
    return "-".join(filter(None, parts))


def digest(directory: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(directory)).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize(
    "target", [one for one in targets(SCALE) if not one.measure.startswith("running")], ids=name_of
)
def test_a_target_is_met(ledger: Ledger, target: Target) -> None:
    assert ledger.got(target) == pytest.approx(target.value, abs=target.tolerance, rel=0)
    assert ledger.met(target)


def test_core_hours_and_jobs_leave_no_tolerance() -> None:
    exact = [one for one in targets(SCALE) if one.measure in ("core_hours", "jobs")]
    assert len(exact) > 40
    assert not any(one.tolerance for one in exact)


def test_the_header_names_every_target_and_says_that_all_is_invented(ledger: Ledger) -> None:
    assert ledger.targets == targets(SCALE)
    assert {one.kind for one in ledger.targets} == {"published", "measured", "derived", "filled"}
    assert "invented" in ledger.header["statement"]


@pytest.mark.parametrize("vo", ["atlas", "cms", "osg", "fermilab"])
def test_31_january_counts_in_the_month_and_in_the_week(ledger: Ledger, vo: str) -> None:
    reported = {"book": "reported", "attribution": "end", "level": "batch", "grid": "OSG", "vo": vo}
    day = ledger.total("core_s", **reported, first="2017-01-31", until="2017-02-01")
    wanted = core_seconds(SCALE)[vo]
    assert day > 0
    assert ledger.total("core_s", **reported, first="2017-01-01", until="2017-01-31") + day == wanted["jan"]
    assert day + ledger.total("core_s", **reported, first="2017-02-01", until="2017-02-07") == wanted["week"]


@pytest.mark.parametrize("measure", ["jobs", "wall_s", "core_s"])
def test_both_attributions_keep_the_totals_of_what_was_reported(ledger: Ledger, measure: str) -> None:
    for level in ("batch", "payload"):
        by_end = ledger.total(measure, book="reported", attribution="end", level=level)
        assert by_end == ledger.total(measure, book="reported", attribution="overlap", level=level) > 0


def test_overlap_reaches_back_before_the_first_day_and_stops_at_the_last(ledger: Ledger) -> None:
    days = {row.day for row in ledger.rows if row.attribution == "overlap"}
    assert max(days) == "2017-02-06"
    assert min(days) >= "2016-10-28"


def test_jobs_still_running_are_in_the_book_of_what_ran_only(ledger: Ledger) -> None:
    last = {"attribution": "overlap", "day": "2017-02-06", "vo": "atlas"}
    ran, reported = (ledger.total("core_s", book=book, **last) for book in ("ran", "reported"))
    assert ran > 1.1 * reported
    assert ledger.total("jobs", book="ran", **last) == ledger.total("jobs", book="reported", **last)


def test_utah_runs_on_after_its_probe_falls_silent(ledger: Ledger) -> None:
    utah = {"resource": "Utah-Kingspeak", "vo": "osg", "attribution": "end"}
    after = {"first": "2017-01-20", "until": "2017-02-07"}
    assert ledger.total("jobs", book="reported", level="batch", **utah, **after) == 0
    assert ledger.total("jobs", book="reported", level="payload", **utah, **after) > 0
    before = ledger.total(
        "core_s", book="reported", level="batch", **utah, first="2017-01-01", until="2017-01-19"
    )
    ran = ledger.total("core_s", book="ran", level="batch", **utah, first="2017-01-20", until="2017-02-07")
    assert ran == pytest.approx(before, rel=0.25)  # 18 days each


def test_syracuse_is_the_osg_vos_top_site_in_january_and_gpgrid_the_next(ledger: Ledger) -> None:
    sites: dict[str, int] = {}
    for row in ledger.select(book="reported", attribution="end", level="batch", vo="osg", **JANUARY):
        sites[row.site] = sites.get(row.site, 0) + row.core_s
    assert sorted(sites, key=lambda site: -sites[site])[:2] == ["Syracuse", "FNAL_GPGrid"]


def test_fermilab_ran_on_28_sites_away_from_home(ledger: Ledger) -> None:
    rows = ledger.select(book="reported", attribution="end", level="batch", vo="fermilab", **WEEK)
    sites = {row.site for row in rows} - {"FNAL_GPGrid"}
    assert sites == {BY_NAME[name].site for name in OFFSITE}
    assert len(sites) == 28


def test_payloads_are_somewhat_less_than_the_pilots_that_held_them(ledger: Ledger) -> None:
    ran = {"book": "ran", "attribution": "end", "vo": "osg", "first": "2016-11-01", "until": "2017-02-07"}
    payload, batch = (ledger.total("core_s", **ran, level=level) for level in ("payload", "batch"))
    assert 0.8 * batch < payload < 0.95 * batch


def test_local_and_unmapped_jobs_are_a_few_percent_and_beyond_the_targets(ledger: Ledger) -> None:
    reported = {"book": "reported", "attribution": "end", "level": "batch"}
    grid, local, unmapped = (ledger.total("core_s", **reported, grid=grid) for grid in ("OSG", "Local", None))
    assert 0.01 < local / grid < 0.06
    assert 0 < unmapped < 0.001 * grid
    assert {row.vo for row in ledger.select(grid=None)} == {None}


def test_running_cores_of_atlas_lie_in_the_published_range_at_the_usual_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridkeeper.demo.generator.write_files", lambda *_: [])
    ledger = generate(tmp_path, 0.01)
    assert [target.measure for target in ledger.targets if not ledger.met(target)] == []
    assert ledger.header["scale"] == 0.01


def test_the_same_seed_and_scale_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        generate(tmp_path / name, 0.0005, seed)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "three")
    totals = [Ledger.read(tmp_path / name / "ledger.json") for name in ("one", "three")]
    wanted = {"book": "reported", "attribution": "end", "level": "batch", "grid": "OSG"}
    assert totals[0].total("core_s", **wanted) == totals[1].total("core_s", **wanted)


@pytest.mark.parametrize("scale", [0.0005, 0.00077])
def test_a_very_small_federation_still_adds_up(tmp_path: Path, scale: float) -> None:
    ledger = generate(tmp_path, scale)
    missed = [target for target in ledger.targets if not ledger.met(target)]
    assert [one for one in missed if not one.measure.startswith("running")] == []


def test_the_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    count = Count(0.5, 3)
    ledger = count.ledger()
    ledger.write(tmp_path / "ledger.json")
    assert Ledger.read(tmp_path / "ledger.json") == ledger


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    generate(tmp_path, 0.0005, progress=lambda stage, done: told.append((stage, done)))
    parts = [done for _, done in told]
    assert parts == sorted(parts)
    assert (parts[0], told[-1]) == (0.0, ("ledger", 1.0))


def test_figures_of_others_are_of_the_week_and_at_scale(sample: Path) -> None:
    jobs, opportunistic = json.loads((sample / "figures.json").read_text())
    assert (jobs["value"], opportunistic["value"]) == (2000, 178)
    assert {jobs["source"], opportunistic["source"]} == {"ATLAS dashboard"}
    assert (jobs["first"], jobs["until"]) == (WEEK["first"], WEEK["until"])


def test_the_first_thing_to_read_says_that_all_is_invented(sample: Path) -> None:
    text = (sample / "README.txt").read_text()
    for word in ("invented", "published", "measured", "derived", "filled", "10,826,344"):
        assert word in text


@pytest.mark.parametrize(("scale", "seed"), [(0.0004, 1), (0.11, 1), (0.001, -1)])
def test_a_size_or_seed_out_of_range_is_refused(tmp_path: Path, scale: float, seed: int) -> None:
    with pytest.raises(UserMistake, match="name"):
        generate(tmp_path, scale, seed)


def test_a_folder_with_raw_files_is_left_alone(sample: Path) -> None:
    with pytest.raises(UserMistake, match="remove it"):
        generate(sample, SCALE)


def test_the_generator_knows_nothing_of_what_it_tests() -> None:
    for path in Path(str(gridkeeper.demo.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module in modules:
                assert (
                    module.startswith("gridkeeper.demo")
                    or module in ALLOWED
                    or module.split(".")[0] in sys.stdlib_module_names | {"numpy"}
                ), f"{path.name} imports {module}"
