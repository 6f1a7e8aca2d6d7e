"""Judges sources: from the evidence to a state, with what speaks for it in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring.backlogs import UNTOLD
from gridkeeper.monitoring.evidence import WITHOUT_HOURS, midnight
from gridkeeper.monitoring.missing import mean_core_hours
from gridkeeper.monitoring.rhythm import LEAST_SILENT_DAYS
from gridkeeper.monitoring.states import SourceState, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from gridkeeper.monitoring.evidence import Evidence, Gathered
    from gridkeeper.monitoring.heard import Heard, Pulse

MOST_LISTED = 3
_DAY = timedelta(days=1)


def states_of(gathered: Gathered) -> Iterator[SourceState]:
    """Judge every source of which records are known."""
    for source, evidence in gathered.of.items():
        if source.level != "payload":
            yield _judged(gathered, evidence)
        elif not gathered.is_silent_access_point(source.probe):
            yield _of_payloads(gathered, evidence)
    for probe, evidence in gathered.access_points.items():
        if gathered.is_silent_access_point(probe):
            yield _silent_access_point(gathered, evidence)


def _judged(gathered: Gathered, evidence: Evidence) -> SourceState:
    """A source of batch, transfer or storage records. What was announced comes first, then the probe's words, then the rhythm."""
    said = _said(gathered, evidence)
    announced = _announced(gathered, evidence, said)
    if announced:
        return announced
    late = _late(evidence, said)
    if late:
        return late
    if evidence.overdue:
        return _overdue(gathered, evidence, said)
    if evidence.is_unheard and evidence.word:
        return replace(_silent(gathered, evidence, said), since=evidence.word[1].last_at)
    partly = _partly(gathered, evidence, said)
    if partly:
        return partly
    if evidence.may_be_idle and said.silent_days >= LEAST_SILENT_DAYS:
        return _idle(evidence, said, "its probe is heard, and has no jobs")
    return said


def _of_payloads(gathered: Gathered, evidence: Evidence) -> SourceState:
    """What one access point sees at one resource: where it sees nothing more, it has no jobs there."""
    said = _said(gathered, evidence)
    announced = _announced(gathered, evidence, said)
    if announced:
        return announced
    if evidence.overdue:
        return _idle(
            evidence,
            said,
            "its probe reports payloads elsewhere" if said.probe_goes_on else "its probe is heard",
        )
    return _late(evidence, said) or said


def _silent_access_point(gathered: Gathered, evidence: Evidence) -> SourceState:
    """An access point that reports no payloads of any resource: one line for all of them."""
    said = _said(gathered, evidence)
    names = gathered.resources(evidence.source)
    if len(names) > 1:
        said = replace(said, resource=None, site=None, resources=tuple(name or "" for name in names))
    ended = [
        moment
        for source, moment in gathered.history.ended.items()
        if source.probe == evidence.source.probe and source.level == "payload"
    ]
    found = _silent(gathered, replace(evidence, ended=max(ended, default=None)), said)
    return replace(found, since=evidence.word[1].last_at) if evidence.is_unheard and evidence.word else found


def _announced(gathered: Gathered, evidence: Evidence, said: SourceState) -> SourceState | None:
    """Disabled, or down as was announced: then nobody need wonder."""
    around, last = gathered.around, evidence.track.last_day
    disabled = around.disabled(evidence.source.resource, gathered.until)
    if disabled:
        still = disabled.since is not None and last >= disabled.since
        why = (disabled.reason, "its records still come" if still else "")
        since = midnight(disabled.since) if disabled.since else None
        return replace(said, state=State.DISABLED, since=since, why=tuple(filter(None, why)))
    downtime = around.downtime(evidence.source.resource, evidence.source.probe)
    if downtime and last < max(downtime.begin.date(), gathered.until - _DAY):
        until = f"until {downtime.until:%-d %b %Y %H:%M} UTC" if downtime.until else "no end was announced"
        why = (downtime.reason, until)
        return replace(said, state=State.DOWNTIME, since=downtime.begin, why=tuple(filter(None, why)))
    return None


def _late(evidence: Evidence, said: SourceState) -> SourceState | None:
    if not evidence.is_beating or evidence.word is None or evidence.word[1].late_since is None:
        return None
    _, pulse = evidence.word
    waiting = pulse.backlog.sentence if pulse.backlog else "its backlog grows"
    return replace(
        said, state=State.LATE, since=pulse.late_since, why=tuple(filter(None, (waiting, said.problem)))
    )


