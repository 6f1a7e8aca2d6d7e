"""The sample federation's sources, day by day, as its ledger says they reported: Utah stops, and nobody else is called."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.demo import Ledger, generate
from gridkeeper.demo.places import BY_NAME, UTAH
from gridkeeper.federation.model import Registry
from gridkeeper.monitoring.history import History, Source, Track
from gridkeeper.monitoring.silence import judge
from gridkeeper.monitoring.states import State

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 0.0005  # at which many of its sites report only now and then
BEGINS, ENDS = date(2016, 11, 1), date(2017, 2, 7)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    folder: Path = tmp_path_factory.mktemp("sample")
    generate(folder, SCALE)
    return Ledger.read(folder / "ledger.json")


def tracks_of(ledger: Ledger) -> dict[Source, Track]:
    """Every batch source, and the payloads that the access points see together."""
    sums: defaultdict[Source, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    for row in ledger.select(book="reported", attribution="end"):
        probe = BY_NAME[row.resource].probe if row.level == "batch" else "condor:both"
        in_grid = row.core_s if row.grid == "OSG" else 0
        sums[Source(probe, row.resource, row.level)][date.fromisoformat(row.day)] += in_grid
    return {
        source: Track(source, BY_NAME[source.resource or ""].site, min(days), dict(sorted(days.items())))
        for source, days in sums.items()
    }


def known_before(tracks: dict[Source, Track], day: date) -> dict[Source, Track]:
    """The same, as it was before a day."""
    before = {
        source: {each: seconds for each, seconds in track.core_seconds.items() if each < day}
        for source, track in tracks.items()
    }
    return {
        source: Track(source, tracks[source].site, min(days), days) for source, days in before.items() if days
    }


@pytest.mark.slow
def test_utah_is_called_on_the_third_day_and_nobody_else_on_any(ledger: Ledger) -> None:
    tracks = tracks_of(ledger)
    seldom = [track for track in tracks.values() if len(track.days) < 49]
    assert len(seldom) > 20, "half of the days without records, and more"
    called: defaultdict[str | None, list[date]] = defaultdict(list)
    day = BEGINS + timedelta(days=7)
    while day <= ENDS:
        moment = datetime.combine(day, time(), UTC)
        for one in judge(History(day, known_before(tracks, day)), Registry(), moment).of(State.SILENT):
            called[one.resource].append(day)
            assert one.last_day == date(2017, 1, 19)
        day += timedelta(days=1)
    assert set(called) == {UTAH}
    assert called[UTAH] == [date(2017, 1, 22) + timedelta(days=number) for number in range(17)]


def test_what_utah_misses_is_what_the_ledger_says_it_ran(ledger: Ledger) -> None:
    for day in (date(2017, 1, 24), date(2017, 1, 31), ENDS):
        moment = datetime.combine(day, time(), UTC)
        found = judge(History(day, known_before(tracks_of(ledger), day)), Registry(), moment)
        (utah,) = found.silent
        ran = ledger.total(
            "core_s", book="ran", attribution="end", level="batch", grid="OSG", resource=UTAH, first="2017-01-20", until=str(day)
        )  # fmt: skip
        assert utah.missing is not None
        assert utah.missing.from_payloads
        assert utah.missing.low <= ran / 3600 <= utah.missing.high
