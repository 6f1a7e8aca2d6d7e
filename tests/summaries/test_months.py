"""A monthly summary holds what its daily one holds, added up, whatever happened to both."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries import months, refreshing
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS, USAGE_DAILY_END, USAGE_MONTHLY_END
from tests.lake.rows import NOON, RECEIVED, job, rows

if TYPE_CHECKING:
    from pathlib import Path

EMPTY = Registry()
KEYS = [key for key in USAGE_DAILY_END.keys if key != "day"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DuckDB(threads=1), LAYOUTS)


def held(lake: Lake, table: str) -> dict[tuple[Any, ...], Counter[str]]:
    """What a table holds by month and key, added up here and not by an engine."""
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for row in lake.snapshot().select(f"SELECT * FROM {table}").to_pylist():
        key = (row["day"].replace(day=1), *(row[key] for key in KEYS))
        sums = Counter({name: row[name] for name in USAGE_DAILY_END.measures})
        found[key] = found.get(key, Counter()) + sums
    return found


def assert_alike(lake: Lake) -> None:
    assert held(lake, "usage_monthly_end") == held(lake, "usage_daily_end") != {}
    handles = [lake.snapshot().handle(one.name) for one in (USAGE_DAILY_END, USAGE_MONTHLY_END)]
    assert handles[0].position("usage_records") == handles[1].position("usage_records")


def jobs(first: int, until: int) -> list[dict[str, Any]]:
    return [
        job(
            number,
            wall_s=number * 1000,
            start=NOON - timedelta(hours=9 * number),
            account=f"a{number % 3}",
            processors=1 + number % 2,
        )
        for number in range(first, until)
    ]


@pytest.mark.slow
def test_a_month_is_the_sum_of_its_days_after_every_kind_of_change(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "MOST_FILES_OF_A_MONTH", 3)
    for turn in range(8):  # beside what is there, and joined when there are too many files
        lake.append(USAGE_RECORDS, rows(jobs(turn * 20, turn * 20 + 20)))
        touched = refresh(lake, EMPTY)
        assert touched["usage_monthly_end"] == touched["usage_daily_end"] > 0
        assert_alike(lake)
    assert len(held(lake, "usage_monthly_end")) < len(
        lake.snapshot().select("SELECT day FROM usage_daily_end")
    )
    revised = [
        one
        | {
            "wall_duration_s": 400_000,
            "end_time": one["start_time"] + timedelta(seconds=400_000),
            "account": "b",
        }
        for one in jobs(5, 90)
    ]
    lake.append(USAGE_RECORDS, rows(revised, RECEIVED + timedelta(hours=1)))
    refresh(lake, EMPTY)
    assert_alike(lake)
    refresh(lake, Registry.model_validate({"mapping": [{"when": {"account": "a1"}, "vo": "cms"}]}))
    assert_alike(lake)
    assert "cms" in {key[KEYS.index("vo") + 1] for key in held(lake, "usage_monthly_end")}


def test_rows_of_a_month_are_one_a_key_when_they_are_made_at_once(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows(jobs(0, 60)))
    refresh(lake, EMPTY)
    rows_held = lake.snapshot().select("SELECT * FROM usage_monthly_end")
    assert len(rows_held) == len(held(lake, "usage_monthly_end"))


def test_a_crash_between_the_two_commits_mends_itself(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append(USAGE_RECORDS, rows(jobs(0, 20)))
    refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows(jobs(20, 40)))
    with monkeypatch.context() as patch:

        def dies(*_: object) -> bool:
            raise KeyboardInterrupt

        patch.setattr(months, "bring_along", dies)
        with pytest.raises(KeyboardInterrupt):
            refresh(lake, EMPTY)
    assert held(lake, "usage_monthly_end") != held(lake, "usage_daily_end")
    refresh(lake, EMPTY)
    assert_alike(lake)
    lake.append(USAGE_RECORDS, rows(jobs(40, 60)))
    refresh(lake, EMPTY)
    assert_alike(lake)


def test_records_that_came_after_such_a_crash_are_counted_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append(USAGE_RECORDS, rows(jobs(0, 20)))
    with monkeypatch.context() as patch:
        patch.setattr(months, "bring_along", lambda *_: False)
        patch.setattr(months, "make_anew", lambda *_: True)
        refresh(lake, EMPTY)
    assert held(lake, "usage_monthly_end") == {}
    lake.append(USAGE_RECORDS, rows(jobs(20, 40)))
    refresh(lake, EMPTY)
    assert_alike(lake)


def test_somebody_who_commits_first_is_not_overwritten(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append(USAGE_RECORDS, rows(jobs(0, 20)))
    refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows(jobs(20, 40)))
    bring_along = months.bring_along

    def after_another(*arguments: Any) -> bool:
        monkeypatch.setattr(months, "bring_along", bring_along)
        refresh(Lake(lake.root, DuckDB(threads=1), LAYOUTS), EMPTY)
        return bring_along(*arguments)

    monkeypatch.setattr(months, "bring_along", after_another)
    refresh(lake, EMPTY)
    assert_alike(lake)


@pytest.mark.parametrize("table", ["usage_daily_end", "usage_monthly_end"])
def test_a_home_that_has_only_one_of_both_makes_the_other(lake: Lake, table: str) -> None:
    lake.append(USAGE_RECORDS, rows(jobs(0, 60)))
    refresh(lake, EMPTY)
    shutil.rmtree(lake.root / table)
    refresh(lake, EMPTY)
    assert_alike(lake)


def test_a_lake_without_records_has_empty_months(lake: Lake) -> None:
    refresh(lake, EMPTY)
    assert held(lake, "usage_monthly_end") == {}
    assert set(refresh(lake, EMPTY).values()) == {0}
