"""Summaries say what their records say, after every load, revision and change of the registry."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries import changes, refreshing
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS, SUMMARIES
from tests.lake.rows import NOON, RECEIVED, job, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

EMPTY = Registry()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DuckDB(threads=1), LAYOUTS)


def by_day(books: Books, table: str = "usage_daily_end") -> dict[date, tuple[int, int]]:
    sql = f"SELECT day, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall FROM {table} GROUP BY day ORDER BY day"
    return {row["day"]: (row["jobs"], row["wall"]) for row in books.select(sql).to_pylist()}


def test_an_answer_never_lags_behind_the_records(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1)]))
    refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows([job(2), job(3, start=NOON + timedelta(days=5))]))
    before = by_day(Books(lake, EMPTY))
    refresh(lake, EMPTY)
    assert before == by_day(Books(lake, EMPTY)) == {date(2017, 1, 31): (2, 7200), date(2017, 2, 5): (1, 3600)}


def test_a_revision_leaves_its_old_day(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100), job(2)]))
    refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100_000)], RECEIVED + timedelta(hours=1)))
    for _ in range(2):  # first from the records, then from the refreshed summary
        assert by_day(Books(lake, EMPTY)) == {date(2017, 1, 31): (1, 3600), date(2017, 2, 1): (1, 100_000)}
        assert sum(wall for _, wall in by_day(Books(lake, EMPTY), "usage_daily_overlap").values()) == 103_600
        refresh(lake, EMPTY)


def test_only_touched_days_are_made_anew(lake: Lake) -> None:
    lake.append(
        USAGE_RECORDS, rows([job(number, start=NOON - timedelta(days=number)) for number in range(20)])
    )
    refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows([job(99)]))
    assert refresh(lake, EMPTY)["usage_daily_end"] == 1
    assert refresh(lake, EMPTY)["usage_daily_end"] == 0


def test_the_summary_carries_the_number_of_the_append_it_was_made_from(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1)]))
    lake.append(USAGE_RECORDS, rows([job(2)]))
    refresh(lake, EMPTY)
    assert lake.snapshot().handle("usage_daily_end").position("usage_records") == 2


def test_a_changed_registry_changes_the_answers(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, account="hep-1")]))
    refresh(lake, EMPTY)
    registry = Registry.model_validate({"mapping": [{"when": {"account": "hep-*"}, "vo": "CMS"}]})
    found = Books(lake, registry).select("SELECT vo FROM usage_daily_end").to_pylist()
    assert found == [{"vo": "cms"}]
    assert Books(lake, EMPTY).select("SELECT vo FROM usage_daily_end").to_pylist() == [{"vo": None}]


def test_wall_time_shorter_than_the_interval_is_placed_from_the_start_on(lake: Lake) -> None:
    start = datetime(2017, 1, 31, 23, 59, 50, tzinfo=UTC)
    suspended = job(1, wall_s=30, start=start, end_time=start + timedelta(seconds=100))
    lake.append(USAGE_RECORDS, rows([suspended]))
    walls = {day: wall for day, (_, wall) in by_day(Books(lake, EMPTY), "usage_daily_overlap").items()}
    assert walls == {date(2017, 1, 31): 10, date(2017, 2, 1): 20}


def test_a_job_counts_on_its_end_day_and_its_wait_on_its_start_day(lake: Lake) -> None:
    start = datetime(2017, 1, 31, 23, 0, tzinfo=UTC)
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=7200, start=start)]))
    sql = "SELECT day, SUM(jobs) AS jobs, SUM(wait_seconds) AS wait, SUM(started_jobs) AS started, SUM(active_jobs) AS active FROM usage_daily_overlap GROUP BY day ORDER BY day"
    found = [
        {key: int(value) if key != "day" else value for key, value in row.items()}
        for row in Books(lake, EMPTY).select(sql).to_pylist()
    ]
    assert found == [
        {"day": date(2017, 1, 31), "jobs": 0, "wait": 60, "started": 1, "active": 1},
        {"day": date(2017, 2, 1), "jobs": 1, "wait": 0, "started": 0, "active": 1},
    ]


def test_the_largest_amounts_are_split_to_the_last_microsecond(lake: Lake) -> None:
    """Times the seconds they would not fit into 64 bits, and no share may be rounded."""
    wall, amounts = 300 * 86_400 + 1, {"cpu_us": 2 * 10**18 - 1, "energy_j": 10**18 - 7}
    begun = NOON - timedelta(days=300)
    most = {"cpu_user_us": 10**18, "cpu_system_us": 10**18 - 1, "energy_j": amounts["energy_j"]}
    lake.append(
        USAGE_RECORDS,
        rows([job(1, wall_s=wall, start=begun, end_time=begun + timedelta(seconds=wall), **most)]),
    )
    found = Books(lake, EMPTY).select(
        "SELECT day, CAST(SUM(cpu_us) AS BIGINT) AS cpu_us, CAST(SUM(energy_j) AS BIGINT) AS energy_j FROM usage_daily_overlap GROUP BY day ORDER BY day"
    )
    first = begun.replace(hour=0)
    for name, amount in amounts.items():
        ends = [
            min(wall, int((first + timedelta(days=day + 1) - begun).total_seconds())) for day in range(301)
        ]
        floors = [0, *(amount * end // wall for end in ends)]
        assert found[name].to_pylist() == [after - before for before, after in pairwise(floors)]
        assert sum(found[name].to_pylist()) == amount


@st.composite
def odd_jobs(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(1, 12))
    made = []
    for number in range(count):
        start = NOON + timedelta(
            seconds=draw(st.integers(0, 3 * 86_400)), microseconds=draw(st.sampled_from([0, 1, 999_999]))
        )
        interval = draw(st.integers(0, 4 * 86_400))
        wall = draw(st.sampled_from([0, 1, interval // 3, interval, interval + 7, interval * 2 + 1]))
        made.append(
            job(
                number, wall_s=wall, start=start, end_time=start + timedelta(seconds=interval), processors=draw(st.integers(1, 9)),
                cpu_user_us=draw(st.integers(0, 10**10)), gpus=draw(st.integers(0, 3)), energy_j=draw(st.integers(0, 10**9)),
            )
        )  # fmt: skip
    return made


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(jobs=odd_jobs())
def test_splitting_over_days_and_hours_preserves_every_total(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[dict[str, Any]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), DuckDB(threads=1), LAYOUTS)
    lake.append(USAGE_RECORDS, rows(jobs))
    books = Books(lake, EMPTY)
    sums = (
        "jobs",
        "wall_seconds",
        "core_seconds",
        "cpu_us",
        "gpu_seconds",
        "node_seconds",
        "wait_seconds",
        "energy_j",
    )

    def total(table: str, names: tuple[str, ...]) -> list[int]:
        columns = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in names)
        return list(books.select(f"SELECT {columns} FROM {table}").to_pylist()[0].values())

    assert total("usage_daily_overlap", sums) == total("usage_daily_end", sums)
    assert total("running_hourly", sums[1:3]) == total("usage_daily_end", sums[1:3])


def summed(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """What each summary of the lake holds, one row a key."""
    return summed_by(lake.snapshot().select)


def summed_by(select: Callable[[str], pa.Table]) -> dict[str, list[dict[str, Any]]]:
    """What each summary says, by whoever is asked, one row a key."""
    found = {}
    for name, summary in SUMMARIES.items():
        keys, sums = (
            ", ".join(summary.keys),
            ", ".join(f"CAST(SUM({one}) AS BIGINT) AS {one}" for one in summary.measures),
        )
        rows = select(f"SELECT {keys}, {sums} FROM {name} GROUP BY ALL").to_pylist()
        found[name] = sorted(rows, key=str)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rows_of_a_record", [0.5, 100])
@pytest.mark.parametrize("portion", [1, 2, 3, 5])
def test_rows_made_in_portions_add_up_to_the_same(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, portion: int, rows_of_a_record: float
) -> None:
    monkeypatch.setattr(refreshing, "ROWS_OF_A_RECORD", rows_of_a_record)
    jobs = [
        job(number, wall_s=number * 9_000, start=NOON - timedelta(hours=7 * number), account=f"a{number % 3}")
        for number in range(1, 21)
    ]
    other = Lake(tmp_path / "other", DuckDB(threads=1), LAYOUTS)
    live: list[dict[str, list[dict[str, Any]]]] = []
    for each, records in ((lake, 500_000), (other, portion)):
        monkeypatch.setattr(changes, "RECORDS_OF_A_PORTION", records)
        each.append(USAGE_RECORDS, rows(jobs[:8]))
        refresh(each, EMPTY)
        for first, until in ((8, 10), (10, 11), (11, 17), (17, 19), (19, 20)):
            each.append(USAGE_RECORDS, rows(jobs[first:until]))
        live.append(summed_by(Books(each, EMPTY).select))
        refresh(each, EMPTY)
        each.append(
            USAGE_RECORDS,
            rows([job(3, wall_s=50_000, start=NOON - timedelta(hours=21))], RECEIVED + timedelta(hours=1)),
        )
        refresh(each, EMPTY)
    assert live[0] == live[1]
    assert summed(lake) == summed(other)
    assert (
        sum(row["wall_seconds"] for row in summed(lake)["running_hourly"])
        == sum(9_000 * number for number in range(1, 21) if number != 3) + 50_000
    )


def test_what_many_appends_brought_is_read_once_and_written_as_one_row_a_key(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "RECORDS_OF_A_PORTION", 2)
    for number in range(0, 40, 2):  # on the same day, for nobody that is known
        lake.append(
            USAGE_RECORDS,
            rows([job(number + one, wall_s=3600 + number, account=f"a{one}") for one in (0, 1)]),
        )
    change = changes.change_of(lake.snapshot(), lake.snapshot().handle("usage_daily_end"), EMPTY)
    read = [path for portion in change.portions() for path in portion.files or ()]
    assert sorted(read) == sorted(file.path for file in lake.snapshot().handle("usage_records").files())
    assert len(read) == len(set(read)) == 20
    monkeypatch.setattr(refreshing, "ROWS_OF_A_RECORD", 100)
    refresh(lake, EMPTY)
    held = lake.snapshot().select("SELECT jobs, wall_seconds FROM usage_daily_end").to_pylist()
    assert held == [{"jobs": 40, "wall_seconds": 2 * sum(3600 + number for number in range(0, 40, 2))}]


@pytest.mark.parametrize("portion", [1, 2, 3])
def test_where_records_hardly_add_up_the_rest_goes_by_days(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    monkeypatch.setattr(changes, "RECORDS_OF_A_PORTION", portion)
    asked: list[Sequence[str] | None] = []
    by_days = changes.Change.by_days

    def noted(change: changes.Change, files: Sequence[str] | None) -> Iterator[changes.Portion]:
        asked.append(files)
        return by_days(change, files)

    monkeypatch.setattr(changes.Change, "by_days", noted)
    for number in range(0, 24, 2):  # each record on a day, and a row, of its own
        lake.append(
            USAGE_RECORDS,
            rows([job(number + one, start=NOON - timedelta(days=number + one)) for one in (0, 1)]),
        )
    refresh(lake, EMPTY)
    assert len(asked) == 1
    found = lake.snapshot().select("SELECT day, jobs FROM usage_daily_end").to_pylist()
    assert len(found) == 24
    assert {row["jobs"] for row in found} == {1}


def test_few_records_go_by_days(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "RECORDS_OF_A_PORTION", 2)
    for number in range(4):
        lake.append(USAGE_RECORDS, rows([job(number, start=NOON + timedelta(days=number))]))
    change = changes.change_of(lake.snapshot(), lake.snapshot().handle("usage_daily_end"), EMPTY)
    assert [(len(portion.days), portion.files) for portion in change.portions()] == [(2, None), (2, None)]


def test_what_one_file_has_too_much_of_goes_by_days(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "RECORDS_OF_A_PORTION", 2)
    by_days = [NOON + timedelta(days=day) for day in (1, 1, 2, 2, 3)]
    lake.append(USAGE_RECORDS, rows([job(number, start=start) for number, start in enumerate(by_days)]))
    lake.append(USAGE_RECORDS, rows([job(10), job(11)]))
    change = changes.change_of(lake.snapshot(), lake.snapshot().handle("usage_daily_end"), EMPTY)
    small, *large = change.portions()
    assert [len(small.days), len(small.files or ())] == [4, 1]
    assert sorted(day for portion in large for day in portion.days) == sorted(change.days)
    assert len(large) > 1
    assert {tuple(portion.files or ()) for portion in large}.isdisjoint({tuple(small.files or ())})
    refresh(lake, EMPTY)
    assert sum(jobs for jobs, _ in by_day(Books(lake, EMPTY)).values()) == 7


def test_summaries_that_are_unequally_far_are_all_brought_up(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append(USAGE_RECORDS, rows([job(1)]))
    with monkeypatch.context() as patch:  # a crash after the first of the commits
        patch.setattr(refreshing, "SUMMARIES", {"running_hourly": SUMMARIES["running_hourly"]})
        refresh(lake, EMPTY)
    lake.append(USAGE_RECORDS, rows([job(2)]))
    refresh(lake, EMPTY)
    assert {
        name: sum(row["wall_seconds"] for row in found) for name, found in summed(lake).items() if found
    } == dict.fromkeys(
        [
            "running_hourly",
            "usage_daily_overlap",
            "usage_daily_end",
            "usage_monthly_end",
            "usage_daily_users",
            "usage_daily_brief",
        ],
        7200,
    )
