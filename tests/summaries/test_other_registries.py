"""Another registry makes anew the days on which records mean something else by it, and these only."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries import registries
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS
from tests.lake.rows import NOON, job, rows
from tests.summaries.corrections.invented import having, rule, summed

if TYPE_CHECKING:
    from pathlib import Path

FIRST = NOON.date()
ALPHA: dict[str, Any] = {"name": "Alpha", "site": "North", "hosts": ["ce.alpha.example.org"]}
BETA: dict[str, Any] = {"name": "Beta", "site": "South", "count_level": "payload"}
PLAIN: dict[str, Any] = {"resources": [ALPHA, BETA], "vos": [{"name": "cms"}]}
OTHERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "plain": PLAIN,
    "another owner": PLAIN | {"resources": [ALPHA | {"owners": {"cms": 60}}, BETA]},
    "another site": PLAIN
    | {"resources": [ALPHA | {"site": "West", "facility": "University of Alpha"}, BETA]},
    "moved in between": PLAIN
    | {"resources": [ALPHA | {"former": [{"until": FIRST + timedelta(days=4), "site": "East"}]}, BETA]},
    "another level": PLAIN
    | {"resources": [ALPHA, BETA | {"count_level": [{"from": FIRST + timedelta(days=3), "level": "batch"}]}]},
    "one more": PLAIN | {"resources": [ALPHA, BETA, {"name": "Nobody", "site": "Nowhere"}]},
    "a rule": PLAIN | {"mapping": [{"when": {"account": "a1"}, "vo": "atlas", "grid": "Local"}]},
    "another name of a VO": PLAIN | {"vos": [{"name": "cms", "experiments": [{"name": "atlas"}]}]},
    "another grid": PLAIN | {"federation": {"grid": "Local"}},
    "a site's group": PLAIN | {"sites": [{"name": "North", "facility": "F", "groups": ["Nobody"]}]},
}
REGISTRIES = {name: Registry.model_validate(one) for name, one in OTHERS.items()}


def at(day: int, resource: str, **more: Any) -> dict[str, Any]:
    return job(day * 100 + len(resource), start=NOON + timedelta(days=day), resource=resource, **more)


def some_jobs() -> list[dict[str, Any]]:
    """A week of jobs that say all kinds of things."""
    found = []
    for day in range(7):
        found += [
            at(day, "Alpha", vo_reported="cms", account="a1", grid_reported="OSG"),
            at(day, "Beta", vo_reported="atlas", account="a2", wall_s=200_000),
            at(day, "Pilot", resource_type="Payload", host_description="Beta", vo_reported="atlas"),
            at(day, "somewhere", probe="htcondor-ce:ce.alpha.example.org", account="a1"),
        ]
    return [*found, at(2, "Nobody", vo_reported="cms"), at(5, "Nobody", account="a1", grid_reported="Local")]


def filled(folder: Path) -> Lake:
    lake = Lake(folder, DuckDB(threads=1), LAYOUTS)
    lake.append(USAGE_RECORDS, rows(some_jobs()))
    return lake


def days(touched: dict[str, int]) -> int:
    return touched["usage_daily_end"]


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(REGISTRIES)), min_size=2, max_size=4),
    corrections=st.sampled_from(
        [
            NO_CORRECTIONS,
            having(rule(period="2017-02", set={"resource": "Nobody"}, match={"resource": "Alpha"})),
        ]
    ),
    late=st.booleans(),
)
def test_whichever_registries_came_before_the_last_one_counts(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], corrections: Corrections, late: bool
) -> None:
    lake, anew = (filled(tmp_path_factory.mktemp("lake")) for _ in range(2))
    for name in names:
        refresh(lake, REGISTRIES[name], corrections=corrections)
    if late:
        for each in (lake, anew):
            each.append(USAGE_RECORDS, rows([at(3, "Alpha", account="a1", wall_s=90_000)]))
    last = REGISTRIES[names[0]]
    refresh(lake, last, corrections=corrections)
    refresh(anew, last, corrections=corrections)
    assert summed(lake) == summed(anew)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("another owner", 0),
        ("one more", 2),
        ("another site", 7),
        ("moved in between", 4),
        ("a site's group", 0),
    ],
)
def test_only_days_on_which_records_mean_something_else_are_made_anew(
    tmp_path: Path, name: str, asked: int
) -> None:
    lake = filled(tmp_path / "lake")
    refresh(lake, REGISTRIES["plain"])
    assert days(refresh(lake, REGISTRIES[name])) == asked
    assert days(refresh(lake, REGISTRIES[name])) == 0
    found = lake.snapshot().select("SELECT DISTINCT site FROM usage_daily_end WHERE resource = 'Alpha'")
    assert set(found["site"].to_pylist()) == {
        "another site": {"West"},
        "moved in between": {"East", "North"},
    }.get(name, {"North"})


@pytest.mark.parametrize("damage", ["gone", "cut off", "another's"])
def test_a_registry_that_is_not_known_any_more_makes_all_days_anew(tmp_path: Path, damage: str) -> None:
    lake = filled(tmp_path / "lake")
    refresh(lake, REGISTRIES["plain"])
    (path,) = (lake.root / registries.FOLDER).iterdir()
    if damage == "gone":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:40])
    else:
        path.write_text(REGISTRIES["another site"].model_dump_json(by_alias=True), encoding="utf-8")
    all_days = {date.fromordinal(day) for day in range(FIRST.toordinal(), FIRST.toordinal() + 9)}
    assert days(refresh(lake, REGISTRIES["another owner"])) == len(all_days)


def test_the_latest_few_registries_are_kept(tmp_path: Path) -> None:
    for number in range(9):
        registries.keep(tmp_path, Registry.model_validate({"resources": [{"name": f"Alpha{number}"}]}))
    assert len(list((tmp_path / registries.FOLDER).iterdir())) == registries.MOST_KEPT
    last = Registry.model_validate({"resources": [{"name": "Alpha8"}]})
    assert registries.kept(tmp_path, last.revision) == last
    assert registries.kept(tmp_path, 1) is None


def test_where_nothing_can_be_written_the_books_go_on(tmp_path: Path) -> None:
    (tmp_path / registries.FOLDER).write_text("a file in the way", encoding="utf-8")
    registries.keep(tmp_path, REGISTRIES["plain"])
    assert registries.kept(tmp_path, REGISTRIES["plain"].revision) is None
