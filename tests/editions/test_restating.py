"""A restatement's parts add up to the whole, whatever came, was revised, corrected or renamed since; each cause has what is its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.editions.restatement import CAUSES, UNEXPLAINED, Amounts, Restatement, difference, total
from gridkeeper.editions.restating import recount, restate
from gridkeeper.editions.then import Then, now_of
from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.lake.maintenance import compact
from gridkeeper.queries.ledger import ledger
from gridkeeper.queries.ledger import total as total_of
from gridkeeper.queries.periods import Period
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.summaries.corrections.rules import Rule
from gridkeeper.summaries.tables import LAYOUTS
from tests.lake.rows import job, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridkeeper.editions.restatement import Cells

pytestmark = pytest.mark.slow
WEEK = Period(date(2017, 1, 31), date(2017, 2, 7))
START = datetime(2017, 1, 30, 20, tzinfo=UTC)
RECEIVED = datetime(2017, 3, 1, tzinfo=UTC)


def registry(**sites: str) -> Registry:
    return Registry.model_validate(
        {
            "vos": [{"name": "cms"}, {"name": "osg"}],
            "resources": [
                {"name": name, "site": site, "count_level": "batch"} for name, site in sites.items()
            ],
            "mapping": [{"when": {"account": "*"}, "grid": "OSG"}],
        }
    )


def rule(name: str, **act: Any) -> Rule:
    said = {
        "id": name,
        "reason": "invented",
        "author": "alice",
        "ticket": "GK-1",
        "period": {"first": "2017-01-01", "until": "2017-03-01"},
    }
    return Rule.model_validate(said | act)


REGISTRIES = (
    registry(alpha="Ash", beta="Birch"),
    registry(alpha="Ash", beta="Cedar"),
    registry(beta="Birch"),
)
DOUBLED = rule("doubled", match={"resource": "alpha"}, set={"processors": {1: 2, 4: 8}})
SETS = (
    NO_CORRECTIONS,
    Corrections((DOUBLED,)),
    Corrections((rule("out", match={"vo_reported": "osg"}, exclude=True),)),
    Corrections((DOUBLED, rule("lost", add={"vo": "cms", "resource": "beta", "level": "batch", "per_day": {"jobs": 3, "wall_seconds": 100, "core_seconds": 700}}))),
)  # fmt: skip
FACTS = st.fixed_dictionaries(
    {
        "number": st.integers(1, 6), "resource": st.sampled_from(["alpha", "beta", "gamma"]), "vo_reported": st.sampled_from(["cms", "osg", None]),
        "wall_s": st.integers(1, 90_000), "processors": st.sampled_from([1, 4]), "cpu_source": st.sampled_from(["measured", "missing"]),
        "cpu_user_us": st.integers(0, 10**9), "day": st.integers(0, 8), "resource_type": st.sampled_from(["Batch", "Batch", "Payload"]),
    }
)  # fmt: skip
LOADS = st.lists(st.lists(FACTS, min_size=1, max_size=5), max_size=4)


def load(lake: Lake, facts: Sequence[dict[str, Any]], hours: int) -> None:
    """Append jobs; the same number on the same resource is the same job, and revises what was known of it."""
    jobs = []
    for fact in {(one["number"], one["resource"]): one for one in facts}.values():
        said = {name: value for name, value in fact.items() if name not in ("number", "day")}
        submit = START - timedelta(days=1)
        jobs.append(
            job(
                fact["number"],
                start=START + timedelta(days=fact["day"]),
                submit_time=submit,
                account="x",
                **said,
            )
        )
    lake.append(USAGE_RECORDS, rows(jobs, RECEIVED + timedelta(hours=hours)))


def new_lake(folder: str | Path) -> Lake:
    return Lake(Path(folder) / "lake", DuckDB(threads=1), LAYOUTS)


def adds_up(found: Restatement) -> None:
    """Then + every part = today; by VO, by site and in all, in every amount."""
    lines = [found.in_all, *found.by_vo, *found.by_site]
    for line in lines:
        so_far = line.then
        for cause in (*CAUSES, UNEXPLAINED):
            so_far = so_far.plus(line.parts[cause])
        assert so_far == line.today
    for some in (found.by_vo, found.by_site):
        assert added_up(line.then for line in some) == found.in_all.then
        assert added_up(line.today for line in some) == found.in_all.today
        for cause in (*CAUSES, UNEXPLAINED):
            assert added_up(line.parts[cause] for line in some) == found.in_all.parts[cause]


def added_up(amounts: Iterable[Amounts]) -> Amounts:
    found = Amounts()
    for one in amounts:
        found = found.plus(one)
    return found


def as_reported(books: Books) -> Amounts:
    """What the production report says of the week."""
    sums = total_of(ledger(books, WEEK).now)
    return Amounts(sums.jobs or 0, sums.wall_seconds, sums.core_seconds, sums.cpu_us)


@settings(max_examples=6, deadline=None)
@given(
    before=LOADS, since=LOADS, topology=st.tuples(st.sampled_from(REGISTRIES), st.sampled_from(REGISTRIES)),
    corrections=st.tuples(st.sampled_from(SETS), st.sampled_from(SETS)),
)  # fmt: skip
def test_the_parts_add_up_to_the_whole(
    before: list[list[dict[str, Any]]], since: list[list[dict[str, Any]]], topology: tuple[Registry, Registry],
    corrections: tuple[Corrections, Corrections],
) -> None:  # fmt: skip
    with TemporaryDirectory() as folder:
        lake = new_lake(folder)
        for hours, facts in enumerate(before):
            load(lake, facts, hours)
        books = Books(lake, topology[0], corrections=corrections[0])
        then, said_then = now_of(books, WEEK), as_reported(books)
        for hours, facts in enumerate(since, len(before)):
            load(lake, facts, hours)
        books = Books(lake, topology[1], corrections=corrections[1])
        found = restate(books, then)
        adds_up(found)
        assert found.in_all.then == said_then
        assert found.in_all.today == as_reported(books)
        assert not found.parts[UNEXPLAINED]
        if not since:
            assert not found.parts["late"]
            assert not found.parts["revision"]
        if topology[0] == topology[1]:
            assert not found.parts["topology"]
        if corrections[0] == corrections[1]:
            assert not found.parts["correction"]
        assert recount(books, then) == {}


BOOKED = {
    "vo_reported": "cms",
    "wall_s": 3600,
    "processors": 1,
    "cpu_source": "measured",
    "cpu_user_us": 5,
    "resource_type": "Batch",
}


def fact(number: int, day: int = 1, resource: str = "alpha", **more: Any) -> dict[str, Any]:
    return BOOKED | {"number": number, "day": day, "resource": resource} | more


def restated(
    lake: Lake, then: Then, now: Registry = REGISTRIES[0], corrections: Corrections = NO_CORRECTIONS
) -> Restatement:
    found = restate(Books(lake, now, corrections=corrections), then)
    adds_up(found)
    return found


def test_each_cause_has_what_is_its_own(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    load(lake, [fact(1), fact(2), fact(3, resource="beta")], 0)
    then = now_of(Books(lake, REGISTRIES[0]), WEEK)
    load(lake, [fact(4, wall_s=100)], 1)  # late
    load(lake, [fact(1, wall_s=7200), fact(4, wall_s=150)], 2)  # revised: one of then, and the late one
    found = restated(lake, then, REGISTRIES[1], Corrections((DOUBLED,)))
    parts = {cause: total(found.parts[cause]) for cause in CAUSES}
    assert parts["late"] == Amounts(1, 100, 100, 5)
    assert parts["revision"] == Amounts(0, 3650, 3650, 0)
    assert parts["correction"] == Amounts(
        0, 0, 7200 + 3600 + 150, 0
    )  # alpha's three jobs have twice the cores
    assert parts["topology"] == Amounts()  # a site was renamed: nothing in all
    assert {line.name: line.parts["topology"].jobs for line in found.by_site} == {
        "Ash": 0,
        "Birch": -1,
        "Cedar": 1,
    }
    assert (found.late_records, found.revised_records) == (1, 2)
    assert (found.corrections_added, found.corrections_gone, found.topology_changed) == (
        ("doubled",),
        (),
        True,
    )


def test_a_job_that_moves_out_of_the_period_is_a_revision(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    load(lake, [fact(1), fact(2)], 0)
    then = now_of(Books(lake, REGISTRIES[0]), WEEK)
    load(lake, [fact(1, day=20)], 1)
    found = restated(lake, then)
    assert total(found.parts["revision"]) == Amounts(-1, -3600, -3600, -5)
    assert found.revised_records == 1


def test_nothing_changed_says_nothing(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    load(lake, [fact(1)], 0)
    then = now_of(Books(lake, REGISTRIES[0]), WEEK)
    load(lake, [fact(1)], 0)  # a repetition
    load(lake, [fact(2, day=20)], 1)  # another month's
    found = restated(lake, then)
    assert not any(found.parts.values())
    assert (found.late_records, found.revised_records) == (0, 0)


def test_a_restatement_rests_on_no_old_file(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    for number in range(1, 6):
        load(lake, [fact(number)], number)
    then = now_of(Books(lake, REGISTRIES[0]), WEEK)
    load(lake, [fact(2, wall_s=60), fact(9)], 9)
    before = restated(lake, then)
    compact(lake)
    for name in lake.layouts:
        table = lake.snapshot().handle(name).table()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert restated(lake, then) == before
    assert recount(Books(lake, REGISTRIES[0]), then) == {}


def test_a_late_batch_record_that_ends_the_counting_of_payloads_is_late(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    load(lake, [fact(1, resource="gamma", resource_type="Payload", wall_s=500)], 0)
    nobody = Registry()
    then = now_of(Books(lake, nobody), WEEK)
    load(lake, [fact(2, resource="gamma", day=20)], 1)  # in another month
    for now in (nobody, Registry.model_validate({"resources": [{"name": "delta"}]})):
        found = restated(lake, then, now)
        assert total(found.parts["late"]) == Amounts(-1, -500, -500, -5)
        assert total(found.parts["topology"]) == Amounts()


def test_records_that_were_made_anew_are_told_apart(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "one")
    load(lake, [fact(1)], 0)
    then = now_of(Books(lake, REGISTRIES[0]), WEEK)
    other = new_lake(tmp_path / "two")
    load(other, [fact(1)], 0)
    load(other, [fact(2)], 0)
    with pytest.raises(UserMistake, match="made anew since"):
        restate(Books(other, REGISTRIES[0]), then)


def test_cells_without_a_change_are_left_out() -> None:
    one: Cells = {("a", "b"): Amounts(1, 2, 3, 4)}
    other: Cells = {**one, ("c", None): Amounts(1)}
    assert difference(other, one) == {("c", None): Amounts(1)}
