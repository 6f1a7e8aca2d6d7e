"""Those who measure storage and those who send monthly sums, in homes with real books: who stops is found, and nobody else is called."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.monitoring.history import Delivered, Source
from gridkeeper.monitoring.months import months_known, months_later
from gridkeeper.monitoring.other_records import read_measured, read_sums
from gridkeeper.monitoring.silence import source_states
from gridkeeper.monitoring.states import State
from gridkeeper.records.draft import Delivery
from tests.homes import InventedHome, at, every_day
from tests.monitoring.invented import beats, every_hour

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gridkeeper.monitoring.states import Silence, SourceState
    from gridkeeper.summaries.books import Books

pytestmark = pytest.mark.slow
YEAR = months_known(date(2016, 1, 1), date(2016, 12, 1))
JANUARY = date(2017, 1, 1)
SITES = ("Nebraska", "Utah", "Wisconsin")
FEDERATION = """
federation: {name: Sample of sums, grid: OSG}
resources:
  - {name: Utah, site: Utah, probes: ["hadoop:utah"], contacts: [{name: Utah operations}]}
  - {name: Nebraska, site: Nebraska}
"""


def sums(home: InventedHome, month: date, received: datetime, sites: Iterable[str] = SITES, *, probe: str | None = "apel:feed", core_hours: int = 1000) -> None:  # fmt: skip
    """One sending of a month's sums, of these sites."""
    text = "".join(
        f"Site: {site}\nMonth: {month.month}\nYear: {month.year}\nVO: cms\nProcessors: 2\nWallDuration: {core_hours * 1800}\n"
        f"CpuDuration: {core_hours * 1800}\nNumberOfJobs: {core_hours}\n%%\n"
        for site in sites
    )
    home.load(f"APEL-summary-job-message: v0.2\n{text}", "apel", Delivery(received, probe=probe))


def sent_on_the_4th(home: InventedHome, months: Iterable[date] = YEAR, sites: Iterable[str] = SITES, probe: str = "apel:feed") -> None:  # fmt: skip
    for month in months:
        received = datetime.combine(months_later(month, 1), datetime.min.time(), UTC) + timedelta(
            days=3, hours=5
        )
        sums(home, month, received, sites, probe=probe)


def measured(home: InventedHome, days: Iterable[date], *, probe: str = "hadoop:utah", elements: Iterable[str] = ("UTAH-SE",), hours: Iterable[int] = (6,)) -> None:  # fmt: skip
    """Space of storage elements, as a Gratia probe describes and measures it; each day's comes on that day."""
    for number, day in enumerate(days):
        moments = [datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour) for hour in hours]
        texts = []
        for element in elements:
            if number == 0:
                texts.append(f"<StorageElement><UniqueID>{element}:SE:{element}</UniqueID><SE>{element}</SE><Name>{element}</Name><SpaceType>SE</SpaceType>"
                             f"<Timestamp>{moments[0]:%Y-%m-%dT%H:%M:%SZ}</Timestamp><ProbeName>{probe}</ProbeName><SiteName>Site of {element}</SiteName></StorageElement>")  # fmt: skip
            texts += [
                f"<StorageElementRecord><UniqueID>{element}:SE:{element}</UniqueID><MeasurementType>raw</MeasurementType><StorageType>disk</StorageType>"
                f"<Timestamp>{moment:%Y-%m-%dT%H:%M:%SZ}</Timestamp><TotalSpace>10</TotalSpace><UsedSpace>5</UsedSpace><FreeSpace>5</FreeSpace>"
                f"<ProbeName>{probe}</ProbeName></StorageElementRecord>"
                for moment in moments
            ]  # fmt: skip
        body = "".join(texts)
        home.load(
            f"<RecordEnvelope>{body}</RecordEnvelope>",
            "gratia-xml",
            Delivery(moments[-1] + timedelta(hours=1)),
        )


def days_from(first: str, until: str, step: int = 1) -> list[date]:
    number = (date.fromisoformat(until) - date.fromisoformat(first)).days
    return [date.fromisoformat(first) + timedelta(days=day) for day in range(0, number, step)]


def silent(books: Books, text: str) -> list[SourceState]:
    return list(source_states(books, at(f"{text}T00:00")).silent)


