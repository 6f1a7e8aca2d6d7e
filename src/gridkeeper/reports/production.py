"""`production`: the weekly production meeting's figures, each VO in the words of its minutes, every number traceable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gridkeeper.monitoring.pools import Pool, pools
from gridkeeper.monitoring.silence import SOURCE_TABLES
from gridkeeper.queries.daily import daily_wall_hours, weeks_until
from gridkeeper.queries.grids import in_words
from gridkeeper.queries.ledger import levels_of
from gridkeeper.queries.production import Production, VOUse, production
from gridkeeper.queries.usage import influence_in
from gridkeeper.reports import coverage_sentences as covering
from gridkeeper.reports import plots, wording
from gridkeeper.reports import production_sentences as say
from gridkeeper.reports import silence_sentences as care
from gridkeeper.reports.pages import no_page, page
from gridkeeper.reports.production_csv import as_csv
from gridkeeper.reports.production_json import as_json
from gridkeeper.reports.sources import covered_sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.monitoring.coverage import Coverage
    from gridkeeper.monitoring.states import Silence
    from gridkeeper.queries.daily import DayUse
    from gridkeeper.queries.periods import Period
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.summaries.books import Books

HOURS = "wall hours = wall seconds ÷ 3600; core hours = wall seconds x processors ÷ 3600; added up in whole seconds, divided once"
_TEMPLATES = {"twiki": "production.twiki", "markdown": "production.md", "html": "production.html"}


@dataclass(frozen=True)
class Content:
    """All that the report says.

    sources: the states of the sources at the period's end, or at the moment of asking.
    coverage: how well these covered its numbers; None of sums that others reported.
    pools:  what probes saw running, beside the records.
    days:   wall hours by VO and day over `shown`, for the plot; nothing where the source does not tell.
    traces: section → where its numbers come from.
    about:  keyword → sentence on what the numbers are.
    """

    title: str
    federation: str
    invented: str | None
    found: Production
    sources: Silence
    coverage: Coverage | None
    pools: tuple[Pool, ...]
    days: tuple[DayUse, ...]
    shown: Period
    traces: Mapping[str, Trace]
    about: Mapping[str, str]
    request: Request

    @property
    def as_of(self) -> datetime:
        """The moment of asking (UTC)."""
        return self.request.as_of

    @property
    def period(self) -> Period:
        """The days it is about."""
        return self.found.period

    @property
    def lines(self) -> tuple[VOUse, ...]:
        """The lines of the table: every VO, then all together."""
        return (*self.found.vos, self.found.total)

    @property
    def care(self) -> list[say.Point]:
        """What is to be looked into: silent sources, and pools that differ from their records."""
        return care.source_points(self.sources) + care.pool_points(self.pools)

    def plots(self) -> list[plots.Plot]:
        """Its plots; none of a source that does not tell days."""
        if not self.days:
            return []
        cores = {vo.name: vo.running for vo in self.found.vos if vo.running is not None}
        drawn = [plots.wall_hours_by_day(self.days, self.shown, self.period, list(cores))]
        if self.found.total.running is not None and cores:
            drawn.append(
                plots.running_cores_by_hour(cores, self.found.total.running, self.period, list(cores))
            )
        return drawn


class ProductionReport:
    """The weekly production report."""

    name = "production"
    describes = "What the production meeting asks of a week, a month or any period: each VO's pilots, wall hours and core hours, changes, silent sources"
    formats: tuple[str, ...] = ("twiki", "markdown", "html", "json", "csv")

    def make(self, books: Books, request: Request) -> Content:
        """Gather all its numbers. Raises: UserMistake (permanent), LakeUnavailable (retryable)."""
        tables = levels_of(books)
        found = production(books, request.period, request.as_of, request.figures, request.source, tables)
        shown = weeks_until(request.period)
        told = request.source == "jobs"
        days = tuple(daily_wall_hours(books, shown, tables)) if told else ()
        sources, covered = covered_sources(books, request)
        seen: tuple[Pool, ...] = ()
        if found.lengths is not None:
            closed_until = found.lengths.closed_until(None, all_vos=True)
            seen = pools(books, request.pool_samples, request.period, closed_until)
        traces = traces_of(books, found, told=told, has_pools=bool(seen))
        federation = books.registry.federation
        return Content(
            title=f"Production report, {request.period.name}",
            federation=federation.name,
            invented=wording.invented(books.registry),
            found=found,
            sources=sources,
            coverage=covered,
            pools=seen,
            days=days,
            shown=shown,
            traces=traces,
            about=_about(found, traces, request)
            | covering.about(covered)
            | care.about(sources, has_pools=bool(seen)),
            request=request,
        )

    def render(self, content: Any, shape: str) -> bytes:
        """Write it in one of its formats."""
        if shape in ("json", "csv"):
            return as_json(content) if shape == "json" else as_csv(content)
        drawn = (
            [f"<figure>{plot.svg_for_page()}</figure>" for plot in content.plots()] if shape == "html" else []
        )
        return page(
            _TEMPLATES[shape], content=content, found=content.found, say=say, care=care, covering=covering, plots=drawn, link=no_page, on_page=False
        )  # fmt: skip


REPORT = ProductionReport()


def traces_of(books: Books, found: Production, *, told: bool, has_pools: bool = False) -> dict[str, Trace]:
    """Where the numbers of each section come from. told: whether the source tells days and levels."""
    scope, grid, versions = found.ledger.scope, books.registry.federation.grid, books.versions()
    counted = in_words(books, scope, found.ledger.table)
    corrected = influence_in(books, scope, found.ledger.table)

    def trace(query: str, table: str, unit: str) -> Trace:
        return wording.trace_of(query, table, unit, scope, counted, versions, corrected)

    used = trace("queries.ledger.ledger", found.ledger.table, HOURS)
    traces = {
        "total": used,
        "vos": used,
        "experiments": used,
        "opportunistic": used,
        "movers": replace(used, query="queries.changes.movers"),
        "unmapped": replace(
            used, query="queries.unmapped.unmapped_usage", grid=f"{grid}, and what names no grid"
        ),
        "figures": replace(used, query="queries.beside.beside"),
        "silent": replace(
            used,
            query="monitoring.silence.source_states",
            table=", ".join(SOURCE_TABLES),
            unit="days; months; core hours",
            count_level="each for itself",
            grid=f"any for the days, {grid} for the hours; any for monthly sums",
        ),
    }
    if not told:
        return traces
    covered = replace(
        traces["silent"], query="monitoring.coverage.coverage", table="usage_daily_end", unit="source-days"
    )
    both = replace(
        used,
        query="queries.ledger.ledger (levels)",
        unit="jobs",
        count_level="batch without grid Local (pilots); payload (payloads)",
    )
    sampled = replace(
        used, query="queries.running.job_lengths", table="usage_records", unit="whole hours, rounded up"
    )
    daily = replace(used, query="queries.daily.daily_wall_hours", unit="wall hours")
    own = replace(used, query="queries.production.experiments_of_period", unit="wall hours; core hours")
    seen = replace(
        used, query="monitoring.pools.pools", table="pool_samples, running_hourly", unit="cores: core seconds in an hour ÷ 3600",
        attribution="overlap", count_level="batch", grid="any",
    )  # fmt: skip
    return traces | {
        "pilots and payloads": both,
        "equal age": replace(used, query="queries.ages.late_part", table="usage_records", unit="core hours"),
        "running cores": replace(used, query="queries.running.running_hours", table="running_hourly", unit="cores: core seconds in an hour ÷ 3600", attribution="overlap"),
        "job lengths": sampled,
        "coverage": replace(covered, count_level=used.count_level, grid=used.grid),
        "left out": replace(used, query="queries.ledger.ledger (left out)", grid="all others"),
        "wall hours by day": daily,
    } | ({"pools": seen} if has_pools else {}) | ({"experiments in a period of their own": own} if any(vo.own_period for vo in found.vos) else {})  # fmt: skip


def _about(found: Production, traces: Mapping[str, Trace], request: Request) -> dict[str, str]:
    """What a reader must know: what was counted, how, and how good the records are."""
    period = found.period
    about = {
        "Period": f"{period.first:%Y-%m-%d} 00:00 UTC until {period.until:%Y-%m-%d} 00:00 UTC, {say.counted(period.days, 'day', 'days')}"
    }
    if request.as_of.date() < period.until:
        about["Attention"] = (
            f"{period.name} is not over on {request.as_of:%Y-%m-%d %H:%M} UTC; its figures are those so far"
        )
    about |= wording.footnotes(traces["total"], found.ledger.scope)
    about |= _of_quality(found)
    if found.lengths is not None:
        about |= _of_time(found)
    if own := [f"{vo.name} in {say.in_own_period(vo.own_period)}" for vo in found.vos if vo.own_period]:
        about["Experiments' own period"] = (
            f"{'; '.join(own)}: as the registry says (`experiments_period`), beside the report's period"
        )
    about |= {
        "Opportunistic": "by owner: on resources whose owners the registry names and the VO is none of them, "
        "any share of a resource makes a VO its owner; by list: by the VOs of the list `opportunistic`, wherever they ran",
        "Off-site": "at none of the home sites of the experiment, or of its VO where it has none of its own",
    }
    return about


def _of_quality(found: Production) -> dict[str, str]:
    sums, kept = found.total.sums, found.ledger
    levels = ", ".join(
        f"{level} {wording.percent(part.core_seconds / sums.core_seconds)}"
        for level, part in sorted(found.by_level.items())
        if sums.core_seconds
    )
    said = {
        "Counted at": f"{levels or wording.UNKNOWN} of the core hours",
        "Efficiency": "CPU hours ÷ core hours, where CPU was measured; "
        f"{wording.percent(sums.unmeasured_share)} of the core hours have no measured CPU and are left out of it",
    }
    if kept.pilots is not None:
        said["Processors"] = (
            f"{say.counted(sums.processors_filled, 'record', 'records')} said 0 processors or nothing; counted as 1"
        )
        said["Pilots and payloads"] = (
            "pilots: records of batch systems whose grid is not Local; payloads: jobs inside pilots; two views of the same cores, never added"
        )
        said["Left out"] = "; ".join(
            f"{grid or 'no grid named, at registered resources'}: {wording.whole(part.core_hours)} core hours, {wording.whole(part.wall_hours)} wall hours"
            for grid, part in kept.left_out.items()
        ) or "nothing: no records of grid Local or other grids"  # fmt: skip
    return said


def _of_time(found: Production) -> dict[str, str]:
    lengths, early = found.lengths, found.early
    if lengths is None or early is None:
        return {}
    sample = (
        f"measured on {wording.whole(lengths.jobs)} jobs that ended {lengths.sampled.name}; over all VOs {lengths.overall} hours"
        if lengths.sampled
        else "there was nothing to measure it on"
    )
    late = sum(early.core_seconds.values())
    return {
        "Running cores": "core seconds inside each hour ÷ 3600; the mean is over closed hours, the range over days without an open hour",
        "Open hours": f"younger than the 95th percentile of the VO's job length ({sample}), "
        f"counted from {lengths.known_until:%Y-%m-%d %H:%M} UTC: the moment of asking, or the end of the newest record",
        "Equal age": f"against what was known of {found.previous.name} on {early.cutoff:%Y-%m-%d %H:%M} UTC; "
        f"{wording.whole(late / 3600)} core hours of it came later",
    }