def _overdue(gathered: Gathered, evidence: Evidence, said: SourceState) -> SourceState:
    """A source whose gap is too long for its rhythm: silent, unless something else explains it."""
    successor = gathered.successor(evidence)
    if successor is not None:
        name = successor.source.probe or "a source that names no probe"
        why = f"{name} reports in its place since {_day(successor.first_day)}"
        return replace(said, state=State.DISABLED, since=midnight(successor.first_day), why=(why,))
    if evidence.may_be_idle and not gathered.payloads_go_on(evidence):
        return _idle(evidence, said, "its probe is heard, and has no jobs")
    return _silent(gathered, evidence, said)


def _idle(evidence: Evidence, said: SourceState, why: str) -> SourceState:
    return replace(said, state=State.IDLE, since=evidence.last_at, why=(why,))


def _silent(gathered: Gathered, evidence: Evidence, said: SourceState) -> SourceState:
    why = [_usual(said.usual_gap_days)] if evidence.overdue and said.usual_gap_days is not None else []
    if gathered.payloads_go_on(evidence):
        why.append("payloads go on in its pilots")
    if evidence.source.level != "payload" and said.probe_goes_on:
        why.append("its probe goes on elsewhere")
    if said.peers:
        why.append(f"its site goes on with {listed(said.peers)}")
    why += of_word(evidence.word)
    return replace(
        said, state=State.SILENT, since=evidence.last_at, why=tuple(why), missing=gathered.missing(evidence)
    )


def _usual(gap_days: int) -> str:
    if gap_days == 0:
        return "usually it has records every day"
    return (
        f"usually it has records again after at most {gap_days} {'day' if gap_days == 1 else 'days'} without"
    )


def of_word(word: tuple[Heard, Pulse] | None) -> list[str]:
    """What is said of the last word of a source's probe; nothing where none is known."""
    if word is None:
        return []
    if word[1].is_beating:
        running = f", though it sees {word[0].running_cores:,} cores running" if word[0].running_cores else ""
        return [f"its probe is heard, but sends no records{running}"]
    return [f"its probe was last heard on {word[1].last_at:%-d %b %Y %H:%M} UTC"]


def _partly(gathered: Gathered, evidence: Evidence, said: SourceState) -> SourceState | None:
    """A source that goes on, but not with all that it had: a machine stopped, or it fell behind its payloads."""
    lost = gathered.lost_machine(evidence)
    if lost is not None:
        why = (
            f"no records of {lost.name} since {_day(lost.last_day)}",
            f"those of {listed(lost.others)} go on",
        )
        return replace(
            said, state=State.SILENT, since=midnight(lost.last_day), part=lost.name, lost_share=lost.share,
            missing=lost.missing, why=why,
        )  # fmt: skip
    fall = gathered.fall(evidence)
    if fall is None:
        return None
    behind = f"{100 * fall.share:.0f} % fewer core hours than the payloads in its pilots let expect"
    return replace(
        said, state=State.SILENT, since=midnight(fall.first_day), lost_share=fall.share, missing=fall.missing, why=(behind,)
    )  # fmt: skip


def _said(gathered: Gathered, evidence: Evidence) -> SourceState:
    """All that is said of a source whatever its state; it is taken to report until something speaks against it."""
    source, track = evidence.source, evidence.track
    site = gathered.site_of(track)
    word, pulse = evidence.word or (None, None)
    return SourceState(
        source.probe, source.resource, source.level, site, State.REPORTING,
        last_day=track.last_day,
        last_record_at=evidence.ended,
        last_contact_at=pulse.last_at if pulse else None,
        version=word.version if word else None,
        backlog=pulse.backlog if pulse else UNTOLD,
        problem=word.problem if word else None,
        silent_days=len(evidence.silent_days(gathered.until)),
        usual_gap_days=evidence.rhythm.usual_gap_days if evidence.rhythm else None,
        core_hours_a_day=None if source.level in WITHOUT_HOURS else mean_core_hours(track.core_seconds),
        other_level_goes_on=gathered.other_level_goes_on(evidence),
        probe_goes_on=gathered.probe_goes_on(evidence),
        peers=gathered.peers(evidence),
        heard=word is not None,
        ask=gathered.around.ask(source.resource, site),
    )  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """`a, b, c and 2 more`."""
    rest = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"
