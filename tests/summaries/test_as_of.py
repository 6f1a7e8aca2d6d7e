"""A record is matched to the registry as it was on its day: what is renamed or moved changes no total of the days before."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS
from tests.lake.rows import NOON, job, rows

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
FIRST = NOON.date()
DAYS = 12
BEFORE: dict[str, Any] = {
    "resources": [
        {"name": "Alpha", "site": "North", "facility": "F1", "hosts": ["ce.alpha.example.org"]},
        {"name": "Beta", "site": "South", "facility": "F2", "count_level": "payload"},
    ],
    "sites": [{"name": "North", "facility": "F1"}],
}
_SUMS = "CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DuckDB(threads=1), LAYOUTS)


def told(books: Books, table: str, until: date) -> Counter[tuple[Any, ...]]:
    """All that a summary says of days before `until`."""
    sql = f"""
        SELECT day, resource, site, facility, vo, grid, in_grid, counted, level, {_SUMS}
        FROM {table} WHERE day < $until GROUP BY ALL
    """
    return Counter(tuple(row.values()) for row in books.select(sql, until=until).to_pylist())


def totals(books: Books, table: str, by: str) -> dict[Any, tuple[int, int]]:
    found = books.select(f"SELECT {by} AS name, {_SUMS} FROM {table} WHERE in_grid AND counted GROUP BY 1")
    return {row["name"]: (row["jobs"], row["core_seconds"]) for row in found.to_pylist()}


def added(by_name: dict[Any, tuple[int, int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*by_name.values(), strict=True)))


def renamed(changes: list[tuple[int, str, str]]) -> Registry:
    """The registry after changes of Alpha: on which day it became what, at which site."""
    former, name, site, since = [], "Alpha", "North", None
    for day, new_name, new_site in changes:
        until = FIRST + timedelta(days=day)
        former.append(
            {"until": until, "name": name, "site": site, "facility": "F1"}
            | ({"from": since} if since else {})
        )
        name, site, since = new_name, new_site, until
    now = BEFORE["resources"][0] | {"name": name, "site": site, "facility": "F1", "former": former}
    return Registry.model_validate(BEFORE | {"resources": [now, BEFORE["resources"][1]]})


OLD_WORDS = ["Alpha", "ce.alpha.example.org", "Beta", "Nobody"]


def jobs_that_say(resources: list[str]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.lists(
        st.tuples(
            st.integers(0, DAYS - 1), st.sampled_from(resources), st.sampled_from(["Batch", "Payload"]),
            st.sampled_from([1800, 90_000, 250_000]), st.sampled_from(["OSG", "Local", None]),
            st.sampled_from(["htcondor-ce:ce.alpha.example.org", "slurm:elsewhere.example.org", None]),
            st.sampled_from(["cms", "atlas", None]),
        ), min_size=1, max_size=12,
    )  # fmt: skip


JOBS = jobs_that_say(OLD_WORDS) | jobs_that_say([*OLD_WORDS, "Gamma", "Delta"])
CHANGES = st.lists(
    st.tuples(st.integers(1, DAYS), st.sampled_from(["Gamma", "Delta", "Alpha"]), st.sampled_from(["North", "West"])),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
).map(sorted)  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(jobs=JOBS, changes=CHANGES)
def test_what_is_renamed_or_moved_changes_no_total_of_the_days_before(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[Any, ...]], changes: list[tuple[int, str, str]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), DuckDB(threads=1), LAYOUTS)
    lake.append(
        USAGE_RECORDS,
        rows(
            [
                job(
                    number, start=NOON + timedelta(days=day), wall_s=wall, resource=resource, resource_type=kind,
                    host_description=resource if kind == "Payload" else None, grid_reported=grid, probe=probe, vo_reported=vo,
                )
                for number, (day, resource, kind, wall, grid, probe, vo) in enumerate(jobs)
            ]
        ),
    )  # fmt: skip
    steps = [renamed(changes[:number]) for number in range(len(changes) + 1)]
    for step, following, (day, *_) in zip(steps, steps[1:], changes, strict=False):
        change = FIRST + timedelta(days=day)
        earlier, later = Books(lake, step), Books(lake, following)
        assert told(earlier, "usage_daily_end", change) == told(later, "usage_daily_end", change)
        for table in ("usage_daily_end", "usage_daily_overlap"):
            of_site, of_vo = (totals(later, table, by) for by in ("site", "vo"))
            assert added(of_site) == added(of_vo)
            if all(resource in OLD_WORDS for _, resource, *_ in jobs):
                assert of_vo == totals(earlier, table, "vo")
    last = Books(lake, steps[-1])
    refreshed = told(last, "usage_daily_end", date.max)
    refresh(lake, steps[-1])
    assert told(Books(lake, steps[-1]), "usage_daily_end", date.max) == refreshed
