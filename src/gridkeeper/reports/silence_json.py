"""The states of sources, and pools, for machines: every number unrounded, with its unit in its name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gridkeeper.monitoring.missing import INTERVAL_PART
from gridkeeper.monitoring.states import CARE, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.monitoring.pools import Pool
    from gridkeeper.monitoring.states import Silence, SourceState


def sources_said(sources: Silence, *, all_of_them: bool = False) -> dict[str, Any]:
    """The states of all sources; those that report are only counted, unless asked for."""
    return {
        "moment": sources.moment,
        "judged_until": sources.until,
        "nothing_since": sources.nothing_since,
        "any_probe_heard": sources.heard,
        "interval": INTERVAL_PART,
        "counts": {state.value: sources.counts.get(state, 0) for state in CARE},
        "sources": [
            source_said(one) for one in sources.sources if all_of_them or one.state is not State.REPORTING
        ],
    }


def source_said(one: SourceState) -> dict[str, Any]:
    """One source; null is what is not known."""
    missing = one.missing
    return {
        "resource": one.resource,
        "resources": list(one.resources),
        "part": one.part,
        "probe": one.probe,
        "level": one.level,
        "site": one.site,
        "state": one.state.value,
        "since": one.since,
        "why": list(one.why),
        "last_day": one.last_day,
        "last_record_at": one.last_record_at,
        "last_contact_at": one.last_contact_at,
        "version": one.version,
        "backlog_batches": one.backlog.batches,
        "backlog_records": one.backlog.records,
        "backlog_jobs": one.backlog.jobs,
        "problem": one.problem,
        "silent_days": one.silent_days,
        "usual_gap_days": one.usual_gap_days,
        "core_hours_a_day": one.core_hours_a_day,
        "core_hours_a_month": one.core_hours_a_month,
        "usual_delay_days": one.usual_delay_days,
        "missing_months": [f"{month:%Y-%m}" for month in one.missing_months],
        "other_level_goes_on": one.other_level_goes_on,
        "probe_goes_on": one.probe_goes_on,
        "peers_going_on": list(one.peers),
        "lost_share": one.lost_share,
        "missing_core_hours": missing.core_hours if missing else None,
        "missing_core_hours_low": missing.low if missing else None,
        "missing_core_hours_high": missing.high if missing else None,
        "missing_days": missing.days if missing else None,
        "missing_from_payloads": missing.from_payloads if missing else None,
        "missing_from_months": missing.from_months if missing else None,
        "ask": [contact.model_dump() for contact in one.ask],
    }


def pools_said(pools: Iterable[Pool]) -> list[dict[str, Any]]:
    """Pools as their probes saw them, and as their records say."""
    return [
        asdict(pool) | {"difference": pool.difference, "ratio_records_to_pool": pool.ratio} for pool in pools
    ]
