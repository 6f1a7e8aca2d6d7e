"""How reports say numbers and where they come from: rounded for people, one sentence for each footnote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.queries.influence import NO_INFLUENCE, told
from gridkeeper.reports.contract import Trace
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.influence import Influence
    from gridkeeper.queries.usage import Scope

UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NOT_AVAILABLE = "N/A"
CORE_HOURS = "core hours"
_INVENTED = "All data of this report are invented."
_SIGNIFICANT_FROM = ((1e9, "G"), (1e6, "M"), (1e3, "K"))
_LEVELS = {
    "batch": "batch: what the sites' batch systems ran (pilots and jobs); the payloads inside pilots are not added",
    "payload": "payload: the jobs inside pilots",
    "all-records": "all records, whatever they describe",
    None: "each resource's own (batch, or payload where only payloads are known or the registry says so)",
}
_SOURCES = {
    "jobs": "records of jobs",
    "reported": "sums that others reported, of whole months",
}


def whole(number: float | None) -> str:
    """`1,234`; `<1` where it is less than half of one but not 0; a dash where it is not known."""
    if number is None:
        return UNKNOWN
    return "<1" if 0 < number < 0.5 else f"{number:,.0f}"


def signed(number: float | None) -> str:
    """`+1,234`, or with a minus sign, of what `whole` says; 0 has no sign."""
    if not number:
        return UNKNOWN if number is None else "0"
    return f"{'+' if number > 0 else MINUS}{whole(abs(number))}"


def rough(number: float) -> str:
    """Three digits that count: `125M`, `60.8M`, `8.27M`, `380K`, `512`. Without its sign."""
    number = abs(number)
    for size, letter in _SIGNIFICANT_FROM:
        if number >= size * 0.9995:
            part = number / size
            places = 0 if part >= 99.95 else 1 if part >= 9.995 else 2
            return f"{part:,.{places}f}{letter}"
    return whole(number)


def percent(ratio: float | None) -> str:
    """`12.3 %`; a dash where it is not defined."""
    return UNKNOWN if ratio is None else f"{ratio * 100:,.1f} %"


def signed_percent(ratio: float | None) -> str:
    """`+3.1 %`, or with a minus sign; a dash where it is not defined."""
    if ratio is None:
        return UNKNOWN
    text = f"{abs(ratio) * 100:,.1f} %"
    return text if text == "0.0 %" else f"{'+' if ratio > 0 else MINUS}{text}"


def ratio(number: float | None) -> str:
    """`0.9966`; a dash where it is not defined."""
    return UNKNOWN if number is None else f"{number:,.4f}"


def hours(seconds: int | None) -> float | None:
    """Whole seconds as hours, divided once; None stays None."""
    return None if seconds is None else seconds / SECONDS_PER_HOUR


def trace_of(
    query: str,
    table: str,
    unit: str,
    scope: Scope,
    grids: str,
    versions: Mapping[str, int],
    influence: Influence = NO_INFLUENCE,
) -> Trace:
    """The Trace of numbers that were counted in `scope`. grids: what queries.grids.in_words says of it."""
    words = scope.described(grids)
    corrections, estimated = tuple(map(told, influence.rules)), tuple(influence.as_json()["estimated"])
    return Trace(
        query, table, unit, words["attribution"], words["count_level"], words["grid"], dict(versions), corrections, estimated
    )  # fmt: skip


def footnotes(trace: Trace, scope: Scope) -> dict[str, str]:
    """What a reader must know about the numbers: keyword → sentence, in the order to print them."""
    return _footnotes(trace, scope) | of_corrections(trace)


def of_corrections(trace: Trace) -> dict[str, str]:
    """Which corrections touch the numbers, and what of them is estimated; nothing where no correction does."""
    notes = {"Corrections": "; ".join(trace.corrections)} if trace.corrections else {}
    if trace.estimated:
        parts = [
            f"{one['vo']} at {one['site']} {whole(one['core_hours'])} core hours, {whole(one['wall_hours'])} wall hours, {whole(one['jobs'])} jobs"
            for one in trace.estimated
        ]
        notes["Estimated"] = (
            f"in the figures are estimates for which there are no records: {'; '.join(parts)}"
        )
    return notes


def _footnotes(trace: Trace, scope: Scope) -> dict[str, str]:
    versions = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in trace.versions.items())
    return {
        "Unit": trace.unit,
        "Count level": _LEVELS[scope.count_level],
        "Grid": trace.grid,
        "Attribution": "end: the whole job counts on the UTC day it ended"
        if trace.attribution == "end"
        else "overlap: split over the UTC days it ran",
        "Source": _SOURCES[scope.source],
        "Where from": f"{trace.query}, table {trace.table}; {versions}",
    }


def invented(registry: Registry) -> str | None:
    """What a report of a sample federation must say."""
    return _INVENTED if registry.federation.name.startswith("Sample") else None
