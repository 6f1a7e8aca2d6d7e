"""Laws of corrections: whatever is applied and revoked in whatever order, the numbers add up, and come back to the digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.database import open_database, url_of
from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.migrations import migrate
from gridkeeper.queries.corrected import preview
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.corrections import keeping
from gridkeeper.summaries.corrections.in_force import Corrections
from gridkeeper.summaries.corrections.keeping import Filed
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS, MONTHLY, SUMMARIES
from tests.lake.rows import rows
from tests.summaries.corrections import drawn
from tests.summaries.corrections.invented import having, summed

if TYPE_CHECKING:
    from gridkeeper.summaries.corrections.rules import Rule

pytestmark = pytest.mark.slow
FEDERATION: dict[str, Any] = {
    "vos": [{"name": "osg"}, {"name": "cms"}],
    "resources": [
        {"name": "alpha", "site": "Alpha", "probes": ["slurm:alpha"], "count_level": "batch"},
        {"name": "beta", "site": "Beta", "facility": "University of Beta"},
    ],
}
REGISTRY = Registry.model_validate(FEDERATION)
SUMS = ("jobs", "wall_seconds", "core_seconds")


def made_of(jobs: list[dict[str, Any]], folder: pytest.TempPathFactory) -> Lake:
    lake = Lake(folder.mktemp("lake"), DuckDB(threads=1), LAYOUTS)
    lake.append(USAGE_RECORDS, rows(jobs))
    return lake


def all_rows(books: Books) -> dict[str, list[str]]:
    """What the books say in each summary, one row a key."""
    found = {}
    for name, summary in SUMMARIES.items():
        named = [key for key in summary.keys if key != "day"]
        # A month that is made of days which no monthly summary knows yet keeps their days.
        day = "STRFTIME(day, '%Y-%m') AS month" if summary in MONTHLY.values() else "day"
        keys = ", ".join([day, *named, *(["estimated"] if books.has_estimates else [])])
        sums = ", ".join(f"CAST(SUM({one}) AS BIGINT) AS {one}" for one in summary.measures)
        nothing = " AND ".join(f"SUM({one}) = 0" for one in summary.measures)
        sql = f"SELECT {keys}, {sums} FROM {name} GROUP BY ALL HAVING NOT ({nothing})"
        found[name] = sorted(map(str, books.select(sql).to_pylist()))
    return found


def totals(books: Books, table: str, *by: str) -> tuple[int, ...]:
    """The sums of a summary, added up by some keys first."""
    names = [name for name in SUMS if name in SUMMARIES[table].measures]
    parts = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in names)
    found = books.select(
        f"SELECT {', '.join([*by, parts])} FROM {table} {'GROUP BY ALL' if by else ''}"
    ).to_pylist()
    return tuple(sum(row[name] or 0 for row in found) for name in names)


@settings(max_examples=5, deadline=None)
@given(jobs=drawn.jobs(), rules=drawn.rules(), data=st.data())
def test_any_sequence_of_corrections_gives_what_they_would_alone_and_revoked_the_original_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    jobs: list[dict[str, Any]],
    rules: list[Rule],
    data: st.DataObject,
) -> None:
    lake, untouched = made_of(jobs, tmp_path_factory), made_of(jobs, tmp_path_factory)
    database = open_database(url_of(tmp_path_factory.mktemp("database") / "gridkeeper.db"))
    migrate(database)
    refresh(lake, REGISTRY)
    before = summed(lake)
    filed = {rule.id: Filed(rule, "a.yaml", place) for place, rule in enumerate(rules)}
    in_force: set[str] = set()
    for name in data.draw(st.lists(st.sampled_from(sorted(filed)), min_size=1, max_size=4)):
        if name in in_force:
            keeping.revoke(database, [name], "alice", "invented")
        else:
            keeping.apply(database, [filed[name]], "alice")
        in_force ^= {name}
        now = keeping.corrections_in_force(database)
        refresh(lake, REGISTRY, corrections=now)
        # On the untouched lake every number is made of the records themselves, at once.
        assert all_rows(Books(lake, REGISTRY, corrections=now)) == all_rows(
            Books(untouched, REGISTRY, corrections=now)
        )
    if in_force:
        keeping.revoke(database, sorted(in_force), "alice", "invented")
    assert keeping.corrections_in_force(database).revision == 0
    refresh(lake, REGISTRY, corrections=keeping.corrections_in_force(database))
    assert summed(lake) == before
    database.dispose()


@settings(max_examples=4, deadline=None)
@given(jobs=drawn.jobs(), rules=drawn.rules())
def test_totals_by_vo_by_site_and_in_all_agree_in_every_summary(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[dict[str, Any]], rules: list[Rule]
) -> None:
    books = Books(made_of(jobs, tmp_path_factory), REGISTRY, corrections=having(*rules))
    whole = totals(books, "usage_daily_end")
    for table in (
        "usage_daily_end",
        "usage_daily_brief",
        "usage_monthly_end",
        "usage_daily_overlap",
        "usage_daily_users",
    ):
        for by in ((), ("vo",), ("site",), ("vo", "site"), ("resource", "grid")):
            assert totals(books, table, *by) == whole, (table, by)
    assert totals(books, "running_hourly", "vo") == whole[1:]


@settings(max_examples=4, deadline=None)
@given(jobs=drawn.jobs(), rules=drawn.rules())
def test_a_rename_in_the_registry_changes_no_total(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[dict[str, Any]], rules: list[Rule]
) -> None:
    renamed = Registry.model_validate(
        FEDERATION
        | {
            "vos": [{"name": "osg"}, {"name": "uscms", "aliases": ["cms"]}],
            "resources": [
                {
                    "name": "alpha-2",
                    "aliases": ["alpha"],
                    "site": "Alpha West",
                    "probes": ["slurm:alpha"],
                    "count_level": "batch",
                },
                {"name": "beta", "site": "New Beta", "facility": "Beta State"},
            ],
        }
    )
    lake = made_of(jobs, tmp_path_factory)
    old, new = (Books(lake, registry, corrections=having(*rules)) for registry in (REGISTRY, renamed))
    for keys in ((), ("day",), ("day", "grid", "in_grid", "level", "processors")):
        counted = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in SUMS)
        sql = f"SELECT {', '.join([*keys, counted])} FROM usage_daily_end {'GROUP BY ALL' if keys else ''}"
        assert sorted(map(str, old.select(sql).to_pylist())) == sorted(map(str, new.select(sql).to_pylist()))
    assert totals(old, "usage_daily_end", "site") == totals(new, "usage_daily_end", "site")


@settings(max_examples=4, deadline=None)
@given(jobs=drawn.jobs(), rules=drawn.rules(), other=drawn.rules())
def test_a_preview_says_exactly_what_becomes_of_the_numbers(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[dict[str, Any]], rules: list[Rule], other: list[Rule]
) -> None:
    lake = made_of(jobs, tmp_path_factory)
    now, then = Corrections(tuple(rules)), Corrections(tuple(other))
    found = preview(Books(lake, REGISTRY, corrections=now), then)
    sql = """
        SELECT vo, site, STRFTIME(day, '%Y-%m') AS month, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_seconds) AS BIGINT) AS core_seconds, CAST(SUM(cpu_us) AS BIGINT) AS cpu_us
        FROM usage_daily_users WHERE in_grid AND COALESCE(counted, TRUE) GROUP BY ALL
    """
    expected: dict[tuple[Any, ...], list[int]] = {}
    for sign, corrections in ((-1, now), (1, then)):
        for row in Books(lake, REGISTRY, corrections=corrections).select(sql).to_pylist():
            key = (row["vo"], row["site"], row["month"])
            sums = expected.setdefault(key, [0, 0, 0, 0])
            for place, name in enumerate((*SUMS, "cpu_us")):
                sums[place] += sign * row[name]
    told: dict[tuple[Any, ...], list[int]] = {}
    for line in found.lines:
        sums = told.setdefault((line.vo, line.site, line.month), [0, 0, 0, 0])
        for place, name in enumerate((*SUMS, "cpu_us")):
            sums[place] += getattr(line.change, name)
    assert {key: sums for key, sums in told.items() if any(sums)} == {
        key: sums for key, sums in expected.items() if any(sums)
    }
    assert found.after - found.before == sum(
        (line.change for line in found.lines), found.before - found.before
    )