def first_silent(books: Books, first: str, until: str) -> date | None:
    return next((day for day in days_from(first, until) if silent(books, str(day))), None)


def states(found: Silence) -> dict[str | None, State]:
    return {one.resource: one.state for one in found.sources}


def test_an_apel_sender_that_always_sent_on_the_4th_is_silent_from_the_7th_on(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    sent_on_the_4th(home, sites=["Utah"])
    sent_on_the_4th(home, [*YEAR, JANUARY], ["Nebraska"], probe="kuantifier:nebraska")
    books = home.books()
    assert first_silent(books, "2017-01-31", "2017-02-20") == date(2017, 2, 7)
    (one,) = silent(books, "2017-02-07")
    assert (one.probe, one.resource, one.level, one.site) == ("apel:feed", "Utah", "reported", "Utah")
    assert (one.last_day, one.since, one.silent_days) == (date(2016, 12, 31), at("2017-01-01T00:00"), 37)
    assert (one.missing_months, one.usual_delay_days, one.core_hours_a_month) == ((JANUARY,), 3, 1000)
    assert one.why == (
        "no sums of Jan 2017",
        "they were due by 6 Feb 2017, usually they come 3 days after the month's end",
        "the last ones came on 4 Jan 2017",
    )
    assert one.missing is not None
    assert one.missing.from_months
    assert (one.missing.core_hours, one.missing.low, one.missing.high, one.missing.days) == (
        1000,
        950,
        1050,
        31,
    )
    assert [who.name for who in one.ask] == ["Utah operations"]


def test_months_go_on_to_be_missing_until_they_come(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home, sites=["Utah"])
    (one,) = silent(home.books(), "2017-04-20")
    assert one.missing_months == (JANUARY, date(2017, 2, 1), date(2017, 3, 1))
    assert one.missing is not None
    assert one.missing.core_hours == 3000
    for month in one.missing_months:
        sums(home, month, at("2017-04-20T10:00"), ["Utah"])
    assert not silent(home.books(), "2017-04-21")


def test_a_feed_of_many_sites_that_stops_is_one_line_and_a_site_that_it_leaves_out_is_its_own(
    tmp_path: Path,
) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home)
    sent_on_the_4th(home, [JANUARY], ["Nebraska", "Wisconsin"])
    books = home.books()
    (one,) = silent(books, "2017-02-10")
    assert (one.resource, one.probe_goes_on) == ("Utah", True)
    assert one.why[-1] == "its probe goes on elsewhere"
    heard = beats("Elsewhere", every_hour(at("2017-03-01T00:00"), at("2017-03-20T00:00")), probe="slurm:x")
    (all_of_them,) = source_states(books, at("2017-03-20T00:00"), [heard]).silent
    assert (all_of_them.resource, all_of_them.resources) == (None, SITES)
    assert all_of_them.missing_months == (date(2017, 2, 1),)


def test_sums_that_are_renewed_every_day_are_missed_before_their_month_is_over(tmp_path: Path) -> None:
    """The APEL report of a federation, sent anew every day with the month so far; on 25 August it stopped."""
    home = InventedHome(tmp_path / "home")
    for number, day in enumerate(days_from("2017-07-25", "2017-08-26")):
        sums(home, day.replace(day=1), at(f"{day}T06:00"), ["Utah"], core_hours=100 + number)
    books = home.books()
    assert first_silent(books, "2017-08-20", "2017-09-18") == date(2017, 8, 28)
    (one,) = silent(books, "2017-09-18")
    assert one.why[0] == "its sums of Aug 2017 end on 25 Aug 2017; usually they are renewed every day"
    assert (one.last_day, one.missing_months) == (date(2017, 8, 25), (date(2017, 8, 1),))


def test_a_young_sender_and_one_that_sends_now_and_then_are_not_called_early(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home, YEAR[-3:], ["Young"], probe="young")
    seldom = [month for place, month in enumerate(months_known(date(2015, 1, 1), date(2016, 12, 1))) if place % 7 in (0, 1, 4)]  # fmt: skip
    sent_on_the_4th(home, seldom, ["Seldom"], probe="seldom")
    books = home.books()
    assert not silent(books, "2017-02-20")
    assert [one.resource for one in silent(books, "2017-03-06")] == ["Young"]


