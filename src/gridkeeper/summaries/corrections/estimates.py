"""Rows of summaries for usage that no record tells of, as corrections estimate it: so much a day, told apart as estimated.

They stand in no stored summary: they are made of the rules alone, whenever the books are read, and end with their rule.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.records.columns import FLAG, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from gridkeeper.federation.mapping import Meaning
    from gridkeeper.summaries.corrections.rules import Estimate, Rule
    from gridkeeper.summaries.tables import Summary

ESTIMATED = "estimated"
_HOURS = 24


def words_of(estimate: Estimate, grid: str) -> dict[str, str | None]:
    """What a record of such usage would say, for the mapping."""
    payload = estimate.level == "payload"
    return {
        "resource": estimate.resource, "host_description": estimate.resource if payload else None, "vo_reported": estimate.vo,
        "resource_type": "Payload" if payload else "Batch", "grid_reported": grid,
    }  # fmt: skip


def estimated_rows(
    summary: Summary,
    rules: Iterable[Rule],
    meant: Callable[[Estimate, date], Meaning],
    counted: Callable[[Meaning, date], bool | None],
    *,
    by_month: bool,
) -> pa.Table:
    """Make the rows that rules add to a summary, with a column `estimated`; none for summaries of transfers.

    meant:    what the mapping makes of an estimate's VO and resource on a day.
    counted:  whether its level counts at its resource on a day.
    by_month: whether a row's day is the first of its month.
    """
    rows: list[dict[str, Any]] = []
    for rule in rules if not summary.transfers else ():
        if rule.add is None:
            continue
        kind = {
            "resource_type": "Batch" if rule.add.level == "batch" else "Payload",
            "outcome": "unknown",
            "cpu_source": "missing",
        }
        told = rule.add.per_day
        amounts = {"jobs": told.jobs, "wall_seconds": told.wall_seconds, "core_seconds": told.core_seconds}
        for day in rule.period.dates():
            meaning = meant(rule.add, day)
            named = {key: getattr(meaning, key) for key in summary.keys if hasattr(meaning, key)} | kind
            keys = {"day": day.replace(day=1) if by_month else day, "counted": counted(meaning, day), **named}
            rows += [keys | each for each in _parts(summary, day, amounts)]
    kinds = [*summary.keys.items(), *((measure, WHOLE) for measure in summary.measures), (ESTIMATED, FLAG)]
    # No record stands behind them, and what a rule does not say it does not add.
    nothing: dict[str, Any] = (
        dict.fromkeys(summary.keys) | dict.fromkeys(summary.measures, 0) | {ESTIMATED: True}
    )
    return pa.Table.from_pylist([nothing | row for row in rows], pa.schema(kinds))


def _parts(summary: Summary, day: date, amounts: Mapping[str, int]) -> list[dict[str, Any]]:
    """A day's amounts; where a summary goes by hours, spread evenly over the day, so that the parts add up exactly."""
    if "hour" not in summary.keys:
        return [dict(amounts)]
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [
        {"hour": begin + timedelta(hours=hour)}
        | {
            name: amount * (hour + 1) // _HOURS - amount * hour // _HOURS
            for name, amount in amounts.items()
            if name in summary.measures
        }
        for hour in range(_HOURS)
    ]
