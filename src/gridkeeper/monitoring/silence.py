"""Silence: which sources stopped reporting, since when, how much is probably missing, and who to ask.

docs/silence.md says how it is found out. Reading comes first, in two steps, since only what is in doubt is looked
up in the records; judging is a pure function of what was read.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring import falls
from gridkeeper.monitoring.evidence import Gathered, midnight
from gridkeeper.monitoring.heard import pulse_of
from gridkeeper.monitoring.history import (
    History,
    Source,
    read_beside,
    read_deliveries,
    read_machines,
    read_tracks,
)
from gridkeeper.monitoring.judging import states_of
from gridkeeper.monitoring.rhythm import HISTORY_DAYS, learn
from gridkeeper.monitoring.states import Silence, SourceState, State, in_order
from gridkeeper.monitoring.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    from gridkeeper.federation.model import Registry
    from gridkeeper.monitoring.heard import Heard, Pulse
    from gridkeeper.monitoring.history import Track
    from gridkeeper.summaries.books import Books

# Where so many sources end together and nothing came after them, it is the books that end there.
COMMON_END_SOURCES = 3
_DAY = timedelta(days=1)


def source_states(
    books: Books, moment: datetime, heard: Sequence[Heard] = (), *,
    asked: datetime | None = None, history_days: int = HISTORY_DAYS,
) -> Silence:  # fmt: skip
    """Say what every source does at `moment`.

    moment: what ended before it is looked at, as it is known today.
    heard:  what the probes said (heard.read_heard); without, all is learnt from records alone.
    asked:  what was received before it is looked at; else `moment`.
    Reads:  `usage_daily_end`, `transfers_daily`; of the records only those of sources in doubt.
    Units:  core hours in the federation's grid.
    Raises: LakeUnavailable (retryable).
    """
    tracks = read_tracks(books, moment, history_days)
    around = Surroundings(books.registry, heard, moment)
    history = History(judged_until(tracks, heard, moment)[0], tracks)
    if tracks:
        history = _closely(books, history, around, asked or moment, history_days)
    return judge(history, books.registry, moment, heard, history_days=history_days)


def judge(
    history: History, registry: Registry, moment: datetime, heard: Sequence[Heard] = (), *, history_days: int = HISTORY_DAYS
) -> Silence:  # fmt: skip
    """Say what every source does, from what is known of it. A pure function: the same always gives the same."""
    around = Surroundings(registry, heard, moment)
    gathered = Gathered(history, around, history_days)
    found = [*states_of(gathered), *_without_records(history.tracks, around, moment)]
    nothing_since = judged_until(history.tracks, heard, moment)[1]
    return Silence(moment, history.until, bool(heard), tuple(sorted(found, key=in_order)), nothing_since)


def judged_until(
    tracks: Mapping[Source, Track], heard: Sequence[Heard], moment: datetime
) -> tuple[date, date | None]:
    """The day before which sources are judged; and the newest day in the books, where these end long before `moment`.

    Days before `moment` are over. In a home that probes send to, silence of all is silence. In one that is
    loaded by hand, several sources that end together say that nothing was loaded since, so all are judged
    as of then.
    """
    until = moment.date()
    if heard or not tracks:
        return until, None
    newest = max(track.last_day for track in tracks.values())
    together = sum(track.last_day >= newest - _DAY for track in tracks.values())
    everything = learn(sorted({day for track in tracks.values() for day in track.days}))
    if together >= COMMON_END_SOURCES and everything is not None and everything.is_overdue(until):
        return newest + _DAY, newest
    return until, None


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
    gathered = Gathered(History(until, tracks, beside), around, history_days)
    doubtful = {
        source.probe
        for source, evidence in gathered.of.items()
        if source.level != "payload" and (evidence.overdue or gathered.fall(evidence) is not None)
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
    return History(until, tracks, beside, delivered, ended, machines)


def _without_records(
    tracks: Mapping[Source, Track], around: Surroundings, moment: datetime
) -> Iterator[SourceState]:
    """Sources that were heard but sent no record yet, and those that should report and never did."""
    known = {(source.probe, source.resource) for source in tracks}
    of_payloads = {source.probe for source in tracks if source.level == "payload"}
    senders = {probe for probe, _ in known}
    heard: set[tuple[str | None, str | None]] = set()
    for word in around.heard:
        resource, pulse = around.resource_of(word), pulse_of(word, moment)
        if pulse is None:
            continue
        heard.add((word.probe, resource))
        sends = (word.probe, resource) in known or word.probe in (of_payloads if resource else senders)
        if not sends and not around.disabled(resource, moment.date()):
            yield _never_sent(word, pulse, resource, around)
    for probe, resource, since in around.expected():
        here = {sender for sender, name in (*known, *heard) if name == resource}
        anywhere = of_payloads | {sender for sender, name in heard if name is None}
        reported = bool(here) if probe is None else probe in here | anywhere
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