def test_a_home_that_is_loaded_by_hand_with_sums_alone_is_judged_as_of_when_it_was_loaded(
    tmp_path: Path,
) -> None:
    home = InventedHome(tmp_path / "home")
    for month in [*YEAR, JANUARY]:
        sites = [*SITES, *(["Gone"] if month < date(2016, 10, 1) else [])]
        sums(home, month, at("2017-02-15T10:00"), sites, probe=None)
    books = home.books()
    soon = source_states(books, at("2017-02-20T00:00"))
    assert soon.nothing_since is None
    assert [one.resource for one in soon.silent] == ["Gone"]
    later = source_states(books, at("2020-01-01T00:00"))
    assert later.nothing_since == date(2017, 1, 31)
    assert later.until <= date(2017, 3, 10)
    assert [one.resource for one in later.silent] == ["Gone"]
    assert later.silent[0].missing_months[-1] == JANUARY


def test_sums_that_stop_while_jobs_go_on_are_missed_also_in_a_home_that_is_loaded_by_hand(
    tmp_path: Path,
) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home)
    for cluster in ("alpha", "beta", "gamma"):
        home.slurm(cluster, every_day("2017-01-01", "2017-03-20", number=1), at("2017-03-20T05:00"))
    books = home.books()
    found = source_states(books, at("2017-03-20T00:00"))
    assert found.nothing_since is None
    assert [(one.level, one.resources) for one in found.silent] == [("reported", SITES)]
    long_after = source_states(books, at("2019-01-01T00:00"))
    assert long_after.nothing_since == date(2017, 3, 19)
    assert [(one.level, one.missing_months) for one in long_after.silent] == [
        ("reported", (JANUARY, date(2017, 2, 1)))
    ]


def test_jobs_that_end_before_months_of_sums_begin_are_silent(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home, [*YEAR, JANUARY])
    for cluster in ("alpha", "beta", "gamma"):
        home.slurm(cluster, every_day("2016-10-01", "2016-12-01", number=1))
    found = source_states(home.books(), at("2017-02-10T00:00"))
    assert found.nothing_since is None
    assert sorted(one.resource or "" for one in found.silent) == ["alpha", "beta", "gamma"]


