"""The sources behind a report's numbers: what each does, and how well they cover the numbers. Every report asks in this one way."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from gridkeeper.monitoring.coverage import coverages, nothing_expected, read_far_tracks
from gridkeeper.monitoring.silence import source_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridkeeper.monitoring.coverage import Coverage
    from gridkeeper.monitoring.history import Source, Track
    from gridkeeper.monitoring.states import Silence
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import CountLevel
    from gridkeeper.reports.contract import Request
    from gridkeeper.summaries.books import Books


def sources_of(books: Books, request: Request, tracks: Mapping[Source, Track] | None = None) -> Silence:
    """The states of the sources when the period was over, or when they were asked for before that.

    tracks: what read_far_tracks reads, where it is at hand; else it is read. Raises: LakeUnavailable (retryable).
    """
    return source_states(
        books, _moment_of(request), request.contacts, asked=request.as_of,
        history_days=request.history_days, announced=request.downtimes, tracks=tracks,
    )  # fmt: skip


def covered_sources(books: Books, request: Request) -> tuple[Silence, Coverage | None]:
    """The states of the sources, and how well they cover the numbers of the period at each resource's own level.

    The latter is None of sums that others reported, which tell no days.
    Raises: LakeUnavailable (retryable).
    """
    if request.source != "jobs":
        return sources_of(books, request), None
    periods = (request.period,)
    tracks = read_far_tracks(books, periods, _moment_of(request), request.history_days)
    states = sources_of(books, request, tracks)
    return states, _coverages(books, request, periods, states, None, tracks)[0]


def coverages_of(
    books: Books, request: Request, periods: Sequence[Period], count_level: CountLevel
) -> tuple[Coverage | None, ...]:
    """How well the numbers of each period at a level are covered; None of sums that others reported.

    Where no source is known at that level, and none is expected, no states are asked for.
    Raises: LakeUnavailable (retryable).
    """
    if request.source != "jobs":
        return (None,) * len(periods)
    tracks = read_far_tracks(books, periods, _moment_of(request), request.history_days)
    if (nothing := nothing_expected(books, tracks, count_level, request.coverage_floor)) is not None:
        return (nothing,) * len(periods)
    return _coverages(books, request, periods, sources_of(books, request, tracks), count_level, tracks)


def _coverages(
    books: Books, request: Request, periods: Sequence[Period], states: Silence, count_level: CountLevel | None, tracks: Mapping[Source, Track]
) -> tuple[Coverage, ...]:  # fmt: skip
    return coverages(
        books, periods, states, announced=request.downtimes, history_days=request.history_days,
        floor=request.coverage_floor, count_level=count_level, tracks=tracks,
    )  # fmt: skip


def _moment_of(request: Request) -> datetime:
    over = datetime.combine(request.period.until, time(), UTC)
    return min(over, request.as_of)
