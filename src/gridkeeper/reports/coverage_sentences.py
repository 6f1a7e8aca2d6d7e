"""Tells in words and for machines how well the sources behind a number covered it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.reports.production_sentences import NO_RESOURCE, counted, roughly
from gridkeeper.reports.wording import UNKNOWN, percent, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.monitoring.coverage import Coverage, Covered, SourceDays

MARK = "†"
MOST_SOURCES = 5
NO_PROBE = "no probe named"
COLUMNS = ("coverage", "sources_expected", "sources_reported", "coverage_is_below_floor")


def share(coverage: Coverage | None, vo: str) -> str:
    """`97.1 %`, with a mark where it is below the floor; a dash where nothing is known. vo: "" is all together."""
    return UNKNOWN if coverage is None else share_of(coverage, coverage.vo(vo))


def share_of(coverage: Coverage, covered: Covered) -> str:
    """The same of any of its numbers."""
    return f"{percent(covered.share)}{f' {MARK}' if coverage.is_low(covered) else ''}"


def reported(coverage: Coverage | None, vo: str) -> str:
    """`4 of 5`: how many of the expected sources reported."""
    return UNKNOWN if coverage is None else reported_of(coverage.vo(vo))


def reported_of(covered: Covered) -> str:
    """The same of any number."""
    return f"{covered.reported:,} of {covered.expected:,}" if covered.expected else UNKNOWN


def about(coverage: Coverage | None, marked: str = "a VO", *, any_low: bool | None = None) -> dict[str, str]:
    """What a reader must know of the coverage: keyword → sentence.

    marked: what carries the mark. any_low: whether any does; else whether any VO does.
    """
    if coverage is None:
        return {
            "Coverage": "not told of sums that others reported; `gridkeeper probes` says which months are missing"
        }
    covered = coverage.total
    if not covered.expected_days:
        return {"Coverage": "nothing is known of any source, so what should have come is not known either"}
    said = {"Coverage": "; ".join(_of_all(coverage))}
    if any_low is None:
        any_low = any(coverage.is_low(each) for each in coverage.by_vo.values())
    if any_low:
        said["Coverage"] += (
            f"; {MARK} marks {marked} of whose source-days less than {percent(coverage.floor)} have records"
        )
    if coverage.uncovered:
        said["Not covered"] = all_missed(coverage.uncovered)
    if coverage.core_hours is not None:
        said["Probably missing"] = (
            f"about {roughly(coverage.core_hours)} core hours of the period; they stand in no figure"
        )
    return said


def _of_all(coverage: Coverage) -> list[str]:
    covered = coverage.total
    low = f", {MARK} below the floor of {percent(coverage.floor)}" if coverage.is_low(covered) else ""
    parts = [
        f"{whole(covered.reported)} of {counted(covered.expected, 'expected source', 'expected sources')} reported; "
        f"{whole(covered.present_days)} of {counted(covered.expected_days, 'source-day', 'source-days')} that their rhythm lets expect have records "
        f"({percent(covered.share)}{low})"
    ]
    if covered.announced_days:
        parts.append(
            f"{counted(covered.announced_days, 'source-day', 'source-days')} in announced downtime not expected"
        )
    if covered.unknown:
        parts.append(
            f"{counted(covered.unknown, 'source', 'sources')} too new for a rhythm, only days with records counted"
        )
    return parts


def all_missed(uncovered: Sequence[SourceDays]) -> str:
    """What several left out, and how many more there are; nothing where none did."""
    named = [_missed(one) for one in uncovered[:MOST_SOURCES]]
    if (more := len(uncovered) - MOST_SOURCES) > 0:
        named.append(f"and {counted(more, 'more source', 'more sources')}")
    return "; ".join(named)


def _missed(one: SourceDays) -> str:
    """`ash, batch (slurm:ash): 4 of 7 days`: what one source left out."""
    days = one.present + one.missing
    return f"{one.source.resource or NO_RESOURCE}, {one.source.level} ({one.source.probe or NO_PROBE}): {one.missing} of {counted(days, 'day', 'days')}"


def said(coverage: Coverage | None) -> dict[str, Any] | None:
    """For machines: every number; null where nothing is known."""
    if coverage is None:
        return None
    return {
        "floor": coverage.floor,
        "total": covered_said(coverage, coverage.total),
        "vos": [{"vo": vo, **covered_said(coverage, one)} for vo, one in sorted(coverage.by_vo.items(), key=_by_name)],
        "sites": [{"site": site, **covered_said(coverage, one)} for site, one in sorted(coverage.by_site.items(), key=_by_name)],
        "uncovered": [
            {
                "probe": one.source.probe, "resource": one.source.resource, "level": one.source.level, "site": one.site,
                "missing_days": one.missing, "present_days": one.present, "announced_days": one.announced,
                "probably_missing_core_hours": one.core_hours,
            }
            for one in coverage.uncovered
        ],
        "probably_missing_core_hours": coverage.core_hours,
    }  # fmt: skip


def _by_name(item: tuple[str | None, Covered]) -> str:
    return item[0] or ""


def covered_said(coverage: Coverage, one: Covered) -> dict[str, Any]:
    """One of its numbers, for machines."""
    return {
        "sources_expected": one.expected,
        "sources_reported": one.reported,
        "source_days_expected": one.expected_days,
        "source_days_present": one.present_days,
        "source_days_announced": one.announced_days,
        "sources_without_known_rhythm": one.unknown,
        "share": one.share,
        "is_below_floor": coverage.is_low(one),
    }


def columns(coverage: Coverage | None, vo: str) -> dict[str, Any]:
    """The same of one VO for a spreadsheet; None where nothing is known."""
    return columns_of(coverage, coverage.vo(vo) if coverage is not None else None)


def columns_of(coverage: Coverage | None, one: Covered | None) -> dict[str, Any]:
    """The same of any number; None where it has none."""
    if coverage is None or one is None:
        return dict.fromkeys(COLUMNS)
    told = (
        one.share,
        one.expected or None,
        one.reported if one.expected else None,
        None if one.share is None else coverage.is_low(one),
    )
    return dict(zip(COLUMNS, told, strict=True))