def test_a_sender_that_another_one_replaced_is_not_missed(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    sent_on_the_4th(home, YEAR[:9], ["Utah"], probe="apel:old")
    sent_on_the_4th(home, YEAR[9:], ["Utah"], probe="apel:new")
    sent_on_the_4th(home, YEAR, ["Nebraska"])
    found = source_states(home.books(), at("2017-01-20T00:00"))
    assert not found.silent
    (one,) = found.of(State.DISABLED)
    assert one.why == ("apel:new reports in its place since Oct 2016",)


def test_announced_and_disabled_senders_are_no_news(tmp_path: Path) -> None:
    told = """
    resources: [{name: Utah, disabled: {since: 2017-01-01, reason: switched off}}, {name: Nebraska}]
    downtimes: [{resource: Nebraska, from: 2017-01-20, reason: moved}]
    """
    home = InventedHome(tmp_path / "home", told)
    sent_on_the_4th(home, sites=["Utah"], probe="a")
    sent_on_the_4th(home, sites=["Nebraska"], probe="b")
    found = source_states(home.books(), at("2017-02-20T00:00"))
    assert states(found) == {"Utah": State.DISABLED, "Nebraska": State.DOWNTIME}


def test_a_probe_whose_heartbeats_stop_is_silent_before_its_month_is_due(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    sent_on_the_4th(home, sites=["Utah"])
    heard = beats("Utah", every_hour(at("2017-01-05T00:00"), at("2017-01-19T00:00")), probe="apel:feed")
    found = source_states(home.books(), at("2017-01-20T00:00"), [heard])
    (one,) = found.silent
    assert (one.since, one.missing) == (heard.last_at, None)


@pytest.mark.parametrize(
    "first, step, hours, called",
    [
        ("2017-01-12", 1, range(24), "2017-02-03"),
        ("2017-01-05", 1, (6,), "2017-02-03"),
        ("2016-11-02", 7, (6,), "2017-02-16"),
    ],
    ids=["hourly", "daily", "weekly"],
)
def test_a_storage_probe_that_stops_is_found_by_its_own_rhythm(
    tmp_path: Path, first: str, step: int, hours: Iterable[int], called: str
) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    measured(home, days_from(first, "2017-02-01", step), hours=hours)
    books = home.books()
    assert first_silent(books, "2017-01-24", "2017-02-20") == date.fromisoformat(called)
    (one,) = silent(books, called)
    assert (one.probe, one.resource, one.level, one.site) == ("hadoop:utah", "Utah", "storage", "Utah")
    assert one.last_record_at is not None
    assert one.last_record_at.date() == one.last_day
    assert (one.missing, one.core_hours_a_day) == (None, None)
    assert [who.name for who in one.ask] == ["Utah operations"]


def test_one_of_two_storage_elements_that_one_probe_measures_is_found(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    measured(home, days_from("2017-01-12", "2017-02-01"), elements=["UTAH-SE", "UTAH-TAPE"])
    measured(home, days_from("2017-02-01", "2017-02-10"), elements=["UTAH-SE"])
    (one,) = silent(home.books(), "2017-02-10")
    assert (one.resource, one.site) == ("UTAH-TAPE", "Utah")
    assert "its probe goes on elsewhere" in one.why


def test_a_probe_that_is_heard_and_measures_nothing_is_silent_and_not_idle(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    measured(home, days_from("2017-01-12", "2017-02-01"))
    heard = beats("Utah", every_hour(at("2017-01-25T00:00"), at("2017-02-10T00:00")), probe="hadoop:utah")
    (one,) = source_states(home.books(), at("2017-02-10T00:00"), [heard]).silent
    assert one.why == ("usually it has records every day", "its probe is heard, but sends no records")


def test_a_weekly_probe_that_is_heard_only_when_it_sends_reports(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    measured(home, days_from("2016-11-02", "2017-02-01", 7))
    often = beats("Utah", every_hour(at("2017-01-20T00:00"), at("2017-02-03T00:00")), probe="hadoop:utah")
    assert not source_states(home.books(), at("2017-02-03T00:00"), [often]).of(State.SILENT, State.IDLE)


def test_storage_that_was_measured_is_not_called_never_seen(tmp_path: Path) -> None:
    told = """
    resources: [{name: Utah, probes: ["hadoop:utah"]}, {name: Nebraska, probes: ["apel:feed"]}]
    expected: [{resource: Utah}, {resource: Nebraska}]
    """
    home = InventedHome(tmp_path / "home", told)
    measured(home, days_from("2017-01-28", "2017-02-01"), elements=["UTAH-SE", "UTAH-TAPE"])
    sent_on_the_4th(home, sites=["Nebraska_T2"])
    assert not source_states(home.books(), at("2017-02-01T00:00")).of(State.NEVER_SEEN)


def test_days_months_and_deliveries_are_read(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    measured(home, days_from("2017-01-10", "2017-01-12"), probe="hadoop:x", elements=["X-SE"])
    sums(home, JANUARY, at("2017-01-20T10:00"), ["Utah"], core_hours=500)
    sums(home, JANUARY, at("2017-02-03T10:00"), ["Utah"], core_hours=800)
    books = home.books()
    found = read_measured(books, at("2017-02-20T00:00"), at("2017-01-11T00:00"))
    source = Source("hadoop:x", "X-SE", "storage")
    assert found.tracks[source].days == [date(2017, 1, 10), date(2017, 1, 11)]
    assert found.tracks[source].site == "Site of X-SE"
    assert found.ended == {source: at("2017-01-11T06:00")}
    assert found.delivered == {
        "hadoop:x": tuple(Delivered(date(2017, 1, day), date(2017, 1, day)) for day in (10, 11))
    }
    (one,) = read_sums(books, at("2017-02-20T00:00"), at("2017-02-20T00:00")).values()
    assert one.source == Source("apel:feed", "Utah", "reported")
    assert one.core_seconds == {JANUARY: 800 * 3600}
    assert one.came == {JANUARY: (date(2017, 1, 20), date(2017, 2, 3))}
    (before,) = read_sums(books, at("2017-02-20T00:00"), at("2017-01-25T00:00")).values()
    assert before.came == {JANUARY: (date(2017, 1, 20),)}
