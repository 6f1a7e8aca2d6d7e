"""Silence: which sources stopped reporting, since when, how much is probably missing, and who to ask.

docs/silence.md says how it is found out. Reading comes first, in two steps, since only what is in doubt is looked
up in the records; judging is a pure function of what was read.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring import falls
from gridkeeper.monitoring.ends import judged_until, sums_judged
from gridkeeper.monitoring.evidence import Gathered, midnight
from gridkeeper.monitoring.heard import pulse_of
from gridkeeper.monitoring.history import (
    History,
    Source,
    latest,
    read_beside,
    read_deliveries,
    read_machines,
    read_tracks,
)
from gridkeeper.monitoring.judging import states_of
from gridkeeper.monitoring.other_records import REPORTED, STORAGE, read_measured, read_sums
from gridkeeper.monitoring.rhythm import HISTORY_DAYS
from gridkeeper.monitoring.states import Silence, SourceState, State, in_order
from gridkeeper.monitoring.sums import Asked, sums_states
from gridkeeper.monitoring.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from gridkeeper.federation.model import Downtime, Registry
    from gridkeeper.monitoring.heard import Heard, Pulse
    from gridkeeper.monitoring.history import Track
    from gridkeeper.summaries.books import Books

# Where the days and months of sources are learnt from.
SOURCE_TABLES = ("usage_daily_end", "transfers_daily", "storage_space", "usage_reported")
_DAY = timedelta(days=1)


def source_states(
    books: Books, moment: datetime, heard: Sequence[Heard] = (), *,
    asked: datetime | None = None, history_days: int = HISTORY_DAYS, announced: Sequence[Downtime] = (), tracks: Mapping[Source, Track] | None = None,
) -> Silence:  # fmt: skip
    """Say what every source does at `moment`.

    moment: what ended before it is looked at, as it is known today.
    heard:  what the probes said (heard.read_heard); without, all is learnt from records alone.
    asked:  what was received before it is looked at; else `moment`.
    announced: downtimes beside those of the registry: what was announced or imported here.
    tracks: what `read_tracks` reads, of as many days or more, where it is at hand; else it is read.
    Reads:  `usage_daily_end`, `transfers_daily`; of the records only those of sources in doubt; `storage_space`, `usage_reported`.
    Units:  core hours in the federation's grid; of monthly sums in all grids.
    Raises: LakeUnavailable (retryable).
    """
    asked = asked or moment
    measured = read_measured(books, moment, asked)
    known = read_tracks(books, moment, history_days) if tracks is None else latest(tracks, history_days)
    every = {**known, **measured.tracks}
    sums = read_sums(books, moment, asked)
    registry = books.registry
    if announced:
        registry = registry.model_copy(update={"downtimes": (*registry.downtimes, *announced)})
    around = Surroundings(registry, heard, moment)
    until, _ = judged_until(every, heard, moment, sums)
    history = History(
        until, every, measured=measured.delivered, ended=measured.ended, sums=sums, sums_day=asked.date()
    )
    if every:
        history = _closely(books, history, around, asked, history_days)
    return judge(history, registry, moment, heard, history_days=history_days)


def judge(
    history: History, registry: Registry, moment: datetime, heard: Sequence[Heard] = (), *, history_days: int = HISTORY_DAYS
) -> Silence:  # fmt: skip
    """Say what every source does, from what is known of it. A pure function: the same always gives the same."""
    around = Surroundings(registry, heard, moment)
    gathered = Gathered(history, around, history_days)
    day, sums_since = sums_judged(history, heard, moment)
    found = [
        *states_of(gathered),
        *sums_states(history.sums, around, Asked(moment.date(), day), history_days),
        *_without_records((*history.tracks, *history.sums), around, moment),
    ]
    nothing_since = judged_until(history.tracks, heard, moment, history.sums)[1] or sums_since
    until = history.until if history.tracks else day
    return Silence(moment, until, bool(heard), tuple(sorted(found, key=in_order)), nothing_since)


def _closely(
    books: Books, history: History, around: Surroundings, asked: datetime, history_days: int
) -> History:
    """Look closely at sources in doubt: what ran beside them, when their records came, which machines they have."""
    tracks, until = history.tracks, history.until
    levels: dict[str, dict[str, date]] = {}
    for source, track in tracks.items():
        if source.resource is not None and source.level in ("batch", "payload"):
            of_level = levels.setdefault(source.resource, {})
            of_level[source.level] = max(track.last_day, of_level.get(source.level, track.last_day))
    both = {resource for resource, last in levels.items() if len(last) > 1}
    beside = read_beside(books, both, until - (falls.REFERENCE_DAYS + falls.MOST_DAYS) * _DAY, until)
    gathered = Gathered(replace(history, beside=beside), around, history_days)
    doubtful = {
        source.probe
        for source, evidence in gathered.of.items()
        if source.level not in ("payload", STORAGE)
        and (evidence.overdue or gathered.fall(evidence) is not None)
    } | {probe for probe in gathered.access_points if gathered.is_silent_access_point(probe)}
    fallen = {
        source.probe
        for source, evidence in gathered.of.items()
        if not evidence.overdue and gathered.has_fallen(evidence)
    }
    machines = read_machines(books, fallen, until)
    doubtful |= {source.probe for source in machines}
    lasts = [track.last_day for source, track in tracks.items() if source.probe in doubtful]
    first = min(lasts, default=until) - history_days * _DAY
    newest = max(track.last_day for track in tracks.values())
    delivered, ended = read_deliveries(books, doubtful, first, newest + _DAY, asked)
    return replace(
        history, beside=beside, delivered=delivered, ended={**history.ended, **ended}, machines=machines
    )


def _without_records(
    sources: Collection[Source], around: Surroundings, moment: datetime
) -> Iterator[SourceState]:
    """Sources that were heard but sent no record yet, and those that should report and never did."""
    known = {(source.probe, source.resource) for source in sources}
    # Of these one resource is not theirs alone, or a storage element's name is not its resource's.
    anywhere = {source.probe for source in sources if source.level in ("payload", STORAGE, REPORTED)}
    senders = {probe for probe, _ in known}
    heard: set[tuple[str | None, str | None]] = set()
    for word in around.heard:
        resource, pulse = around.resource_of(word), pulse_of(word, moment)
        if pulse is None:
            continue
        heard.add((word.probe, resource))
        sends = (word.probe, resource) in known or word.probe in (anywhere if resource else senders)
        if not sends and not around.disabled(resource, moment.date()):
            yield _never_sent(word, pulse, resource, around)
    for probe, resource, since in around.expected():
        here = {sender for sender, name in (*known, *heard) if name == resource}
        of_none = {sender for sender, name in heard if name is None}
        reported = bool(here) if probe is None else probe in here | anywhere | of_none
        if not reported and not around.disabled(resource, moment.date()):
            site = around.site(resource)
            yield SourceState(
                probe, resource, None, site, State.NEVER_SEEN, midnight(since) if since else None,
                ("it is expected, but no record and no word of it ever came",), ask=around.ask(resource, site),
            )  # fmt: skip


def _never_sent(word: Heard, pulse: Pulse, resource: str | None, around: Surroundings) -> SourceState:
    """A probe that was heard and of which no record is known."""
    site = around.site(resource)
    if not pulse.is_beating:
        state, since, why = (
            State.SILENT,
            pulse.last_at,
            "its probe is not heard any more, and never sent a record",
        )
    elif pulse.late_since is not None:
        waiting = pulse.backlog.sentence if pulse.backlog else "its backlog grows"
        state, since, why = State.LATE, pulse.late_since, f"{waiting}, and no record ever came"
    else:
        state, since, why = State.IDLE, word.first_at, "its probe is heard, and never sent a record"
    return SourceState(
        word.probe, resource, None, site, state, since, (why,), last_contact_at=pulse.last_at, version=word.version,
        backlog=pulse.backlog, problem=word.problem, heard=True, ask=around.ask(resource, site),
    )  # fmt: skip
