"""Core hours times factors: exact, adding up in every direction, with what has no factor told apart."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest

from gridkeeper.federation.model import read_registry
from gridkeeper.queries.usage import Scope, usage
from gridkeeper.summaries.books import Books
from tests.homes import InventedHome, every_day

MAPPING = 'mapping: [{when: {account: cms}, vo: cms}, {when: {account: "*"}, vo: others}]\n'
FACTORS = """
resources:
  - name: alpha
    benchmarks: [{from: 2017-01-01, hs06: 10.1}, {from: 2017-01-06, hepscore23: 12.345678}]
    power: [{gco2e_per_kwh: 400, watts_per_core: 10}]
  - {name: beta, benchmarks: [{from: 2017-01-11, hepscore23: 20}]}
"""
MEASURES = ("core_hours", "hepscore_hours", "default_factor_share", "no_factor_core_hours", "carbon_kg")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    made = InventedHome(tmp_path_factory.mktemp("factors") / "home", MAPPING)
    made.slurm("alpha", every_day("2017-01-01", "2017-01-11", number=1, cores=8))
    made.slurm("alpha", every_day("2017-01-01", "2017-01-11", number=100, account="alice", hours=0.123))
    made.slurm("beta", every_day("2017-01-01", "2017-01-21", number=200, cores=3))
    made.slurm("gamma", every_day("2017-01-01", "2017-01-02", number=300))
    return made


def of(home: InventedHome, factors: str) -> Books:
    home.home.federation.write_text(MAPPING + factors, encoding="utf-8")
    return Books(home.lake, read_registry(home.home.federation))


SCOPE = Scope(grid="any")


def test_each_day_has_its_resources_factor_of_that_day(home: InventedHome) -> None:
    found = usage(of(home, FACTORS), ("resource",), MEASURES, SCOPE)
    alpha, beta, gamma = found.rows
    seconds = 8 * 3600 + round(0.123 * 3600)
    exact = Fraction(5 * seconds * (10_100_000 + 12_345_678), 3600 * 10**6)
    assert alpha["hepscore_hours"] == float(exact)
    assert alpha["no_factor_core_hours"] == 0
    assert alpha["carbon_kg"] == float(Fraction(10 * seconds * 4000, 3600 * 10**6))
    assert beta["hepscore_hours"] == 10 * 3 * 20  # the ten days before have no factor
    assert beta["no_factor_core_hours"] == 10 * 3
    assert beta["carbon_kg"] is None  # nothing is known, which is not 0
    assert (gamma["hepscore_hours"], gamma["no_factor_core_hours"]) == (None, 1)
    (share,) = usage(of(home, FACTORS), ("resource",), ("hepscore_hours",), SCOPE).factors
    assert (share.kind, share.of_default, share.without) == ("hepscore", 0, 31 * 3600)
    assert "without a factor, left out" in share.sentence()


def test_a_default_is_used_where_there_is_no_factor_and_its_share_is_told(home: InventedHome) -> None:
    books = of(home, "federation: {default_hepscore23: 10.5}" + FACTORS)
    found = usage(books, (), MEASURES, SCOPE)
    (row,) = found.rows
    assert row["no_factor_core_hours"] == 0
    assert row["default_factor_share"] == pytest.approx(31 / row["core_hours"])
    assert [share.kind for share in found.factors] == ["hepscore", "carbon"]
    assert "on the default factor" in found.factors[0].sentence()


@pytest.mark.slow
def test_totals_add_up_in_every_direction(home: InventedHome) -> None:
    books = of(home, "federation: {default_hepscore23: 0.000001}" + FACTORS)
    dimensions = ("day", "week", "month", "resource", "site", "vo", "level")
    (whole,) = usage(books, (), MEASURES, SCOPE).rows
    for by in [*combinations(dimensions, 1), *combinations(dimensions, 2)]:
        rows = usage(books, by, MEASURES, SCOPE).rows
        for measure in ("hepscore_hours", "no_factor_core_hours", "carbon_kg"):
            known = [row[measure] for row in rows if row[measure] is not None]
            assert sum(known) == pytest.approx(whole[measure], rel=1e-12), (by, measure)


@pytest.mark.parametrize("by", [("vo", "processors"), ("vo", "user"), ("vo", "probe")])
def test_every_summary_gives_the_same_product(home: InventedHome, by: tuple[str, ...]) -> None:
    books = of(home, FACTORS)
    (whole,) = usage(books, (), ("hepscore_hours",), SCOPE).rows
    parts = [row["hepscore_hours"] or 0 for row in usage(books, by, ("hepscore_hours",), SCOPE).rows]
    assert sum(parts) == pytest.approx(whole["hepscore_hours"], rel=1e-12)
    overlap = Scope(grid="any", attribution="overlap")
    assert usage(books, (), ("hepscore_hours",), overlap).rows[0]["hepscore_hours"] == pytest.approx(
        whole["hepscore_hours"]
    )


def test_more_than_64_bits_hold_is_exact(home: InventedHome) -> None:
    books = of(
        home,
        "resources: [{name: alpha, benchmarks: [{hepscore23: 10000}]}, {name: beta, benchmarks: [{hepscore23: 9999.999999}]}]",
    )
    (row,) = books.select(
        "SELECT CAST(SUM(CAST(c AS HUGEINT) * f) AS DECIMAL(38, 0)) AS s FROM (SELECT CAST(9000000000000000 AS BIGINT) AS c, CAST(10000000000 AS BIGINT) AS f) AS one"
    ).to_pylist()
    assert int(row["s"]) == 9_000_000_000_000_000 * 10_000_000_000
    (told,) = usage(books, (), ("hepscore_hours",), Scope(grid="any", where=(("resource", "beta"),))).rows
    assert told["hepscore_hours"] == float(Fraction(20 * 3 * 9_999_999_999, 10**6))
