"""The production report for machines: every number unrounded, with its unit in its name, and a trace a section."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.reports import coverage_sentences as covering
from gridkeeper.reports.silence_json import pools_said, source_said, sources_said

if TYPE_CHECKING:
    from gridkeeper.queries.beside import Beside
    from gridkeeper.queries.changes import Change, Mover, Movers
    from gridkeeper.queries.ledger import Sums
    from gridkeeper.queries.opportunism import OffSite, Opportunistic, Part
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.production import Group, OwnPeriod, VOUse
    from gridkeeper.queries.running import Running
    from gridkeeper.reports.production import Content


def as_json(content: Content) -> bytes:
    """Write everything; null is what is not known."""
    found = content.found
    return orjson.dumps(
        {
            "report": "production",
            "title": content.title,
            "federation": content.federation,
            "invented": content.invented is not None,
            "as_of": content.as_of,
            "period": _period(found.period),
            "previous": _period(found.previous),
            "source": found.ledger.scope.source,
            "total": _vo(found.total),
            "vos": [_vo(vo) for vo in found.vos],
            "movers": [_movers(each) for each in found.movers],
            "unmapped": [
                {"resource": one.resource, "site": one.site, "in_totals": one.in_totals, **_sums(one.sums)}
                for one in found.unmapped
            ],
            "silent": [source_said(one) for one in content.sources.silent],
            "sources": sources_said(content.sources),
            "coverage": covering.said(content.coverage),
            "pools": pools_said(content.pools),
            "figures": [_beside(one) for one in found.figures],
            "left_out": [{"grid": grid, **_sums(sums)} for grid, sums in found.ledger.left_out.items()],
            "counted_at": {level: _sums(sums) for level, sums in sorted(found.by_level.items())},
            "job_lengths": _lengths(content),
            "equal_age_cutoff": found.early.cutoff if found.early else None,
            "wall_hours_by_day": [asdict(day) for day in content.days],
            "traces": {section: asdict(trace) for section, trace in content.traces.items()},
            "about": content.about,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def _period(period: Period) -> dict[str, Any]:
    return {"first": period.first, "until": period.until, "name": period.name}


def _sums(sums: Sums) -> dict[str, Any]:
    said = {
        "jobs": sums.jobs,
        "records": sums.records,
        "wall_hours": sums.wall_hours,
        "core_hours": sums.core_hours,
        "core_seconds": sums.core_seconds,
        "wall_seconds": sums.wall_seconds,
        "efficiency": sums.efficiency,
        "efficiency_1core": sums.efficiency_1core,
        "unmeasured_share": sums.unmeasured_share,
        "processors_filled": sums.processors_filled,
    }
    return said if sums.is_known else dict.fromkeys(said)


def _vo(vo: VOUse) -> dict[str, Any]:
    return {
        "name": vo.name or None,
        **_sums(vo.sums),
        "pilots": vo.pilots,
        "payloads": vo.payloads,
        "sites": vo.sites,
        "top_sites": [{"site": use.site, **_sums(use.sums)} for use in vo.top_sites],
        "change": _change(vo.change),
        "running_cores": None if vo.running is None else _running(vo.running),
        "opportunistic": _opportunistic(vo.opportunistic),
        "off_site": _off_site(vo.off_site),
        "experiments": [_group(group) for group in vo.experiments],
        "experiments_period": None if vo.own_period is None else _own_period(vo.own_period),
    }


def _own_period(own: OwnPeriod) -> dict[str, Any]:
    return {
        "period": _period(own.period),
        **_sums(own.sums),
        "sites": own.sites,
        "off_site": _off_site(own.off_site),
        "experiments": [_group(group) for group in own.experiments],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        **_sums(group.sums),
        "sites": group.sites,
        "off_site": _off_site(group.off_site),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "core_hours_before": change.before / 3600,
        "core_hours_before_at_equal_age": None
        if change.before_at_equal_age is None
        else change.before_at_equal_age / 3600,
        "core_hours_difference": change.core_hours,
        "ratio": change.ratio,
        "ratio_at_equal_age": change.ratio_at_equal_age,
    }


def _running(running: Running) -> dict[str, Any]:
    return {
        "mean": running.mean,
        "lowest_daily_mean": running.lowest,
        "highest_daily_mean": running.highest,
        "open_hours": running.open_hours,
        "job_length_p95_hours": running.length_hours,
        "days": [{"day": day.day, "cores": day.cores, "open": day.is_open} for day in running.days],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "jobs": part.part.jobs,
        "wall_hours": part.part.wall_hours,
        "core_hours": part.part.core_hours,
        "share_of_jobs": part.share("jobs"),
        "share_of_wall_hours": part.share("wall_seconds"),
        "share_of_core_hours": part.share("core_seconds"),
    }


def _opportunistic(one: Opportunistic) -> dict[str, Any]:
    return {
        "by_owner": _part(one.by_owner),
        "owner_unknown": _part(one.owner_unknown),
        "by_vo_list": None if one.by_list is None else _part(one.by_list),
    }


def _off_site(one: OffSite | None) -> dict[str, Any] | None:
    return None if one is None else {"home_sites": one.home_sites, "sites": one.sites, **_part(one.part)}


def _movers(movers: Movers) -> dict[str, Any]:
    def said(mover: Mover) -> dict[str, Any]:
        named = dict(zip(movers.by, mover.name, strict=True))
        return {
            **named,
            "core_hours": mover.now,
            "core_hours_before": mover.before,
            "core_hours_difference": mover.difference,
        }

    return {
        "by": movers.by,
        "ups": [said(mover) for mover in movers.ups],
        "downs": [said(mover) for mover in movers.downs],
    }


def _beside(one: Beside) -> dict[str, Any]:
    ours = (
        None if one.ours is None else {"name": one.ours.name, "unit": one.ours.unit, "value": one.ours.value}
    )
    return {
        "figure": one.figure.model_dump(),
        "ours": ours,
        "ratio_ours_to_theirs": one.ratio,
        "reason": one.reason,
    }


def _lengths(content: Content) -> dict[str, Any] | None:
    lengths = content.found.lengths
    if lengths is None:
        return None
    return {
        "percentile": 0.95,
        "by_vo": [{"vo": vo, "hours": hours} for vo, hours in lengths.by_vo.items()],
        "overall_hours": lengths.overall,
        "sampled": _period(lengths.sampled) if lengths.sampled else None,
        "jobs": lengths.jobs,
        "known_until": lengths.known_until,
    }
