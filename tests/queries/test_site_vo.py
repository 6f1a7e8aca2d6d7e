"""The Site-VO matrix counts every day, keeps who vanished, and adds up in both directions."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.model import VO, Registry
from gridkeeper.intake.loader import Loader
from gridkeeper.queries.periods import Period, month_of
from gridkeeper.queries.site_vo import UNMAPPED, change, laid_out, matrix, opportunistic_vos
from gridkeeper.queries.usage import Scope
from gridkeeper.records.draft import Delivery
from tests.homes import InventedHome, Job, at, refuse_nothing
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = month_of(date(2017, 1, 1))
FEDERATION = """
federation: {grid: OSG}
vos: [{name: cms}, {name: osg}, {name: GLOW, aliases: [wisc]}]
vo_lists: {opportunistic: [OSG, wisc]}
resources:
  - {name: utah, site: Utah}
  - {name: gk1, site: Nebraska}
  - {name: gk2, site: Nebraska}
mapping:
  - {when: {account: local}, vo: cms, grid: Local}
  - {when: {account: cms}, vo: cms}
  - {when: {account: osg}, vo: osg}
  - {when: {account: glow}, vo: glow}
  - {when: {account: nobody}, grid: OSG, project: unknown}
"""


@pytest.fixture
def home(tmp_path: Path) -> InventedHome:
    return InventedHome(tmp_path / "home", FEDERATION)


def cells(home: InventedHome, period: Period = JANUARY) -> dict[tuple[str, str], int]:
    found = matrix(home.books(), period)
    return {(row.name, vo): seconds for row in found.rows for vo, seconds in row.now.items()}


def test_the_last_day_of_the_month_counts_and_the_next_one_does_not(home: InventedHome) -> None:
    ends = ("2016-12-31T23:59:59", "2017-01-01T00:00:00", "2017-01-31T23:59:59", "2017-02-01T00:00:00")
    home.slurm("utah", [Job(number, at(end), hours=10.0**number) for number, end in enumerate(ends)])
    assert cells(home) == {("Utah", "cms"): 110 * 3600}
    assert matrix(home.books(), JANUARY).all.before_total == 3600


def test_core_hours_are_wall_times_processors(home: InventedHome) -> None:
    home.slurm("utah", [Job(1, at("2017-01-10T12:00"), hours=2, cores=8)])
    assert cells(home) == {("Utah", "cms"): 16 * 3600}


def test_resources_of_one_site_are_one_row(home: InventedHome) -> None:
    home.slurm("gk1", [Job(1, at("2017-01-10T12:00"))])
    home.slurm("gk2", [Job(1, at("2017-01-11T12:00"), hours=2)])
    assert cells(home) == {("Nebraska", "cms"): 3 * 3600}


def test_a_site_and_a_vo_that_vanished_stay_in_the_previous_total(home: InventedHome) -> None:
    home.slurm("utah", [Job(1, at("2016-12-05T12:00"), hours=5, account="osg")])
    home.slurm("gk1", [Job(1, at("2017-01-05T12:00"), hours=3)])
    found = matrix(home.books(), JANUARY)
    assert [(row.name, row.total, row.before_opportunistic) for row in found.rows] == [
        ("Nebraska", 3 * 3600, 0),
        ("Utah", 0, 5 * 3600),
    ]
    assert (found.opportunistic, found.others) == (("osg",), ("cms",))
    assert found.all.before_total == 5 * 3600
    assert [row.change_ratio for row in found.rows] == [None, -1.0]


def test_what_no_rule_maps_has_a_column_of_its_own_at_the_end(home: InventedHome) -> None:
    home.slurm("utah", [Job(1, at("2017-01-05T12:00"), account="nobody"), Job(2, at("2017-01-05T12:00"))])
    assert matrix(home.books(), JANUARY).others == ("cms", UNMAPPED)


def test_local_jobs_are_not_the_federations(home: InventedHome) -> None:
    home.slurm(
        "utah", [Job(1, at("2017-01-05T12:00"), account="local"), Job(2, at("2017-01-05T12:00"), hours=4)]
    )
    assert cells(home) == {("Utah", "cms"): 4 * 3600}


def test_payloads_are_never_added_to_batch_jobs_but_said(home: InventedHome) -> None:
    home.slurm("utah", [Job(1, at("2017-01-05T12:00"), hours=4)])
    home.payloads("utah", [Job(2, at("2017-01-05T11:00"), hours=3)])
    home.payloads("Kubernetes", [Job(3, at("2017-01-05T11:00"), hours=2)])
    found = matrix(home.books(), JANUARY)
    assert found.all.total == 4 * 3600
    assert found.payload_core_seconds == 2 * 3600  # at Utah it is the batch job that counts


def test_any_period_has_one_as_long_before_it(home: InventedHome) -> None:
    home.slurm("utah", [Job(day, at(f"2017-01-{day:02d}T12:00")) for day in range(1, 21)])
    found = matrix(home.books(), Period(date(2017, 1, 8), date(2017, 1, 15)))
    assert (found.before.first, found.before.until) == (date(2017, 1, 1), date(2017, 1, 8))
    assert (found.all.total, found.all.before_total) == (7 * 3600, 7 * 3600)


def test_an_empty_home_has_an_empty_matrix(home: InventedHome) -> None:
    found = matrix(home.books(), JANUARY)
    assert (found.rows, found.all.total, found.all.opportunistic_ratio) == ((), 0, None)


def test_a_change_from_nothing_is_not_defined() -> None:
    assert change(0, 5) is None
    assert change(0, 0) is None
    assert change(None, 5) is None
    assert change(4, 5) == 0.25


def test_opportunistic_are_the_listed_vos_by_any_of_their_names_else_the_five_of_2017() -> None:
    assert opportunistic_vos(Registry()) == ("glow", "gluex", "hcc", "osg", "sbgrid")
    listed = Registry(vos=(VO(name="GLOW", aliases=("Wisc",)),), vo_lists={"opportunistic": ("WISC", "osg")})
    assert opportunistic_vos(listed) == ("glow", "osg")


SECONDS = st.integers(0, 10**12)
CELLS = st.dictionaries(
    st.tuples(
        st.sampled_from(["AGLT2", "MWT2", "Utah", "mwt3"]), st.sampled_from(["cms", "osg", "GLOW", UNMAPPED])
    ),
    SECONDS,
)


@given(now=CELLS, before=CELLS)
def test_totals_add_up_in_both_directions(
    now: dict[tuple[str, str], int], before: dict[tuple[str, str], int]
) -> None:
    found = laid_out(JANUARY, Scope(JANUARY, "batch"), now, before, ("glow", "osg"))
    assert (
        found.all.total
        == sum(now.values())
        == sum(row.total for row in found.rows)
        == sum(found.all.now.values())
    )
    assert found.all.before_total == sum(before.values()) == sum(row.before_total for row in found.rows)
    assert found.all.opportunistic == sum(row.opportunistic for row in found.rows)
    assert found.all.before_opportunistic == sum(row.before_opportunistic for row in found.rows)
    for row in found.rows:
        assert row.total == row.opportunistic + sum(row.now.get(vo, 0) for vo in found.others)
    assert {*found.opportunistic, *found.others} == {vo for _, vo in (*now, *before)}


def test_reported_sums_of_2017_come_out_exactly(home: InventedHome) -> None:
    source = shared("apel/gracc_2017-01.apel")
    expected = json.loads(shared("apel/expected_totals.json").read_text())[source.name]["by_site_vo"]
    home.home.federation.write_text("")
    Loader(home.lake, refuse_nothing).load([source], "apel", Delivery(datetime(2017, 2, 7, tzinfo=UTC)))
    found = matrix(home.books(), JANUARY, "reported")
    said = {f"{row.name}|{vo}": seconds for row in found.rows for vo, seconds in row.now.items()}
    assert said == {pair: sums["CoreWallDuration"] for pair, sums in expected.items()}
