"""Which records come in which file: one file a week, with late, repeated, unfinished and broken ones among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo.days import FIRST_S, UNTIL_S, UTAH_SILENT_S, WEEK_S, day_of
from gridkeeper.demo.places import CONDOR, GRATIA, SACCT, UTAH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell
    from gridkeeper.demo.splits import Whole

_LATE_SHARE = 0.005
_REPEATED_SHARE = 0.002
_NEVER_RAN_SHARE = 0.003
_BROKEN_MOST = 3
_BROKEN_FILE_SHARE = 0.2
FILE_NAMES = {SACCT: "sacct-{}.txt", CONDOR: "history-{}.txt", GRATIA: "gratia-{}.xml"}


@dataclass(frozen=True)
class Delivery:
    """What one file holds; all numbers are rows of the jobs it was made from.

    until:     when it was written, in seconds since 1970.
    records:   the records in their order, `repeated` and `late` ones among them.
    running:   jobs that had not ended when it was written (where the batch system lists those).
    never_ran: models for jobs that were cancelled before they began.
    broken:    models for records that nobody can read.
    """

    name: str
    until: int
    records: Whole
    repeated: int
    late: int
    running: Whole
    never_ran: Whole
    broken: Whole


def deliveries(
    place: Place, cells: Sequence[Cell], jobs: Jobs, rng: np.random.Generator
) -> Iterator[Delivery]:
    """Arrange the jobs of one probe, which are in order of their end, in weekly files.

    A late record comes a week after it was due, a repeated one again in its own file or the next; each record
    comes at least once. Weeks without any record have no file.
    """
    stop = UTAH_SILENT_S if place.name == UTAH else UNTIL_S
    rows = np.flatnonzero(np.array([cell.reported for cell in cells])[jobs.cell] & (jobs.end < stop))
    last = (stop - 1 - FIRST_S) // WEEK_S
    week = np.minimum((jobs.end[rows] - FIRST_S) // WEEK_S, last)
    is_late = (rng.random(len(rows)) < _LATE_SHARE) & (week < last)
    week = week + is_late
    carried = np.zeros(0, dtype=np.int64)
    for number in range(last + 1):
        here = np.flatnonzero(week == number)
        if not len(here):
            continue
        own = rows[here]
        again = own[rng.random(len(own)) < _REPEATED_SHARE]
        if number < last:
            at_once, later = again[::2], again[1::2]
        else:
            at_once, later = again, again[:0]
        records = np.concatenate([own, at_once, carried])
        until = min(FIRST_S + (number + 1) * WEEK_S, stop)
        yield Delivery(
            day_of(FIRST_S + number * WEEK_S).isoformat(), until, records, len(at_once) + len(carried), int(is_late[here].sum()),
            np.flatnonzero((jobs.start < until) & (jobs.end >= until)) if place.format == SACCT else again[:0],
            own[rng.random(len(own)) < _NEVER_RAN_SHARE] if place.format != GRATIA else again[:0],
            _models(own, rng),
        )  # fmt: skip
        carried = later


def _models(rows: Whole, rng: np.random.Generator) -> Whole:
    """Draw the records whose broken likenesses a file holds."""
    if rng.random() >= _BROKEN_FILE_SHARE:
        return rows[:0]
    return rng.choice(rows, min(len(rows), int(rng.integers(1, _BROKEN_MOST + 1))), replace=False)


def mixed_in(texts: list[str], more: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Put more texts at random places between the texts; their order stays."""
    places = np.sort(rng.integers(0, len(texts) + 1, len(more)))
    for place, text in reversed(list(zip(places.tolist(), more, strict=True))):
        texts.insert(place, text)
    return texts
