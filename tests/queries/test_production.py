"""What the production meeting asks: levels, changes, open hours, ownership, figures from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import UserMistake
from gridkeeper.queries.figures import Figure
from gridkeeper.queries.periods import Period, month_of
from gridkeeper.queries.production import Production, VOUse, experiments_of_period, production
from gridkeeper.queries.running import percentile, running
from tests.homes import InventedHome, Job, at, every_day
from tests.production_story import FEDERATION, MEETING, WEEK, story

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

DASHBOARD = Figure(
    source="Dashboard", vo="CMS", measure="jobs", unit="jobs", first=WEEK.first, until=WEEK.until, value=14
)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return story(tmp_path_factory.mktemp("story") / "home").books()


@pytest.fixture(scope="module")
def found(books: Books) -> Production:
    figures = [
        DASHBOARD,
        replace_figure(vo="osg", value=7),
        replace_figure(measure="hours", unit="hours"),
        replace_figure(measure="core_hours", unit="hours"),
        replace_figure(vo="atlas"),
        replace_figure(vo=None, measure="core_hours", unit="core hours", value=0),
        replace_figure(first=date(2017, 1, 24), until=date(2017, 1, 31)),
    ]
    return production(books, WEEK, MEETING, figures)


def replace_figure(**changes: object) -> Figure:
    return DASHBOARD.model_copy(update=changes)


def vo(found: Production, name: str) -> VOUse:
    return next(each for each in found.vos if each.name == name)


def test_the_last_day_of_january_is_in_the_week_and_in_the_month(books: Books, found: Production) -> None:
    january = production(books, month_of(date(2017, 1, 31)), MEETING)
    assert vo(found, "cms").sums.core_hours == 7 * 80
    assert vo(january, "cms").sums.core_hours == 22 * 80


def test_pilots_and_payloads_are_never_added(found: Production) -> None:
    osg = vo(found, "osg")
    assert (osg.pilots, osg.payloads) == (0, 7)
    assert osg.sums.jobs == 0, "payloads do not count at a resource that counts its batch records"
    assert found.total.pilots == 7 + 7 + 2
    assert found.total.payloads == 7
    assert found.total.sums.jobs == 16
    assert set(found.by_level) == {"batch"}


def test_payloads_count_where_only_payloads_are_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = InventedHome(tmp_path_factory.mktemp("pool") / "home")
    home.payloads("Pool", every_day("2017-01-31", "2017-02-07", number=1, hours=2, account="osg"))
    whole = production(home.books(), WEEK, MEETING).total
    assert (whole.sums.jobs, whole.sums.core_hours, whole.pilots, whole.payloads) == (7, 14.0, 0, 7)


def test_local_jobs_are_left_out_and_said_to_be(found: Production) -> None:
    left_out = found.ledger.left_out
    assert left_out["Local"].core_hours == 7 * 4
    assert found.total.sums.core_hours == sum(each.sums.core_hours or 0 for each in found.vos)


def test_what_no_rule_maps_is_listed_and_not_guessed(found: Production) -> None:
    (one,) = found.unmapped
    assert (one.resource, one.sums.core_hours, one.in_totals) == ("Nebraska-Red", 5.0, False)


def test_the_change_is_told_as_known_today_and_at_equal_age(found: Production) -> None:
    change = vo(found, "cms").change
    assert change.ratio == 0, "known today, both weeks are alike"
    assert change.before_at_equal_age == 5 * 80 * 3600, "two of seven days came a week later"
    assert change.ratio_at_equal_age == pytest.approx(2 / 5)


def test_a_record_revised_since_counts_at_equal_age_as_it_was_then(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = InventedHome(
        tmp_path_factory.mktemp("revised") / "home", "mapping: [{when: {account: cms}, vo: cms}]"
    )
    early, late = at("2017-01-31T10:00"), at("2017-02-07T12:00")
    job = Job(1, at("2017-01-26T10:00"), 4)
    home.slurm("alpha", [job, Job(2, at("2017-01-27T10:00"), 10)], early)
    home.slurm("alpha", [replace(job, cpu=0.5, cores=2)], late)
    home.slurm("alpha", [Job(3, at("2017-02-01T10:00"), 7)], late)
    change = production(home.books(), WEEK, MEETING).total.change
    assert (change.now, change.before, change.before_at_equal_age) == (7 * 3600, 18 * 3600, 14 * 3600)


def test_equal_age_is_not_known_when_nothing_had_come_by_then(books: Books) -> None:
    change = production(books, WEEK, at("2017-02-07T00:00")).total.change
    assert change.ratio_at_equal_age is None
    assert change.ratio is not None


def test_nobody_moves_when_nothing_is_known_of_the_period_before(books: Books) -> None:
    first = production(books, Period(date(2017, 1, 10), date(2017, 1, 17)), MEETING)
    assert all(not each.ups and not each.downs for each in first.movers)
    assert first.total.change.ratio is None


def test_movers_are_told_by_vo_by_site_and_by_both(found: Production) -> None:
    by_vo, by_site, by_both = found.movers
    assert [(mover.name, mover.difference) for mover in by_vo.ups] == [(("fermilab",), 4.0)]
    assert by_vo.downs == ()
    assert by_site.ups[0].name == ("Nebraska",)
    assert by_both.ups[0].name == ("Nebraska", "fermilab")


def test_opportunistic_is_told_by_owner_and_by_list(books: Books) -> None:
    january = production(books, month_of(date(2017, 1, 1)), MEETING)
    osg, whole = vo(january, "osg").opportunistic, january.total.opportunistic
    assert osg.by_owner.share("core_seconds") == 1
    assert whole.by_owner.part.jobs == 10, "osg at Utah; CMS and nova ran at home"
    assert whole.by_list is not None
    assert whole.by_list.part.core_hours == 10 * 600
    assert whole.owner_unknown.part.jobs == 0


def test_ownership_that_the_registry_does_not_name_is_neither_owned_nor_opportunistic(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = InventedHome(
        tmp_path_factory.mktemp("unowned") / "home", "mapping: [{when: {account: cms}, vo: cms}]"
    )
    home.slurm("alpha", every_day("2017-01-31", "2017-02-07", number=1))
    parts = production(home.books(), WEEK, MEETING).total.opportunistic
    assert (parts.by_owner.part.jobs, parts.owner_unknown.part.jobs, parts.by_list) == (0, 7, None)


def test_who_owned_a_resource_on_the_day_is_its_owner(tmp_path_factory: pytest.TempPathFactory) -> None:
    mapping = "mapping: [{when: {account: cms}, vo: cms}]"
    former = "former: [{until: 2017-02-03, owners: {atlas: 100}}]"
    text = f"resources: [{{name: alpha, owners: {{cms: 100}}, {former}}}]\n{mapping}"
    home = InventedHome(tmp_path_factory.mktemp("sold") / "home", text)
    home.slurm("alpha", every_day("2017-01-31", "2017-02-07", number=1))
    books = home.books()
    jobs = production(books, WEEK, MEETING).total.opportunistic.by_owner
    assert (jobs.part.jobs, jobs.whole.jobs) == (3, 7), "on 31 January, 1 and 2 February atlas owned it"


def test_an_experiment_is_off_site_where_its_vo_is_not_at_home(books: Books, found: Production) -> None:
    fermilab = vo(found, "fermilab")
    nova, des = fermilab.experiments
    assert nova.off_site is not None
    assert (nova.name, nova.sums.wall_hours, nova.off_site.part.part.wall_hours, nova.off_site.sites) == (
        "nova",
        17.0,
        3.0,
        1,
    )
    assert des.off_site is not None
    assert des.off_site.part.share("wall_seconds") == 1
    assert vo(found, "cms").off_site is None, "nothing says where CMS is at home"
    own = experiments_of_period(books, ["fermilab", "cms"], Period(date(2017, 2, 6), date(2017, 2, 7)))
    assert [(group.name, group.sums.wall_hours) for group in own["fermilab"].experiments] == [
        ("nova", 5.0),
        ("des", 1.0),
    ]
    assert "cms" not in own, "its usage names no experiment"


def test_experiments_have_a_period_of_their_own_beside_the_week(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    told = FEDERATION.replace("- name: fermilab", "- name: fermilab\n    experiments_period: 2 weeks")
    found = production(story(tmp_path_factory.mktemp("own") / "home", told).books(), WEEK, MEETING)
    fermilab = vo(found, "fermilab")
    own = fermilab.own_period
    assert own is not None
    assert own.period == Period(date(2017, 1, 24), date(2017, 2, 7))
    assert [(group.name, group.sums.wall_hours) for group in own.experiments] == [
        ("nova", 31.0),
        ("des", 1.0),
    ]
    assert [(group.name, group.sums.wall_hours) for group in fermilab.experiments] == [
        ("nova", 17.0),
        ("des", 1.0),
    ]
    assert own.off_site is not None
    assert own.off_site.part.share("wall_seconds") == 4 / 32
    assert vo(found, "cms").own_period is None


def test_running_cores_are_a_mean_and_a_range_of_days_without_open_hours(found: Production) -> None:
    cores = vo(found, "cms").running
    assert cores is not None
    assert cores.length_hours == 10
    assert cores.lowest == cores.highest == pytest.approx(80 / 24)
    assert [day.is_open for day in cores.days] == [False] * 6 + [True]
    assert cores.open_hours == 22, "10 hours before the newest record's end at noon, and the 12 after it"


def test_hours_of_a_period_not_over_yet_are_open() -> None:
    day = Period(date(2017, 1, 1), date(2017, 1, 2))
    cores = running(
        {datetime(2017, 1, 1, hour, tzinfo=UTC): 7200 for hour in range(4)}, day, at("2017-01-01T02:00"), 2
    )
    assert (cores.mean, cores.lowest, cores.highest, cores.open_hours) == (2.0, None, None, 22)


def test_the_95th_percentile_is_the_least_length_that_so_many_do_not_exceed() -> None:
    assert percentile([(1, 95), (40, 5)]) == 1
    assert percentile([(1, 94), (40, 6)]) == 40
    assert percentile([]) == 0


def test_a_figure_stands_beside_ours_of_the_same_meaning_or_alone(found: Production) -> None:
    said = [(one.ours.name if one.ours else None, one.ratio) for one in found.figures]
    assert said == [
        ("pilots", 0.5),
        ("payloads", 1.0),
        (None, None),
        (None, None),
        (None, None),
        ("core hours", None),
    ]
    assert found.figures[3].reason == "its unit 'hours' is not 'core hours'"


def test_records_without_processors_and_without_cpu_are_told(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = InventedHome(tmp_path_factory.mktemp("quality") / "home")
    home.slurm(
        "alpha",
        [Job(1, at("2017-02-01T10:00"), 3, cores=0, cpu=None), Job(2, at("2017-02-01T10:00"), 1, cpu=0.8)],
    )
    sums = production(home.books(), WEEK, MEETING).total.sums
    assert (sums.core_hours, sums.processors_filled, sums.unmeasured_share) == (4.0, 1, 0.75)
    assert sums.efficiency == sums.efficiency_1core == pytest.approx(0.8)


def test_an_empty_home_knows_nothing_and_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = production(InventedHome(tmp_path_factory.mktemp("empty") / "home").books(), WEEK, MEETING)
    assert empty.total.sums.efficiency is None
    assert empty.total.change.ratio is None
    assert empty.vos == ()


def test_reported_sums_are_asked_for_by_month_only(books: Books) -> None:
    with pytest.raises(UserMistake, match="known by whole months only"):
        production(books, WEEK, MEETING, source="reported")
