"""Two books side by side: who agrees is the same from both sides, and what is missing is named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.intake.loader import Loader
from gridkeeper.queries.compare import MEASURES, Comparison, compare, within
from gridkeeper.queries.periods import month_of
from gridkeeper.records.draft import Delivery
from tests.homes import InventedHome, Job, at, refuse_nothing
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.summaries.books import Books

MAPPED = "mapping: [{when: {account: cms}, vo: cms}, {when: {account: osg}, vo: osg}]\n"


def home(folder: Path, cluster: str, *jobs: Job) -> Books:
    made = InventedHome(folder, MAPPED)
    made.slurm(cluster, jobs)
    return made.books()


def beside(left: Books, right: Books, tolerance: float = 0.01) -> Comparison:
    return compare(("left", left, "jobs"), ("right", right, "jobs"), month_of(date(2017, 1, 1)), tolerance)


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.sampled_from([0.0, 0.01, 0.1, 1.0]))
def test_agreement_is_the_same_both_ways(left: int, right: int, tolerance: float) -> None:
    assert within(left, right, tolerance) == within(right, left, tolerance)
    assert within(left, left, tolerance)


def test_the_limit_itself_agrees_and_what_is_not_known_is_not_compared() -> None:
    assert within(99, 100, 0.01) is True
    assert within(98, 100, 0.01) is False
    assert within(0, 0, 0.0) is True
    assert within(0, 1, 0.99) is False
    assert within(None, 1, 0.01) is None


def test_names_that_differ_in_capitals_alone_are_the_same(tmp_path: Path) -> None:
    job = Job(1, at("2017-01-10T12:00"))
    found = beside(home(tmp_path / "a", "Utah", job), home(tmp_path / "b", "UTAH", job))
    assert [(pair.site, pair.vo) for pair in found.common] == [("Utah", "cms")]
    assert found.agrees


def test_a_pair_that_one_side_misses_is_named_and_counts_in_no_measure(tmp_path: Path) -> None:
    both, more = Job(1, at("2017-01-10T12:00")), Job(2, at("2017-01-10T12:00"), account="osg")
    found = beside(home(tmp_path / "a", "utah", both, more), home(tmp_path / "b", "utah", both))
    assert [(pair.site, pair.vo) for pair in found.left_only] == [("utah", "osg")]
    assert not found.right_only
    assert {(agreement.compared, agreement.within) for agreement in found.agreements} == {(1, 1), (0, 0)}
    assert not found.agrees


def test_pairs_are_ranked_by_core_hours_and_disagreements_told_by_measure(tmp_path: Path) -> None:
    left = home(
        tmp_path / "a",
        "utah",
        Job(1, at("2017-01-10T12:00"), 1),
        Job(2, at("2017-01-10T12:00"), 9, account="osg"),
    )
    right = home(
        tmp_path / "b",
        "utah",
        Job(1, at("2017-01-10T12:00"), 1),
        Job(2, at("2017-01-10T12:00"), 8, account="osg"),
    )
    found = beside(left, right)
    assert [pair.vo for pair in found.common] == ["osg", "cms"]
    assert found.disagrees(found.common[0]) == ("wall_seconds", "core_seconds", "cpu_us")
    assert found.common[0].ratio("core_seconds") == 9 / 8
    assert not beside(left, right, 0.001).agrees
    assert beside(left, right, 0.2).agrees


def test_cpu_that_was_not_measured_is_not_compared(tmp_path: Path) -> None:
    left = home(tmp_path / "a", "utah", Job(1, at("2017-01-10T12:00")))
    right = home(tmp_path / "b", "utah", Job(1, at("2017-01-10T12:00"), cpu=None))
    agreements = {agreement.measure.name: agreement.compared for agreement in beside(left, right).agreements}
    assert agreements == {
        "jobs": 1,
        "wall_hours": 1,
        "core_hours": 1,
        "cpu_hours": 0,
        "normalised_cpu_hours": 0,
    }


def test_gracc_and_gratia_of_january_2017_agree_where_it_is_known_that_they_do(tmp_path: Path) -> None:
    books = []
    for name in ("gracc", "gratia"):
        made = InventedHome(tmp_path / name)
        source = shared(f"apel/{name}_2017-01.apel")
        Loader(made.lake, refuse_nothing).load([source], "apel", Delivery(datetime(2017, 2, 7, tzinfo=UTC)))
        books.append(made.books())
    found = compare(("gracc", books[0], "reported"), ("gratia", books[1], "reported"), None, 0.01)
    agree = {agreement.measure.name: agreement.within for agreement in found.agreements}
    assert len(found.common) == 55
    assert (agree["jobs"], agree["wall_hours"], agree["normalised_cpu_hours"]) == (51, 52, 45)
    assert (len(found.left_only), len(found.right_only)) == (5, 1)
    assert {agreement.compared for agreement in found.agreements} == {55}
    assert len(MEASURES) == 5
