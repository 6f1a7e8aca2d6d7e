"""What was sent is remembered: the same again is the same, what vanished goes with zeros, a month that has not gone is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gridkeeper.database import reading
from gridkeeper.exports.apel_feed import as_dict, hand_over, made
from gridkeeper.exports.apel_groups import month_told
from gridkeeper.exports.apel_sent import sendings
from gridkeeper.exports.apel_standing import standing
from gridkeeper.feed_settings import Apel
from gridkeeper.queries.periods import parse_month
from gridkeeper.schedules.badge import badge_of
from gridkeeper.settings import Settings
from gridkeeper.trust import audit
from tests.exports.grids import NOW, GridJob, grid_home, load, records_of, sums_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from gridkeeper.exports.apel import Message
    from gridkeeper.exports.apel_feed import Feed
    from gridkeeper.exports.apel_sent import Destination
    from tests.homes import InventedHome

pytestmark = pytest.mark.slow

JANUARY = parse_month("2017-01")
JOBS = [GridJob(1), GridJob(2, cores=8), GridJob(3, vo="atlas", fqan="/atlas", site="WEST")]


def feed_of(engine: sa.Engine, home: InventedHome, month: str = "2017-01", **more: Any) -> Feed:
    dialect = more.pop("dialect", "v0.4")
    told = month_told(home.books(), Apel.model_validate(more), parse_month(month), "jobs", dialect)
    return made(engine, told, dialect, NOW + timedelta(days=90))


def sent(
    engine: sa.Engine, feed: Feed, destination: Destination = "queue", at: datetime = NOW
) -> list[bytes]:
    taken: list[bytes] = []
    hand_over(
        engine,
        feed,
        destination,
        lambda them: taken.extend(message.text for message in them),
        "alice",
        lambda: at,
    )
    return taken


def test_the_same_again_gives_the_same_bytes_and_no_difference(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    first = feed_of(database, home)
    assert first.difference.last is None
    assert (first.difference.new, first.difference.is_none) == (3, False)
    before = sent(database, first)
    again = feed_of(database, home)
    assert again.difference.is_none
    assert (again.difference.same, again.difference.by_place) == (3, ())
    assert sent(database, again) == before


def test_a_group_that_vanished_is_sent_with_zeros_and_stays_so(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home))
    # The site's mended record says that the job had four processors: the group of eight is no more.
    load(home, [GridJob(2, cores=4, cpu_s=5000, wall_s=3601)])
    feed = feed_of(database, home)
    found = feed.difference
    assert (found.new, found.changed, found.gone, found.same) == (1, 0, 1, 2)
    (place,) = found.by_place
    assert (place.site, place.vo, place.before.cpu_s, place.now.cpu_s) == ("EAST", "cms", 6000, 8000)
    records = records_of(feed.messages)
    (gone,) = (one for one in records if one["Processors"] == "8")
    assert (gone["NumberOfJobs"], gone["WallDuration"], gone["NormalisedCpuDuration"]) == ("0", "0", "{HEPscore23: 0}")  # fmt: skip
    assert 1483228800 <= int(gone["EarliestEndTime"]) <= int(gone["LatestEndTime"]) < 1485907200
    assert sums_of(records, "NumberOfJobs") == {"NumberOfJobs": 3}
    before = sent(database, feed)
    again = feed_of(database, home)
    assert again.difference.is_none
    assert sent(database, again) == before


def test_a_whole_month_that_is_no_more_is_still_told(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home))
    feed = feed_of(database, home, vos=("lhcb",))
    assert (len(feed.groups), feed.difference.gone, feed.difference.now.jobs) == (3, 3, 0)


def test_months_and_dialects_are_compared_with_their_own(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", [*JOBS, GridJob(9, end="2017-02-10T00:00:00")])
    sent(database, feed_of(database, home))
    assert feed_of(database, home, month="2017-02").difference.last is None
    assert feed_of(database, home, dialect="gracc").difference.last is None


def test_what_broke_off_is_sent_again_and_what_it_may_have_brought_is_known(
    database: sa.Engine, tmp_path: Path
) -> None:
    home = grid_home(tmp_path / "home", JOBS[:1])
    sent(database, feed_of(database, home))
    load(home, [JOBS[1]])

    def break_off(_messages: Sequence[Message]) -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        hand_over(database, feed_of(database, home), "ams", break_off, "alice", lambda: NOW)
    assert [one.sent_at is None for one in sendings(database, done=False)] == [True, False]
    load(home, [GridJob(2, cores=4, wall_s=3601)])  # the group of eight may have arrived, and is no more
    feed = feed_of(database, home)
    assert sorted(key.processors for key in feed.groups) == [1, 4, 8]
    assert feed.difference.gone == 1


def test_each_sending_is_written_down_and_audited(database: sa.Engine, tmp_path: Path) -> None:
    feed = feed_of(database, grid_home(tmp_path / "home", JOBS))
    sent(database, feed, "ams")
    (one,) = sendings(database)
    assert (one.month, one.destination, one.who, one.records, one.jobs) == ("2017-01", "ams", "alice", 3, 3)
    assert one.checksum == feed.checksum
    with reading(database) as connection:
        (entry,) = audit.entries(connection, act="apel.send")
    assert (entry.who, entry.subject, entry.details["records"]) == ("alice", "2017-01 v0.4", 3)


def test_a_feed_is_told_to_programs_in_values(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home))
    load(home, [GridJob(4)])
    told = as_dict(feed_of(database, home))
    assert orjson.loads(orjson.dumps(told))["difference"]["by_place"] == [
        {
            "site": "EAST", "vo": "cms",
            "before": {"jobs": 2, "wall_s": 7200, "cpu_s": 6000, "normalised_wall_s": 72_000, "normalised_cpu_s": 60_000},
            "now": {"jobs": 3, "wall_s": 10_800, "cpu_s": 9000, "normalised_wall_s": 108_000, "normalised_cpu_s": 90_000},
        }
    ]  # fmt: skip
    assert told["totals"]["jobs"] == 4


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def queue(folder: Path) -> Settings:
    return Settings(apel=Apel(queue=folder / "outgoing"))


def test_a_month_is_due_when_it_is_over_and_late_before_the_8th(database: sa.Engine, tmp_path: Path) -> None:
    settings = queue(tmp_path)

    def badge(moment: str) -> tuple[str, str]:
        found = badge_of(database, settings, "monday", at(moment))
        return found.state, found.sentence

    assert badge("2017-02-01T00:00")[0] == "due"
    assert badge("2017-02-05T23:59")[0] == "due"
    state, sentence = badge("2017-02-06T00:00")
    assert state == "late"
    assert "apel of January 2017, due 2017-02-01 00:00 UTC, not sent to queue" in sentence
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home), at=at("2017-02-06T10:00"))
    assert badge("2017-02-06T11:00")[0] == "current"
    assert badge("2017-03-01T00:00")[0] == "due"


def test_a_month_sent_before_it_was_over_has_not_gone(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home), at=at("2017-01-31T23:59"))
    assert badge_of(database, queue(tmp_path), "monday", at("2017-02-07T00:00")).state == "late"


def test_files_and_a_pull_are_no_destination_that_counts(database: sa.Engine, tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    sent(database, feed_of(database, home), "files")
    sent(database, feed_of(database, home), "pull")
    assert badge_of(database, queue(tmp_path), "monday", at("2017-02-07T00:00")).state == "late"
    assert badge_of(database, Settings(), "monday", at("2017-02-07T00:00")).state == "none"


def test_an_old_month_sent_again_makes_no_other_month_owed(database: sa.Engine, tmp_path: Path) -> None:
    sent(database, feed_of(database, grid_home(tmp_path / "home", JOBS)), at=at("2017-06-03T00:00"))
    found = standing(database, queue(tmp_path).apel, at("2017-06-10T00:00"))
    assert found is not None
    assert [f"{one.month.first:%Y-%m}" for one in found.owed] == ["2017-05"]


def test_months_that_were_left_out_since_the_first_are_all_owed(database: sa.Engine, tmp_path: Path) -> None:
    """As in 2017, when a feed stopped on 25 August and nobody noticed."""
    home = grid_home(tmp_path / "home", [*JOBS, GridJob(9, end="2017-03-10T00:00:00")])
    sent(database, feed_of(database, home), at=at("2017-02-03T00:00"))
    sent(database, feed_of(database, home, month="2017-03"), at=at("2017-04-03T00:00"))
    found = standing(database, queue(tmp_path).apel, at("2017-06-10T00:00"))
    assert found is not None
    assert [f"{one.month.first:%Y-%m}" for one in found.owed] == ["2017-02", "2017-04", "2017-05"]
    assert found.last is not None
    assert found.last.month == "2017-03"
